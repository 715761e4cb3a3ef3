//! What of the process is in RAM, and memory of a test's own that is.

use std::ptr;

/// The most bytes of this process that were in RAM so far.
pub fn resident_peak() -> usize {
    status("VmHWM:")
}

/// Bytes of this process in RAM.
pub fn resident() -> usize {
    status("VmRSS:")
}

fn status(key: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    kib.and_then(|kib| kib.trim().parse::<usize>().ok()).unwrap() << 10
}

/// Memory of the test's own, not the allocator's, resident from end to end.
pub struct Ballast {
    at: *mut u8,
    bytes: usize,
}

impl Ballast {
    pub fn new(bytes: usize) -> Ballast {
        let (protection, flags) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a fresh anonymous mapping touches no existing memory.
        let at = unsafe { libc::mmap(ptr::null_mut(), bytes, protection, flags, -1, 0) };
        assert_ne!(at, libc::MAP_FAILED);
        let at = at.cast::<u8>();
        // SAFETY: just mapped.
        unsafe { at.write_bytes(1, bytes) };
        Ballast { at, bytes }
    }
}

impl Drop for Ballast {
    fn drop(&mut self) {
        // SAFETY: mapped with this length, and nobody else's.
        unsafe { libc::munmap(self.at.cast(), self.bytes) };
    }
}
