//! One child: started, waited for until a deadline, its report read. A child that fails says why in a phrase.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::contenders::Contender;
use crate::interrupt;
use crate::kernel::clock_ns;
use crate::report::{Moment, Report, Task};
use crate::sampler::Sampler;

/// How long a child may take.
pub const TIMEOUT: Duration = Duration::from_secs(120);

/// How often a child is asked whether it has ended, and its memory looked at. Its own clocks measure, so this may be
/// coarse.
const POLL: Duration = Duration::from_millis(10);

/// Why there is no report: a phrase for the table's cell.
pub type Reason = String;

/// A report, what was seen of the child meanwhile, and what it said on standard error besides.
pub struct Answer {
    pub report: Report,
    pub curve: Vec<Moment>,
    pub said: String,
}

/// Runs `task` in a fresh process of `program` under the contender's setting.
///
/// The times of the report and of the curve count from the start of the process.
pub fn run_child(
    program: &Path,
    contender: &Contender,
    task: &Task,
    timeout: Duration,
) -> Result<Answer, Reason> {
    let task_text = serde_json::to_string(task).map_err(|error| error.to_string())?;
    let mut command = Command::new(program);
    command.arg(task_text).envs(contender.env.iter().copied());
    let start_ns = clock_ns();
    let mut sampler = None;
    let look = |child: &Child| {
        sampler.get_or_insert_with(|| Sampler::of(child.id(), start_ns)).look();
    };
    let (output, said) = run_watched(command, &task.scratch, timeout, look)?;
    let mut report: Report = serde_json::from_str(&output)
        .map_err(|error| format!("its report cannot be read: {error}"))?;
    report.count_from(start_ns);
    Ok(Answer { report, curve: sampler.map_or_else(Vec::new, Sampler::into_curve), said })
}

/// Runs `command` to its end; what it wrote goes through files in `scratch`, so that no pipe can fill.
pub fn run(
    command: Command,
    scratch: &Path,
    timeout: Duration,
) -> Result<(String, String), Reason> {
    run_watched(command, scratch, timeout, |_| ())
}

/// The same, with a look at the child each time it is waited for.
fn run_watched(
    mut command: Command,
    scratch: &Path,
    timeout: Duration,
    look: impl FnMut(&Child),
) -> Result<(String, String), Reason> {
    let [output, said] = ["stdout", "stderr"].map(|name| scratch.join(name));
    let create =
        |path: &Path| File::create(path).map_err(|error| format!("{}: {error}", path.display()));
    command.stdin(Stdio::null()).stdout(create(&output)?).stderr(create(&said)?);
    // A group of its own: a kill also reaches what the child forked.
    command.process_group(0);
    let mut child = command.spawn().map_err(|error| format!("it does not start: {error}"))?;
    let ended = wait(&mut child, timeout, look);
    let [output, said] = [output, said].map(|path| read_lossy(&path));
    let status = ended?;
    if status.success() { Ok((output, said)) } else { Err(reason(status, &said)) }
}

/// Waits for the child's end; kills it at the deadline or at an interrupt.
fn wait(
    child: &mut Child,
    timeout: Duration,
    mut look: impl FnMut(&Child),
) -> Result<ExitStatus, Reason> {
    let deadline = Instant::now() + timeout;
    loop {
        if let Some(status) = child.try_wait().map_err(|error| error.to_string())? {
            return Ok(status);
        }
        look(child);
        let late = Instant::now() >= deadline;
        if late || interrupt::requested() {
            kill_group(child);
            let why = if late {
                format!("not done within {} s", timeout.as_secs_f64())
            } else {
                "interrupted".to_owned()
            };
            return Err(why);
        }
        thread::sleep(POLL);
    }
}

/// Kills the child with all that it forked, and collects it.
fn kill_group(child: &mut Child) {
    if let Ok(group) = libc::pid_t::try_from(child.id()) {
        // SAFETY: `kill` has no preconditions. The child is not collected yet, so the group is still its own.
        unsafe { libc::kill(-group, libc::SIGKILL) };
    }
    let _ = child.wait();
}

/// The phrase for an end that was no success: how it ended, and what its first panic said, or the last line it said.
fn reason(status: ExitStatus, said: &str) -> Reason {
    let end = match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => "an end of unknown kind".to_owned(),
    };
    // Behind what a panic says there may be a backtrace, or a hint at one.
    let panicked = said.lines().skip_while(|line| !line.contains("panicked at ")).nth(1);
    let last = || said.lines().rfind(|line| !line.trim().is_empty());
    match panicked.or_else(last) {
        Some(line) => format!("{end}: {}", line.trim()),
        None => end,
    }
}

fn read_lossy(path: &Path) -> String {
    fs::read(path).map_or_else(
        |error: io::Error| error.to_string(),
        |bytes| String::from_utf8_lossy(&bytes).into_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, timeout: Duration) -> Result<(String, String), Reason> {
        let scratch = tempfile::tempdir().expect("a folder");
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        run(command, scratch.path(), timeout)
    }

    #[test]
    fn what_a_child_writes_is_handed_back() {
        let answer = shell("echo report; echo aside >&2", TIMEOUT);
        assert_eq!(answer, Ok(("report\n".to_owned(), "aside\n".to_owned())));
    }

    #[test]
    fn a_child_that_fails_says_why() {
        let answer = shell("echo first >&2; echo no room >&2; echo >&2; exit 3", TIMEOUT);
        assert_eq!(answer, Err("exit code 3: no room".to_owned()));
        let panic = "thread 'main' panicked at x.rs:1:1:\nno sum\nstack backtrace:\n 0: main\n";
        let answer = shell(&format!("printf \"{panic}\" >&2; exit 101"), TIMEOUT);
        assert_eq!(answer, Err("exit code 101: no sum".to_owned()));
        assert_eq!(shell("kill -SEGV $$", TIMEOUT), Err("killed by signal 11".to_owned()));
    }

    #[test]
    fn a_child_that_hangs_is_killed_with_what_it_forked() {
        let start = Instant::now();
        let answer = shell("sleep 60 & sleep 60", Duration::from_millis(200));
        assert_eq!(answer, Err("not done within 0.2 s".to_owned()));
        assert!(start.elapsed() < Duration::from_secs(30));
    }
}
