//! `mallinfo2`, looked up at run time: glibc before 2.33 does not have it, and the harness should still link.

use std::mem;

/// Bytes in use, headers and rounding included: in the arenas, and in mappings of their own.
///
/// What lies in a thread's cache of free chunks counts as used, so differences are taken over many objects.
pub fn block_bytes() -> Option<u64> {
    // SAFETY: both arguments are valid for `dlsym`, and the name ends in a zero.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"mallinfo2".as_ptr()) };
    if found.is_null() {
        return None;
    }
    // SAFETY: the symbol is glibc's function of this signature.
    let mallinfo2: unsafe extern "C" fn() -> libc::mallinfo2 = unsafe { mem::transmute(found) };
    // SAFETY: it has no preconditions.
    let info = unsafe { mallinfo2() };
    Some((info.uordblks + info.hblkhd) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_block_is_counted() {
        let _alone = crate::WHOLE_PROCESS.lock().expect("no such test failed");
        let Some(before) = block_bytes() else { return };
        let block = vec![1_u8; 64 << 20];
        let after = block_bytes().expect("as a moment ago");
        assert_eq!(std::hint::black_box(&block).len(), 64 << 20);
        assert!(after > before + (32 << 20));
    }
}
