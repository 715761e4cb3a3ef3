//! What the allocator is asked for when a test asks it for something: with the feature `hardened` more, for a
//! seal behind the block, and guards round a large one.

use std::alloc::Layout;

const IS_HARDENED: bool = cfg!(feature = "hardened");
/// Bytes behind each block.
const SEAL: usize = if IS_HARDENED { 8 } else { 0 };
/// Bytes before and behind each large block: an OS page.
fn guard() -> usize {
    if IS_HARDENED { page_size() } else { 0 }
}

fn page_size() -> usize {
    // SAFETY: a query without arguments in memory.
    unsafe { libc::sysconf(libc::_SC_PAGESIZE) as usize }
}

/// The smallest block, bytes.
pub const BLOCK_MIN: usize = if IS_HARDENED { 16 } else { 8 };
/// The largest alignment in a pool, bytes.
const SLOT: usize = 4 << 10;
const SPAN_MAX: usize = 512 << 10;
const SPAN_ALIGN_MAX: usize = 64 << 10;

/// Bytes that the allocator is asked for.
#[allow(dead_code, reason = "not every test file uses it")]
pub fn size(layout: Layout) -> usize {
    let sealed = layout.size() + SEAL;
    if sealed <= SPAN_MAX && layout.align() <= SPAN_ALIGN_MAX {
        let is_pooled = layout.align() <= SLOT;
        return if IS_HARDENED && is_pooled { sealed.max(BLOCK_MIN) } else { sealed };
    }
    let before = if layout.align() <= page_size() { guard() } else { 0 };
    before + sealed + guard()
}

/// What a test must ask for so that the allocator is asked for `inner` bytes, aligned to 8.
#[allow(dead_code, reason = "not every test file uses it")]
pub fn asking_for(inner: usize) -> Layout {
    let beside = if inner <= SPAN_MAX { SEAL } else { SEAL + 2 * guard() };
    Layout::from_size_align(inner.saturating_sub(beside), 8).unwrap()
}
