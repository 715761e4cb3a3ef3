//! The rows: one table.

/// One kind of work.
#[derive(Debug, PartialEq, Eq)]
pub struct Row {
    pub name: &'static str,
    pub about: &'static str,
    pub group: Group,
    /// What is counted as one operation.
    pub operation: &'static str,
    /// Repetitions that a child times.
    pub repetitions: u32,
}

/// Rows that share a mean or a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Little but allocating and freeing.
    Small,
    /// Data structures, threads, and programs made of real crates.
    Programs,
    /// One kind of work, at ever more live blocks.
    LiveBlocks,
    /// The same with buffers, which are larger than what allocators cut into sizes.
    LiveBuffers,
    /// One amount of work, on ever more threads.
    Threads,
    /// Resident memory, no time.
    Memory,
}

/// Repetitions of rows that take some 10 ms each.
const MANY: u32 = 11;
/// Repetitions of rows that take some 100 ms each.
const FEW: u32 = 5;

/// Every row, in the order of the tables.
pub const ALL: &[Row] = &[
    small("pair-16", "a block of 16 B allocated and freed", "pair"),
    small("pair-64", "a block of 64 B allocated and freed", "pair"),
    small("pair-256", "a block of 256 B allocated and freed", "pair"),
    small("pair-1024", "a block of 1,024 B allocated and freed", "pair"),
    small("batch-64-order", "10,000 blocks of 64 B, then freed in order", "block"),
    small("batch-64-reverse", "10,000 blocks of 64 B, then freed in reverse order", "block"),
    small("batch-64-random", "10,000 blocks of 64 B, then freed in random order", "block"),
    small("batch-mixed-order", "10,000 blocks of 16 to 1,024 B, then freed in order", "block"),
    small("batch-mixed-reverse", "10,000 blocks of 16 to 1,024 B, freed in reverse order", "block"),
    small("batch-mixed-random", "10,000 blocks of 16 to 1,024 B, freed in random order", "block"),
    small("vec-small", "a Vec<u64> pushed to 1 to 64 elements", "Vec"),
    small("vec-1m", "a Vec<u64> pushed to 1 MiB", "Vec"),
    small("string-format", "format! of a path of some 40 characters", "String"),
    small("zeroed-4k", "a zeroed block of 4 KiB, each OS page touched", "block"),
    small("zeroed-256k", "a zeroed block of 256 KiB, each OS page touched", "block"),
    small("zeroed-1m", "a zeroed block of 1 MiB, each OS page touched", "block"),
    program("list", "a linked list of a million boxes, made and dropped", "box", FEW),
    program("binary-trees", "trees of depth 4 to 14, made, walked and dropped", "node", FEW),
    program("btreemap", "BTreeMap<u64, [u64; 2]>: inserts, removals, inserts", "insert", FEW),
    program("hashmap-strings", "HashMap<String, String>: inserts and removals", "insert", FEW),
    program("send-boxes", "boxes of 64 B sent to another thread one by one", "box", FEW),
    program("send-batches", "boxes of 64 B sent in batches of 100", "box", FEW),
    program("send-vecs", "Vec<Vec<u64>> sent to another thread", "inner Vec", FEW),
    program("larson-2", "2 threads free each other's blocks of 16 to 512 B", "block", FEW),
    program("larson-4", "4 threads free each other's blocks of 16 to 512 B", "block", FEW),
    program("json", "serde_json parses 20 MB into values", "parse", 3),
    program("regex", "regex compiles a dozen patterns", "pattern", FEW),
    program("syn", "syn parses a generated Rust file of 300 KB", "parse", FEW),
    program("markdown", "pulldown-cmark renders 4 MB of Markdown to HTML", "render", FEW),
    program("tokio", "tokio spawns tasks that yield once, and joins them", "task", FEW),
    program("hashbrown", "hashbrown: maps of small vectors that come and go", "insert", FEW),
    program("btree-index", "words to documents to places, in nested BTreeMaps", "word", FEW),
    program("arrow-columns", "arrow: columns built, filtered, joined", "row", FEW),
    live("live-10k", "a random one of 10,000 live blocks replaced"),
    live("live-100k", "a random one of 100,000 live blocks replaced"),
    live("live-1m", "a random one of 1,000,000 live blocks replaced"),
    live("live-10m", "a random one of 10,000,000 live blocks replaced"),
    buffers("buffers-100", "a random one of 100 live buffers replaced"),
    buffers("buffers-1k", "a random one of 1,000 live buffers replaced"),
    buffers("buffers-10k", "a random one of 10,000 live buffers replaced"),
    threads("threads-1", "one thread replaces blocks of its own"),
    threads("threads-2", "2 threads replace blocks of their own"),
    threads("threads-8", "8 threads replace blocks of their own"),
    threads("threads-64", "64 threads replace blocks of their own"),
    threads("threads-512", "512 threads replace blocks of their own"),
    memory("start", "resident when main starts"),
    memory("idle-thread", "resident for each of 512 threads that has allocated one block"),
];

const fn small(name: &'static str, about: &'static str, operation: &'static str) -> Row {
    Row { name, about, group: Group::Small, operation, repetitions: MANY }
}

const fn program(
    name: &'static str,
    about: &'static str,
    operation: &'static str,
    repetitions: u32,
) -> Row {
    Row { name, about, group: Group::Programs, operation, repetitions }
}

const fn live(name: &'static str, about: &'static str) -> Row {
    Row { name, about, group: Group::LiveBlocks, operation: "block", repetitions: FEW }
}

const fn buffers(name: &'static str, about: &'static str) -> Row {
    Row { name, about, group: Group::LiveBuffers, operation: "buffer", repetitions: FEW }
}

const fn threads(name: &'static str, about: &'static str) -> Row {
    Row { name, about, group: Group::Threads, operation: "block", repetitions: FEW }
}

const fn memory(name: &'static str, about: &'static str) -> Row {
    Row { name, about, group: Group::Memory, operation: "", repetitions: 1 }
}

impl Group {
    /// The group's rows, in the order of the tables.
    pub fn rows(self) -> impl Iterator<Item = &'static Row> {
        ALL.iter().filter(move |row| row.group == self)
    }
}

/// The row of this name.
pub fn find(name: &str) -> Option<&'static Row> {
    ALL.iter().find(|row| row.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_found_by_its_name() {
        for row in ALL {
            assert_eq!(find(row.name), Some(row));
        }
        assert_eq!(find("pair"), None);
    }
}
