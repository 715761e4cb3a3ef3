//! The word of the rungs: two threads that change it at once both have their way.

extern crate std;

use std::sync::Arc;

use loom::thread;

use super::Preemptions::Any;
use super::{finds, holds};
use crate::heap::config::{Rungs, RungsWord};
use crate::policy::pressure;
use crate::policy::retention::Retention;

fn two_changes() {
    let word = Arc::new(RungsWord::new());
    word.now();
    let chooser = {
        let word = Arc::clone(&word);
        thread::spawn(move || {
            word.change(|rungs| Rungs::of(Retention::KeepArenas as u8, rungs.steps()));
        })
    };
    word.change(|rungs| Rungs::of(rungs.chosen(), 2));
    chooser.join().unwrap();
    let rungs = word.now();
    assert_eq!(rungs.chosen(), Retention::KeepArenas as u8, "the rung chosen is kept");
    assert_eq!(rungs.steps(), 2, "the steps are kept");
    assert_eq!(rungs.in_force(), pressure::rung(Retention::KeepArenas, 2));
}

#[test]
fn two_changes_of_the_rungs_at_once_are_both_kept() {
    holds(Any, two_changes);
}

#[test]
fn a_change_that_overwrites_another_is_found() {
    finds("rungs_stored", "is kept", two_changes);
}
