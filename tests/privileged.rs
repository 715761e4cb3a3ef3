//! A set-user-id program does not heed its caller's environment.
//!
//! A copy of this very test is given root's rights and run by somebody else: the kernel then says `AT_SECURE`.
//! Who is not root cannot make such a program, nor can a file system that forbids it: there the test says so
//! and proves nothing, unless `PRIVILEGED=all` wants it to fail then.

#![cfg(target_os = "linux")]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output};

use highwater::{Highwater, Retention, SoftLimit};

#[global_allocator]
static GLOBAL: Highwater = Highwater::with_retention(Retention::KeepArenas);

const ROLE: &str = "PRIVILEGED_CHILD";
const NOBODY: u32 = 65_534;
const SETTINGS: [(&str, &str); 7] = [
    ("HIGHWATER_RETENTION", "never-shrink"),
    ("HIGHWATER_SOFT_LIMIT", "64M"),
    ("HIGHWATER_RETURN_AFTER_MS", "77"),
    ("HIGHWATER_SWEEPER", "off"),
    ("HIGHWATER_STATS", "1"),
    ("HIGHWATER_CHECK", "1"),
    ("HIGHWATER_NONSENSE", "named on standard error, if it is read"),
];

/// Not a test of its own: what the copy does.
#[test]
fn the_child() {
    if std::env::var_os(ROLE).is_none() {
        return;
    }
    // SAFETY: a query without arguments in memory.
    let is_secure = unsafe { libc::getauxval(libc::AT_SECURE) } != 0;
    let limit = highwater::soft_limit() == SoftLimit::NONE;
    println!("secure {is_secure} rung {} unlimited {limit}", highwater::retention().name());
}

fn run(program: &Path, user: u32) -> Output {
    Command::new(program)
        .args(["--exact", "the_child", "--nocapture", "--test-threads=1"])
        .env(ROLE, "1")
        .envs(SETTINGS)
        .uid(user)
        .output()
        .unwrap()
}

#[test]
fn a_set_user_id_program_heeds_no_setting_and_says_nothing() {
    let program = std::env::temp_dir().join(format!("highwater-privileged-{}", std::process::id()));
    let own = std::env::current_exe().unwrap();
    fs::copy(&own, &program).unwrap();
    fs::set_permissions(&program, Permissions::from_mode(0o4755)).unwrap();
    // SAFETY: a query without arguments.
    let own_user = unsafe { libc::geteuid() };
    let user = if own_user == 0 { NOBODY } else { own_user };
    let outputs = [run(&program, user), run(&own, own_user)];
    fs::remove_file(&program).unwrap();
    let [privileged, ordinary] = outputs.map(|output| {
        assert!(output.status.success(), "{output:?}");
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (said(&output.stdout), said(&output.stderr))
    });
    // The same program does heed and say all that when it is nobody's but its caller's.
    assert!(ordinary.0.contains("secure false rung never-shrink unlimited false"), "{ordinary:?}");
    assert!(ordinary.1.contains("HIGHWATER_NONSENSE"), "{ordinary:?}");
    if !privileged.0.contains("secure true") {
        assert!(
            std::env::var("PRIVILEGED").is_err(),
            "no program with more rights can be made here"
        );
        eprintln!("not tested: no program with more rights than its caller can be made here");
        return;
    }
    assert!(privileged.0.contains("rung keep-arenas unlimited true"), "{privileged:?}");
    assert_eq!(privileged.1, "", "nothing is said");
}
