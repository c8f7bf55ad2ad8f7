//! An open port as a channel of bytes that never waits
//!
//! `embedded_io`'s traits are made for calls that block. Here `ReadReady` and `WriteReady` say whether a call would
//! have to, and a call that would returns at once instead: `read` with 0 bytes, `write` with [`Error::Full`].

use core::fmt;

use embedded_io::{ErrorType, Read, ReadReady, Write, WriteReady};
use virtio_drivers::Hal;
use virtio_drivers::transport::Transport;

use super::link::Link;
use super::{Error, Health};

/// An open port of a [`Console`](super::Console), borrowed from it.
///
/// Written bytes gather in a buffer. They go to the device when it is full, with [`flush`](Write::flush), which does not
/// wait either, and with every [`Console::poll`](super::Console::poll).
pub struct Port<'a, H: Hal, T: Transport, const RX: usize, const TX: usize> {
    pub(super) link: &'a mut Link<H, RX, TX>,
    pub(super) transport: &'a mut T,
    pub(super) health: &'a mut Health,
}

impl<H: Hal, T: Transport, const RX: usize, const TX: usize> Port<'_, H, T, RX, TX> {
    /// Whether the device is done with everything that was written.
    ///
    /// A QEMU that says so has handed the bytes to the other end of its character device. Before a power-off, the last
    /// reply is worth waiting for: not for ever, as a host that does not read never gets there.
    ///
    /// # Errors
    ///
    /// The device broke the rules of the queue.
    pub fn is_drained(&mut self) -> Result<bool, Error> {
        self.with(|link, _| link.is_drained())
    }

    /// Uses the link, unless the console has failed, and remembers whether it has then.
    fn with<V>(
        &mut self,
        use_it: impl FnOnce(&mut Link<H, RX, TX>, &mut T) -> Result<V, Error>,
    ) -> Result<V, Error> {
        self.health.check()?;
        let used = use_it(self.link, self.transport);
        self.health.note(used)
    }
}

impl<H: Hal, T: Transport, const RX: usize, const TX: usize> ErrorType for Port<'_, H, T, RX, TX> {
    type Error = Error;
}

impl<H: Hal, T: Transport, const RX: usize, const TX: usize> ReadReady for Port<'_, H, T, RX, TX> {
    fn read_ready(&mut self) -> Result<bool, Error> {
        self.with(Link::has_unread)
    }
}

impl<H: Hal, T: Transport, const RX: usize, const TX: usize> Read for Port<'_, H, T, RX, TX> {
    /// Copies what has been received. 0 bytes is not the end: nothing is there at the moment.
    fn read(&mut self, bytes: &mut [u8]) -> Result<usize, Error> {
        let copied = self.with(|link, transport| link.read(transport, bytes))?;
        self.health.moved |= copied > 0;
        Ok(copied)
    }
}

impl<H: Hal, T: Transport, const RX: usize, const TX: usize> WriteReady for Port<'_, H, T, RX, TX> {
    fn write_ready(&mut self) -> Result<bool, Error> {
        self.with(|link, _| link.has_room())
    }
}

impl<H: Hal, T: Transport, const RX: usize, const TX: usize> Write for Port<'_, H, T, RX, TX> {
    /// Takes as many bytes as there is room for.
    ///
    /// # Errors
    ///
    /// [`Error::Full`] without room, as the trait does not allow 0 bytes to say so.
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        let taken = self.with(|link, transport| link.write(transport, bytes))?;
        self.health.moved |= taken > 0;
        if taken == 0 && !bytes.is_empty() { Err(Error::Full) } else { Ok(taken) }
    }

    /// Gives the device what was written, and does not wait for it.
    fn flush(&mut self) -> Result<(), Error> {
        self.with(Link::submit)
    }
}

impl<H: Hal, T: Transport, const RX: usize, const TX: usize> fmt::Debug for Port<'_, H, T, RX, TX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Port").field("health", &self.health).finish_non_exhaustive()
    }
}
