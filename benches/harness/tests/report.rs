//! `report` from its command line, on workloads of a size that a test can wait for.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn report(arguments: &[&str], out: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_retention"));
    command.arg("report").args(arguments).arg("--out").arg(out);
    command
}

/// The page whose path is the last line on standard output.
fn page(output: &Output) -> String {
    let printed = String::from_utf8_lossy(&output.stdout);
    let path = printed.lines().last().unwrap_or_else(|| {
        panic!("no path: {}", String::from_utf8_lossy(&output.stderr));
    });
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn results(folder: &Path) -> Value {
    let json = fs::read(folder.join("results.json")).expect("results are kept");
    serde_json::from_slice(&json).expect("JSON")
}

#[test]
fn a_contender_that_fails_fails_its_cell_and_the_report_can_be_drawn_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let small = ["--scale", "500", "--second-ms", "40", "--workload", "survivors-1"];
    let contenders = ["--contender", "return-pages,failing,system"];
    let output = report(&[small.as_slice(), &contenders].concat(), folder.path()).output();
    let output = output.expect("the tool starts");
    assert_eq!(output.status.code(), Some(1), "a contender failed");
    let first = page(&output);
    assert!(first.contains("failing failed: exit code 1: made to fail"));
    for chart in ["survivors-1-curve", "survivors-1-figures", "survivors-1-trade-off", "trade-off"]
    {
        assert!(first.contains(&format!("data-chart=\"{chart}\"")), "{chart}");
        let svg = fs::read_to_string(folder.path().join(format!("{chart}.svg"))).expect("a file");
        assert!(svg.contains("data-series=\"return-pages\""), "{chart}");
        assert!(!svg.contains("data-series=\"failing\""), "{chart}");
    }

    let results = results(folder.path());
    let workload = &results["workloads"][0];
    assert_eq!(workload["runs"][1]["failed"], "exit code 1: made to fail");
    assert!(workload["ruler"]["allocations"].as_u64() > Some(10_000));
    if cfg!(target_os = "linux") {
        assert!(workload["runs"][0]["curve"].as_array().is_some_and(|curve| curve.len() > 2));
    }
    let moments = results["maps"][0]["maps"].as_array().expect("maps");
    assert_eq!(moments.len(), 2);
    let pools = moments[0]["arenas"][0].as_array().expect("places");
    assert!(pools.iter().any(|place| place["kind"] == "pool" && place["blocks_used"] != 0));

    let again = tempfile::tempdir().expect("a folder");
    let from = folder.path().join("results.json");
    let from = ["--from", from.to_str().expect("a path in UTF-8")];
    let output = report(&from, again.path()).output().expect("the tool starts");
    assert_eq!(page(&output), first);
    assert!(
        output.stderr.is_empty(),
        "nothing is built: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn an_interrupt_keeps_what_was_measured_and_still_writes_the_page() {
    let folder = tempfile::tempdir().expect("a folder");
    // The first rests for one such second, the second for five.
    let arguments = ["--scale", "1000", "--second-ms", "400", "--workload", "deepcopy,spike"];
    let mut tool =
        report(&[arguments.as_slice(), &["--contender", "system"]].concat(), folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the tool starts");
    let said = BufReader::new(tool.stderr.take().expect("a pipe"));
    let mut said = said.lines().map_while(Result::ok);
    assert!(said.any(|line| line.starts_with("deepcopy: done, 1 of 2, about ")));
    let process = libc::pid_t::try_from(tool.id()).expect("a process id");
    // SAFETY: `kill` has no preconditions; the process is not collected yet.
    assert_eq!(unsafe { libc::kill(process, libc::SIGINT) }, 0);
    let said: Vec<String> = said.collect();
    let output = tool.wait_with_output().expect("an end");
    assert_eq!(output.status.code(), Some(130), "{said:?}");
    let text = page(&output);
    assert!(text.contains("data-chart=\"deepcopy-curve\"") && text.contains("Interrupted"));
    let results = results(folder.path());
    assert_eq!(results["workloads"].as_array().map(Vec::len), Some(1));
    assert_eq!(results["interrupted"], true);
}

#[test]
fn a_file_that_is_no_results_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("x.json");
    fs::write(&file, "{}").expect("a file");
    let from = ["--from", file.to_str().expect("a path in UTF-8")];
    let output = report(&from, folder.path()).output().expect("the tool starts");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("x.json"));
}
