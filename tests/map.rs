//! The map of the heap: what it says of arenas, pools and OS pages, beside `stats()`, `explain()` and the
//! kernel.
//!
//! Every test runs in a process of its own. The allocator is called by its trait, the test itself
//! lives on the system's: what is counted is what the test asked for.
// With the feature `malloc` the system's allocator, on which the test itself lives, is highwater too: what is
// counted would no longer be what the test asked for.
#![cfg(not(feature = "malloc"))]
#![cfg(unix)]

#[path = "support/block.rs"]
mod block;
#[path = "support/child.rs"]
mod child;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Barrier, mpsc};
use std::thread;

use block::{Block, blocks};
use child::{alone, alone_with};
use highwater::{Map, MapKind, MapPlace, Retention};

const SLOT: usize = 4 << 10;
const SLOTS_PER_ARENA: usize = 256;
const NO_SWEEPER: (&str, &str) = ("HIGHWATER_SWEEPER", "off");

/// One block in `one_in` stays.
fn survivors(blocks: Vec<Block>, one_in: usize) -> Vec<Block> {
    let numbered = blocks.into_iter().enumerate();
    numbered.filter(|(number, _)| number % one_in == 0).map(|(_, block)| block).collect()
}

fn places(map: &Map) -> impl Iterator<Item = MapPlace> {
    map.arenas().flat_map(|arena| arena.places())
}

fn of_kind(map: &Map, kind: MapKind) -> impl Iterator<Item = MapPlace> {
    places(map).filter(move |place| place.kind == kind)
}

/// What must hold of any map, whatever other threads do.
fn assert_sound(map: &Map) {
    assert!(map.is_complete());
    let mut addresses: Vec<usize> = map.arenas().map(|arena| arena.address()).collect();
    assert!(addresses.iter().all(|address| address.is_multiple_of(SLOTS_PER_ARENA * SLOT)));
    addresses.sort_unstable();
    addresses.dedup();
    assert_eq!(addresses.len(), map.arenas().count(), "no arena is there twice");
    for arena in map.arenas() {
        let slots: usize = arena.places().map(|place| usize::from(place.slots)).sum();
        assert_eq!(slots, SLOTS_PER_ARENA, "an arena's places leave no gap");
        assert_eq!(arena.places().next().unwrap().kind, MapKind::Records);
    }
    for place in places(map) {
        assert!(place.blocks_used <= place.blocks_capacity, "{place:?}");
        let bytes = usize::from(place.slots) * SLOT;
        assert!(place.block_size * place.blocks_capacity as usize <= bytes, "{place:?}");
        assert!(place.os_pages_purged as usize <= bytes / page_size(), "{place:?}");
    }
}

/// What must hold of the map of a process in which nobody but the caller works.
fn assert_agrees(map: &Map) {
    assert_sound(map);
    let (stats, explained) = (highwater::stats(), highwater::explain());
    assert_eq!(map.arenas().count(), stats.arenas);

    let mut pools: BTreeMap<usize, (usize, usize)> = BTreeMap::new();
    for pool in of_kind(map, MapKind::Pool) {
        let (count, used) = pools.entry(pool.block_size).or_default();
        *count += 1;
        *used += pool.blocks_used as usize;
    }
    for class in stats.classes() {
        let (count, used) = pools.remove(&class.block_size).unwrap_or_default();
        assert_eq!((count, used), (class.pools, class.blocks_live), "{class:?}");
    }
    assert!(pools.is_empty(), "pools of no class: {pools:?}");

    let in_pools = |place: MapPlace| place.block_size * place.blocks_used as usize;
    assert_eq!(of_kind(map, MapKind::Pool).map(in_pools).sum::<usize>(), explained.live);
    let spans: usize = of_kind(map, MapKind::Span).map(|span| span.blocks_used as usize).sum();
    assert_eq!(spans, stats.large_blocks, "the tests make no direct mapping");
    assert_eq!(of_kind(map, MapKind::Span).map(in_pools).sum::<usize>(), explained.large);
}

fn os_pages_purged(map: &Map) -> u64 {
    places(map).map(|place| u64::from(place.os_pages_purged)).sum()
}

fn page_size() -> usize {
    // SAFETY: a query without arguments in memory.
    unsafe { libc::sysconf(libc::_SC_PAGESIZE) as usize }
}

/// OS pages of an arena that are in memory.
#[cfg(target_os = "linux")]
fn os_pages_resident(arena: usize) -> usize {
    let bytes = SLOTS_PER_ARENA * SLOT;
    let mut resident = vec![0u8; bytes / page_size()];
    let start = std::ptr::without_provenance_mut(arena);
    // SAFETY: a query of a mapped range; the list has a byte for each of its OS pages.
    assert_eq!(unsafe { libc::mincore(start, bytes, resident.as_mut_ptr()) }, 0);
    resident.iter().filter(|&&page| page & 1 == 1).count()
}

#[test]
fn a_program_that_has_nothing_has_a_map_without_arenas() {
    alone(|| {
        let map = highwater::map();
        assert!(map.is_complete());
        assert_eq!(map.arenas().count(), 0);
    });
}

#[test]
fn the_sums_of_a_map_are_those_of_the_stats_under_every_rung() {
    alone_with(&[NO_SWEEPER], || {
        for rung in Retention::ALL {
            highwater::set_retention(rung);
            let small = blocks(20_000, |number| 8 + number % 1500);
            let medium = blocks(300, |number| 2000 + number * 100);
            let spans = blocks(12, |number| 40_000 + number * 30_000);
            assert_agrees(&highwater::map());
            drop((medium, spans));
            let kept = survivors(small, 100);
            assert_agrees(&highwater::map());
            highwater::trim();
            assert_agrees(&highwater::map());
            drop(kept);
            assert_agrees(&highwater::map());
        }
    });
}

#[test]
fn survivors_leave_pools_whose_purged_os_pages_are_counted_and_not_resident() {
    alone_with(&[NO_SWEEPER], || {
        let all = blocks(200_000, |_| 64);
        let before = highwater::map();
        assert_eq!(os_pages_purged(&before), 0);
        let kept = survivors(all, 1000);
        highwater::trim();
        let map = highwater::map();
        assert_agrees(&map);
        let stats = highwater::stats();
        // Places at random may leave the last arena without one.
        let returned = if cfg!(feature = "hardened") { 1 } else { 0 };
        assert!(stats.arenas_returned <= returned, "one survivor in 1000 is in every arena");
        let purged = os_pages_purged(&map);
        assert_eq!(purged, stats.pages_purged - stats.pages_refaulted);
        // 200 survivors are on at most 200 of the 3,125 OS pages that the blocks were on.
        assert!(purged * page_size() as u64 >= 2_500 * SLOT as u64, "{purged} OS pages");
        let hollow = of_kind(&map, MapKind::Pool).filter(|pool| pool.os_pages_purged > 0);
        assert!(hollow.count() > 100, "pools are hollowed");
        #[cfg(target_os = "linux")]
        for arena in map.arenas() {
            let purged: u32 = arena.places().map(|place| place.os_pages_purged).sum();
            let pages = SLOTS_PER_ARENA * SLOT / page_size();
            let resident = os_pages_resident(arena.address());
            assert!(resident + purged as usize <= pages, "{resident} resident, {purged} purged");
        }
        drop(kept);
    });
}

#[test]
fn a_freed_span_that_is_kept_for_its_size_is_a_span_without_a_used_block() {
    alone_with(&[NO_SWEEPER], || {
        // Last the one that lets nothing go.
        for rung in [Retention::ReturnPages, Retention::NeverShrink] {
            highwater::set_retention(rung);
            let span = Block::new(100_000);
            let shown = |used: u32, block_size: usize| {
                let map = highwater::map();
                let spans: Vec<MapPlace> = of_kind(&map, MapKind::Span).collect();
                assert_eq!(spans.len(), 1);
                assert_eq!((spans[0].blocks_used, spans[0].block_size), (used, block_size));
                assert_eq!((spans[0].slots, spans[0].blocks_capacity), (26, 1));
            };
            shown(1, 100_000);
            drop(span);
            shown(0, 0);
            let again = Block::new(99_000);
            shown(1, 99_000);
            drop(again);
            highwater::trim();
            let kept = of_kind(&highwater::map(), MapKind::Span).count();
            assert_eq!(kept, usize::from(rung == Retention::NeverShrink));
        }
    });
}

#[test]
fn a_map_is_a_copy_that_neither_changes_nor_counts() {
    alone_with(&[NO_SWEEPER], || {
        let all = blocks(50_000, |number| 16 + number % 200);
        let (before, mapped) = (highwater::stats(), highwater::explain().mapped);
        let map = highwater::map();
        let explained = highwater::explain();
        assert_eq!((explained.mapped, explained.sum()), (mapped, mapped));
        let copied: Vec<MapPlace> = places(&map).collect();
        drop(all);
        highwater::trim();
        assert!(places(&map).eq(copied), "a copy stays as it was made");
        assert!(highwater::map().arenas().count() < map.arenas().count());
        // A second map of the same heap is the same, and every mapping made for one is unmapped.
        let (first, second) = (highwater::map(), highwater::map());
        assert!(places(&first).eq(places(&second)));
        drop((first, second, map));
        let after = highwater::stats();
        let arenas = (before.arenas + before.arenas_returned, after.arenas + after.arenas_returned);
        assert_eq!(arenas.0, arenas.1, "maps of the heap take nothing of it");
        let (mapped, unmapped) = (after.maps - before.maps, after.unmaps - before.unmaps);
        assert_eq!(mapped, unmapped - after.arenas_returned as u64);
    });
}

#[test]
fn what_another_thread_holds_is_known_but_for_its_current_pools_and_what_it_has_not_taken_in() {
    alone(|| {
        let (ready, done) = (Barrier::new(2), Barrier::new(2));
        let (give, take) = mpsc::channel();
        thread::scope(|scope| {
            let owner = scope.spawn(|| {
                let mut held = blocks(10_000, |_| 64);
                give.send(held.split_off(5_000)).unwrap();
                ready.wait();
                done.wait();
                drop(held);
            });
            ready.wait();
            let used = || {
                let map = highwater::map();
                assert_sound(&map);
                let pools = of_kind(&map, MapKind::Pool).filter(|pool| pool.block_size == 64);
                pools.map(|pool| pool.blocks_used).sum::<u32>()
            };
            let before = used();
            assert!((10_000 - 256..=10_000).contains(&before), "{before} of 10000");
            // The owner does nothing: they wait for it, and are nobody's.
            drop(take.recv().unwrap());
            let after = used();
            assert!((5_000 - 256..=5_000).contains(&after), "{after} of 5000");
            done.wait();
            // The scope by itself does not wait until the thread has let its heap go.
            owner.join().unwrap();
        });
        assert_agrees(&highwater::map());
    });
}

#[test]
fn a_map_made_while_others_work_and_trim_is_sound() {
    alone_with(&[("HIGHWATER_RETURN_AFTER_MS", "1")], || {
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            for worker in 0..3 {
                let over = &over;
                scope.spawn(move || {
                    let mut round = worker;
                    while !over.load(Relaxed) {
                        round += 1;
                        let made = blocks(2_000, |number| 8 + (number * 37 + round) % 3000);
                        let spans = blocks(4, |number| 33_000 + number * 50_000);
                        let kept = survivors(made, 50);
                        if round % 4 == 0 {
                            highwater::trim();
                        }
                        drop((kept, spans));
                    }
                });
            }
            for round in 0..2_000 {
                if round % 100 == 0 {
                    highwater::set_retention(Retention::ALL[round / 100 % Retention::ALL.len()]);
                }
                assert_sound(&highwater::map());
            }
            over.store(true, Relaxed);
        });
        highwater::set_retention(Retention::ReturnPages);
        assert_sound(&highwater::map());
        highwater::check();
    });
}
