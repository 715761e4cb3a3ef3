//! A child process in the middle of everything: it verifies what it inherited, frees half of it, makes its
//! own, starts a thread, checks the sums, and ends.

use std::ffi::c_void;
use std::panic::{self, AssertUnwindSafe};
use std::time::{Duration, Instant};
use std::{io, ptr, thread};

use fastrand::Rng;

use super::blocks::Blocks;

/// A child that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(120);
const FAILED: i32 = 101;

/// Forks, and waits for the child's good end.
pub fn verify_in_a_child(blocks: &mut Blocks, seed: u64) {
    // SAFETY: what the child calls is what is under test.
    match unsafe { libc::fork() } {
        -1 => panic!("no process to be had: {}", io::Error::last_os_error()),
        0 => {
            let done = panic::catch_unwind(AssertUnwindSafe(|| live(blocks, seed)));
            // SAFETY: ends the child, without what is registered for the parent's end.
            unsafe { libc::_exit(if done.is_ok() { 0 } else { FAILED }) }
        }
        child => wait(child),
    }
}

fn live(blocks: &mut Blocks, seed: u64) {
    let mut rng = Rng::with_seed(seed);
    blocks.verify();
    blocks.thin_out(&mut rng, 2);
    blocks.act_alone(&mut rng, 1_000);
    in_a_thread(seed);
    blocks.verify();
    highwater::check();
    let explained = highwater::explain();
    assert_eq!(explained.sum(), explained.mapped, "the sum closes in a child\n{explained}");
    highwater::trim();
    blocks.verify();
}

/// Works in a thread, and waits for its end.
///
/// The system's thread, not the standard library's: that takes a lock of its own where it begins, which another
/// thread may have held at the moment of the fork.
fn in_a_thread(mut seed: u64) {
    extern "C" fn act(seed: *mut c_void) -> *mut c_void {
        // SAFETY: lives until the thread is joined.
        let seed = unsafe { *seed.cast::<u64>() };
        Blocks::default().act_alone(&mut Rng::with_seed(seed), 1_000);
        ptr::null_mut()
    }
    let mut thread = 0;
    // SAFETY: the seed outlives the thread, which is joined below.
    let refused =
        unsafe { libc::pthread_create(&raw mut thread, ptr::null(), act, (&raw mut seed).cast()) };
    assert_eq!(refused, 0, "no thread to be had");
    // SAFETY: ours, and joined once.
    assert_eq!(unsafe { libc::pthread_join(thread, ptr::null_mut()) }, 0);
}

fn wait(child: libc::pid_t) {
    let deadline = Instant::now() + PATIENCE;
    let mut status = 0;
    // SAFETY: `status` is valid for a write; the child is ours.
    while unsafe { libc::waitpid(child, &raw mut status, libc::WNOHANG) } == 0 {
        if Instant::now() > deadline {
            // SAFETY: nobody has waited for the child yet.
            unsafe { libc::kill(child, libc::SIGKILL) };
            panic!("a forked child hangs");
        }
        thread::sleep(Duration::from_micros(500));
    }
    assert_eq!(status, 0, "a forked child's wait status");
}
