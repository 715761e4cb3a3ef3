//! A child under highwater. The rung comes from `HIGHWATER_RETENTION`, as it would in any program.

use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

use harness::contenders::Accounts;
use harness::report::{Figures, HeapMap, Place, PlaceKind};
use highwater::{Highwater, Map, MapKind, MapPlace, SoftLimit};

#[global_allocator]
static GLOBAL: Highwater = Highwater::new();

struct HighwaterAccounts;

/// The maps kept so far, in room that is there from the start.
static MAPS: Mutex<[Option<(&str, Map)>; 4]> = Mutex::new([const { None }; 4]);

impl Accounts for HighwaterAccounts {
    fn describe(&self) -> String {
        format!("highwater {:?}", highwater::retention())
    }

    fn figures(&self) -> Option<Figures> {
        let stats = highwater::stats();
        Some(Figures {
            live_bytes: stats.live_bytes as u64,
            live_bytes_peak: stats.live_bytes_peak as u64,
            free_bytes: stats.free_bytes as u64,
            mapped_bytes: stats.mapped_bytes as u64,
            maps: stats.maps,
            unmaps: stats.unmaps,
            remaps: stats.remaps,
            advises: stats.advises,
        })
    }

    fn block_bytes(&self) -> Option<u64> {
        Some(highwater::stats().live_bytes as u64)
    }

    fn soft_limit(&self, bytes: Option<u64>) -> bool {
        let limit = bytes.and_then(|bytes| usize::try_from(bytes).ok());
        highwater::set_soft_limit(limit.map_or(SoftLimit::NONE, SoftLimit::bytes));
        true
    }

    /// A map that finds no room is not kept.
    fn keep_map(&self, moment: &'static str) {
        let mut maps = MAPS.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(room) = maps.iter_mut().find(|map| map.is_none()) {
            *room = Some((moment, highwater::map()));
        }
    }

    fn maps(&self) -> Vec<HeapMap> {
        let maps = MAPS.lock().unwrap_or_else(PoisonError::into_inner);
        maps.iter().flatten().map(|(moment, map)| heap_map(moment, map)).collect()
    }
}

/// The map by rising addresses.
fn heap_map(moment: &'static str, map: &Map) -> HeapMap {
    let mut arenas: Vec<_> = map.arenas().collect();
    arenas.sort_by_key(|arena| arena.address());
    let arenas = arenas.iter().map(|arena| arena.places().map(place).collect()).collect();
    HeapMap { moment: moment.into(), arenas }
}

fn place(place: MapPlace) -> Place {
    Place {
        kind: match place.kind {
            MapKind::Records => PlaceKind::Records,
            MapKind::Pool => PlaceKind::Pool,
            MapKind::Span => PlaceKind::Span,
            _ => PlaceKind::Free,
        },
        slots: place.slots,
        block_bytes: u32::try_from(place.block_size).unwrap_or(u32::MAX),
        blocks_used: place.blocks_used,
        blocks_capacity: place.blocks_capacity,
        os_pages_purged: place.os_pages_purged,
    }
}

fn main() -> ExitCode {
    harness::child::child_main(&HighwaterAccounts)
}
