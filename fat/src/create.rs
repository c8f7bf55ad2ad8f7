//! Making a new, empty file: its entry, and the slots of its long name before it.
//!
//! All of them become visible by one write. They lie in one sector where they fit into one; where
//! the directory has no room in a sector, or the name is longer than a sector holds, they are
//! written into new clusters, and the link that adds these to the directory's chain is the write.

use agent_core::Errno;

use crate::bytes::{parts, put};
use crate::directory::{Directory, MOST_SECTORS, Sectors};
use crate::disk::Disk;
use crate::entry::{DELETED, END, ENTRIES_PER_SECTOR, Kind, Place, write_new};
use crate::medium::Medium;
use crate::name::{Name, slot_bytes};
use crate::short::{Search, ShortName, checksum};
use crate::table::Link;
use crate::time::Timestamp;

/// How many times other short names are thought of: each time gives 63 of them.
const ROUNDS: u16 = 16;

/// What is to be written: the slots of the long name, and the entry.
struct New<'n> {
    name: &'n Name,
    short: ShortName,
    /// How many slots and entries.
    count: u32,
}

/// Room for a new entry.
struct Room {
    place: Place,
    /// The sector in which the directory ended so far, where it is an earlier one.
    old_end: Option<u32>,
    /// The room is at the end of the directory and of its sector: the end moves to the next one.
    moves_end: bool,
    /// What follows the sector.
    rest: Sectors,
}

impl New<'_> {
    /// Writes the slots and the entry one after the other, from the one numbered `from` on, as
    /// many as there is room for.
    fn write(&self, into: &mut [u8], from: u32, time: Timestamp) {
        let sum = checksum(&self.short);
        for (number, bytes) in (from..self.count).zip(into.chunks_exact_mut(32)) {
            match usize::try_from(self.count.saturating_sub(1).saturating_sub(number)) {
                Ok(slot @ 1..) => self.name.write_slot(slot, sum, bytes),
                _ => write_new(bytes, &self.short, time),
            }
        }
    }
}

impl<D: Disk> Medium<'_, D> {
    /// Makes an empty file in a directory that has none of the name.
    pub(crate) fn create(&mut self, directory: Directory, name: &Name) -> Result<Place, Errno> {
        if self.read_only {
            return Err(Errno::READ_ONLY);
        }
        if !name.is_valid() {
            return Err(Errno::INVALID_ARGUMENT);
        }
        let (short, exact) = self.short_name(directory, name)?;
        let slots = if exact { 0 } else { u32::try_from(name.slots()).unwrap_or(u32::MAX) };
        let new = New { name, short, count: slots.saturating_add(1) };
        if new.count > ENTRIES_PER_SECTOR {
            return self.grow(directory, &new);
        }
        match self.room(directory, new.count)? {
            Some(room) => self.fill(&room, &new),
            None => self.grow(directory, &new),
        }
    }

    /// A short name that no file of the directory has, and whether it is the whole name.
    fn short_name(
        &mut self,
        directory: Directory,
        name: &Name,
    ) -> Result<(ShortName, bool), Errno> {
        for round in 0..ROUNDS {
            let mut search = Search::new(name, round);
            self.visit(directory, |_, bytes| {
                if let Kind::Short(other) = Kind::of(bytes) {
                    search.push(&other);
                }
                None::<()>
            })?;
            if let Some(short) = search.finish() {
                return Ok((short, search.is_exact()));
            }
        }
        Err(Errno::NO_SPACE)
    }

    /// Looks for `count` free entries in one sector.
    fn room(&mut self, directory: Directory, count: u32) -> Result<Option<Room>, Errno> {
        let mut sectors = self.sectors(directory)?;
        let mut end = None;
        while let Some(sector) = sectors.next(self)? {
            let old_end = end;
            let mut run = 0;
            for slot in 0..ENTRIES_PER_SECTOR {
                let kind = Kind::of(&self.entry_bytes(Place { sector, slot })?);
                if matches!(kind, Kind::End) && end.is_none() {
                    end = Some(sector);
                }
                let free = end.is_some() || matches!(kind, Kind::Deleted);
                run = if free { u32::saturating_add(run, 1) } else { 0 };
                if run == count {
                    let first = slot.saturating_add(1).saturating_sub(count);
                    let place = Place { sector, slot: first };
                    let last = slot.saturating_add(1) == ENTRIES_PER_SECTOR;
                    let moves_end = end.is_some() && last;
                    return Ok(Some(Room { place, old_end, moves_end, rest: sectors }));
                }
            }
        }
        Ok(None)
    }

    /// Writes a new entry to where there is room.
    fn fill(&mut self, room: &Room, new: &New<'_>) -> Result<Place, Errno> {
        let mut rest = room.rest;
        if room.moves_end
            && let Some(next) = rest.next(self)?
        {
            self.clear_unless_end(next)?;
        }
        if let Some(old_end) = room.old_end {
            self.clear_unless_end(room.place.sector)?;
            self.fill_tail(old_end)?;
        }
        let time = self.time;
        let Place { sector, slot } = room.place;
        self.modify(sector, |bytes| {
            if let Some(into) = bytes.get_mut(slot_bytes(slot)..) {
                new.write(into, 0, time);
            }
        })?;
        let slot = slot.saturating_add(new.count).saturating_sub(1);
        Ok(Place { sector, slot })
    }

    /// Makes a sector beyond the end of a directory what it should be: zeros. There are disks on
    /// which it is not.
    fn clear_unless_end(&mut self, sector: u32) -> Result<(), Errno> {
        if self.load(sector)?.chunks_exact(32).all(|entry| entry.first() == Some(&END)) {
            return Ok(());
        }
        self.replace(sector, |_| {})?;
        self.flush()
    }

    /// Makes the free entries at the end of a sector such that the directory goes on after them.
    fn fill_tail(&mut self, sector: u32) -> Result<(), Errno> {
        self.modify(sector, |bytes| {
            let mut ended = false;
            for entry in bytes.chunks_exact_mut(32) {
                ended |= entry.first() == Some(&END);
                if ended {
                    entry.fill(0);
                    put(entry, 0, &[DELETED]);
                }
            }
        })
    }

    /// Adds clusters with a new entry in them to a directory.
    fn grow(&mut self, directory: Directory, new: &New<'_>) -> Result<Place, Errno> {
        let mut sectors = self.sectors(directory)?;
        let mut end = None;
        while let Some(sector) = sectors.next(self)? {
            let bytes = self.load(sector)?;
            if end.is_none() && bytes.chunks_exact(32).any(|entry| entry.first() == Some(&END)) {
                end = Some((sector, sectors));
            }
        }
        // The root of FAT16 is as long as it was made.
        let Some(last) = sectors.cluster else { return Err(Errno::NO_SPACE) };
        let needed = new.count.div_ceil(ENTRIES_PER_SECTOR);
        let clusters = parts(needed, self.geometry.cluster_sectors);
        let added = clusters.saturating_mul(self.geometry.cluster_sectors);
        if clusters > self.table.free || sectors.count.saturating_add(added) > MOST_SECTORS {
            return Err(Errno::NO_SPACE);
        }
        if let Some((sector, rest)) = end {
            self.fill_from(sector, rest)?;
        }
        let (first, place) = self.new_clusters(last, clusters, new)?;
        self.forget_count()?;
        // What they hold, and that they are a chain, before anything leads to them.
        self.flush()?;
        self.set_link(last, Link::Next(first))?;
        self.unowned = self.unowned.saturating_sub(clusters);
        self.flush()?;
        self.tell_count()?;
        Ok(place)
    }

    /// Fills the free entries of a sector and of all that follow it.
    fn fill_from(&mut self, first: u32, mut rest: Sectors) -> Result<(), Errno> {
        let mut sector = Some(first);
        while let Some(this) = sector {
            let next = rest.next(self)?;
            if let Some(next) = next {
                self.clear_unless_end(next)?;
            }
            self.fill_tail(this)?;
            sector = next;
        }
        Ok(())
    }

    /// Makes a chain of one or two clusters with a new entry in it; returns its first cluster and
    /// the place of the entry.
    fn new_clusters(
        &mut self,
        near: u32,
        count: u32,
        new: &New<'_>,
    ) -> Result<(u32, Place), Errno> {
        let time = self.time;
        let mut chain: Option<(u32, u32)> = None;
        let mut place = Place { sector: 0, slot: 0 };
        let mut written = 0;
        for _ in 0..count {
            let cluster = self.allocate(chain.map_or(near, |(_, last)| last))?;
            if let Some((_, last)) = chain {
                self.set_link(last, Link::Next(cluster))?;
            }
            chain = Some((chain.map_or(cluster, |(first, _)| first), cluster));
            let sector = self.geometry.sector_of(cluster);
            self.clear(sector, self.geometry.cluster_sectors)?;
            for sector in sector..sector.saturating_add(self.geometry.cluster_sectors) {
                if written >= new.count {
                    break;
                }
                self.replace(sector, |bytes| new.write(bytes, written, time))?;
                let slot = new.count.saturating_sub(1).saturating_sub(written);
                place = Place { sector, slot };
                written = u32::saturating_add(written, ENTRIES_PER_SECTOR);
            }
        }
        chain.map(|(first, _)| (first, place)).ok_or(Errno::IO)
    }
}
