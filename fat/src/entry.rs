//! Directory entries: 32 bytes that say where a file begins and how long it is.
//!
//! FAT §"FAT Directory Structure". An entry lies in one sector, so that a write of it happens or
//! does not: this is what a file's new content becomes visible by.

use agent_core::Errno;

use crate::bytes::{put, u16_at, u32_at};
use crate::disk::Disk;
use crate::geometry::Width;
use crate::medium::Medium;
use crate::name::{LONG, slot_bytes};
use crate::short::ShortName;
use crate::time::Timestamp;

/// Entries in a sector.
pub(crate) const ENTRIES_PER_SECTOR: u32 = 16;

/// The first byte of an entry that is free, and of all that follow.
pub(crate) const END: u8 = 0x00;
/// The first byte of an entry that is free.
pub(crate) const DELETED: u8 = 0xE5;

const LABEL: u8 = 0x08;
const DIRECTORY: u8 = 0x10;
const ARCHIVE: u8 = 0x20;

/// Where an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) sector: u32,
    /// Which of the sector's entries it is.
    pub(crate) slot: u32,
}

/// A file or a directory, as its entry has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) place: Place,
    pub(crate) is_directory: bool,
    pub(crate) content: Content,
}

/// A file's bytes: where they begin, and how many they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Content {
    /// The first cluster, or zero where there is none.
    pub(crate) first: u32,
    pub(crate) size: u32,
}

/// What an entry's 32 bytes are.
pub(crate) enum Kind {
    /// Free, and so are all that follow.
    End,
    Deleted,
    /// A part of a long name.
    Long,
    /// A volume label.
    Label,
    /// A file or a directory.
    Short(ShortName),
}

impl Kind {
    pub(crate) fn of(bytes: &[u8; 32]) -> Self {
        let attributes = bytes[11];
        match bytes[0] {
            END => Self::End,
            DELETED => Self::Deleted,
            _ if attributes & 0x3F == LONG => Self::Long,
            _ if attributes & LABEL != 0 => Self::Label,
            _ => {
                let short: Option<&ShortName> = bytes.first_chunk();
                short.map_or(Self::End, |short| Self::Short(*short))
            }
        }
    }
}

impl Entry {
    pub(crate) fn parse(bytes: &[u8; 32], place: Place, width: Width) -> Self {
        let high = match width {
            Width::Bits16 => 0,
            Width::Bits32 => u32::from(u16_at(bytes, 20)) << 16,
        };
        Self {
            place,
            is_directory: bytes[11] & DIRECTORY != 0,
            content: Content {
                first: high | u32::from(u16_at(bytes, 26)),
                size: u32_at(bytes, 28),
            },
        }
    }
}

/// Writes the entry of a new, empty file.
pub(crate) fn write_new(entry: &mut [u8], short: &ShortName, time: Timestamp) {
    entry.fill(0);
    put(entry, 0, short);
    put(entry, 11, &[ARCHIVE]);
    put(entry, 14, &time.time.to_le_bytes());
    put(entry, 16, &time.date.to_le_bytes());
    write_times(entry, time);
}

/// The times of the last write and, to the day, of the last access.
fn write_times(entry: &mut [u8], time: Timestamp) {
    put(entry, 18, &time.date.to_le_bytes());
    put(entry, 22, &time.time.to_le_bytes());
    put(entry, 24, &time.date.to_le_bytes());
}

impl<D: Disk> Medium<'_, D> {
    /// The 32 bytes of an entry.
    pub(crate) fn entry_bytes(&mut self, place: Place) -> Result<[u8; 32], Errno> {
        let sector = self.load(place.sector)?;
        let bytes = sector.get(slot_bytes(place.slot)..).and_then(<[u8]>::first_chunk);
        bytes.copied().ok_or(Errno::IO)
    }

    /// Makes an entry lead to other content, in one write of one sector; returns once it is where
    /// it stays.
    pub(crate) fn point(&mut self, place: Place, to: Content) -> Result<(), Errno> {
        let time = self.time;
        let wide = self.geometry.width == Width::Bits32;
        let [low0, low1, high0, high1] = to.first.to_le_bytes();
        self.modify(place.sector, |sector| {
            let Some(entry) = sector.get_mut(slot_bytes(place.slot)..) else { return };
            if wide {
                put(entry, 20, &[high0, high1]);
            }
            put(entry, 26, &[low0, low1]);
            put(entry, 28, &to.size.to_le_bytes());
            let attributes = entry.get(11).copied().unwrap_or(0);
            put(entry, 11, &[attributes | ARCHIVE]);
            write_times(entry, time);
        })?;
        self.flush()
    }
}
