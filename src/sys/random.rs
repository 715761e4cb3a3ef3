//! What nobody outside the process knows.

use core::ptr;

/// A word of the kernel's randomness; early at boot, or where the call is refused, mixed from what it
/// gave the process at its start and from where things lie.
pub fn random_word() -> usize {
    let _errno = super::keep_errno();
    let mut word = 0usize;
    #[cfg(target_os = "linux")]
    // SAFETY: `word` is valid for a write of its size.
    let filled = unsafe {
        let bytes = size_of::<usize>();
        libc::getrandom((&raw mut word).cast(), bytes, libc::GRND_NONBLOCK) == bytes as isize
    };
    #[cfg(not(target_os = "linux"))]
    // SAFETY: as above.
    let filled = unsafe { libc::getentropy((&raw mut word).cast(), size_of::<usize>()) == 0 };
    if filled { word } else { weak_word() }
}

/// The time and an address, and what the kernel left for the C library.
fn weak_word() -> usize {
    let mut mixed = super::now_ns() as usize ^ (&raw const super::MAPS).addr();
    #[cfg(target_os = "linux")]
    // SAFETY: a query; what it leads to, if to anything, is 16 bytes that live as long as the process.
    unsafe {
        let bytes =
            ptr::with_exposed_provenance::<usize>(libc::getauxval(libc::AT_RANDOM) as usize);
        if !bytes.is_null() {
            mixed ^= bytes.read_unaligned();
        }
    }
    mixed ^= ptr::from_ref(&mixed).addr();
    mixed.wrapping_mul(0x9E37_79B9_7F4A_7C15_u64 as usize).rotate_left(29)
}
