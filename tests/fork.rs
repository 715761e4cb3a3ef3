//! `fork`: the child of a process, at whatever moment its other threads were, allocates, frees what
//! its parent had, starts threads and ends.
//!
//! The test program runs on the allocator that it tests. A child that does not end is a deadlock: it is
//! killed, and the test fails and says where it hung.

#![cfg(unix)]

#[path = "support/child.rs"]
mod child;
#[path = "support/forked.rs"]
mod forked;
#[path = "support/heir.rs"]
mod heir;

use std::panic::{self, AssertUnwindSafe};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread;

use child::alone;
use fastrand::Rng;
use heir::{
    End, LENGTHS, assert_exact, assert_intact, assert_sound, forked, forked_and_returned, live_on,
    load,
};
use highwater::{Highwater, MapKind, Retention};

#[global_allocator]
static GLOBAL: Highwater = Highwater::new();

const FORKS: usize = if cfg!(debug_assertions) { 120 } else { 400 };

/// Forks while eight threads allocate. `FORKS` has more tried.
fn forks() -> usize {
    std::env::var("FORKS").map_or(FORKS / 4, |forks| forks.parse().expect("a number of forks"))
}

// ---------------------------------------------------------------------------------------------
// One thread.
// ---------------------------------------------------------------------------------------------

#[test]
fn a_child_of_a_single_threaded_process_lives_on() {
    alone(|| {
        for rung in Retention::ALL {
            highwater::set_retention(rung);
            for round in 0..20 {
                let mut mine = load(round, 100);
                forked(End::AtOnce, || live_on(std::mem::take(&mut mine), round));
                assert_intact(&mine, round);
                forked(End::Ordinary, || live_on(std::mem::take(&mut mine), round));
                assert_intact(&mine, round);
                drop(mine);
                assert_sound();
            }
        }
    });
}

#[test]
fn a_child_of_a_process_with_one_thread_has_its_parents_counts() {
    alone(|| {
        let mine = load(1, 500);
        // The test's process has more threads than one. Its child has not.
        forked(End::AtOnce, || {
            let own = load(2, 500);
            let before = highwater::stats();
            forked(End::AtOnce, || {
                let stats = highwater::stats();
                assert_eq!(stats.live_bytes, before.live_bytes);
                assert_eq!(stats.mapped_bytes, before.mapped_bytes);
                assert_eq!(stats.free_bytes, before.free_bytes);
            });
            assert_eq!(highwater::stats().live_bytes, before.live_bytes);
            assert_intact(&own, 2);
        });
        assert_intact(&mine, 1);
    });
}

#[test]
fn children_of_children_live_on() {
    alone(|| {
        let mut mine = load(1, 100);
        forked(End::AtOnce, || {
            let mut theirs = load(2, 100);
            forked(End::AtOnce, || {
                live_on(std::mem::take(&mut mine), 1);
                forked(End::Ordinary, || live_on(std::mem::take(&mut theirs), 2));
            });
            live_on(std::mem::take(&mut mine), 1);
            live_on(std::mem::take(&mut theirs), 2);
        });
        assert_intact(&mine, 1);
        drop(mine);
        assert_sound();
    });
}

#[test]
fn a_thread_that_has_no_heap_can_fork() {
    alone(|| {
        let mine = load(1, 100);
        thread::scope(|scope| {
            scope.spawn(|| forked(End::AtOnce, || live_on(load(2, 20), 2)));
        });
        assert_intact(&mine, 1);
        assert_sound();
    });
}

// ---------------------------------------------------------------------------------------------
// Many threads, at any moment.
// ---------------------------------------------------------------------------------------------

/// Allocates and frees in a tight loop, every kind of block, until told to stop.
fn churn(seed: usize, stop: &AtomicBool, rounds: &AtomicUsize) {
    let mut held: Vec<Vec<u8>> = Vec::new();
    let mut random = Rng::with_seed(seed as u64);
    while !stop.load(Relaxed) {
        // Large ones are rare, so that no kind takes all the time.
        let kind = [0, 1, 2, 3, 4, 5, 6, 0, 1, 2, 3, 4, 7, 8, 1, 2][random.usize(..16)];
        let length = LENGTHS[kind] + random.usize(..50);
        held.push(Vec::with_capacity(length));
        if held.len() > 200 {
            held.swap_remove(random.usize(..200));
        }
        if random.usize(..5000) == 0 {
            held.clear();
        }
        rounds.fetch_add(1, Relaxed);
    }
}

/// Forks while `threads` churn. Each child frees what the forking thread and the others had.
fn fork_in_a_storm(rung: Retention, threads: usize) {
    highwater::set_retention(rung);
    let (stop, rounds) = (AtomicBool::new(false), AtomicUsize::new(0));
    let begun = Barrier::new(threads + 1);
    // Of threads that have ended, of threads that run, of this one.
    let ended = thread::spawn(|| load(3, 60)).join().unwrap();
    let mut inherited = vec![(3, ended), (4, load(4, 60))];
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|seed| {
                let (stop, rounds, begun) = (&stop, &rounds, &begun);
                let (give, take) = std::sync::mpsc::channel();
                let thread = scope.spawn(move || {
                    give.send(load(5, 60)).unwrap();
                    begun.wait();
                    churn(seed, stop, rounds);
                });
                inherited.push((5, take.recv().unwrap()));
                thread
            })
            .collect();
        begun.wait();
        let ends = panic::catch_unwind(AssertUnwindSafe(|| {
            for number in 0..FORKS {
                let before = rounds.load(Relaxed);
                let end = if number % 2 == 0 { End::AtOnce } else { End::Ordinary };
                forked(end, || {
                    let (seed, load) = inherited.remove(number % inherited.len());
                    live_on(load, seed);
                    inherited.drain(..).for_each(|(seed, load)| assert_intact(&load, seed));
                    assert_exact();
                });
                // The next fork meets the threads somewhere else.
                while rounds.load(Relaxed) < before + 50 {
                    thread::yield_now();
                }
            }
        }));
        stop.store(true, Relaxed);
        workers.into_iter().for_each(|worker| worker.join().unwrap());
        if let Err(panic) = ends {
            panic::resume_unwind(panic);
        }
    });
    for (seed, load) in &inherited {
        assert_intact(load, *seed);
    }
    drop(inherited);
    assert_sound();
}

#[test]
fn children_live_on_whatever_other_threads_did_under_return_arenas() {
    alone(|| fork_in_a_storm(Retention::ReturnArenas, 3));
}

#[test]
fn children_live_on_whatever_other_threads_did_under_keep_arenas() {
    alone(|| fork_in_a_storm(Retention::KeepArenas, 2));
}

#[test]
fn children_live_on_whatever_other_threads_did_under_never_shrink() {
    alone(|| fork_in_a_storm(Retention::NeverShrink, 2));
}

#[test]
fn threads_that_start_and_end_at_the_moment_of_a_fork_do_no_harm() {
    alone(|| {
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let start_and_end = || {
                while !stop.load(Relaxed) {
                    let survivor = thread::spawn(|| load(6, 20)).join().unwrap();
                    assert_intact(&survivor, 6);
                }
            };
            let others = [scope.spawn(start_and_end), scope.spawn(start_and_end)];
            let mut mine = load(7, 100);
            let ends = panic::catch_unwind(AssertUnwindSafe(|| {
                for _ in 0..FORKS / 2 {
                    forked(End::AtOnce, || {
                        let mine = std::mem::take(&mut mine);
                        assert_exact();
                        assert_intact(&mine, 7);
                        drop(mine);
                        drop(load(8, 100));
                        assert_exact();
                    });
                }
            }));
            stop.store(true, Relaxed);
            // Gone, not only done: what they held back is given up.
            others.into_iter().for_each(|other| other.join().unwrap());
            if let Err(panic) = ends {
                panic::resume_unwind(panic);
            }
        });
        assert_sound();
    });
}

/// A thread that frees what ended threads left works for a moment on a heap that is nobody's.
#[test]
fn heaps_that_are_tended_at_the_moment_of_a_fork_are_sound() {
    alone(|| {
        highwater::set_retention(Retention::ReturnArenas);
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let tend = || {
                while !stop.load(Relaxed) {
                    leave_and_tend();
                }
            };
            let others = [scope.spawn(tend), scope.spawn(tend), scope.spawn(tend)];
            let ends = panic::catch_unwind(AssertUnwindSafe(|| {
                for _ in 0..2 * FORKS {
                    forked(End::AtOnce, || {
                        assert_exact();
                        adopt_all();
                        assert_sound();
                    });
                }
            }));
            stop.store(true, Relaxed);
            others.into_iter().for_each(|other| other.join().unwrap());
            if let Err(panic) = ends {
                panic::resume_unwind(panic);
            }
        });
        assert_sound();
    });
}

/// A thread that has a heap frees what another left that has ended, and ends: what it held back goes
/// to the heap of nobody, pool by pool.
fn leave_and_tend() {
    let leave = || {
        let some = |length| (0..300).map(|_| vec![0u8; length]).collect::<Vec<_>>();
        [40, 100, 640].map(some)
    };
    let tend = move || {
        let own = vec![0u8; 40];
        drop(thread::spawn(leave).join().unwrap());
        drop(own);
    };
    thread::spawn(tend).join().unwrap();
}

/// More heaps than three threads that [`leave_and_tend`] need.
const HEAPS: usize = 14;

/// Has as many threads at once as there may be heaps; each looks at its own and uses it.
fn adopt_all() {
    let all = Barrier::new(HEAPS);
    let adopt = || {
        drop(vec![0u8; 40]);
        all.wait();
        highwater::check();
        drop(load(1, 30));
        highwater::check();
    };
    forked::in_threads(HEAPS, |_| adopt());
}

#[test]
fn children_end_in_every_way_while_eight_threads_allocate() {
    alone(|| {
        // Children that abort leave no files.
        let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: sets a limit of this process.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_CORE, &none) }, 0);
        let (stop, rounds) = (AtomicBool::new(false), AtomicUsize::new(0));
        let mut inherited = load(9, 120);
        thread::scope(|scope| {
            let (stop, rounds) = (&stop, &rounds);
            let churners = (0..6).map(|seed| scope.spawn(move || churn(seed, stop, rounds)));
            let mut others: Vec<_> = churners.collect();
            let tend = || {
                while !stop.load(Relaxed) {
                    leave_and_tend();
                }
            };
            others.extend([scope.spawn(tend), scope.spawn(tend)]);
            let ends = panic::catch_unwind(AssertUnwindSafe(|| {
                for number in 0..forks() {
                    let work = || {
                        live_on(std::mem::take(&mut inherited), 9);
                        assert_exact();
                    };
                    if number % 500 == 0 {
                        println!("{number} forks");
                    }
                    match End::ALL[number % End::ALL.len()] {
                        End::Return => forked_and_returned(work),
                        end => forked(end, work),
                    }
                    assert_intact(&inherited, 9);
                }
            }));
            stop.store(true, Relaxed);
            others.into_iter().for_each(|other| other.join().unwrap());
            if let Err(panic) = ends {
                panic::resume_unwind(panic);
            }
        });
        assert_sound();
    });
}

/// Who has nothing but large blocks has no heap.
#[test]
fn spans_that_another_thread_keeps_count_as_used_in_the_child() {
    /// Spans that nobody uses, and the slots of those that somebody does.
    fn spans() -> (usize, usize) {
        let map = highwater::map();
        let spans = map.arenas().flat_map(|arena| arena.places());
        let spans: Vec<_> = spans.filter(|place| place.kind == MapKind::Span).collect();
        let slots =
            spans.iter().filter(|span| span.blocks_used > 0).map(|span| span.slots as usize);
        (spans.iter().filter(|span| span.blocks_used == 0).count(), slots.sum())
    }
    alone(|| {
        let (kept, over) = (Barrier::new(2), Barrier::new(2));
        // What this thread keeps it keeps in the child too.
        drop(vec![1u8; 50_000]);
        thread::scope(|scope| {
            scope.spawn(|| {
                drop([1u8; 8].map(|byte| vec![byte; 100_000]));
                kept.wait();
                over.wait();
            });
            kept.wait();
            let (unused, used) = spans();
            let large = highwater::stats().large_blocks;
            assert_eq!(unused, 9);
            forked(End::AtOnce, || {
                assert_eq!(spans(), (1, used + 8 * 26));
                assert_eq!(highwater::stats().large_blocks, large + 8);
                assert_sound();
                live_on(load(1, 100), 1);
            });
            assert_eq!(spans(), (unused, used));
            over.wait();
        });
    });
}

#[test]
fn a_thread_without_a_heap_that_maps_at_the_moment_of_a_fork_does_no_harm() {
    alone(|| {
        highwater::set_retention(Retention::ReturnArenas);
        let stop = AtomicBool::new(false);
        let map = |_| {
            while !stop.load(Relaxed) {
                drop(Vec::<u8>::with_capacity(3 << 20));
                drop(Vec::<u8>::with_capacity(100_000));
            }
        };
        forked::in_threads_beside(1, map, || {
            let ends = panic::catch_unwind(|| {
                (0..4 * FORKS).for_each(|_| forked(End::AtOnce, assert_sound));
            });
            stop.store(true, Relaxed);
            if let Err(panic) = ends {
                panic::resume_unwind(panic);
            }
        });
        assert_sound();
    });
}

#[test]
fn several_threads_can_fork_at_once() {
    alone(|| {
        thread::scope(|scope| {
            let forking = |seed| {
                scope.spawn(move || {
                    for _ in 0..FORKS / 10 {
                        let mut mine = load(seed, 50);
                        forked(End::AtOnce, || {
                            let mine = std::mem::take(&mut mine);
                            assert_intact(&mine, seed);
                            drop(mine);
                            drop(load(9, 50));
                            assert_exact();
                        });
                        assert_intact(&mine, seed);
                    }
                })
            };
            let threads = [forking(0), forking(1), forking(2)];
            threads.into_iter().for_each(|thread| thread.join().unwrap());
        });
        assert_sound();
    });
}
