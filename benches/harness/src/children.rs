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

/// The child binaries by name.
pub struct Children {
    programs: HashMap<String, PathBuf>,
}

impl Children {
    /// Builds every binary of this package as the parent was built; cargo speaks on standard error.
    ///
    /// # Errors
    ///
    /// A sentence, if cargo cannot be started or the build fails.
    pub fn build() -> Result<Children> {
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args([
            "build",
            "--bins",
            "--message-format",
            "json-render-diagnostics",
            "--manifest-path",
        ]);
        cargo.arg(manifest());
        if !cfg!(debug_assertions) {
            cargo.arg("--release");
        }
        let output = cargo.stderr(Stdio::inherit()).output().map_err(|error| {
            format!("cargo, which builds the child binaries, does not start: {error}")
        })?;
        if !output.status.success() {
            return Err("the child binaries do not build; cargo's messages are above".into());
        }
        Ok(Children {
            programs: programs(&String::from_utf8_lossy(&output.stdout)),
        })
    }

    /// The program of this name.
    pub fn program(&self, name: &str) -> Result<&Path> {
        let program = self.programs.get(name);
        Ok(program.ok_or_else(|| format!("cargo built no binary `{name}`"))?)
    }
}

/// The manifest of the harness.
pub fn manifest() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")
}

/// The executables that cargo's messages name, one JSON object a line.
fn programs(messages: &str) -> HashMap<String, PathBuf> {
    let messages = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    messages
        .filter_map(|message| {
            let program = message["executable"].as_str()?;
            Some((
                message["target"]["name"].as_str()?.to_owned(),
                PathBuf::from(program),
            ))
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
