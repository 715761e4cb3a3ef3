//! A test in a process of its own: there the allocator's state begins with the test.

use std::any::type_name;
use std::io::Read;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

#[path = "patience.rs"]
pub mod patience;
use patience::{Patience, whereabouts};

/// Names the test that a child process is to run. Its presence tells a child from its parent.
const ROLE: &str = "TEST_IN_A_CHILD";
/// A child that takes longer hangs. Seconds; `TEST_PATIENCE_S` is for tests that were asked for more.
const PATIENCE_S: u64 = 150;

fn patience() -> Patience {
    let asked = std::env::var("TEST_PATIENCE_S").ok().and_then(|seconds| seconds.parse().ok());
    Patience::new(asked.unwrap_or(PATIENCE_S), Duration::from_millis(2))
}

/// What a child left behind.
pub struct Ended {
    #[allow(dead_code, reason = "not every test file reads it")]
    pub stderr: String,
}

/// Runs `body`, which a test has as its only statement, in a process of its own.
#[allow(dead_code, reason = "not every test file uses it")]
pub fn alone<F: FnOnce()>(body: F) {
    alone_with(&[], body);
}

/// As [`alone`], with `settings` in the environment. What the child left, to the parent only.
pub fn alone_with<F: FnOnce()>(settings: &[(&str, &str)], body: F) -> Option<Ended> {
    let path = type_name::<F>().trim_end_matches("::{{closure}}");
    let test = path.split_once("::").map_or(path, |(_, test)| test);
    if std::env::var(ROLE).is_ok_and(|role| role == test) {
        body();
        println!("{}", done(test));
        return None;
    }
    Some(run(test, settings))
}

fn done(test: &str) -> String {
    format!("the child came to the end of {test}")
}

fn run(test: &str, settings: &[(&str, &str)]) -> Ended {
    let mut command = Command::new(std::env::current_exe().unwrap());
    for (key, _) in std::env::vars_os() {
        if key.to_string_lossy().starts_with("HIGHWATER_") {
            command.env_remove(key);
        }
    }
    let mut child = command
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(ROLE, test)
        .envs(settings.iter().copied())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let stdout = reading(child.stdout.take().unwrap());
    let stderr = reading(child.stderr.take().unwrap());
    let mut patience = patience();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break Ok(status);
        }
        if !patience.nap() {
            let place = whereabouts(child.id());
            child.kill().unwrap();
            child.wait().unwrap();
            break Err(format!("the child hangs\n{place}"));
        }
    };
    let (stdout, stderr) = (stdout.join().unwrap(), stderr.join().unwrap());
    let came_to_the_end = stdout.contains(&done(test));
    assert!(
        status.as_ref().is_ok_and(|status| status.success()) && came_to_the_end,
        "{test}: {status:?}\n--- its standard output\n{stdout}\n--- its standard error\n{stderr}"
    );
    Ended { stderr }
}

fn reading(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
