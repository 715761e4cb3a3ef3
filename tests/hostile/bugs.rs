//! Programs with one bug each, and how the process must end. What they do is in `deeds.rs`.

use std::alloc::{Layout, dealloc};

use super::deeds::*;

/// How a process with a bug ends.
pub enum End {
    /// It is aborted, having said this and nothing else. `{}` stands for the address that the program names.
    Line(&'static str),
    /// As above, of a wrong layout: bytes of the block, what was asked for, and what it was given back as.
    #[cfg_attr(not(feature = "hardened"), allow(dead_code, reason = "nobody looks at it"))]
    Layouts { block: usize, asked: Layout, given: Layout },
}
use End::{Layouts, Line};

/// One bug.
pub struct Bug {
    pub name: &'static str,
    pub end: End,
    pub program: Program,
}

/// What the process does.
pub enum Program {
    Own(fn()),
    /// Allocates a block of one layout and gives it back as one of another.
    GiveBackAs(Layout, Layout),
}

const fn bug(name: &'static str, end: End, program: fn()) -> Bug {
    Bug { name, end, program: Program::Own(program) }
}

const fn wrong(name: &'static str, block: usize, asked: Layout, given: Layout) -> Bug {
    let end = Layouts { block, asked, given };
    Bug { name, end, program: Program::GiveBackAs(asked, given) }
}

impl Bug {
    /// Does what is wrong.
    pub fn run(&self) {
        match self.program {
            Program::Own(program) => program(),
            // SAFETY: none: the layouts differ.
            Program::GiveBackAs(asked, given) => unsafe { dealloc(named(asked), given) },
        }
    }

    /// The line that is to be said of `address`.
    #[cfg(feature = "hardened")]
    pub fn line(&self, address: &str) -> String {
        let text =
            |layout: Layout| format!("{} bytes aligned to {}", layout.size(), layout.align());
        match self.end {
            Line(line) => line.replace("{}", address),
            Layouts { block, asked, given } => format!(
                "wrong layout: {address}, a block of {block} bytes, asked for as {}, given back as {}",
                text(asked),
                text(given)
            ),
        }
    }
}

const NO_BLOCK: &str = "free of no block: {}, no block's start, or one freed before";
const FOREIGN: &str = "free of a foreign address: {}, in no block, or one freed before";

const GUARD: &str = "access to a guard: {}, beside the records or the blocks of an arena";

pub const BUGS: &[Bug] = &[
    // Freed twice.
    bug("twice", Line("double free: {}, a block of 64 bytes"), || twice(EXACT)),
    bug("twice-medium", Line("double free: {}, a block of 5120 bytes"), || twice(MEDIUM)),
    bug("twice-big", Line("double free: {}, a block of 30720 bytes"), || twice(BIG)),
    bug("twice-span", Line("double free: {}, a block of 100000 bytes"), twice_span),
    bug("twice-large", Line("double free: {}, a block of 2000000 bytes"), || twice(LARGE)),
    bug("twice-moved", Line("double free: {}, a block of 2000000 bytes"), twice_moved),
    bug("twice-later", Line("double free: {}, a block of 64 bytes"), twice_later),
    bug("twice-in-a-full-pool", Line("double free: {}, a block of 64 bytes"), twice_elsewhere),
    bug("twice-by-another", Line("double free: {}, a block of 64 bytes"), twice_by_another),
    bug("twice-both-by-others", Line("double free: {}, a block of 64 bytes"), twice_by_others),
    bug(
        "twice-by-others-until-the-end",
        Line("double free: {}, a block of 64 bytes"),
        twice_by_others_until_the_end,
    ),
    bug(
        "twice-by-others-with-others",
        Line("double free: {}, a block of 64 bytes"),
        twice_by_others_with_others,
    ),
    bug("twice-and-trimmed", Line("double free: {}, a block of 64 bytes"), twice_and_trimmed),
    bug("resized-after-free", Line("double free: {}, a block of 64 bytes"), resized_after_free),
    // What is no block.
    bug("inside", Line("free inside a block: {}, 16 bytes into one of 64 bytes"), || {
        free_at(EXACT, 16)
    }),
    bug("inside-odd", Line("free inside a block: {}, 1 bytes into one of 64 bytes"), || {
        free_at(EXACT, 1)
    }),
    bug("inside-big", Line("free inside a block: {}, 29000 bytes into one of 30720 bytes"), || {
        free_at(BIG, 29_000)
    }),
    bug("inside-span", Line("free inside a block: {}, 64 bytes into one of 100008 bytes"), || {
        free_at(SPAN, 64)
    }),
    bug(
        "inside-span-far",
        Line("free inside a block: {}, 8192 bytes into one of 100008 bytes"),
        || free_at(SPAN, 8192),
    ),
    bug(
        "inside-large",
        Line("free inside a block: {}, 64 bytes into one of 2000000 bytes"),
        || free_at(LARGE, 64),
    ),
    bug(
        "inside-large-far",
        Line("free inside a block: {}, 8192 bytes into one of 2000000 bytes"),
        || free_at(LARGE, 8192),
    ),
    bug("inside-resized", Line("free inside a block: {}, 16 bytes into one of 64 bytes"), || {
        resize_at(EXACT, 16)
    }),
    bug(
        "inside-large-resized",
        Line("free inside a block: {}, 4096 bytes into one of 2000000 bytes"),
        || resize_at(LARGE, 4096),
    ),
    bug(
        "never",
        Line("free of no block: {}, never handed out among blocks of 64 bytes"),
        free_never,
    ),
    bug("stack", Line(FOREIGN), || free_local(EXACT)),
    bug("stack-as-large", Line(FOREIGN), || free_local(LARGE)),
    bug("static", Line(FOREIGN), free_static),
    bug("static-resized", Line(FOREIGN), resize_static),
    bug(
        "null",
        Line("free of a foreign address: 0x0, in no block, or one freed before"),
        free_null,
    ),
    bug("records", Line(NO_BLOCK), || free_in_arena(20 << 10)),
    bug("guard", Line(NO_BLOCK), || free_in_arena(0)),
    // Wrong layouts.
    wrong("size", 64, SPARE, layout(51, 8)),
    wrong("alignment", 64, EXACT, layout(56, 64)),
    wrong("class", 64, SPARE, layout(500, 8)),
    wrong("pool", 64, SPARE, MEDIUM),
    wrong("small-as-span", 64, SPARE, SPAN),
    wrong("small-as-large", 64, SPARE, LARGE),
    wrong("span-as-small", 100_008, SPAN, SPARE),
    wrong("span-size", 100_008, SPAN, layout(100_001, 8)),
    wrong("span-as-large", 100_008, SPAN, LARGE),
    wrong("large-as-small", 2_000_000, LARGE, SPARE),
    wrong("large-as-span", 2_000_000, LARGE, SPAN),
    wrong("large-size", 2_000_000, LARGE, layout(1_999_999, 8)),
    wrong("large-alignment", 2_000_000, LARGE, layout(2_000_000, 1 << 16)),
    bug("resized-as", Layouts { block: 64, asked: SPARE, given: layout(52, 8) }, resize_as),
    #[cfg(feature = "malloc")]
    bug(
        "malloced",
        Line(
            "wrong family: {}, a block of 64 bytes, asked of malloc as 50 bytes aligned to 16, given back \
             with a layout",
        ),
        give_back_malloced,
    ),
    #[cfg(feature = "malloc")]
    bug(
        "not-malloced",
        Line(
            "wrong family: {}, a block of 64 bytes, asked for as 50 bytes aligned to 8, given to free",
        ),
        free_not_malloced,
    ),
    // Written to after a free.
    bug("link", Line("write after free: {}, a free block of 64 bytes"), || clobber(0, 0x41)),
    bug("link-to-zero", Line("write after free: {}, a free block of 64 bytes"), || clobber(0, 0)),
    bug("link-behind", Line("write after free: {}, a free block of 64 bytes"), || clobber(8, 0x41)),
    bug(
        "link-in-a-full-pool",
        Line("write after free: {}, a free block of 64 bytes"),
        clobber_elsewhere,
    ),
    bug("link-of-another", Line("write after free: {}, a free block of 64 bytes"), clobber_remote),
    bug(
        "link-by-overflow",
        Line("write after free: {}, a free block of 64 bytes"),
        overflow_into_free,
    ),
    // Written to behind the end.
    bug("byte", Line("write past the end: {}, a block of 64 bytes"), || overflow(EXACT, 1, 0x41)),
    bug("zero", Line("write past the end: {}, a block of 64 bytes"), || overflow(EXACT, 1, 0)),
    bug("byte-to-spare", Line("write past the end: {}, a block of 64 bytes"), || {
        overflow(SPARE, 1, 0x41)
    }),
    bug("zero-to-spare", Line("write past the end: {}, a block of 64 bytes"), || {
        overflow(SPARE, 1, 0)
    }),
    bug("into-the-next", Line("write past the end: {}, a block of 64 bytes"), overflow_into_next),
    bug("byte-of-none", Line("write past the end: {}, a block of 16 bytes"), || {
        overflow(layout(1, 1), 1, 0x41)
    }),
    bug("byte-medium", Line("write past the end: {}, a block of 5120 bytes"), || {
        overflow(MEDIUM, 1, 0x41)
    }),
    bug("byte-span", Line("write past the end: {}, a block of 100008 bytes"), || {
        overflow(SPAN, 1, 0)
    }),
    bug("byte-large", Line("write past the end: {}, a block of 2000000 bytes"), || {
        overflow(LARGE, 1, 0x41)
    }),
    bug("byte-resized", Line("write past the end: {}, a block of 64 bytes"), overflow_and_resize),
    bug(
        "beyond-large",
        Line("access past the end: {}, 4096 bytes past a block of 2000000 bytes"),
        || write_at(LARGE, 2_000_000 + 4096),
    ),
    bug(
        "run-beyond-large",
        Line("access past the end: {}, 2944 bytes past a block of 2000000 bytes"),
        run_beyond_large,
    ),
    bug(
        "before-large",
        Line("access before the start: {}, 1 bytes before a block of 2000000 bytes"),
        || write_at(LARGE, -1),
    ),
    bug(
        "beyond-resized-large",
        Line("access past the end: {}, 4096 bytes past a block of 5000000 bytes"),
        beyond_resized,
    ),
    bug(
        "beyond-aligned-large",
        Line("access past the end: {}, 6000 bytes past a block of 2000000 bytes"),
        || write_at(layout(2_000_000, 1 << 16), 2_006_000),
    ),
    bug(
        "read-beyond-large",
        Line("access past the end: {}, 4096 bytes past a block of 2000000 bytes"),
        || read_at(LARGE, 2_000_000 + 4096),
    ),
    bug("into-records", Line(GUARD), || write_in_arena((16 << 10) - 1)),
    bug("out-of-records", Line(GUARD), || write_in_arena(32 << 10)),
    bug("beyond-an-arena", Line(GUARD), || write_in_arena((1 << 20) - (16 << 10))),
];
