//! Sequences of actions on several threads, against the model of `tests/support/model.rs`: blocks keep their bytes
//! and do not overlap, and once the threads are gone every counter agrees.
//!
//! A sequence is a number of sections. In an ordered one, each action is done by one thread on the blocks of
//! another while the rest wait; in a parallel one, every thread does its actions at once with the others.

use std::sync::{Mutex, PoisonError};
use std::thread;

use arbitrary::{Arbitrary, Unstructured};
use highwater::Retention;

use crate::action::Action;
use crate::model::Model;

const THREADS: usize = 3;

#[derive(Arbitrary, Debug)]
enum Section {
    /// By which thread, on whose blocks.
    Ordered(Vec<(u8, u8, Deed)>),
    /// Thread and blocks are this far apart.
    Parallel(u8, [Vec<Deed>; THREADS]),
    /// All threads end, and others begin.
    Renewed,
}

/// An action by small numbers, so that most bytes mean something.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Deed {
    Alloc(u16, u8),
    AllocLarge(u16, u8),
    AllocZeroed(u16, u8),
    AllocMany(u16, u8),
    Realloc(u16, u16),
    ReallocLarge(u16, u16),
    Free(u16),
    FreeEvery(u8),
    Trim,
    Rung(u8),
}

impl Deed {
    fn action(self) -> Option<Action> {
        let align = |shift: u8| 1 << (shift % 15);
        Some(match self {
            Deed::Alloc(size, shift) => Action::Alloc { size: size.into(), align: align(shift) },
            Deed::AllocLarge(size, shift) => {
                Action::Alloc { size: usize::from(size) * 24, align: align(shift) }
            }
            Deed::AllocZeroed(size, shift) => {
                Action::AllocZeroed { size: usize::from(size) * 4, align: align(shift) }
            }
            Deed::AllocMany(size, count) => {
                Action::AllocMany { size: usize::from(size) % 3000 + 1, count: count.into() }
            }
            Deed::Realloc(index, size) => {
                Action::Realloc { index: index.into(), size: size.into() }
            }
            Deed::ReallocLarge(index, size) => {
                Action::Realloc { index: index.into(), size: usize::from(size) * 24 }
            }
            Deed::Free(index) => Action::Free { index: index.into() },
            Deed::FreeEvery(step) => Action::FreeEvery { step: usize::from(step) % 6 + 1 },
            Deed::Trim | Deed::Rung(_) => return None,
        })
    }

    fn run(self, model: &mut Model) {
        match (self.action(), self) {
            (Some(action), _) => action.run(model),
            (None, Deed::Rung(rung)) => highwater::set_retention(rung_of(rung)),
            (None, _) => {
                highwater::trim();
            }
        }
    }
}

fn rung_of(number: u8) -> Retention {
    Retention::ALL[usize::from(number) % Retention::ALL.len()]
}

struct Blocks(Mutex<Model>);

// SAFETY: the model's pointers are to blocks, which go with whoever has them.
unsafe impl Sync for Blocks {}
// SAFETY: as above.
unsafe impl Send for Blocks {}

impl Blocks {
    fn run(&self, deed: Deed) {
        deed.run(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// The rung to begin with, then sections.
pub fn run(data: &[u8]) {
    let mut bytes = Unstructured::new(data);
    let Ok((rung, sections)) = <(u8, Vec<Section>)>::arbitrary(&mut bytes) else { return };
    // On a thread of its own, whose heap holds nothing back once it has ended.
    thread::scope(|scope| scope.spawn(|| play(rung_of(rung), &sections)).join()).unwrap();
}

fn play(rung: Retention, sections: &[Section]) {
    highwater::set_retention(rung);
    let blocks: Vec<Blocks> = (0..THREADS).map(|_| Blocks(Mutex::new(Model::new()))).collect();
    for threads in sections.split(|section| matches!(section, Section::Renewed)) {
        play_on_new_threads(threads, &blocks);
        explain_closes();
    }
    let mut all = Model::new();
    for model in blocks {
        let mut model = model.0.into_inner().unwrap();
        all.take_from(&mut model);
    }
    check(&all);
    while !all.blocks.is_empty() {
        all.free(0);
    }
    check(&all);
}

/// Every counter, once every heap has taken in what waits for it.
fn check(all: &Model) {
    highwater::set_retention(Retention::ReturnPages);
    highwater::trim();
    all.check();
}

/// One thread a part, from the first section to the last, in step with each other.
fn play_on_new_threads(sections: &[Section], blocks: &[Blocks]) {
    let turn = std::sync::Barrier::new(THREADS);
    let play = |me: usize| {
        for section in sections {
            turn.wait();
            match section {
                Section::Ordered(deeds) => {
                    for (by, whose, deed) in deeds {
                        if usize::from(*by) % THREADS == me {
                            blocks[usize::from(*whose) % THREADS].run(*deed);
                            highwater::check();
                        }
                        turn.wait();
                    }
                }
                Section::Parallel(apart, deeds) => {
                    let whose = (me + usize::from(*apart)) % THREADS;
                    deeds[me].iter().for_each(|deed| blocks[whose].run(*deed));
                    highwater::check();
                }
                Section::Renewed => {}
            }
        }
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|me| scope.spawn(move || play(me))).collect();
        // Joined, so that they are gone with what they held back.
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

/// What `explain()` prints adds up, read as a program would read it.
fn explain_closes() {
    let text = highwater::explain().to_string();
    let bytes = |line: &str| -> i128 {
        let words: Vec<&str> = line.split_whitespace().collect();
        let unit =
            words.iter().position(|word| *word == "B").expect("a line has a number of bytes");
        words[unit - 1].parse().expect("which is a number")
    };
    let lines: Vec<i128> = text.lines().map(bytes).collect();
    let (reasons, sums) = lines.split_at(lines.len() - 3);
    let sum: i128 = reasons.iter().sum();
    assert_eq!([sum, sum, 0], [sums[0], sums[1], sums[2]], "{text}");
}
