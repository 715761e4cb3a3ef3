//! What the kernel says of the calling process: resident memory, page faults, CPU time.
//!
//! Nothing here allocates once [`Memory`] is open, so that looking does not change what is looked at.

#[cfg_attr(target_os = "linux", path = "linux.rs")]
#[cfg_attr(not(target_os = "linux"), path = "elsewhere.rs")]
mod imp;

pub use highwater_speed::usage::{cpu_time, minor_faults};
pub use imp::Memory;

/// Bytes in one OS page, asked of the system: 16 and 64 KiB exist.
pub fn os_page_bytes() -> u64 {
    // SAFETY: `sysconf` has no preconditions.
    let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    u64::try_from(bytes).ok().filter(|&bytes| bytes > 0).unwrap_or(4 << 10)
}

/// Nanoseconds on a clock that all processes of the machine share.
pub fn clock_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is valid for one write.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    // The clock starts at or after zero, and a second has fewer than 2^30 nanoseconds.
    time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
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
