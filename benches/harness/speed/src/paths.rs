//! The paths through the allocator whose instructions are counted: one table.

/// One path.
#[derive(Debug, PartialEq, Eq)]
pub struct Path {
    pub name: &'static str,
    pub about: &'static str,
    /// How often the path is taken, beside a run in which it is not taken at all. What is prepared is the same in
    /// both, and so cancels.
    pub times: u32,
}

/// Blocks of 64 B that surely fit into one pool.
const IN_POOL: u32 = 128;
/// Blocks enough for all that happens once in a pool to be divided among many.
const MANY: u32 = 8_192;
const TURNS: u32 = 20_000;

/// Every path, in the order of the table. Blocks are of 64 B where nothing else is said.
pub const ALL: &[Path] = &[
    path("pair", TURNS, "a block allocated and freed, its layout known to the compiler"),
    path("pair-dynamic", TURNS, "the same, its size known at run time only"),
    path("pop", IN_POOL, "a block from the current list"),
    path("push", IN_POOL, "a block freed into the current pool"),
    path("push-elsewhere", IN_POOL, "a block freed into another pool of the own heap"),
    path(
        "refill",
        MANY,
        "a block from memory that nobody has used, with its share of carving and refilling",
    ),
    path("remote-free", MANY, "a block of another thread freed, with its share of sending"),
    path(
        "remote-return",
        MANY,
        "a block that another thread has freed, with its share of receiving",
    ),
    path("span", TURNS, "a block of 64 KiB allocated and freed"),
    path("large", TURNS, "a block of 1 MiB allocated and freed"),
    path(
        "realloc",
        TURNS,
        "a block of 1,000 B made 1,020 B, or back, in place; sizes known at run time only",
    ),
];

/// Steady work: blocks of 16 to 1,024 B replaced for ever, nothing shrinks. Not a path: two settings are compared.
pub const STEADY: Path =
    path("steady", 300_000, "a random one of 10,000 blocks of 16 to 1,024 B replaced");

const fn path(name: &'static str, times: u32, about: &'static str) -> Path {
    Path { name, about, times }
}
