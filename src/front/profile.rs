//! What `profile!` records, and the table that it prints.

#![forbid(unsafe_code)]

use core::fmt::{self, Write};
use core::ops::Deref;
use core::panic::Location;

use super::chosen::{self, Room};

/// Statements that are recorded, at most.
const LOOKS_MAX: usize = 1000;

/// The looks of one block at the program's memory. Prints them when dropped.
#[derive(Debug)]
pub struct Profile {
    looks: Room<Look>,
    /// Of statements without room.
    lost: usize,
}

/// The memory after one statement.
#[derive(Clone, Copy, Debug)]
struct Look {
    /// 0 of what is no statement.
    line: u32,
    statement: &'static str,
    /// `None` where the system does not tell.
    resident: Option<usize>,
    /// `None` if the allocator is not the program's.
    heap: Option<Heap>,
}

/// The allocator's bytes.
#[derive(Clone, Copy, Debug)]
struct Heap {
    live: usize,
    free: usize,
}

/// Dereferenced, tells where.
#[derive(Debug)]
pub struct Here;

/// What stands where a line is wanted.
pub static HERE: &Here = &Here;

impl Deref for Here {
    type Target = Location<'static>;

    #[track_caller]
    fn deref(&self) -> &Location<'static> {
        Location::caller()
    }
}

/// The line of a place in the source.
pub fn line(place: &Location<'_>) -> u32 {
    place.line()
}

impl Profile {
    /// Looks at the memory before the first statement.
    pub fn begin() -> Profile {
        // Without memory there is nothing to show, and the program runs as it would.
        let looks = Room::of(LOOKS_MAX).unwrap_or(Room::none());
        let mut profile = Profile { looks, lost: 0 };
        // A first look brings the code that looks into memory.
        let _ = Look::now(0, "");
        profile.record(0, "(before)");
        profile
    }

    /// Looks at the memory after a statement.
    pub fn record(&mut self, line: u32, statement: &'static str) {
        self.lost += usize::from(!self.looks.push(Look::now(line, statement)));
    }
}

impl Drop for Profile {
    fn drop(&mut self) {
        self.record(0, "(the end of the block)");
        // What cannot be written is lost.
        let _ = write!(chosen::standard_error(), "{self}");
    }
}

impl Look {
    fn now(line: u32, statement: &'static str) -> Look {
        let stats = chosen::stats();
        let is_ours = stats.mapped_bytes > 0;
        let heap = is_ours.then_some(Heap { live: stats.live_bytes, free: stats.free_bytes });
        Look { line, statement, resident: chosen::resident_bytes_exact(), heap }
    }

    fn live(&self) -> Option<usize> {
        self.heap.map(|heap| heap.live)
    }

    fn free(&self) -> Option<usize> {
        self.heap.map(|heap| heap.free)
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "  line  resident  increment      live  increment      free  statement")?;
        writeln!(out, " -----  --------  ---------  --------  ---------  --------  ---------")?;
        let mut before: Option<&Look> = None;
        for look in self.looks.as_slice() {
            let old = before.unwrap_or(look);
            Line(look.line).fmt(out)?;
            write!(out, "  {}  {}", Mib(look.resident), Increment(old.resident, look.resident))?;
            write!(out, "  {}  {}", Mib(look.live()), Increment(old.live(), look.live()))?;
            writeln!(out, "  {}  {}", Mib(look.free()), OneLine(look.statement))?;
            before = Some(look);
        }
        if self.lost > 0 {
            writeln!(out, "and {} more", self.lost)?;
        }
        if before.is_some_and(|look| look.heap.is_none()) {
            writeln!(
                out,
                "highwater is not this program's allocator: live and free are not known"
            )?;
        }
        Ok(())
    }
}

/// A line's number, or nothing.
struct Line(u32);

impl fmt::Display for Line {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => write!(out, "{:6}", ""),
            line => write!(out, "{line:6}"),
        }
    }
}

const MIB: f64 = (1 << 20) as f64;

/// Bytes as MiB, in eight columns.
struct Mib(Option<usize>);

impl fmt::Display for Mib {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(bytes) => write!(out, "{:8.1}", bytes as f64 / MIB),
            None => write!(out, "{:>8}", '-'),
        }
    }
}

/// By how much bytes grew, as MiB with its sign, in nine columns; no sign for what rounds to nothing.
struct Increment(Option<usize>, Option<usize>);

impl fmt::Display for Increment {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Some(from), Some(to)) = (self.0, self.1) else {
            return write!(out, "{:>9}", '-');
        };
        let grown = to as f64 / MIB - from as f64 / MIB;
        match grown.abs() < 0.05 {
            true => write!(out, "{:9.1}", 0.0),
            false => write!(out, "{grown:+9.1}"),
        }
    }
}

/// Source text with every run of white space as one space.
struct OneLine(&'static str);

impl fmt::Display for OneLine {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, word) in self.0.split_whitespace().enumerate() {
            if index > 0 {
                out.write_char(' ')?;
            }
            out.write_str(word)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use std::string::ToString;

    #[test]
    fn sizes_are_rounded_and_increments_signed() {
        let mib = 1 << 20;
        assert_eq!(Mib(Some(3 * mib / 2)).to_string(), "     1.5");
        assert_eq!(Mib(None).to_string(), "       -");
        assert_eq!(Increment(Some(mib), Some(5 * mib / 2)).to_string(), "     +1.5");
        assert_eq!(Increment(Some(5 * mib / 2), Some(mib)).to_string(), "     -1.5");
        assert_eq!(Increment(Some(mib), Some(mib - 9)).to_string(), "      0.0");
        assert_eq!(Increment(None, Some(mib)).to_string(), "        -");
    }

    #[test]
    fn white_space_of_any_kind_and_length_becomes_one_space() {
        assert_eq!(OneLine("let a =\n        f(b,\t c)  ").to_string(), "let a = f(b, c)");
    }
}
