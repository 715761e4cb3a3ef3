//! Instructions, counted by valgrind's tool callgrind: the same in every run, whatever else the machine does.

use std::path::Path;
use std::process::Command;

use crate::runner::{self, Reason};

/// Runs a program with these arguments and this environment under callgrind: what it wrote, and how many instructions it
/// took, in user code, of all its threads.
pub fn count(
    program: &Path,
    arguments: &[&str],
    env: &[(&str, &str)],
    scratch: &Path,
) -> Result<(String, u64), Reason> {
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    command.arg(program).args(arguments).envs(env.iter().copied());
    let (output, said) = runner::run(command, scratch, runner::TIMEOUT)
        .map_err(|reason| format!("under valgrind: {reason}"))?;
    let count = collected(&said).ok_or_else(|| format!("valgrind counted nothing: {said}"))?;
    Ok((output, count))
}

/// The count in callgrind's last words: `==12== Collected : 123456`.
fn collected(said: &str) -> Option<u64> {
    let (_, count) = said.lines().find_map(|line| line.split_once("Collected : "))?;
    count.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_is_found_among_what_valgrind_says() {
        let said = "==7== \n==7== Events    : Ir\n==7== Collected : 1234567\n==7== \n";
        assert_eq!(collected(said), Some(1_234_567));
        assert_eq!(collected("==7== nothing"), None);
    }
}
