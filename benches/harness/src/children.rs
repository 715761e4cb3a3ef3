//! The child binaries, built by cargo at the start of every session.
//!
//! `cargo run --bin retention` builds only the parent. So the parent asks cargo for the rest, which takes no
//! time when they are up to date, and hears from cargo where each of them is.

use std::collections::HashMap;
use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::Result;
use crate::contenders::{self, Contender};

/// The child binaries by name.
pub struct Children {
    programs: HashMap<String, PathBuf>,
    /// Peers that did not build, by their feature.
    left_out: Vec<&'static str>,
}

impl Children {
    /// Builds every child that the contenders need, as the parent was built; cargo speaks on standard error.
    ///
    /// Each peer is built by itself: one that does not build is named and left out.
    ///
    /// # Errors
    ///
    /// A sentence, if cargo cannot be started or the children that are no peers do not build.
    pub fn build(contenders: &[&'static Contender]) -> Result<Children> {
        // With the features that this tool was built with, so that cargo does not build the same again.
        let own: &[&str] =
            if contenders::PEERS { &["--bins", "--features", "peers"] } else { &["--bins"] };
        let programs =
            build(own)?.ok_or("the child binaries do not build; cargo's messages are above")?;
        let mut children = Children { programs, left_out: Vec::new() };
        let mut peers: Vec<(&'static str, &'static str)> = contenders
            .iter()
            .filter_map(|contender| Some((contender.peer?, contender.binary)))
            .collect();
        peers.sort_unstable();
        peers.dedup();
        for (feature, binary) in peers {
            match build(&["--features", feature, "--bin", binary])? {
                Some(programs) => children.programs.extend(programs),
                None => {
                    eprintln!("{feature} does not build here; it is left out");
                    children.left_out.push(feature);
                }
            }
        }
        Ok(children)
    }

    /// Whether there is a program for this contender: there is none for a peer that did not build.
    pub fn can_run(&self, contender: &Contender) -> bool {
        contender.peer.is_none_or(|feature| !self.left_out.contains(&feature))
    }

    /// Peers that did not build, by the names of their features.
    pub fn left_out(&self) -> &[&'static str] {
        &self.left_out
    }

    /// The program of this name.
    pub fn program(&self, name: &str) -> Result<&Path> {
        let program = self.programs.get(name);
        Ok(program.ok_or_else(|| format!("cargo built no binary `{name}`"))?)
    }
}

/// The executables that cargo built for these arguments; `None` if the build fails.
fn build(arguments: &[&str]) -> Result<Option<HashMap<String, PathBuf>>> {
    let profile: &[&str] = if cfg!(debug_assertions) { &[] } else { &["--release"] };
    build_package(&manifest(), &[arguments, profile].concat())
}

/// The executables that cargo built of another package for these arguments; `None` if the build fails.
pub fn build_package(
    manifest: &Path,
    arguments: &[&str],
) -> Result<Option<HashMap<String, PathBuf>>> {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--message-format", "json-render-diagnostics", "--manifest-path"]);
    cargo.arg(manifest).args(arguments);
    let output = cargo.stderr(Stdio::inherit()).output().map_err(|error| {
        format!("cargo, which builds the child binaries, does not start: {error}")
    })?;
    let built = output.status.success();
    Ok(built.then(|| programs(&String::from_utf8_lossy(&output.stdout))))
}

/// The manifest of the harness.
pub fn manifest() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")
}

/// The executables that cargo's messages name, one JSON object a line.
fn programs(messages: &str) -> HashMap<String, PathBuf> {
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    messages
        .filter_map(|message| {
            let program = message["executable"].as_str()?;
            Some((message["target"]["name"].as_str()?.to_owned(), PathBuf::from(program)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_read_from_cargos_messages() {
        let messages = r#"
            {"reason":"compiler-artifact","target":{"name":"harness"},"executable":null}
            {"reason":"compiler-artifact","target":{"name":"child-system"},"executable":"/t/child-system"}
            {"reason":"build-finished","success":true}
            no JSON"#;
        let programs = programs(messages);
        assert_eq!(programs.len(), 1);
        assert_eq!(programs["child-system"], Path::new("/t/child-system"));
    }
}
