//! What can go wrong with a block device or a request

use core::fmt;

use crate::device::Failure;

/// Why a block device does not do what was asked.
///
/// The first five end the device until [`Block::restart`](super::Block::restart) succeeds, the others concern one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Error {
    /// The device is of another kind.
    NotBlock,
    /// The device cannot be brought to work, or works no more.
    Device(Failure),
    /// The device's configuration cannot be read, or does not stop changing.
    Configuration,
    /// The device reads and writes in blocks that are larger than a whole request.
    BlockSize,
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
                | Self::Device(_)
                | Self::Configuration
                | Self::BlockSize
                | Self::Timeout
        )
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self::Device(failure)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotBlock => "the device is not a disk",
            Self::Device(failure) => return failure.fmt(f),
            Self::Configuration => "the disk's configuration cannot be read",
            Self::BlockSize => "the disk's blocks are too large",
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
