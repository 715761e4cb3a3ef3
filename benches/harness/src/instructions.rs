//! The command `instructions`: how many instructions each path through the allocator takes, beside its ceiling.
//!
//! Counts do not depend on what else the machine does, so a test may fail on them, where it must not on a time. A
//! path's program runs under callgrind twice, once taking the path many times and once never: the difference is
//! the path's.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use highwater_speed::paths;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use crate::machine::Machine;
use crate::speed::build::Programs;
use crate::{Result, callgrind, interrupt, tables};

#[derive(Args)]
pub struct InstructionsArgs {
    /// Count the paths with highwater's feature `hardened`
    #[arg(long)]
    hardened: bool,
    /// The file with the ceilings [default: benches/instructions.toml, or instructions-hardened.toml beside it]
    #[arg(long, value_name = "FILE")]
    ceilings: Option<PathBuf>,
    /// Write the counts to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// What may be taken at most; the shape of the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ceilings {
    /// Instructions, by path.
    instructions: BTreeMap<String, f64>,
    /// Instructions under the default over those under `NeverShrink`, by work.
    over_never_shrink: BTreeMap<String, f64>,
}

/// A count beside its ceiling.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Count {
    pub name: &'static str,
    pub about: &'static str,
    pub found: f64,
    pub at_most: f64,
}

impl Count {
    pub fn is_kept(&self) -> bool {
        self.found <= self.at_most
    }
}

/// Runs `cargo retention instructions`; the exit code is 1 if a count is above its ceiling.
///
/// # Errors
///
/// A sentence, if the ceilings cannot be read, a path has none, or valgrind does not run.
pub fn run(args: &InstructionsArgs) -> Result<ExitCode> {
    interrupt::install()?;
    let (feature, default) = match args.hardened {
        true => ("hardened", recorded("instructions-hardened.toml")),
        false => ("paths", recorded("instructions.toml")),
    };
    let ceilings = read(args.ceilings.as_ref().unwrap_or(&default))?;
    let programs = Programs::build_paths(feature)?;
    let program = programs.program("speed-paths").ok_or("cargo built no binary `speed-paths`")?;
    let counter = Counter { program, scratch: scratch()? };

    let mut counts = Vec::with_capacity(paths::ALL.len());
    for path in paths::ALL {
        let found = counter.path(path, "return-pages")? / f64::from(path.times);
        let at_most = ceilings.instructions[path.name];
        counts.push(Count { name: path.name, about: path.about, found, at_most });
    }
    let steady = &paths::STEADY;
    let ratio = Count {
        name: steady.name,
        about: steady.about,
        found: counter.path(steady, "return-pages")? / counter.path(steady, "never-shrink")?,
        at_most: ceilings.over_never_shrink[steady.name],
    };

    let mut out = io::stdout();
    writeln!(out, "{}", Machine::here().line())?;
    write!(out, "{}", tables::instructions::instructions(&counts, &ratio))?;
    if let Some(file) = &args.json {
        fs::write(file, serde_json::to_string_pretty(&(&counts, &ratio))?)
            .map_err(|error| format!("{}: {error}", file.display()))?;
    }
    let kept = counts.iter().chain([&ratio]).all(Count::is_kept);
    Ok(if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A file that this repository keeps.
fn recorded(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name)
}

fn read(file: &Path) -> Result<Ceilings> {
    let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(parse(&text).map_err(|error| format!("{}: {error}", file.display()))?)
}

/// The ceilings in `text`, one for each path and no other.
fn parse(text: &str) -> std::result::Result<Ceilings, String> {
    let ceilings: Ceilings = toml::from_str(text).map_err(|error| error.to_string())?;
    let paths: Vec<&str> = paths::ALL.iter().map(|path| path.name).collect();
    for (found, wanted) in
        [(&ceilings.instructions, paths), (&ceilings.over_never_shrink, vec![paths::STEADY.name])]
    {
        if let Some(name) = wanted.iter().find(|name| !found.contains_key(**name)) {
            return Err(format!("no ceiling for `{name}`"));
        }
        if let Some(name) = found.keys().find(|name| !wanted.contains(&name.as_str())) {
            return Err(format!("a ceiling for `{name}`, which nobody counts"));
        }
    }
    Ok(ceilings)
}

fn scratch() -> io::Result<TempDir> {
    let program = env::current_exe()?;
    TempDir::with_prefix_in("instructions-", program.parent().unwrap_or(Path::new(".")))
}

/// Counts what one program does.
struct Counter<'a> {
    program: &'a Path,
    scratch: TempDir,
}

impl Counter<'_> {
    /// Instructions of all times that a path is taken, on one rung.
    fn path(&self, path: &paths::Path, retention: &str) -> Result<f64> {
        let taken = self.count(path.name, path.times, retention)?;
        let never = self.count(path.name, 0, retention)?;
        Ok(taken.saturating_sub(never) as f64)
    }

    fn count(&self, path: &str, times: u32, retention: &str) -> Result<u64> {
        let arguments = [path, &times.to_string()];
        let env = [("HIGHWATER_RETENTION", retention)];
        let counted = callgrind::count(self.program, &arguments, &env, self.scratch.path());
        Ok(counted.map_err(|reason| format!("{path} {reason}"))?.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ceilings(with: &str) -> String {
        let mut text = String::from("[instructions]\n");
        for path in paths::ALL {
            text += &format!("{} = 10\n", path.name);
        }
        text + with + "[over_never_shrink]\nsteady = 1.03\n"
    }

    #[test]
    fn every_path_has_a_ceiling_in_the_recorded_files() {
        for name in ["instructions.toml", "instructions-hardened.toml"] {
            let ceilings = read(&recorded(name)).expect("the recorded ceilings");
            assert!(ceilings.over_never_shrink["steady"] <= 1.03);
        }
    }

    #[test]
    fn a_ceiling_that_is_missing_or_too_many_is_named() {
        assert!(parse(&ceilings("")).is_ok());
        let missing = parse(&ceilings("").replace("pop = 10\n", "")).err();
        assert_eq!(missing.as_deref(), Some("no ceiling for `pop`"));
        let many = parse(&ceilings("poop = 1\n")).err();
        assert_eq!(many.as_deref(), Some("a ceiling for `poop`, which nobody counts"));
    }

    #[test]
    fn a_count_is_kept_up_to_its_ceiling() {
        let count = |found| Count { name: "", about: "", found, at_most: 15.0 };
        assert!(count(15.0).is_kept() && !count(15.1).is_kept());
    }
}
