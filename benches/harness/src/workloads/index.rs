//! Real input: an inverted index over text files, of which one word in a thousand is kept.
//!
//! Files come and go, words are made and mostly thrown away, lists of postings grow at different speeds: the
//! survivors end up scattered over the whole heap.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::mem;

use crate::Result;
use crate::corpus::{self, Corpus};
use crate::lines;
use crate::report::Task;
use crate::stage::Stage;
use crate::text::grouped;

/// One word in this many is kept.
const KEPT_ONE_IN: u64 = 1_000;

/// Where a word stands: the file's number, and the word's number in the file.
struct Posting {
    _file: u32,
    _position: u32,
}

/// Unseeded, so that every process keeps the same words.
type Hasher = BuildHasherDefault<DefaultHasher>;

type Index = HashMap<String, Vec<Posting>, Hasher>;

/// Reads everything once, so that the first contender finds the files in the system's cache as the others do.
pub fn prepare(task: &Task) -> Result<()> {
    if task.inputs.is_empty() {
        return Err(
            "the sources of the harness's dependencies are not there: say --input DIR".into()
        );
    }
    let mut corpus = Corpus::list(&task.inputs, task.scale)?;
    while corpus.next_text().is_some() {}
    Ok(())
}

pub fn run(stage: &mut Stage) -> Result<()> {
    let folders = stage.task().inputs.clone();
    let scale = stage.task().scale;
    lines! { stage;
        let mut corpus = Corpus::list(&folders, scale)?;
        let mut index = Index::default();
        while let Some((file, text)) = corpus.next_text() {
            add(&mut index, file, &text);
        };
        let read = corpus.finish();
        index.retain(|word, _| kept(word));
        index.shrink_to_fit();
    }
    stage.idle(asked_bytes(&index));
    stage.note(read_note(&read, index.len()));
    Ok(())
}

/// Enters every word of a text.
fn add(index: &mut Index, file: u32, text: &str) {
    let words =
        text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty());
    for (position, word) in (0..).zip(words) {
        index
            .entry(word.to_lowercase())
            .or_default()
            .push(Posting { _file: file, _position: position });
    }
}

/// Whether a word is one of the survivors: chosen by its hash, the same in every process.
fn kept(word: &str) -> bool {
    Hasher::default().hash_one(word).is_multiple_of(KEPT_ONE_IN)
}

/// What the index asked for: its words, its postings, and the table's own entries.
fn asked_bytes(index: &Index) -> u64 {
    let entries = index.capacity() * (mem::size_of::<(String, Vec<Posting>)>() + 1);
    let contents: usize = index
        .iter()
        .map(|(word, postings)| word.capacity() + postings.capacity() * mem::size_of::<Posting>())
        .sum();
    (entries + contents) as u64
}

fn read_note(read: &corpus::Read, kept: usize) -> String {
    format!(
        "read {} text files, {} bytes; left out {} files that are not text and {} that could not be read; \
         {} words kept",
        grouped(read.files),
        grouped(read.bytes),
        grouped(read.not_text),
        grouped(read.unreadable),
        grouped(kept as u64),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_found_where_it_stands_whatever_its_case() {
        let mut index = Index::default();
        add(&mut index, 0, "Pool, arena; pool_size");
        add(&mut index, 1, "arena POOL");
        let of = |word: &str| -> Vec<(u32, u32)> {
            index[word].iter().map(|posting| (posting._file, posting._position)).collect()
        };
        assert_eq!(of("pool"), [(0, 0), (1, 1)]);
        assert_eq!(of("arena"), [(0, 1), (1, 0)]);
        assert_eq!(of("pool_size"), [(0, 2)]);
    }

    #[test]
    fn about_one_word_in_a_thousand_is_kept() {
        let kept = (0..100_000).filter(|number| kept(&format!("word{number}"))).count();
        assert!((50..200).contains(&kept), "{kept} of 100,000");
    }
}
