//! `profile!`, `measure()` and `map()` in a program whose allocator is another.
#![cfg(unix)]

#[path = "support/child.rs"]
mod child;

use child::alone_with;
use highwater::{measure, profile};

#[test]
fn the_table_tells_resident_memory_and_says_that_the_rest_is_not_known() {
    let ended = alone_with(&[], || {
        let length = profile! {
            let bytes = std::hint::black_box(vec![1u8; 32 << 20]);
            bytes.len()
        };
        assert_eq!(length, 32 << 20);
    });
    let Some(ended) = ended else { return };
    let row = ended.stderr.lines().find(|line| line.contains("let bytes")).unwrap();
    let words: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(words[3..6], ["-", "-", "-"], "{row}");
    if cfg!(target_os = "linux") {
        let grown: f64 = words[2].parse().unwrap();
        assert!((31.5..33.0).contains(&grown), "{row}");
    }
    assert!(ended.stderr.contains("not this program's allocator"), "{}", ended.stderr);
}

#[test]
fn nothing_is_counted_and_there_is_no_arena() {
    let measured = measure(|| vec![Box::new(1)]);
    assert_eq!(measured.value.len(), 1);
    assert!(measured.blocks.is_nothing() && measured.classes().next().is_none());
    let map = highwater::map();
    assert!(map.is_complete() && map.arenas().next().is_none());
}
