//! What `map()` returns: every arena, cut into its places, as plain data.
//!
//! ```text
//! arena   | records | pool 24 B | pool 24 B | span 40 KiB | free ...... | pool 512 B | free |
//!           4 slots   4 slots     4 slots     10 slots      n slots       4 slots      n slots
//! ```

#![forbid(unsafe_code)]

use super::chosen::Room;

/// A copy of how every arena is divided, made by [`map`](crate::map()).
///
/// It lies in memory mapped for it alone, which `stats()` and `explain()` leave out, and which goes back to
/// the system when this is dropped.
#[derive(Debug)]
pub struct Map {
    pub(super) arenas: Room<ArenaEntry>,
    pub(super) places: Room<MapPlace>,
    pub(super) is_complete: bool,
}

/// An arena, and where its places end in the list of all.
#[derive(Clone, Copy, Debug)]
pub struct ArenaEntry {
    pub(super) address: usize,
    pub(super) places_end: usize,
}

/// One arena of a [`Map`].
#[derive(Clone, Copy, Debug)]
pub struct ArenaMap<'a> {
    address: usize,
    places: &'a [MapPlace],
}

/// What a run of slots of an arena is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum MapKind {
    /// The allocator's own records.
    Records,
    /// A pool: blocks of one size class.
    Pool,
    /// One block of more than 32 KiB and at most 512 KiB.
    Span,
    /// In no use: to be taken for a pool or a span.
    Free,
}

/// A run of slots of an arena.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct MapPlace {
    /// How many slots, of 4 KiB each. All of an arena's together are 256.
    pub slots: u16,
    /// What they are.
    pub kind: MapKind,
    /// Bytes in one block: of a pool its class's, of a span what was asked for; else 0. Also 0 of a freed
    /// span that is kept for its size, as under [`Retention::NeverShrink`](crate::Retention).
    pub block_size: usize,
    /// Blocks in the program's hands. What other threads freed, and the owner has not taken in yet, is not
    /// among them.
    pub blocks_used: u32,
    /// Blocks that there is room for: of a span 1, of records and of free slots 0.
    pub blocks_capacity: u32,
    /// OS pages of it whose contents were given back, and that were not used again since.
    pub os_pages_purged: u32,
}

impl MapPlace {
    /// Slots that hold no block.
    pub(super) const fn without_blocks(slots: usize, kind: MapKind) -> Self {
        Self {
            slots: slots as u16,
            kind,
            block_size: 0,
            blocks_used: 0,
            blocks_capacity: 0,
            os_pages_purged: 0,
        }
    }
}

impl Map {
    /// Without any arena.
    pub(super) fn none() -> Self {
        Self { arenas: Room::none(), places: Room::none(), is_complete: true }
    }

    /// Every arena, the one last mapped first.
    pub fn arenas(&self) -> impl Iterator<Item = ArenaMap<'_>> {
        let mut places = self.places.as_slice();
        let mut begin = 0;
        self.arenas.as_slice().iter().map(move |arena| {
            let (own, others) = places.split_at(arena.places_end - begin);
            (places, begin) = (others, arena.places_end);
            ArenaMap { address: arena.address, places: own }
        })
    }

    /// False if the system gave no memory for the copy: it is then without any arena.
    pub fn is_complete(&self) -> bool {
        self.is_complete
    }
}

impl<'a> ArenaMap<'a> {
    /// Where the arena begins: a multiple of its size, 1 MiB.
    pub fn address(&self) -> usize {
        self.address
    }

    /// What it is cut into, by rising addresses, without a gap.
    pub fn places(&self) -> impl ExactSizeIterator<Item = MapPlace> + use<'a> {
        self.places.iter().copied()
    }
}
