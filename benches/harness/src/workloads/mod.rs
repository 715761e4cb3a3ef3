//! The workloads: one table, one module each.
//!
//! A workload is a list of statements under [`lines!`](crate::lines), the last of which is its drop, and ends
//! with [`Stage::idle`](crate::stage::Stage::idle) or [`Stage::rest`](crate::stage::Stage::rest) while its
//! survivors are still in scope. The statements are written as a program would write them, since their text is
//! what the reader sees.

mod broadcast;
mod churn;
mod deepcopy;
mod exchange;
mod flat;
mod fork;
mod handover;
mod index;
mod pickle;
mod ping_pong;
mod record;
mod sawtooth;
mod shifting;
mod sizes;
mod sleeper;
mod soft_limit;
mod spike;
mod survivors;
mod turns;

pub use record::scrambled;

use crate::Result;
use crate::contenders::Accounts;
use crate::report::{Figure, Task};
use crate::stage::Stage;

/// What a workload is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Group {
    /// The essay's own workloads, and one on real input. These run when nothing is asked for.
    Essay,
    /// What is given back after a drop, how soon, against the bound, and at which price.
    GivingBack,
}

impl Group {
    pub const ALL: [Group; 2] = [Group::Essay, Group::GivingBack];

    pub fn name(self) -> &'static str {
        match self {
            Group::Essay => "essay",
            Group::GivingBack => "giving-back",
        }
    }

    /// The workloads of this group, in the order in which they run.
    pub fn workloads(self) -> impl Iterator<Item = &'static Workload> {
        ALL.iter().filter(move |workload| workload.group == self)
    }
}

/// One thing that programs do.
pub struct Workload {
    pub name: &'static str,
    pub group: Group,
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
        group: Group::Essay,
        about: "what the basic objects cost: 100,000 each of integers, strings, vectors, tuples, maps",
        prepare: nothing,
        run: sizes::run,
        figures: Some(Figures {
            title: "Bytes per object: its blocks (and what they have over what is asked for)",
            reference: Some(Reference { name: "asked", measure: sizes::asked }),
        }),
    },
    Workload {
        name: "deepcopy",
        group: Group::Essay,
        about: "a list of 1,000,000 boxed integers, deep-copied; the first dropped, then the second",
        prepare: nothing,
        run: deepcopy::run,
        figures: None,
    },
    Workload {
        name: "pickle",
        group: Group::Essay,
        about: "1,000,000 records (float, 20-letter string, integer) written to a file in one piece",
        prepare: nothing,
        run: pickle::write,
        figures: None,
    },
    Workload {
        name: "unpickle",
        group: Group::Essay,
        about: "the same file read back in one piece",
        prepare: pickle::prepare,
        run: pickle::read,
        figures: None,
    },
    Workload {
        name: "flat-write",
        group: Group::Essay,
        about: "the same records written as text, a line each",
        prepare: nothing,
        run: flat::write,
        figures: None,
    },
    Workload {
        name: "flat-read",
        group: Group::Essay,
        about: "the same text read back, line by line",
        prepare: flat::prepare,
        run: flat::read,
        figures: None,
    },
    Workload {
        name: "broadcast",
        group: Group::Essay,
        about: "a dictionary of 300,000 entries, through a file to a second owner, whole and in blocks",
        prepare: nothing,
        run: broadcast::run,
        figures: None,
    },
    Workload {
        name: "fork",
        group: Group::Essay,
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
        group: Group::Essay,
        about: "an inverted index of every text file under a folder, dropped but for one word in a thousand",
        prepare: index::prepare,
        run: index::run,
        figures: None,
    },
    Workload {
        name: "survivors-0.1",
        group: Group::GivingBack,
        about: "5,000,000 mixed small objects, freed but for 0.1% at random places",
        prepare: nothing,
        run: survivors::one_in_1000,
        figures: None,
    },
    Workload {
        name: "survivors-1",
        group: Group::GivingBack,
        about: "5,000,000 mixed small objects, freed but for 1%",
        prepare: nothing,
        run: survivors::one_in_100,
        figures: None,
    },
    Workload {
        name: "survivors-5",
        group: Group::GivingBack,
        about: "5,000,000 mixed small objects, freed but for 5%",
        prepare: nothing,
        run: survivors::one_in_20,
        figures: None,
    },
    Workload {
        name: "spike",
        group: Group::GivingBack,
        about: "5,000,000 mixed small objects, all freed",
        prepare: nothing,
        run: spike::run,
        figures: None,
    },
    Workload {
        name: "shifting",
        group: Group::GivingBack,
        about: "20 cycles of 121 MiB in ten mixes of sizes, of which 0.5% are kept each time",
        prepare: nothing,
        run: shifting::run,
        figures: None,
    },
    Workload {
        name: "turns",
        group: Group::GivingBack,
        about: "phases of 32 MiB, each of one size and all freed, that take turns: two, three, six and one of them",
        prepare: nothing,
        run: turns::run,
        figures: Some(Figures {
            title: "What the kernel had to give again in 16 rounds: 100 where every phase found nothing",
            reference: None,
        }),
    },
    Workload {
        name: "churn",
        group: Group::GivingBack,
        about: "1,000 short threads of 5,000 objects, of which each leaves one in a thousand",
        prepare: nothing,
        run: churn::run,
        figures: None,
    },
    Workload {
        name: "producer-consumer",
        group: Group::GivingBack,
        about: "2,000,000 objects, made by the main thread and all freed by a worker; then both sleep",
        prepare: nothing,
        run: handover::worker_frees,
        figures: None,
    },
    Workload {
        name: "consumer-producer",
        group: Group::GivingBack,
        about: "2,000,000 objects, made by a worker and all freed by the main thread; then both sleep",
        prepare: nothing,
        run: handover::worker_makes,
        figures: None,
    },
    Workload {
        name: "worker-exits",
        group: Group::GivingBack,
        about: "2,000,000 objects, made by a worker that ends before the main thread frees them",
        prepare: nothing,
        run: handover::worker_exits,
        figures: None,
    },
    Workload {
        name: "ping-pong",
        group: Group::GivingBack,
        about: "one pool's worth allocated and freed, 10,000 turns at each of 70 places 16 KiB apart",
        prepare: nothing,
        run: ping_pong::run,
        figures: Some(Figures {
            title: "What the turns cost, 700,000 in all, 10,000 at a place",
            reference: None,
        }),
    },
    Workload {
        name: "sawtooth",
        group: Group::GivingBack,
        about: "a working set of 400,000 objects, of which 20% is freed and made again at three speeds",
        prepare: nothing,
        run: sawtooth::run,
        figures: Some(Figures {
            title: "What the kernel had to give again: 100 where all of a cycle's memory went home",
            reference: None,
        }),
    },
    Workload {
        name: "exchange",
        group: Group::GivingBack,
        about: "4 threads that make 10,000,000 mixed objects and free each other's",
        prepare: nothing,
        run: exchange::run,
        figures: Some(Figures { title: "What the exchange cost", reference: None }),
    },
    Workload {
        name: "sleeper",
        group: Group::GivingBack,
        about: "a process that holds 2 GiB, frees 99.9% and sleeps",
        prepare: nothing,
        run: sleeper::run,
        figures: Some(Figures { title: "Asleep, and awake again", reference: None }),
    },
    Workload {
        name: "soft-limit",
        group: Group::GivingBack,
        about: "nine bursts of 192 MiB in different sizes, each dropped, under a soft limit of 256 MiB and without",
        prepare: nothing,
        run: soft_limit::run,
        figures: Some(Figures {
            title: "Under the limit, where the allocator has one, and then without",
            reference: None,
        }),
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

    #[test]
    fn no_group_has_the_name_of_a_workload_and_none_is_empty() {
        for group in Group::ALL {
            assert!(find(group.name()).is_none());
            assert!(group.workloads().next().is_some());
        }
    }
}
