//! What can be done with the allocator, and how likely it is.

use std::alloc::Layout;

use highwater::Retention;
use proptest::prelude::*;

use crate::model::Model;

#[derive(Clone, Debug)]
pub enum Action {
    Alloc {
        size: usize,
        align: usize,
    },
    AllocZeroed {
        size: usize,
        align: usize,
    },
    /// Many of one layout: pools fill and arenas begin.
    AllocMany {
        size: usize,
        count: usize,
    },
    Realloc {
        index: usize,
        size: usize,
    },
    Free {
        index: usize,
    },
    /// Every second block, or every third ...: scattered survivors.
    FreeEvery {
        step: usize,
    },
    Trim,
    ResetPeaks,
    SetRetention(Retention),
}

impl Action {
    pub fn run(self, model: &mut Model) {
        let layout = |size, align| Layout::from_size_align(size, align).unwrap();
        match self {
            Action::Alloc { size, align } => model.alloc(layout(size, align)),
            Action::AllocZeroed { size, align } => model.alloc_zeroed(layout(size, align)),
            Action::AllocMany { size, count } => {
                (0..count).for_each(|_| model.alloc(layout(size, 8)));
            }
            Action::Realloc { index, size } => model.realloc(index, size),
            Action::Free { index } => model.free(index),
            Action::FreeEvery { step } => {
                for index in (0..model.blocks.len()).rev().step_by(step) {
                    model.free(index);
                }
            }
            Action::Trim => model.trim(),
            Action::ResetPeaks => model.reset_peaks(),
            Action::SetRetention(rung) => {
                highwater::set_retention(rung);
                assert_eq!(highwater::retention(), rung);
            }
        }
    }
}

/// Sizes at which something changes.
pub const EDGES: [usize; 18] = [
    0,
    1,
    8,
    9,
    128,
    129,
    1024,
    1025,
    8192,
    8193,
    32768,
    32769,
    65536,
    65537,
    524_288,
    524_289,
    1 << 20,
    (1 << 20) + 1,
];

fn sizes() -> impl Strategy<Value = usize> {
    prop_oneof![
        6 => prop::sample::select(&EDGES[..]),
        6 => 0..2048usize,
        3 => 0..40_000usize,
        2 => 32_000..600_000usize,
        1 => 500_000..6_000_000usize,
    ]
}

fn aligns() -> impl Strategy<Value = usize> {
    prop_oneof![
        30 => (0..=4u32).prop_map(|shift| 1 << shift),
        10 => (5..=16u32).prop_map(|shift| 1 << shift),
        1 => (17..=21u32).prop_map(|shift| 1 << shift),
        1 => Just(1 << 30),
    ]
}

pub fn actions() -> impl Strategy<Value = Action> {
    prop_oneof![
        8 => (sizes(), aligns()).prop_map(|(size, align)| Action::Alloc { size, align }),
        4 => (sizes(), aligns()).prop_map(|(size, align)| Action::AllocZeroed { size, align }),
        2 => (1..2500usize, 1..400usize)
            .prop_map(|(size, count)| Action::AllocMany { size, count }),
        6 => (any::<usize>(), sizes()).prop_map(|(index, size)| Action::Realloc { index, size }),
        8 => any::<usize>().prop_map(|index| Action::Free { index }),
        2 => (1..6usize).prop_map(|step| Action::FreeEvery { step }),
        1 => Just(Action::Trim),
        1 => Just(Action::ResetPeaks),
    ]
}

pub fn actions_on_changing_rungs() -> impl Strategy<Value = Action> {
    prop_oneof![
        8 => actions(),
        1 => prop::sample::select(&Retention::ALL[..]).prop_map(Action::SetRetention),
    ]
}
