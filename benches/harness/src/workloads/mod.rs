//! The workloads: one table, one module each.
//!
//! A workload is a list of statements under [`lines!`](crate::lines), the last of which is its drop, and ends
//! with [`Stage::idle`](crate::stage::Stage::idle) while its survivors are still in scope. The statements are written as a program would write
//! them, since their text is what the reader sees.

mod broadcast;
mod deepcopy;
mod flat;
mod fork;
mod index;
mod pickle;
mod record;
mod sizes;

use crate::Result;
use crate::contenders::Accounts;
use crate::report::{Figure, Task};
use crate::stage::Stage;

/// One thing that programs do.
pub struct Workload {
    pub name: &'static str,
    pub about: &'static str,
    /// In the parent, once for all contenders: the files that are there before the program starts.
    pub prepare: fn(&Task) -> Result<()>,
    /// In the child.
    pub run: fn(&mut Stage) -> Result<()>,
    /// Figures besides the samples.
    pub figures: Option<Figures>,
}

/// What a workload's own figures are.
pub struct Figures {
    /// What they count, and how they are read: the table's heading.
    pub title: &'static str,
    /// In the parent: what the figures are to be compared with, under this name.
    pub reference: Option<Reference>,
}

/// A further column of figures, which no contender gives.
pub struct Reference {
    pub name: &'static str,
    pub measure: fn(&Task, &'static dyn Accounts) -> Result<Vec<Figure>>,
}

/// Every workload, in the order in which they run.
pub const ALL: &[Workload] = &[
    Workload {
        name: "sizes",
        about: "what the basic objects cost: 100,000 each of integers, strings, vectors, tuples, maps",
        prepare: nothing,
        run: sizes::run,
        figures: Some(Figures {
            title: "Bytes per object: its blocks (and what they have over what is asked for)",
            reference: Some(Reference {
                name: "asked",
                measure: sizes::asked,
            }),
        }),
    },
    Workload {
        name: "deepcopy",
        about: "a list of 1,000,000 boxed integers, deep-copied; the first dropped, then the second",
        prepare: nothing,
        run: deepcopy::run,
        figures: None,
    },
    Workload {
        name: "pickle",
        about: "1,000,000 records (float, 20-letter string, integer) written to a file in one piece",
        prepare: nothing,
        run: pickle::write,
        figures: None,
    },
    Workload {
        name: "unpickle",
        about: "the same file read back in one piece",
        prepare: pickle::prepare,
        run: pickle::read,
        figures: None,
    },
    Workload {
        name: "flat-write",
        about: "the same records written as text, a line each",
        prepare: nothing,
        run: flat::write,
        figures: None,
    },
    Workload {
        name: "flat-read",
        about: "the same text read back, line by line",
        prepare: flat::prepare,
        run: flat::read,
        figures: None,
    },
    Workload {
        name: "broadcast",
        about: "a dictionary of 300,000 entries, through a file to a second owner, whole and in blocks",
        prepare: nothing,
        run: broadcast::run,
        figures: None,
    },
    Workload {
        name: "fork",
        about: "a process with a heap of 1,000,000 strings forks a worker, which reads, frees and allocates",
        prepare: nothing,
        run: fork::run,
        figures: Some(Figures {
            title: "OS pages that the worker comes to own (copied for it, or new)",
            reference: None,
        }),
    },
    Workload {
        name: "index",
        about: "an inverted index of every text file under a folder, dropped but for one word in a thousand",
        prepare: index::prepare,
        run: index::run,
        figures: None,
    },
];

/// The workload of this name.
pub fn find(name: &str) -> Option<&'static Workload> {
    ALL.iter().find(|workload| workload.name == name)
}

fn nothing(_: &Task) -> Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_workload_is_found_by_its_name() {
        for workload in ALL {
            assert!(find(workload.name).is_some_and(|found| found.about == workload.about));
        }
        assert!(find("Sizes").is_none());
    }
}
