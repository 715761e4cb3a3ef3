//! How long to wait for another process, and where it is when that is too long.

use std::fs;
use std::thread;
use std::time::Duration;

/// What is left of a wait. Counts its own naps, not the clock: where a whole machine stands still for minutes, as
/// virtual ones do, a process did not have that time.
pub struct Patience {
    left: Duration,
    nap: Duration,
}

impl Patience {
    /// For `seconds`, with a look each `nap`.
    pub fn new(seconds: u64, nap: Duration) -> Self {
        Self { left: Duration::from_secs(seconds), nap }
    }

    /// Naps once; false if nothing is left.
    pub fn nap(&mut self) -> bool {
        thread::sleep(self.nap);
        self.left = self.left.saturating_sub(self.nap);
        !self.left.is_zero()
    }
}

/// Where each thread of a process is, as the kernel tells: its name, its state, its time on a processor, what it waits
/// for and the system call that it is in.
pub fn whereabouts(process: u32) -> String {
    let read = |path: String| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    let Ok(threads) = fs::read_dir(format!("/proc/{process}/task")) else {
        return String::new();
    };
    let lines = threads.flatten().map(|thread| {
        let folder = thread.path().display().to_string();
        let status = read(format!("{folder}/status"));
        let state = status.lines().find(|line| line.starts_with("State:")).unwrap_or_default();
        let [name, ran, channel, call] =
            ["comm", "schedstat", "wchan", "syscall"].map(|file| read(format!("{folder}/{file}")));
        let ran = ran.split(' ').next().unwrap_or_default();
        format!("  {name}: {state}, ran {ran} ns, waits in {channel}, system call {call}\n")
    });
    lines.collect()
}
