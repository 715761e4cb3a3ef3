//! A program in a cgroup of 256 MiB: killed without a soft limit, alive with one.
//!
//! Makes a cgroup below the test's own, and removes it. Where none can be made, says why and proves
//! nothing; `tests/limit.rs` shows the same bursts under a limit in bytes.
#![cfg(target_os = "linux")]

#[path = "support/burst.rs"]
mod burst;

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::thread;
use std::time::Duration;

use burst::{MIB, burst_and_drop};
use highwater::{Highwater, SoftLimit};

#[global_allocator]
static GLOBAL: Highwater = Highwater::new();

const TEST: &str = "what_is_killed_in_a_small_cgroup_under_never_shrink_survives_with_a_soft_limit";
/// Tells the program in the cgroup from the test that watches it.
const ROLE: &str = "TEST_IN_A_CGROUP";

const GROUP: usize = 256 * MIB;
/// What a burst needs at once.
const BURST: usize = 192 * MIB;

/// A cgroup of this test's own; removed when dropped.
struct Group(PathBuf);

impl Group {
    /// One that may use `bytes`.
    fn new(bytes: usize) -> Result<Group, String> {
        let own = fs::read_to_string("/proc/self/cgroup").map_err(|error| error.to_string())?;
        let memory = own.lines().find_map(|line| line.split_once(":memory:"));
        let (mount, path, file) = match memory {
            Some((_, path)) => ("/sys/fs/cgroup/memory", path, "memory.limit_in_bytes"),
            None => {
                let path = own.lines().find_map(|line| line.strip_prefix("0::"));
                ("/sys/fs/cgroup", path.ok_or("the process is in no cgroup")?, "memory.max")
            }
        };
        let name = format!("highwater-test-{}", std::process::id());
        let folder = PathBuf::from(format!("{mount}{path}")).join(name);
        let failed = |error| format!("{}: {error}", folder.display());
        fs::create_dir(&folder).map_err(failed)?;
        let group = Group(folder.clone());
        fs::write(folder.join(file), bytes.to_string()).map_err(failed)?;
        // Swapping would put the killing off; without swap there is no such file.
        let _ = fs::write(folder.join("memory.swap.max"), "0");
        let _ = fs::write(folder.join("memory.memsw.limit_in_bytes"), bytes.to_string());
        Ok(group)
    }

    /// Has the kernel slow the group down at `bytes`, and no more kill it; false before version 2, which cannot.
    fn slow_down(&self, bytes: usize) -> bool {
        let set = |file, value: &str| fs::write(self.0.join(file), value).is_ok();
        set("memory.high", &bytes.to_string()) && set("memory.max", "max")
    }

    /// Runs this test's program in the cgroup.
    fn run(&self, settings: &[(&str, &str)]) -> ExitStatus {
        let enter = "echo $$ > \"$0\" && exec \"$@\"";
        let mut program = Command::new("sh");
        program.args(["-c", enter]).arg(self.0.join("cgroup.procs"));
        program.arg(std::env::current_exe().unwrap()).args(["--exact", TEST, "--nocapture"]);
        program.env(ROLE, "1").envs(settings.iter().copied()).status().unwrap()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // What ended in it may need a moment to be gone.
        for _ in 0..100 {
            if fs::remove_dir(&self.0).is_ok() || !Path::new(&self.0).exists() {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
        eprintln!("{} is left behind", self.0.display());
    }
}

#[test]
fn what_is_killed_in_a_small_cgroup_under_never_shrink_survives_with_a_soft_limit() {
    if std::env::var_os(ROLE).is_some() {
        burst_and_drop(&GLOBAL, BURST);
        let stats = highwater::stats();
        assert_eq!(highwater::soft_limit(), SoftLimit::cgroup(0.9));
        // A rounded share.
        assert!((GROUP / 100 * 89..=GROUP / 100 * 91).contains(&stats.soft_limit_bytes));
        assert!(stats.soft_limit_purges > 0);
        return;
    }
    let group = match Group::new(GROUP) {
        Ok(group) => group,
        Err(reason) => return eprintln!("skipped: no cgroup can be made here: {reason}"),
    };
    let without = group.run(&[("HIGHWATER_RETENTION", "never-shrink")]);
    assert_eq!(without.signal(), Some(9), "killed for want of memory: {without}");
    // With the long delay no surplus goes before its time: the limit has to do its own work.
    let settings = [
        ("HIGHWATER_RETENTION", "never-shrink"),
        ("HIGHWATER_SOFT_LIMIT", "cgroup:0.9"),
        ("HIGHWATER_RETURN_AFTER_MS", "60000"),
    ];
    let with = group.run(&settings);
    assert!(with.success(), "with a soft limit: {with}");
    if group.slow_down(GROUP) {
        let with = group.run(&settings);
        assert!(with.success(), "with a soft limit, of memory.high: {with}");
    }
}
