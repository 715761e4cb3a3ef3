//! Room for values that are to stand apart from what they tell of: OS pages of their own, unmapped when
//! dropped. No heap's, so neither counted as mapped nor part of what is accounted for.

use core::fmt;
use core::mem::size_of;
use core::ptr::NonNull;

use super::unix::{map, page_size, unmap_uncounted};

/// A list of at most as many values as room was made for.
pub struct Room<T> {
    start: NonNull<T>,
    len: usize,
    /// Bytes mapped: 0, or whole OS pages.
    bytes: usize,
}

// SAFETY: the room owns its pages and what is in them, as a list does.
unsafe impl<T: Send> Send for Room<T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for Room<T> {}

impl<T: Copy> Room<T> {
    /// For no value.
    pub const fn none() -> Self {
        const { assert!(size_of::<T>() > 0 && align_of::<T>() <= 4096) };
        Self { start: NonNull::dangling(), len: 0, bytes: 0 }
    }

    /// For `count` values and what else fits into the last OS page. Touched as it is filled: one system
    /// call now, and one when dropped. `None` if the system gives no memory.
    pub fn of(count: usize) -> Option<Self> {
        let bytes = count.checked_mul(size_of::<T>())?.checked_next_multiple_of(page_size())?;
        if bytes == 0 {
            return Some(Self::none());
        }
        Some(Self { start: map(bytes)?.cast(), len: 0, bytes })
    }

    /// Puts a value behind the others. False if there is no room: nothing has changed then.
    pub fn push(&mut self, value: T) -> bool {
        if (self.len + 1) * size_of::<T>() > self.bytes {
            return false;
        }
        // SAFETY: the place behind the last value lies within the mapping.
        unsafe { self.start.add(self.len).write(value) };
        self.len += 1;
        true
    }

    /// The values.
    pub fn as_slice(&self) -> &[T] {
        // SAFETY: so many were written.
        unsafe { core::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl<T> Drop for Room<T> {
    fn drop(&mut self) {
        if self.bytes > 0 {
            // SAFETY: this value's own mapping. If the system refuses it stays, unused.
            let _ = unsafe { unmap_uncounted(self.start.cast(), self.bytes) };
        }
    }
}

impl<T: Copy + fmt::Debug> fmt::Debug for Room<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_slice().fmt(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_holds_what_it_was_made_for_and_refuses_more_than_its_pages() {
        let mut room = Room::<u64>::of(700).unwrap();
        assert!((0..700).all(|number| room.push(number)));
        assert!(room.as_slice().iter().copied().eq(0..700));
        let more = (0..).take_while(|_| room.push(0)).count();
        assert_eq!((700 + more) * size_of::<u64>() % page_size(), 0);
        assert_eq!(room.as_slice().len(), 700 + more);
    }

    #[test]
    fn no_room_is_no_mapping() {
        let mut none = Room::<u32>::none();
        assert!(!none.push(1) && none.as_slice().is_empty());
        assert!(!Room::<u32>::of(0).unwrap().push(1));
        assert!(Room::<u32>::of(usize::MAX).is_none());
    }
}
