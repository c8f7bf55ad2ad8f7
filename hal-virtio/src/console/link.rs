//! A port's two queues and its buffers
//!
//! The rings are set up before the device starts and stay for as long as it runs; the buffers, a page each, come with
//! the first opening of the port. When a port is unplugged the device keeps the buffers that it has, and a port plugged
//! in under the same number goes on with them.

#![expect(clippy::missing_errors_doc, reason = "not public; `Error` says what its values mean")]

use virtio_drivers::transport::Transport;
use virtio_drivers::{BufferDirection, Hal};

use super::Error;
use crate::dma::PAGE_BYTES;
use crate::region::Region;
use crate::ring::{Misbehaved, Ring};

/// Queues and buffers of one port: `RX` buffers towards the program, `TX` towards the host.
pub(super) struct Link<H: Hal, const RX: usize, const TX: usize> {
    receive: Ring<H, RX>,
    transmit: Ring<H, TX>,
    buffers: Option<Buffers<H, TX>>,
}

struct Buffers<H: Hal, const TX: usize> {
    receive: Region<H>,
    transmit: Region<H>,
    /// The returned receive buffer that is being read.
    unread: Option<Chunk>,
    /// The transmit buffer that is being filled, not given to the device yet.
    staged: Option<Chunk>,
    /// Transmit buffers that are neither staged nor with the device.
    free: [bool; TX],
}

/// Bytes `start..end` of buffer `slot`.
#[derive(Clone, Copy)]
struct Chunk {
    slot: usize,
    start: usize,
    end: usize,
}

impl<H: Hal, const RX: usize, const TX: usize> Link<H, RX, TX> {
    /// Sets up the queues of port `id`. The device must not be started yet.
    pub(super) fn new(transport: &mut impl Transport, id: u16) -> Result<Self, Error> {
        // > 0 receiveq(port0), 1 transmitq(port0), 2 control receiveq, 3 control transmitq, 4 receiveq(port1),
        // > 5 transmitq(port1) … (§5.3.2)
        let receive = if id == 0 { 0 } else { 2 + 2 * id };
        Ok(Self {
            receive: Ring::new(transport, receive, BufferDirection::DeviceToDriver)?,
            transmit: Ring::new(transport, receive + 1, BufferDirection::DriverToDevice)?,
            buffers: None,
        })
    }

    /// Makes the port ready to carry bytes: takes its buffers from the `Hal`, or forgets what an earlier opening left.
    pub(super) fn open(&mut self, transport: &mut impl Transport) -> Result<(), Error> {
        if self.buffers.is_some() {
            return self.forget(transport);
        }
        let receive = Region::new(RX, BufferDirection::DeviceToDriver).ok_or(Error::Memory)?;
        let transmit = Region::new(TX, BufferDirection::DriverToDevice).ok_or(Error::Memory)?;
        for slot in 0..RX {
            give(&mut self.receive, &receive, slot)?;
        }
        self.receive.notify(transport);
        self.buffers =
            Some(Buffers { receive, transmit, unread: None, staged: None, free: [true; TX] });
        Ok(())
    }

    /// Whether [`read`](Self::read) has bytes.
    pub(super) fn has_unread(&mut self, transport: &mut impl Transport) -> Result<bool, Error> {
        let Some(buffers) = &mut self.buffers else {
            return Ok(false);
        };
        // The bound is for a device that returns empty buffers for ever.
        for _ in 0..RX {
            if buffers.unread.is_some() {
                break;
            }
            let Some(returned) = self.receive.take()? else {
                break;
            };
            if returned.len > 0 {
                buffers.unread = Some(Chunk { slot: returned.slot, start: 0, end: returned.len });
            } else {
                give(&mut self.receive, &buffers.receive, returned.slot)?;
                self.receive.notify(transport);
            }
        }
        Ok(buffers.unread.is_some())
    }

    /// Copies received bytes to `bytes` and returns how many, 0 if there are none.
    pub(super) fn read(
        &mut self,
        transport: &mut impl Transport,
        bytes: &mut [u8],
    ) -> Result<usize, Error> {
        let mut copied = 0;
        while copied < bytes.len() && self.has_unread(transport)? {
            let Some(Buffers { receive, unread, .. }) = &mut self.buffers else {
                break;
            };
            let Some(chunk) = unread else {
                break;
            };
            let wanted = (chunk.end - chunk.start).min(bytes.len() - copied);
            let target = &mut bytes[copied..copied + wanted];
            receive.copy_out(chunk.slot * PAGE_BYTES + chunk.start, target);
            copied += wanted;
            chunk.start += wanted;
            if chunk.start == chunk.end {
                let slot = chunk.slot;
                *unread = None;
                give(&mut self.receive, receive, slot)?;
                self.receive.notify(transport);
            }
        }
        Ok(copied)
    }

    /// Whether [`write`](Self::write) takes a byte at least.
    pub(super) fn has_room(&mut self) -> Result<bool, Error> {
        self.reclaim()?;
        Ok(self.buffers.as_ref().is_some_and(|buffers| {
            // A staged buffer has room: full ones are given to the device at once.
            buffers.staged.is_some() || buffers.free.contains(&true)
        }))
    }

    /// Takes as many of `bytes` as there is room for and returns how many.
    ///
    /// Whole buffers go to the device at once, the rest with [`submit`](Self::submit).
    pub(super) fn write(
        &mut self,
        transport: &mut impl Transport,
        bytes: &[u8],
    ) -> Result<usize, Error> {
        let mut taken = 0;
        while taken < bytes.len() && self.has_room()? {
            let Some(buffers) = &mut self.buffers else {
                break;
            };
            let mut chunk = match buffers.staged {
                Some(chunk) => chunk,
                None => match buffers.free.iter().position(|&free| free) {
                    Some(slot) => Chunk { slot, start: 0, end: 0 },
                    None => break,
                },
            };
            buffers.free[chunk.slot] = false;
            let wanted = (PAGE_BYTES - chunk.end).min(bytes.len() - taken);
            let source = &bytes[taken..taken + wanted];
            buffers.transmit.copy_in(chunk.slot * PAGE_BYTES + chunk.end, source);
            taken += wanted;
            chunk.end += wanted;
            buffers.staged = Some(chunk);
            if chunk.end == PAGE_BYTES {
                self.submit(transport)?;
            }
        }
        Ok(taken)
    }

    /// Gives the device what was written and not given to it yet.
    pub(super) fn submit(&mut self, transport: &mut impl Transport) -> Result<(), Error> {
        let Some(buffers) = &mut self.buffers else {
            return Ok(());
        };
        if let Some(chunk) = buffers.staged.take() {
            let buffer = buffers.transmit.buffer(chunk.slot * PAGE_BYTES, chunk.end);
            // SAFETY: the slot is not free and no longer staged, so nothing touches it before `reclaim` takes it back;
            // a staged chunk is never empty.
            unsafe { self.transmit.give(chunk.slot, buffer) }?;
            self.transmit.notify(transport);
        }
        Ok(())
    }

    /// Whether the device has returned everything that was written, so that nothing would be lost by a power-off.
    pub(super) fn is_drained(&mut self) -> Result<bool, Error> {
        self.reclaim()?;
        Ok(self.buffers.as_ref().is_none_or(|buffers| buffers.free == [true; TX]))
    }

    /// Takes back the transmit buffers that the device is done with.
    fn reclaim(&mut self) -> Result<(), Error> {
        let Some(buffers) = &mut self.buffers else {
            return Ok(());
        };
        while let Some(returned) = self.transmit.take()? {
            *buffers.free.get_mut(returned.slot).ok_or(Misbehaved)? = true;
        }
        Ok(())
    }

    /// Drops bytes that were received and not read, and written and not given to the device.
    fn forget(&mut self, transport: &mut impl Transport) -> Result<(), Error> {
        let Some(buffers) = &mut self.buffers else {
            return Ok(());
        };
        if let Some(chunk) = buffers.staged.take() {
            buffers.free[chunk.slot] = true;
        }
        let mut stale = buffers.unread.take().map(|chunk| chunk.slot);
        for _ in 0..RX {
            if stale.is_none() {
                stale = self.receive.take()?.map(|returned| returned.slot);
            }
            let Some(slot) = stale.take() else {
                break;
            };
            give(&mut self.receive, &buffers.receive, slot)?;
        }
        self.receive.notify(transport);
        Ok(())
    }
}

fn give<H: Hal, const RX: usize>(
    ring: &mut Ring<H, RX>,
    region: &Region<H>,
    slot: usize,
) -> Result<(), Misbehaved> {
    let buffer = region.buffer(slot * PAGE_BYTES, PAGE_BYTES);
    // SAFETY: callers give slots that the device does not have, each below `RX`, the region's number of pages, so that
    // the buffer is a whole page; it is read only after `take` has returned the slot.
    unsafe { ring.give(slot, buffer) }
}
