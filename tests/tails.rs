//! What a pool has not carved yet, on slots that were in use before, is memory that nobody needs: it goes back.

#![cfg(target_os = "linux")]

#[path = "support/child.rs"]
mod child;

use child::alone_with;
use highwater::{Highwater, Retention};

#[global_allocator]
static GLOBAL: Highwater = Highwater::new();

const MIB: usize = 1 << 20;
/// Bytes in a pool of these classes, and in an OS page.
const POOL: usize = 16 << 10;
const OS_PAGE: usize = 4 << 10;
const SIZES: [usize; 8] = [72, 88, 104, 120, 144, 176, 208, 256];

fn boxed(size: usize) -> Box<[u8]> {
    vec![1; size].into_boxed_slice()
}

/// OS pages in RAM of the pool that holds `block`.
fn resident_pages(block: &[u8]) -> usize {
    let pool = block.as_ptr().map_addr(|address| address & !(POOL - 1));
    let mut pages = [0u8; POOL / OS_PAGE];
    // SAFETY: a pool's memory is mapped; a byte for each of its OS pages.
    let failed = unsafe { libc::mincore(pool.cast_mut().cast(), POOL, pages.as_mut_ptr()) };
    assert_eq!(failed, 0);
    pages.iter().filter(|&&page| page & 1 != 0).count()
}

#[test]
fn of_pools_on_used_slots_only_the_os_pages_with_a_live_block_stay() {
    // SAFETY: asks for a constant of the system.
    if unsafe { libc::sysconf(libc::_SC_PAGESIZE) } != OS_PAGE as i64 {
        return;
    }
    alone_with(&[("HIGHWATER_SWEEPER", "off"), ("HIGHWATER_RETURN_AFTER_MS", "600000")], || {
        assert_eq!(highwater::retention(), Retention::ReturnPages);
        let used: Vec<Box<[u8]>> = (0..MIB / 64).map(|_| boxed(64)).collect();
        drop(used);
        // Each in a pool of its own, of which one OS page's worth is carved.
        let held = SIZES.map(boxed);
        let before: usize = held.iter().map(|block| resident_pages(block)).sum();
        assert!(before > 3 * SIZES.len(), "the pools lie on used slots: {before}");
        highwater::trim();
        for block in &held {
            assert_eq!(resident_pages(block), 1, "of the pool of {} bytes", block.len());
        }
        let explained = highwater::explain();
        assert_eq!(explained.sum(), explained.mapped);
    });
}
