//! The request queue: one request at a time, in the parts that every block device understands
//!
//! A request is a header that the device reads, data in one direction, and a status byte that it writes. Each is a
//! descriptor of its own: legacy devices demand it (virtio 1.2 §5.2.6.4), and Firecracker takes nothing else. Like
//! [`Ring`](crate::ring::Ring) this believes nothing the device says, and keeps away from the buffers while it has them.

use virtio_drivers::queue::VirtQueue;
use virtio_drivers::transport::Transport;
use virtio_drivers::{BufferDirection, Hal};

use super::SECTOR_BYTES;
use crate::device::Failure;
use crate::dma::PAGE_BYTES;
use crate::region::Region;
use crate::ring;

/// Descriptors: a power of two with room for the three parts.
const SIZE: usize = 4;

/// The only queue of a device without `VIRTIO_BLK_F_MQ`, §5.2.2.
const INDEX: u16 = 0;

/// `type`, `reserved` and `sector` of `struct virtio_blk_req`, §5.2.6.
const HEADER_BYTES: usize = 16;

/// What stands in the status byte until the device writes one: no status that is defined.
const NO_STATUS: u8 = 0xFF;

/// The queue, and a buffer for requests of up to `SECTORS` sectors: the data, and behind it header and status.
///
/// To be dropped only when the device has been reset.
pub(super) struct Queue<H: Hal, const SECTORS: usize> {
    ring: VirtQueue<H, SIZE>,
    region: Region<H>,
    /// What the device has: our own record, out of its reach.
    sent: Option<Sent>,
}

/// The data part of a request. Where there is any, that is at least one byte and at most as many as the buffer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Data<Out> {
    None,
    /// Goes to the device.
    Out(Out),
    /// So many bytes come from the device.
    In(usize),
}

#[derive(Clone, Copy)]
struct Sent {
    token: u16,
    /// With the number of bytes.
    data: Data<usize>,
}

/// Pages of DMA memory for the queue and its buffer.
pub(super) const fn pages(sectors: usize) -> usize {
    ring::pages(SIZE) + buffer_pages(sectors)
}

const fn buffer_pages(sectors: usize) -> usize {
    (sectors * SECTOR_BYTES + HEADER_BYTES + 1).div_ceil(PAGE_BYTES)
}

impl<H: Hal, const SECTORS: usize> Queue<H, SECTORS> {
    const HEADER_AT: usize = SECTORS * SECTOR_BYTES;
    const STATUS_AT: usize = Self::HEADER_AT + HEADER_BYTES;

    /// Sets the queue up and takes memory from the `Hal`. The device must not be started yet.
    pub(super) fn new(transport: &mut impl Transport) -> Result<Self, Failure> {
        let ring = VirtQueue::new(transport, INDEX, false, false)?;
        let region = Region::new(buffer_pages(SECTORS), BufferDirection::Both);
        Ok(Self { ring, region: region.ok_or(Failure::Memory)?, sent: None })
    }

    /// Whether the device has a request.
    pub(super) const fn is_busy(&self) -> bool {
        self.sent.is_some()
    }

    /// Copies what the last request has brought to `bytes`, and returns how many bytes: none while the device has it.
    pub(super) fn read(&self, bytes: &mut [u8]) -> usize {
        if self.is_busy() { 0 } else { self.region.copy_out(0, bytes) }
    }

    /// Gives the device a request, and notifies it, whatever it says about wanting to be: see
    /// [`Ring::notify`](crate::ring::Ring::notify).
    pub(super) fn send(
        &mut self,
        transport: &mut impl Transport,
        kind: u32,
        sector: u64,
        data: Data<&[u8]>,
    ) -> Result<(), Failure> {
        // A device that has returned something now has returned what it was not given.
        if self.is_busy() || self.ring.can_pop() {
            return Err(Failure::Misbehaved);
        }
        let data = match data {
            Data::None => Data::None,
            Data::Out(bytes) => Data::Out(self.region.copy_in(0, bytes)),
            Data::In(len) => Data::In(len),
        };
        let header = u128::from(kind) | u128::from(sector) << 64;
        self.region.copy_in(Self::HEADER_AT, &header.to_le_bytes());
        self.region.copy_in(Self::STATUS_AT, &[NO_STATUS]);
        let added = self.with_parts(data, |ring, inputs, outputs| {
            // SAFETY: the parts lie in DMA memory of this queue that lives until the device was reset. From here on the
            // request counts as sent, and nothing touches them until `take` has popped the token.
            unsafe { ring.add(inputs, outputs) }
        });
        self.sent = Some(Sent { token: added.map_err(|_| Failure::Misbehaved)?, data });
        transport.notify(INDEX);
        Ok(())
    }

    /// The status of the request, once the device has returned it.
    ///
    /// How many bytes the device says it wrote is not looked at: many do not count as the specification wants, and the
    /// status tells. Data that a device did not write is what an earlier request left in the buffer.
    pub(super) fn take(&mut self) -> Result<Option<u8>, Failure> {
        if !self.ring.can_pop() {
            return Ok(None);
        }
        let Sent { token, data } = self.sent.ok_or(Failure::Misbehaved)?;
        self.with_parts(data, |ring, inputs, outputs| {
            // SAFETY: these are the parts that were added with this token, and the device, having returned it, is done.
            unsafe { ring.pop_used(token, inputs, outputs) }
        })
        // It has returned another token.
        .map_err(|_| Failure::Misbehaved)?;
        self.sent = None;
        let mut status = [NO_STATUS];
        self.region.copy_out(Self::STATUS_AT, &mut status);
        Ok(Some(status[0]))
    }

    /// Calls `operate` with the parts of a request as what `VirtQueue` takes.
    fn with_parts<R>(
        &mut self,
        data: Data<usize>,
        operate: impl for<'a> FnOnce(
            &mut VirtQueue<H, SIZE>,
            &'a [&'a [u8]],
            &'a mut [&'a mut [u8]],
        ) -> R,
    ) -> R {
        let part = |offset, len| self.region.buffer(offset, len);
        let (header, mut status) = (part(Self::HEADER_AT, HEADER_BYTES), part(Self::STATUS_AT, 1));
        let data_part = |len: usize| part(0, len.min(Self::HEADER_AT));
        // SAFETY: the parts lie side by side in the region, which is initialised. No other reference points there while
        // these live, and the device does not look at them: `send` has not published them yet, `take` has them back.
        let (header, status) = unsafe { (header.as_ref(), status.as_mut()) };
        match data {
            Data::None => operate(&mut self.ring, &[header], &mut [status]),
            Data::Out(len) => {
                // SAFETY: as above.
                let data = unsafe { data_part(len).as_ref() };
                operate(&mut self.ring, &[header, data], &mut [status])
            }
            Data::In(len) => {
                // SAFETY: as above.
                let data = unsafe { data_part(len).as_mut() };
                operate(&mut self.ring, &[header], &mut [data, status])
            }
        }
    }
}
