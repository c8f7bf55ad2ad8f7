//! What can go wrong with a block device or a request

use core::fmt;

use crate::device::SetupError;
use crate::ring::Misbehaved;

/// Why a block device does not do what was asked.
///
/// The first nine end the device until [`Block::restart`](super::Block::restart) succeeds, the others concern one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Error {
    /// The device is of another kind.
    NotBlock,
    /// The device could not be reset or refuses its own features.
    Setup(SetupError),
    /// The device's configuration cannot be read, or does not stop changing.
    Configuration,
    /// The device reads and writes in blocks that are larger than a whole request.
    BlockSize,
    /// The device lacks its queue, or it is too short.
    Queues,
    /// The DMA pool is too small.
    Memory,
    /// The device has met an error that it cannot recover from (`DEVICE_NEEDS_RESET`), or was unplugged.
    NeedsReset,
    /// The device broke the rules of its queue, so nothing in it can be trusted.
    Misbehaved,
    /// The device did not finish a request in the time that it was given. It may still do so, and until it is reset it
    /// may read and write the request's buffer.
    Timeout,
    /// A request is in progress.
    Busy,
    /// There are no such sectors, or the request is for more of them than it may be, or for none.
    OutOfRange,
    /// Not a whole number of the device's blocks, or of sectors.
    Misaligned,
    /// The device is read-only.
    ReadOnly,
    /// The device does not offer this kind of request (`VIRTIO_BLK_S_UNSUPP`).
    Unsupported,
    /// The device met an error with this request (`VIRTIO_BLK_S_IOERR`), or answered what means nothing.
    Io,
}

impl Error {
    /// Whether nothing more is to be expected from the device until a restart.
    pub(super) const fn is_final(self) -> bool {
        matches!(
            self,
            Self::NotBlock
                | Self::Setup(_)
                | Self::Configuration
                | Self::BlockSize
                | Self::Queues
                | Self::Memory
                | Self::NeedsReset
                | Self::Misbehaved
                | Self::Timeout
        )
    }
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
    /// What setting up the queue may answer.
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
            Self::NotBlock => "the device is not a disk",
            Self::Setup(error) => return error.fmt(f),
            Self::Configuration => "the disk's configuration cannot be read",
            Self::BlockSize => "the disk's blocks are too large",
            Self::Queues => "the disk has no queue of sufficient length",
            Self::Memory => "the DMA pool is too small",
            Self::NeedsReset => "the disk has failed and needs a reset",
            Self::Misbehaved => "the disk broke the rules of its queue",
            Self::Timeout => "the disk did not answer in time",
            Self::Busy => "a request is in progress",
            Self::OutOfRange => "the disk has no such sectors",
            Self::Misaligned => "not a whole number of blocks",
            Self::ReadOnly => "the disk is read-only",
            Self::Unsupported => "the disk does not support this request",
            Self::Io => "the disk met an error",
        })
    }
}

impl core::error::Error for Error {}
