//! A channel of this process: embedded-io's traits, and a way to wait for it.

use core::fmt;
use core::time::Duration;
use std::os::fd::BorrowedFd;

use embedded_io::{Read, ReadReady, Write, WriteReady};
use rustix::io::Errno;

/// Where the agent's bytes come from and go to.
///
/// Reading and writing never wait: where "ready" was wrong they move nothing. What
/// [`agent_core::Pump`] asks for and is refused, the channel remembers, and that is what
/// [`wait`](Self::wait) waits for.
pub(crate) trait Channel:
    Read<Error = ChannelError> + ReadReady + Write + WriteReady
{
    /// Waits until it is worth to pump again, at most `timeout`, and no longer than until one of
    /// `others` is ready to be read.
    ///
    /// # Errors
    ///
    /// The channel is broken.
    fn wait(
        &mut self,
        timeout: Option<Duration>,
        others: &[BorrowedFd<'_>],
    ) -> Result<(), ChannelError>;

    /// Whether what was written has left this machine, as far as that can be known.
    fn is_drained(&self) -> bool {
        true
    }
}

/// A channel does not work any more, and what the kernel says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChannelError(pub(crate) Errno);

impl fmt::Display for ChannelError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "the channel failed: {}", self.0)
    }
}

impl core::error::Error for ChannelError {}

impl embedded_io::Error for ChannelError {
    fn kind(&self) -> embedded_io::ErrorKind {
        embedded_io::ErrorKind::Other
    }
}

impl From<Errno> for ChannelError {
    fn from(error: Errno) -> Self {
        Self(error)
    }
}
