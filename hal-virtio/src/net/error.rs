//! What can go wrong with a network device

use core::fmt;

use crate::device::SetupError;
use crate::ring::Misbehaved;

/// Why a network device does not work. Each ends it until [`Net::restart`](super::Net::restart) succeeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Error {
    /// The device is of another kind.
    NotNet,
    /// The device could not be reset or refuses its own features.
    Setup(SetupError),
    /// The device's configuration cannot be read, or does not stop changing.
    Configuration,
    /// The device is a legacy one that wants a packet's header apart from its frame.
    Layout,
    /// The device lacks its queues, or they are too short.
    Queues,
    /// The DMA pool is too small.
    Memory,
    /// The device has met an error that it cannot recover from (`DEVICE_NEEDS_RESET`), or was unplugged.
    NeedsReset,
    /// The device broke the rules of its queues, so nothing in them can be trusted.
    Misbehaved,
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
            Self::NotNet => "the device is not for a network",
            Self::Setup(error) => return error.fmt(f),
            Self::Configuration => "the network device's configuration cannot be read",
            Self::Layout => "the network device is too old: it wants headers apart from frames",
            Self::Queues => "the network device has no queues of sufficient length",
            Self::Memory => "the DMA pool is too small",
            Self::NeedsReset => "the network device has failed and needs a reset",
            Self::Misbehaved => "the network device broke the rules of its queues",
        })
    }
}

impl core::error::Error for Error {}
