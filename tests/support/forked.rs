//! Work in a forked child, with a watchdog that says where a child hangs. Beside `child.rs`.
#![allow(dead_code, reason = "not every test file does everything")]

use std::ffi::c_void;
use std::panic::{self, AssertUnwindSafe};
use std::ptr;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use crate::child::patience::{Patience, whereabouts};

/// A child that takes longer hangs. Seconds.
const PATIENCE_S: u64 = 20;
/// What a child leaves whose work panicked.
pub const PANICKED: i32 = 101;

/// Numbers that children share with their parent, all 0.
pub fn shared<const COUNT: usize>() -> &'static [AtomicUsize; COUNT] {
    let (access, kind) =
        (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
    // SAFETY: a fresh mapping, which stays, of as many bytes; all zero is a valid value.
    unsafe {
        let numbers =
            libc::mmap(ptr::null_mut(), size_of::<[AtomicUsize; COUNT]>(), access, kind, -1, 0);
        assert_ne!(numbers, libc::MAP_FAILED);
        &*numbers.cast()
    }
}

/// A child process that nobody has waited for yet.
pub struct Child(libc::pid_t);

/// Has a child do `work` and leave at once: with 0, or [`PANICKED`].
pub fn start(work: impl FnOnce()) -> Child {
    start_until(|| {
        let code = code_of(work);
        // SAFETY: ends the child.
        unsafe { libc::_exit(code) }
    })
}

/// Has a child do what never comes back.
pub fn start_until(work: impl FnOnce()) -> Child {
    start_or_be(work).unwrap_or_else(|| {
        // SAFETY: ends a child that should not be here.
        unsafe { libc::_exit(PANICKED) }
    })
}

/// Has a child do `work`, and then come back with nothing: it is the child.
pub fn start_or_be(work: impl FnOnce()) -> Option<Child> {
    // SAFETY: what the child calls is what is under test.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "no process to be had");
    if child > 0 {
        return Some(Child(child));
    }
    work();
    None
}

/// 0, or [`PANICKED`] if `work` does.
pub fn code_of(work: impl FnOnce()) -> i32 {
    match panic::catch_unwind(AssertUnwindSafe(work)) {
        Ok(()) => 0,
        Err(_) => PANICKED,
    }
}

/// Has `work` done by so many threads at once, each with its number, and waits until they are gone.
///
/// The system's threads, not the standard library's: that takes a lock of its own where a thread
/// starts or ends, which another thread may have held at the moment of the fork.
pub fn in_threads(count: usize, work: impl Fn(usize) + Sync) {
    in_threads_beside(count, work, || ());
}

/// As [`in_threads`], with `meanwhile` done by the calling thread.
pub fn in_threads_beside(count: usize, work: impl Fn(usize) + Sync, meanwhile: impl FnOnce()) {
    struct Errand<'a>(usize, &'a (dyn Fn(usize) + Sync));
    extern "C" fn run(errand: *mut c_void) -> *mut c_void {
        // SAFETY: lives until the thread is joined.
        let Errand(number, work) = unsafe { &*errand.cast::<Errand<'_>>() };
        work(*number);
        ptr::null_mut()
    }
    let errands: Vec<_> = (0..count).map(|number| Errand(number, &work)).collect();
    let threads: Vec<_> = errands
        .iter()
        .map(|errand| {
            let mut thread = 0;
            let errand = ptr::from_ref(errand).cast_mut().cast();
            // SAFETY: the errand outlives the thread, which is joined below.
            let refused = unsafe { libc::pthread_create(&mut thread, ptr::null(), run, errand) };
            assert_eq!(refused, 0, "no thread to be had");
            thread
        })
        .collect();
    meanwhile();
    for thread in threads {
        // SAFETY: ours, and joined once.
        assert_eq!(unsafe { libc::pthread_join(thread, ptr::null_mut()) }, 0);
    }
}

impl Child {
    /// Waits for it: what `wait` tells of its end. Killed, and told where it hung, if it takes too long.
    pub fn ended(self) -> Result<i32, String> {
        let mut patience = Patience::new(PATIENCE_S, Duration::from_micros(200));
        let mut status = 0;
        // SAFETY: `status` is valid for a write; the child is ours.
        while unsafe { libc::waitpid(self.0, &mut status, libc::WNOHANG) } == 0 {
            if !patience.nap() {
                let place = whereabouts(self.0.cast_unsigned());
                // SAFETY: a child of this process that nobody has waited for yet.
                unsafe {
                    libc::kill(self.0, libc::SIGKILL);
                    libc::waitpid(self.0, &mut status, 0);
                }
                return Err(format!("the child hangs\n{place}"));
            }
        }
        Ok(status)
    }

    /// Waits for it: it must leave with 0.
    pub fn must_end_well(self) -> Result<(), String> {
        match self.ended()? {
            0 => Ok(()),
            status if libc::WIFSIGNALED(status) => {
                Err(format!("the child was ended by signal {}", libc::WTERMSIG(status)))
            }
            status => Err(format!("the child's exit code is {}", libc::WEXITSTATUS(status))),
        }
    }
}
