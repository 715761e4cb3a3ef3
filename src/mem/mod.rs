//! Floor 2: blocks in pools, pools in arenas, arenas in the set. Mechanism only: what to keep and
//! when to give back is said by the callers, in numbers.

pub mod arena;
pub mod arena_set;
pub mod block;
pub mod hollow;
pub mod pool;
pub mod remote;
pub mod slots;
pub mod store;
