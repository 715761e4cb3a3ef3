//! Linux: `/proc/self/smaps_rollup`, which counts page tables, rather than `statm`, whose counters lag by
//! up to some hundred KiB; and `/proc/self/status` for the peak between two looks.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use highwater_speed::usage::kibibytes;

/// Bytes of a `/proc` file that are looked at. The lines wanted stand well within.
const LOOK: usize = 4 << 10; // 4 KiB

/// The memory of this process, as the kernel counts it.
///
/// The open files stand for the process that opened them: a forked child opens its own.
pub struct Memory {
    rollup: Option<File>,
    status: Option<File>,
}

impl Memory {
    pub fn open() -> Memory {
        Memory {
            rollup: File::open("/proc/self/smaps_rollup").ok(),
            status: File::open("/proc/self/status").ok(),
        }
    }

    /// Bytes in RAM now.
    pub fn resident_bytes(&self) -> Option<u64> {
        field(self.rollup.as_ref()?, "Rss:").or_else(|| field(self.status.as_ref()?, "VmRSS:"))
    }

    /// Bytes in RAM now, where those shared with other processes count in part.
    pub fn proportional_bytes(&self) -> Option<u64> {
        field(self.rollup.as_ref()?, "Pss:")
    }

    /// The most bytes in RAM since the start or since [`reset_peak`](Memory::reset_peak).
    pub fn resident_bytes_peak(&self) -> Option<u64> {
        field(self.status.as_ref()?, "VmHWM:")
    }

    /// Starts the peak again from now. Where the kernel refuses, the peak stays that since the start.
    pub fn reset_peak(&self) {
        let _ = fs::write("/proc/self/clear_refs", "5");
    }

    /// Bytes written by this process and shared with no other: what a forked child came to own.
    pub fn private_dirty_bytes(&self) -> Option<u64> {
        field(self.rollup.as_ref()?, "Private_Dirty:")
    }
}

/// The value of the line that starts with `key`, in bytes. Allocates nothing.
fn field(file: &File, key: &str) -> Option<u64> {
    let mut buffer = [0_u8; LOOK];
    let mut filled = 0;
    while filled < LOOK {
        match file.read_at(&mut buffer[filled..], filled as u64) {
            Ok(0) => break,
            Ok(bytes) => filled += bytes,
            Err(_) => return None,
        }
    }
    let text = std::str::from_utf8(&buffer[..filled]).ok()?;
    kibibytes(text, key).map(|kib| kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let text =
            "00400000-7ffd [rollup]\nRss:    1234 kB\nPss_Dirty:  7 kB\nPrivate_Dirty:    56 kB\n";
        assert_eq!(kibibytes(text, "Rss:"), Some(1234));
        assert_eq!(kibibytes(text, "Private_Dirty:"), Some(56));
        assert_eq!(kibibytes(text, "Dirty:"), None);
    }

    #[test]
    fn resident_memory_follows_what_is_touched() {
        let _alone = crate::WHOLE_PROCESS.lock().expect("no such test failed");
        let memory = Memory::open();
        let before = memory.resident_bytes().expect("a kernel that tells");
        let touched = vec![1_u8; 64 << 20];
        let after = memory.resident_bytes().expect("a kernel that tells");
        assert_eq!(std::hint::black_box(&touched).len(), 64 << 20);
        assert!(after > before + (32 << 20));
        assert!(memory.resident_bytes_peak() >= Some(after - (1 << 20)));
    }
}
