//! A child process in the middle of everything: it verifies what it inherited, frees half of it, makes its
//! own, starts a thread, checks the sums, and ends.

use std::panic::{self, AssertUnwindSafe};
use std::time::{Duration, Instant};
use std::{io, thread};

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
    thread::spawn(move || Blocks::default().act_alone(&mut Rng::with_seed(seed), 1_000))
        .join()
        .expect("no thread panics");
    blocks.verify();
    highwater::check();
    let explained = highwater::explain();
    assert_eq!(explained.sum(), explained.mapped, "the sum closes in a child\n{explained}");
    highwater::trim();
    blocks.verify();
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
