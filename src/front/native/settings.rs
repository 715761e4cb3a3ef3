//! Settings from the environment: read once, at the first allocation; they win over the constructor.

#![forbid(unsafe_code)]

use core::str;

use super::account;
use super::global::Highwater;
use crate::heap::{config, limit, sweeper};
use crate::policy::limit::SoftLimit;
use crate::policy::retention::Retention;
use crate::sync::atomic::{AtomicBool, Ordering::Acquire, Ordering::Release};
use crate::sync::lock::{Mutex, RawLock};
use crate::sys;
use crate::sys::fatal::complain;

const PREFIX: &[u8] = b"HIGHWATER_";

static READ: AtomicBool = AtomicBool::new(false);
/// Held while they are read. Rank 0: nothing that is locked meanwhile waits for it.
static READING: Mutex<()> = Mutex::from_raw(<RawLock as parking_lot::lock_api::RawMutex>::INIT, ());

/// Reads the environment if nobody has, and puts in force what it says, else `constructed`, unless
/// the program chose before.
#[inline]
pub fn read_once(constructed: &Highwater) {
    // Acquire pairs with the Release below: the rung chosen is visible.
    if !READ.load(Acquire) {
        read(constructed);
    }
}

#[cold]
fn read(constructed: &Highwater) {
    let _reading = READING.lock();
    if READ.load(Acquire) {
        return;
    }
    let mut found = Found::default();
    sys::for_each_environment_entry(|entry| found.read(entry));
    if let Some(rung) = found.retention {
        config::set_retention(rung);
    } else if config::chosen_retention().is_none() {
        config::set_retention(constructed.retention);
    }
    config::set_return_after_ms(found.return_after_ms.unwrap_or(constructed.return_after_ms));
    if !found.sweeper.unwrap_or(constructed.sweeper) {
        sweeper::turn_off();
    }
    if let Some(wish) = found.soft_limit {
        limit::set(wish);
    } else if limit::chosen().is_none() {
        limit::set(constructed.soft_limit);
    }
    if found.stats {
        sys::at_exit(print_at_exit);
    }
    READ.store(true, Release);
}

extern "C" fn print_at_exit() {
    account::print();
}

#[derive(Default)]
struct Found {
    retention: Option<Retention>,
    stats: bool,
    return_after_ms: Option<u64>,
    sweeper: Option<bool>,
    soft_limit: Option<SoftLimit>,
}

impl Found {
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
                self.sweeper = match value {
                    b"on" => Some(true),
                    b"off" => Some(false),
                    _ => None,
                };
                self.sweeper.is_some()
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

fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).unwrap_or("(not text)")
}
