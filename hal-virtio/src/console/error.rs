//! What can go wrong with a console or one of its ports

use core::fmt;

use crate::device::Failure;

/// Why a console or a port does not do what was asked.
///
/// The first two end the whole console until [`Console::restart`](super::Console::restart) succeeds, the others
/// concern one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Error {
    /// The device is of another kind.
    NotConsole,
    /// The device cannot be brought to work, or works no more. But [`Failure::Memory`] from
    /// [`open`](super::Console::open) concerns the one port.
    Device(Failure),
    /// No port of this number is there: not announced yet, or unplugged.
    NoPort,
    /// The port is there and out of reach: the program was built for fewer, or the device has no queues for it.
    Unreachable,
    /// The port has not been opened.
    NotOpen,
    /// There is no room for a byte until the host reads.
    Full,
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self::Device(failure)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotConsole => "the device is not a console",
            Self::Device(failure) => return failure.fmt(f),
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
            Self::Device(Failure::Memory) => embedded_io::ErrorKind::OutOfMemory,
            Self::Device(Failure::NeedsReset) => embedded_io::ErrorKind::BrokenPipe,
            Self::NoPort | Self::NotOpen => embedded_io::ErrorKind::NotConnected,
            Self::NotConsole | Self::Unreachable => embedded_io::ErrorKind::Unsupported,
            _ => embedded_io::ErrorKind::Other,
        }
    }
}
