//! `speed`, `growth` and their files from the command line, on a few rows of a size that a test can wait for.

use std::fs;
use std::process::{Command, Output};

use serde_json::Value;

fn retention(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_retention")).args(arguments).output().expect("the tool starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_quick_run_gives_tables_a_chart_and_every_report() {
    let folder = tempfile::tempdir().expect("a folder");
    let [json, chart] = ["results.json", "chart.svg"].map(|name| folder.path().join(name));
    let [json_text, chart_text] = [&json, &chart].map(|path| path.to_str().expect("UTF-8"));
    let output = retention(&[
        "speed",
        "--quick",
        "--rows",
        "pair-64,list",
        "--contender",
        "system",
        "--rounds",
        "2",
        "--json",
        json_text,
        "--chart",
        chart_text,
    ]);
    assert!(output.status.success(), "{}", text(&output.stderr));

    let results: Value =
        serde_json::from_slice(&fs::read(&json).expect("the file is written")).expect("JSON");
    let rows = results["rows"].as_array().expect("rows");
    assert_eq!(rows.len(), 2);
    for row in rows {
        let runs = row["runs"].as_array().expect("runs");
        let names: Vec<&str> = runs.iter().filter_map(|run| run["contender"].as_str()).collect();
        assert_eq!(names, ["highwater", "system"]);
        for run in runs {
            let rounds = run["rounds"].as_array().expect("rounds");
            assert_eq!(rounds.len(), 2);
            assert!(rounds.iter().all(|report| report["wall_ns"].as_f64() > Some(0.0)), "{row}");
        }
    }
    // A list of a million is divided by 20, as every quick row is.
    assert_eq!(rows[1]["runs"][0]["rounds"][0]["operations"], 50_000);
    assert_eq!(results["figures"][0]["fastest"], "system");

    let printed = text(&output.stdout);
    for wanted in ["small rows", "pair-64", "geometric means", "resident at the peak", "targets"] {
        assert!(printed.contains(wanted), "{printed}");
    }
    let chart = fs::read_to_string(&chart).expect("the chart is drawn");
    assert!(chart.starts_with("<svg") && chart.contains("pair-64"), "{chart}");
}

#[test]
fn instructions_are_counted_where_there_is_a_counter_and_else_it_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let json = folder.path().join("results.json");
    let output = retention(&[
        "speed",
        "--quick",
        "--clock",
        "instructions",
        "--rows",
        "pair-64",
        "--contender",
        "system",
        "--json",
        json.to_str().expect("UTF-8"),
    ]);
    let printed = text(&output.stdout);
    if Command::new("valgrind").arg("--version").output().is_err() {
        assert!(!output.status.success() && printed.contains("under valgrind"), "{printed}");
        return;
    }
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(printed.contains("highwater's instructions for an operation"), "{printed}");
    assert!(!printed.contains("resident"), "the counter's memory is not the program's: {printed}");
    let results: Value =
        serde_json::from_slice(&fs::read(&json).expect("the file is written")).expect("JSON");
    let runs = results["rows"][0]["runs"].as_array().expect("runs");
    assert_eq!(runs.len(), 2);
    for run in runs {
        // No path is shorter than ten instructions, and none of a small block takes thousands, optimised or not.
        let count = run["rounds"][0]["instructions"].as_f64().expect("a count");
        assert!((10.0..5000.0).contains(&count), "{run}");
    }
}

#[test]
fn a_wrong_row_is_answered_with_the_right_ones() {
    let output = retention(&["speed", "--rows", "pairs"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("pair-64"), "{}", text(&output.stderr));
}

#[test]
fn a_quick_look_at_growth_has_its_curves_and_what_it_costs_before_use() {
    let output = retention(&["growth", "--quick"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let printed = text(&output.stdout);
    for wanted in ["live-10m", "threads-512", "resident when main starts", "the program's file"] {
        assert!(printed.contains(wanted), "{printed}");
    }
}
