//! The kept cases, tried without a fuzzer: on the stable toolchain, in every change.

#![cfg(fuzzing)]

use std::path::Path;
use std::{fs, panic, process};

fn try_all(target: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let mut tried = 0;
    // A thread that fails would leave others waiting for it.
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |failure| {
        report(failure);
        process::abort();
    }));
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        eprintln!("{}", path.display());
        run(&fs::read(path).unwrap());
        tried += 1;
    }
    assert!(tried > 10, "only {tried} cases are kept of {target}");
}

#[test]
fn settings_of_the_corpus_are_understood_as_a_naive_reader_does() {
    try_all("settings", highwater_fuzz::settings::run);
}

#[test]
fn files_of_the_corpus_do_no_harm() {
    try_all("kernel_files", highwater_fuzz::kernel_files::run);
}

#[test]
fn actions_of_the_corpus_agree_with_the_model() {
    try_all("actions", highwater_fuzz::actions::run);
}
