//! What can go wrong with a network device

use core::fmt;

use crate::device::Failure;

/// Why a network device does not work. Each ends it until [`Net::restart`](super::Net::restart) succeeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Error {
    /// The device is of another kind.
    NotNet,
    /// The device cannot be brought to work, or works no more.
    Device(Failure),
    /// The device's configuration cannot be read, or does not stop changing.
    Configuration,
    /// The device is a legacy one that wants a packet's header apart from its frame.
    Layout,
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self::Device(failure)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotNet => "the device is not for a network",
            Self::Device(failure) => return failure.fmt(f),
            Self::Configuration => "the network device's configuration cannot be read",
            Self::Layout => "the network device is too old: it wants headers apart from frames",
        })
    }
}

impl core::error::Error for Error {}
