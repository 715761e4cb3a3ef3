//! Floor 1: what the system gives. OS pages, sleeping on a word, a thread's end, fork, standard
//! error. Nothing here allocates, and nothing above here calls the system.

pub mod cgroup;
mod errno;
#[macro_use]
pub mod fatal;
pub mod file;
#[cfg_attr(feature = "hardened", path = "guard_hardened.rs")]
pub mod guard;
pub mod huge;
mod left;
#[cfg_attr(highwater_asan, path = "poison_asan.rs")]
pub mod poison;
pub mod purge;
#[cfg(feature = "hardened")]
mod random;
mod resident;
mod room;
#[cfg(feature = "hardened")]
pub mod stops;
mod streams;
mod thread;
mod unix;

pub use errno::*;
pub use left::*;
#[cfg(feature = "hardened")]
pub use random::random_word;
pub use resident::*;
pub use room::Room;
pub use streams::*;
pub use thread::*;
pub use unix::*;
