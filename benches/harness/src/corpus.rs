//! Text files under folders: found, read one at a time, and counted. Nothing is left out in silence.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::Result;

/// What was read, and what was not.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Read {
    pub files: u64,
    pub bytes: u64,
    /// Not UTF-8, or with a NUL.
    pub not_text: u64,
    /// Files and folders that the system did not let us read.
    pub unreadable: u64,
}

/// The files under some folders, read in order of their paths.
pub struct Corpus {
    files: Vec<PathBuf>,
    next: usize,
    read: Read,
}

impl Corpus {
    /// Every `scale`th file under the folders. Links to folders are not followed.
    ///
    /// # Errors
    ///
    /// A sentence, if there is no file at all.
    pub fn list(folders: &[PathBuf], scale: u64) -> Result<Corpus> {
        let mut corpus = Corpus { files: Vec::new(), next: 0, read: Read::default() };
        for folder in folders {
            corpus.walk(folder);
        }
        corpus.files.sort();
        corpus.files = every(corpus.files, usize::try_from(scale)?);
        if corpus.files.is_empty() {
            return Err(format!("no file under {} given folders", folders.len()).into());
        }
        Ok(corpus)
    }

    /// The next file that is text, with its number; `None` when all are read.
    pub fn next_text(&mut self) -> Option<(u32, String)> {
        loop {
            let number = self.next;
            let path = self.files.get(number)?;
            self.next += 1;
            match fs::read(path).map(as_text) {
                Ok(Some(text)) => {
                    self.read.files += 1;
                    self.read.bytes += text.len() as u64;
                    return Some((u32::try_from(number).ok()?, text));
                }
                Ok(None) => self.read.not_text += 1,
                Err(_) => self.read.unreadable += 1,
            }
        }
    }

    /// Drops the list of files; what was read remains.
    pub fn finish(self) -> Read {
        self.read
    }

    fn walk(&mut self, folder: &Path) {
        let Ok(entries) = fs::read_dir(folder) else {
            self.read.unreadable += 1;
            return;
        };
        for entry in entries {
            let Ok((path, kind)) = entry.and_then(|entry| Ok((entry.path(), entry.file_type()?)))
            else {
                self.read.unreadable += 1;
                continue;
            };
            if kind.is_dir() {
                self.walk(&path);
            } else if path.is_file() {
                self.files.push(path);
            }
        }
    }
}

/// Every `step`th of a list, the first included.
fn every<T>(list: Vec<T>, step: usize) -> Vec<T> {
    list.into_iter().step_by(step).collect()
}

/// The bytes of a file as text, if they are.
fn as_text(bytes: Vec<u8>) -> Option<String> {
    if bytes.contains(&0) {
        return None;
    }
    String::from_utf8(bytes).ok()
}

/// The folders of the harness's own dependencies in cargo's cache: those this target is built from.
///
/// # Errors
///
/// A sentence, if cargo does not answer.
pub fn dependency_folders() -> Result<Vec<PathBuf>> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args([
            "metadata",
            "--format-version",
            "1",
            "--offline",
            "--filter-platform",
            env!("HARNESS_TARGET"),
        ])
        .args([OsStr::new("--manifest-path"), crate::children::manifest().as_os_str()])
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err("`cargo metadata` failed".into());
    }
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let packages = metadata["packages"].as_array().map_or(&[][..], Vec::as_slice);
    let mut folders: Vec<PathBuf> = packages
        .iter()
        .filter(|package| !package["source"].is_null())
        .filter_map(|package| {
            Path::new(package["manifest_path"].as_str()?).parent().map(Path::to_path_buf)
        })
        .collect();
    folders.sort();
    Ok(folders)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_text_is_counted_and_left_out() {
        let folder = tempfile::tempdir().expect("a folder");
        let inner = folder.path().join("inner");
        fs::create_dir(&inner).expect("a folder");
        for (path, bytes) in [
            (folder.path().join("a.txt"), &b"one two"[..]),
            (inner.join("b.txt"), b"three"),
            (inner.join("c.bin"), b"\0\0"),
            (inner.join("d.bin"), b"\xff\xfe"),
        ] {
            fs::write(path, bytes).expect("a file");
        }
        let mut corpus = Corpus::list(&[folder.path().to_path_buf()], 1).expect("files");
        let mut texts = Vec::new();
        while let Some((_, text)) = corpus.next_text() {
            texts.push(text);
        }
        assert_eq!(texts, ["one two", "three"]);
        assert_eq!(corpus.finish(), Read { files: 2, bytes: 12, not_text: 2, unreadable: 0 });
    }

    #[test]
    fn a_folder_without_files_is_an_error() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(Corpus::list(&[folder.path().to_path_buf()], 1).is_err());
    }

    #[test]
    fn the_own_dependencies_are_there() {
        let folders = dependency_folders().expect("cargo answers");
        assert!(folders.iter().any(|folder| folder.join("Cargo.toml").is_file()));
    }
}
