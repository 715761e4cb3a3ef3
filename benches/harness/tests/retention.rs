//! The whole tool from its command line, on workloads of a size that a test can wait for.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn retention(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_retention")).args(arguments).output().expect("the tool starts")
}

/// Runs with `--json`, and hands back what was printed and what was written.
fn measured(arguments: &[&str]) -> (String, Value) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("results.json");
    let output =
        retention(&[arguments, &["--json", file.to_str().expect("a path in UTF-8")]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let json = fs::read(&file).expect("the file is written");
    let printed = String::from_utf8(output.stdout).expect("text");
    (printed, serde_json::from_slice(&json).expect("JSON"))
}

fn run_of<'a>(results: &'a Value, workload: &str, contender: &str) -> &'a Value {
    let named = |list: &'a Value, key: &str, name: &str| {
        let found = list.as_array().expect("a list").iter().find(|entry| entry[key] == name);
        found.unwrap_or_else(|| panic!("no {key} {name}"))
    };
    named(&named(&results["workloads"], "workload", workload)["runs"], "contender", contender)
}

#[test]
fn a_small_deepcopy_gives_every_statement_and_a_comparison() {
    let (printed, results) = measured(&[
        "run",
        "--workload",
        "deepcopy",
        "--contender",
        "return-arenas,system",
        "--scale",
        "10",
    ]);

    let run = run_of(&results, "deepcopy", "system");
    let samples = run["report"]["samples"].as_array().expect("samples");
    let statements: Vec<&str> =
        samples.iter().filter_map(|sample| sample["statement"].as_str()).collect();
    assert_eq!(
        statements,
        [
            "(baseline)",
            "let numbers: Vec<Box<u64>> = (0..count).map(Box::new).collect()",
            "let copy = numbers.clone()",
            "drop(numbers)",
            "drop(copy)",
            "(idle for 1 s)",
        ]
    );
    assert!(run["report"]["samples"][0]["allocator"].is_null());
    assert!(samples[5]["wall_ns"].as_u64() >= Some(1_000_000_000));
    if cfg!(target_os = "linux") {
        // Twice 100,000 blocks and the pointers to them.
        assert!(run["comparison"]["peak_bytes"].as_i64() > Some(3_000_000));
        assert!(samples[1]["minor_faults"].as_u64() > Some(100));
    }
    let highwater = run_of(&results, "deepcopy", "return-arenas");
    assert!(highwater["report"]["samples"][1]["allocator"]["live_bytes"].is_u64());
    assert_eq!(results["settings"]["scale"], 10);
    assert!(results["machine"]["rustc"].as_str().is_some_and(|rustc| rustc.starts_with("rustc ")));
    for text in ["deepcopy under return-arenas", "let copy = numbers.clone()", "deepcopy compared"]
    {
        assert!(printed.contains(text), "{printed}");
    }
}

#[test]
fn every_workload_runs_when_small() {
    let input = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let input = input.to_str().expect("a path in UTF-8");
    let (_, results) =
        measured(&["--contender", "keep-arenas", "--scale", "1000", "--input", input]);

    let workloads = results["workloads"].as_array().expect("a list");
    let names: Vec<&str> =
        workloads.iter().filter_map(|workload| workload["workload"].as_str()).collect();
    let all = [
        "sizes",
        "deepcopy",
        "pickle",
        "unpickle",
        "flat-write",
        "flat-read",
        "broadcast",
        "fork",
        "index",
    ];
    assert_eq!(names, all);
    let survivors =
        run_of(&results, "broadcast", "keep-arenas")["report"]["survivors_bytes"].as_u64();
    assert!(survivors > Some(300 * (20 + 64)));
    let integer = &workloads[0]["reference"][0];
    assert_eq!(
        (integer["name"].as_str(), integer["value"].as_f64()),
        (Some("integer, boxed"), Some(8.0))
    );
    let note =
        run_of(&results, "index", "keep-arenas")["report"]["notes"][0].as_str().expect("a note");
    assert!(note.starts_with("read 1 text files"), "{note}");
}

#[test]
fn every_workload_that_gives_back_stands_against_its_bound_when_small() {
    let (printed, results) = measured(&[
        "run",
        "--workload",
        "giving-back",
        "--contender",
        "return-arenas,system",
        "--scale",
        "500",
        "--second-ms",
        "20",
    ]);

    let workloads = results["workloads"].as_array().expect("a list");
    assert_eq!(workloads.len(), 15);
    for workload in workloads {
        let name = workload["workload"].as_str().expect("a name");
        let [own, system] = ["return-arenas", "system"]
            .map(|contender| &run_of(&results, name, contender)["returned"]);
        assert!(own["bound_bytes"].is_u64(), "{name}: {own}");
        assert!(own["system_calls"].is_u64(), "{name}: {own}");
        assert!(system["system_calls"].is_null(), "{name}: {system}");
        if cfg!(target_os = "linux") {
            assert!(own["target_met"].is_boolean(), "{name}: {own}");
            assert!(system["idle_2s_bytes"].is_i64(), "{name}: {system}");
        }
    }
    let scattered = run_of(&results, "survivors-5", "system");
    // 500 objects of 10,000, on as many pages or fewer, and the vector that holds them.
    let bound = scattered["returned"]["bound_bytes"].as_u64().expect("a bound");
    assert!((200 << 12..600 << 12).contains(&bound), "{bound}");
    let statements = run_of(&results, "shifting", "system")["report"]["samples"].as_array();
    let held = statements.expect("samples").iter();
    assert_eq!(held.filter(|sample| sample["bound_bytes"].is_u64()).count(), 40);
    for text in ["survivors-0.1 compared", "worst trough", "system calls in all turns", "target"] {
        assert!(printed.contains(text), "{printed}");
    }
}

#[test]
fn a_contender_that_fails_fails_its_cell_and_the_exit_code() {
    let empty = tempfile::tempdir().expect("a folder");
    let input = empty.path().to_str().expect("a path in UTF-8");
    let output =
        retention(&["run", "--workload", "index", "--contender", "system", "--input", input]);
    assert_eq!(output.status.code(), Some(1));
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(printed.contains("failed: no file under"), "{printed}");
}

#[test]
fn an_interrupt_ends_it_with_its_own_exit_code() {
    let mut tool = Command::new(env!("CARGO_BIN_EXE_retention"))
        .args(["run", "--scale", "1000"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the tool starts");
    let mut first = String::new();
    let mut printed = BufReader::new(tool.stdout.take().expect("a pipe"));
    printed.read_line(&mut first).expect("the machine's line, before the first child starts");
    let process = libc::pid_t::try_from(tool.id()).expect("a process id");
    // SAFETY: `kill` has no preconditions; the process is not collected yet.
    assert_eq!(unsafe { libc::kill(process, libc::SIGINT) }, 0);
    assert_eq!(tool.wait().expect("an end").code(), Some(130));
}

#[test]
fn a_wrong_name_is_answered_with_the_right_ones_and_exit_code_2() {
    let output = retention(&["run", "--workload", "deepcpy"]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("deepcpy") && said.contains("deepcopy") && said.contains("flat-write"),
        "{said}"
    );
}

#[test]
fn the_list_names_workloads_and_contenders() {
    let output = retention(&["list"]);
    assert!(output.status.success());
    let printed = String::from_utf8_lossy(&output.stdout);
    for name in [
        "unpickle",
        "index",
        "giving-back",
        "survivors-1",
        "never-shrink",
        "return-pages",
        "system",
    ] {
        assert!(printed.contains(name), "{printed}");
    }
}
