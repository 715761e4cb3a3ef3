//! What of the hardened allocator's arithmetic nobody outside the process knows: two words, chosen before
//! the first block is there, and the same in a forked child.

#![forbid(unsafe_code)]

use crate::sync::atomic::{
    AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
};
use crate::sys;

static KEY: AtomicUsize = AtomicUsize::new(0);
static FACTOR: AtomicUsize = AtomicUsize::new(0);
static TURNS: AtomicUsize = AtomicUsize::new(0);

/// Chooses the words, unless somebody has.
pub fn start() {
    // With the exchange below: whoever finds the second word finds the first.
    if FACTOR.load(Acquire) == 0 {
        // Of two threads that both come first, one sets each word, and both go on with what is there.
        let _ = KEY.compare_exchange(0, sys::random_word() | 1, Relaxed, Relaxed);
        let _ = FACTOR.compare_exchange(0, sys::random_word() | 1, Release, Acquire);
    }
}

/// What links are hidden with.
#[inline(always)]
pub fn key() -> usize {
    KEY.load(Relaxed)
}

/// A word that tells whether `at` and `what` are still those that it was made of; its high bits tell most.
#[inline(always)]
pub fn mix(at: usize, what: usize) -> usize {
    let mixed = (at ^ what.rotate_left(usize::BITS / 2) ^ key()).wrapping_mul(FACTOR.load(Relaxed));
    mixed ^ (mixed >> (usize::BITS / 2))
}

/// A number below `bound`, which is not 0 and far below 2^32.
pub fn below(bound: usize) -> usize {
    let turn = TURNS.fetch_add(1, Relaxed);
    let high = mix(mix(turn, bound), turn) >> (usize::BITS / 2);
    (high * bound) >> (usize::BITS / 2)
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::process::Command;
    use std::string::String;
    use std::{env, println};

    use super::*;

    const CHILD: &str = "SECRET_CHILD";
    const BEFORE: &str = "the words: ";

    /// Both words, as a process of its own says them.
    fn told() -> String {
        let mut child = Command::new(env::current_exe().unwrap());
        child.args([
            "--exact",
            "mem::secret::tests::two_processes_have_two_secrets",
            "--nocapture",
        ]);
        let output = child.env(CHILD, "1").output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let words = said.split(BEFORE).nth(1).and_then(|rest| rest.lines().next());
        words.unwrap_or_else(|| panic!("no words: {said}")).into()
    }

    #[test]
    fn two_processes_have_two_secrets() {
        start();
        if env::var_os(CHILD).is_some() {
            return println!("{BEFORE}{} {}", key(), FACTOR.load(Relaxed));
        }
        let (one, other) = (told(), told());
        for (one, other) in one.split(' ').zip(other.split(' ')) {
            assert_ne!(one, other);
            assert_ne!(one, "0");
        }
    }
}
