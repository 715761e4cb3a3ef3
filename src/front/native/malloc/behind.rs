//! The libraries behind this one, in which a name of ours means what it would mean without us.

use core::ffi::{CStr, c_void};

/// The function of this name there; null if there is none.
pub fn function(name: &CStr) -> *mut c_void {
    // SAFETY: a string that ends in a zero.
    unsafe { libc::dlsym(libc::RTLD_NEXT, name.as_ptr()) }
}
