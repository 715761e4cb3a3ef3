//! System calls that fail: at every call of a scripted workload, one at a time, from some call on, and
//! at random. Null comes back or the allocator carries on; nothing is lost.
//!
//! Every case is a forked child, in which the allocator's state begins with the script. What is
//! interposed, and how, says `support/faults.rs`.
// With the feature `malloc` the system's allocator, on which the test itself lives, is highwater too: what is
// counted would no longer be what the test asked for.
#![cfg(not(feature = "malloc"))]
#![cfg(all(target_os = "linux", target_env = "gnu"))]

#[path = "support/child.rs"]
mod child;
#[path = "support/faults.rs"]
mod faults;
#[path = "support/forked.rs"]
mod forked;
#[path = "support/script.rs"]
mod script;

use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use child::alone;
use faults::{Call, Plan};
use highwater::Highwater;
use script::Book;

/// Cases at random, for each of the rates below. `FAULT_SEEDS` has more tried.
const SEEDS: u64 = if cfg!(debug_assertions) { 6 } else { 60 };

fn seeds() -> u64 {
    std::env::var("FAULT_SEEDS").map_or(SEEDS, |seeds| seeds.parse().expect("a number of seeds"))
}

/// Calls of a kind that fail, at most: all if `FAULTS=all`, else these, evenly spread.
fn most(quick: usize) -> usize {
    if std::env::var("FAULTS").is_ok_and(|which| which == "all") { usize::MAX } else { quick }
}

/// What a child tells its parent: how often each kind was called, and how many calls failed.
type Told = [AtomicUsize; Call::ALL.len() + 1];

/// Runs the script in a child with the plan in force.
fn run(
    allocator: &'static Highwater,
    plan: Plan,
    told: &'static Told,
    work: fn(&mut Book),
) -> Result<(), String> {
    let child = forked::start(|| {
        if ptr::eq(allocator, &script::QUIET) {
            faults::invent_time();
        }
        let mut book = Book::new(allocator);
        faults::plan(plan);
        let count = |book: &mut Book| {
            faults::armed(true, || work(book));
            for (told, count) in told.iter().zip(faults::counts()) {
                told.store(count, Relaxed);
            }
            told[Call::ALL.len()].store(faults::failed(), Relaxed);
            if plan == Plan::None {
                assert_eq!(book.refused, 0, "without a fault nothing is refused");
            }
        };
        script::run_and_look_back(&mut book, count);
    });
    child.must_end_well().map_err(|end| format!("{plan:?}: {end}"))
}

/// Every plan that `of` makes of one of these kinds of calls and a number below how many the script makes.
fn at_every_call(allocator: &'static Highwater, kinds: &[Call], of: fn(Call, usize) -> Plan) {
    let told = forked::shared();
    // By the sweeper's clock many calls are made at any moment, and a case takes longer.
    let most = most(if ptr::eq(allocator, &script::QUIET) { 60 } else { 8 });
    run(allocator, Plan::None, told, script::run).unwrap();
    let counts = told.each_ref().map(|count| count.load(Relaxed));
    let (mut cases, mut failed, mut bad) = (0, 0, Vec::new());
    for (call, count) in Call::ALL.into_iter().zip(counts) {
        // A wake that fails while sleeping works is none of the kernel's: no lock could live with it.
        if call == Call::Wake || !kinds.contains(&call) {
            continue;
        }
        for number in (0..count).step_by(count.div_ceil(most).max(1)) {
            cases += 1;
            bad.extend(run(allocator, of(call, number), told, script::run).err());
            failed += usize::from(told[Call::ALL.len()].load(Relaxed) > 0);
        }
    }
    let kinds = Call::ALL.into_iter().zip(counts).filter(|(_, count)| *count > 0);
    println!("{cases} cases, {failed} with a fault: {:?}", kinds.collect::<Vec<_>>());
    assert!(bad.is_empty(), "{} of {cases} cases:\n{}", bad.len(), bad.join("\n"));
    assert!(failed > cases / 2, "most plans meet their call: {failed} of {cases}");
}

#[test]
fn any_one_call_may_fail() {
    alone(|| at_every_call(&script::QUIET, &Call::ALL, Plan::Once));
}

#[test]
fn from_any_call_on_all_of_its_kind_may_fail() {
    alone(|| at_every_call(&script::QUIET, &Call::ALL, Plan::From));
}

/// From now on guards are mappings, which the script has some of.
#[cfg(feature = "hardened")]
fn make_guards_mappings() {
    faults::refuse_marks();
    let told = forked::shared();
    run(&script::QUIET, Plan::None, told, script::run).unwrap();
    assert!(told[Call::Protect as usize].load(Relaxed) > 0, "a guard is a mapping");
    assert!(told[Call::Random as usize].load(Relaxed) > 0, "there is a key");
    assert!(told[Call::Listen as usize].load(Relaxed) > 0, "accesses to guards are heard of");
}

#[test]
#[cfg(feature = "hardened")]
fn any_one_call_may_fail_where_guards_are_mappings() {
    alone(|| {
        make_guards_mappings();
        at_every_call(&script::QUIET, &Call::ALL, Plan::Once);
    });
}

#[test]
#[cfg(feature = "hardened")]
fn from_any_call_on_all_of_its_kind_may_fail_where_guards_are_mappings() {
    alone(|| {
        make_guards_mappings();
        at_every_call(&script::QUIET, &Call::ALL, Plan::From);
    });
}

#[test]
fn any_one_call_may_do_less_than_it_was_asked_for() {
    alone(|| at_every_call(&script::QUIET, &[Call::AdviseMany, Call::Read], Plan::Short));
}

#[test]
fn with_a_sweeper_any_one_call_may_fail() {
    alone(|| at_every_call(&script::SWEPT, &Call::ALL, Plan::Once));
}

#[test]
fn with_a_sweeper_from_any_call_on_all_of_its_kind_may_fail() {
    alone(|| at_every_call(&script::SWEPT, &Call::ALL, Plan::From));
}

#[test]
fn any_call_may_fail_while_the_index_of_large_blocks_grows() {
    alone(|| {
        let told = forked::shared();
        let run = |plan| run(&script::QUIET, plan, told, script::many_large).unwrap();
        run(Plan::None);
        // The old index is among the first to be unmapped; the new one is mapped behind 4096 blocks.
        assert!(told[Call::Map as usize].load(Relaxed) > 4200);
        for number in 0..6 {
            run(Plan::Once(Call::Unmap, number));
        }
        for number in 4090..4110 {
            run(Plan::Once(Call::Map, number));
            run(Plan::From(Call::Map, number));
        }
    });
}

#[test]
fn many_calls_may_fail_at_random() {
    alone(|| {
        let told = forked::shared();
        let mut bad = Vec::new();
        for one_in in [2, 8, 50] {
            for seed in 0..seeds() {
                let plan = Plan::Random { seed: seed * 1000 + one_in, one_in };
                bad.extend(run(&script::QUIET, plan, told, script::run).err());
                bad.extend(run(&script::SWEPT, plan, told, script::run).err());
            }
        }
        assert!(bad.is_empty(), "{}", bad.join("\n"));
    });
}

#[test]
fn locks_work_where_nobody_can_sleep() {
    alone(|| run(&script::SWEPT, Plan::NoFutex, forked::shared(), script::run).unwrap());
}
