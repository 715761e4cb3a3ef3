//! The C library's error number, which belongs to the program: what gives memory back leaves it alone.

use core::ffi::c_int;

/// Restores the error number when it goes.
pub struct KeptErrno(c_int);

/// Keeps the error number as it is for as long as the result lives.
pub fn keep_errno() -> KeptErrno {
    // SAFETY: the calling thread's own word.
    KeptErrno(unsafe { *place() })
}

impl Drop for KeptErrno {
    fn drop(&mut self) {
        set_errno(self.0);
    }
}

/// The calling thread's error number.
#[cfg(target_os = "linux")]
pub fn errno() -> c_int {
    // SAFETY: the calling thread's own word.
    unsafe { *place() }
}

/// Sets the calling thread's error number.
pub fn set_errno(code: c_int) {
    // SAFETY: the calling thread's own word.
    unsafe { *place() = code };
}

fn place() -> *mut c_int {
    // SAFETY: no arguments; the word exists as long as the thread.
    #[cfg(target_os = "linux")]
    return unsafe { libc::__errno_location() };
    // SAFETY: as above.
    #[cfg(not(target_os = "linux"))]
    return unsafe { libc::__error() };
}
