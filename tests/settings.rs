//! What the environment says, the constructor and the program: who wins, and what is told on
//! standard error.
//!
//! Each test is one process of a program on highwater, so that the environment is read in it anew.

#[path = "support/child.rs"]
mod child;

use child::{Ended, alone, alone_with};
use highwater::{Highwater, Retention};

#[global_allocator]
static GLOBAL: Highwater = Highwater::with_retention(Retention::KeepArenas);

/// Lines on standard error that the allocator wrote.
fn complaints(ended: &Ended) -> Vec<&str> {
    ended.stderr.lines().filter(|line| line.contains("highwater")).collect()
}

#[test]
fn without_a_setting_the_constructor_is_obeyed() {
    alone(|| assert_eq!(highwater::retention(), Retention::KeepArenas));
}

#[test]
fn the_environment_wins_over_the_constructor() {
    let set = &[("HIGHWATER_RETENTION", "never-shrink")];
    let ended = alone_with(set, || {
        assert_eq!(highwater::retention(), Retention::NeverShrink);
        drop(vec![0u8; 100_000]);
        assert_eq!(highwater::trim(), 0, "the rung is in force, not only named");
    });
    if let Some(ended) = ended {
        assert_eq!(complaints(&ended), [""; 0], "nothing to complain of");
    }
}

#[test]
fn the_default_rung_can_be_asked_for_by_name() {
    alone_with(&[("HIGHWATER_RETENTION", "return-arenas")], || {
        assert_eq!(highwater::retention(), Retention::ReturnArenas);
    });
}

#[test]
fn the_program_can_choose_again_at_run_time() {
    alone_with(&[("HIGHWATER_RETENTION", "never-shrink")], || {
        for rung in Retention::ALL {
            highwater::set_retention(rung);
            drop(vec![String::from("a slow path may come by"); 10_000]);
            assert_eq!(highwater::retention(), rung);
        }
    });
}

#[test]
fn a_value_that_is_not_understood_is_named_once_and_the_constructor_stands() {
    let set = &[("HIGHWATER_RETENTION", "Sometimes")];
    let ended = alone_with(set, || {
        assert_eq!(highwater::retention(), Retention::KeepArenas);
        let thread = std::thread::spawn(|| vec![1; 1000]);
        assert_eq!(thread.join().unwrap().len(), 1000);
    });
    if let Some(ended) = ended {
        let told = complaints(&ended);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains("HIGHWATER_RETENTION=Sometimes"), "{told:?}");
    }
}

#[test]
fn a_key_that_is_not_known_is_named_once_and_ignored() {
    let set = &[("HIGHWATER_RETENTOIN", "never-shrink"), ("HIGHWATER_", "1")];
    let ended = alone_with(set, || assert_eq!(highwater::retention(), Retention::KeepArenas));
    if let Some(ended) = ended {
        let told = complaints(&ended);
        assert_eq!(told.len(), 2, "{told:?}");
        let naming = |key: &str| told.iter().filter(|line| line.contains(key)).count();
        assert_eq!(naming("HIGHWATER_RETENTOIN"), 1, "{told:?}");
        assert_eq!(naming("HIGHWATER_ "), 1, "{told:?}");
    }
}

#[test]
fn what_only_looks_like_a_setting_is_nobodys_business() {
    let set = &[("HIGHWATER", "1"), ("MY_HIGHWATER_RETENTION", "x"), ("highwater_stats", "1")];
    if let Some(ended) =
        alone_with(set, || assert_eq!(highwater::retention(), Retention::KeepArenas))
    {
        assert_eq!(complaints(&ended), [""; 0]);
    }
}

#[test]
fn asked_for_statistics_are_printed_once_at_exit_and_their_sum_closes() {
    let set = &[("HIGHWATER_STATS", "1")];
    let ended = alone_with(set, || {
        eprintln!("the test's own last line");
    });
    if let Some(ended) = ended {
        let (_, at_exit) = ended.stderr.split_once("the test's own last line").unwrap();
        let rows = |name: &str| at_exit.lines().filter(|line| line.starts_with(name)).count();
        assert_eq!(rows("highwater:"), 1, "{at_exit}");
        for (reason, _) in highwater::explain().reasons() {
            assert_eq!(rows(reason), 1, "{reason}: {at_exit}");
        }
        assert_eq!(rows("mapped"), 1, "{at_exit}");
        let difference = at_exit.lines().find_map(|line| line.strip_prefix("difference"));
        assert_eq!(difference.map(str::trim), Some("0 B"), "{at_exit}");
    }
}

#[test]
fn statistics_are_not_printed_unless_asked_for() {
    if let Some(ended) = alone_with(&[("HIGHWATER_STATS", "0")], || drop(vec![0; 100])) {
        assert_eq!(complaints(&ended), [""; 0]);
    }
    if let Some(ended) = alone_with(&[("HIGHWATER_STATS", "yes")], || drop(vec![0; 100])) {
        let told = complaints(&ended);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains("HIGHWATER_STATS=yes"), "{told:?}");
    }
}

#[test]
#[cfg(unix)]
fn a_value_that_is_not_text_is_survived() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::process::Command;

    // This very test, told to list itself only: the environment is read all the same.
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--list", "--exact", "a_value_that_is_not_text_is_survived"])
        .env("HIGHWATER_RETENTION", OsStr::from_bytes(b"never\xFFshrink"))
        .env(OsStr::from_bytes(b"HIGHWATER_\xFF"), "1")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(stderr.lines().filter(|line| line.contains("highwater")).count(), 2, "{stderr}");
}
