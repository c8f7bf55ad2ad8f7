//! Network device (virtio 1.2 §5.1): Ethernet frames in and out, without offloads
//!
//! ```text
//! Net::poll        acknowledges, takes back what was sent, follows the link
//! Net::receive     copies the next frame out
//! Net::transmit    gives a frame to the device, or drops it
//!   config         address, link, MTU
//! ```
//!
//! One pair of queues, no checksums or segments left to the device, and a frame in one buffer: `VIRTIO_NET_F_MRG_RXBUF` is
//! not agreed on.
//!
//! # Frames are copied
//!
//! A received frame could be read where it lies, but the device could change it after a program has checked it. So
//! [`receive`](Net::receive) copies it, once, before anybody looks at it.
//!
//! # Nothing waits
//!
//! A host that does not take frames fills the queue. What is sent then is dropped and counted, as on any network; a
//! protocol that wants it to arrive sends it again.
//!
//! # A device without an address
//!
//! Without `VIRTIO_NET_F_MAC`, or where the address is one that no device may have, [`mac`](Net::mac) is `None`. None is
//! invented: it would be another one after every boot, and the host could not tell whose it is.
//!
//! # Example
//!
//! ```no_run
//! use hal_virtio::net::{Error, FRAME_BYTES, Net};
//! use hal_virtio::{Hal, Transport};
//!
//! /// Sends every frame back.
//! fn echo<H: Hal, T: Transport>(device: T, halt_until_interrupt: impl Fn()) -> Result<(), Error> {
//!     let mut net = Net::<H, T>::new(device)?;
//!     let mut frame = [0; FRAME_BYTES];
//!     loop {
//!         while net.poll()? {
//!             while let Some(len) = net.receive(&mut frame)? {
//!                 net.transmit(&frame[..len])?;
//!             }
//!         }
//!         halt_until_interrupt();
//!     }
//! }
//! ```

mod config;
mod error;
#[cfg(test)]
mod tests;

use core::fmt;

use virtio_drivers::transport::{DeviceStatus, DeviceType, InterruptStatus, Transport};
use virtio_drivers::{BufferDirection, Hal};

pub use self::error::Error;

use self::config::{Config, F_MAC, F_MTU, F_STATUS};
use crate::device::{self, Failure, Line};
use crate::dma::PAGE_BYTES;
use crate::ring::{self, Ring};

/// The longest frame: an Ethernet header and 1500 bytes.
pub const FRAME_BYTES: usize = 14 + 1500;

/// Bytes of a packet's buffer, its header in front of the frame.
const BUFFER_BYTES: usize = 1536;

/// The shortest frame: an Ethernet header. Padding is the wire's, and there is none.
const MIN_FRAME_BYTES: usize = 14;

/// Length of `struct virtio_net_hdr` in bytes, whose last field legacy devices do not have (§5.1.6.1).
const HEADER_BYTES: usize = 12;
const LEGACY_HEADER_BYTES: usize = 10;

/// `VIRTIO_F_ANY_LAYOUT`: a legacy device takes header and frame in one descriptor (§6.3).
const F_ANY_LAYOUT: u64 = 1 << 27;

/// > The virtqueues are organized as follows: 0 receiveq1, 1 transmitq1 (§5.1.2)
const RECEIVE_QUEUE: u16 = 0;
const TRANSMIT_QUEUE: u16 = 1;

/// A virtio network device on a transport.
///
/// `RX` frames can wait to be received and `TX` to be sent, both powers of two. [`dma_pages`] tells what they take.
pub struct Net<H: Hal, T: Transport, const RX: usize = 16, const TX: usize = 16> {
    transport: T,
    queues: Option<Queues<H, RX, TX>>,
    features: u64,
    config: Config,
    statistics: Statistics,
    failure: Option<Error>,
    /// A frame has moved since the device was last asked for its state.
    moved: bool,
    line: Line,
}

struct Queues<H: Hal, const RX: usize, const TX: usize> {
    receive: Ring<H, RX>,
    transmit: Ring<H, TX>,
    header_bytes: usize,
    /// The device has been given receive buffers that it has not been told of.
    notify_due: bool,
}

/// What has passed through the device since it was opened; a restart does not reset it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Bytes of frames received.
    pub rx_bytes: u64,
    /// Frames received.
    pub rx_frames: u64,
    /// Packets received that hold no frame, or one that is too long.
    pub rx_errors: u64,
    /// Bytes of frames given to the device.
    pub tx_bytes: u64,
    /// Frames given to the device.
    pub tx_frames: u64,
    /// Frames that could not be sent: too long or too short.
    pub tx_errors: u64,
    /// Frames that were not sent because the host had not taken earlier ones, or because the link was down.
    pub tx_dropped: u64,
}

/// The pages of DMA memory that a `Net<_, _, RX, TX>` takes.
pub const fn dma_pages(rx: usize, tx: usize) -> usize {
    let buffers =
        (rx * BUFFER_BYTES).div_ceil(PAGE_BYTES) + (tx * BUFFER_BYTES).div_ceil(PAGE_BYTES);
    ring::pages(rx) + ring::pages(tx) + buffers
}

impl<H: Hal, T: Transport, const RX: usize, const TX: usize> Net<H, T, RX, TX> {
    /// Resets the device behind `transport`, agrees on features, sets its queues up and starts it.
    ///
    /// # Errors
    ///
    /// The device is not for a network or does not work, or the DMA memory is too small.
    pub fn new(transport: T) -> Result<Self, Error> {
        let mut net = Self {
            transport,
            queues: None,
            features: 0,
            config: Config::default(),
            statistics: Statistics::default(),
            failure: None,
            moved: false,
            line: Line::default(),
        };
        net.begin()?;
        Ok(net)
    }

    /// Resets the device and begins anew, as after a failure or when the machine has slept. Frames that waited are lost.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new). The device can be restarted again later.
    pub fn restart(&mut self) -> Result<(), Error> {
        let begun = self.end().and_then(|()| self.begin());
        self.failure = begun.err();
        begun
    }

    /// The device's address, if it has one.
    pub const fn mac(&self) -> Option<[u8; 6]> {
        self.config.mac
    }

    /// The longest packet that the host wants in a frame, in bytes, if it says so: whatever it says.
    pub const fn mtu(&self) -> Option<u16> {
        self.config.mtu
    }

    /// Whether the cable is in, as of the last [`poll`](Self::poll).
    pub const fn is_link_up(&self) -> bool {
        self.config.is_link_up
    }

    /// What has passed through the device.
    pub const fn statistics(&self) -> Statistics {
        self.statistics
    }

    /// The transport, for instance to ask how its interrupts arrive.
    pub const fn transport(&self) -> &T {
        &self.transport
    }

    /// Acknowledges the device's interrupt, takes back what it has sent, and follows its link.
    ///
    /// Returns whether a frame or the link has moved since it was asked last, or there was an interrupt. A program may
    /// halt the CPU until the next interrupt when nothing was, if interrupts stayed disabled in between: whatever the
    /// device does after the acknowledgement raises a new one. A device that shares its line may have hidden another one's
    /// interrupt, so all on the line are to be looked at again after a `true` from any of them.
    ///
    /// # Errors
    ///
    /// The device failed or broke the rules, and stays so until [`restart`](Self::restart).
    pub fn poll(&mut self) -> Result<bool, Error> {
        // Before any look at the queues, so that a line which rises later rises anew; and of a device that has failed,
        // too, as others may share its line.
        let interrupt = self.transport.ack_interrupt();
        let advanced = self.check().and_then(|()| self.advance(interrupt));
        let may_hide_others = self.line.may_hide_others(interrupt, advanced == Ok(true));
        self.note(advanced.map(|moved| moved || may_hide_others))
    }

    /// Copies the next frame to `frame` and returns its length, if one has arrived.
    ///
    /// # Errors
    ///
    /// The device broke the rules, or what has ended it before.
    pub fn receive(&mut self, frame: &mut [u8; FRAME_BYTES]) -> Result<Option<usize>, Error> {
        let received = self.check().and_then(|()| self.take_frame(frame));
        self.note(received)
    }

    /// Gives a frame to the device, or drops it where there is no room; [`statistics`](Self::statistics) tells.
    ///
    /// # Errors
    ///
    /// The device broke the rules, or what has ended it before.
    pub fn transmit(&mut self, frame: &[u8]) -> Result<(), Error> {
        let sent = self.check().and_then(|()| self.send_frame(frame));
        self.note(sent)
    }

    /// Brings the device to work.
    fn begin(&mut self) -> Result<(), Error> {
        if self.transport.device_type() != DeviceType::Network {
            return Err(Error::NotNet);
        }
        let is_legacy = self.transport.requires_legacy_layout();
        let layout = if is_legacy { F_ANY_LAYOUT } else { 0 };
        let wanted = F_MTU | F_MAC | F_STATUS | layout;
        self.features = device::negotiate(&mut self.transport, wanted)?;
        if self.features & layout != layout {
            return Err(Error::Layout);
        }
        self.config = Config::read(&self.transport, self.features)?;
        let header_bytes = if is_legacy { LEGACY_HEADER_BYTES } else { HEADER_BYTES };
        let queues = self.queues.insert(Queues::new(&mut self.transport, header_bytes)?);
        device::start(&mut self.transport);
        queues.start(&mut self.transport)
    }

    /// Resets the device and lets go of queues and buffers, unless the device may still use them.
    fn end(&mut self) -> Result<(), Error> {
        device::reset(&mut self.transport)?;
        self.queues = None;
        self.moved = false;
        Ok(())
    }

    /// One step of [`poll`](Self::poll).
    fn advance(&mut self, interrupt: InterruptStatus) -> Result<bool, Error> {
        let queues = self.queues.as_mut().ok_or(Failure::NeedsReset)?;
        while queues.transmit.take()?.is_some() {}
        if core::mem::take(&mut queues.notify_due) {
            queues.receive.notify(&mut self.transport);
        }
        let has_frame = queues.receive.has_returned();
        // A device tells of its link, and of its failure (§2.1.2), by a configuration change, of which MSI-X says nothing
        // more than any interrupt. Looking costs two exits, so it is done once for every time that no frame has moved.
        let is_busy = core::mem::take(&mut self.moved) || has_frame;
        if is_busy && !interrupt.contains(InterruptStatus::DEVICE_CONFIGURATION_INTERRUPT) {
            return Ok(true);
        }
        if self.transport.get_status().contains(DeviceStatus::DEVICE_NEEDS_RESET) {
            return Err(Failure::NeedsReset.into());
        }
        let is_link_up = config::is_link_up(&self.transport, self.features)?;
        let was_link_up = core::mem::replace(&mut self.config.is_link_up, is_link_up);
        Ok(is_busy || was_link_up != is_link_up)
    }

    /// The next frame that is one. What is none is counted and given back.
    fn take_frame(&mut self, frame: &mut [u8; FRAME_BYTES]) -> Result<Option<usize>, Error> {
        let queues = self.queues.as_mut().ok_or(Failure::NeedsReset)?;
        // The bound is for a device that returns empty buffers for ever.
        for _ in 0..RX {
            let Some(returned) = queues.receive.take()? else {
                return Ok(None);
            };
            self.moved = true;
            // Nothing in the header concerns a driver that has agreed on nothing.
            let len = returned.len.saturating_sub(queues.header_bytes);
            let place = frame.get_mut(..len).filter(|_| len >= MIN_FRAME_BYTES);
            let is_frame = place.is_some();
            if let Some(place) = place {
                queues.receive.read(returned.slot, queues.header_bytes, place);
            }
            queues.receive.give(returned.slot, BUFFER_BYTES)?;
            queues.notify_due = true;
            if is_frame {
                self.statistics.rx_frames += 1;
                self.statistics.rx_bytes += len as u64;
                return Ok(Some(len));
            }
            self.statistics.rx_errors += 1;
        }
        Ok(None)
    }

    fn send_frame(&mut self, frame: &[u8]) -> Result<(), Error> {
        let queues = self.queues.as_mut().ok_or(Failure::NeedsReset)?;
        if !(MIN_FRAME_BYTES..=FRAME_BYTES).contains(&frame.len()) {
            self.statistics.tx_errors += 1;
            return Ok(());
        }
        while queues.transmit.take()?.is_some() {}
        let slot = queues.transmit.free_slot().filter(|_| self.config.is_link_up);
        let Some(slot) = slot else {
            self.statistics.tx_dropped += 1;
            return Ok(());
        };
        // > If the driver negotiated none of the features, flags and gso_type are zero (§5.1.6.2), and so is all else.
        let header_bytes = queues.header_bytes;
        queues.transmit.write(slot, 0, &[0; HEADER_BYTES]);
        queues.transmit.write(slot, header_bytes, frame);
        queues.transmit.give(slot, header_bytes + frame.len())?;
        queues.transmit.notify(&mut self.transport);
        self.moved = true;
        self.statistics.tx_frames += 1;
        self.statistics.tx_bytes += frame.len() as u64;
        Ok(())
    }

    /// The error that has ended the device, if one has.
    fn check(&self) -> Result<(), Error> {
        self.failure.map_or(Ok(()), Err)
    }

    /// Remembers an error: each ends the device.
    fn note<V>(&mut self, result: Result<V, Error>) -> Result<V, Error> {
        if let Err(error) = result {
            self.failure = Some(error);
        }
        result
    }
}

impl<H: Hal, T: Transport, const RX: usize, const TX: usize> Drop for Net<H, T, RX, TX> {
    fn drop(&mut self) {
        if self.end().is_err() {
            // The device may still use the memory, so it is given up for good.
            core::mem::forget(self.queues.take());
        }
    }
}

impl<H: Hal, T: Transport, const RX: usize, const TX: usize> fmt::Debug for Net<H, T, RX, TX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Net")
            .field("config", &self.config)
            .field("statistics", &self.statistics)
            .field("failure", &self.failure)
            .finish_non_exhaustive()
    }
}

impl<H: Hal, const RX: usize, const TX: usize> Queues<H, RX, TX> {
    /// Sets up the queues with their buffers. The device must not be started yet.
    fn new(transport: &mut impl Transport, header_bytes: usize) -> Result<Self, Error> {
        let mut queues = Self {
            receive: Ring::new(transport, RECEIVE_QUEUE, BufferDirection::DeviceToDriver)?,
            transmit: Ring::new(transport, TRANSMIT_QUEUE, BufferDirection::DriverToDevice)?,
            header_bytes,
            notify_due: false,
        };
        queues.receive.allocate(BUFFER_BYTES)?;
        queues.transmit.allocate(BUFFER_BYTES)?;
        Ok(queues)
    }

    /// Gives the device, which has been started, all receive buffers.
    fn start(&mut self, transport: &mut impl Transport) -> Result<(), Error> {
        while let Some(slot) = self.receive.free_slot() {
            self.receive.give(slot, BUFFER_BYTES)?;
        }
        self.receive.notify(transport);
        Ok(())
    }
}
