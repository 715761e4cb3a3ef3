//! What is done when the object is loaded, before the program runs.
//!
//! The hooks around a fork must be the first of the process: those that were asked for later run while
//! the allocator's locks are free, and may allocate. The shared object asks the loader to start it before
//! all others. In an executable, which starts last, the first allocation asks for the hooks.

use crate::heap::fork;

#[used]
#[unsafe(link_section = ".init_array")]
static START: extern "C" fn() = start;

extern "C" fn start() {
    fork::start_once();
}
