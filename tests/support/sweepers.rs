//! The sweeper, as the kernel sees it: the thread that takes no signals.

use std::fs::{self, DirEntry};

/// How many threads of this process block every signal that can be blocked, but for the two that the C library keeps
/// for itself.
pub fn sweepers() -> usize {
    let all = !(1u64 << (libc::SIGKILL - 1) | 1 << (libc::SIGSTOP - 1) | 3 << 31);
    let mask = |thread: DirEntry| {
        let status = fs::read_to_string(thread.path().join("status")).ok()?;
        let mask = status.lines().find_map(|line| line.strip_prefix("SigBlk:"))?;
        u64::from_str_radix(mask.trim(), 16).ok()
    };
    let Ok(threads) = fs::read_dir("/proc/self/task") else { return 0 };
    threads.flatten().filter_map(mask).filter(|mask| mask & all == all).count()
}
