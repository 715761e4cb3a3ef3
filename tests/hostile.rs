//! Hostile callers: each bug of `hostile/bugs.rs` is a process of its own. With the feature `hardened` it must
//! end with its line on standard error, and an abort, on every rung; without it some do too.
//!
//! `cargo test --features hardened --test hostile`

#![cfg(unix)]

#[path = "hostile/bugs.rs"]
mod bugs;
#[path = "hostile/deeds.rs"]
mod deeds;

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output};

#[cfg(feature = "hardened")]
use bugs::Bug;
use bugs::{BUGS, End};
use highwater::{Highwater, Retention};

#[global_allocator]
static GLOBAL: Highwater = Highwater::new();

/// Names the bug that a child process is to have.
const BUG: &str = "HOSTILE_BUG";
/// Seconds after which a child hangs.
const PATIENCE_S: u32 = 100;
/// Before the address that the line is to name, on the child's standard output.
const NAMED: &str = "the address: ";
const SURVIVED: &str = "the child came to its end";

/// Runs a bug's program on one rung.
fn run(bug: &str, rung: Retention) -> Output {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_child", "--nocapture", "--test-threads=1"])
        .env(BUG, bug)
        .env("HIGHWATER_RETENTION", rung.name())
        .output()
        .unwrap()
}

/// Not a test of its own: what a child process does.
#[test]
fn the_child() {
    let Ok(name) = std::env::var(BUG) else { return };
    // A child that goes round in a list for ever ends too, but not as it should.
    // SAFETY: nobody handles the signal.
    unsafe { libc::alarm(PATIENCE_S) };
    match (BUGS.iter().find(|bug| bug.name == name), name.as_str()) {
        (Some(bug), _) => bug.run(),
        (None, "deep") => drop(deeds::go_deeper(0)),
        (None, "write-to-null") => deeds::write_to_null(),
        (None, _) => deeds::none(),
    }
    println!("{SURVIVED}");
}

/// What is wrong with how a child ended.
#[cfg(feature = "hardened")]
fn complaint(bug: &Bug, output: &Output) -> Option<String> {
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    let address = stdout.split(NAMED).nth(1).map_or("", |rest| rest.lines().next().unwrap());
    let signal = output.status.signal();
    let is_said = stderr == format!("highwater: {}\n", bug.line(address));
    let is_right = is_said && signal == Some(libc::SIGABRT) && !stdout.contains(SURVIVED);
    (!is_right).then(|| format!("{}: {:?}\n{stdout}{stderr}", bug.name, output.status))
}

#[test]
#[cfg(feature = "hardened")]
fn every_bug_ends_with_its_line_on_every_rung() {
    let mut complaints = Vec::new();
    for rung in Retention::ALL {
        for bug in BUGS {
            let complaint = complaint(bug, &run(bug.name, rung));
            complaints.extend(complaint.map(|what| format!("{}, {what}", rung.name())));
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
#[cfg(feature = "hardened")]
fn what_the_system_stops_elsewhere_ends_as_without_an_allocator_that_listens() {
    let deep = run("deep", Retention::ReturnPages);
    let said = String::from_utf8_lossy(&deep.stderr);
    assert_eq!(deep.status.signal(), Some(libc::SIGABRT), "{deep:?}");
    assert!(said.contains("has overflowed its stack") && !said.contains("highwater"), "{said}");
    let null = run("write-to-null", Retention::ReturnPages);
    assert_eq!(null.status.signal(), Some(libc::SIGSEGV), "{null:?}");
    assert!(null.stderr.is_empty(), "{null:?}");
}

/// Bugs with spans and large blocks whose records tell, at the price of a comparison; and a list that has
/// no end, where one is walked through.
#[cfg(not(feature = "hardened"))]
const CAUGHT_WITHOUT: [(&str, &str); 11] = [
    ("twice-by-others-until-the-end", "a list of free blocks has an end"),
    ("twice-by-others-with-others", "a list of free blocks has an end"),
    ("twice-span", "a span that is freed is one in use"),
    ("inside-span-far", "a span that is freed is one in use"),
    ("small-as-span", "a span that is freed is one in use"),
    ("twice-large", "a large block that is freed is one in use"),
    ("inside-large", "a large block that is freed is one in use"),
    ("inside-large-far", "a large block that is freed is one in use"),
    ("stack-as-large", "a large block that is freed is one in use"),
    ("small-as-large", "a large block that is freed is one in use"),
    ("span-as-large", "a large block that is freed is one in use"),
];

#[test]
#[cfg(not(feature = "hardened"))]
fn what_a_record_tells_is_caught_without_the_feature() {
    for rung in Retention::ALL {
        for (bug, line) in CAUGHT_WITHOUT {
            let output = run(bug, rung);
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{bug}: {output:?}");
            let expected = format!("highwater: broken invariant: {line} (");
            assert!(stderr.starts_with(&expected), "{bug}: {stderr}");
            assert_eq!(stderr.lines().count(), 1, "{bug}: {stderr}");
        }
    }
}

#[test]
fn a_program_without_a_bug_ends_well_on_every_rung_and_nothing_is_said() {
    for rung in Retention::ALL {
        let output = run("none", rung);
        let stdout = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && stdout.contains(SURVIVED), "{output:?}");
        assert!(output.stderr.is_empty(), "{output:?}");
    }
}

#[test]
fn the_line_names_the_address_in_hexadecimal_and_bugs_have_names_of_their_own() {
    for (number, bug) in BUGS.iter().enumerate() {
        assert!(BUGS[..number].iter().all(|other| other.name != bug.name), "{}", bug.name);
        if let End::Line(line) = bug.end {
            assert!(line.contains("{}") || line.contains("0x0"), "{}", bug.name);
        }
    }
}
