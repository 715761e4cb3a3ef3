//! Data structures of the standard library.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasherDefault;
use std::hint::black_box;

use super::texts;
use crate::meter::Meter;
use crate::random::Random;

struct Link {
    value: u64,
    next: Option<Box<Link>>,
}

/// A list is made front to back and taken apart in the same way.
pub fn list(meter: &mut Meter) {
    let boxes = meter.count(1_000_000);
    meter.time(boxes, || {
        let mut list = None;
        for value in 0..boxes as u64 {
            list = Some(Box::new(Link { value, next: list }));
        }
        let mut rest = black_box(list);
        let mut sum = 0_u64;
        while let Some(mut link) = rest {
            sum += link.value;
            rest = link.next.take();
        }
        black_box(sum);
    });
}

struct Tree(Option<(Box<Tree>, Box<Tree>)>);

impl Tree {
    fn of_depth(depth: u32) -> Tree {
        Tree(
            (depth > 0).then(|| {
                (Box::new(Tree::of_depth(depth - 1)), Box::new(Tree::of_depth(depth - 1)))
            }),
        )
    }

    fn nodes(&self) -> usize {
        self.0.as_ref().map_or(1, |(left, right)| 1 + left.nodes() + right.nodes())
    }
}

/// The benchmark game's: one deep tree stays, while shallower ones come and go.
pub fn binary_trees(meter: &mut Meter) {
    const SHALLOWEST: u32 = 4;
    // Every halving of the scale is one level less.
    let deepest = (14 - meter.count(1 << 10).ilog2().abs_diff(10)).max(SHALLOWEST + 2);
    let nodes = |depth: u32| (2_usize << depth) - 1;
    let trees_of = |depth: u32| 1_usize << (deepest - depth + SHALLOWEST);
    let depths = || (SHALLOWEST..=deepest).step_by(2);
    let operations = depths().map(|depth| trees_of(depth) * nodes(depth)).sum::<usize>();
    meter.time(operations + nodes(deepest), || {
        let lasting = Tree::of_depth(deepest);
        let mut seen = 0;
        for depth in depths() {
            for _ in 0..trees_of(depth) {
                seen += black_box(Tree::of_depth(depth)).nodes();
            }
        }
        assert_eq!(seen + lasting.nodes(), operations + nodes(deepest));
    });
}

/// Inserts, then removes every other, then inserts as many again.
pub fn btreemap(meter: &mut Meter) {
    let inserts = meter.count(200_000);
    let mut random = Random::seeded(0);
    let keys: Vec<u64> = (0..inserts * 3 / 2).map(|_| random.number()).collect();
    let (first, second) = keys.split_at(inserts);
    meter.time(keys.len(), || {
        let mut map: BTreeMap<u64, [u64; 2]> = BTreeMap::new();
        map.extend(first.iter().map(|&key| (key, [key; 2])));
        for key in first.iter().step_by(2) {
            map.remove(key);
        }
        map.extend(second.iter().map(|&key| (key, [key; 2])));
        black_box(&map);
    });
}

/// Keys and values are strings; half of them go and others come.
pub fn hashmap_strings(meter: &mut Meter) {
    let inserts = meter.count(100_000);
    let keys: Vec<String> = (0..inserts * 3 / 2).map(texts::key).collect();
    let (first, second) = keys.split_at(inserts);
    let entry = |key: &String| (key.clone(), key[key.len() / 2..].to_owned());
    meter.time(keys.len(), || {
        let mut map: HashMap<String, String, BuildHasherDefault<DefaultHasher>> =
            HashMap::default();
        map.extend(first.iter().map(entry));
        for key in first.iter().step_by(2) {
            map.remove(key);
        }
        map.extend(second.iter().map(entry));
        black_box(&map);
    });
}

/// Words of a document after the other, each with the places where it stands.
pub fn btree_index(meter: &mut Meter) {
    const WORDS_IN_DOCUMENT: usize = 500;
    let count = meter.count(200_000);
    let mut random = Random::seeded(0);
    let words: Vec<String> = (0..count).map(|_| texts::word(&mut random)).collect();
    meter.time(count, || {
        let mut index: BTreeMap<String, BTreeMap<u32, Vec<u32>>> = BTreeMap::new();
        for (document, words) in words.chunks(WORDS_IN_DOCUMENT).enumerate() {
            for (place, word) in words.iter().enumerate() {
                let documents = index.entry(word.clone()).or_default();
                documents.entry(document as u32).or_default().push(place as u32);
            }
        }
        // Rare words are forgotten again.
        index.retain(|_, documents| documents.len() > 1);
        black_box(&index);
    });
}
