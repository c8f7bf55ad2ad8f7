//! FAT32's information sector: how many clusters are free, for those who do not want to count.
//!
//! FAT §"FAT32 `FSInfo` Sector Structure and Backup Boot Sector". It counts what directory entries
//! lead to as used and everything else as free, so that the chains of a file that is being written
//! do not count until the file's entry leads to them.

use agent_core::Errno;

use crate::bytes::{put, u32_at};
use crate::disk::Disk;
use crate::medium::Medium;

const LEAD: (usize, u32) = (0, 0x4161_5252);
const STRUCTURE: (usize, u32) = (484, 0x6141_7272);
const TRAIL: (usize, u32) = (508, 0xAA55_0000);
const FREE: usize = 488;
const NEXT: usize = 492;

/// The number that says that the count is not known.
const UNKNOWN: u32 = 0xFFFF_FFFF;

impl<D: Disk> Medium<'_, D> {
    /// Says that the count is not known: an entry is about to change it, and the two are in
    /// different sectors.
    pub(crate) fn forget_count(&mut self) -> Result<(), Errno> {
        self.write_count(UNKNOWN)
    }

    /// Says how many clusters are free, unless the sector does already.
    pub(crate) fn tell_count(&mut self) -> Result<(), Errno> {
        self.write_count(if self.is_count_lost { UNKNOWN } else { self.unowned })
    }

    fn write_count(&mut self, count: u32) -> Result<(), Errno> {
        let Some(sector) = self.info_sector()? else { return Ok(()) };
        if u32_at(self.load(sector)?, FREE) == count {
            return Ok(());
        }
        let hint = self.table.hint;
        self.modify(sector, |bytes| {
            put(bytes, FREE, &count.to_le_bytes());
            put(bytes, NEXT, &hint.to_le_bytes());
        })
    }

    /// The sector, where there is one and it is what it should be.
    fn info_sector(&mut self) -> Result<Option<u32>, Errno> {
        let Some(sector) = self.geometry.info else { return Ok(None) };
        let bytes = self.load(sector)?;
        let signed =
            [LEAD, STRUCTURE, TRAIL].iter().all(|(at, value)| u32_at(bytes, *at) == *value);
        Ok(signed.then_some(sector))
    }
}
