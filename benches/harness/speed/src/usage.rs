//! What the kernel says of this process. Nothing here allocates.

use std::fs::File;
use std::io::Read;
use std::time::Duration;

/// Bytes of a `/proc` file that are looked at. The lines wanted stand well within.
const LOOK: usize = 4 << 10; // 4 KiB

/// Time of all threads so far, in user code and in the kernel.
pub fn cpu_time() -> Duration {
    // SAFETY: `timespec` is plain data, for which all zeros are valid.
    let mut time: libc::timespec = unsafe { std::mem::zeroed() };
    // SAFETY: `time` is valid for one write; the clock exists on every unix.
    let failed = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) } != 0;
    if failed {
        return Duration::ZERO;
    }
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Page faults so far that needed no disk.
pub fn minor_faults() -> u64 {
    // SAFETY: `rusage` is plain data, for which all zeros are valid.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `usage` is valid for one write.
    let failed = unsafe { libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) } != 0;
    if failed { 0 } else { u64::try_from(usage.ru_minflt).unwrap_or(0) }
}

/// Resident bytes now, counted page table by page table where the kernel does so; none where it tells nothing.
pub fn resident_bytes() -> Option<u64> {
    field("/proc/self/smaps_rollup", "Rss:").or_else(|| field("/proc/self/status", "VmRSS:"))
}

/// The most resident bytes since this program was started. `getrusage` would also count its parent's before.
pub fn resident_bytes_peak() -> Option<u64> {
    field("/proc/self/status", "VmHWM:")
}

/// The value of the line that starts with `key`, in bytes.
fn field(path: &str, key: &str) -> Option<u64> {
    let mut buffer = [0_u8; LOOK];
    let mut file = File::open(path).ok()?;
    let mut filled = 0;
    while filled < LOOK {
        match file.read(&mut buffer[filled..]).ok()? {
            0 => break,
            bytes => filled += bytes,
        }
    }
    kibibytes(std::str::from_utf8(&buffer[..filled]).ok()?, key).map(|kib| kib << 10)
}

/// The number of kB in the line of `text` that starts with `key`.
pub fn kibibytes(text: &str, key: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(key))?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let text = "VmPeak:  9 kB\nVmHWM:\t  1234 kB\n";
        assert_eq!(kibibytes(text, "VmHWM:"), Some(1234));
        assert_eq!(kibibytes(text, "HWM:"), None);
    }

    #[test]
    fn touching_memory_faults_and_is_resident() {
        let faults = minor_faults();
        let touched = vec![1_u8; 64 << 20];
        assert_eq!(std::hint::black_box(&touched).len(), 64 << 20);
        assert!(minor_faults() > faults);
        if cfg!(target_os = "linux") {
            assert!(resident_bytes() > Some(64 << 20));
            assert!(resident_bytes_peak() > Some(64 << 20));
        }
    }
}
