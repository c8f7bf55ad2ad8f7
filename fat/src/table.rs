//! The file allocation table: which cluster follows which, and which are free.
//!
//! Some sectors of it are in memory. They are written when they are to make room, or on a flush,
//! which may be at any moment: every change made here is to a chain that no directory entry leads
//! to (yet, or any more), see the crate's documentation.
//!
//! There are two copies of the table, one behind the other, and a checker compares them. So both
//! are written by one request, with all that lies between, where the scratch memory holds as much.

use agent_core::Errno;

use crate::bytes::{index, put, u16_at, u32_at};
use crate::disk::{Disk, SECTOR_SIZE};
use crate::geometry::{FIRST_CLUSTER, Width};
use crate::medium::{Medium, errno};

/// What the table says of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    /// No chain has it.
    Free,
    /// Another cluster follows.
    Next(u32),
    /// It is the last of its chain.
    End,
    /// It cannot be used.
    Bad,
    /// A cluster follows that does not exist.
    Broken,
}

/// How many sectors of the table are in memory.
const SLOTS: usize = 8;

/// What of the table is in memory.
pub(crate) struct Table {
    slots: [Slot; SLOTS],
    /// Counts the uses of slots, so that the one that was not used for longest makes room.
    uses: u64,
    /// The scratch memory holds something else that is still needed.
    pub(crate) scratch_taken: bool,
    /// How many clusters are free.
    pub(crate) free: u32,
    /// Where to look for a free cluster that need not be near another one.
    pub(crate) hint: u32,
}

struct Slot {
    /// Which sector of the table it is, counted from the table's start.
    sector: Option<u32>,
    dirty: bool,
    used: u64,
    bytes: [u8; SECTOR_SIZE],
}

impl Table {
    pub(crate) const fn new() -> Self {
        const EMPTY: Slot = Slot { sector: None, dirty: false, used: 0, bytes: [0; SECTOR_SIZE] };
        Self { slots: [EMPTY; SLOTS], uses: 0, scratch_taken: false, free: 0, hint: FIRST_CLUSTER }
    }
}

impl<D: Disk> Medium<'_, D> {
    /// What the table says of a cluster.
    pub(crate) fn link(&mut self, cluster: u32) -> Result<Link, Errno> {
        let (sector, at) = self.entry(cluster)?;
        let width = self.geometry.width;
        let bytes = &self.table_sector(sector)?.bytes;
        // FAT §"FAT Data Structure": the upper four bits of a FAT32 entry are reserved.
        let (value, bad) = match width {
            Width::Bits16 => (u32::from(u16_at(bytes, at)), 0xFFF7),
            Width::Bits32 => (u32_at(bytes, at) & 0x0FFF_FFFF, 0x0FFF_FFF7),
        };
        Ok(match value {
            0 => Link::Free,
            next if self.geometry.has(next) => Link::Next(next),
            end if end > bad => Link::End,
            value if value == bad => Link::Bad,
            _ => Link::Broken,
        })
    }

    /// Sets what the table says of a cluster. `link` is one of [`Link::Free`], [`Link::Next`] and
    /// [`Link::End`].
    pub(crate) fn set_link(&mut self, cluster: u32, link: Link) -> Result<(), Errno> {
        if self.read_only {
            return Err(Errno::READ_ONLY);
        }
        let was_free = self.link(cluster)? == Link::Free;
        let (sector, at) = self.entry(cluster)?;
        let width = self.geometry.width;
        let slot = self.table_sector(sector)?;
        let value = match link {
            Link::Free => 0,
            Link::Next(next) => next,
            Link::End | Link::Bad | Link::Broken => 0x0FFF_FFFF,
        };
        match width {
            Width::Bits16 => {
                let value = u16::try_from(value).unwrap_or(0xFFFF);
                put(&mut slot.bytes, at, &value.to_le_bytes());
            }
            Width::Bits32 => {
                let reserved = u32_at(&slot.bytes, at) & 0xF000_0000;
                put(&mut slot.bytes, at, &(reserved | value).to_le_bytes());
            }
        }
        slot.dirty = true;
        match (was_free, link == Link::Free) {
            (true, false) => self.table.free = self.table.free.saturating_sub(1),
            (false, true) => self.table.free = self.table.free.saturating_add(1),
            _ => {}
        }
        Ok(())
    }

    /// The cluster that follows in a chain, or `None` at its end.
    pub(crate) fn follow(&mut self, cluster: u32) -> Result<Option<u32>, Errno> {
        match self.link(cluster)? {
            Link::Next(next) => Ok(Some(next)),
            Link::End => Ok(None),
            Link::Free | Link::Bad | Link::Broken => Err(Errno::IO),
        }
    }

    /// How many clusters from `cluster` on, `most` or fewer, lie one after the other in the chain
    /// and on the disk; and the last of them.
    pub(crate) fn run(&mut self, cluster: u32, most: u32) -> Result<(u32, u32), Errno> {
        let (mut count, mut last) = (1, cluster);
        while count < most && self.link(last)? == Link::Next(last.saturating_add(1)) {
            last = last.saturating_add(1);
            count = u32::saturating_add(count, 1);
        }
        Ok((count, last))
    }

    /// Takes a free cluster, the first one after `near`, as a chain of one.
    pub(crate) fn allocate(&mut self, near: u32) -> Result<u32, Errno> {
        let mut candidate = near;
        // Nothing to go through where it is known that there is none.
        let clusters = if self.table.free == 0 { 0 } else { self.geometry.clusters };
        for _ in 0..clusters {
            candidate = candidate.saturating_add(1);
            if !self.geometry.has(candidate) {
                candidate = FIRST_CLUSTER;
            }
            if self.link(candidate)? == Link::Free {
                self.set_link(candidate, Link::End)?;
                self.table.hint = candidate;
                return Ok(candidate);
            }
        }
        Err(Errno::NO_SPACE)
    }

    /// Frees a chain that no directory entry leads to any more. Frees what it can of a broken one.
    pub(crate) fn release(&mut self, first: u32) -> Result<(), Errno> {
        let mut cluster = first;
        for _ in 0..self.geometry.clusters {
            if !self.geometry.has(cluster) {
                break;
            }
            let link = self.link(cluster)?;
            if matches!(link, Link::Free | Link::Bad) {
                break;
            }
            self.set_link(cluster, Link::Free)?;
            let Link::Next(next) = link else { break };
            cluster = next;
        }
        Ok(())
    }

    /// Writes what of the table is changed and in memory.
    pub(crate) fn write_table(&mut self) -> Result<(), Errno> {
        let dirty = self.table.slots.iter().filter(|slot| slot.dirty);
        let sectors = dirty.filter_map(|slot| slot.sector);
        let (first, last) =
            sectors.fold((u32::MAX, 0), |(low, high), sector| (low.min(sector), high.max(sector)));
        let Some(between) = last.checked_sub(first) else { return Ok(()) };
        let copies = self.geometry.tables.saturating_sub(1);
        let apart = self.geometry.table_sectors.saturating_mul(copies);
        let count = between.saturating_add(apart).saturating_add(1);
        if count > self.scratch_sectors() || self.table.scratch_taken {
            self.write_slots()?;
        } else {
            let start = self.geometry.table.saturating_add(first);
            self.read_scratch(start, count)?;
            for slot in self.table.slots.iter().filter(|slot| slot.dirty) {
                let at = slot.sector.unwrap_or(first).saturating_sub(first);
                for copy in [at, at.saturating_add(apart)] {
                    put(self.scratch, index(copy).saturating_mul(SECTOR_SIZE), &slot.bytes);
                }
            }
            self.write_scratch(start, count)?;
        }
        self.table.slots.iter_mut().for_each(|slot| slot.dirty = false);
        Ok(())
    }

    /// Writes each changed sector to each copy.
    fn write_slots(&mut self) -> Result<(), Errno> {
        for at in 0..SLOTS {
            for copy in 0..self.geometry.tables {
                let Some(slot) = self.table.slots.get(at).filter(|slot| slot.dirty) else { break };
                let first = self.table_place(slot.sector.unwrap_or(0), copy);
                self.disk.write(first, &slot.bytes).map_err(errno)?;
            }
        }
        Ok(())
    }

    /// The sector of the table that an entry lies in, and where in it.
    fn entry(&self, cluster: u32) -> Result<(u32, usize), Errno> {
        if !self.geometry.has(cluster) {
            return Err(Errno::IO);
        }
        let (per_sector, bytes) = match self.geometry.width {
            Width::Bits16 => (256, 2),
            Width::Bits32 => (128, 4),
        };
        let sector = cluster.checked_div(per_sector).unwrap_or(0);
        let at = cluster.checked_rem(per_sector).unwrap_or(0).saturating_mul(bytes);
        Ok((sector, index(at)))
    }

    /// A sector of the table, read unless it is in memory.
    fn table_sector(&mut self, sector: u32) -> Result<&mut Slot, Errno> {
        let held = self.table.slots.iter().position(|slot| slot.sector == Some(sector));
        let at = if let Some(at) = held { at } else { self.read_table(sector)? };
        self.table.uses = self.table.uses.saturating_add(1);
        let slot = self.table.slots.get_mut(at).ok_or(Errno::IO)?;
        slot.used = self.table.uses;
        Ok(slot)
    }

    /// Reads a sector of the table to where the one was that was not used for longest.
    fn read_table(&mut self, sector: u32) -> Result<usize, Errno> {
        let oldest = self.table.slots.iter().enumerate().min_by_key(|(_, slot)| slot.used);
        let (at, is_dirty) = oldest.map(|(at, slot)| (at, slot.dirty)).ok_or(Errno::IO)?;
        if is_dirty {
            self.write_table()?;
        }
        let first = self.table_place(sector, 0);
        let slot = self.table.slots.get_mut(at).ok_or(Errno::IO)?;
        slot.sector = None;
        self.disk.read(first, &mut slot.bytes).map_err(errno)?;
        slot.sector = Some(sector);
        Ok(at)
    }

    /// The sector of the disk that holds a sector of a copy of the table. The boot sector was
    /// checked: both lie in the volume.
    fn table_place(&self, sector: u32, copy: u32) -> u64 {
        let copy = copy.saturating_mul(self.geometry.table_sectors);
        let in_volume = self.geometry.table.saturating_add(copy).saturating_add(sector);
        self.geometry.start.saturating_add(u64::from(in_volume))
    }
}
