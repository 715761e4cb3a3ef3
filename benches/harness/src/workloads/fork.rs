//! A process with a large heap forks a worker: how many OS pages does the worker come to own?
//!
//! After a fork both processes share every page until one writes to it. Reading writes nothing (Rust counts
//! no references in a value); freeing writes whatever the allocator keeps inside blocks; allocating writes
//! the new values. A daemon with a hundred workers pays each of those pages a hundred times.
//!
//! The heap is two lists made in turns, so that dropping one frees every second block, and the lists
//! themselves are not written to.

use std::hint::black_box;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::mem;
use std::panic::{self, AssertUnwindSafe};

use super::record::letters;
use crate::Result;
use crate::kernel::{self, Memory};
use crate::lines;
use crate::stage::Stage;

pub fn run(stage: &mut Stage) -> Result<()> {
    let count = stage.count(500_000);
    lines! { stage;
        let (kept, mut freed) = made_in_turns(count);
        let owned = forked(|| work(&kept, mem::take(&mut freed)))?;
        drop(freed);
        drop(kept);
    }
    stage.idle(0);
    let [at_fork, after_reading, after_freeing, after_allocating] =
        owned.map(|bytes| bytes / kernel::os_page_bytes());
    let known = after_allocating > 0;
    for (name, before, after) in [
        ("reading all strings", at_fork, after_reading),
        ("freeing every second", after_reading, after_freeing),
        ("allocating as many again", after_freeing, after_allocating),
    ] {
        stage.figure(name, known.then(|| after.saturating_sub(before) as f64));
    }
    Ok(())
}

/// Two lists of strings, one string of each in turn.
fn made_in_turns(count: u64) -> (Vec<String>, Vec<String>) {
    (0..count).map(|index| (letters(index), letters(!index))).unzip()
}

/// Private bytes of the process: at the fork, after reading, after freeing, after allocating.
type Owned = [u64; 4];

/// What the worker does, in the forked process.
fn work(kept: &[String], freed: Vec<String>) -> Owned {
    let memory = Memory::open();
    let owned = || memory.private_dirty_bytes().unwrap_or(0);
    let count = freed.len();
    let at_fork = owned();
    black_box(kept.iter().chain(&freed).map(|text| usize::from(text.as_bytes()[0])).sum::<usize>());
    let after_reading = owned();
    drop(freed);
    let after_freeing = owned();
    let again: Vec<String> = (0..count as u64).map(letters).collect();
    let after_allocating = owned();
    black_box(&again);
    [at_fork, after_reading, after_freeing, after_allocating]
}

/// Runs `work` in a forked process, and waits for its answer and its end.
fn forked(work: impl FnOnce() -> Owned) -> Result<Owned> {
    let (answer, teller) = io::pipe()?;
    // SAFETY: this process has one thread, so that no lock is held by a thread the worker lacks.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error().into()),
        0 => {
            drop(answer);
            let told = panic::catch_unwind(AssertUnwindSafe(|| tell(teller, work())));
            let code = if matches!(told, Ok(Ok(()))) { 0 } else { 1 };
            // SAFETY: ends the worker here; nothing of the first process is run or flushed twice.
            unsafe { libc::_exit(code) }
        }
        worker => {
            drop(teller);
            let heard = hear(answer);
            wait(worker)?;
            Ok(heard?)
        }
    }
}

fn tell(mut teller: PipeWriter, owned: Owned) -> io::Result<()> {
    owned.iter().try_for_each(|bytes| teller.write_all(&bytes.to_ne_bytes()))
}

fn hear(mut answer: PipeReader) -> io::Result<Owned> {
    let mut owned = Owned::default();
    for bytes in &mut owned {
        let mut buffer = [0; 8];
        answer.read_exact(&mut buffer)?;
        *bytes = u64::from_ne_bytes(buffer);
    }
    Ok(owned)
}

fn wait(worker: libc::pid_t) -> Result<()> {
    let mut status = 0;
    // SAFETY: `status` is valid for one write, and `worker` is this process's child.
    if unsafe { libc::waitpid(worker, &raw mut status, 0) } != worker {
        return Err(io::Error::last_os_error().into());
    }
    if status != 0 {
        return Err(format!("the forked worker failed (wait status {status:#x})").into());
    }
    Ok(())
}
