//! Huge pages: where they are asked for memory comes on them, and what goes back leaves them truly; elsewhere it lies on none.

// Counted is what the program allocates by the allocator that it installs: with `hardened`, guards part its arenas.
#![cfg(all(target_os = "linux", not(feature = "hardened")))]

#[path = "support/child.rs"]
mod child;

use std::fs;
use std::hint::black_box;

use child::{alone, alone_with};
use highwater::Highwater;

#[global_allocator]
static GLOBAL: Highwater = Highwater::new().without_sweeper();

const MIB: usize = 1 << 20;
/// One block of so many stays.
const KEPT_OF: usize = 1000;

#[allow(clippy::vec_box, reason = "each is to be a block of its own")]
fn boxes(bytes: usize) -> Vec<Box<[u8; 200]>> {
    (0..bytes / 200).map(|_| Box::new([1; 200])).collect()
}

/// MiB that a line of the kernel's account of this process tells.
fn told_mib(of: &str) -> f64 {
    let told = fs::read_to_string("/proc/self/smaps_rollup").unwrap();
    let line = told.lines().find_map(|line| line.strip_prefix(of)).unwrap();
    line.trim().trim_end_matches("kB").trim().parse::<f64>().unwrap() / 1024.0
}

/// Huge pages that the system has split since it began: by whatever process.
fn splits() -> u64 {
    let told = fs::read_to_string("/proc/vmstat").unwrap();
    let line = told.lines().find_map(|line| line.strip_prefix("thp_split_page ")).unwrap();
    line.parse().unwrap()
}

/// Whether the system makes huge pages where they are asked for, and has at least one free.
fn system_has_them() -> bool {
    let path = "/sys/kernel/mm/transparent_hugepage/enabled";
    let chosen = fs::read_to_string(path).unwrap_or_default();
    let has = !chosen.is_empty() && !chosen.contains("[never]");
    if !has {
        println!("this system has no huge pages: {chosen:?}");
    }
    has
}

/// Runs `body`, which a test has as its only statement, in a process of its own on such a system; says so on others.
fn on_them<F: FnOnce()>(settings: &[(&str, &str)], body: F) {
    if system_has_them() {
        alone_with(settings, body);
    }
}

const ON: &[(&str, &str)] = &[("HIGHWATER_HUGE_PAGES", "on")];

#[test]
fn memory_comes_on_huge_pages_and_a_sparse_heap_leaves_them() {
    on_them(ON, || {
        let before = told_mib("Rss:");
        let mut heap = boxes(64 * MIB);
        let made = highwater::stats().huge_pages;
        assert!(made >= 30, "{made} huge pages under 64 MiB");
        assert!(told_mib("AnonHugePages:") >= 60.0);
        let (splits_before, mut place) = (splits(), 0);
        heap.retain(|_| {
            place += 1;
            place % KEPT_OF == 0
        });
        heap.shrink_to_fit();
        highwater::trim();
        // Each may have an OS page of its own.
        let bound = (heap.len() * 4) as f64 / 1024.0;
        let above = told_mib("Rss:") - before;
        assert!(above <= 1.15 * bound + 3.0, "{above} MiB beside a bound of {bound}");
        assert!(told_mib("AnonHugePages:") <= 4.0);
        // What is no longer counted is free only if its huge page was split.
        let split = splits() - splits_before;
        assert!(split + 2 >= made, "{split} of {made} were split");
        assert!(heap.iter().all(|block| block.iter().all(|&byte| byte == 1)));
        let explained = highwater::explain();
        assert_eq!(explained.sum(), explained.mapped);
    });
}

#[test]
fn a_heap_that_is_mostly_in_use_stays_on_them() {
    let settings = [ON[0], ("HIGHWATER_SWEEPER", "on"), ("HIGHWATER_RETURN_AFTER_MS", "50")];
    on_them(&settings, || {
        let mut heap = boxes(64 * MIB);
        let mut place = 0;
        heap.retain(|_| {
            place += 1;
            // Runs of some OS pages.
            place / 500 % 10 != 0
        });
        let before = told_mib("AnonHugePages:");
        std::thread::sleep(std::time::Duration::from_millis(1500));
        let after = told_mib("AnonHugePages:");
        assert!(before >= 56.0 && after >= before - 6.0, "{before} MiB, then {after}");
        black_box(heap);
    });
}

#[test]
fn what_came_with_a_huge_page_is_zero_until_it_is_used() {
    alone_with(ON, || {
        let zeroed = |bytes| vec![0u8; bytes];
        let mut heap = Vec::new();
        for turn in 0..400 {
            let mut spans = [40 << 10, 100 << 10, 3 << 20].map(zeroed);
            for span in &mut spans {
                assert!(span.iter().all(|&byte| byte == 0));
                span.fill(7);
            }
            let [small, middle, _] = spans;
            heap.push(small);
            if turn % 3 == 0 {
                heap.push(middle);
            }
            if turn % 50 == 49 {
                heap.drain(..heap.len() / 2);
                highwater::trim();
            }
        }
    });
}

#[test]
fn a_large_block_comes_on_them_and_what_is_cut_off_goes() {
    on_them(ON, || {
        let before = told_mib("AnonHugePages:");
        let mut large = vec![1u8; 64 * MIB];
        assert!(told_mib("AnonHugePages:") - before >= 60.0);
        large.truncate(MIB);
        large.shrink_to_fit();
        highwater::trim();
        assert!(told_mib("AnonHugePages:") - before <= 2.0);
        assert!(large.iter().all(|&byte| byte == 1));
    });
}

#[test]
fn nothing_lies_on_one_where_nobody_asked() {
    alone(|| {
        let heap = boxes(16 * MIB);
        assert_eq!(highwater::stats().huge_pages, 0);
        assert_eq!(told_mib("AnonHugePages:"), 0.0);
        let arena = heap[heap.len() / 2].as_ptr().addr() & !(MIB - 1);
        assert!(has_flag(arena, "nh"), "wherever the system makes them unasked");
        black_box(heap);
    });
}

/// Whether the mapping that holds `address` bears a flag of the kernel's.
fn has_flag(address: usize, flag: &str) -> bool {
    let told = fs::read_to_string("/proc/self/smaps").unwrap();
    let mut holds = false;
    for line in told.lines() {
        let range = line.split(' ').next().and_then(|range| range.split_once('-'));
        let ends = range.map(|(start, end)| [start, end].map(|end| usize::from_str_radix(end, 16)));
        if let Some([Ok(start), Ok(end)]) = ends {
            holds = (start..end).contains(&address);
        }
        if let Some(flags) = line.strip_prefix("VmFlags:")
            && holds
        {
            return flags.split(' ').any(|each| each == flag);
        }
    }
    panic!("{address:#x} is mapped");
}
