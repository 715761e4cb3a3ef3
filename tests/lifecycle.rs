//! The edges of a thread's and of a process's life: before `main`, after it, in the destructors of
//! thread-locals and of pthread keys, and threads whose first call is not an allocation.
//!
//! The test program runs on the allocator that it tests.

#![cfg(unix)]

#[path = "support/child.rs"]
mod child;

use std::alloc::{GlobalAlloc, Layout};
use std::cell::RefCell;
use std::ffi::c_void;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Mutex, mpsc};
use std::thread;

use child::{alone, alone_with};
use highwater::Highwater;

#[global_allocator]
static GLOBAL: Highwater = Highwater::new();

/// A collection of some size classes, a span and a large block, whose bytes can be verified.
#[derive(Clone)]
struct Load(Vec<Vec<u8>>);

const LENGTHS: [usize; 8] = [1, 24, 100, 1000, 5000, 30_000, 100_000, 700_000];

impl Load {
    fn new(seed: u8) -> Self {
        Load(LENGTHS.iter().map(|&length| vec![seed ^ length as u8; length]).collect())
    }

    #[track_caller]
    fn assert_intact(&self, seed: u8) {
        for (bytes, length) in self.0.iter().zip(LENGTHS) {
            assert!(*bytes == vec![seed ^ length as u8; length], "{length} bytes");
        }
    }
}

// ---------------------------------------------------------------------------------------------
// Before and after main.
// ---------------------------------------------------------------------------------------------

static BEFORE_MAIN: Mutex<Option<Load>> = Mutex::new(None);

extern "C" fn before_main() {
    let load = Load::new(1);
    drop(Load::new(2));
    *BEFORE_MAIN.lock().unwrap() = Some(load);
}

#[used]
#[cfg_attr(target_os = "macos", unsafe(link_section = "__DATA,__mod_init_func"))]
#[cfg_attr(not(target_os = "macos"), unsafe(link_section = ".init_array"))]
static INIT: extern "C" fn() = before_main;

#[test]
fn what_was_allocated_before_main_lives_on_in_it() {
    alone(|| {
        let load = BEFORE_MAIN.lock().unwrap().take().expect("the hook ran before main");
        load.assert_intact(1);
        let copy = load.clone();
        thread::spawn(move || drop(load)).join().unwrap();
        copy.assert_intact(1);
        highwater::check();
    });
}

extern "C" fn after_main() {
    let load = Load::new(3);
    load.assert_intact(3);
    if let Ok(Some(load)) = BEFORE_MAIN.lock().map(|mut kept| kept.take()) {
        load.assert_intact(1);
    }
    let thread = thread::Builder::new().spawn(|| Load::new(4));
    thread.unwrap().join().unwrap().assert_intact(4);
    highwater::check();
    let explained = highwater::explain();
    assert_eq!(explained.sum(), explained.mapped);
    eprintln!("the end of the hook after main");
}

#[test]
fn the_allocator_works_after_main_has_returned() {
    let ended = alone_with(&[], || {
        // SAFETY: a plain function. A panic in it ends the process, and the test.
        assert_eq!(unsafe { libc::atexit(after_main) }, 0);
    });
    if let Some(ended) = ended {
        assert_eq!(ended.stderr.matches("the end of the hook after main").count(), 1);
    }
}

#[test]
fn the_first_thread_has_a_heap_of_its_own() {
    alone(|| {
        // Were it without one, its frees would wait for another thread to take them in.
        drop(vec![Box::new(1u64); 1000]);
        assert_eq!(highwater::explain().waiting, 0);
        let boxed = Box::new(2u64);
        let first = ptr::from_ref(&*boxed).addr();
        drop(boxed);
        let next = [Box::new(3u64), Box::new(4u64)].map(|boxed| ptr::from_ref(&*boxed).addr());
        // `hardened` puts a block first or second, at random.
        let last_freed_first_used =
            next[..1 + usize::from(cfg!(feature = "hardened"))].contains(&first);
        assert!(last_freed_first_used, "{next:x?}, freed: {first:x}");
    });
}

// ---------------------------------------------------------------------------------------------
// Destructors of thread-locals.
// ---------------------------------------------------------------------------------------------

static DESTROYED: AtomicUsize = AtomicUsize::new(0);

/// Allocates and frees in its destructor; frees what other threads gave it; starts a thread.
struct Last {
    own: Load,
    foreign: Load,
}

impl Drop for Last {
    fn drop(&mut self) {
        self.own.assert_intact(5);
        self.foreign.assert_intact(6);
        self.foreign.0.clear();
        let fresh = Load::new(7);
        let theirs = thread::spawn(|| Load::new(8)).join().unwrap();
        theirs.assert_intact(8);
        drop(theirs);
        LATER.with(|later| later.borrow_mut().push(Load::new(9)));
        fresh.assert_intact(7);
        self.own.assert_intact(5);
        DESTROYED.fetch_add(1, SeqCst);
    }
}

/// Comes to life in another's destructor.
struct Later(Vec<Load>);

impl Later {
    fn push(&mut self, load: Load) {
        self.0.push(load);
    }
}

impl Drop for Later {
    fn drop(&mut self) {
        self.0.drain(..).for_each(|load| load.assert_intact(9));
        DESTROYED.fetch_add(1, SeqCst);
    }
}

thread_local! {
    static LAST: RefCell<Option<Last>> = const { RefCell::new(None) };
    static LATER: RefCell<Later> = const { RefCell::new(Later(Vec::new())) };
}

#[test]
fn destructors_of_thread_locals_allocate_free_and_start_threads() {
    alone(|| {
        for round in 1..=20 {
            let foreign = Load::new(6);
            let thread = thread::spawn(move || {
                let last = Last { own: Load::new(5), foreign };
                LAST.with(|slot| *slot.borrow_mut() = Some(last));
            });
            thread.join().unwrap();
            assert_eq!(DESTROYED.load(SeqCst), 2 * round);
        }
        highwater::check();
        let explained = highwater::explain();
        assert_eq!(explained.sum(), explained.mapped, "{explained}");
    });
}

// ---------------------------------------------------------------------------------------------
// Destructors of pthread keys: later than thread-locals', and later than the allocator's own hook.
// ---------------------------------------------------------------------------------------------

/// Rounds in which the system calls destructors again if the value was set anew.
const ROUNDS: usize = 3;
static ROUNDS_SEEN: AtomicUsize = AtomicUsize::new(0);
static KEY: AtomicUsize = AtomicUsize::new(0);

/// What a thread leaves to the destructor of its key.
struct Bequest {
    own: Load,
    foreign: Load,
    rounds_left: usize,
}

unsafe extern "C" fn bequeathed(value: *mut c_void) {
    // SAFETY: the value that `bequeath` or a round before set, a box given up.
    let mut bequest = unsafe { Box::from_raw(value.cast::<Bequest>()) };
    bequest.own.assert_intact(10);
    bequest.foreign.assert_intact(11);
    // Every block is another by now: allocated after the thread gave its heap up.
    bequest.own = Load::new(10);
    bequest.foreign = bequest.foreign.clone();
    let mut growing = Vec::new();
    (0..3000).for_each(|number| growing.push(number));
    assert!(growing.iter().copied().eq(0..3000));
    ROUNDS_SEEN.fetch_add(1, SeqCst);
    bequest.rounds_left -= 1;
    if bequest.rounds_left > 0 {
        bequeath(bequest);
    }
}

fn bequeath(bequest: Box<Bequest>) {
    let key = KEY.load(SeqCst) as libc::pthread_key_t;
    // SAFETY: the key was made, and its destructor takes a box.
    let refused = unsafe { libc::pthread_setspecific(key, Box::into_raw(bequest).cast()) };
    assert_eq!(refused, 0);
}

#[test]
fn destructors_of_pthread_keys_allocate_and_free_over_several_rounds() {
    alone(|| {
        // Made after the allocator's own, so that its destructors run after the allocator's hook.
        let mut key = 0;
        // SAFETY: `key` is valid for a write.
        assert_eq!(unsafe { libc::pthread_key_create(&mut key, Some(bequeathed)) }, 0);
        KEY.store(key as usize, SeqCst);
        for threads in 1..=20 {
            let foreign = Load::new(11);
            let thread = thread::spawn(move || {
                bequeath(Box::new(Bequest { own: Load::new(10), foreign, rounds_left: ROUNDS }));
            });
            thread.join().unwrap();
            assert_eq!(ROUNDS_SEEN.load(SeqCst), threads * ROUNDS);
        }
        highwater::check();
        let explained = highwater::explain();
        assert_eq!(explained.sum(), explained.mapped, "{explained}");
    });
}

#[test]
fn memory_does_not_grow_with_threads_that_allocate_in_late_destructors() {
    alone(|| {
        let mut key = 0;
        // SAFETY: `key` is valid for a write.
        assert_eq!(unsafe { libc::pthread_key_create(&mut key, Some(bequeathed)) }, 0);
        KEY.store(key as usize, SeqCst);
        let mut mapped = Vec::new();
        for _ in 0..200 {
            thread::spawn(|| {
                let (own, foreign) = (Load::new(10), Load::new(11));
                bequeath(Box::new(Bequest { own, foreign, rounds_left: ROUNDS }));
            })
            .join()
            .unwrap();
            mapped.push(highwater::stats().mapped_bytes);
        }
        let (early, late) = (mapped[20], mapped[199]);
        assert!(late <= early + (3 << 20), "{early} after 20 threads, {late} after 200");
    });
}

// ---------------------------------------------------------------------------------------------
// First calls.
// ---------------------------------------------------------------------------------------------

/// A block on its way to a thread that has no heap. Raw, so that no safe code comes between.
struct Parcel {
    at: *mut u8,
    layout: Layout,
}

// SAFETY: the block goes with the parcel: one thread at a time has it.
unsafe impl Send for Parcel {}

impl Parcel {
    fn new(size: usize) -> Self {
        let layout = Layout::from_size_align(size, 8).unwrap();
        // SAFETY: not of size 0; the block is ours.
        let at = unsafe {
            let at = GLOBAL.alloc(layout);
            at.write_bytes(0x77, size);
            at
        };
        Parcel { at, layout }
    }

    fn free(self) {
        // SAFETY: the parcel's block, with its layout.
        unsafe { GLOBAL.dealloc(self.at, self.layout) };
    }
}

/// Runs `work` as the first thing that a thread does with the allocator: a bare thread of the
/// system's, since the library's own allocates before it calls anyone.
fn first_thing<F: FnOnce() + Send>(work: F) {
    unsafe extern "C" fn run<F: FnOnce()>(work: *mut c_void) -> *mut c_void {
        // SAFETY: the slot that `first_thing` made, which waits for this thread.
        let work = unsafe { (*work.cast::<Option<F>>()).take() };
        work.unwrap()();
        ptr::null_mut()
    }
    extern "C" fn start<F: FnOnce()>(work: *mut c_void) -> *mut c_void {
        // SAFETY: passed on as it came.
        unsafe { run::<F>(work) }
    }
    let mut slot = Some(work);
    let mut thread = std::mem::MaybeUninit::uninit();
    // SAFETY: the slot outlives the thread, which is joined here.
    unsafe {
        let argument = (&raw mut slot).cast();
        let made = libc::pthread_create(thread.as_mut_ptr(), ptr::null(), start::<F>, argument);
        assert_eq!(made, 0);
        assert_eq!(libc::pthread_join(thread.assume_init(), ptr::null_mut()), 0);
    }
    assert!(slot.is_none(), "the thread ran");
}

#[test]
fn the_first_call_of_a_thread_can_be_a_free() {
    alone(|| {
        // What the C library allocates for a first thread it keeps for the next; with `malloc` that counts.
        first_thing(|| ());
        for length in LENGTHS {
            let before = highwater::stats().live_bytes;
            let parcel = Parcel::new(length);
            first_thing(move || {
                let parcel = parcel;
                parcel.free();
            });
            assert_eq!(highwater::stats().live_bytes, before, "{length} bytes");
        }
        highwater::check();
    });
}

#[test]
fn the_first_call_of_a_thread_can_be_a_realloc() {
    alone(|| {
        for length in LENGTHS {
            for to in LENGTHS {
                let parcel = Parcel::new(length);
                first_thing(move || {
                    let parcel = parcel;
                    // SAFETY: the parcel's block, with its layout; then the block that came of it.
                    unsafe {
                        let moved = GLOBAL.realloc(parcel.at, parcel.layout, to);
                        assert!(!moved.is_null());
                        assert_eq!(moved.read(), 0x77);
                        assert_eq!(moved.add(length.min(to) - 1).read(), 0x77);
                        GLOBAL.dealloc(moved, Layout::from_size_align(to, 8).unwrap());
                    }
                });
            }
        }
        highwater::check();
    });
}

#[test]
fn the_first_call_of_a_thread_can_be_for_zeroed_memory() {
    alone(|| {
        for length in LENGTHS {
            // What comes next is likely to be memory that was written to.
            Parcel::new(length).free();
            let layout = Layout::from_size_align(length, 8).unwrap();
            first_thing(move || {
                // SAFETY: not of size 0; read within it, and freed with its layout.
                unsafe {
                    let block = GLOBAL.alloc_zeroed(layout);
                    let bytes = std::slice::from_raw_parts(block, length);
                    assert!(bytes.iter().all(|&byte| byte == 0), "{length} bytes");
                    GLOBAL.dealloc(block, layout);
                }
            });
        }
        highwater::check();
    });
}

#[test]
fn the_first_call_of_a_thread_can_be_a_question() {
    alone(|| {
        first_thing(|| {
            let stats = highwater::stats();
            let explained = highwater::explain();
            assert_eq!(explained.sum(), explained.mapped);
            assert_eq!(explained.mapped, stats.mapped_bytes);
        });
        first_thing(|| {
            highwater::trim();
        });
        first_thing(highwater::reset_peaks);
        first_thing(highwater::check);
        highwater::check();
    });
}

#[test]
fn a_thread_that_never_allocates_frees_everything_of_another_that_has_ended() {
    alone(|| {
        let (send, receive) = mpsc::channel();
        thread::spawn(move || {
            for number in 0..20_000 {
                send.send(Parcel::new(LENGTHS[number % 5])).unwrap();
            }
        })
        .join()
        .unwrap();
        let parcels: Vec<Parcel> = receive.iter().collect();
        let before = highwater::stats().live_bytes;
        let bytes: usize = parcels.iter().map(|parcel| parcel.layout.size()).sum();
        first_thing(|| {
            let parcels = parcels;
            // Their list is freed with its last, by this thread too.
            parcels.into_iter().for_each(Parcel::free);
        });
        let after = highwater::stats().live_bytes;
        assert!(before - after >= bytes, "{} freed of {bytes}", before - after);
        highwater::check();
        let explained = highwater::explain();
        assert_eq!(explained.sum(), explained.mapped, "{explained}");
    });
}
