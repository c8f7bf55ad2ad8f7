//! Directories: finding a file by its name.
//!
//! A walk over a directory ends, whatever the disk holds: FAT has no directory of more than 65 536
//! entries.

use agent_core::Errno;

use crate::disk::Disk;
use crate::entry::{ENTRIES_PER_SECTOR, Entry, Kind, Place};
use crate::geometry::Root;
use crate::medium::Medium;
use crate::name::{Comparison, Name};
use crate::short::{self, ShortName};

/// The most sectors of a directory (FAT §"Directory Creation": 2 MiB).
pub(crate) const MOST_SECTORS: u32 = 4096;

/// The short name by which a directory has its parent.
pub(crate) const PARENT: &ShortName = b"..         ";
/// The short name by which a directory has itself.
pub(crate) const SELF: &ShortName = b".          ";

/// A directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Directory {
    Root,
    /// The one whose chain begins with this cluster.
    At(u32),
}

impl Directory {
    /// The directory of an entry: an entry that leads to the root has no cluster.
    pub(crate) fn of(first: u32) -> Self {
        if first == 0 { Self::Root } else { Self::At(first) }
    }
}

/// The sectors of a directory, in their order.
#[derive(Clone, Copy)]
pub(crate) struct Sectors {
    next: u32,
    /// How many are left of the cluster, or of the fixed root.
    left: u32,
    /// The cluster that they are of; none for the fixed root.
    pub(crate) cluster: Option<u32>,
    /// How many have been given out.
    pub(crate) count: u32,
}

impl Sectors {
    /// The next sector.
    pub(crate) fn next<D: Disk>(
        &mut self,
        medium: &mut Medium<'_, D>,
    ) -> Result<Option<u32>, Errno> {
        if self.left == 0 {
            let Some(cluster) = self.cluster else { return Ok(None) };
            let Some(next) = medium.follow(cluster)? else { return Ok(None) };
            self.cluster = Some(next);
            self.next = medium.geometry.sector_of(next);
            self.left = medium.geometry.cluster_sectors;
        }
        if self.count == MOST_SECTORS {
            return Err(Errno::IO);
        }
        let sector = self.next;
        self.next = sector.saturating_add(1);
        self.left = self.left.saturating_sub(1);
        self.count = self.count.saturating_add(1);
        Ok(Some(sector))
    }
}

impl<D: Disk> Medium<'_, D> {
    /// The sectors of a directory.
    pub(crate) fn sectors(&self, directory: Directory) -> Result<Sectors, Errno> {
        let first = match (directory, self.geometry.root) {
            (Directory::Root, Root::Fixed { first, sectors }) => {
                return Ok(Sectors { next: first, left: sectors, cluster: None, count: 0 });
            }
            (Directory::Root, Root::Chain { first }) | (Directory::At(first), _) => first,
        };
        if !self.geometry.has(first) {
            return Err(Errno::IO);
        }
        let next = self.geometry.sector_of(first);
        Ok(Sectors { next, left: self.geometry.cluster_sectors, cluster: Some(first), count: 0 })
    }

    /// Shows each entry of a directory to `visit`, up to the end or until it returns `Some`.
    pub(crate) fn visit<T>(
        &mut self,
        directory: Directory,
        mut visit: impl FnMut(Place, &[u8; 32]) -> Option<T>,
    ) -> Result<Option<T>, Errno> {
        let mut sectors = self.sectors(directory)?;
        while let Some(sector) = sectors.next(self)? {
            for slot in 0..ENTRIES_PER_SECTOR {
                let place = Place { sector, slot };
                let bytes = self.entry_bytes(place)?;
                if matches!(Kind::of(&bytes), Kind::End) {
                    return Ok(None);
                }
                if let Some(found) = visit(place, &bytes) {
                    return Ok(Some(found));
                }
            }
        }
        Ok(None)
    }

    /// The entry with a name.
    pub(crate) fn find(
        &mut self,
        directory: Directory,
        name: &Name,
    ) -> Result<Option<Entry>, Errno> {
        let width = self.geometry.width;
        let mut long = Comparison::default();
        self.visit(directory, |place, bytes| match Kind::of(bytes) {
            Kind::Long => {
                long.push(name, bytes);
                None
            }
            Kind::Short(short) => {
                let found = long.finish(short::checksum(&short)) || short::is(&short, name);
                found.then(|| Entry::parse(bytes, place, width))
            }
            Kind::End | Kind::Deleted | Kind::Label => {
                long = Comparison::default();
                None
            }
        })
    }

    /// The directory that a directory is in; the root is in itself.
    pub(crate) fn parent(&mut self, directory: Directory) -> Result<Directory, Errno> {
        if directory == Directory::Root {
            return Ok(directory);
        }
        let width = self.geometry.width;
        let found = self.visit(directory, |place, bytes| match Kind::of(bytes) {
            Kind::Short(short) if short == *PARENT => Some(Entry::parse(bytes, place, width)),
            _ => None,
        })?;
        found.map(|entry| Directory::of(entry.content.first)).ok_or(Errno::IO)
    }
}
