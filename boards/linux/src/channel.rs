//! A channel of this process: embedded-io's traits, and a way to wait for it.

use core::fmt;
use core::time::Duration;
use std::os::fd::AsFd;

use embedded_io::{Read, ReadReady, Write, WriteReady};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, retry_on_intr};

/// Where the agent's bytes come from and go to.
///
/// Reading and writing never wait. What [`agent_core::Pump`] asks for and is refused, the channel
/// remembers, and that is what [`wait`](Self::wait) waits for.
pub(crate) trait Channel:
    Read<Error = ChannelError> + ReadReady + Write + WriteReady
{
    /// Waits until it is worth to pump again, at most `timeout`.
    ///
    /// # Errors
    ///
    /// The channel is broken.
    fn wait(&mut self, timeout: Option<Duration>) -> Result<(), ChannelError>;

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

/// Whether a descriptor is ready for `events`.
///
/// It is, too, when the other side is gone or an error is pending: reading or writing will tell,
/// and does not block.
pub(crate) fn is_ready(descriptor: impl AsFd, events: PollFlags) -> Result<bool, ChannelError> {
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    let mut polled = [PollFd::new(&descriptor, events)];
    let count = retry_on_intr(|| poll(&mut polled, Some(&now))).map_err(ChannelError)?;
    Ok(count > 0)
}

/// Waits until a descriptor is ready for `events`, a signal has come, or `timeout` is over.
pub(crate) fn wait_for(
    descriptor: impl AsFd,
    events: PollFlags,
    timeout: Option<Duration>,
) -> Result<(), ChannelError> {
    // A time that the kernel's type cannot hold is as good as for ever.
    let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
    match poll(&mut [PollFd::new(&descriptor, events)], timeout.as_ref()) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(ChannelError(error)),
    }
}
