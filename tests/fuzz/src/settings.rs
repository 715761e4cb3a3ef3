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

fn soft_limit(text: &str) -> Option<SoftLimit> {
    if let Some(share) = text.strip_prefix("cgroup:") {
        let share: f64 = share.parse().ok()?;
        let limit = SoftLimit::cgroup(share);
        // A share that is understood is a limit.
        return (share <= 1.0 && limit != SoftLimit::NONE).then_some(limit);
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
