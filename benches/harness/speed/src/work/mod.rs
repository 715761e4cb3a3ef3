//! The rows' work: a function for each row, which prepares what it needs and then hands the meter what is timed.
//!
//! Blocks are boxes and vectors, as programs have them; `black_box` keeps the compiler from seeing that nobody
//! reads them. Inputs are generated, the same in every run.

mod collections;
mod crates;
mod growth;
mod small;
mod texts;
mod threads;

use crate::meter::Meter;

/// Prepares, and has the meter time.
pub type Work = fn(&mut Meter);

/// The work of every row of [`rows::ALL`](crate::rows::ALL).
const ALL: &[(&str, Work)] = &[
    ("pair-16", small::pair::<2>),
    ("pair-64", small::pair::<8>),
    ("pair-256", small::pair::<32>),
    ("pair-1024", small::pair::<128>),
    ("batch-64-order", small::batch_in_order),
    ("batch-64-reverse", small::batch_in_reverse),
    ("batch-64-random", small::batch_at_random),
    ("batch-mixed-order", small::mixed_batch_in_order),
    ("batch-mixed-reverse", small::mixed_batch_in_reverse),
    ("batch-mixed-random", small::mixed_batch_at_random),
    ("vec-small", small::vec_small),
    ("vec-1m", small::vec_1m),
    ("string-format", small::string_format),
    ("zeroed-4k", small::zeroed::<{ 4 << 10 }>),
    ("zeroed-256k", small::zeroed::<{ 256 << 10 }>),
    ("zeroed-1m", small::zeroed::<{ 1 << 20 }>),
    ("list", collections::list),
    ("binary-trees", collections::binary_trees),
    ("btreemap", collections::btreemap),
    ("hashmap-strings", collections::hashmap_strings),
    ("send-boxes", threads::send_boxes),
    ("send-batches", threads::send_batches),
    ("send-vecs", threads::send_vecs),
    ("larson-2", threads::larson::<2>),
    ("larson-4", threads::larson::<4>),
    ("json", crates::json),
    ("regex", crates::regex),
    ("syn", crates::syn),
    ("markdown", crates::markdown),
    ("tokio", crates::tokio),
    ("hashbrown", crates::hashbrown),
    ("btree-index", collections::btree_index),
    ("arrow-columns", crates::arrow_columns),
    ("live-10k", growth::live::<10_000>),
    ("live-100k", growth::live::<100_000>),
    ("live-1m", growth::live::<1_000_000>),
    ("live-10m", growth::live::<10_000_000>),
    ("buffers-100", growth::buffers::<100>),
    ("buffers-1k", growth::buffers::<1_000>),
    ("buffers-10k", growth::buffers::<10_000>),
    ("threads-1", growth::threads::<1>),
    ("threads-2", growth::threads::<2>),
    ("threads-8", growth::threads::<8>),
    ("threads-64", growth::threads::<64>),
    ("threads-512", growth::threads::<512>),
    ("start", growth::start),
    ("idle-thread", growth::idle_thread),
];

/// The work of the row of this name.
pub fn find(name: &str) -> Option<Work> {
    ALL.iter().find(|(row, _)| *row == name).map(|(_, work)| *work)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Task;
    use crate::rows;

    #[test]
    fn every_row_has_its_work_and_no_work_is_without_a_row() {
        let names = rows::ALL.iter().map(|row| row.name);
        assert!(names.eq(ALL.iter().map(|(name, _)| *name)));
    }

    #[test]
    fn every_row_measures_when_small() {
        for row in rows::ALL {
            let task = Task { row: row.name.to_owned(), scale: 1_000, repetitions: 1 };
            let mut meter = Meter::new(&task);
            find(row.name).expect("every row has its work")(&mut meter);
            let report = meter.report(String::new());
            if row.group != rows::Group::Memory {
                assert!(report.wall_ns > 0.0 && report.first_wall_ns > 0.0, "{}", row.name);
            }
        }
    }
}
