//! The environment: what is understood is what a naive reading understands, whatever else is said.

use highwater::fuzzing::understand;
use highwater::{Retention, SoftLimit};

const RUNGS: [(&str, Retention); 5] = [
    ("never-shrink", Retention::NeverShrink),
    ("keep-arenas", Retention::KeepArenas),
    ("return-arenas", Retention::ReturnArenas),
    ("return-pools", Retention::ReturnPools),
    ("return-pages", Retention::ReturnPages),
];

/// Entries, divided by zeros as in the environment.
pub fn run(data: &[u8]) {
    let entries = || data.split(|&byte| byte == 0);
    let found = understand(entries());
    let last = |key: &str| {
        let mut values = entries().filter_map(|entry| entry.strip_prefix(key.as_bytes()));
        values.next_back().map(|value| std::str::from_utf8(value).unwrap_or("(not text)"))
    };
    let rung = last("HIGHWATER_RETENTION=");
    let rung = rung.and_then(|name| RUNGS.iter().find(|(known, _)| *known == name));
    assert_eq!(found.retention, rung.map(|&(_, rung)| rung));
    assert_eq!(found.stats, last("HIGHWATER_STATS=") == Some("1"));
    let after = last("HIGHWATER_RETURN_AFTER_MS=");
    assert_eq!(found.return_after_ms, after.and_then(|ms| ms.parse().ok()));
    let sweeper = last("HIGHWATER_SWEEPER=");
    let sweeper = sweeper.and_then(|value| {
        [("on", true), ("off", false)].into_iter().find(|known| known.0 == value)
    });
    assert_eq!(found.sweeper, sweeper.map(|(_, on)| on));
    assert_eq!(found.soft_limit, last("HIGHWATER_SOFT_LIMIT=").and_then(soft_limit));
    assert!(!found.check, "there is no such setting without C code");
}

/// Digits, with digits behind a point or without: up to 1. Of those behind the point as many count as a number to the
/// base of two can tell apart; that more of them are above 1 is told before.
fn share(text: &str) -> Option<f64> {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    if !is_number(whole) || !is_number(part) {
        return None;
    }
    let above = whole.trim_start_matches('0') == "1" && !part.trim_end_matches('0').is_empty();
    let share = format!("{whole}.{part:.6}").parse().ok()?;
    (!above && share <= 1.0).then_some(share)
}

fn soft_limit(text: &str) -> Option<SoftLimit> {
    if let Some(decimal) = text.strip_prefix("cgroup:") {
        let limit = SoftLimit::cgroup(share(decimal)?);
        // A share that is understood is a limit.
        return (limit != SoftLimit::NONE).then_some(limit);
    }
    let (number, unit) = match text.char_indices().last()? {
        (at, 'K') => (&text[..at], 1 << 10),
        (at, 'M') => (&text[..at], 1 << 20),
        (at, 'G') => (&text[..at], 1u128 << 30),
        _ => (text, 1),
    };
    if number.is_empty() || number.chars().any(|digit| !digit.is_ascii_digit()) {
        return None;
    }
    let bytes = number.parse::<u64>().ok()?;
    let bytes = u64::try_from(u128::from(bytes) * unit).ok()?;
    Some(SoftLimit::bytes(bytes as usize))
}
