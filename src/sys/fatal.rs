//! Standard error and the end of the process, without allocating and without unwinding.

#![forbid(unsafe_code)]

use core::fmt::{self, Write};

/// Bytes gathered before a write, so that a line usually arrives in one piece.
const BUFFER: usize = 1024;

/// Standard error behind a small buffer of its own; what cannot be written is lost.
pub struct Stderr {
    buffer: [u8; BUFFER],
    used: usize,
}

impl Stderr {
    /// With an empty buffer.
    pub const fn new() -> Self {
        Self { buffer: [0; BUFFER], used: 0 }
    }

    fn flush(&mut self) {
        super::write_stderr(&self.buffer[..self.used]);
        self.used = 0;
    }
}

impl Write for Stderr {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for &byte in text.as_bytes() {
            if self.used == BUFFER {
                self.flush();
            }
            self.buffer[self.used] = byte;
            self.used += 1;
        }
        Ok(())
    }
}

impl Drop for Stderr {
    fn drop(&mut self) {
        self.flush();
    }
}

/// Writes one line, `highwater: ` before it, to standard error.
pub fn complain(line: fmt::Arguments<'_>) {
    let _ = writeln!(Stderr::new(), "highwater: {line}");
}

/// Says what is broken and ends the process.
#[cold]
pub fn die(what: &str, file: &str, line: u32) -> ! {
    complain(format_args!("broken invariant: {what} ({file}:{line})"));
    super::abort()
}

/// Stops the process with a message if `$holds` is false: in every build, without unwinding and
/// without allocating, both of which are undefined or deadly inside an allocator.
macro_rules! invariant {
    ($holds:expr, $what:literal) => {
        if !$holds {
            $crate::sys::fatal::die($what, file!(), line!())
        }
    };
}
