//! `stats()`: reads the sums.

#![forbid(unsafe_code)]

use super::account::settle_own;
use crate::base::class::SizeClass;
use crate::front::stats::{ClassStats, Stats};
use crate::heap::{config, large, ledger, limit, span};
use crate::mem::arena_set::ARENAS;
use crate::sync::atomic::Ordering::Relaxed;
use crate::sys::{self, huge, purge};

/// What the allocator holds now. Some microseconds; no lock is held afterwards.
///
/// ```
/// #[global_allocator]
/// static GLOBAL: highwater::Highwater = highwater::Highwater::new();
///
/// fn main() {
///     let before = highwater::stats().live_bytes;
///     let boxed = Box::new([0u8; 24]);
///     # if cfg!(not(feature = "hardened")) {
///     assert_eq!(highwater::stats().live_bytes - before, 24);
///     # }
///     drop(boxed);
///     assert_eq!(highwater::stats().live_bytes, before);
/// }
/// ```
pub fn stats() -> Stats {
    settle_own();
    let classes = SizeClass::table(class_stats);
    let (arenas, arenas_peak, arenas_returned) = ARENAS.lock().counts();
    let (pages_purged, pages_refaulted) = ledger::purged_and_refaulted();
    let (mapped_bytes, mapped_bytes_peak) = sys::mapped_bytes();
    let told = limit::told();
    let (blocks, bytes) = span::unpublished();
    let live_bytes = ledger::LIVE_BYTES.now_with(bytes);
    Stats {
        live_bytes,
        live_bytes_peak: ledger::LIVE_BYTES.peak().max(live_bytes),
        mapped_bytes,
        mapped_bytes_peak,
        free_bytes: classes.iter().map(|class| class.blocks_free * class.block_size).sum(),
        large_blocks: ledger::LARGE_BLOCKS.now_with(blocks),
        large_bytes: ledger::LARGE_BYTES.now_with(bytes),
        large_kept_bytes: large::idle_bytes(),
        arenas,
        arenas_peak,
        arenas_returned,
        maps: sys::MAPS.load(Relaxed),
        unmaps: sys::UNMAPS.load(Relaxed),
        remaps: sys::REMAPS.load(Relaxed),
        advises: sys::ADVISES.load(Relaxed),
        purges: purge::PURGES.load(Relaxed),
        pages_purged,
        pages_refaulted,
        purge_ns: purge::PURGE_NS.load(Relaxed),
        huge_pages: huge::MADE.load(Relaxed),
        resident_bytes: told.resident,
        soft_limit_bytes: told.limit,
        soft_limit_climbs: told.climbs,
        soft_limit_purges: told.purges,
        retention_in_force: config::retention(),
        stray_frees: super::stray_frees(),
        classes,
    }
}

fn class_stats(class: SizeClass) -> ClassStats {
    let sums = ledger::class(class);
    let (live, carved) = (sums.live.now(), sums.carved.now());
    ClassStats {
        block_size: class.block_size(),
        blocks_live: live,
        blocks_live_peak: sums.live.peak(),
        blocks_free: carved.saturating_sub(live),
        pools: sums.pools.now(),
        pools_peak: sums.pools.peak(),
    }
}

/// Starts every peak again from what is now.
pub fn reset_peaks() {
    settle_own();
    ledger::reset_peaks();
    ARENAS.lock().reset_peak();
    sys::reset_mapped_peak();
}
