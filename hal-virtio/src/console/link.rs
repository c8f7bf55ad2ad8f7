//! A port's two queues and its buffers
//!
//! The rings are set up before the device starts and stay for as long as it runs; the buffers, a page each, come with
//! the first opening of the port. When a port is unplugged the device keeps the buffers that it has, and a port plugged
//! in under the same number goes on with them.

use virtio_drivers::transport::Transport;
use virtio_drivers::{BufferDirection, Hal};

use super::Error;
use crate::dma::PAGE_BYTES;
use crate::ring::Ring;

/// Queues and buffers of one port: `RX` buffers towards the program, `TX` towards the host.
pub(super) struct Link<H: Hal, const RX: usize, const TX: usize> {
    receive: Ring<H, RX>,
    transmit: Ring<H, TX>,
    /// What is left to read of a receive buffer that the device has returned.
    unread: Option<Unread>,
    /// The transmit buffer that is being filled, not given to the device yet.
    staged: Option<Staged>,
}

/// Bytes `start..end` of a receive buffer.
#[derive(Clone, Copy)]
struct Unread {
    slot: usize,
    start: usize,
    end: usize,
}

/// The first `len` bytes of a transmit buffer, at least one and fewer than all.
#[derive(Clone, Copy)]
struct Staged {
    slot: usize,
    len: usize,
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
            unread: None,
            staged: None,
        })
    }

    /// Makes the port ready to carry bytes: takes its buffers from the `Hal`, or forgets what an earlier opening left.
    pub(super) fn open(&mut self, transport: &mut impl Transport) -> Result<(), Error> {
        if !self.transmit.is_allocated() {
            self.transmit.allocate(PAGE_BYTES)?;
        }
        if !self.receive.is_allocated() {
            self.receive.allocate(PAGE_BYTES)?;
        }
        self.staged = None;
        self.unread = None;
        for _ in 0..RX {
            _ = self.receive.take()?;
        }
        while let Some(slot) = self.receive.free_slot() {
            self.receive.give(slot, PAGE_BYTES)?;
        }
        self.receive.notify(transport);
        Ok(())
    }

    /// Whether [`read`](Self::read) has bytes.
    pub(super) fn has_unread(&mut self, transport: &mut impl Transport) -> Result<bool, Error> {
        // The bound is for a device that returns empty buffers for ever.
        for _ in 0..RX {
            if self.unread.is_some() {
                break;
            }
            let Some(returned) = self.receive.take()? else {
                break;
            };
            if returned.len > 0 {
                self.unread = Some(Unread { slot: returned.slot, start: 0, end: returned.len });
            } else {
                self.receive.give(returned.slot, PAGE_BYTES)?;
                self.receive.notify(transport);
            }
        }
        Ok(self.unread.is_some())
    }

    /// Copies received bytes to `bytes` and returns how many, 0 if there are none.
    pub(super) fn read(
        &mut self,
        transport: &mut impl Transport,
        bytes: &mut [u8],
    ) -> Result<usize, Error> {
        let mut copied = 0;
        while copied < bytes.len() && self.has_unread(transport)? {
            let Some(Unread { slot, start, end }) = self.unread else {
                break;
            };
            let len = (end - start).min(bytes.len() - copied);
            self.receive.read(slot, start, &mut bytes[copied..copied + len]);
            copied += len;
            self.unread = if start + len < end {
                Some(Unread { slot, start: start + len, end })
            } else {
                self.receive.give(slot, PAGE_BYTES)?;
                self.receive.notify(transport);
                None
            };
        }
        Ok(copied)
    }

    /// Whether [`write`](Self::write) takes a byte at least.
    pub(super) fn has_room(&mut self) -> Result<bool, Error> {
        self.reclaim()?;
        Ok(self.staged.is_some() || self.transmit.free_slot().is_some())
    }

    /// Takes as many of `bytes` as there is room for and returns how many.
    ///
    /// Whole buffers go to the device at once, the rest with [`submit`](Self::submit).
    pub(super) fn write(
        &mut self,
        transport: &mut impl Transport,
        bytes: &[u8],
    ) -> Result<usize, Error> {
        self.reclaim()?;
        let mut taken = 0;
        while taken < bytes.len() {
            let Some(Staged { slot, len }) =
                self.staged.or_else(|| Some(Staged { slot: self.transmit.free_slot()?, len: 0 }))
            else {
                break;
            };
            let room = (PAGE_BYTES - len).min(bytes.len() - taken);
            self.transmit.write(slot, len, &bytes[taken..taken + room]);
            taken += room;
            self.staged = Some(Staged { slot, len: len + room });
            if len + room == PAGE_BYTES {
                self.submit(transport)?;
            }
        }
        Ok(taken)
    }

    /// Gives the device what was written and not given to it yet.
    pub(super) fn submit(&mut self, transport: &mut impl Transport) -> Result<(), Error> {
        if let Some(Staged { slot, len }) = self.staged.take() {
            self.transmit.give(slot, len)?;
            self.transmit.notify(transport);
        }
        Ok(())
    }

    /// Whether the device has returned everything that was written, so that nothing would be lost by a power-off.
    pub(super) fn is_drained(&mut self) -> Result<bool, Error> {
        self.reclaim()?;
        Ok(self.staged.is_none() && self.transmit.is_idle())
    }

    /// Takes back the transmit buffers that the device is done with.
    fn reclaim(&mut self) -> Result<(), Error> {
        while self.transmit.take()?.is_some() {}
        Ok(())
    }
}
