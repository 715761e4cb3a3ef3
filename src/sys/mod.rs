//! Floor 1: what the system gives. OS pages, sleeping on a word, a thread's end, fork, standard
//! error. Nothing here allocates, and nothing above here calls the system.

pub mod cgroup;
mod errno;
#[macro_use]
pub mod fatal;
mod file;
mod left;
pub mod purge;
mod resident;
mod room;
mod thread;
mod unix;

pub use errno::*;
pub use left::*;
pub use resident::*;
pub use room::Room;
pub use thread::*;
pub use unix::*;
