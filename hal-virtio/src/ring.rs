//! A virtqueue of single buffers that believes nothing the device says
//!
//! `virtio_drivers::VirtQueue` does the layout and the index arithmetic. It leaves to its caller what a hostile device
//! can make of them: which buffer a returned descriptor stands for, whether it was ever given, and how long it is.
//! Every driver of this crate uses queues through [`Ring`] only.

#![expect(
    clippy::missing_errors_doc,
    reason = "not public; `Misbehaved` says what its values mean"
)]

use core::ptr::NonNull;

use virtio_drivers::queue::VirtQueue;
use virtio_drivers::transport::Transport;
use virtio_drivers::{BufferDirection, Hal};

/// A queue of `SIZE` descriptors, a power of two, each of which carries one buffer.
pub(crate) struct Ring<H: Hal, const SIZE: usize> {
    queue: VirtQueue<H, SIZE>,
    index: u16,
    direction: BufferDirection,
    /// What each descriptor carries while the device has it: our own record, out of the device's reach.
    given: [Option<Given>; SIZE],
}

/// A buffer that the device has returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Returned {
    /// The caller's number of the buffer.
    pub(crate) slot: usize,
    /// The bytes that the device wrote, at most the buffer's length.
    pub(crate) len: usize,
}

/// The device broke the rules of the queue, so nothing in it can be trusted any longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Misbehaved;

#[derive(Clone, Copy)]
struct Given {
    slot: usize,
    buffer: NonNull<[u8]>,
}

// SAFETY: a `Given` points to DMA memory, which is tied to no thread; all else in a `Ring` is `Send`.
unsafe impl<H: Hal, const SIZE: usize> Send for Ring<H, SIZE> {}

impl<H: Hal, const SIZE: usize> Ring<H, SIZE> {
    /// Sets up queue `index` of the device.
    ///
    /// Neither indirect descriptors nor event indices are used: the buffers are single, and the crate's notification
    /// test is not sound across a wrap of the index.
    pub(crate) fn new(
        transport: &mut impl Transport,
        index: u16,
        direction: BufferDirection,
    ) -> Result<Self, virtio_drivers::Error> {
        let queue = VirtQueue::new(transport, index, false, false)?;
        Ok(Self { queue, index, direction, given: [None; SIZE] })
    }

    /// Gives `buffer` to the device. [`notify`](Self::notify) has to follow.
    ///
    /// # Errors
    ///
    /// Every descriptor is in use. That cannot be while no more than `SIZE` buffers exist.
    ///
    /// # Safety
    ///
    /// The buffer must be DMA memory, not empty, and untouched until [`take`](Self::take) has returned its slot or the
    /// device was reset.
    pub(crate) unsafe fn give(
        &mut self,
        slot: usize,
        mut buffer: NonNull<[u8]>,
    ) -> Result<(), Misbehaved> {
        let token = match self.direction {
            // SAFETY: the caller leaves the buffer alone until the device has returned it.
            BufferDirection::DeviceToDriver => unsafe {
                self.queue.add(&[], &mut [buffer.as_mut()])
            },
            // SAFETY: as above.
            _ => unsafe { self.queue.add(&[buffer.as_ref()], &mut []) },
        }
        .map_err(|_| Misbehaved)?;
        *self.given.get_mut(usize::from(token)).ok_or(Misbehaved)? = Some(Given { slot, buffer });
        Ok(())
    }

    /// Takes the next buffer that the device has returned, if there is one.
    ///
    /// # Errors
    ///
    /// The device returned a descriptor that it did not have.
    pub(crate) fn take(&mut self) -> Result<Option<Returned>, Misbehaved> {
        let Some(token) = self.queue.peek_used() else {
            return Ok(None);
        };
        let place = self.given.get_mut(usize::from(token)).ok_or(Misbehaved)?;
        let Given { slot, mut buffer } = place.take().ok_or(Misbehaved)?;
        let len = match self.direction {
            // SAFETY: these are the buffers given with this token, and the device, having returned them, is done.
            BufferDirection::DeviceToDriver => unsafe {
                self.queue.pop_used(token, &[], &mut [buffer.as_mut()])
            },
            // SAFETY: as above.
            _ => unsafe { self.queue.pop_used(token, &[buffer.as_ref()], &mut []) },
        }
        // The ring is in memory that the device can write: between the two looks it may have named another token.
        .map_err(|_| Misbehaved)?;
        let len = usize::try_from(len).map_or(buffer.len(), |len| len.min(buffer.len()));
        Ok(Some(Returned { slot, len }))
    }

    /// Whether the device has returned a buffer that was not taken yet.
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
}
