//! Buffers in DMA memory: pages of a `Hal`, given back when dropped
//!
//! The only place of the crate where bytes move between the program and memory that a device can write.

use core::marker::PhantomData;
use core::ptr::{self, NonNull};

use virtio_drivers::{BufferDirection, Hal, PhysAddr};

use crate::dma::PAGE_BYTES;

/// Adjoining pages of DMA memory.
pub(crate) struct Region<H: Hal> {
    physical: PhysAddr,
    first: NonNull<u8>,
    pages: usize,
    _hal: PhantomData<H>,
}

// SAFETY: the pages are this value's own and tied to no thread.
unsafe impl<H: Hal> Send for Region<H> {}

impl<H: Hal> Region<H> {
    /// Takes `pages` pages from the `Hal`, if it has them.
    pub(crate) fn new(pages: usize, direction: BufferDirection) -> Option<Self> {
        let (physical, first) = H::dma_alloc(pages, direction);
        // Lazily: a value that is made and thrown away would give back pages that it never had.
        (physical != 0).then(|| Self { physical, first, pages, _hal: PhantomData })
    }

    /// The `len` bytes at `offset` as a buffer to give to a device; cut where the region ends.
    pub(crate) fn buffer(&self, offset: usize, len: usize) -> NonNull<[u8]> {
        let bytes = self.pages * PAGE_BYTES;
        let offset = offset.min(bytes);
        // SAFETY: the offset is at most the region's length.
        let start = unsafe { self.first.add(offset) };
        NonNull::slice_from_raw_parts(start, len.min(bytes - offset))
    }

    /// Copies `bytes` to `offset`, as far as the region reaches, and returns how many that were.
    ///
    /// The device must not have a buffer there.
    pub(crate) fn copy_in(&self, offset: usize, bytes: &[u8]) -> usize {
        let target = self.buffer(offset, bytes.len());
        // SAFETY: `target` lies inside the region, which no reference points into, so the two do not overlap.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), target.cast().as_ptr(), target.len()) };
        target.len()
    }

    /// Copies what is at `offset` to `bytes`, as far as the region reaches, and returns how many that were.
    ///
    /// A device that writes here although it has returned the buffer can spoil the bytes, and nothing after them: what
    /// the program checks is the copy.
    pub(crate) fn copy_out(&self, offset: usize, bytes: &mut [u8]) -> usize {
        let source = self.buffer(offset, bytes.len());
        // SAFETY: `source` lies inside the region, which is initialised and which no reference points into.
        unsafe {
            ptr::copy_nonoverlapping(source.cast().as_ptr(), bytes.as_mut_ptr(), source.len());
        }
        source.len()
    }
}

impl<H: Hal> Drop for Region<H> {
    fn drop(&mut self) {
        // SAFETY: these are the pages from `dma_alloc`, and drivers reset a device before they drop its buffers.
        let result = unsafe { H::dma_dealloc(self.physical, self.first, self.pages) };
        debug_assert_eq!(result, 0, "the Hal does not take back its own pages");
    }
}
