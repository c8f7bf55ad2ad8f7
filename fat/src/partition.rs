//! Finding the first FAT volume of a disk: the whole disk, or a partition of its MBR.
//!
//! The partition table has four entries of 16 bytes at offset 446, each with a type at 4, a first
//! sector at 8 and a count of sectors at 12 (UEFI 2.10 §5.2.1). Logical partitions and GPT are not
//! looked at.

use agent_core::Errno;

use crate::bytes::{u16_at, u32_at};
use crate::disk::{Disk, SECTOR_SIZE};
use crate::geometry::{Geometry, NoVolume};

/// Why no volume was mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MountError {
    /// The disk could not be read or written.
    Disk(Errno),
    /// There is no FAT volume on the disk.
    NotFound,
    /// There is one that is not handled: FAT12, or sectors that are not of 512 bytes.
    Unsupported,
}

/// The types that a partition with a FAT volume has: FAT16 to 32 MiB, FAT16, FAT32 and both again
/// for LBA, and the EFI system partition.
const TYPES: [u8; 6] = [0x04, 0x06, 0x0B, 0x0C, 0x0E, 0xEF];

/// The first FAT volume, and the number of its partition, counted from one, where it lies in one.
pub(crate) fn find<D: Disk>(disk: &mut D) -> Result<(Geometry, Option<u8>), MountError> {
    let first = read(disk, 0)?;
    let mut failure = match Geometry::parse(&first, 0, disk.sectors()) {
        Ok(geometry) => return Ok((geometry, None)),
        Err(NoVolume::Unsupported) => return Err(MountError::Unsupported),
        Err(NoVolume::Foreign) => MountError::NotFound,
    };
    if u16_at(&first, 510) != 0xAA55 {
        return Err(failure);
    }
    for (number, at) in (1..).zip([446, 462, 478, 494]) {
        let kind = first.get(at..).and_then(|entry| entry.get(4)).copied().unwrap_or(0);
        let start = u64::from(u32_at(&first, at.saturating_add(8)));
        let count = u64::from(u32_at(&first, at.saturating_add(12)));
        let Some(beyond) = disk.sectors().checked_sub(start) else { continue };
        if !TYPES.contains(&kind) || start == 0 || beyond == 0 {
            continue;
        }
        let boot = read(disk, start)?;
        match Geometry::parse(&boot, start, count.min(beyond)) {
            Ok(geometry) => return Ok((geometry, Some(number))),
            Err(NoVolume::Unsupported) => failure = MountError::Unsupported,
            Err(NoVolume::Foreign) => {}
        }
    }
    Err(failure)
}

fn read<D: Disk>(disk: &mut D, sector: u64) -> Result<[u8; SECTOR_SIZE], MountError> {
    if sector >= disk.sectors() {
        return Err(MountError::NotFound);
    }
    let mut bytes = [0; SECTOR_SIZE];
    disk.read(sector, &mut bytes).map_err(|_| MountError::Disk(Errno::IO))?;
    Ok(bytes)
}
