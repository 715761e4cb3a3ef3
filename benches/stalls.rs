//! The longest single calls: `cargo bench --bench stalls`. Highwater promises that giving back holds no caller up for
//! longer than a millisecond; here every allocation and every free is timed, in programs that give it much to do.
//!
//! Each row runs in a process of its own. A call during which the system gave the processor to another
//! thread tells nothing of the allocator and is left out; so that waiting for a lock is not, the clock is the
//! wall's. Rows that give nothing back (`never-shrink`) tell what the machine does by itself.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::mem::MaybeUninit;
use std::process::Command;
use std::time::{Duration, Instant};

use common::{HIGHWATER, MIMALLOC};
use fastrand::Rng;

/// What is looked at more closely: calls this long.
const SUSPECT: Duration = Duration::from_micros(200);
/// What is promised of the longest.
const PROMISED: Duration = Duration::from_millis(1);
/// Calls between two looks at how often the processor went to others, where there are millions; a look takes as long as
/// some calls.
const LOOK_EVERY: usize = 64;
const MIB: usize = 1 << 20;

type Settings = &'static [(&'static str, &'static str)];

/// Work whose calls are timed, by name, with what the process is told of its allocator.
const ROWS: &[(&str, Work, Settings)] = &[
    ("large", Work::Large, &[]),
    ("drops", Work::Drops, &[]),
    ("survivors", Work::Survivors, &[]),
    ("drops, near a soft limit", Work::Drops, &[("HIGHWATER_SOFT_LIMIT", "400M")]),
    ("drops, live bytes above a soft limit", Work::Drops, &[("HIGHWATER_SOFT_LIMIT", "256M")]),
    ("drops, without a sweeper", Work::Drops, &[("HIGHWATER_SWEEPER", "off")]),
    ("large, never-shrink", Work::Large, NEVER_SHRINK),
    ("drops, never-shrink", Work::Drops, NEVER_SHRINK),
    ("survivors, never-shrink", Work::Survivors, NEVER_SHRINK),
];
const NEVER_SHRINK: Settings = &[("HIGHWATER_RETENTION", "never-shrink")];

#[derive(Clone, Copy)]
enum Work {
    /// Blocks of 1 to 256 MiB, filled and freed.
    Large,
    /// Many small blocks of sizes that change from round to round, all freed, in random order.
    Drops,
    /// As before, but one in a hundred stays; then steady work while the rest goes back.
    Survivors,
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let short = !args.iter().any(|arg| arg == "--bench") || args.iter().any(|arg| arg == "--test");
    let scale = if short { 50 } else { 1 };
    match std::env::var("STALLS_ROW") {
        Ok(row) => println!("{}", measure(&row, scale)),
        Err(_) => print_table(&args[1..]),
    }
}

fn print_table(args: &[String]) {
    println!("| calls of | allocator | calls | longest, us | over 1 ms | left out |");
    println!("|---|---|---|---|---|---|");
    for (number, (name, _, settings)) in ROWS.iter().enumerate() {
        let peers: &[&str] = if settings.is_empty() { &["mimalloc v3", "System"] } else { &[] };
        for allocator in ["highwater"].iter().chain(peers) {
            let output = Command::new(std::env::current_exe().expect("a path of its own"))
                .args(args)
                .env("STALLS_ROW", format!("{number} {allocator}"))
                .envs(settings.iter().copied())
                .output()
                .expect("the bench starts itself");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let told = String::from_utf8_lossy(&output.stdout);
            println!("| {name} | {allocator} | {} |", told.trim());
        }
    }
}

fn measure(row: &str, scale: usize) -> String {
    let (number, allocator) = row.split_once(' ').expect("a row's number and its allocator");
    let work = ROWS[number.parse::<usize>().expect("a number")].1;
    match allocator {
        "highwater" => work.done_by(&HIGHWATER, scale),
        "System" => work.done_by(&System, scale),
        _ => work.done_by(&MIMALLOC, scale),
    }
}

/// How long calls took.
struct Timed<'a, A> {
    allocator: &'a A,
    calls: usize,
    longest: Duration,
    over: usize,
    left_out: usize,
    switches: i64,
    look_every: usize,
}

impl<A: GlobalAlloc> Timed<'_, A> {
    fn alloc(&mut self, size: usize) -> *mut u8 {
        // SAFETY: the size is not 0.
        let block = self.time(|allocator| unsafe { allocator.alloc(layout(size)) });
        assert!(!block.is_null());
        block
    }

    /// # Safety
    ///
    /// The block was allocated here with this size, and is not used any more.
    unsafe fn free(&mut self, block: *mut u8, size: usize) {
        // SAFETY: the caller's contract.
        self.time(|allocator| unsafe { allocator.dealloc(block, layout(size)) });
    }

    fn time<R>(&mut self, call: impl FnOnce(&A) -> R) -> R {
        if self.calls.is_multiple_of(self.look_every) {
            self.switches = switches();
        }
        self.calls += 1;
        let begun = Instant::now();
        let result = call(self.allocator);
        let took = begun.elapsed();
        if took >= SUSPECT {
            let now = switches();
            if now == self.switches {
                self.longest = self.longest.max(took);
                self.over += usize::from(took > PROMISED);
            } else {
                self.left_out += 1;
                self.switches = now;
            }
        }
        result
    }
}

/// How often the system took the processor from this thread.
fn switches() -> i64 {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: valid for a write; all zero is a valid value.
    unsafe {
        libc::getrusage(libc::RUSAGE_THREAD, usage.as_mut_ptr());
        usage.assume_init().ru_nivcsw
    }
}

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 8).expect("a size of the bench's")
}

impl Work {
    fn done_by<A: GlobalAlloc>(self, allocator: &A, scale: usize) -> String {
        // What is done with a large block takes long enough for many switches.
        let look_every = if matches!(self, Work::Large) { 1 } else { LOOK_EVERY };
        let mut timed = Timed {
            allocator,
            calls: 0,
            longest: SUSPECT,
            over: 0,
            left_out: 0,
            switches: 0,
            look_every,
        };
        match self {
            Work::Large => large(&mut timed, scale),
            Work::Drops => (0..6).for_each(|round| drop(drops(&mut timed, round, 0, scale))),
            Work::Survivors => survivors(&mut timed, scale),
        }
        let at_most = if timed.longest == SUSPECT { "below " } else { "" };
        let longest = timed.longest.as_micros();
        format!("{} | {at_most}{longest} | {} | {}", timed.calls, timed.over, timed.left_out)
    }
}

fn large<A: GlobalAlloc>(timed: &mut Timed<'_, A>, scale: usize) {
    for round in 0..60 / scale.min(20) {
        let size = MIB << (round % 9);
        let block = timed.alloc(size);
        // SAFETY: the block has this size, and is freed once.
        unsafe {
            block.write_bytes(1, size);
            timed.free(block, size);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Blocks of so many bytes each.
type Blocks = Vec<(*mut u8, usize)>;

/// Makes blocks and frees them but for one in `survive_one_in`, all if that is 0. What is left.
fn drops<A: GlobalAlloc>(
    timed: &mut Timed<'_, A>,
    round: usize,
    survive_one_in: usize,
    scale: usize,
) -> Blocks {
    let mut random = Rng::with_seed(round as u64);
    let most = [64, 1024, 200, 4000, 400, 30][round % 6];
    let count = (300 * MIB / most * 2).min(3_000_000) / scale;
    let mut blocks: Blocks = (0..count)
        .map(|_| {
            let size = random.usize(8..8 + most);
            let block = timed.alloc(size);
            // SAFETY: 8 bytes and more are the block's.
            unsafe { block.cast::<u64>().write(1) };
            (block, size)
        })
        .collect();
    random.shuffle(&mut blocks);
    let left = count.checked_div(survive_one_in).unwrap_or(0);
    // SAFETY: allocated above, freed once.
    blocks.drain(left..).for_each(|(block, size)| unsafe { timed.free(block, size) });
    blocks
}

fn survivors<A: GlobalAlloc>(timed: &mut Timed<'_, A>, scale: usize) {
    let left: Vec<Blocks> = (0..3).map(|round| drops(timed, round, 100, scale)).collect();
    let mut random = Rng::with_seed(9);
    let mut held: Blocks = Vec::new();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(4) / scale as u32 {
        let size = random.usize(8..1024);
        held.push((timed.alloc(size), size));
        if held.len() > 50_000 {
            let (block, size) = held.swap_remove(random.usize(..50_000));
            // SAFETY: allocated above, freed once.
            unsafe { timed.free(block, size) };
        }
    }
    let all = left.into_iter().flatten().chain(held);
    // SAFETY: allocated above, freed once.
    all.for_each(|(block, size)| unsafe { timed.free(block, size) });
}
