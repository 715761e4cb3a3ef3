//! The floors: a file uses only the floors below its own; where `unsafe` and `std` may stand; how
//! long a file may be. Reads the sources, so that a slip fails here and not in a review.

use std::fs;
use std::path::{Path, PathBuf};

/// Floors of one height do not use each other, with the one exception below.
const FLOORS: [(&str, usize); 7] =
    [("base", 0), ("sys", 1), ("sync", 1), ("mem", 2), ("policy", 2), ("heap", 3), ("front", 4)];
/// `sys` counts with `sync`'s atomics, `sync`'s lock sleeps by `sys`: one floor, two folders.
const NEIGHBOURS: [(&str, &str); 2] = [("sys", "sync"), ("sync", "sys")];
/// Where the standard library may be named outside tests: thread-locals, the system's allocator on
/// other targets, and what the model checker puts in the place of others.
const WITH_STD: [&str; 5] = [
    "heap/slot.rs",
    "front/forward.rs",
    "sync/atomic_loom.rs",
    "sync/planted_loom.rs",
    "sys/modelled.rs",
];
/// Files (and what lies below a folder's) that have the compiler refuse unsafe code.
const FORBIDS_UNSAFE: [&str; 18] = [
    "base/flow.rs",
    "base/geometry.rs",
    "base/malloc_class.rs",
    "front/explain.rs",
    "front/map.rs",
    "front/measure.rs",
    "front/native/account.rs",
    "front/native/gather.rs",
    "front/native/meter.rs",
    "front/native/settings.rs",
    "front/native/survey.rs",
    "front/stats.rs",
    "heap/config.rs",
    "heap/ledger.rs",
    "mem/slots.rs",
    "policy/mod.rs",
    "sync/word.rs",
    "sys/fatal.rs",
];
const LINES_MAX: usize = 450;

/// What is wrong in one file, named by its path below `src`, if anything is.
fn faults(path: &str, source: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if source.lines().count() > LINES_MAX {
        faults.push(format!("{path}: over {LINES_MAX} lines"));
    }
    if !source.starts_with("//!") {
        faults.push(format!("{path}: no opening comment"));
    }
    let code = without_tests_and_comments(source);
    if FORBIDS_UNSAFE.contains(&path) && !source.contains("#![forbid(unsafe_code)]") {
        faults.push(format!("{path}: does not forbid unsafe code"));
    }
    let names_std = code.contains("extern crate std") || code.contains("std::");
    if names_std && !WITH_STD.contains(&path) && path != "lib.rs" {
        faults.push(format!("{path}: uses std"));
    }
    if let Some((floor, _)) = path.split_once('/') {
        for used in floors_used(&code) {
            if !may_use(floor, used) {
                faults.push(format!("{path}: {floor} uses {used}"));
            }
        }
    }
    faults
}

fn height(floor: &str) -> usize {
    let found = FLOORS.iter().find(|(name, _)| *name == floor);
    found.unwrap_or_else(|| panic!("{floor} is no floor")).1
}

fn may_use(floor: &str, used: &str) -> bool {
    // A policy is arithmetic: it knows numbers only.
    let below = if floor == "policy" { used == "base" } else { height(used) < height(floor) };
    floor == used || below || NEIGHBOURS.contains(&(floor, used))
}

/// Floors that `code` names by a path from the crate's root.
fn floors_used(code: &str) -> Vec<&'static str> {
    let names = |floor: &str| {
        code.split("crate::").skip(1).any(|rest| {
            let group = rest.strip_prefix('{').and_then(|rest| rest.split(';').next());
            let starts_with = |text: &str| {
                let rest = text.trim_start().strip_prefix(floor);
                rest.is_some_and(|rest| {
                    !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_')
                })
            };
            starts_with(rest) || group.is_some_and(|group| group.split(['{', ',']).any(starts_with))
        })
    };
    let known = FLOORS.iter().map(|(floor, _)| *floor);
    known.filter(|floor| names(floor)).collect()
}

/// The code that is compiled into the library: up to the file's own tests.
fn without_tests_and_comments(source: &str) -> String {
    let library = source.split("#[cfg(test)]\nmod tests").next().unwrap();
    let lines = library.lines().map(|line| line.split("//").next().unwrap());
    lines.collect::<Vec<_>>().join("\n")
}

fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(&root).unwrap().to_str().unwrap().replace('\\', "/");
                found.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found
}

#[test]
fn every_file_keeps_to_its_floor() {
    let sources = sources();
    assert!(sources.len() > 30, "only {} files were found", sources.len());
    let faults: Vec<String> =
        sources.iter().flat_map(|(path, source)| faults(path, source)).collect();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn every_folder_is_a_floor_and_every_floor_a_folder() {
    let sources = sources();
    for (path, _) in &sources {
        if let Some((floor, _)) = path.split_once('/') {
            height(floor);
        }
    }
    for (floor, _) in FLOORS {
        assert!(sources.iter().any(|(path, _)| path == &format!("{floor}/mod.rs")), "{floor}");
    }
    for path in FORBIDS_UNSAFE.iter().chain(&WITH_STD) {
        assert!(sources.iter().any(|(known, _)| known == path), "{path} is gone");
    }
}

#[test]
fn the_root_knows_no_standard_library_but_in_tests() {
    let (_, root) = sources().into_iter().find(|(path, _)| path == "lib.rs").unwrap();
    assert!(root.contains("#![no_std]"));
    let crates = root.matches("extern crate std").count();
    let for_tests = root.matches("#[cfg(test)]\nextern crate std").count();
    assert_eq!(crates, for_tests);
}

#[test]
fn a_planted_fault_is_found() {
    let planted = [
        ("mem/pool.rs", "//! Page.\nuse crate::heap::bin::Bin;\n", "mem/pool.rs: mem uses heap"),
        (
            "mem/pool.rs",
            "//! Page.\nuse crate::policy::retention;\n",
            "mem/pool.rs: mem uses policy",
        ),
        (
            "policy/retention.rs",
            "//! Page.\nuse crate::{base::class, mem::{arena, pool}};\n",
            "policy/retention.rs: policy uses mem",
        ),
        (
            "policy/retention.rs",
            "//! Page.\nfn f() { crate::sys::page_size(); }\n",
            "policy/retention.rs: policy uses sys",
        ),
        ("base/class.rs", "//! Page.\nuse crate::sync::word;\n", "base/class.rs: base uses sync"),
        ("heap/span.rs", "//! Page.\nextern crate std;\n", "heap/span.rs: uses std"),
        ("heap/span.rs", "//! Page.\nuse std::vec::Vec;\n", "heap/span.rs: uses std"),
        ("heap/span.rs", "fn f() {}\n", "heap/span.rs: no opening comment"),
        (
            "front/stats.rs",
            "//! Page.\nfn f() { unsafe { g() } }\n",
            "front/stats.rs: does not forbid unsafe code",
        ),
    ];
    for (path, source, fault) in planted {
        assert_eq!(faults(path, source), [fault], "{source}");
    }
    let long = format!("//! Page.\n{}", "\n".repeat(LINES_MAX));
    assert_eq!(faults("mem/pool.rs", &long), ["mem/pool.rs: over 450 lines"]);
}

#[test]
fn what_is_allowed_is_not_taken_for_a_fault() {
    let allowed = [
        ("heap/span.rs", "//! Page.\nuse crate::mem::pool::Pool;\nuse super::bin;\n"),
        ("heap/span.rs", "//! Page.\n//! Says `crate::front`.\n// crate::front too\n"),
        ("sys/unix.rs", "//! Page.\nuse crate::sync::atomic::AtomicU32;\n"),
        ("mem/block.rs", "//! Page.\n#[cfg(test)]\nmod tests {\n    extern crate std;\n}\n"),
        ("front/global.rs", "//! Page.\nuse crate::{policy::retention, base};\n"),
        ("mem/pool.rs", "//! Page.\nuse crate::memory_of_someone;\n"),
    ];
    for (path, source) in allowed {
        assert_eq!(faults(path, source), [""; 0], "{source}");
    }
}
