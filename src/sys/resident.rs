//! What the kernel says of the process's memory in RAM.

use core::ops::ControlFlow::{Break, Continue};

use super::file::{self, Path};
use super::page_size;

/// Bytes of the process in RAM, files mapped included: two system calls and one that closes, some
/// microseconds. The kernel counts them by processor: they may be late by some OS pages for each.
/// `None` where the system does not tell.
pub fn resident_bytes() -> Option<usize> {
    let path = Path::empty().joined(&[b"/proc/self/statm"])?;
    file::for_each_line(&path, |line| Break(resident_pages(line)))
        .flatten()
        .map(|pages| pages * page_size())
}

/// As [`resident_bytes`], counted by the kernel OS page by OS page at that moment: milliseconds for each
/// GiB. As that where there is no such count.
pub fn resident_bytes_exact() -> Option<usize> {
    let counted = || {
        let path = Path::empty().joined(&[b"/proc/self/smaps_rollup"])?;
        file::for_each_line(&path, |line| match kibibytes(line, b"Rss:") {
            Some(kib) => Break(kib << 10),
            None => Continue(()),
        })
    };
    counted().or_else(resident_bytes)
}

/// The number of a line that begins with `key` and ends with its unit.
fn kibibytes(line: &[u8], key: &[u8]) -> Option<usize> {
    file::parse(line.strip_prefix(key)?.strip_suffix(b"kB")?)
}

/// The second number of `statm`.
fn resident_pages(line: &[u8]) -> Option<usize> {
    file::parse(line.split(|&byte| byte == b' ').nth(1)?)
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;

    #[test]
    fn the_second_number_is_what_is_resident() {
        assert_eq!(resident_pages(b"2283 410 333 7 0 110 0"), Some(410));
        assert_eq!(resident_pages(b"2283"), None);
        assert_eq!(resident_pages(b""), None);
    }

    #[test]
    fn a_line_of_the_rollup_is_a_key_a_number_and_its_unit() {
        assert_eq!(kibibytes(b"Rss:                1720 kB", b"Rss:"), Some(1720));
        assert_eq!(kibibytes(b"Pss:                 300 kB", b"Rss:"), None);
        assert_eq!(kibibytes(b"Rss:", b"Rss:"), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn resident_memory_follows_what_is_touched() {
        let both = || [resident_bytes, resident_bytes_exact].map(|resident| resident().unwrap());
        let before = both();
        let touched = std::vec![1u8; 64 << 20];
        let after = both();
        assert_eq!(core::hint::black_box(&touched).len(), 64 << 20);
        assert!(before.into_iter().zip(after).all(|(before, after)| after > before + (32 << 20)));
    }
}
