//! The soft limit that a program or its environment asks for.

#![forbid(unsafe_code)]

use core::str;

/// A wish for the most resident bytes. Never a failure: what the program needs it gets.
///
/// ```
/// use highwater::SoftLimit;
///
/// const CONTAINER: SoftLimit = SoftLimit::cgroup(0.9);
/// assert_eq!(highwater::soft_limit(), SoftLimit::NONE);
/// highwater::set_soft_limit(SoftLimit::bytes(512 << 20));
/// assert_eq!(highwater::soft_limit(), SoftLimit::bytes(512 << 20));
/// highwater::set_soft_limit(CONTAINER); // on a machine without cgroups: as good as none
/// # highwater::set_soft_limit(SoftLimit::NONE);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct SoftLimit {
    /// Bytes, or a share in thousandths if [`SoftLimit::SHARE`] is added. 0: there is no limit.
    word: u64,
}

/// What a limit is given in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wish {
    /// There is no limit.
    None,
    /// Resident bytes of the process.
    Bytes(usize),
    /// Thousandths of what the process's cgroup may use.
    Cgroup(usize),
}

impl SoftLimit {
    /// No limit.
    pub const NONE: SoftLimit = SoftLimit { word: 0 };

    const SHARE: u64 = 1 << 63;

    /// At most so many bytes of the process in RAM, its code, stacks and files mapped included. 0 is
    /// no limit.
    pub const fn bytes(bytes: usize) -> SoftLimit {
        let bytes = bytes as u64;
        // No process has half of all addresses.
        SoftLimit { word: if bytes < Self::SHARE { bytes } else { Self::SHARE - 1 } }
    }

    /// At most this share, from 0.0 to 1.0, of what the cgroup of the process may use: on Linux, the
    /// smallest of `memory.max` and `memory.high` (cgroup v2) or `memory.limit_in_bytes` (v1) of the
    /// cgroup and of those that it lies in. All that it uses counts, also of its other processes,
    /// but for files' contents, which the kernel drops by itself. Where there is no cgroup, or none
    /// with a limit, as good as none; a share of 0 is none.
    pub const fn cgroup(share: f64) -> SoftLimit {
        // `as` makes 0 of what is not a number, or less.
        let thousandths = (share * 1000.0) as u64;
        match thousandths {
            0 => Self::NONE,
            1..1000 => SoftLimit { word: Self::SHARE + thousandths },
            _ => SoftLimit { word: Self::SHARE + 1000 },
        }
    }

    /// The limit that this text asks for: bytes, with `K`, `M` or `G` behind them times 1024, once,
    /// twice or three times; or `cgroup:` and a share, from a thousandth up to 1. 0 is no limit.
    pub(crate) fn from_text(text: &[u8]) -> Option<SoftLimit> {
        let text = str::from_utf8(text).ok()?;
        if let Some(share) = text.strip_prefix("cgroup:") {
            let thousandths = thousandths(share).filter(|share| (1..=1000).contains(share))?;
            return Some(SoftLimit { word: Self::SHARE + thousandths });
        }
        let shift = match text.as_bytes().last()? {
            b'K' => 10,
            b'M' => 20,
            b'G' => 30,
            _ => 0,
        };
        let digits = if shift == 0 { text } else { &text[..text.len() - 1] };
        let number = usize::try_from(number(digits)?).ok()?;
        number.checked_mul(1 << shift).map(Self::bytes)
    }

    /// What it is given in.
    pub(crate) fn wish(self) -> Wish {
        match self.word {
            0 => Wish::None,
            word if word > Self::SHARE => Wish::Cgroup((word - Self::SHARE) as usize),
            word => Wish::Bytes(word as usize),
        }
    }

    /// As one word, for an atomic.
    pub(crate) const fn to_word(self) -> u64 {
        self.word
    }

    /// What [`SoftLimit::to_word`] gave.
    pub(crate) const fn from_word(word: u64) -> SoftLimit {
        SoftLimit { word }
    }
}

/// The number that these digits are, without a sign, which `parse` would take.
fn number(digits: &str) -> Option<u64> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then_some(digits)?.parse().ok()
}

/// The thousandths of a decimal number; less than one is left out, but not beside a whole. By integers, as the standard
/// library's reader of floating-point numbers would add 17 KiB to every program.
fn thousandths(decimal: &str) -> Option<u64> {
    let (whole, part) = decimal.split_once('.').unwrap_or((decimal, "0"));
    let (upper, rest) = part.split_at_checked(3).unwrap_or((part, ""));
    // As many digits as one likes.
    let is_more = rest.bytes().any(|digit| digit != b'0');
    if !rest.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let [whole, part] = [number(whole)?, number(upper)?];
    let part = part * 10_u64.pow(3 - upper.len() as u32);
    let thousandths = whole.checked_mul(1000)?.checked_add(part)?;
    // A whole one and a bit is more than one.
    Some(thousandths + u64::from(is_more && thousandths == 1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Option<SoftLimit> {
        SoftLimit::from_text(text.as_bytes())
    }

    #[test]
    fn bytes_are_read_with_and_without_a_unit() {
        assert_eq!(text("67108864"), Some(SoftLimit::bytes(64 << 20)));
        assert_eq!(text("65536K"), Some(SoftLimit::bytes(64 << 20)));
        assert_eq!(text("64M"), Some(SoftLimit::bytes(64 << 20)));
        assert_eq!(text("3G"), Some(SoftLimit::bytes(3 << 30)));
        assert_eq!(text("0"), Some(SoftLimit::NONE));
    }

    #[test]
    fn a_share_of_the_cgroup_is_read() {
        assert_eq!(text("cgroup:0.9"), Some(SoftLimit::cgroup(0.9)));
        assert_eq!(text("cgroup:1"), Some(SoftLimit::cgroup(1.0)));
        assert_eq!(text("cgroup:1.0000"), Some(SoftLimit::cgroup(1.0)));
        assert_eq!(text("cgroup:0.25"), Some(SoftLimit::cgroup(0.25)));
        assert_eq!(text("cgroup:00.1239"), Some(SoftLimit::cgroup(0.123)));
        assert_eq!(text("cgroup:0.333333333333333333333333333"), Some(SoftLimit::cgroup(0.333)));
        assert_eq!(SoftLimit::cgroup(0.9).wish(), Wish::Cgroup(900));
    }

    #[test]
    fn what_is_no_limit_is_not_understood() {
        let wrong = [
            "",
            "M",
            "-1",
            "+1",
            "1 M",
            "64m",
            "64MB",
            "1e9",
            "0x10",
            "99999999999999999999",
            "99999999999G",
            "cgroup",
            "cgroup:",
            "cgroup:0",
            "cgroup:0.0009",
            "cgroup:-0.5",
            "cgroup:1.5",
            "cgroup:1.0001",
            "cgroup:1.000000000000000000000000001",
            "cgroup:1.",
            "cgroup:.9",
            "cgroup:0.9.1",
            "cgroup:0.9e0",
            "cgroup:0.999é",
            "cgroup:0.99é",
            "cgroup:99999999999999999999",
            "cgroup:18446744073709551.615",
            "cgroup:NaN",
            "cgroup:90%",
            "none",
        ];
        for wrong in wrong {
            assert_eq!(text(wrong), None, "{wrong}");
        }
        assert_eq!(SoftLimit::from_text(b"64\xFF"), None);
    }

    #[test]
    fn limits_at_the_ends_of_their_range_are_what_they_say() {
        assert_eq!(SoftLimit::bytes(0).wish(), Wish::None);
        assert_eq!(SoftLimit::bytes(1).wish(), Wish::Bytes(1));
        assert_eq!(SoftLimit::bytes(usize::MAX).wish(), Wish::Bytes(usize::MAX >> 1));
        assert_eq!(SoftLimit::cgroup(0.0).wish(), Wish::None);
        assert_eq!(SoftLimit::cgroup(-1.0).wish(), Wish::None);
        assert_eq!(SoftLimit::cgroup(f64::NAN).wish(), Wish::None);
        assert_eq!(SoftLimit::cgroup(7.0).wish(), Wish::Cgroup(1000));
    }

    #[test]
    fn a_word_leads_back_to_its_limit() {
        for limit in [SoftLimit::NONE, SoftLimit::bytes(5), SoftLimit::cgroup(0.25)] {
            assert_eq!(SoftLimit::from_word(limit.to_word()), limit);
        }
    }
}
