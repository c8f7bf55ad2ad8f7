//! Static memory for rings and buffers, page by page, and the `Hal` over it
//!
//! `virtio_drivers::Hal` has no `self`, so the memory that devices read and write has to be a `static` of the board:
//! a [`Pool`] of the number of pages that the board chose. [`IdentityHal`] is the `Hal` for a board whose virtual
//! addresses are physical addresses.

use core::cell::UnsafeCell;
use core::fmt;
use core::marker::PhantomData;
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicBool, Ordering};

use virtio_drivers::{BufferDirection, Hal, PhysAddr};

/// Size of a page in bytes: the unit of a [`Pool`] and of virtio's legacy queue addresses.
pub const PAGE_BYTES: usize = virtio_drivers::PAGE_SIZE;

/// `PAGES` pages that devices may read and write, handed out and taken back in runs.
///
/// A queue takes two pages whatever its length, the buffers of an open console port one page each. When
/// the pool is exhausted, setting up a queue or opening a port fails; nothing else does.
pub struct Pool<const PAGES: usize> {
    pages: [Page; PAGES],
    /// Which pages somebody holds.
    taken: [AtomicBool; PAGES],
}

/// The memory behind an [`IdentityHal`]: what a board implements for a type of its own.
///
/// # Safety
///
/// The pool's virtual addresses must be physical addresses as the devices see them, in memory that devices can reach.
pub unsafe trait Memory {
    /// The board's pool.
    fn pool() -> &'static dyn Pages;
}

/// Allocation in a [`Pool`] of any size.
///
/// # Safety
///
/// [`allocate`](Self::allocate) must return page-aligned, zeroed memory that nobody else holds or refers to until it
/// is released.
pub unsafe trait Pages: Sync {
    /// Hands out `count` adjoining pages, zeroed, or nothing if there is no such run or `count` is zero.
    fn allocate(&self, count: usize) -> Option<NonNull<u8>>;

    /// Takes back the `count` pages at `first`; false if they are not pages of this pool.
    ///
    /// # Safety
    ///
    /// The pages must have come from [`allocate`](Self::allocate) with the same `count`, and neither program nor device
    /// may use them any longer.
    unsafe fn release(&self, first: NonNull<u8>, count: usize) -> bool;
}

/// `virtio_drivers::Hal` where virtual, physical and device addresses are the same numbers.
pub struct IdentityHal<M>(PhantomData<M>);

#[repr(C, align(4096))]
struct Page(UnsafeCell<[u8; PAGE_BYTES]>);

// SAFETY: a page's bytes are reached only through the pointer that `allocate` gave to the one holder of the page, and
// `taken` changes hands atomically.
unsafe impl<const PAGES: usize> Sync for Pool<PAGES> {}

impl<const PAGES: usize> Pool<PAGES> {
    /// A pool with every page free.
    pub const fn new() -> Self {
        Self {
            pages: [const { Page(UnsafeCell::new([0; PAGE_BYTES])) }; PAGES],
            taken: [const { AtomicBool::new(false) }; PAGES],
        }
    }

    /// Number of pages that nobody holds.
    pub fn free_pages(&self) -> usize {
        self.taken.iter().filter(|taken| !taken.load(Ordering::Relaxed)).count()
    }

    /// Claims the run at `start` if all of it is free.
    fn claim(&self, start: usize, count: usize) -> bool {
        let Some(run) = self.taken.get(start..).and_then(|rest| rest.get(..count)) else {
            return false;
        };
        for (index, taken) in run.iter().enumerate() {
            if taken.swap(true, Ordering::Acquire) {
                for claimed in &run[..index] {
                    claimed.store(false, Ordering::Release);
                }
                return false;
            }
        }
        true
    }
}

impl<const PAGES: usize> Default for Pool<PAGES> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const PAGES: usize> fmt::Debug for Pool<PAGES> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("pages", &PAGES).field("free", &self.free_pages()).finish()
    }
}

// SAFETY: `claim` gives a page to one caller only, pages are aligned by their type, and are zeroed before they leave.
unsafe impl<const PAGES: usize> Pages for Pool<PAGES> {
    fn allocate(&self, count: usize) -> Option<NonNull<u8>> {
        if count == 0 {
            return None;
        }
        let start = (0..PAGES).find(|&start| self.claim(start, count))?;
        // The pointer is to cover the whole run, so it comes from the array and not from one page. Its provenance is
        // exposed because devices, and `virtio_drivers`, know memory by its address.
        let first = ptr::from_ref(&self.pages).cast::<u8>().cast_mut();
        first.expose_provenance();
        // SAFETY: `claim` checked that pages `start..start + count` exist, so the result is inside the array.
        let first = unsafe { first.add(start * PAGE_BYTES) };
        // SAFETY: the run is inside the pool, in `UnsafeCell`s, and since `claim` nobody else uses it.
        unsafe { first.write_bytes(0, count * PAGE_BYTES) };
        NonNull::new(first)
    }

    unsafe fn release(&self, first: NonNull<u8>, count: usize) -> bool {
        let Some(offset) = first.addr().get().checked_sub(self.pages.as_ptr().addr()) else {
            return false;
        };
        let run = self.taken.get(offset / PAGE_BYTES..).and_then(|rest| rest.get(..count));
        let Some(run) = run.filter(|_| offset.is_multiple_of(PAGE_BYTES)) else {
            return false;
        };
        for taken in run {
            taken.store(false, Ordering::Release);
        }
        true
    }
}

impl<M> fmt::Debug for IdentityHal<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdentityHal")
    }
}

// SAFETY: `Pages` promises what `dma_alloc` has to; by `Memory`'s promise addresses need no translation.
unsafe impl<M: Memory> Hal for IdentityHal<M> {
    fn dma_alloc(pages: usize, _direction: BufferDirection) -> (PhysAddr, NonNull<u8>) {
        // Physical address 0 is how this interface says "no memory".
        M::pool().allocate(pages).map_or((0, NonNull::dangling()), |first| (address(first), first))
    }

    unsafe fn dma_dealloc(_paddr: PhysAddr, vaddr: NonNull<u8>, pages: usize) -> i32 {
        // SAFETY: the caller returns what `dma_alloc` gave.
        let released = unsafe { M::pool().release(vaddr, pages) };
        if released { 0 } else { -1 }
    }

    unsafe fn mmio_phys_to_virt(paddr: PhysAddr, _size: usize) -> NonNull<u8> {
        usize::try_from(paddr)
            .ok()
            .and_then(|address| NonNull::new(ptr::with_exposed_provenance_mut(address)))
            .unwrap_or(NonNull::dangling())
    }

    unsafe fn share(buffer: NonNull<[u8]>, _direction: BufferDirection) -> PhysAddr {
        address(buffer.cast())
    }

    unsafe fn unshare(_paddr: PhysAddr, _buffer: NonNull<[u8]>, _direction: BufferDirection) {}
}

fn address(pointer: NonNull<u8>) -> PhysAddr {
    // Never more than 64 bits on the targets that virtio knows.
    pointer.as_ptr().expose_provenance() as PhysAddr
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hands_out_each_page_once_and_takes_it_back() {
        static POOL: Pool<4> = Pool::new();
        let two = POOL.allocate(2).unwrap();
        let one = POOL.allocate(1).unwrap();
        assert!(two.addr().get().is_multiple_of(PAGE_BYTES));
        assert_eq!(one.addr().get() - two.addr().get(), 2 * PAGE_BYTES);
        assert_eq!(POOL.allocate(2), None, "one page is left");
        assert_eq!(POOL.free_pages(), 1, "a run that was not free leaves no page claimed");
        // SAFETY: nobody uses the two pages.
        assert!(unsafe { POOL.release(two, 2) });
        assert_eq!(POOL.allocate(3), None, "three are free, not in a row");
        assert_eq!(POOL.allocate(2), Some(two));
    }

    #[test]
    fn zeroes_memory_that_was_used_before() {
        static POOL: Pool<1> = Pool::new();
        let page = POOL.allocate(1).unwrap();
        // SAFETY: the page is this test's.
        unsafe { page.write_bytes(0xA5, PAGE_BYTES) };
        // SAFETY: nobody uses the page any longer.
        assert!(unsafe { POOL.release(page, 1) });
        let page = POOL.allocate(1).unwrap();
        // SAFETY: the page is this test's, and initialised.
        let bytes = unsafe { core::slice::from_raw_parts(page.as_ptr(), PAGE_BYTES) };
        assert!(bytes.iter().all(|&byte| byte == 0));
    }

    #[test]
    fn refuses_what_it_does_not_have() {
        static POOL: Pool<2> = Pool::new();
        assert_eq!(POOL.allocate(0), None);
        assert_eq!(POOL.allocate(3), None);
        assert_eq!(POOL.allocate(usize::MAX), None);
        let page = POOL.allocate(1).unwrap();
        for (first, count) in [(NonNull::dangling(), 1), (page, 3)] {
            // SAFETY: not pages of the pool, or too many: refused before anything is freed.
            assert!(!unsafe { POOL.release(first, count) });
        }
        assert_eq!(POOL.free_pages(), 1);
    }
}
