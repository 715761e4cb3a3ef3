//! Signals: a handler that interrupts the allocator, at any moment, does no harm as long as it neither
//! allocates nor frees nor asks the allocator anything. What is promised stands in `docs/trust.md`.
#![cfg(target_os = "linux")]

#[path = "support/child.rs"]
mod child;
#[path = "support/forked.rs"]
mod forked;
#[path = "support/sweepers.rs"]
mod sweepers;

use std::cell::Cell;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use child::alone;
use highwater::{Highwater, Retention};
use sweepers::sweepers;

#[global_allocator]
static GLOBAL: Highwater = Highwater::new();

const WORKERS: usize = 4;
/// Signals that must have arrived inside the allocator.
const HITS: usize = if cfg!(debug_assertions) { 500 } else { 2000 };
/// By then they have, or the test fails.
const PATIENCE: Duration = Duration::from_secs(60);

thread_local! {
    /// The thread is between its call of the allocator and the return.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

static ARRIVED: AtomicUsize = AtomicUsize::new(0);
static ARRIVED_INSIDE: AtomicUsize = AtomicUsize::new(0);
static NOTED: AtomicU64 = AtomicU64::new(0);
/// The writing end of a pipe.
static PIPE: AtomicI32 = AtomicI32::new(-1);
/// A block of the allocator's, for the handler to use.
static BLOCK: AtomicUsize = AtomicUsize::new(0);
const BLOCK_BYTES: usize = 3000;

/// What a handler may do: write to memory that it was given, make system calls that are allowed in
/// one, keep the error number.
extern "C" fn handler(_: i32, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: async-signal-safe calls; the block is this handler's, and its bytes are atomics; the context
    // is the interrupted thread's.
    unsafe {
        let errno = *libc::__errno_location();
        // The system's first choice for what is sent to a process is its first thread, which here only
        // waits: from now on the others have it.
        if libc::gettid() == libc::getpid() {
            let context = &mut *context.cast::<libc::ucontext_t>();
            libc::sigaddset(&mut context.uc_sigmask, libc::SIGALRM);
        }
        ARRIVED.fetch_add(1, Relaxed);
        if INSIDE.try_with(Cell::get).unwrap_or(false) {
            ARRIVED_INSIDE.fetch_add(1, Relaxed);
        }
        let block = BLOCK.load(Relaxed) as *mut u8;
        if !block.is_null() {
            for place in (0..BLOCK_BYTES).step_by(64) {
                let cell = &*block.add(place / 8 * 8).cast::<AtomicU64>();
                cell.fetch_add(1, Relaxed);
            }
        }
        let mut time: libc::timespec = std::mem::zeroed();
        libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time);
        NOTED.fetch_xor(time.tv_nsec as u64, Relaxed);
        libc::write(PIPE.load(Relaxed), c"x".as_ptr().cast(), 1);
        *libc::__errno_location() = errno;
    }
}

fn handle(signal: i32, flags: i32) {
    // SAFETY: a handler that only does what handlers may do.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        let handler: extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void) = handler;
        action.sa_sigaction = handler as usize;
        action.sa_flags = flags | libc::SA_SIGINFO;
        assert_eq!(libc::sigaction(signal, &action, ptr::null_mut()), 0);
    }
}

/// A pipe for the handler that never blocks: what does not fit is lost.
fn open_pipe() {
    let mut ends = [0; 2];
    // SAFETY: room for two.
    assert_eq!(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_NONBLOCK) }, 0);
    PIPE.store(ends[1], Relaxed);
}

/// Calls the allocator, and lets handlers know.
fn inside<R>(work: impl FnOnce() -> R) -> R {
    INSIDE.set(true);
    let result = work();
    INSIDE.set(false);
    result
}

const LENGTHS: [usize; 8] = [8, 24, 200, 1000, 5000, 30_000, 100_000, 700_000];

/// Allocates, grows, frees and looks at what was written, until told to stop. Blocks pass between the
/// threads through `shelf`, so that remote frees are interrupted too.
fn churn(seed: u64, stop: &AtomicBool, shelf: &Mutex<Vec<Vec<u8>>>) {
    let mut random = (seed + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut held: Vec<Vec<u8>> = Vec::new();
    while !stop.load(Relaxed) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let kind = [0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 1, 2, 0, 6, 7, 1][random as usize % 16];
        let (length, fill) = (LENGTHS[kind], (random >> 8) as u8);
        let mut block = inside(|| Vec::with_capacity(length));
        block.resize(length.min(4000), fill);
        if random.is_multiple_of(7) {
            inside(|| block.reserve_exact(2 * length));
        }
        assert!(block.iter().all(|&byte| byte == fill), "a block keeps its bytes");
        held.push(block);
        if held.len() > 100 {
            let block = held.swap_remove((random >> 20) as usize % 100);
            assert!(block.iter().all(|&byte| byte == block[0]), "a block keeps its bytes");
            let mut shelf = shelf.lock().unwrap();
            shelf.push(block);
            let other = if shelf.len() > 50 { Some(shelf.swap_remove(0)) } else { None };
            drop(shelf);
            inside(|| drop(other));
        }
    }
}

/// Has threads at work while `disturb` is called, again and again with their ids, until as many signals
/// as `wanted` arrived inside the allocator.
fn disturbed(wanted: usize, mut disturb: impl FnMut(&[libc::pthread_t])) {
    open_pipe();
    BLOCK.store(
        Vec::<u64>::with_capacity(BLOCK_BYTES / 8 + 1).leak().as_mut_ptr() as usize,
        Relaxed,
    );
    let (stop, shelf) = (AtomicBool::new(false), Mutex::new(Vec::new()));
    let begun = Instant::now();
    thread::scope(|scope| {
        let (give, take) = mpsc::channel();
        let workers: Vec<_> = (0..WORKERS)
            .map(|seed| {
                let (stop, shelf, give) = (&stop, &shelf, give.clone());
                scope.spawn(move || {
                    // SAFETY: no arguments.
                    give.send(unsafe { libc::pthread_self() }).unwrap();
                    churn(seed as u64, stop, shelf);
                })
            })
            .collect();
        let threads: Vec<_> = (0..WORKERS).map(|_| take.recv().unwrap()).collect();
        block(libc::SIGALRM);
        while ARRIVED_INSIDE.load(Relaxed) < wanted && begun.elapsed() < PATIENCE {
            disturb(&threads);
        }
        stop.store(true, Relaxed);
        workers.into_iter().for_each(|worker| worker.join().unwrap());
    });
    drop(shelf);
    let (arrived, hits) = (ARRIVED.load(Relaxed), ARRIVED_INSIDE.load(Relaxed));
    println!("{arrived} signals, {hits} inside the allocator");
    assert!(hits >= wanted, "{hits} of {arrived} signals arrived inside the allocator");
    assert_sound();
}

#[track_caller]
fn assert_sound() {
    highwater::check();
    let explained = highwater::explain();
    assert_eq!(explained.sum(), explained.mapped, "the sum closes\n{explained}");
}

/// Has the process's other threads handle a signal.
fn block(signal: i32) {
    // SAFETY: a set that is initialised before it is used.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        libc::sigaddset(&mut set, signal);
        assert_eq!(libc::pthread_sigmask(libc::SIG_BLOCK, &set, ptr::null_mut()), 0);
    }
}

fn send(threads: &[libc::pthread_t], signal: i32) {
    for &thread in threads {
        // SAFETY: a thread that is joined later.
        assert_eq!(unsafe { libc::pthread_kill(thread, signal) }, 0);
    }
}

#[test]
fn handlers_that_interrupt_the_allocator_do_no_harm() {
    alone(|| {
        handle(libc::SIGUSR1, libc::SA_RESTART);
        disturbed(HITS, |threads| {
            send(threads, libc::SIGUSR1);
            thread::sleep(Duration::from_micros(50));
        });
    });
}

#[test]
fn handlers_that_interrupt_system_calls_do_no_harm() {
    alone(|| {
        // No call is restarted: sleeping on a lock ends early.
        handle(libc::SIGUSR1, 0);
        // Everything goes through locks and the system.
        highwater::set_retention(Retention::ReturnArenas);
        disturbed(HITS, |threads| {
            send(threads, libc::SIGUSR1);
            thread::sleep(Duration::from_micros(50));
        });
    });
}

#[test]
fn a_timer_of_the_process_does_no_harm() {
    alone(|| {
        handle(libc::SIGALRM, libc::SA_RESTART);
        let every = libc::timeval { tv_sec: 0, tv_usec: 100 };
        let timer = libc::itimerval { it_interval: every, it_value: every };
        // SAFETY: a valid timer.
        unsafe { assert_eq!(libc::setitimer(libc::ITIMER_REAL, &timer, ptr::null_mut()), 0) };
        // Most find the threads elsewhere, or each other.
        disturbed(HITS / 10, |_| thread::sleep(Duration::from_millis(5)));
    });
}

#[test]
fn a_process_that_is_stopped_and_goes_on_is_not_harmed() {
    alone(|| {
        handle(libc::SIGUSR1, 0);
        // SAFETY: no arguments.
        let watched = unsafe { libc::getpid() };
        let stopper = forked::start(|| {
            for _ in 0..300 {
                for signal in [libc::SIGSTOP, libc::SIGCONT] {
                    // SAFETY: the parent, which waits for this process and so is there.
                    unsafe { libc::kill(watched, signal) };
                    // SAFETY: a valid time.
                    unsafe { libc::usleep(500) };
                }
            }
        });
        disturbed(HITS, |threads| {
            send(threads, libc::SIGUSR1);
            thread::sleep(Duration::from_micros(200));
        });
        stopper.must_end_well().unwrap();
    });
}

/// The program's handlers are for its own threads.
#[test]
fn no_signal_is_handled_on_the_sweepers_thread() {
    alone(|| {
        drop((0..2000).map(|_| vec![1u8; 4000]).collect::<Vec<_>>());
        assert!(sweepers() > 0, "no thread blocks all signals");
    });
}
