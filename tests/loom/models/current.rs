//! Current pools that are taken away: every block is in one place, and nobody is at work on another's list. The
//! barrier is modelled as in `tenancy.rs`.

extern crate std;

use core::ptr::{self, NonNull};
use std::sync::Arc;
use std::vec::Vec;

use loom::cell::UnsafeCell;
use loom::thread;

use super::Preemptions::AtMost;
use super::{finds, holds};
use crate::heap::current::{Currents, InHand, take_away};
use crate::heap::tenancy::{Countdown, Tenancy};
use crate::sys::{self, Barrier};

/// What its pools would bear.
const PASS: usize = 64;

/// More than the frees of any model.
const LEFT: u32 = 8;

/// A block: the next one if it is free, nobody's business if it is not.
struct Block(UnsafeCell<*mut Block>);

impl Block {
    fn next(&self) -> *mut Block {
        // SAFETY: loom checks that nobody writes meanwhile.
        self.0.with(|next| unsafe { *next })
    }

    fn set_next(&self, to: *mut Block) {
        // SAFETY: loom checks that nobody else reads or writes meanwhile.
        self.0.with_mut(|next| unsafe { *next = to });
    }
}

/// A heap of two classes, with a pool each.
struct Heap {
    tenancy: Tenancy,
    countdown: Countdown,
    in_hand: InHand,
    currents: Currents<Block, 2>,
    pools: [Vec<Block>; 2],
    /// The list of the first class's pool, when it is not current.
    listed: UnsafeCell<*mut Block>,
}

// SAFETY: blocks are their user's, the owner's or the claimer's; loom checks that they are.
unsafe impl Sync for Heap {}
// SAFETY: as above.
unsafe impl Send for Heap {}

/// What the owner does, of a class.
#[derive(Clone, Copy)]
enum Step {
    Pop(usize),
    /// Frees what it has of the class.
    Push(usize),
}

impl Heap {
    fn new(blocks: [usize; 2]) -> Heap {
        let block = || Block(UnsafeCell::new(ptr::null_mut()));
        let heap = Heap {
            tenancy: Tenancy::zero(),
            countdown: Countdown::zero(),
            in_hand: InHand::zero(),
            currents: Currents::new(),
            pools: blocks.map(|count| (0..count).map(|_| block()).collect()),
            listed: UnsafeCell::new(ptr::null_mut()),
        };
        // Every atomic is made before threads share it.
        heap.tenancy.reset(PASS);
        heap.countdown.set(LEFT);
        heap.in_hand.put_down();
        for (class, pool) in heap.pools.iter().enumerate() {
            let mut first = ptr::null_mut();
            for block in pool.iter().rev() {
                block.set_next(first);
                first = ptr::from_ref(block).cast_mut();
            }
            let current = heap.currents.of(class);
            current.free.set(first);
            current.set_base(pool.as_ptr().addr());
        }
        heap
    }

    fn size(&self, class: usize) -> usize {
        self.pools[class].len() * size_of::<Block>()
    }

    fn block(block: NonNull<Block>) -> &'static Block {
        // SAFETY: the pools outlive the model's threads.
        unsafe { &*block.as_ptr() }
    }

    fn pop_current(&self, class: usize) -> Option<NonNull<Block>> {
        let popped = self.currents.of(class).pop(&self.in_hand, class, |block| {
            sys::interruptible();
            let next = Self::block(block).next();
            sys::interruptible();
            next
        });
        sys::interruptible();
        popped
    }

    fn pop(&self, class: usize) -> Option<NonNull<Block>> {
        self.pop_current(class).or_else(|| {
            let _inside = self.tenancy.enter();
            self.pop_current(class).or_else(|| {
                // SAFETY: inside; loom checks that nobody else is.
                self.listed.with_mut(|listed| unsafe {
                    let first = NonNull::new(*listed)?;
                    *listed = Self::block(first).next();
                    Some(first)
                })
            })
        })
    }

    fn push(&self, class: usize, block: NonNull<Block>) {
        let current = self.currents.of(class);
        let size = self.size(class);
        let begun = loop {
            if current.holds(&self.in_hand, class, block.addr().get(), size) {
                sys::interruptible();
                let first = current.free.get();
                assert_ne!(first.addr(), 1, "a mark is no block");
                Self::block(block).set_next(first);
                sys::interruptible();
                current.free.set_beside_exchanges(block.as_ptr());
                sys::interruptible();
                return;
            }
            match self.tenancy.try_enter(&self.countdown, PASS) {
                Ok(begun) => break begun,
                Err(begun) => self.countdown.end(begun, 0),
            };
            self.tenancy.renew(PASS);
        };
        assert!(current.base().is_none(), "the pool is not current");
        // SAFETY: inside; loom checks that nobody else is.
        self.listed.with_mut(|listed| unsafe {
            Self::block(block).set_next(*listed);
            *listed = block.as_ptr();
        });
        self.countdown.end(begun, 1);
    }

    /// Takes the first class's pool away. Under a claim.
    fn take(&self) {
        let taken: [_; 1] = take_away(&self.in_hand, [(0, self.currents.of(0))].into_iter());
        let [Some(taken)] = taken else { return };
        assert_eq!(taken.base, self.pools[0].as_ptr().addr());
        let mut block = taken.list;
        while let Some(here) = NonNull::new(block) {
            block = Self::block(here).next();
            // As if it were linked anew.
            Self::block(here).set_next(block);
        }
        // SAFETY: claimed; loom checks that nobody else is at work.
        self.listed.with_mut(|listed| unsafe {
            assert!((*listed).is_null(), "it was current");
            *listed = taken.list;
        });
    }

    /// Does what an owner does, and says how many blocks of the first class it has then.
    fn work(&self, steps: &[Step]) -> usize {
        let mut used = [Vec::new(), Vec::new()];
        for step in steps {
            sys::interruptible();
            match *step {
                Step::Pop(class) => {
                    let block = self.pop(class).expect("one is free");
                    // The user's.
                    Self::block(block).set_next(ptr::null_mut());
                    used[class].push(block);
                }
                Step::Push(class) => {
                    let block = used[class].pop().expect("one is used");
                    self.push(class, block);
                }
            }
        }
        used[0].len()
    }

    /// Counts the blocks of the first class that are free: each once.
    fn check(&self, used: usize) {
        let mut seen = Vec::new();
        // SAFETY: the other threads are gone.
        let listed = self.listed.with(|listed| unsafe { *listed });
        // An exchange, as loom lets a load return what another thread's store has replaced, if only a read orders the two.
        for first in [self.currents.of(0).free.exchange(0), listed] {
            let mut block = first;
            while let Some(here) = NonNull::new(block) {
                assert!(!seen.contains(&here), "a block is on one list");
                seen.push(here);
                block = Self::block(here).next();
            }
        }
        assert_eq!(seen.len() + used, self.pools[0].len(), "no block is lost");
    }
}

/// An owner that does `steps`, with so many blocks of each class, and somebody who has claimed its heap while it was
/// on no slow path.
fn taken_while_at_work(
    barrier: Barrier,
    blocks: [usize; 2],
    steps: &'static [Step],
) -> impl Fn() + Send + Sync + 'static {
    move || {
        sys::model_barrier(barrier);
        sys::prepare_barrier();
        let heap = Arc::new(Heap::new(blocks));
        let claim = heap.tenancy.begin_claim();
        let owner = {
            let heap = Arc::clone(&heap);
            thread::spawn(move || sys::as_owner(|| heap.work(steps)))
        };
        heap.take();
        drop(claim);
        let used = owner.join().unwrap();
        heap.check(used);
    }
}

use Barrier::{Fences, Interrupts};
use Step::{Pop, Push};

const ALLOCATES: &[Step] = &[Pop(0), Pop(1)];
const FREES: &[Step] = &[Pop(0), Push(0), Pop(1)];
const FREES_LATER: &[Step] = &[Pop(0), Pop(1), Push(0)];
const COMES_BACK: &[Step] = &[Pop(0), Pop(1), Pop(0)];

#[test]
fn an_owner_with_fences_keeps_its_blocks() {
    for steps in [ALLOCATES, FREES, COMES_BACK, FREES_LATER] {
        holds(AtMost(3), taken_while_at_work(Fences, [3, 1], steps));
    }
}

#[test]
fn an_owner_interrupted_twice_keeps_its_block() {
    holds(AtMost(2), taken_while_at_work(Interrupts, [2, 1], ALLOCATES));
}

#[test]
#[ignore = "takes ten seconds or more"]
fn an_owner_interrupted_three_times_keeps_its_block() {
    holds(AtMost(3), taken_while_at_work(Interrupts, [2, 1], ALLOCATES));
}

#[test]
#[ignore = "takes ten seconds or more"]
fn an_interrupted_owner_that_frees_keeps_its_blocks() {
    for steps in [FREES, COMES_BACK, FREES_LATER] {
        holds(AtMost(2), taken_while_at_work(Interrupts, [3, 1], steps));
    }
}

#[test]
fn a_free_that_says_late_what_it_has_in_hand_is_found() {
    finds(
        "hand_taken_up_late",
        "a mark is no block",
        taken_while_at_work(Fences, [2, 1], FREES_LATER),
    );
}

#[test]
#[ignore = "takes ten seconds or more"]
fn a_hand_that_is_not_looked_at_is_found() {
    finds("hand_not_looked_at", "block is", taken_while_at_work(Interrupts, [2, 1], FREES));
}

#[test]
fn a_base_that_is_hidden_without_a_barrier_is_found() {
    let model = taken_while_at_work(Fences, [2, 1], FREES_LATER);
    finds("base_hidden_from_nobody", "a mark is no block", model);
}

#[test]
fn a_list_that_is_withheld_without_a_barrier_is_found() {
    let model = taken_while_at_work(Interrupts, [2, 1], ALLOCATES);
    finds("list_withheld_from_nobody", "ausality violation", model);
}

#[test]
fn a_base_that_comes_back_before_the_list_is_found() {
    let model = taken_while_at_work(Fences, [2, 1], FREES);
    finds("base_back_first", "a mark is no block", model);
}

#[test]
fn a_base_that_is_read_after_the_list_is_found() {
    let model = taken_while_at_work(Fences, [2, 1], FREES);
    finds("base_read_last", "a mark is no block", model);
}

#[test]
fn a_pass_that_outlives_a_claim_is_found() {
    let model = taken_while_at_work(Fences, [2, 1], FREES);
    finds("claim_takes_no_pass", "the pool is not current", model);
}

#[test]
#[ignore = "takes ten seconds or more"]
fn a_hand_without_release_is_found() {
    let model = taken_while_at_work(Interrupts, [2, 1], ALLOCATES);
    finds("hand_relaxed", "ausality violation", model);
}
