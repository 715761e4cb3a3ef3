//! What the basic objects cost: blocks, beside what the object asked for.
//!
//! Many objects of one kind are made into a list that is there before; the allocator's bytes in blocks after,
//! less before, over their number, is what one costs. Where the bytes come from is the allocator's matter
//! ([`Accounts::block_bytes`]): highwater's own figure of live blocks; glibc's `mallinfo2`, which counts the
//! chunks with their headers; and in the parent, which runs the same statements, a plain count of the bytes
//! asked for.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::record::letters;
use crate::Result;
use crate::contenders::Accounts;
use crate::lines;
use crate::report::{Figure, Task};
use crate::stage::Stage;

/// Objects of a kind that the parent makes: enough to be exact, since nothing is rounded there.
const ASKED_OBJECTS: u64 = 1_000;
const OBJECTS: u64 = 100_000;

pub fn run(stage: &mut Stage) -> Result<()> {
    measure(stage);
    stage.idle(0);
    Ok(())
}

/// The same objects in the calling process, whose allocator counts what is asked for.
pub fn asked(task: &Task, accounts: &'static dyn Accounts) -> Result<Vec<Figure>> {
    let task = Task { scale: OBJECTS / ASKED_OBJECTS, ..task.clone() };
    let mut stage = Stage::new(task, accounts)?;
    measure(&mut stage);
    Ok(stage.into_figures())
}

fn measure(stage: &mut Stage) {
    lines! { stage;
        let integers = make(stage, "integer, boxed", Box::new);
        let pairs = make(stage, "pair of numbers, boxed", |n| Box::new((n, n as f64)));
        let triples = make(stage, "tuple of three, boxed", |n| Box::new((n, n as f64, true)));
        let letter = make(stage, "string of 1 letter", |_| "a".to_owned());
        let strings = make(stage, "string of 20 letters", letters);
        let shared = make(stage, "shared string of 20 letters", |n| Arc::<str>::from(letters(n)));
        let vectors = make(stage, "vector of 10 integers", |n| (n..n + 10).collect::<Vec<u64>>());
        let boxes = make(stage, "vector of 10 boxed integers", |n| (n..n + 10).map(Box::new).collect::<Vec<_>>());
        let texts = make(stage, "vector of 1,000 bytes", |n| vec![n as u8; 1_000]);
        let hashes = make(stage, "hash map of 10 integers", |n| (n..n + 10).map(|k| (k, k)).collect::<HashMap<_, _>>());
        let trees = make(stage, "B-tree map of 10 integers", |n| (n..n + 10).map(|k| (k, k)).collect::<BTreeMap<_, _>>());
        drop((integers, pairs, triples, letter, strings, shared, vectors, boxes, texts, hashes, trees));
    }
}

/// A list of objects of one kind, and the figure of what one costs. The list itself is not counted.
fn make<T>(stage: &mut Stage, name: &'static str, object: impl Fn(u64) -> T) -> Vec<T> {
    let count = stage.count(OBJECTS);
    let mut objects = Vec::with_capacity(count as usize);
    let before = stage.block_bytes();
    objects.extend((0..count).map(object));
    let after = stage.block_bytes();
    let bytes =
        after.zip(before).map(|(after, before)| after.saturating_sub(before) as f64 / count as f64);
    stage.figure(name, bytes);
    objects
}
