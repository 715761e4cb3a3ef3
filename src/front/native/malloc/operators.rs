//! C++'s `operator new` and `operator delete`, in all their forms, by their mangled names.
//!
//! A failed `new` is the next library's: the operator of the same name that the C++ runtime brings is
//! looked up and called. It asks for the memory once more, calls the program's new-handler as often as
//! there is one, and throws the exception of its own runtime, through these functions, which hold
//! nothing at that moment. A program without such a runtime cannot catch it either: it is ended, with a
//! message.

use core::ffi::{CStr, c_void};
use core::mem;
use core::ptr;

use super::{behind, blocks, family};
use crate::sys;

/// The name of a tag type's value: `std::nothrow`.
type NoThrow = *const c_void;

#[cold]
fn end() -> ! {
    sys::fatal::complain(format_args!("operator new: no memory, and no C++ runtime to say so"));
    sys::abort()
}

#[cold]
#[inline(never)]
fn refused(name: &CStr, size: usize) -> *mut c_void {
    let next = behind::function(name);
    if next.is_null() {
        end();
    }
    // SAFETY: the C++ runtime's function of that name takes a size.
    let next: extern "C-unwind" fn(usize) -> *mut c_void = unsafe { mem::transmute(next) };
    next(size)
}

#[cold]
#[inline(never)]
fn refused_aligned(name: &CStr, size: usize, align: usize) -> *mut c_void {
    let next = behind::function(name);
    if next.is_null() {
        end();
    }
    // SAFETY: the C++ runtime's function of that name takes a size and an alignment.
    let next: extern "C-unwind" fn(usize, usize) -> *mut c_void = unsafe { mem::transmute(next) };
    next(size, align)
}

#[cold]
#[inline(never)]
fn refused_quietly(name: &CStr, size: usize, tag: NoThrow) -> *mut c_void {
    let next = behind::function(name);
    if next.is_null() {
        return ptr::null_mut();
    }
    // SAFETY: the C++ runtime's function of that name takes a size and the tag.
    let next: extern "C-unwind" fn(usize, NoThrow) -> *mut c_void = unsafe { mem::transmute(next) };
    next(size, tag)
}

#[cold]
#[inline(never)]
fn refused_aligned_quietly(name: &CStr, size: usize, align: usize, tag: NoThrow) -> *mut c_void {
    let next = behind::function(name);
    if next.is_null() {
        return ptr::null_mut();
    }
    // SAFETY: the C++ runtime's function of that name takes these.
    let next: extern "C-unwind" fn(usize, usize, NoThrow) -> *mut c_void =
        unsafe { mem::transmute(next) };
    next(size, align, tag)
}

/// `operator new(std::size_t)`
#[unsafe(export_name = "_Znwm")]
pub extern "C-unwind" fn new(size: usize) -> *mut c_void {
    match blocks::allocate(size) {
        block if block.is_null() => refused(c"_Znwm", size),
        block => block.cast(),
    }
}

/// `operator new(std::size_t, const std::nothrow_t&)`
#[unsafe(export_name = "_ZnwmRKSt9nothrow_t")]
pub extern "C-unwind" fn new_nothrow(size: usize, tag: NoThrow) -> *mut c_void {
    match blocks::allocate(size) {
        block if block.is_null() => refused_quietly(c"_ZnwmRKSt9nothrow_t", size, tag),
        block => block.cast(),
    }
}

/// `operator new(std::size_t, std::align_val_t)`
#[unsafe(export_name = "_ZnwmSt11align_val_t")]
pub extern "C-unwind" fn new_aligned(size: usize, align: usize) -> *mut c_void {
    match blocks::allocate_aligned(size, align) {
        block if block.is_null() => refused_aligned(c"_ZnwmSt11align_val_t", size, align),
        block => block.cast(),
    }
}

/// `operator new(std::size_t, std::align_val_t, const std::nothrow_t&)`
#[unsafe(export_name = "_ZnwmSt11align_val_tRKSt9nothrow_t")]
pub extern "C-unwind" fn new_aligned_nothrow(
    size: usize,
    align: usize,
    tag: NoThrow,
) -> *mut c_void {
    match blocks::allocate_aligned(size, align) {
        block if block.is_null() => {
            refused_aligned_quietly(c"_ZnwmSt11align_val_tRKSt9nothrow_t", size, align, tag)
        }
        block => block.cast(),
    }
}

/// `operator new[](std::size_t)`
#[unsafe(export_name = "_Znam")]
pub extern "C-unwind" fn new_array(size: usize) -> *mut c_void {
    match blocks::allocate(size) {
        block if block.is_null() => refused(c"_Znam", size),
        block => block.cast(),
    }
}

/// `operator new[](std::size_t, const std::nothrow_t&)`
#[unsafe(export_name = "_ZnamRKSt9nothrow_t")]
pub extern "C-unwind" fn new_array_nothrow(size: usize, tag: NoThrow) -> *mut c_void {
    match blocks::allocate(size) {
        block if block.is_null() => refused_quietly(c"_ZnamRKSt9nothrow_t", size, tag),
        block => block.cast(),
    }
}

/// `operator new[](std::size_t, std::align_val_t)`
#[unsafe(export_name = "_ZnamSt11align_val_t")]
pub extern "C-unwind" fn new_array_aligned(size: usize, align: usize) -> *mut c_void {
    match blocks::allocate_aligned(size, align) {
        block if block.is_null() => refused_aligned(c"_ZnamSt11align_val_t", size, align),
        block => block.cast(),
    }
}

/// `operator new[](std::size_t, std::align_val_t, const std::nothrow_t&)`
#[unsafe(export_name = "_ZnamSt11align_val_tRKSt9nothrow_t")]
pub extern "C-unwind" fn new_array_aligned_nothrow(
    size: usize,
    align: usize,
    tag: NoThrow,
) -> *mut c_void {
    match blocks::allocate_aligned(size, align) {
        block if block.is_null() => {
            refused_aligned_quietly(c"_ZnamSt11align_val_tRKSt9nothrow_t", size, align, tag)
        }
        block => block.cast(),
    }
}

/// `operator delete(void*)`
///
/// # Safety
///
/// As for [`family::free`].
#[unsafe(export_name = "_ZdlPv")]
pub unsafe extern "C-unwind" fn delete(block: *mut c_void) {
    // SAFETY: the caller's contract.
    unsafe { family::free(block) };
}

/// `operator delete(void*, std::size_t)`
///
/// # Safety
///
/// As for [`family::free`].
#[unsafe(export_name = "_ZdlPvm")]
pub unsafe extern "C-unwind" fn delete_sized(block: *mut c_void, _size: usize) {
    // SAFETY: the caller's contract.
    unsafe { family::free(block) };
}

/// `operator delete(void*, const std::nothrow_t&)`
///
/// # Safety
///
/// As for [`family::free`].
#[unsafe(export_name = "_ZdlPvRKSt9nothrow_t")]
pub unsafe extern "C-unwind" fn delete_nothrow(block: *mut c_void, _tag: NoThrow) {
    // SAFETY: the caller's contract.
    unsafe { family::free(block) };
}

/// `operator delete(void*, std::align_val_t)`
///
/// # Safety
///
/// As for [`family::free`].
#[unsafe(export_name = "_ZdlPvSt11align_val_t")]
pub unsafe extern "C-unwind" fn delete_aligned(block: *mut c_void, _align: usize) {
    // SAFETY: the caller's contract.
    unsafe { family::free(block) };
}

/// `operator delete(void*, std::size_t, std::align_val_t)`
///
/// # Safety
///
/// As for [`family::free`].
#[unsafe(export_name = "_ZdlPvmSt11align_val_t")]
pub unsafe extern "C-unwind" fn delete_sized_aligned(
    block: *mut c_void,
    _size: usize,
    _align: usize,
) {
    // SAFETY: the caller's contract.
    unsafe { family::free(block) };
}

/// `operator delete(void*, std::align_val_t, const std::nothrow_t&)`
///
/// # Safety
///
/// As for [`family::free`].
#[unsafe(export_name = "_ZdlPvSt11align_val_tRKSt9nothrow_t")]
pub unsafe extern "C-unwind" fn delete_aligned_nothrow(
    block: *mut c_void,
    _align: usize,
    _tag: NoThrow,
) {
    // SAFETY: the caller's contract.
    unsafe { family::free(block) };
}

/// `operator delete[](void*)`
///
/// # Safety
///
/// As for [`family::free`].
#[unsafe(export_name = "_ZdaPv")]
pub unsafe extern "C-unwind" fn delete_array(block: *mut c_void) {
    // SAFETY: the caller's contract.
    unsafe { family::free(block) };
}

/// `operator delete[](void*, std::size_t)`
///
/// # Safety
///
/// As for [`family::free`].
#[unsafe(export_name = "_ZdaPvm")]
pub unsafe extern "C-unwind" fn delete_array_sized(block: *mut c_void, _size: usize) {
    // SAFETY: the caller's contract.
    unsafe { family::free(block) };
}

/// `operator delete[](void*, const std::nothrow_t&)`
///
/// # Safety
///
/// As for [`family::free`].
#[unsafe(export_name = "_ZdaPvRKSt9nothrow_t")]
pub unsafe extern "C-unwind" fn delete_array_nothrow(block: *mut c_void, _tag: NoThrow) {
    // SAFETY: the caller's contract.
    unsafe { family::free(block) };
}

/// `operator delete[](void*, std::align_val_t)`
///
/// # Safety
///
/// As for [`family::free`].
#[unsafe(export_name = "_ZdaPvSt11align_val_t")]
pub unsafe extern "C-unwind" fn delete_array_aligned(block: *mut c_void, _align: usize) {
    // SAFETY: the caller's contract.
    unsafe { family::free(block) };
}

/// `operator delete[](void*, std::size_t, std::align_val_t)`
///
/// # Safety
///
/// As for [`family::free`].
#[unsafe(export_name = "_ZdaPvmSt11align_val_t")]
pub unsafe extern "C-unwind" fn delete_array_sized_aligned(
    block: *mut c_void,
    _size: usize,
    _align: usize,
) {
    // SAFETY: the caller's contract.
    unsafe { family::free(block) };
}

/// `operator delete[](void*, std::align_val_t, const std::nothrow_t&)`
///
/// # Safety
///
/// As for [`family::free`].
#[unsafe(export_name = "_ZdaPvSt11align_val_tRKSt9nothrow_t")]
pub unsafe extern "C-unwind" fn delete_array_aligned_nothrow(
    block: *mut c_void,
    _align: usize,
    _tag: NoThrow,
) {
    // SAFETY: the caller's contract.
    unsafe { family::free(block) };
}
