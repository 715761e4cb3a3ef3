//! Floor 2: blocks in pools, pools in arenas, arenas in the set. Mechanism only: what to keep and
//! when to give back is said by the callers, in numbers.

pub mod arena;
pub mod arena_index;
#[cfg(any(feature = "malloc", feature = "hardened"))]
pub mod arena_map;
pub mod arena_set;
pub mod block;
mod carve;
#[cfg(any(feature = "malloc", feature = "hardened"))]
pub mod find;
pub mod hollow;
#[cfg_attr(feature = "hardened", path = "link_hardened.rs")]
pub mod link;
#[cfg_attr(feature = "hardened", path = "parcel_hardened.rs")]
pub mod parcel;
pub mod places;
pub mod pool;
mod records;
pub mod remote;
pub mod remote_word;
#[cfg(feature = "hardened")]
pub mod secret;
pub mod slots;
pub mod store;
