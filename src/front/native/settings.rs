//! Settings from the environment: read once, at the first allocation; they win over the constructor.
//!
//! Where C code allocates too, the first allocation may be its own, before the Rust program's
//! constructor is known, and even before the C library has the environment. So the environment is put
//! in force as soon as it can be read, and the constructor's values when they are first met.

#![forbid(unsafe_code)]

use core::str;

use super::account;
use super::global::Highwater;
use crate::heap::{config, limit, sweeper};
use crate::policy::limit::SoftLimit;
use crate::policy::retention::Retention;
use crate::sync::atomic::{AtomicU8, Ordering::Acquire, Ordering::Release};
use crate::sync::lock::{Mutex, RawLock};
use crate::sys::fatal::complain;
use crate::sys::{self, huge};

const PREFIX: &[u8] = b"HIGHWATER_";

const NOTHING: u8 = 0;
/// The environment is in force.
const ENVIRONMENT: u8 = 1;
/// A constructor's values are too.
const ALL: u8 = 2;
static READ: AtomicU8 = AtomicU8::new(NOTHING);

/// What the environment said. Held while it is read. Rank 0: nothing that is locked meanwhile waits
/// for it.
static FOUND: Mutex<Found> =
    Mutex::from_raw(<RawLock as parking_lot::lock_api::RawMutex>::INIT, Found::nothing());

/// Reads the environment if nobody has, and puts in force what it says, else `constructed`, unless
/// the program chose before.
#[inline]
pub fn read_once(constructed: &Highwater) {
    // Acquire pairs with the Release below: the rung chosen is visible.
    if READ.load(Acquire) != ALL {
        read(Some(constructed));
    }
}

/// As [`read_once`] for who has no constructor.
#[cfg(feature = "malloc")]
#[inline]
pub fn read_environment_once() {
    // As in `read_once`.
    if READ.load(Acquire) == NOTHING {
        read(None);
    }
}

#[cold]
fn read(constructed: Option<&Highwater>) {
    let mut found = FOUND.lock();
    let before = READ.load(Acquire);
    if before == NOTHING {
        if !sys::has_environment() && constructed.is_none() {
            return;
        }
        if sys::has_environment() && !sys::is_privileged() {
            sys::for_each_environment_entry(|entry| found.read(entry));
        }
        found.put_in_force();
    }
    if let Some(constructed) = constructed
        && before != ALL
    {
        found.complete(constructed);
    }
    READ.store(if constructed.is_some() { ALL } else { before.max(ENVIRONMENT) }, Release);
    let prints = found.stats && before == NOTHING;
    drop(found);
    // Without the lock: the C library may allocate for it.
    if prints {
        sys::at_exit(print_at_exit);
    }
}

extern "C" fn print_at_exit() {
    account::print();
}

/// What the environment says.
#[derive(Default)]
pub struct Found {
    /// `RETENTION`.
    pub retention: Option<Retention>,
    /// `STATS`.
    pub stats: bool,
    /// `RETURN_AFTER_MS`.
    pub return_after_ms: Option<u64>,
    /// `SWEEPER`.
    pub sweeper: Option<bool>,
    /// `SOFT_LIMIT`.
    pub soft_limit: Option<SoftLimit>,
    /// `HUGE_PAGES`.
    pub huge_pages: Option<bool>,
    /// `CHECK`.
    pub check: bool,
}

impl Found {
    const fn nothing() -> Self {
        Self {
            retention: None,
            stats: false,
            return_after_ms: None,
            sweeper: None,
            soft_limit: None,
            huge_pages: None,
            check: false,
        }
    }

    /// Puts in force what the environment says.
    fn put_in_force(&self) {
        if let Some(rung) = self.retention {
            config::set_retention(rung);
        }
        if let Some(ms) = self.return_after_ms {
            config::set_return_after_ms(ms);
        }
        if self.sweeper == Some(false) {
            sweeper::turn_off();
        }
        if let Some(wish) = self.soft_limit {
            limit::set(wish);
        }
        if self.huge_pages == Some(true) {
            huge::ask();
        }
        #[cfg(feature = "malloc")]
        if self.check {
            crate::mem::arena_map::trust_none(&crate::mem::arena_set::ARENAS.lock());
        }
    }

    /// Puts in force what the constructor says and the environment does not.
    fn complete(&self, constructed: &Highwater) {
        if self.retention.is_none() && config::chosen_retention().is_none() {
            config::set_retention(constructed.retention);
        }
        if self.return_after_ms.is_none() {
            config::set_return_after_ms(constructed.return_after_ms);
        }
        if self.sweeper.is_none() && !constructed.sweeper {
            sweeper::turn_off();
        }
        if self.soft_limit.is_none() && limit::chosen().is_none() {
            limit::set(constructed.soft_limit);
        }
        if self.huge_pages.is_none() && constructed.huge_pages {
            huge::ask();
        }
    }

    /// Understands one environment entry, or names it if it has the prefix and cannot be understood.
    fn read(&mut self, entry: &[u8]) {
        let Some(rest) = entry.strip_prefix(PREFIX) else {
            return;
        };
        let Some(equals) = rest.iter().position(|&byte| byte == b'=') else {
            return;
        };
        let (key, value) = (&rest[..equals], &rest[equals + 1..]);
        let understood = match key {
            b"RETENTION" => {
                self.retention = Retention::from_name(value);
                self.retention.is_some()
            }
            b"STATS" => {
                self.stats = value == b"1";
                matches!(value, b"0" | b"1")
            }
            b"RETURN_AFTER_MS" => {
                self.return_after_ms = text(value).parse().ok();
                self.return_after_ms.is_some()
            }
            b"SOFT_LIMIT" => {
                self.soft_limit = SoftLimit::from_text(value);
                self.soft_limit.is_some()
            }
            b"SWEEPER" => {
                self.sweeper = on_or_off(value);
                self.sweeper.is_some()
            }
            b"HUGE_PAGES" => {
                self.huge_pages = on_or_off(value);
                self.huge_pages.is_some()
            }
            b"CHECK" if cfg!(feature = "malloc") => {
                self.check = value == b"1";
                matches!(value, b"0" | b"1")
            }
            _ => {
                complain(format_args!("HIGHWATER_{} is not a setting; ignored", text(key)));
                return;
            }
        };
        if !understood {
            let (key, value) = (text(key), text(value));
            complain(format_args!("HIGHWATER_{key}={value} is not understood; ignored"));
        }
    }
}

fn on_or_off(value: &[u8]) -> Option<bool> {
    match value {
        b"on" => Some(true),
        b"off" => Some(false),
        _ => None,
    }
}

/// What these entries of an environment say.
#[cfg(fuzzing)]
pub fn understand<'a>(entries: impl Iterator<Item = &'a [u8]>) -> Found {
    let mut found = Found::nothing();
    entries.for_each(|entry| found.read(entry));
    found
}

fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).unwrap_or("(not text)")
}
