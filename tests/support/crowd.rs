//! Threads that are waited for, and blocks that show if another was written over them.

use std::alloc::{GlobalAlloc, Layout};
use std::sync::{Mutex, PoisonError};
use std::thread;

use highwater::{Highwater, Retention};

static HIGHWATER: Highwater = Highwater::new();

/// Runs `work` while no other test does: counts are the process's. Begins and ends with nothing
/// live, and with a sound heap.
pub fn serially(rung: Retention, work: impl FnOnce() + Send) {
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let before = highwater::stats().live_bytes;
    highwater::set_retention(rung);
    let ended = thread::scope(|scope| scope.spawn(work).join());
    if let Err(panic) = ended {
        std::panic::resume_unwind(panic);
    }
    assert_eq!(highwater::stats().live_bytes, before, "nothing stays live");
    assert_sound();
    highwater::trim();
}

#[track_caller]
pub fn assert_sound() {
    highwater::check();
    let explained = highwater::explain();
    assert_eq!(explained.sum(), explained.mapped, "{explained}");
}

/// Runs `work` for every part on a thread of its own, and waits until the threads are gone, which a
/// scope by itself does not: what they held back is counted then.
pub fn on_threads<T: Send, R: Send>(
    parts: impl IntoIterator<Item = T>,
    work: impl Fn(T) -> R + Sync,
) -> Vec<R> {
    let work = &work;
    thread::scope(|scope| {
        let spawn = |part| scope.spawn(move || work(part));
        let threads: Vec<_> = parts.into_iter().map(spawn).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// A block that knows its size and verifies its bytes when it goes.
pub struct Block {
    at: *mut u8,
    pub size: usize,
}

// SAFETY: the block goes with its owner.
unsafe impl Send for Block {}

impl Block {
    /// From here on only the ends of a block are written and verified.
    const ENDS: usize = 64;

    pub fn new(size: usize) -> Self {
        // SAFETY: not of size 0.
        let at = unsafe { HIGHWATER.alloc(Self::layout(size)) };
        assert!(!at.is_null());
        let mut block = Block { at, size };
        let mark = block.mark();
        block.ends().into_iter().for_each(|end| end.fill(mark));
        block
    }

    fn layout(size: usize) -> Layout {
        Layout::from_size_align(size, 8).unwrap()
    }

    /// Differs between neighbours, so that one overwriting another shows.
    fn mark(&self) -> u8 {
        (self.at.addr() / 8) as u8 ^ self.size as u8
    }

    fn ends(&mut self) -> [&mut [u8]; 2] {
        let first = self.size.min(Self::ENDS);
        let last = (self.size - first).min(Self::ENDS);
        // SAFETY: two parts of the block that do not overlap.
        unsafe {
            let behind = self.at.add(self.size - last);
            [
                std::slice::from_raw_parts_mut(self.at, first),
                std::slice::from_raw_parts_mut(behind, last),
            ]
        }
    }

    #[allow(dead_code, reason = "not every test file looks before it drops")]
    pub fn assert_intact(&mut self) {
        let (mark, size) = (self.mark(), self.size);
        for end in self.ends() {
            assert!(end.iter().all(|&byte| byte == mark), "{size} bytes");
        }
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        self.assert_intact();
        // SAFETY: a live block with its layout.
        unsafe { HIGHWATER.dealloc(self.at, Self::layout(self.size)) };
    }
}
