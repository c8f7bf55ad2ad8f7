//! Going over a volume when it is mounted: is it sound, and which clusters does no file use?
//!
//! A guest that was killed leaves clusters that nothing leads to, and they are taken back here. The
//! memory is bounded: clusters are marked in a window that moves over the volume, and the
//! directories are walked once for each place of it. So is the time: a walk that comes by more
//! clusters than there are has met one twice.

use agent_core::Errno;

use crate::bytes::index;
use crate::directory::{Directory, PARENT, SELF, Sectors};
use crate::disk::Disk;
use crate::entry::{ENTRIES_PER_SECTOR, Entry, Kind, Place};
use crate::geometry::{FIRST_CLUSTER, Root};
use crate::medium::Medium;
use crate::short::ShortName;
use crate::table::Link;

/// How deep directories may lie in each other.
const DEPTH: usize = 64;

/// What a walk is to do with clusters that no file uses.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unused {
    Count,
    TakeBack,
}

/// What was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    /// Clusters that are free.
    pub(crate) free: u32,
    /// Clusters that are not, though no file uses them.
    pub(crate) unused: u32,
    /// The first cluster that is free.
    pub(crate) first_free: Option<u32>,
}

/// The clusters that are marked at a time.
#[derive(Clone, Copy)]
struct Window {
    first: u32,
    count: u32,
}

/// A directory that is being walked.
#[derive(Clone, Copy)]
struct Level {
    sectors: Sectors,
    /// The entry to look at next.
    next: Place,
}

/// One walk over all directories.
struct Walk {
    window: Window,
    /// How many more clusters may be come by.
    left: u32,
    levels: [Option<Level>; DEPTH],
    depth: usize,
}

impl<D: Disk> Medium<'_, D> {
    /// Goes over the whole volume.
    ///
    /// # Errors
    ///
    /// [`Errno::IO`] where it is damaged, such that two files share a cluster, or the disk fails.
    pub(crate) fn survey(&mut self, unused: Unused) -> Result<Findings, Errno> {
        self.table.scratch_taken = true;
        let findings = self.survey_windows(unused);
        self.table.scratch_taken = false;
        findings
    }

    fn survey_windows(&mut self, unused: Unused) -> Result<Findings, Errno> {
        let mut findings = Findings::default();
        let mut first = FIRST_CLUSTER;
        let end = self.geometry.end();
        let marks = u32::try_from(self.scratch.len().saturating_mul(8)).unwrap_or(u32::MAX);
        while first < end {
            let window = Window { first, count: marks.min(end.saturating_sub(first)) };
            self.scratch.fill(0);
            self.mark_used(window)?;
            self.go_over(window, unused, &mut findings)?;
            first = first.saturating_add(window.count);
        }
        Ok(findings)
    }

    /// Makes the copy of the table one, sector by sector. A cut of power between the writes of the
    /// two leaves the second one behind.
    pub(crate) fn even_tables(&mut self) -> Result<(), Errno> {
        if self.geometry.tables < 2 || self.scratch_sectors() < 2 {
            return Ok(());
        }
        let half = self.scratch_sectors() >> 1;
        let table = self.geometry.table;
        let mut done = 0;
        while done < self.geometry.table_sectors {
            let count = half.min(self.geometry.table_sectors.saturating_sub(done));
            let first = table.saturating_add(done);
            let second = first.saturating_add(self.geometry.table_sectors);
            let bytes = index(count).saturating_mul(crate::disk::SECTOR_SIZE);
            if self.differ(first, second, bytes)? {
                self.read_scratch(first, count)?;
                self.write_scratch(second, count)?;
            }
            done = done.saturating_add(count);
        }
        Ok(())
    }

    fn differ(&mut self, first: u32, second: u32, bytes: usize) -> Result<bool, Errno> {
        let place = |sector: u32| self.geometry.start.saturating_add(u64::from(sector));
        let (first, second) = (place(first), place(second));
        let Some((one, rest)) = self.scratch.split_at_mut_checked(bytes) else {
            return Err(Errno::IO);
        };
        let other = rest.get_mut(..bytes).ok_or(Errno::IO)?;
        self.disk.read(first, one).map_err(crate::medium::errno)?;
        self.disk.read(second, other).map_err(crate::medium::errno)?;
        Ok(one != other)
    }

    /// Counts the clusters of a window, and frees those that are not marked, if that is wanted.
    fn go_over(
        &mut self,
        window: Window,
        unused: Unused,
        findings: &mut Findings,
    ) -> Result<(), Errno> {
        for cluster in window.first..window.first.saturating_add(window.count) {
            let free = match self.link(cluster)? {
                Link::Free => true,
                Link::Bad => false,
                _ if self.is_marked(window, cluster) => false,
                _ => {
                    findings.unused = findings.unused.saturating_add(1);
                    if unused == Unused::TakeBack {
                        self.set_link(cluster, Link::Free)?;
                    }
                    unused == Unused::TakeBack
                }
            };
            if free {
                findings.free = findings.free.saturating_add(1);
                findings.first_free = findings.first_free.or(Some(cluster));
            }
        }
        Ok(())
    }

    /// Marks the clusters of a window that directories lead to.
    fn mark_used(&mut self, window: Window) -> Result<(), Errno> {
        let mut walk =
            Walk { window, left: self.geometry.clusters, levels: [None; DEPTH], depth: 0 };
        if let Root::Chain { first } = self.geometry.root {
            self.mark_chain(&mut walk, first)?;
        }
        self.enter(&mut walk, Directory::Root)?;
        while let Some(entry) = self.next_entry(&mut walk)? {
            let first = entry.content.first;
            if first != 0 || entry.is_directory {
                self.mark_chain(&mut walk, first)?;
            }
            if entry.is_directory {
                self.enter(&mut walk, Directory::At(first))?;
            }
        }
        Ok(())
    }

    fn enter(&mut self, walk: &mut Walk, directory: Directory) -> Result<(), Errno> {
        let sectors = self.sectors(directory)?;
        let level = walk.levels.get_mut(walk.depth).ok_or(Errno::IO)?;
        *level = Some(Level { sectors, next: Place { sector: 0, slot: ENTRIES_PER_SECTOR } });
        walk.depth = walk.depth.saturating_add(1);
        Ok(())
    }

    /// The next file or directory, of the innermost directory that has one.
    fn next_entry(&mut self, walk: &mut Walk) -> Result<Option<Entry>, Errno> {
        while let Some(at) = walk.depth.checked_sub(1) {
            let Some(Some(level)) = walk.levels.get_mut(at) else { return Err(Errno::IO) };
            if level.next.slot == ENTRIES_PER_SECTOR {
                let Some(sector) = level.sectors.next(self)? else {
                    walk.depth = at;
                    continue;
                };
                level.next = Place { sector, slot: 0 };
            }
            let place = level.next;
            level.next.slot = place.slot.saturating_add(1);
            let bytes = self.entry_bytes(place)?;
            // Goes on beyond the end of a directory: others do, so what is there is not touched.
            if let Kind::Short(short) = Kind::of(&bytes)
                && !is_link(&short)
            {
                return Ok(Some(Entry::parse(&bytes, place, self.geometry.width)));
            }
        }
        Ok(None)
    }

    fn mark_chain(&mut self, walk: &mut Walk, first: u32) -> Result<(), Errno> {
        let mut cluster = Some(first);
        while let Some(this) = cluster {
            walk.left = walk.left.checked_sub(1).ok_or(Errno::IO)?;
            if let Some((byte, bit)) = position(walk.window, this) {
                let byte = self.scratch.get_mut(byte).ok_or(Errno::IO)?;
                if *byte & bit != 0 {
                    return Err(Errno::IO);
                }
                *byte |= bit;
            }
            cluster = self.follow(this)?;
        }
        Ok(())
    }

    fn is_marked(&self, window: Window, cluster: u32) -> bool {
        position(window, cluster)
            .and_then(|(byte, bit)| self.scratch.get(byte).map(|byte| byte & bit != 0))
            .unwrap_or(false)
    }
}

/// Where a cluster is marked, if it is one of the window.
fn position(window: Window, cluster: u32) -> Option<(usize, u8)> {
    let at = cluster.checked_sub(window.first).filter(|at| *at < window.count)?;
    Some((index(at >> 3), 1_u8.checked_shl(at & 7)?))
}

/// Whether it is a directory's entry for itself or for its parent.
fn is_link(short: &ShortName) -> bool {
    short == SELF || short == PARENT
}
