//! What `cargo retention growth` makes of its rows: how figures change from one row to the next.

use super::contenders::{self, Kind};
use super::figures::RowFigures;

/// Bytes that a thread's heap may make resident before it is used.
pub const IDLE_THREAD_BYTES_MAX: i64 = 16 << 10; // 16 KiB
/// Bytes over System that a program may have resident when main starts.
pub const START_BYTES_MAX: i64 = 2 << 20; // 2 MiB
/// Bytes that the allocator may add to a program.
pub const PROGRAM_BYTES_MAX: i64 = 150 << 10; // 150 KiB

/// How often the first row's time a row's time is, under one contender.
pub fn factor(figures: &[RowFigures], row: &RowFigures, contender: &str) -> Option<f64> {
    let group = row.entry().group;
    let first = figures.iter().find(|row| row.entry().group == group)?;
    Some(row.cell(contender)?.ns / first.cell(contender)?.ns)
}

/// The largest factor of any peer: the edge of the peers' curve.
pub fn peers_factor(
    figures: &[RowFigures],
    row: &RowFigures,
    names: &[&'static str],
) -> Option<f64> {
    names
        .iter()
        .filter(|name| matches!(contenders::kind(name), Kind::System | Kind::SizeClassPeer))
        .filter_map(|name| factor(figures, row, name))
        .max_by(f64::total_cmp)
}

/// Bytes that a contender has resident over System on a row that measures memory.
pub fn over_system(row: &RowFigures, contender: &str) -> Option<i64> {
    let bytes = |name| Some(row.cell(name)?.resident_bytes? as i64);
    Some(bytes(contender)? - bytes("system")?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::speed::figures::Cell;

    fn row(row: &'static str, cells: &[(&'static str, f64, u64)]) -> RowFigures {
        let cells = cells.iter().map(|&(contender, ns, resident_bytes)| Cell {
            contender,
            ns,
            ratio: None,
            resident_bytes_peak: None,
            resident_bytes: Some(resident_bytes),
            minor_faults: 0.0,
            first_minor_faults: 0.0,
        });
        RowFigures {
            row,
            cells: cells.collect(),
            fastest: None,
            time: None,
            leanest: None,
            memory_ratio: None,
            memory: None,
        }
    }

    #[test]
    fn factors_are_over_the_first_row_of_the_same_curve() {
        let figures = [
            row("live-10k", &[("highwater", 10.0, 0), ("system", 20.0, 0), ("mimalloc", 10.0, 0)]),
            row("live-10m", &[("highwater", 50.0, 0), ("system", 40.0, 0), ("mimalloc", 30.0, 0)]),
            row("threads-1", &[("highwater", 5.0, 0)]),
        ];
        assert_eq!(factor(&figures, &figures[1], "highwater"), Some(5.0));
        let names = ["highwater", "system", "mimalloc"];
        assert_eq!(peers_factor(&figures, &figures[1], &names), Some(3.0));
        assert_eq!(factor(&figures, &figures[2], "highwater"), Some(1.0));
    }

    #[test]
    fn memory_is_over_systems() {
        let start = row("start", &[("highwater", 0.0, 5_000), ("system", 0.0, 3_000)]);
        assert_eq!(over_system(&start, "highwater"), Some(2_000));
        assert_eq!(over_system(&start, "mimalloc"), None);
    }
}
