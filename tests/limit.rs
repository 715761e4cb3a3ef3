//! The soft limit: bursts stay below it on every rung, it is a wish and never a failure, and it costs no more than it gives.
//!
//! Every test runs in a process of its own. The allocator is called by its trait, and blocks are linked through
//! themselves: what is resident is what the test asked for.
#![cfg(target_os = "linux")]

#[path = "support/ballast.rs"]
mod ballast;
#[path = "support/burst.rs"]
mod burst;
#[path = "support/child.rs"]
mod child;

use std::alloc::{GlobalAlloc, Layout};
use std::time::{Duration, Instant};

use ballast::{Ballast, resident, resident_peak};
use burst::{Burst, MIB, burst_and_drop};
use child::{alone, alone_with};
use highwater::{Highwater, Retention, SoftLimit};

static HIGHWATER: Highwater = Highwater::new();

const LIMIT: usize = 64 * MIB;
/// What a burst needs at once.
const BURST: usize = 48 * MIB;
/// Between two looks the process grows by up to a 64th of the limit; a large block, the kernel's
/// counters and what it takes to look come on top.
const SLACK: usize = 4 * MIB;

/// With it no surplus goes before its time, so that the limit has to do its own work.
const LONG_DELAY: (&str, &str) = ("HIGHWATER_RETURN_AFTER_MS", "60000");

#[track_caller]
fn assert_below_the_limit() {
    let peak = resident_peak();
    assert!(peak <= LIMIT + SLACK, "{} KiB above the limit", (peak - LIMIT) >> 10);
}

// ---------------------------------------------------------------------------------------------
// Bursts.
// ---------------------------------------------------------------------------------------------

#[test]
fn bursts_stay_below_the_limit_under_the_default() {
    alone(|| {
        highwater::set_soft_limit(SoftLimit::bytes(LIMIT));
        burst_and_drop(&HIGHWATER, BURST);
        assert_below_the_limit();
    });
}

#[test]
fn bursts_stay_below_the_limit_on_every_rung() {
    alone(|| {
        highwater::set_soft_limit(SoftLimit::bytes(LIMIT));
        for rung in Retention::ALL {
            highwater::set_retention(rung);
            burst_and_drop(&HIGHWATER, BURST);
            assert_below_the_limit();
            assert_eq!(highwater::retention(), rung, "what was chosen stays chosen");
        }
        highwater::check();
    });
}

#[test]
fn bursts_stay_below_the_limit_under_never_shrink_which_the_limit_has_climbed() {
    let settings =
        [("HIGHWATER_RETENTION", "never-shrink"), ("HIGHWATER_SOFT_LIMIT", "64M"), LONG_DELAY];
    alone_with(&settings, || {
        burst_and_drop(&HIGHWATER, BURST);
        assert_below_the_limit();
        let stats = highwater::stats();
        assert_eq!(stats.soft_limit_bytes, LIMIT);
        assert_eq!(highwater::retention(), Retention::NeverShrink);
        assert!(stats.soft_limit_climbs > 0 && stats.soft_limit_purges > 0, "{stats:?}");
    });
}

#[test]
fn without_a_limit_the_same_bursts_go_far_beyond_under_never_shrink() {
    alone_with(&[("HIGHWATER_RETENTION", "never-shrink")], || {
        burst_and_drop(&HIGHWATER, BURST);
        assert!(resident_peak() > 4 * LIMIT, "{} MiB", resident_peak() / MIB);
        let stats = highwater::stats();
        assert_eq!((stats.soft_limit_bytes, stats.soft_limit_climbs), (0, 0));
        assert_eq!(stats.soft_limit_purges, 0);
    });
}

#[test]
fn bursts_of_many_threads_stay_below_the_limit_together() {
    alone_with(&[("HIGHWATER_RETENTION", "never-shrink"), ("HIGHWATER_SOFT_LIMIT", "64M")], || {
        const THREADS: usize = 4;
        let burst = || burst_and_drop(&HIGHWATER, BURST / THREADS);
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(burst);
            }
        });
        // Each thread may have come by between a look and what follows it; other threads' current
        // pools are not reached.
        let peak = resident_peak();
        assert!(peak <= LIMIT + THREADS * SLACK, "{} MiB", peak / MIB);
    });
}

#[test]
fn bursts_stay_below_the_limit_without_a_sweeper() {
    let set = &[
        ("HIGHWATER_RETENTION", "keep-arenas"),
        ("HIGHWATER_SOFT_LIMIT", "64M"),
        ("HIGHWATER_SWEEPER", "off"),
    ];
    alone_with(set, || {
        burst_and_drop(&HIGHWATER, BURST);
        assert_below_the_limit();
    });
}

#[test]
fn a_large_block_that_is_not_touched_does_not_hide_what_is_free() {
    alone(|| {
        highwater::set_retention(Retention::NeverShrink);
        highwater::set_soft_limit(SoftLimit::bytes(LIMIT));
        let layout = Layout::from_size_align(1 << 30, 8).unwrap();
        // SAFETY: not of size 0.
        let sparse = unsafe { HIGHWATER.alloc(layout) };
        assert!(!sparse.is_null());
        burst_and_drop(&HIGHWATER, BURST);
        assert_below_the_limit();
        // SAFETY: a live block with its layout.
        unsafe { HIGHWATER.dealloc(sparse, layout) };
    });
}

#[test]
fn lists_that_fill_while_the_blocks_are_made_stay_below_the_limit_too() {
    alone(|| {
        highwater::set_retention(Retention::NeverShrink);
        highwater::set_soft_limit(SoftLimit::bytes(LIMIT));
        for size in [64, 1000, 48, 100 << 10, 400] {
            // Mapped at once, touched part by part between the blocks; kept when freed.
            let list = Layout::array::<u64>(BURST / 64).unwrap();
            // SAFETY: not of size 0.
            let start = unsafe { HIGHWATER.alloc(list) };
            let bursts = [0, 1, 2, 3, 4, 5, 6, 7].map(|part| {
                // SAFETY: the eighth parts lie in the block one after the other.
                unsafe { start.add(list.size() / 8 * part).write_bytes(1, list.size() / 8) };
                Burst::new(&HIGHWATER, BURST / 10, size)
            });
            // SAFETY: a live block with its layout.
            unsafe { HIGHWATER.dealloc(start, list) };
            drop(bursts);
        }
        assert_below_the_limit();
    });
}

#[test]
fn a_large_block_that_grows_in_place_makes_room_first() {
    alone(|| {
        highwater::set_soft_limit(SoftLimit::bytes(LIMIT));
        drop(Burst::new(&HIGHWATER, BURST, 64));
        Burst::grown(&HIGHWATER, MIB, BURST).assert_whole();
        assert_below_the_limit();
    });
}

#[test]
fn a_kept_mapping_that_is_made_longer_makes_room_first() {
    alone_with(&[("HIGHWATER_RETENTION", "keep-arenas"), LONG_DELAY], || {
        highwater::set_soft_limit(SoftLimit::bytes(LIMIT));
        drop(Burst::new(&HIGHWATER, MIB * 3 / 4, MIB * 3 / 4));
        drop(Burst::new(&HIGHWATER, BURST, 64));
        let kept = highwater::stats().large_kept_bytes;
        assert!((1..=MIB).contains(&kept), "{kept} bytes of the first are kept");
        drop(Burst::new(&HIGHWATER, BURST / 2, BURST / 2));
        assert_below_the_limit();
    });
}

// ---------------------------------------------------------------------------------------------
// A wish.
// ---------------------------------------------------------------------------------------------

#[test]
fn live_bytes_above_the_limit_are_had_all_the_same_and_at_few_system_calls() {
    alone(|| {
        highwater::set_soft_limit(SoftLimit::bytes(LIMIT / 4));
        let calls = || {
            let stats = highwater::stats();
            stats.maps + stats.unmaps + stats.remaps + stats.advises
        };
        let before = calls();
        let small = Burst::new(&HIGHWATER, LIMIT, 100);
        let spans = Burst::new(&HIGHWATER, LIMIT, 100_000);
        small.assert_whole();
        spans.assert_whole();
        let stats = highwater::stats();
        assert!(stats.resident_bytes > 2 * LIMIT);
        // One try for each quarter of the limit, at most: 128 MiB by 4 MiB.
        assert!(stats.soft_limit_purges <= 40, "{} purges", stats.soft_limit_purges);
        // 135 arenas, each mapped by up to four calls; a try leaves next to nothing to be given back.
        assert!(calls() - before < 1000, "{} system calls", calls() - before);
    });
}

#[test]
fn churn_above_the_limit_is_no_livelock() {
    alone(|| {
        highwater::set_soft_limit(SoftLimit::bytes(LIMIT / 4));
        let held = Burst::new(&HIGHWATER, LIMIT, 100);
        let before = highwater::stats();
        for _ in 0..200 {
            drop(Burst::new(&HIGHWATER, MIB / 4, 300));
        }
        let after = highwater::stats();
        let (purges, pages) = (
            after.soft_limit_purges - before.soft_limit_purges,
            after.pages_purged - before.pages_purged,
        );
        // 50 MiB were made and freed: 12,800 OS pages, which one need not give back each time.
        assert!(purges <= 60, "{purges} purges");
        assert!(pages <= 25_600, "{pages} OS pages");
        held.assert_whole();
    });
}

#[test]
fn a_limit_below_what_the_process_has_from_the_start_is_survived() {
    alone_with(&[("HIGHWATER_SOFT_LIMIT", "1")], || {
        let held = Burst::new(&HIGHWATER, 8 * MIB, 48);
        burst_and_drop(&HIGHWATER, 4 * MIB);
        held.assert_whole();
        assert_eq!(highwater::stats().soft_limit_bytes, 1);
        assert_eq!(highwater::stats().retention_in_force, Retention::ReturnPages);
    });
}

#[test]
fn a_huge_limit_and_one_of_nothing_change_nothing() {
    for limit in ["8388607G", "9223372036854775807", "0"] {
        let set = [("HIGHWATER_RETENTION", "never-shrink"), ("HIGHWATER_SOFT_LIMIT", limit)];
        alone_with(&set, || {
            burst_and_drop(&HIGHWATER, 8 * MIB);
            let stats = highwater::stats();
            let counts = [stats.soft_limit_climbs, stats.soft_limit_purges, stats.purges];
            assert_eq!(counts, [0; 3]);
            assert_eq!(stats.retention_in_force, Retention::NeverShrink);
        });
    }
}

#[test]
fn where_the_system_does_not_tell_the_allocator_goes_by_its_own_count() {
    alone_with(&[LONG_DELAY], || {
        // Before: what the test's own world opens.
        drop(Burst::new(&HIGHWATER, 4096, 64));
        highwater::set_retention(Retention::NeverShrink);
        highwater::set_soft_limit(SoftLimit::bytes(LIMIT));
        let none = libc::rlimit { rlim_cur: 0, rlim_max: 1024 };
        let many = libc::rlimit { rlim_cur: 1024, rlim_max: 1024 };
        // SAFETY: valid values; from here on no file can be opened.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &none) }, 0);
        burst_and_drop(&HIGHWATER, BURST);
        let told = highwater::stats();
        // SAFETY: as above.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &many) }, 0);
        assert!(told.soft_limit_purges > 0 && told.resident_bytes <= told.mapped_bytes, "{told:?}");
        assert_below_the_limit();
    });
}

// ---------------------------------------------------------------------------------------------
// Up and down.
// ---------------------------------------------------------------------------------------------

#[test]
fn the_ladder_is_climbed_near_the_limit_and_left_well_below_it() {
    alone(|| {
        highwater::set_retention(Retention::KeepArenas);
        highwater::set_soft_limit(SoftLimit::bytes(100 * MIB));
        let in_force = || highwater::stats().retention_in_force;
        let rest = resident();
        let to = |percent: usize| Ballast::new(percent * MIB - rest);
        let ballast = to(60);
        assert_eq!(in_force(), Retention::KeepArenas);
        drop(ballast);
        let ballast = to(82);
        assert_eq!(in_force(), Retention::ReturnPools);
        drop(ballast);
        let ballast = to(97);
        assert_eq!(in_force(), Retention::ReturnPages);
        drop(ballast);
        let ballast = to(88);
        assert_eq!(in_force(), Retention::ReturnPages, "not down yet");
        drop(ballast);
        let ballast = to(60);
        assert_eq!(in_force(), Retention::KeepArenas);
        drop(ballast);
    });
}

#[test]
fn swings_within_the_ease_are_one_climb() {
    alone(|| {
        highwater::set_retention(Retention::ReturnPools);
        highwater::set_soft_limit(SoftLimit::bytes(100 * MIB));
        let _steady = Ballast::new(75 * MIB - resident());
        for _ in 0..50 {
            let _swing = Ballast::new(7 * MIB);
            assert_eq!(highwater::stats().retention_in_force, Retention::ReturnPages);
        }
        assert_eq!(highwater::stats().soft_limit_climbs, 1);
    });
}

#[test]
fn a_lower_limit_at_run_time_gives_back_at_once_and_a_higher_one_lets_go() {
    alone(|| {
        highwater::set_retention(Retention::NeverShrink);
        drop(Burst::new(&HIGHWATER, BURST, 64));
        assert!(resident() > BURST);
        highwater::set_soft_limit(SoftLimit::bytes(LIMIT / 4));
        assert!(resident() < LIMIT / 4, "{} MiB", resident() / MIB);
        highwater::set_soft_limit(SoftLimit::NONE);
        assert_eq!(highwater::stats().retention_in_force, Retention::NeverShrink);
        drop(Burst::new(&HIGHWATER, BURST, 64));
        assert!(resident() > BURST, "nothing leaves any more");
        highwater::set_soft_limit(SoftLimit::bytes(4 * LIMIT));
        assert_eq!(highwater::stats().soft_limit_bytes, 4 * LIMIT);
        assert_eq!(highwater::stats().retention_in_force, Retention::NeverShrink);
    });
}

#[test]
fn after_the_bursts_an_idle_process_comes_down_from_the_ladder() {
    alone_with(&[("HIGHWATER_RETENTION", "never-shrink"), ("HIGHWATER_SOFT_LIMIT", "64M")], || {
        burst_and_drop(&HIGHWATER, BURST);
        let deadline = Instant::now() + Duration::from_secs(20);
        while highwater::stats().retention_in_force != Retention::NeverShrink {
            assert!(Instant::now() < deadline, "{:?}", highwater::stats());
            std::thread::sleep(Duration::from_millis(10));
        }
    });
}

// ---------------------------------------------------------------------------------------------
// Settings, forks.
// ---------------------------------------------------------------------------------------------

#[test]
fn a_share_of_a_cgroup_is_understood_whether_there_is_one_or_not() {
    alone_with(&[("HIGHWATER_SOFT_LIMIT", "cgroup:0.9")], || {
        burst_and_drop(&HIGHWATER, 4 * MIB);
        assert_eq!(highwater::soft_limit(), SoftLimit::cgroup(0.9));
        assert!(highwater::stats().resident_bytes > 0);
    });
}

#[test]
fn a_limit_that_is_not_understood_is_named_once() {
    for wrong in ["64 MB", "cgroup:90%", "cgroup", "-1", ""] {
        let set = [("HIGHWATER_SOFT_LIMIT", wrong)];
        let ended = alone_with(&set, || {
            burst_and_drop(&HIGHWATER, MIB);
            assert_eq!(highwater::soft_limit(), SoftLimit::NONE);
        });
        if let Some(ended) = ended {
            let named = format!("HIGHWATER_SOFT_LIMIT={wrong} is not understood");
            assert_eq!(ended.stderr.matches(&named).count(), 1, "{}", ended.stderr);
        }
    }
}

#[test]
fn a_forked_child_keeps_the_limit_though_others_were_at_it() {
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

    alone_with(&[("HIGHWATER_RETENTION", "never-shrink"), ("HIGHWATER_SOFT_LIMIT", "64M")], || {
        // The hooks around a fork are asked for at the first allocation.
        drop(Burst::new(&HIGHWATER, MIB, 64));
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !done.load(Relaxed) {
                        burst_and_drop(&HIGHWATER, BURST / 4);
                    }
                });
            }
            for _ in 0..20 {
                // SAFETY: the child calls the allocator only, and ends at once.
                let child = unsafe { libc::fork() };
                if child == 0 {
                    // A child that hangs would outlive the test.
                    // SAFETY: no memory is passed.
                    unsafe { libc::alarm(60) };
                    burst_and_drop(&HIGHWATER, BURST / 4);
                    // SAFETY: ends the child without the parent's hooks.
                    unsafe { libc::_exit(0) };
                }
                assert!(child > 0);
                let mut status = -1;
                // SAFETY: waits for the child just made.
                assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
                assert_eq!(status, 0);
            }
            done.store(true, Relaxed);
        });
    });
}

/// What it gives back it unmaps outside the locks, as a sweep does.
#[test]
fn every_byte_has_its_reason_while_the_sweeper_makes_room() {
    alone_with(&[("HIGHWATER_RETURN_AFTER_MS", "2")], || {
        highwater::set_retention(Retention::KeepArenas);
        highwater::set_soft_limit(SoftLimit::bytes(MIB));
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(3) {
            drop(Burst::new(&HIGHWATER, 4 * MIB, 4 * MIB));
            for _ in 0..200 {
                let explained = highwater::explain();
                assert_eq!(explained.sum(), explained.mapped, "{explained}");
            }
        }
        assert!(highwater::stats().soft_limit_purges > 0);
    });
}

#[test]
fn no_single_call_near_the_limit_gives_everything_back() {
    alone_with(&[("HIGHWATER_SWEEPER", "off"), LONG_DELAY], || {
        drop(Burst::new(&HIGHWATER, BURST, 64));
        let (limit, mut ballast, mut blocks, mut most) = (resident() + MIB, vec![], vec![], 0);
        highwater::set_soft_limit(SoftLimit::bytes(limit));
        for turn in 0..64_000 {
            ballast.extend((turn % 500 == 0).then(|| Ballast::new(64 << 10)));
            let before = resident();
            // SAFETY: not of size 0.
            blocks.push(unsafe { HIGHWATER.alloc(Layout::new::<[u64; 32]>()) });
            most = most.max(before.saturating_sub(resident()));
        }
        assert!(resident() <= limit, "{} KiB above", (resident() - limit) >> 10);
        assert!((1..=2 * MIB).contains(&most), "{} KiB in one call", most >> 10);
    });
}
