//! A large dictionary goes from its first owner through a file to a second, who keeps it whole and in blocks.
//!
//! This is how a driver hands a broadcast value to its workers: one process holds the value, its pickle, the
//! value read back and the pickle cut into blocks. At the end the second owner's two are what survives.

use std::collections::HashMap;
use std::fs;
use std::mem;

use super::record::{letters, scrambled};
use crate::Result;
use crate::lines;
use crate::stage::Stage;

/// Bytes in one block of the value as the second owner keeps it.
const BLOCK: usize = 4 << 20; // 4 MiB

type Dictionary = HashMap<String, Vec<u64>>;

pub fn run(stage: &mut Stage) -> Result<()> {
    let count = stage.count(300_000);
    let path = stage.scratch("broadcast.pickle");
    lines! { stage;
        let dictionary: Dictionary = (0..count).map(entry).collect();
        let pickled = postcard::to_stdvec(&dictionary)?;
        fs::write(&path, &pickled)?;
        drop(pickled);
        let pickled = fs::read(&path)?;
        let whole: Dictionary = postcard::from_bytes(&pickled)?;
        let blocks: Vec<Vec<u8>> = pickled.chunks(BLOCK).map(<[u8]>::to_vec).collect();
        drop(pickled);
        drop(dictionary);
    }
    stage.idle(
        asked_bytes(&whole) + blocks.iter().map(|block| block.capacity() as u64).sum::<u64>(),
    );
    Ok(())
}

/// A word and the eight numbers it stands for.
fn entry(index: u64) -> (String, Vec<u64>) {
    (letters(index), (index..index + 8).map(scrambled).collect())
}

/// What the dictionary asked for: its keys, its values, and the table's own entries.
fn asked_bytes(dictionary: &Dictionary) -> u64 {
    let entries = dictionary.capacity() * (mem::size_of::<(String, Vec<u64>)>() + 1);
    let contents: usize = dictionary
        .iter()
        .map(|(word, numbers)| word.capacity() + mem::size_of_val(numbers.as_slice()))
        .sum();
    (entries + contents) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asked_bytes_count_keys_values_and_the_table() {
        let dictionary: Dictionary = (0..10).map(entry).collect();
        let table = dictionary.capacity() * 49;
        assert_eq!(asked_bytes(&dictionary), (table + 10 * (20 + 64)) as u64);
    }
}
