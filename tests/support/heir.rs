//! A forked child, which inherits its parent's heap: what it must be able to do with it, and how it ends.

use std::ptr;
use std::sync::Mutex;

use super::forked::{self};

/// How a child ends.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum End {
    /// `_exit`: nothing of the process's end happens.
    AtOnce,
    /// `exit`: what is registered for the end happens.
    Ordinary,
    /// The thread that forked, the only one, returns.
    Return,
    /// `abort`.
    Abort,
    /// By a signal that is not handled.
    Signal,
    /// It becomes another program.
    Exec,
}

impl End {
    pub const ALL: [End; 6] =
        [End::AtOnce, End::Ordinary, End::Return, End::Abort, End::Signal, End::Exec];

    /// Ends the process in this way; comes back for [`End::Return`] only.
    fn come(self, code: i32) {
        // SAFETY: ends the process.
        unsafe {
            match self {
                _ if code != 0 => libc::_exit(code),
                End::AtOnce => libc::_exit(0),
                End::Ordinary => libc::exit(0),
                End::Return => {}
                End::Abort => libc::abort(),
                End::Signal => {
                    libc::raise(libc::SIGTERM);
                }
                End::Exec => {
                    let (path, name) = (c"/bin/true".as_ptr(), c"true".as_ptr());
                    libc::execl(path, name, ptr::null::<libc::c_char>());
                    libc::_exit(forked::PANICKED);
                }
            }
        }
    }

    /// What a process leaves that ended in this way.
    fn status(self) -> i32 {
        match self {
            End::Abort => libc::SIGABRT,
            End::Signal => libc::SIGTERM,
            _ => 0,
        }
    }
}

/// Runs `work` in a forked child and waits for it.
#[track_caller]
pub fn forked(end: End, work: impl FnOnce()) {
    let child = forked::start_until(|| end.come(forked::code_of(work)));
    let status = child.ended().unwrap_or_else(|hung| panic!("{end:?}: {hung}"));
    assert_eq!(status, end.status(), "{end:?}: the child's status is {status:#x}");
}

/// As [`forked`], by a thread of its own, which returns in the child.
#[track_caller]
pub fn forked_and_returned(work: impl FnOnce() + Send) {
    let (work, ended) = (Mutex::new(Some(work)), Mutex::new(Ok(0)));
    forked::in_threads(1, |_| {
        let work = work.lock().unwrap().take().expect("one thread");
        if let Some(child) = forked::start_or_be(|| End::Return.come(forked::code_of(work))) {
            *ended.lock().unwrap() = child.ended();
        }
    });
    assert_eq!(ended.into_inner().unwrap(), Ok(0), "the child that returned");
}

pub const LENGTHS: [usize; 9] = [8, 24, 100, 640, 1000, 5000, 30_000, 100_000, 600_000];

/// Blocks of every kind, filled.
pub fn load(seed: u8, count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|number| vec![seed; LENGTHS[number % LENGTHS.len()]]).collect()
}

#[track_caller]
pub fn assert_intact(load: &[Vec<u8>], seed: u8) {
    for bytes in load {
        assert!(*bytes == vec![seed; bytes.len()], "{} bytes", bytes.len());
    }
}

/// For a process in which no other thread is at work.
#[track_caller]
pub fn assert_sound() {
    highwater::check();
    let explained = highwater::explain();
    assert_eq!(explained.sum(), explained.mapped, "the sum closes\n{explained}");
    assert_eq!(explained.large, highwater::stats().large_bytes, "large bytes");
}

/// For a child, in which no other thread can hold back what it has counted.
#[track_caller]
pub fn assert_exact() {
    assert_sound();
    let explained = highwater::explain();
    let stats = highwater::stats();
    let small: usize = stats.classes().map(|class| class.blocks_live * class.block_size).sum();
    assert_eq!(small + stats.large_bytes, stats.live_bytes, "live bytes by class");
    assert_eq!(explained.live, small, "live small blocks by walk");
}

/// What a child of any process must be able to do.
pub fn live_on(inherited: Vec<Vec<u8>>, seed: u8) {
    assert_exact();
    assert_intact(&inherited, seed);
    let own = load(seed ^ 0xFF, 30);
    drop(inherited);
    assert_intact(&own, seed ^ 0xFF);
    let loads = [const { Mutex::new(Vec::new()) }; 2];
    forked::in_threads(2, |number| {
        *loads[number].lock().unwrap() = load(number as u8, 30);
        // The heap may be one that was adopted.
        highwater::check();
    });
    for (number, load) in loads.into_iter().enumerate() {
        assert_intact(&load.into_inner().unwrap(), number as u8);
    }
    assert_intact(&own, seed ^ 0xFF);
    drop(own);
    highwater::trim();
    assert_exact();
}
