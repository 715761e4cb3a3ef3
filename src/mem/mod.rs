//! Floor 2: blocks in pools, pools in arenas, arenas in the set. Mechanism only: what to keep and
//! when to give back is said by the callers, in numbers.

pub mod arena;
#[cfg(feature = "malloc")]
pub mod arena_map;
pub mod arena_set;
pub mod block;
#[cfg(feature = "malloc")]
pub mod find;
pub mod hollow;
pub mod pool;
pub mod remote;
pub mod slots;
pub mod store;
