//! Where records of one type live: chunks of their own, away from the user's OS pages, never given
//! back, so that a record can be read at any time.

use core::marker::PhantomData;
use core::mem::{align_of, size_of};
use core::ptr::NonNull;

use crate::base::geometry::STORE_CHUNK;
use crate::sys;
use crate::sys::guard;

/// Room for records of type `T`. Freed room is reused, last freed first.
pub struct Store<T> {
    free: Option<NonNull<Vacant>>,
    next: usize,
    left: usize,
    chunk: Option<NonNull<u8>>,
    bytes: usize,
    _records: PhantomData<*mut T>,
}

struct Vacant {
    next: Option<NonNull<Vacant>>,
}

// SAFETY: the store owns its chunks; it hands room out and keeps no reference to what is in it.
unsafe impl<T> Send for Store<T> {}

impl<T> Store<T> {
    const ROOM: usize = size_of::<T>().next_multiple_of(64);

    /// Without any chunk.
    pub const fn new() -> Self {
        const { assert!(align_of::<T>() <= 64 && size_of::<T>() >= size_of::<Vacant>()) };
        const { assert!(Self::ROOM <= STORE_CHUNK / 2) };
        Self { free: None, next: 0, left: 0, chunk: None, bytes: 0, _records: PhantomData }
    }

    /// Bytes mapped for records.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Room for one record with `value` in it; `None` if the system gives no memory.
    pub fn add(&mut self, value: T) -> Option<NonNull<T>> {
        let room = self.take()?;
        // SAFETY: vacant room of the right size and alignment.
        unsafe { room.write(value) };
        Some(room)
    }

    /// As [`Store::add`] for a record that is too large for the stack of a thread with a small one: `make` makes it
    /// where it stays.
    ///
    /// # Safety
    ///
    /// `make` makes a whole record of the room that it is given, all bits of which are zero as long as nothing was
    /// removed from the store.
    pub unsafe fn add_in_place(&mut self, make: impl FnOnce(NonNull<T>)) -> Option<NonNull<T>> {
        let room = self.take()?;
        make(room);
        Some(room)
    }

    fn take(&mut self) -> Option<NonNull<T>> {
        match self.free {
            Some(vacant) => {
                // SAFETY: on the free list, so vacant and ours.
                self.free = unsafe { vacant.as_ref().next };
                Some(vacant.cast::<T>())
            }
            None => self.carve(),
        }
    }

    fn carve(&mut self) -> Option<NonNull<T>> {
        if self.left < Self::ROOM {
            let chunk = sys::map_aligned(STORE_CHUNK, STORE_CHUNK)?;
            let guarded = guard::bytes_before(STORE_CHUNK);
            // SAFETY: just mapped, and no record lies there.
            unsafe { guard::install(chunk, guarded) };
            self.chunk = Some(chunk);
            self.bytes += STORE_CHUNK;
            (self.next, self.left) = (guarded, STORE_CHUNK - guarded);
        }
        // SAFETY: `left` says that so much is left of the chunk behind `next`.
        let room = unsafe { self.chunk?.add(self.next) };
        self.next += Self::ROOM;
        self.left -= Self::ROOM;
        Some(room.cast())
    }

    /// Takes a record's room back.
    ///
    /// # Safety
    ///
    /// The record came from this store, is dead, and nobody will read it again.
    pub unsafe fn remove(&mut self, record: NonNull<T>) {
        let vacant = record.cast::<Vacant>();
        // SAFETY: the caller gave the room up, and it is large enough.
        unsafe { vacant.write(Vacant { next: self.free }) };
        self.free = Some(vacant);
    }
}
