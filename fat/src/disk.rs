//! What a disk must do to carry a volume.
//!
//! Implemented by a board over its block device, and by the tests over memory.

/// Bytes in a sector.
pub const SECTOR_SIZE: usize = 512;

/// A disk of sectors of [`SECTOR_SIZE`] bytes.
///
/// The volume keeps to the disk: it never names a sector at or beyond [`Disk::sectors`]. It relies
/// on two things for what it promises about a cut of power: a sector is written wholly or not at
/// all, and what was written before a flush is on the disk before what is written after it.
pub trait Disk {
    /// How many sectors the disk has.
    fn sectors(&self) -> u64;

    /// Whether the disk refuses to be written.
    fn is_read_only(&self) -> bool {
        false
    }

    /// Reads sectors from `first` on into `into`, which is a whole number of them long.
    ///
    /// # Errors
    ///
    /// [`DiskError::Failed`].
    fn read(&mut self, first: u64, into: &mut [u8]) -> Result<(), DiskError>;

    /// Writes sectors from `first` on; `bytes` is a whole number of them.
    ///
    /// # Errors
    ///
    /// [`DiskError::Failed`], or [`DiskError::ReadOnly`].
    fn write(&mut self, first: u64, bytes: &[u8]) -> Result<(), DiskError>;

    /// Returns once everything written so far survives a cut of power.
    ///
    /// # Errors
    ///
    /// [`DiskError::Failed`].
    fn flush(&mut self) -> Result<(), DiskError>;

    /// The least number of sectors that can be discarded, where any can.
    fn discard_unit(&self) -> Option<u32> {
        None
    }

    /// Tells the disk that `count` sectors from `first` on hold nothing that matters.
    ///
    /// # Errors
    ///
    /// [`DiskError::Unsupported`] where the disk has no such command.
    fn discard(&mut self, first: u64, count: u64) -> Result<(), DiskError> {
        let _ = (first, count);
        Err(DiskError::Unsupported)
    }
}

impl<D: Disk + ?Sized> Disk for &mut D {
    fn sectors(&self) -> u64 {
        (**self).sectors()
    }

    fn is_read_only(&self) -> bool {
        (**self).is_read_only()
    }

    fn read(&mut self, first: u64, into: &mut [u8]) -> Result<(), DiskError> {
        (**self).read(first, into)
    }

    fn write(&mut self, first: u64, bytes: &[u8]) -> Result<(), DiskError> {
        (**self).write(first, bytes)
    }

    fn flush(&mut self) -> Result<(), DiskError> {
        (**self).flush()
    }

    fn discard_unit(&self) -> Option<u32> {
        (**self).discard_unit()
    }

    fn discard(&mut self, first: u64, count: u64) -> Result<(), DiskError> {
        (**self).discard(first, count)
    }
}

/// Why a disk did not do what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskError {
    /// It failed.
    Failed,
    /// It may only be read.
    ReadOnly,
    /// It has no such command.
    Unsupported,
}
