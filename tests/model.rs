//! The allocator against a map of live ranges: whatever the actions and their order, blocks do not
//! overlap, are aligned and keep their bytes, and every counter agrees with a sum made here.
//!
//! The allocator is called by its trait; the test itself lives on the system's, so that every block
//! that is counted is one of the model's.
// With the feature `malloc` the system's allocator, on which the test itself lives, is highwater too: what is
// counted would no longer be what the test asked for.
#![cfg(not(feature = "malloc"))]

#[path = "support/action.rs"]
mod action;
#[path = "support/model.rs"]
mod model;

use std::alloc::Layout;
use std::sync::{Mutex, PoisonError};
use std::thread;

use action::{Action, EDGES, actions, actions_on_changing_rungs};
use highwater::Retention;
use model::Model;
use proptest::prelude::*;

/// Sequences for each property. A debug build checks every structure on its slow paths too.
const CASES: u32 = if cfg!(debug_assertions) { 60 } else { 600 };

/// Runs `work` on a thread of its own while no other test does. The heap of a thread that ended
/// holds nothing back, so that what is counted is exact.
fn serially(work: impl FnOnce() + Send) {
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let ended = thread::scope(|scope| scope.spawn(work).join());
    if let Err(panic) = ended {
        std::panic::resume_unwind(panic);
    }
}

fn agrees(rung: Retention, actions: &[Action]) {
    highwater::set_retention(rung);
    let mut model = Model::new();
    model.check();
    for action in actions {
        action.clone().run(&mut model);
        model.check();
    }
    model.check_map();
    while !model.blocks.is_empty() {
        model.free(0);
    }
    model.check();
    model.check_map();
}

/// As [`agrees`] on a thread that is measured, whose calls take another way.
fn agrees_measured(rung: Retention, actions: &[Action]) {
    highwater::set_retention(rung);
    let mut model = Model::new();
    let measured = highwater::measure(|| {
        for action in actions {
            let before = model.live_bytes;
            let measured = highwater::measure(|| action.clone().run(&mut model));
            assert_eq!(measured.bytes.kept(), model.live_bytes as isize - before as isize);
            model.check();
        }
    });
    assert_eq!(measured.bytes.kept(), model.live_bytes as isize);
    assert!(measured.bytes.peak >= model.live_bytes);
    model.check();
    model.check_map();
}

fn holds<S: Strategy<Value = Action>>(rung: Retention, action: fn() -> S) {
    all_hold(rung, action, agrees);
}

fn all_hold<S: Strategy<Value = Action>>(
    rung: Retention,
    action: fn() -> S,
    agrees: fn(Retention, &[Action]),
) {
    serially(|| {
        let config = ProptestConfig {
            cases: CASES,
            failure_persistence: None,
            max_shrink_iters: 2000,
            ..ProptestConfig::default()
        };
        let mut runner = proptest::test_runner::TestRunner::new(config);
        let run = runner.run(&prop::collection::vec(action(), 1..80), |actions| {
            agrees(rung, &actions);
            Ok(())
        });
        if let Err(failure) = run {
            panic!("{failure}");
        }
    });
}

#[test]
fn whatever_happens_the_model_agrees_under_never_shrink() {
    holds(Retention::NeverShrink, actions);
}

#[test]
fn whatever_happens_the_model_agrees_under_keep_arenas() {
    holds(Retention::KeepArenas, actions);
}

#[test]
fn whatever_happens_the_model_agrees_under_return_arenas() {
    holds(Retention::ReturnArenas, actions);
}

#[test]
fn whatever_happens_the_model_agrees_under_return_pools() {
    holds(Retention::ReturnPools, actions);
}

#[test]
fn whatever_happens_the_model_agrees_under_return_pages() {
    holds(Retention::ReturnPages, actions);
}

#[test]
fn whatever_happens_the_model_agrees_while_rungs_change() {
    holds(Retention::DEFAULT, actions_on_changing_rungs);
}

#[test]
fn whatever_happens_the_model_agrees_while_it_is_measured() {
    all_hold(Retention::DEFAULT, actions_on_changing_rungs, agrees_measured);
}

/// Every size with some alignments, each block kept until some later ones have been written.
fn sweep(sizes: impl Iterator<Item = usize>, aligns: &[usize]) {
    const WINDOW: usize = 50;
    let mut model = Model::new();
    for size in sizes {
        for &align in aligns {
            let layout = Layout::from_size_align(size, align).unwrap();
            model.alloc(layout);
            if model.blocks.len() > WINDOW {
                model.free(size * align);
            }
        }
        if size % 1000 == 0 {
            model.check();
        }
    }
    while !model.blocks.is_empty() {
        model.free(0);
    }
    model.check();
}

#[test]
fn every_size_and_alignment_gets_a_block_of_its_own() {
    for rung in Retention::ALL {
        serially(|| {
            highwater::set_retention(rung);
            sweep(0..=40_000, &[1, 8, 16, 64, 4096]);
        });
    }
}

#[test]
fn every_alignment_gets_a_block_of_its_own() {
    serially(|| {
        highwater::set_retention(Retention::ReturnArenas);
        let aligns: Vec<usize> = (0..=30).map(|shift| 1 << shift).collect();
        sweep(EDGES.into_iter(), &aligns);
    });
}

#[test]
fn a_block_grown_and_shrunk_step_by_step_keeps_its_bytes() {
    for rung in Retention::ALL {
        serially(|| {
            highwater::set_retention(rung);
            for align in [1, 16, 4096, 65536, 1 << 20] {
                let mut model = Model::new();
                model.alloc(Layout::from_size_align(1, align).unwrap());
                let mut size = 1;
                while size < 9 << 20 {
                    size += size / 3 + 1;
                    model.realloc(0, size);
                    model.check();
                }
                while size > 0 {
                    size -= size / 3 + 1;
                    model.realloc(0, size);
                    model.check();
                }
                model.free(0);
                model.check();
            }
        });
    }
}
