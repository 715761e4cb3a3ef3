//! Which addresses lie in an arena: one bit for each arena's worth of address space.
//!
//! For who is given an address and nothing else. Static memory that stays untouched where there is no
//! arena: one of its OS pages stands for 32 GiB of addresses, one cache line for 512 MiB.
//!
//! There are two such sets. A block in an arena that is *trusted* is taken back without a question;
//! when frees are to be checked no arena is trusted, so that the fast path need not ask for that.

use core::ptr::NonNull;

#[cfg(feature = "malloc")]
use super::arena_set::ArenaSet;
use crate::base::geometry::ARENA_SIZE;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// Bits of a user's address: what the system hands out without being asked for more.
const ADDRESS_BITS: u32 = match usize::BITS {
    64 if cfg!(target_arch = "x86_64") => 47,
    64 => 48,
    bits => bits,
};

const BITS: usize = u64::BITS as usize;
const ARENAS: usize = 1 << (ADDRESS_BITS - ARENA_SIZE.trailing_zeros());
const WORDS: usize = ARENAS / BITS;

static KNOWN: Map = Map::new();
static TRUSTED: Map = Map::new();
static CHECKED: AtomicBool = AtomicBool::new(false);

/// One set of arenas.
struct Map([AtomicU64; WORDS]);

impl Map {
    const fn new() -> Self {
        Self([const { AtomicU64::new(0) }; WORDS])
    }

    /// The word and the bit for an address. Addresses that no arena can have share those of others.
    #[inline(always)]
    fn place(&self, address: usize) -> (&AtomicU64, u64) {
        let number = address / ARENA_SIZE;
        (&self.0[number / BITS % WORDS], 1 << (number % BITS))
    }

    #[inline(always)]
    fn contains(&self, address: usize) -> bool {
        let (word, bit) = self.place(address);
        word.load(Relaxed) & bit != 0
    }

    fn insert(&self, address: usize) {
        let (word, bit) = self.place(address);
        word.fetch_or(bit, Relaxed);
    }

    fn remove(&self, address: usize) {
        let (word, bit) = self.place(address);
        word.fetch_and(!bit, Relaxed);
    }
}

/// Whether `address` lies in an arena from which blocks are taken back without a check. Stable for
/// who holds a block there.
#[cfg(all(feature = "malloc", not(feature = "hardened")))]
#[inline(always)]
pub fn is_trusted(address: usize) -> bool {
    TRUSTED.contains(address)
}

/// Whether `address` lies in an arena. Stable for who holds a block there.
pub fn contains(address: usize) -> bool {
    KNOWN.contains(address)
}

/// An arena is part of the set. False if its address is higher than the map reaches.
pub fn insert(start: NonNull<u8>) -> bool {
    let address = start.addr().get();
    if address >> (ADDRESS_BITS - 1) > 1 {
        return false;
    }
    KNOWN.insert(address);
    if !CHECKED.load(Relaxed) {
        TRUSTED.insert(address);
    }
    true
}

/// An arena is to leave the set.
pub fn remove(start: NonNull<u8>) {
    KNOWN.remove(start.addr().get());
    TRUSTED.remove(start.addr().get());
}

/// From now on no arena is trusted. Under the set's lock.
#[cfg(feature = "malloc")]
pub fn trust_none(arenas: &ArenaSet) {
    CHECKED.store(true, Relaxed);
    arenas.for_each(|arena| TRUSTED.remove(arena.start().addr().get()));
}

/// Whether no arena is trusted.
#[cfg(all(feature = "malloc", not(feature = "hardened")))]
pub fn is_checked() -> bool {
    CHECKED.load(Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_of_an_arena_is_found_and_none_beside_it() {
        static MAP: Map = Map::new();
        let map = &MAP;
        let last = (ARENAS - 1) * ARENA_SIZE;
        for start in [0, ARENA_SIZE, 63 * ARENA_SIZE, 64 * ARENA_SIZE, last] {
            map.insert(start);
            assert!(map.contains(start) && map.contains(start + ARENA_SIZE - 1));
            assert!(start == 0 || !map.contains(start - 1));
            assert!(start == last || !map.contains(start + ARENA_SIZE));
            map.remove(start);
            assert!(!map.contains(start) && !map.contains(start + ARENA_SIZE - 1));
        }
    }

    #[test]
    fn an_address_beyond_the_map_is_refused() {
        let beyond = NonNull::new(core::ptr::without_provenance_mut(1 << ADDRESS_BITS)).unwrap();
        assert!(!insert(beyond));
        assert!(!contains(beyond.addr().get()));
    }
}
