//! Ctrl-C, and the terminal's or the system's wish that we end.
//!
//! The signal only sets a flag. Whoever waits for a child sees it within a moment, kills the child and goes
//! back through the usual way out, so that temporary files are removed.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

static REQUESTED: AtomicBool = AtomicBool::new(false);

/// The exit code of a program that Ctrl-C ended.
pub const EXIT_CODE: u8 = 130;

/// From now on an interrupt sets the flag.
///
/// # Errors
///
/// If the system refuses the handler; interrupts then end the process as they did before.
pub fn install() -> crate::Result<()> {
    Ok(ctrlc::set_handler(|| REQUESTED.store(true, Relaxed))?)
}

/// Whether an interrupt has come.
pub fn requested() -> bool {
    REQUESTED.load(Relaxed)
}
