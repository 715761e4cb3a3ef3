//! Where the figures come from: without it no figure can be read.

use std::env::{self, consts};
use std::ffi::CStr;
use std::fs;
use std::process::{Command, Stdio};
use std::thread;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::kernel;

/// The machine, the toolchain and the moment.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Machine {
    pub cpus: usize,
    pub memory_bytes: Option<u64>,
    pub os_page_bytes: u64,
    /// What Linux does about huge pages unasked: with `always`, resident memory comes in steps of 2 MiB.
    pub transparent_huge_pages: Option<String>,
    pub arch: String,
    /// The system's name and release.
    pub kernel: String,
    pub rustc: String,
    pub target: String,
    /// The commit of the sources, `-dirty` if they differ from it; none where git does not answer.
    pub commit: Option<String>,
    /// Coordinated universal time.
    pub date: String,
    /// Settings of the environment that allocators listen to.
    pub environment: Vec<(String, String)>,
}

impl Machine {
    /// This machine, now.
    pub fn here() -> Machine {
        Machine {
            cpus: thread::available_parallelism().map_or(1, usize::from),
            memory_bytes: memory_bytes(),
            os_page_bytes: kernel::os_page_bytes(),
            transparent_huge_pages: transparent_huge_pages(),
            arch: consts::ARCH.to_owned(),
            kernel: kernel_release(),
            rustc: env!("HARNESS_RUSTC").to_owned(),
            target: env!("HARNESS_TARGET").to_owned(),
            commit: commit(),
            date: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
            environment: environment(),
        }
    }

    /// The machine in one line.
    pub fn line(&self) -> String {
        let commit =
            self.commit.as_deref().map_or(String::new(), |commit| format!(", commit {commit:.12}"));
        format!(
            "{}, {} CPUs, {}, {}{commit}, {}",
            self.kernel, self.cpus, self.target, self.rustc, self.date
        )
    }
}

fn memory_bytes() -> Option<u64> {
    // SAFETY: `sysconf` has no preconditions.
    let pages = unsafe { libc::sysconf(libc::_SC_PHYS_PAGES) };
    Some(u64::try_from(pages).ok()? * kernel::os_page_bytes())
}

/// The setting that stands in brackets; none on other systems.
fn transparent_huge_pages() -> Option<String> {
    let settings = fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled").ok()?;
    let (_, chosen) = settings.split_once('[')?;
    Some(chosen.split_once(']')?.0.to_owned())
}

fn kernel_release() -> String {
    // SAFETY: `utsname` is arrays of characters, for which all zeros are valid.
    let mut name: libc::utsname = unsafe { std::mem::zeroed() };
    // SAFETY: `name` is valid for one write.
    if unsafe { libc::uname(&raw mut name) } != 0 {
        return consts::OS.to_owned();
    }
    // SAFETY: `uname` ends every field with a zero.
    let [system, release] =
        [&name.sysname, &name.release].map(|field| unsafe { CStr::from_ptr(field.as_ptr()) });
    format!("{} {}", system.to_string_lossy(), release.to_string_lossy())
}

fn commit() -> Option<String> {
    let output = Command::new("git")
        .args([
            "-C",
            env!("CARGO_MANIFEST_DIR"),
            "describe",
            "--always",
            "--dirty",
            "--abbrev=40",
            "--exclude=*",
        ])
        .stderr(Stdio::null())
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn environment() -> Vec<(String, String)> {
    const PREFIXES: [&str; 6] = [
        "HIGHWATER_",
        "MALLOC_",
        "GLIBC_TUNABLES",
        "MIMALLOC_",
        "_RJEM_MALLOC_CONF",
        "RUSTY_ALLOC_",
    ];
    env::vars_os()
        .filter_map(|(key, value)| {
            Some((key.into_string().ok()?, value.to_string_lossy().into_owned()))
        })
        .filter(|(key, _)| PREFIXES.iter().any(|prefix| key.starts_with(prefix)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_is_known() {
        let machine = Machine::here();
        assert!(machine.cpus >= 1);
        assert!(machine.rustc.starts_with("rustc "));
        assert!(machine.line().contains(&machine.target));
    }
}
