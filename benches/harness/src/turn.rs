//! Whose turn it is to work, where children run beside each other.
//!
//! Most of a run is rest, and a resting child takes nothing from one that works. So the children of one workload are
//! started together, and hold a lock on one file while they work: their rests overlap, their work does not.

use std::fs::File;
use std::path::Path;

use crate::Result;

/// A child's claim to work. Given up at the latest when the process ends.
pub struct Turn(Option<File>);

impl Turn {
    /// A claim to the turn that this file stands for; without a file it is always this child's turn.
    pub fn open(file: Option<&Path>) -> Result<Turn> {
        let open = |path: &Path| {
            File::create(path).map_err(|error| format!("{}: {error}", path.display()))
        };
        Ok(Turn(file.map(open).transpose()?))
    }

    /// Waits for the turn.
    ///
    /// # Errors
    ///
    /// If the system knows no such locks.
    pub fn take(&self) -> Result<()> {
        match &self.0 {
            Some(file) => Ok(file.lock()?),
            None => Ok(()),
        }
    }

    /// Lets another work.
    pub fn give_up(&self) {
        if let Some(file) = &self.0 {
            // Cannot fail for a lock that is held, and there is nothing to do if it does.
            let _ = file.unlock();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
    use std::thread;

    use super::*;

    #[test]
    fn a_turn_is_had_by_one_at_a_time_and_can_be_given_up() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("turn");
        let [first, second] = [(); 2].map(|()| Turn::open(Some(&path)).expect("a file"));
        first.take().expect("nobody has it");
        let given_up = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                second.take().expect("it is given up");
                assert!(given_up.load(SeqCst));
            });
            given_up.store(true, SeqCst);
            first.give_up();
        });
    }

    #[test]
    fn without_others_it_is_always_the_own_turn() {
        let turn = Turn::open(None).expect("no file");
        turn.take().expect("nobody else");
        turn.take().expect("nobody else");
    }
}
