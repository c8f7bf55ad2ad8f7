//! Block device (virtio 1.2 §5.2): a disk of 512-byte sectors, read, written, flushed and discarded
//!
//! ```text
//! call       Block::read, write, flush, discard, serial: any size, waiting as the program says
//!            Block::start, poll, data: one request, never waiting
//!   queue    header, data and status in DMA memory
//!   config   capacity, block size, limits
//! ```
//!
//! # Waiting
//!
//! A disk is the host's, and may take its time or never answer. [`start`](Block::start) and [`poll`](Block::poll) return at
//! once. The calls over them take a function that waits: it halts the CPU until the next interrupt, or for a
//! moment where there are none, and returns false when the time for the call is over. Then the call ends with
//! [`Error::Timeout`], and so does every later one: the device may still write to the buffer, so nothing else uses it
//! until [`restart`](Block::restart) has reset the device.
//!
//! # What is written is safe when
//!
//! A device with `VIRTIO_BLK_F_FLUSH` may keep what was written in memory until [`flush`](Block::flush) returns. One
//! without it is taken to have written everything when `write` returns (§5.2.5.1), and flushing it does nothing.
//!
//! # Example
//!
//! ```no_run
//! use hal_virtio::block::{Block, Error, SECTOR_BYTES};
//! use hal_virtio::{Hal, Transport};
//!
//! fn stamp<H: Hal, T: Transport>(device: T, mut wait: impl FnMut() -> bool) -> Result<(), Error> {
//!     let mut disk = Block::<H, T>::new(device)?;
//!     let mut sector = [0; SECTOR_BYTES];
//!     disk.read(0, &mut sector, &mut wait)?;
//!     sector[0] += 1;
//!     disk.write(0, &sector, &mut wait)?;
//!     disk.flush(&mut wait)
//! }
//! ```

mod call;
mod config;
mod error;
mod queue;
#[cfg(test)]
mod tests;

use core::fmt;
use core::task::Poll;

use virtio_drivers::Hal;
use virtio_drivers::transport::{DeviceStatus, DeviceType, Transport};

pub use self::call::Wait;
pub use self::config::DiscardLimits;
pub use self::error::Error;

use self::config::{Config, F_BLK_SIZE, F_DISCARD, F_FLUSH, F_RO};
use self::queue::{Data, Queue};
use crate::device::{self, Failure, Line};

/// Size of a sector in bytes: the unit of addresses, whatever the block size of the device (§5.2.4).
pub const SECTOR_BYTES: usize = 512;

/// Longest serial number in bytes, §5.2.6.
pub const SERIAL_BYTES: usize = 20;

/// Values of `type` in a request's header, §5.2.6.
mod kind {
    pub(super) const IN: u32 = 0;
    pub(super) const OUT: u32 = 1;
    pub(super) const FLUSH: u32 = 4;
    pub(super) const GET_ID: u32 = 8;
    pub(super) const DISCARD: u32 = 11;
}

/// A virtio block device on a transport, with one request at a time of up to `SECTORS` sectors.
///
/// A read or write of more is several requests. Each costs the same whatever its size, so larger ones make a faster disk:
/// [`dma_pages`] tells what they take.
pub struct Block<H: Hal, T: Transport, const SECTORS: usize = 8> {
    transport: T,
    queue: Option<Queue<H, SECTORS>>,
    features: u64,
    config: Config,
    failure: Option<Error>,
    /// Bytes that the last request has brought, or will.
    received: usize,
    /// The request was looked for, and was not done.
    is_awaited: bool,
    line: Line,
    /// There was an interrupt since this was asked last.
    has_interrupted: bool,
}

/// One request to a block device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// Read `count` sectors, which [`Block::data`] has afterwards.
    Read {
        /// The first sector.
        sector: u64,
        /// How many, at most [`Block::request_sectors`].
        count: usize,
    },
    /// Write whole sectors.
    Write {
        /// The first sector.
        sector: u64,
        /// At most [`Block::request_sectors`] sectors. They are copied, so they need not stay.
        bytes: &'a [u8],
    },
    /// Make everything durable that was written before.
    Flush,
    /// Say that the contents of sectors are not needed any longer. Whatever is read from them afterwards.
    Discard {
        /// The first sector.
        sector: u64,
        /// How many, at most [`DiscardLimits::max_sectors`].
        count: u32,
    },
    /// Read the serial number, [`SERIAL_BYTES`] bytes of ASCII that end early at a NUL.
    Serial,
}

/// The pages of DMA memory that a `Block<_, _, SECTORS>` takes.
pub const fn dma_pages(sectors: usize) -> usize {
    queue::pages(sectors)
}

impl<H: Hal, T: Transport, const SECTORS: usize> Block<H, T, SECTORS> {
    const SIZES: () =
        assert!(SECTORS >= 1 && SECTORS <= 8192, "a request has between 1 and 8192 sectors");

    /// Resets the device behind `transport`, agrees on features, sets the queue up and starts it.
    ///
    /// # Errors
    ///
    /// The device is no disk or does not work, or the DMA memory is too small for the queue.
    pub fn new(transport: T) -> Result<Self, Error> {
        const { Self::SIZES };
        let mut block = Self {
            transport,
            queue: None,
            features: 0,
            config: Config::default(),
            failure: None,
            received: 0,
            is_awaited: false,
            line: Line::default(),
            has_interrupted: false,
        };
        block.begin()?;
        Ok(block)
    }

    /// Resets the device and begins anew. A request in progress is lost: it may or may not have been done.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new). The device can be restarted again later.
    pub fn restart(&mut self) -> Result<(), Error> {
        let begun = self.end().and_then(|()| self.begin());
        self.failure = begun.err();
        begun
    }

    /// Number of sectors. When the host resizes the disk, the new one shows with the next [`restart`](Self::restart).
    pub const fn sectors(&self) -> u64 {
        self.config.sectors
    }

    /// Sectors in the smallest block that the device can read and write: 1, unless it has larger ones.
    pub const fn block_sectors(&self) -> u32 {
        self.config.block_sectors
    }

    /// The most sectors in one request: as many whole blocks as fit into `SECTORS`.
    pub const fn request_sectors(&self) -> usize {
        // By `begin` there is room for one block at least.
        SECTORS - SECTORS % self.config.block_sectors as usize
    }

    /// Whether the device can only be read.
    pub const fn is_read_only(&self) -> bool {
        self.features & F_RO != 0
    }

    /// What a discard may be, if the device offers it.
    pub const fn discard_limits(&self) -> Option<DiscardLimits> {
        self.config.discard
    }

    /// The transport, for instance to ask how its interrupts arrive.
    pub const fn transport(&self) -> &T {
        &self.transport
    }

    /// Gives the device a request. [`poll`](Self::poll) tells when it is done.
    ///
    /// # Errors
    ///
    /// The request is not one that the device can do, or one is in progress, or what has ended the device.
    pub fn start(&mut self, request: Request<'_>) -> Result<(), Error> {
        self.check()?;
        if self.queue.as_ref().is_some_and(Queue::is_busy) {
            return Err(Error::Busy);
        }
        self.received = 0;
        self.is_awaited = false;
        let segment;
        let (kind, sector, data): (_, _, Data<&[u8]>) = match request {
            Request::Read { sector, count } => {
                self.check_request(sector, count)?;
                (kind::IN, sector, Data::In(count * SECTOR_BYTES))
            }
            Request::Write { sector, bytes } => {
                self.check_writable()?;
                self.check_request(sector, whole_sectors(bytes)?)?;
                (kind::OUT, sector, Data::Out(bytes))
            }
            // Without the feature everything is durable already.
            Request::Flush if self.features & F_FLUSH == 0 => return Ok(()),
            Request::Flush => (kind::FLUSH, 0, Data::None),
            Request::Discard { sector, count } => {
                self.check_writable()?;
                let limits = self.config.discard.ok_or(Error::Unsupported)?;
                self.check_range(sector, count.into())?;
                if count == 0 || count > limits.max_sectors {
                    return Err(Error::OutOfRange);
                }
                // `struct virtio_blk_discard_write_zeroes`: sector, number, and flags, none of which applies.
                segment = (u128::from(sector) | u128::from(count) << 64).to_le_bytes();
                (kind::DISCARD, 0, Data::Out(&segment))
            }
            Request::Serial => (kind::GET_ID, 0, Data::In(SERIAL_BYTES)),
        };
        let queue = self.queue.as_mut().ok_or(Failure::NeedsReset)?;
        let sent = queue.send(&mut self.transport, kind, sector, data);
        self.note(sent.map_err(Error::from))?;
        if let Data::In(len) = data {
            self.received = len;
        }
        Ok(())
    }

    /// Acknowledges the device's interrupt and tells whether the request is done.
    ///
    /// Without a request in progress there is nothing to wait for, and that is `Ready`. An error of the request is told
    /// once.
    pub fn poll(&mut self) -> Poll<Result<(), Error>> {
        // Before any look at the queue, so that a line which rises later rises anew; and of a device
        // that has failed, too, as others may share its line.
        let interrupt = self.transport.ack_interrupt();
        let is_busy = self.queue.as_ref().is_some_and(Queue::is_busy);
        self.has_interrupted |= self.line.may_hide_others(interrupt, is_busy);
        let advanced = self.check().and_then(|()| self.advance());
        match self.note(advanced) {
            Ok(false) => Poll::Pending,
            Ok(true) => Poll::Ready(Ok(())),
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    /// Whether any [`poll`](Self::poll), a call's among them, has acknowledged an interrupt since this was asked last.
    ///
    /// A device that shares its line may have hidden another one's interrupt, so all on the line are to be looked at again
    /// before the CPU halts.
    pub const fn has_interrupted(&mut self) -> bool {
        core::mem::replace(&mut self.has_interrupted, false)
    }

    /// Copies what the last request has read to `bytes`, and returns how many bytes: none if there is no such.
    pub fn data(&self, bytes: &mut [u8]) -> usize {
        let len = bytes.len().min(self.received);
        match (&self.queue, bytes.get_mut(..len)) {
            (Some(queue), Some(bytes)) => queue.read(bytes),
            _ => 0,
        }
    }

    /// Brings the device to work.
    fn begin(&mut self) -> Result<(), Error> {
        if self.transport.device_type() != DeviceType::Block {
            return Err(Error::NotBlock);
        }
        let wanted = F_RO | F_BLK_SIZE | F_FLUSH | F_DISCARD;
        self.features = device::negotiate(&mut self.transport, wanted)?;
        self.config = self.read_config()?;
        self.queue = Some(Queue::new(&mut self.transport)?);
        device::start(&mut self.transport);
        Ok(())
    }

    /// Resets the device and lets go of queue and buffer, unless the device may still use them.
    fn end(&mut self) -> Result<(), Error> {
        device::reset(&mut self.transport)?;
        self.queue = None;
        self.received = 0;
        Ok(())
    }

    fn read_config(&self) -> Result<Config, Error> {
        let config = Config::read(&self.transport, self.features)?;
        if usize::try_from(config.block_sectors).is_ok_and(|sectors| sectors <= SECTORS) {
            Ok(config)
        } else {
            Err(Error::BlockSize)
        }
    }

    /// One step of [`poll`](Self::poll): whether the request, if there is one, is done.
    fn advance(&mut self) -> Result<bool, Error> {
        let queue = self.queue.as_mut().ok_or(Failure::NeedsReset)?;
        let Some(status) = queue.take()? else {
            // A device that fails interrupts (§2.1.2), so a look is due when a wait has ended and nothing is done. Looking
            // costs an exit, which the look right after the start is spared.
            if queue.is_busy()
                && core::mem::replace(&mut self.is_awaited, true)
                && self.transport.get_status().contains(DeviceStatus::DEVICE_NEEDS_RESET)
            {
                return Err(Failure::NeedsReset.into());
            }
            return Ok(!queue.is_busy());
        };
        let result = match status {
            0 => return Ok(true),
            2 => Error::Unsupported,
            _ => Error::Io,
        };
        self.received = 0;
        Err(result)
    }

    /// Whether the sectors are there, and are whole blocks.
    fn check_range(&self, sector: u64, count: u64) -> Result<(), Error> {
        let end = sector.checked_add(count).filter(|&end| end <= self.config.sectors);
        let block = u64::from(self.config.block_sectors);
        if end.ok_or(Error::OutOfRange)?.is_multiple_of(block) && sector.is_multiple_of(block) {
            Ok(())
        } else {
            Err(Error::Misaligned)
        }
    }

    /// Whether `count` sectors can be read or written by one request.
    fn check_request(&self, sector: u64, count: usize) -> Result<(), Error> {
        if count == 0 || count > SECTORS {
            return Err(Error::OutOfRange);
        }
        self.check_range(sector, count as u64)
    }

    fn check_writable(&self) -> Result<(), Error> {
        if self.is_read_only() { Err(Error::ReadOnly) } else { Ok(()) }
    }

    /// The error that has ended the device, if one has.
    fn check(&self) -> Result<(), Error> {
        self.failure.map_or(Ok(()), Err)
    }

    /// Remembers an error that ends the device.
    fn note<V>(&mut self, result: Result<V, Error>) -> Result<V, Error> {
        if let Err(error) = result
            && error.is_final()
        {
            self.failure = Some(error);
        }
        result
    }
}

impl<H: Hal, T: Transport, const SECTORS: usize> Drop for Block<H, T, SECTORS> {
    fn drop(&mut self) {
        if self.end().is_err() {
            // The device may still use the memory, so it is given up for good.
            core::mem::forget(self.queue.take());
        }
    }
}

impl<H: Hal, T: Transport, const SECTORS: usize> fmt::Debug for Block<H, T, SECTORS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Block")
            .field("config", &self.config)
            .field("is_read_only", &self.is_read_only())
            .field("failure", &self.failure)
            .finish_non_exhaustive()
    }
}

/// How many sectors the bytes are, if it is a whole number.
fn whole_sectors(bytes: &[u8]) -> Result<usize, Error> {
    if bytes.len().is_multiple_of(SECTOR_BYTES) {
        Ok(bytes.len() / SECTOR_BYTES)
    } else {
        Err(Error::Misaligned)
    }
}
