//! `map()`: copies how the arenas are divided.

#![forbid(unsafe_code)]

use super::account::settle_own;
use crate::base::geometry::{FIRST_SLOT, GUARD_SLOTS, SLOT_SIZE};
use crate::front::map::{ArenaEntry, Map, MapKind, MapPlace};
use crate::heap::sweep;
use crate::heap::thread_heap::ThreadHeap;
use crate::mem::arena::Arena;
use crate::mem::arena_set::ARENAS;
use crate::mem::places::Place;
use crate::mem::pool::{Pool, State};
use crate::sys::{self, Room};

/// How many arenas and places there are, whether or not there was room for them.
#[derive(Clone, Copy, Default)]
struct Found {
    arenas: usize,
    places: usize,
}

/// A copy of how every arena is divided into pools, spans and free slots, and how full each pool is.
///
/// Exact for what the calling thread did. Of other threads' pools the *current* one of each size class is shown as
/// it was when it became that, so that `blocks_used` may differ by at most one pool's blocks for each size class and
/// thread; what a thread changes while the copy is made is seen before or after. Direct mappings, above 512 KiB,
/// lie in no arena and are not in it.
///
/// Walks over all pools twice, under the lock of the arenas, which threads wait for that need a new pool or give
/// one back: microseconds for each arena. Sweeps wait meanwhile. No lock is held afterwards.
///
/// ```
/// use highwater::{Highwater, MapKind};
///
/// #[global_allocator]
/// static GLOBAL: Highwater = Highwater::new();
///
/// let boxes: Vec<Box<[u8; 200]>> = (0..10_000).map(|_| Box::new([1; 200])).collect();
/// let map = highwater::map();
/// let places = map.arenas().flat_map(|arena| arena.places());
/// let pools = places.filter(|place| place.kind == MapKind::Pool && place.block_size == 208);
/// assert_eq!(pools.map(|pool| pool.blocks_used).sum::<u32>(), 10_000);
/// # drop(boxes);
/// ```
pub fn map() -> Map {
    let own = settle_own();
    let mut map = Map::none();
    loop {
        let found = copy(&mut map, own);
        if found.arenas <= map.arenas.as_slice().len()
            && found.places <= map.places.as_slice().len()
        {
            return map;
        }
        // Room is made outside the locks, and for what may be added meanwhile.
        let arenas = Room::of(found.arenas + found.arenas / 8 + 1);
        let places = Room::of(found.places + found.places / 8 + 1);
        let (Some(arenas), Some(places)) = (arenas, places) else {
            return Map { is_complete: false, ..Map::none() };
        };
        (map.arenas, map.places) = (arenas, places);
    }
}

/// Copies into the room there is, and counts all.
fn copy(map: &mut Map, own: &ThreadHeap) -> Found {
    let mut found = Found::default();
    // What a sweep has half done would be seen as either.
    let _no_sweep = sweep::pause();
    ARENAS.lock().for_each(|arena| {
        let mut keep = |place: MapPlace| {
            found.places += 1;
            map.places.push(place);
        };
        keep(MapPlace::without_blocks(FIRST_SLOT, MapKind::Records));
        arena.for_each_place(|place| keep(look(place, own)));
        if GUARD_SLOTS != 0 {
            keep(MapPlace::without_blocks(GUARD_SLOTS, MapKind::Records));
        }
        found.arenas += 1;
        map.arenas.push(entry(arena, found.places));
    });
    found
}

fn entry(arena: &Arena, places_end: usize) -> ArenaEntry {
    ArenaEntry { address: arena.start().addr().get(), places_end }
}

fn look(place: Place<'_>, own: &ThreadHeap) -> MapPlace {
    match place {
        Place::Free { slots, purged } => MapPlace {
            os_pages_purged: (purged * SLOT_SIZE / sys::page_size()) as u32,
            ..MapPlace::without_blocks(slots, MapKind::Free)
        },
        Place::Taken { record, .. } if record.state() == State::Span => {
            let requested = record.requested();
            MapPlace {
                block_size: requested.unwrap_or(0),
                blocks_used: u32::from(requested.is_some()),
                blocks_capacity: 1,
                ..MapPlace::without_blocks(record.slots(), MapKind::Span)
            }
        }
        Place::Taken { record, .. } => look_at_pool(record, own),
    }
}

fn look_at_pool(pool: &Pool, own: &ThreadHeap) -> MapPlace {
    let class = pool.class();
    // Another thread may be at work on the pool: what it changes between two of these reads must not
    // make more blocks than there are.
    let used = own.used_in(pool).min(pool.carved());
    MapPlace {
        block_size: class.block_size(),
        blocks_used: used.saturating_sub(pool.waiting()) as u32,
        blocks_capacity: class.capacity() as u32,
        os_pages_purged: pool.purged_pages(),
        ..MapPlace::without_blocks(pool.slots(), MapKind::Pool)
    }
}
