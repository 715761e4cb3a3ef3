//! What the kernel says of the process's memory in RAM.

use core::ops::ControlFlow::Break;

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
    #[cfg(target_os = "linux")]
    fn resident_memory_follows_what_is_touched() {
        let before = resident_bytes().unwrap();
        let touched = std::vec![1u8; 64 << 20];
        let after = resident_bytes().unwrap();
        assert_eq!(core::hint::black_box(&touched).len(), 64 << 20);
        assert!(after > before + (32 << 20));
    }
}
