//! What can go wrong with a console or one of its ports

use core::fmt;

use crate::device::SetupError;
use crate::ring::Misbehaved;

/// Why a console or a port does not do what was asked.
///
/// The first six end the whole console until [`Console::restart`](super::Console::restart) succeeds, the others
/// concern one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Error {
    /// The device is of another kind.
    NotConsole,
    /// The device could not be reset or refuses its own features.
    Setup(SetupError),
    /// The device lacks the control queues, or they are too short.
    Queues,
    /// The DMA pool is too small. While setting up this ends the console, from `open` it concerns the one port.
    Memory,
    /// The device has met an error that it cannot recover from (`DEVICE_NEEDS_RESET`), or was unplugged.
    NeedsReset,
    /// The device broke the rules of its queues, so nothing in them can be trusted.
    Misbehaved,
    /// No port of this number is there: not announced yet, or unplugged.
    NoPort,
    /// The port is there and out of reach: the program was built for fewer, or the device has no queues for it.
    Unreachable,
    /// The port has not been opened.
    NotOpen,
    /// There is no room for a byte until the host reads.
    Full,
}

impl From<SetupError> for Error {
    fn from(error: SetupError) -> Self {
        Self::Setup(error)
    }
}

impl From<Misbehaved> for Error {
    fn from(_: Misbehaved) -> Self {
        Self::Misbehaved
    }
}

impl From<virtio_drivers::Error> for Error {
    /// What setting up a queue may answer.
    fn from(error: virtio_drivers::Error) -> Self {
        match error {
            virtio_drivers::Error::DmaError => Self::Memory,
            _ => Self::Queues,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotConsole => "the device is not a console",
            Self::Setup(error) => return error.fmt(f),
            Self::Queues => "the console has no control queues of sufficient length",
            Self::Memory => "the DMA pool is too small",
            Self::NeedsReset => "the console has failed and needs a reset",
            Self::Misbehaved => "the console broke the rules of its queues",
            Self::NoPort => "the console has no such port",
            Self::Unreachable => "the port's number is beyond the queues that were set up",
            Self::NotOpen => "the port is not open",
            Self::Full => "the port has no room until the host reads",
        })
    }
}

impl core::error::Error for Error {}

impl embedded_io::Error for Error {
    fn kind(&self) -> embedded_io::ErrorKind {
        match self {
            Self::Memory => embedded_io::ErrorKind::OutOfMemory,
            Self::NeedsReset => embedded_io::ErrorKind::BrokenPipe,
            Self::NoPort | Self::NotOpen => embedded_io::ErrorKind::NotConnected,
            Self::NotConsole | Self::Unreachable => embedded_io::ErrorKind::Unsupported,
            _ => embedded_io::ErrorKind::Other,
        }
    }
}
