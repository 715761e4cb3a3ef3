//! The children of `speed` and `growth`, built by cargo at the start of a session, one cargo call for each peer.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::Result;
use crate::children::build_package;
use crate::contenders::Contender;

/// How the children are built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Linking {
    /// With full link-time optimisation: an allocator in Rust is inlined into everything, also into dependencies.
    Optimised,
    /// Without: code of other crates calls the allocator.
    Plain,
}

impl Linking {
    /// A profile of the workspace's manifest.
    fn profile(self) -> &'static str {
        match self {
            Linking::Optimised => "speed",
            Linking::Plain => "speed-plain",
        }
    }

    /// For the heading of a table.
    pub fn phrase(self) -> &'static str {
        match self {
            Linking::Optimised => "with full link-time optimisation",
            Linking::Plain => "without link-time optimisation",
        }
    }
}

/// The child binaries by name.
pub struct Programs(HashMap<String, PathBuf>);

impl Programs {
    /// Builds what the contenders need. A peer that does not build is named and left out; cargo's own messages are
    /// on standard error.
    ///
    /// # Errors
    ///
    /// A sentence, if cargo cannot be started or the children that are no peers do not build.
    pub fn build(contenders: &[&Contender], linking: Linking) -> Result<Programs> {
        let own = ["--bin", "speed-highwater", "--bin", "speed-system"];
        let mut programs = build(linking, "work", &own)?
            .ok_or("the child binaries do not build; cargo's messages are above")?;
        for contender in contenders {
            let Some(feature) = contender.peer else { continue };
            match build(linking, feature, &["--bin", contender.binary])? {
                Some(built) => programs.extend(built),
                None => eprintln!("{} does not build here; it is left out", contender.about),
            }
        }
        Ok(Programs(programs))
    }

    /// Builds the program whose instructions are counted.
    ///
    /// # Errors
    ///
    /// A sentence, if it does not build.
    pub fn build_paths(feature: &str) -> Result<Programs> {
        let built = build(Linking::Optimised, feature, &["--bin", "speed-paths"])?;
        Ok(Programs(built.ok_or("the program does not build; cargo's messages are above")?))
    }

    /// The program of this name; none for a peer that did not build.
    pub fn program(&self, name: &str) -> Option<&Path> {
        self.0.get(name).map(PathBuf::as_path)
    }

    /// Bytes of the program's file.
    pub fn file_bytes(&self, name: &str) -> Option<u64> {
        Some(fs::metadata(self.program(name)?).ok()?.len())
    }
}

fn build(
    linking: Linking,
    feature: &str,
    bins: &[&str],
) -> Result<Option<HashMap<String, PathBuf>>> {
    let profile = ["--profile", linking.profile(), "--features", feature];
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("speed").join("Cargo.toml");
    build_package(&manifest, &[&profile, bins].concat())
}
