//! A virtqueue with its buffers that believes nothing the device says
//!
//! `virtio_drivers::VirtQueue` does the layout and the index arithmetic. It leaves to its caller what a hostile device
//! can make of them: which buffer a returned descriptor stands for, whether it was ever given, how long it is, and that
//! nobody touches a buffer while the device has it. Drivers of this crate use queues through [`Ring`] only, but for
//! [`block`](crate::block), whose requests are chains of descriptors.

use core::ptr::NonNull;

use virtio_drivers::queue::VirtQueue;
use virtio_drivers::transport::Transport;
use virtio_drivers::{BufferDirection, Hal};

use crate::device::Failure;
use crate::dma::PAGE_BYTES;
use crate::region::Region;

/// A queue of `SIZE` descriptors, a power of two, for as many buffers ("slots") of the same length.
///
/// To be dropped only when the device has been reset.
pub(crate) struct Ring<H: Hal, const SIZE: usize> {
    queue: VirtQueue<H, SIZE>,
    index: u16,
    direction: BufferDirection,
    region: Option<Region<H>>,
    slot_bytes: usize,
    /// What each descriptor carries while the device has it: our own record, out of the device's reach.
    carried: [Option<Carried>; SIZE],
    /// Whether the device has a slot.
    given: [bool; SIZE],
}

/// A slot that the device has returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Returned {
    pub(crate) slot: usize,
    /// The bytes that the device says it wrote, at most those that it was given.
    pub(crate) len: usize,
}

#[derive(Clone, Copy)]
struct Carried {
    slot: u16,
    len: u16,
}

/// Pages of DMA memory that the rings of a queue of `size` take, without buffers: descriptors and available ring, and the
/// used ring (virtio 1.2 §2.7).
pub(crate) const fn pages(size: usize) -> usize {
    (16 * size + 6 + 2 * size).div_ceil(PAGE_BYTES) + (6 + 8 * size).div_ceil(PAGE_BYTES)
}

impl<H: Hal, const SIZE: usize> Ring<H, SIZE> {
    /// Sets up queue `index` of the device, with no buffers yet.
    ///
    /// Neither indirect descriptors nor event indices are used: the buffers are single, and the crate's notification
    /// test is not sound across a wrap of the index.
    pub(crate) fn new(
        transport: &mut impl Transport,
        index: u16,
        direction: BufferDirection,
    ) -> Result<Self, Failure> {
        Ok(Self {
            queue: VirtQueue::new(transport, index, false, false)?,
            index,
            direction,
            region: None,
            slot_bytes: 0,
            carried: [None; SIZE],
            given: [false; SIZE],
        })
    }

    /// Takes memory for the slots from the `Hal`, `slot_bytes` for each.
    ///
    /// # Errors
    ///
    /// [`Failure::Memory`].
    pub(crate) fn allocate(&mut self, slot_bytes: usize) -> Result<(), Failure> {
        let pages = (SIZE * slot_bytes).div_ceil(PAGE_BYTES);
        self.slot_bytes = slot_bytes;
        self.region = Some(Region::new(pages, self.direction).ok_or(Failure::Memory)?);
        Ok(())
    }

    /// Whether the slots have memory.
    pub(crate) const fn is_allocated(&self) -> bool {
        self.region.is_some()
    }

    /// Gives the first `len` bytes of a slot to the device. [`notify`](Self::notify) has to follow.
    ///
    /// # Errors
    ///
    /// The device has the slot, or there is nothing to give. That does not happen unless its records are corrupt.
    pub(crate) fn give(&mut self, slot: usize, len: usize) -> Result<(), Failure> {
        if self.has_given(slot) {
            return Err(Failure::Misbehaved);
        }
        let mut buffer = self.buffer(slot, len).ok_or(Failure::Misbehaved)?;
        let carried = Carried {
            slot: u16::try_from(slot).map_err(|_| Failure::Misbehaved)?,
            len: u16::try_from(buffer.len()).map_err(|_| Failure::Misbehaved)?,
        };
        let token = match self.direction {
            // SAFETY: the buffer is DMA memory of this ring that lives until the device was reset. From here on the slot
            // counts as given, and `read` and `write` keep away from it until `take` has popped the token.
            BufferDirection::DeviceToDriver => unsafe {
                self.queue.add(&[], &mut [buffer.as_mut()])
            },
            // SAFETY: as above.
            _ => unsafe { self.queue.add(&[buffer.as_ref()], &mut []) },
        }
        .map_err(|_| Failure::Misbehaved)?;
        self.given[slot] = true;
        *self.carried.get_mut(usize::from(token)).ok_or(Failure::Misbehaved)? = Some(carried);
        Ok(())
    }

    /// Takes the next slot that the device has returned, if there is one.
    ///
    /// # Errors
    ///
    /// The device returned a descriptor that it did not have.
    pub(crate) fn take(&mut self) -> Result<Option<Returned>, Failure> {
        let Some(token) = self.queue.peek_used() else {
            return Ok(None);
        };
        let carried =
            self.carried.get(usize::from(token)).copied().flatten().ok_or(Failure::Misbehaved)?;
        let (slot, given_len) = (usize::from(carried.slot), usize::from(carried.len));
        let mut buffer = self.buffer(slot, given_len).ok_or(Failure::Misbehaved)?;
        let len = match self.direction {
            // SAFETY: this is the buffer that was given with this token, and the device, having returned it, is done.
            BufferDirection::DeviceToDriver => unsafe {
                self.queue.pop_used(token, &[], &mut [buffer.as_mut()])
            },
            // SAFETY: as above.
            _ => unsafe { self.queue.pop_used(token, &[buffer.as_ref()], &mut []) },
        }
        // The ring is in memory that the device can write: between the two looks it may have named another token.
        .map_err(|_| Failure::Misbehaved)?;
        self.carried[usize::from(token)] = None;
        self.given[slot] = false;
        let len = usize::try_from(len).map_or(given_len, |len| len.min(given_len));
        Ok(Some(Returned { slot, len }))
    }

    /// Copies what is at `offset` in a slot to `bytes` and returns how many bytes: none while the device has the slot.
    pub(crate) fn read(&self, slot: usize, offset: usize, bytes: &mut [u8]) -> usize {
        let place = self.place(slot, offset, bytes.len()).filter(|_| !self.has_given(slot));
        let Some((region, start, len)) = place else {
            return 0;
        };
        bytes.get_mut(..len).map_or(0, |bytes| region.copy_out(start, bytes))
    }

    /// Copies `bytes` to `offset` in a slot and returns how many: none while the device has the slot.
    pub(crate) fn write(&mut self, slot: usize, offset: usize, bytes: &[u8]) -> usize {
        let place = self.place(slot, offset, bytes.len()).filter(|_| !self.has_given(slot));
        let Some((region, start, len)) = place else {
            return 0;
        };
        bytes.get(..len).map_or(0, |bytes| region.copy_in(start, bytes))
    }

    /// A slot that the device does not have.
    pub(crate) fn free_slot(&self) -> Option<usize> {
        self.given.iter().position(|given| !given).filter(|_| self.is_allocated())
    }

    /// Whether the device has no slot.
    pub(crate) fn is_idle(&self) -> bool {
        self.given == [false; SIZE]
    }

    /// Whether the device has returned a slot that was not taken yet.
    pub(crate) fn has_returned(&self) -> bool {
        self.queue.can_pop()
    }

    /// Tells the device to look at the queue.
    ///
    /// Always, whatever the device says about wanting to be told: the crate's test for that reads the device's wish
    /// without a barrier after its own index, so that on x86 a notification could be lost.
    pub(crate) fn notify(&self, transport: &mut impl Transport) {
        transport.notify(self.index);
    }

    /// The first `len` bytes of a slot, as what `VirtQueue` takes.
    fn buffer(&self, slot: usize, len: usize) -> Option<NonNull<[u8]>> {
        let (region, start, len) = self.place(slot, 0, len)?;
        Some(region.buffer(start, len))
    }

    /// Where in the region the bytes at `offset` in a slot are, and how many of `len` there are: at least one.
    fn place(&self, slot: usize, offset: usize, len: usize) -> Option<(&Region<H>, usize, usize)> {
        let len = len.min(self.slot_bytes.checked_sub(offset)?);
        let region = self.region.as_ref().filter(|_| slot < SIZE && len > 0)?;
        Some((region, slot * self.slot_bytes + offset, len))
    }

    /// Whether the device has the slot.
    fn has_given(&self, slot: usize) -> bool {
        self.given.get(slot).is_some_and(|&given| given)
    }
}
