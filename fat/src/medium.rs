//! The sectors of a volume, and the few of them that are kept in memory.
//!
//! Nothing here knows files. What goes out of the range of the volume ends as an error here, so
//! that a corrupted volume leads nowhere else.

use agent_core::Errno;

use crate::bytes::index;
use crate::disk::{Disk, DiskError, SECTOR_SIZE};
use crate::geometry::Geometry;
use crate::table::Table;
use crate::time::Timestamp;

/// A volume without its files: the disk, the layout, the table of clusters.
pub(crate) struct Medium<'s, D> {
    pub(crate) disk: D,
    pub(crate) geometry: Geometry,
    pub(crate) table: Table,
    /// The sector read or written last, where it was read or written alone.
    kept: Kept,
    /// Room to move sectors through, and to mark clusters in.
    pub(crate) scratch: &'s mut [u8],
    /// Nothing may be written: the disk refuses it, or the volume is damaged.
    pub(crate) read_only: bool,
    /// Clusters that no file can be seen to use: free ones, and those of chains to come or to go.
    /// It is what the information sector says.
    pub(crate) unowned: u32,
    /// A write failed that may have changed that number or not.
    pub(crate) is_count_lost: bool,
    /// What is written into directory entries.
    pub(crate) time: Timestamp,
}

/// One sector; what it holds is on the disk too.
struct Kept {
    sector: Option<u32>,
    bytes: [u8; SECTOR_SIZE],
}

impl<'s, D: Disk> Medium<'s, D> {
    /// `scratch` is a whole number of sectors, and at least one.
    pub(crate) fn new(disk: D, geometry: Geometry, scratch: &'s mut [u8]) -> Self {
        let read_only = disk.is_read_only();
        Self {
            disk,
            geometry,
            table: Table::new(),
            kept: Kept { sector: None, bytes: [0; SECTOR_SIZE] },
            scratch,
            read_only,
            unowned: 0,
            is_count_lost: false,
            time: Timestamp::default(),
        }
    }

    /// Reads whole sectors.
    pub(crate) fn read(&mut self, sector: u32, into: &mut [u8]) -> Result<(), Errno> {
        let first = self.place(sector, into.len())?;
        self.disk.read(first, into).map_err(errno)
    }

    /// Reads `count` sectors into the scratch memory.
    pub(crate) fn read_scratch(&mut self, sector: u32, count: u32) -> Result<(), Errno> {
        let bytes = index(count).saturating_mul(SECTOR_SIZE);
        let first = self.place(sector, bytes)?;
        let into = self.scratch.get_mut(..bytes).ok_or(Errno::IO)?;
        self.disk.read(first, into).map_err(errno)
    }

    /// Writes whole sectors.
    pub(crate) fn write(&mut self, sector: u32, bytes: &[u8]) -> Result<(), Errno> {
        let first = self.writable(sector, bytes.len())?;
        self.disk.write(first, bytes).map_err(errno)
    }

    /// Writes `count` sectors from the scratch memory.
    pub(crate) fn write_scratch(&mut self, sector: u32, count: u32) -> Result<(), Errno> {
        let bytes = index(count).saturating_mul(SECTOR_SIZE);
        let first = self.writable(sector, bytes)?;
        let from = self.scratch.get(..bytes).ok_or(Errno::IO)?;
        self.disk.write(first, from).map_err(errno)
    }

    /// How many sectors the scratch memory holds.
    pub(crate) fn scratch_sectors(&self) -> u32 {
        u32::try_from(self.scratch.len().checked_div(SECTOR_SIZE).unwrap_or(1)).unwrap_or(u32::MAX)
    }

    /// Fills sectors with zeros.
    pub(crate) fn clear(&mut self, mut sector: u32, mut count: u32) -> Result<(), Errno> {
        self.scratch.fill(0);
        while count > 0 {
            let part = count.min(self.scratch_sectors());
            self.write_scratch(sector, part)?;
            sector = sector.saturating_add(part);
            count = count.saturating_sub(part);
        }
        Ok(())
    }

    /// One sector, read unless it is in memory.
    pub(crate) fn load(&mut self, sector: u32) -> Result<&[u8; SECTOR_SIZE], Errno> {
        if self.kept.sector != Some(sector) {
            let first = self.place(sector, SECTOR_SIZE)?;
            self.kept.sector = None;
            self.disk.read(first, &mut self.kept.bytes).map_err(errno)?;
            self.kept.sector = Some(sector);
        }
        Ok(&self.kept.bytes)
    }

    /// Changes one sector: reads it where it is not in memory, and writes it.
    pub(crate) fn modify(
        &mut self,
        sector: u32,
        change: impl FnOnce(&mut [u8; SECTOR_SIZE]),
    ) -> Result<(), Errno> {
        self.load(sector)?;
        self.store(sector, change)
    }

    /// Writes one sector of which nothing is to be kept: `change` gets zeros.
    pub(crate) fn replace(
        &mut self,
        sector: u32,
        change: impl FnOnce(&mut [u8; SECTOR_SIZE]),
    ) -> Result<(), Errno> {
        self.kept.bytes.fill(0);
        self.store(sector, change)
    }

    fn store(
        &mut self,
        sector: u32,
        change: impl FnOnce(&mut [u8; SECTOR_SIZE]),
    ) -> Result<(), Errno> {
        // Forgotten until it is written: a write that failed left the disk with either content.
        self.kept.sector = None;
        change(&mut self.kept.bytes);
        let first = self.writable(sector, SECTOR_SIZE)?;
        self.disk.write(first, &self.kept.bytes).map_err(errno)?;
        self.kept.sector = Some(sector);
        Ok(())
    }

    /// Returns once everything written so far, the table of clusters too, is where it stays.
    pub(crate) fn flush(&mut self) -> Result<(), Errno> {
        self.write_table()?;
        self.disk.flush().map_err(errno)
    }

    /// The sector of the disk, once a range is seen to lie in the volume.
    fn place(&self, sector: u32, bytes: usize) -> Result<u64, Errno> {
        let count = u64::try_from(bytes.div_ceil(SECTOR_SIZE)).unwrap_or(u64::MAX);
        let end = u64::from(sector).saturating_add(count);
        if end > u64::from(self.geometry.sectors) {
            return Err(Errno::IO);
        }
        Ok(self.geometry.start.saturating_add(u64::from(sector)))
    }

    fn writable(&mut self, sector: u32, bytes: usize) -> Result<u64, Errno> {
        if self.read_only {
            return Err(Errno::READ_ONLY);
        }
        let first = self.place(sector, bytes)?;
        let count = u32::try_from(bytes.div_ceil(SECTOR_SIZE)).unwrap_or(u32::MAX);
        if self.kept.sector.is_some_and(|kept| kept.wrapping_sub(sector) < count) {
            self.kept.sector = None;
        }
        Ok(first)
    }
}

/// A disk's error as the agent tells it.
pub(crate) fn errno(error: DiskError) -> Errno {
    match error {
        DiskError::ReadOnly => Errno::READ_ONLY,
        DiskError::Failed | DiskError::Unsupported => Errno::IO,
    }
}
