//! How memory is divided, and every number that can be tuned.
//!
//! ```text
//! arena   1 MiB, at a multiple of 1 MiB
//! +---------+------+------+------+------+--  --+------+
//! | records | slot | slot | slot | slot | ...  | slot |   256 slots of 4 KiB, 4 of them records
//! +---------+------+------+------+------+--  --+------+
//!             `--------- pool ---------'                  4, 16 or 32 slots of one class
//!             `-- span ---'                               1 to 128 slots for one large block
//! ```
//!
//! With the feature `hardened` there are guards before and behind the records and at the arena's end:
//! slots that nobody may touch.

#![forbid(unsafe_code)]

// ---------------------------------------------------------------------------------------------
// Tunables. Each: unit, range, reason. Nothing outside this section is a matter of taste.
// ---------------------------------------------------------------------------------------------

/// Bytes in one slot, the unit in which an arena is cut. A power of two, 4 KiB to 16 KiB.
/// Small, so that a span of 32 KiB and more loses at most an eighth to rounding.
pub const SLOT_SIZE: usize = 4 << 10;

/// Bytes in one arena. A power of two, 512 KiB to 64 MiB. Small, so that arenas become empty and
/// the one that `ReturnArenas` keeps is cheap to keep.
pub const ARENA_SIZE: usize = 1 << 20;

/// Arenas that are mapped one by one before huge pages are mapped, where those are asked for. 0 to 64: less has the smallest
/// of processes hold 2 MiB, more leaves as many where every OS page has its own place in the processor's tables.
pub const ARENAS_SMALL: usize = 1;
/// The share of an arena, in hundredths, which blocks must have for a sweep to leave it on its huge page. 50 to 100: less gives
/// back less, more splits huge pages for little.
pub const HUGE_KEPT: usize = 75;

/// Bytes in the pool of a class up to [`POOL_SMALL_BLOCK_MAX`]. 4 KiB to 64 KiB. Small pools become
/// empty sooner, large ones need fewer slow paths (`docs/design.md`, "Pool size").
pub const POOL_SMALL: usize = 16 << 10;
/// The largest block of a small pool, bytes: at least 64 blocks to a pool.
pub const POOL_SMALL_BLOCK_MAX: usize = 256;

/// Bytes in the pool of a class up to [`POOL_MEDIUM_BLOCK_MAX`]: at least 8 blocks to a pool.
pub const POOL_MEDIUM: usize = 64 << 10;
/// The largest block of a medium pool, bytes.
pub const POOL_MEDIUM_BLOCK_MAX: usize = 8 << 10;

/// Bytes in the pool of the remaining classes: at least 4 blocks to a pool.
pub const POOL_BIG: usize = 128 << 10;

/// The largest block that comes from a pool, bytes. Above it, spans: from here on rounding to a
/// slot loses at most an eighth.
pub const BLOCK_MAX: usize = 32 << 10;

/// The largest request whose path is compiled into its caller, bytes. Larger ones cost a call.
pub const INLINE_MAX: usize = 1 << 10;

/// The largest span, bytes. At most half an arena, so that one never fills an arena alone. Above
/// it, direct mappings.
pub const SPAN_MAX: usize = 512 << 10;

/// Bytes from which on a block that is moved as it grows goes where a kept mapping begins, if there is one, rather than into a
/// span: there it grows on without being copied. 128 KiB to [`SPAN_MAX`]: less cuts kept mappings up for blocks that stay small.
pub const GROWS_APART: usize = 256 << 10;
/// How many times as long the kept mapping may be. 2 to 8: less leaves less to grow into, more puts what grows a little in the way of what
/// has the rest and grows much.
pub const GROWS_TIMES: usize = 4;

/// Lengths of spans to a doubling of it. 4 to 16: with more, a freed one is seldom of the length that is wanted; with fewer, more
/// than an eighth of a span is lost to rounding.
pub const SPAN_LENGTHS_A_DOUBLING: usize = 8;

/// The largest alignment that a span can have, bytes. Above it, direct mappings.
pub const SPAN_ALIGN_MAX: usize = 64 << 10;

/// Bytes carved at a time in the first pool of a class: one OS page, so that a class with one block
/// makes one OS page resident. Further pools of the class are carved whole.
pub const CARVE_BYTES: usize = 4 << 10;

/// Pools for which a thread can hold remote frees back, to hand them over in batches. A power of
/// two, 8 to 64: each costs 128 bytes a thread.
pub const OUTBOX_POOLS: usize = 32;
/// Bytes of remote frees held back for one pool before they are handed over. 1 KiB to one pool:
/// more makes fewer atomics, and more memory wait.
pub const OUTBOX_BYTES: usize = 8 << 10;
/// Blocks of remote frees held back for one pool: as many as fit into two cache lines with what goes with them.
pub const OUTBOX_BLOCKS: usize = 56;
/// Blocks of a parcel up to which the thread that freed them takes them as guests when another pool wants the parcel's place. 1 to 16: with more,
/// the owner misses what goes home by one exchange.
pub const GUESTS_A_PARCEL: usize = 8;
/// Guests that may come to a list that had none: twice as many each time they all found work, up to a pool's blocks. 1 to 16: so
/// many of each class a thread holds that frees what others allocate, and allocates nothing.
pub const GUESTS_FIRST: u32 = 4;

/// Pools of a bin from which on a full one is not allocated from before [`FREE_SHARE`] of its blocks are free, and
/// new memory is taken rather. 16 to 256: until then one more pool is too much.
pub const POOLS_TO_WAIT: u32 = 16;
/// That share, one in so many. 8 to 64: so much of a heap at the most is free and not used, and each slow path comes
/// by more than so many blocks. Less than an OS page, so that nothing is hidden that could go back.
pub const FREE_SHARE: usize = 32;

/// Wholly empty arenas that `ReturnArenas` keeps. 0 maps and unmaps at every crossing of a boundary.
pub const ARENAS_EMPTY_KEPT: usize = 1;

/// Bytes of freed direct mappings that `ReturnArenas` keeps for reuse. A fresh mapping of 1 MiB
/// costs hundreds of microseconds in first touches, a kept one nothing.
pub const LARGE_KEPT_BYTES: usize = 1 << 20;

/// Bytes of freed direct mappings that the rungs above keep until they are old, beside as many as
/// are live: a burst that comes again within the delay finds its mappings.
pub const LARGE_KEPT_BYTES_YOUNG: usize = 64 << 20;

/// Slots of freed spans that, on the rungs that wait, a heap keeps whole for the next request of their length, until
/// they are old: at least and at most, and between them the geometric mean of the least and of what is live. Where random ones of N
/// spans are replaced, what is free of each length goes up and down by the root of their number. 64 to 1024, 1024 to 16384: more finds one more
/// often; less serves others meanwhile, from memory that is in the caches still.
pub const SPANS_KEPT_SLOTS: [usize; 2] = [256, 4096];
/// Of those, slots that a heap keeps though other memory becomes resident. 0 to 1024: what is kept beyond serves that first.
pub const SPANS_KEPT_ANYWAY: usize = 256;
/// Slots of a span for which a heap gives all that it keeps up before memory is touched that is not resident: more than the longest
/// pool has. 17 to 65: less gives up what is wanted again for a run that a pool could have left; more touches fresh memory
/// beside as much that is free.
pub const SPAN_LONG: usize = POOL_BIG / SLOT_SIZE + 1;
/// Slots of freed spans that wait for the heaps whose threads allocated them, as other threads freed them: of all heaps with a thread
/// together, and of one of many all the same. 32 MiB: who drops buffers that others make may drop some dozens before the others
/// run. 1 MiB: with less the longest has no place.
pub const SPANS_POSTED_SLOTS: [usize; 2] = [8192, 256];
/// Kept spans that a sweep gives back at a time, while it has the heap. 1 to 64: its owner may wait so long.
pub const SPANS_A_STEP: usize = 16;
/// Spans whose slots are given back under one hold of the arenas' lock. 1 to 16: others spin for it no longer than for so many.
pub const SPANS_AT_ONCE: usize = 4;
/// Requested bytes of spans up to which a heap counts what is live by itself. 0 to 1 MiB: less has threads write to the same
/// cache lines, more makes the sums that policies go by less exact.
pub const SPANS_UNPUBLISHED_BYTES: usize = 256 << 10;

/// Slots of empty pools that heaps with a thread keep with their lists, all together, until they are old or surplus; and
/// what one of many keeps all the same. Further ones go to the arenas, where they serve any heap. 16 MiB: a burst of a few
/// thousand blocks finds its pools as it left them. 256 KiB: 64 threads and more then keep as much each, not less and less.
pub const EMPTY_SLOTS_KEPT: [usize; 2] = [4096, 64];

/// Milliseconds for which free memory stays before it is given back, unless told otherwise. 0 to
/// minutes: less purges what is wanted again, more keeps what is not.
pub const RETURN_AFTER_MS: u64 = 1000;

/// Ranges purged by one system call. 16 to 1024: each costs 16 bytes of stack, and more of them
/// make the call, during which a heap's owner may wait, longer.
pub const PURGE_RANGES: usize = 64;

/// Pools whose remote frees a heap takes in at a time, and blocks after which it leaves the rest for the next time:
/// each may be in no cache. Bounds the time of one slow path.
pub const INBOX_POOLS: usize = 64;
/// See [`INBOX_POOLS`].
pub const INBOX_BLOCKS: usize = 4096;
/// Pools whose remote frees are taken off before those of the first are linked. Divides [`INBOX_POOLS`]; each costs 32 bytes
/// of stack.
pub const INBOX_AT_ONCE: usize = 16;

/// Slots that become resident, or free, until a slow path looks for surplus to give back. 16 to 256:
/// less looks more often, more lets resident memory overshoot by so much a thread.
pub const SURPLUS_SLOTS: usize = 64;

/// The work of one step, of a slow path, of a sweep, of large blocks: OS pages given back, at one or two microseconds
/// each, or as much of something else. 64 to 512: so that no caller waits for a millisecond.
pub const STEP_PAGES: usize = 256;

/// OS pages of a large block that are unmapped together, at what one costs that is given back by itself.
pub const PAGES_UNMAPPED: usize = 8;

/// OS pages of a large block that one step unmaps.
pub const STEP_UNMAP_PAGES: usize = PAGES_UNMAPPED * STEP_PAGES;

/// Bytes of a large block up to which its surplus is unmapped by who frees it: a millisecond or somewhat more, a tenth of what
/// its first touches took, and nothing of it is there any more when its last user goes on. What is larger goes in steps. Less
/// leaves more behind for the moment: with 32 to 48 MiB the first trough of `shifting`, which frees a vector of 64, is 1.9
/// times its bound.
pub const UNMAP_AT_ONCE: usize = 64 << 20;

/// The work after which a claimed heap goes back to its owner, who may wait for it. 32 to 256.
pub const CLAIM_STEP_PAGES: usize = 64;

/// Blocks of a list that are looked through while one OS page is given back: each may be in no cache.
pub const BLOCKS_A_PAGE: usize = 8;

/// The share of a pool's blocks, one in so many, from which on a list of them has all fetched ahead when it is to be looked
/// through. 1 to 8: less fetches much for little, more waits for block after block.
pub const FETCHED_SHARE: usize = 4;

/// The work of claiming a heap, in OS pages given back.
pub const CLAIM_PAGES: usize = 4;

/// Classes whose current pools are let go in one step: each has a list to be walked, of 16 KiB with few exceptions.
/// 2 to 16: each step under a claim has two barriers.
pub const CURRENTS_A_STEP: usize = 4;

/// Microseconds for which the sweeper sleeps between two steps. 0 to 1000: a sweep of a gigabyte takes some thousand.
pub const STEP_REST_US: u64 = 50;

/// Slots that become free until it does so again while it has not kept up. A small pool's worth.
pub const SURPLUS_SLOTS_BEHIND: usize = SLOTS_PER_POOL;

/// OS pages of surplus that one step gives back at the least. 1 to 64: fewer make more system calls.
pub const SURPLUS_LEAST_PAGES: usize = 16;

/// Arenas at which one slow path looks for slots that are resident, before it takes others; and for some that lie well,
/// before it takes part of a run that is known to have them. 8 to 64: more looks at more arenas.
pub const ARENAS_LOOKED_AT: usize = 32;

/// Free slots by which arenas must differ to be told apart when the fullest is looked for. 8 to 64: less looks at more
/// lists, more lets arenas drain that need not.
pub const FULLNESS_SLOTS: usize = 8;

/// Arenas among which one slow path looks for free slots to give back.
pub const SURPLUS_ARENAS: usize = 64;

/// Hundredths of a soft limit at which the allocator takes the first step up the ladder, at which it
/// has taken all, and by how many less a step is taken back. Wide enough apart that what a purge
/// gives back is not asked for by the next look.
pub const LIMIT_NEAR: usize = 80;
/// See [`LIMIT_NEAR`].
pub const LIMIT_FULL: usize = 95;
/// See [`LIMIT_NEAR`].
pub const LIMIT_EASE: usize = 10;

/// The part of a soft limit by which it may be exceeded before each growth has a step of giving back before it. 16 to 64.
pub const LIMIT_FAR_PART: usize = 32;

/// Looks at what is resident while the last part of a soft limit is filled: one for each so many
/// parts of it. 16 to 256: a look costs some microseconds, and the limit is overrun by at most one
/// part unseen.
pub const LIMIT_LOOKS: usize = 64;
/// Bytes of growth between two looks, at least: their first touch costs ten times a look.
pub const LIMIT_LOOK_MIN: usize = 128 << 10;
/// Bytes of growth between two looks near a soft limit, at most.
pub const LIMIT_LOOK_MAX: usize = 16 << 20;

/// Milliseconds for which what was read of a cgroup's limit is believed. Reading it costs some tens
/// of microseconds, and it seldom changes.
pub const LIMIT_READ_EVERY_MS: u64 = 1000;

/// Bytes of stack of the sweeper's thread. At least 64 KiB with the system's own needs.
pub const SWEEPER_STACK: usize = 128 << 10;

/// Milliseconds after which the sweeper looks whether any thread has a heap. When none has twice in a row, it gives
/// all back and ends: a process whose threads have all ended lives on for about twice as long at the most.
pub const DESERTED_LOOK_MS: u64 = 50;

/// Bytes mapped from which a program that is served by `malloc` gets a sweeper. Smaller ones have
/// little to give back, and most programs are not prepared for a second thread.
pub const SWEEPER_FROM_BYTES: usize = 8 << 20;

/// Bytes of records mapped at a time. A multiple of every OS page size.
pub const STORE_CHUNK: usize = 64 << 10;

/// Turns of spinning before a lock sleeps. About a microsecond: longer than any section that
/// makes no system call. Once under the model checker, which looks at every turn.
pub const LOCK_SPINS: usize = if cfg!(loom) { 1 } else { 60 };

// ---------------------------------------------------------------------------------------------
// Derived.
// ---------------------------------------------------------------------------------------------

/// Slots in one arena.
pub const SLOTS_PER_ARENA: usize = ARENA_SIZE / SLOT_SIZE;
/// Bytes of a pool's or span's record: one cache line, so that two owners never share one.
pub const RECORD_SIZE: usize = 64;
/// Slots of an arena that hold its records.
pub const RECORD_SLOTS: usize = SLOTS_PER_ARENA * RECORD_SIZE / SLOT_SIZE;
/// Slots of one guard: a small pool's place, so that records and pools keep their alignment.
pub const GUARD_SLOTS: usize = if cfg!(feature = "hardened") { SLOTS_PER_POOL } else { 0 };
/// Bytes from an arena's start to its records.
pub const RECORDS_AT: usize = GUARD_SLOTS * SLOT_SIZE;
/// The first slot that pools and spans can have.
pub const FIRST_SLOT: usize = GUARD_SLOTS + RECORD_SLOTS + GUARD_SLOTS;
/// Slots of an arena that pools and spans can have.
pub const USABLE_SLOTS: usize = SLOTS_PER_ARENA - FIRST_SLOT - GUARD_SLOTS;
/// Slots in one small pool.
pub const SLOTS_PER_POOL: usize = POOL_SMALL / SLOT_SIZE;
/// Small pools' places in one arena, the first of which holds the records.
pub const POOLS_PER_ARENA: usize = ARENA_SIZE / POOL_SMALL;

const _: () = {
    assert!(SLOT_SIZE.is_power_of_two() && ARENA_SIZE.is_power_of_two());
    assert!(RECORD_SLOTS * SLOT_SIZE == POOL_SMALL, "the records take one small pool's place");
    assert!(RECORD_SLOTS == SLOTS_PER_POOL && RECORD_SLOTS.is_power_of_two());
    assert!(POOLS_PER_ARENA * RECORD_SIZE == SLOT_SIZE, "records of aligned pools share one slot");
    assert!(SPAN_MAX <= ARENA_SIZE / 2 && SPAN_MAX.is_multiple_of(SLOT_SIZE));
    assert!(SPAN_ALIGN_MAX <= ARENA_SIZE / 4);
    assert!(BLOCK_MAX / 8 >= SLOT_SIZE, "a span loses at most an eighth to rounding");
    assert!(POOL_BIG <= ARENA_SIZE / 4 && POOL_SMALL < POOL_MEDIUM && POOL_MEDIUM < POOL_BIG);
    assert!(OUTBOX_POOLS.is_power_of_two() && INBOX_POOLS.is_multiple_of(INBOX_AT_ONCE));
};

/// `bytes` rounded up to a multiple of `unit`, a power of two. The caller knows that it fits.
pub const fn round_up(bytes: usize, unit: usize) -> usize {
    (bytes + (unit - 1)) & !(unit - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_up_reaches_the_next_multiple_and_no_further() {
        for unit in [8, 4096, 65536] {
            for bytes in [0, 1, unit - 1, unit, unit + 1, 10 * unit + 3] {
                let rounded = round_up(bytes, unit);
                assert!(rounded.is_multiple_of(unit) && rounded >= bytes && rounded < bytes + unit);
            }
        }
    }
}
