//! The C library's lock of the list of its streams, around a fork, where it calls us for memory.
//!
//! A thread that flushes all streams holds that lock and waits for a stream; a thread that reads from
//! this stream holds it and may wait for a lock of ours. glibc's own fork takes its lock of the list after
//! the hooks, and so after our locks: a circle. So the list's lock, which a thread can take twice, is taken
//! before ours.

#[cfg(all(feature = "malloc", target_env = "gnu"))]
mod glibc {
    unsafe extern "C" {
        fn _IO_list_lock();
        fn _IO_list_unlock();
        fn _IO_list_resetlock();
    }

    pub fn lock() {
        // SAFETY: no arguments; the calling thread unlocks it.
        unsafe { _IO_list_lock() };
    }

    /// # Safety
    ///
    /// The calling thread called [`lock`].
    pub unsafe fn unlock() {
        // SAFETY: the caller's contract.
        unsafe { _IO_list_unlock() };
    }

    pub fn reset_in_child() {
        // SAFETY: no arguments; no other thread is there.
        unsafe { _IO_list_resetlock() };
    }
}

/// Before a fork's own locks.
pub fn lock_streams_for_fork() {
    #[cfg(all(feature = "malloc", target_env = "gnu"))]
    glibc::lock();
}

/// In the parent.
///
/// # Safety
///
/// The calling thread called [`lock_streams_for_fork`].
pub unsafe fn unlock_streams_after_fork() {
    #[cfg(all(feature = "malloc", target_env = "gnu"))]
    // SAFETY: the caller's contract.
    unsafe {
        glibc::unlock()
    };
}

/// In the child: glibc has let the lock go already if its process had several threads, and not else.
pub fn forget_streams_in_child() {
    #[cfg(all(feature = "malloc", target_env = "gnu"))]
    glibc::reset_in_child();
}
