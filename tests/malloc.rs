//! The C allocation family as a shared object: small C programs under `LD_PRELOAD`, each of which checks
//! promises of its own and says `ok`. Linux with a C and a C++ compiler.
//!
//! The library is built as `cargo preload` builds it, with the checks of a debug build.

#![cfg(target_os = "linux")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

#[path = "support/patience.rs"]
mod patience;
use patience::{Patience, whereabouts};

/// A program that takes longer hangs. Seconds.
const PATIENCE_S: u64 = 120;
const IS_HARDENED: bool = cfg!(feature = "hardened");
const FEATURES: &str = if IS_HARDENED { "malloc,hardened" } else { "malloc" };
const RUNGS: [&str; 5] =
    ["never-shrink", "keep-arenas", "return-arenas", "return-pools", "return-pages"];

fn folder() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}

/// The library, built once.
fn library() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let target = folder().join("preload");
        let built = Command::new(env!("CARGO"))
            .args(["rustc", "--profile", "preload", "--lib", "--crate-type", "cdylib"])
            .args(["--features", FEATURES, "--target-dir"])
            .arg(&target)
            .args([
                "--",
                "-C",
                "debug-assertions=on",
                "-C",
                "link-arg=-Wl,-z,nodelete,-z,initfirst",
            ])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        target.join("preload/libhighwater.so")
    })
}

/// Compiles the program `source` of this test's folder.
fn program(source: &str) -> PathBuf {
    let program = folder().join(format!("{source}.{}", std::process::id()));
    compile(source, &program, &["-ldl"]);
    program
}

fn compile(source: &str, output: &Path, arguments: &[&str]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/malloc").join(source);
    let compiler = if source.ends_with(".cc") { "c++" } else { "cc" };
    let compiled = Command::new(compiler)
        .args(["-O1", "-g", "-fno-builtin", "-pthread", "-Wno-deprecated-declarations", "-o"])
        .args([output, &path])
        .args(IS_HARDENED.then_some("-DHARDENED"))
        .args(arguments)
        .output()
        .unwrap();
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
}

/// A command without any setting of ours in its environment.
fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    for (key, _) in std::env::vars_os() {
        if key.to_string_lossy().starts_with("HIGHWATER_") {
            command.env_remove(key);
        }
    }
    command
}

fn preloaded(program: &Path, arguments: &[&str], settings: &[(&str, &str)]) -> Output {
    let mut command = command(program);
    command.args(arguments).env("LD_PRELOAD", library()).envs(settings.iter().copied());
    run(command)
}

fn run(mut command: Command) -> Output {
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).stdin(Stdio::null()).spawn().unwrap();
    let mut patience = Patience::new(PATIENCE_S, Duration::from_millis(5));
    while child.try_wait().unwrap().is_none() {
        if !patience.nap() {
            let place = whereabouts(child.id());
            child.kill().unwrap();
            let output = child.wait_with_output().unwrap();
            panic!("{command:?} hangs\n{place}{}", String::from_utf8_lossy(&output.stderr));
        }
    }
    child.wait_with_output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The program says `ok` under every rung, and when frees are checked.
fn holds(source: &str) {
    let program = program(source);
    says_ok(&program, &[]);
    std::fs::remove_file(program).unwrap();
}

fn says_ok(program: &Path, arguments: &[&str]) {
    let rungs = RUNGS.map(|rung| ("HIGHWATER_RETENTION", rung));
    let ways = [("HIGHWATER_CHECK", "1"), ("HIGHWATER_SWEEPER", "off")];
    for setting in rungs.into_iter().chain(ways) {
        let hasty = ("HIGHWATER_RETURN_AFTER_MS", "20");
        let output = preloaded(program, arguments, &[setting, hasty]);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success() && said == "ok\n" && output.stderr.is_empty(),
            "{program:?} with {setting:?}: {:?}\n{said}{}",
            output.status,
            stderr(&output)
        );
    }
}

#[test]
fn every_function_keeps_what_c_and_posix_and_glibc_promise() {
    holds("semantics.c");
}

#[test]
fn blocks_pass_between_threads_that_end_and_their_destructors_allocate() {
    holds("threads.c");
}

#[test]
fn processes_fork_and_spawn_while_threads_allocate() {
    holds("processes.c");
}

/// glibc's fork waits for the lock of all streams, whose holder waits for a stream, whose holder allocates.
#[test]
fn processes_fork_while_threads_read_lines_and_flush_all_streams() {
    holds("streams.c");
}

#[test]
fn a_process_ends_with_its_last_thread() {
    holds("last_thread.c");
}

#[test]
fn constructors_and_exit_handlers_allocate() {
    holds("lifetime.c");
}

#[test]
fn without_memory_there_is_null_and_enomem_and_later_there_is_memory_again() {
    holds("exhausted.c");
}

#[test]
fn operators_of_all_forms_allocate_and_throw() {
    holds("operators.cc");
}

/// As PHP loads its extensions. The library that is loaded so is found where the one that loads it says.
#[test]
fn a_library_that_binds_deeply_frees_what_the_c_library_allocated() {
    let place = folder().join(format!("deep_bind.{}", std::process::id()));
    std::fs::create_dir_all(place.join("inner")).unwrap();
    let (program, host) = (place.join("program"), place.join("libhost.so"));
    let shared = ["-shared", "-fPIC"];
    compile(
        "deep_bind.c",
        &place.join("inner/libplugin.so"),
        &[&shared[..], &["-DPLUGIN"]].concat(),
    );
    let run_path = "-Wl,-rpath,$ORIGIN/inner";
    compile("deep_bind.c", &host, &[&shared[..], &["-DHOST", run_path, "-ldl"]].concat());
    compile("deep_bind.c", &program, &["-ldl"]);
    says_ok(&program, &[host.to_str().unwrap()]);
    std::fs::remove_dir_all(place).unwrap();
}

#[test]
fn a_library_loaded_at_run_time_serves_and_survives_being_closed() {
    let program = program("loaded.c");
    let mut command = command(&program);
    command.arg(library());
    let output = run(command);
    assert!(output.status.success(), "{:?}\n{}", output.status, stderr(&output));
    std::fs::remove_file(program).unwrap();
}

#[test]
fn an_idle_programs_memory_goes_back_and_a_small_one_has_no_second_thread() {
    let program = program("idle.c");
    for (argument, sweeper) in [("sweeper", "on"), ("none", "off")] {
        let settings = [("HIGHWATER_SWEEPER", sweeper), ("HIGHWATER_RETURN_AFTER_MS", "20")];
        let output = preloaded(&program, &[argument], &settings);
        assert!(output.status.success(), "{argument}: {:?}\n{}", output.status, stderr(&output));
    }
    std::fs::remove_file(program).unwrap();
}

#[test]
fn bursts_stay_below_a_soft_limit() {
    let program = program("limit.c");
    let peak = |rung, limit| {
        let settings = [("HIGHWATER_RETENTION", rung), ("HIGHWATER_SOFT_LIMIT", limit)];
        let output = preloaded(&program, &[], &settings);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{rung}: {:?}\n{said}{}", output.status, stderr(&output));
        said.trim().parse::<usize>().unwrap() >> 10
    };
    for rung in RUNGS {
        let mib = peak(rung, "64M");
        // As in `tests/limit.rs`.
        assert!(mib <= 68, "{rung}: {mib} MiB");
    }
    assert!(peak("never-shrink", "0") > 128, "it is the limit that keeps them below");
    std::fs::remove_file(program).unwrap();
}

/// What is said of each mistake under `HIGHWATER_CHECK=1`.
const CHECKED: &[(&str, &str)] = &[
    ("foreign", "not allocated here"),
    ("inside-span", "freed already, or never allocated"),
    ("inside-large", "not allocated here"),
    ("span-twice", "freed already"),
    ("large-twice", "freed already"),
    ("inside-small", "inside a block of 112 bytes"),
    ("small-twice", "freed already"),
    ("small-twice-elsewhere", "freed already"),
    ("small-twice-by-another", "freed already"),
    ("latest-twice-by-another", "freed already"),
    ("guest-twice", "freed already"),
    ("never", "never allocated"),
];

/// What the hardened allocator says, whatever the setting. The last ones only it finds.
const HARDENED: &[(&str, &str)] = &[
    ("foreign", "free of a foreign address: 0x"),
    ("inside-span", "free inside a block: 0x"),
    ("inside-large", "free inside a block: 0x"),
    ("span-twice", "double free: 0x"),
    ("large-twice", "double free: 0x"),
    ("inside-small", "free inside a block: 0x"),
    ("small-twice", "double free: 0x"),
    ("small-twice-elsewhere", "double free: 0x"),
    ("small-twice-by-another", "double free: 0x"),
    ("latest-twice-by-another", "double free: 0x"),
    ("guest-twice", "double free: 0x"),
    ("never", "never handed out among blocks of 112 bytes"),
    ("overflow", "a block of 112 bytes"),
    ("after-free", "a free block of 112 bytes"),
];

#[test]
fn a_checked_program_ends_at_its_first_wrong_free_with_a_message() {
    let program = program("mistakes.c");
    let (mistakes, begins) = match IS_HARDENED {
        true => (HARDENED, "highwater: "),
        false => (CHECKED, "highwater: free(0x"),
    };
    for (mistake, message) in mistakes {
        let output = preloaded(&program, &[mistake], &[("HIGHWATER_CHECK", "1")]);
        let said = stderr(&output);
        assert!(!output.status.success() && output.stdout.is_empty(), "{mistake} is survived");
        assert!(said.starts_with(begins) && said.contains(message), "{mistake}: {said}");
        assert_eq!(said.lines().count(), 1, "{mistake}: {said}");
    }
    let output = preloaded(&program, &["none"], &[("HIGHWATER_CHECK", "1")]);
    assert!(output.status.success() && output.stderr.is_empty(), "{}", stderr(&output));
    std::fs::remove_file(program).unwrap();
}

#[test]
#[cfg(not(feature = "hardened"))]
fn what_no_record_knows_is_left_alone_and_counted() {
    let program = program("mistakes.c");
    for (mistake, strays) in
        [("foreign", 2), ("inside-span", 1), ("inside-large", 1), ("span-twice", 1), ("none", 0)]
    {
        let output = preloaded(&program, &[mistake], &[("HIGHWATER_STATS", "1")]);
        let said = stderr(&output);
        assert!(output.status.success() && output.stdout == b"survived\n", "{mistake}: {said}");
        let counted = said.lines().find(|line| line.contains("addresses were freed"));
        let counted = counted.map_or("0", |line| line.split(' ').next().unwrap());
        assert_eq!(counted.parse(), Ok(strays), "{mistake}: {said}");
    }
    std::fs::remove_file(program).unwrap();
}

#[test]
fn the_settings_are_heeded_named_and_printed_at_exit() {
    let program = program("lifetime.c");
    let output = preloaded(&program, &[], &[("HIGHWATER_STATS", "1"), ("HIGHWATER_CHEK", "1")]);
    let said = stderr(&output);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("HIGHWATER_CHEK is not a setting"), "{said}");
    let value = |name: &str| {
        let line = said.lines().find(|line| line.starts_with(name)).unwrap();
        line[name.len()..].split_whitespace().next().unwrap().parse::<usize>().unwrap()
    };
    assert!(value("live small blocks") > 10_000);
    assert_eq!(value("sum"), value("mapped"));
    std::fs::remove_file(program).unwrap();
}
