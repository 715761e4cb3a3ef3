//! What the kernel says of the calling process: resident memory, page faults, CPU time.
//!
//! Nothing here allocates once [`Memory`] is open, so that looking does not change what is looked at.

use std::time::Duration;

#[cfg_attr(target_os = "linux", path = "linux.rs")]
#[cfg_attr(not(target_os = "linux"), path = "elsewhere.rs")]
mod imp;

pub use imp::Memory;

/// User and system time of all threads of this process so far.
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

/// Faults so far that needed no reading from disk: first touches, refaults after a purge, copies on write.
pub fn minor_faults() -> u64 {
    // SAFETY: `rusage` is plain data, for which all zeros are valid.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `usage` is valid for one write.
    let failed = unsafe { libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) } != 0;
    if failed {
        return 0;
    }
    u64::try_from(usage.ru_minflt).unwrap_or(0)
}

/// Bytes in one OS page, asked of the system: 16 and 64 KiB exist.
pub fn os_page_bytes() -> u64 {
    // SAFETY: `sysconf` has no preconditions.
    let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    u64::try_from(bytes).ok().filter(|&bytes| bytes > 0).unwrap_or(4 << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn touching_fresh_memory_faults_and_takes_time() {
        let _alone = crate::WHOLE_PROCESS.lock().expect("no such test failed");
        let (faults, time) = (minor_faults(), cpu_time());
        let touched = vec![1_u8; 64 << 20];
        assert_eq!(std::hint::black_box(&touched).len(), 64 << 20);
        assert!(minor_faults() > faults);
        assert!(cpu_time() > time);
    }

    #[test]
    fn os_pages_are_a_power_of_two() {
        assert!(os_page_bytes().is_power_of_two());
    }
}
