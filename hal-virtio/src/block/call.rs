//! Whole calls: requests of any size, one after the other, waiting as the program says
//!
//! Nothing here touches the device but by [`Block::start`] and [`Block::poll`].

use core::task::Poll;

use virtio_drivers::Hal;
use virtio_drivers::transport::Transport;

use super::{Block, Error, Request, SECTOR_BYTES, SERIAL_BYTES, whole_sectors};

/// Waits for an interrupt, and returns false once the time for the call is over.
///
/// The time is the whole call's, however many requests it takes. Interrupts must have stayed disabled since before the call, up to the instruction that waits: one that arrives in
/// between then ends the wait at once.
pub type Wait<'a> = &'a mut dyn FnMut() -> bool;

impl<H: Hal, T: Transport, const SECTORS: usize> Block<H, T, SECTORS> {
    /// Reads sectors from `sector` on until `bytes` is full.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] and [`Error::Misaligned`] before anything is read; those of the device.
    pub fn read(&mut self, sector: u64, bytes: &mut [u8], wait: Wait<'_>) -> Result<(), Error> {
        self.check_range(sector, whole_sectors(bytes)? as u64)?;
        let step = self.request_sectors();
        for (bytes, sector) in bytes.chunks_mut(step * SECTOR_BYTES).zip((sector..).step_by(step)) {
            let count = bytes.len() / SECTOR_BYTES;
            self.complete(Request::Read { sector, count }, wait)?;
            self.data(bytes);
        }
        Ok(())
    }

    /// Writes `bytes`, whole sectors, from `sector` on. They are durable after a [`flush`](Self::flush).
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`], [`Error::Misaligned`] and [`Error::ReadOnly`] before anything is written; those of the
    /// device, after which any of the sectors may have been written.
    pub fn write(&mut self, sector: u64, bytes: &[u8], wait: Wait<'_>) -> Result<(), Error> {
        self.check_range(sector, whole_sectors(bytes)? as u64)?;
        let step = self.request_sectors();
        for (bytes, sector) in bytes.chunks(step * SECTOR_BYTES).zip((sector..).step_by(step)) {
            self.complete(Request::Write { sector, bytes }, wait)?;
        }
        Ok(())
    }

    /// Makes everything durable that was written before.
    ///
    /// # Errors
    ///
    /// Those of the device. Then nothing is known about what was written since the last flush.
    pub fn flush(&mut self, wait: Wait<'_>) -> Result<(), Error> {
        self.complete(Request::Flush, wait)
    }

    /// Says that the contents of `count` sectors from `sector` on are not needed any longer.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] where the device does not offer it; [`Error::OutOfRange`], [`Error::Misaligned`] and
    /// [`Error::ReadOnly`] before anything is discarded; those of the device.
    pub fn discard(&mut self, sector: u64, count: u64, wait: Wait<'_>) -> Result<(), Error> {
        let limits = self.config.discard.ok_or(Error::Unsupported)?;
        self.check_range(sector, count)?;
        let (most, unit) = (u64::from(limits.max_sectors), u64::from(limits.alignment_sectors));
        let (mut sector, mut left) = (sector, count);
        while left > 0 {
            let mut count = left.min(most);
            // > discard_sector_alignment can be used by OS when splitting a request based on alignment. (§5.2.5)
            let excess = (sector + count) % unit;
            if count < left && excess < count {
                count -= excess;
            }
            let request = u32::try_from(count).map_err(|_| Error::OutOfRange)?;
            self.complete(Request::Discard { sector, count: request }, wait)?;
            sector += count;
            left -= count;
        }
        Ok(())
    }

    /// The device's serial number, zeroes after its end.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] from a device without; others of the device.
    pub fn serial(&mut self, wait: Wait<'_>) -> Result<[u8; SERIAL_BYTES], Error> {
        self.complete(Request::Serial, wait)?;
        let mut serial = [0; SERIAL_BYTES];
        self.data(&mut serial);
        let end = serial.iter().position(|&byte| byte == 0).unwrap_or(SERIAL_BYTES);
        serial.iter_mut().skip(end).for_each(|byte| *byte = 0);
        Ok(serial)
    }

    /// Starts a request and waits until it is done.
    fn complete(&mut self, request: Request<'_>, wait: Wait<'_>) -> Result<(), Error> {
        self.start(request)?;
        let mut in_time = true;
        loop {
            match self.poll() {
                Poll::Ready(result) => return result,
                Poll::Pending if in_time => in_time = wait(),
                Poll::Pending => return self.note(Err(Error::Timeout)),
            }
        }
    }
}
