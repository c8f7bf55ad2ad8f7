//! Writing to an open file.
//!
//! What is written goes to the disk at once, to where it harms nothing; see [`crate::file`].

use agent_core::Errno;

use crate::bytes::{index, put};
use crate::disk::{Disk, SECTOR_SIZE};
use crate::file::{File, Spare};
use crate::medium::Medium;
use crate::table::Link;

/// How a write is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// The file needs a chain of its own first.
    unshare: bool,
    /// How far it can go.
    pub(crate) end: u32,
    /// There is room for it, as it should be done.
    pub(crate) ample: bool,
}

impl File {
    /// Sees how bytes from `at` to `end` can be written. Where there is not enough room for a
    /// second chain, what is published is overwritten: the disk stays sound, but a cut of power
    /// before the next flush finds some of it old and some of it new.
    pub(crate) fn plan<D: Disk>(&self, medium: &Medium<'_, D>, at: u32, end: u32) -> Plan {
        let free = medium.table.free;
        let needed = medium.geometry.clusters_for(end);
        let growth = needed.saturating_sub(self.clusters);
        let bytes = medium.geometry.cluster_bytes();
        let end_of = |clusters: u32| end.min(clusters.saturating_mul(bytes));
        if self.own {
            let ample = growth <= free;
            return Plan { unshare: false, end: end_of(self.clusters.saturating_add(free)), ample };
        }
        if at >= self.published.size && growth == 0 {
            return Plan { unshare: false, end, ample: true };
        }
        let kept = self.spare.map_or(0, |spare| spare.clusters);
        let copy = self.clusters.saturating_sub(kept);
        match free.checked_sub(copy) {
            Some(left) if growth <= left => Plan { unshare: true, end, ample: true },
            Some(left) if left > 0 && growth > 0 => {
                let end = end_of(self.clusters.saturating_add(left));
                Plan { unshare: true, end, ample: false }
            }
            _ => Plan { unshare: false, end: end_of(self.clusters), ample: false },
        }
    }

    /// Writes from a position on, as planned; returns how many bytes.
    pub(crate) fn write<D: Disk>(
        &mut self,
        medium: &mut Medium<'_, D>,
        plan: Plan,
        at: u32,
        bytes: &[u8],
    ) -> Result<usize, Errno> {
        let length = index(plan.end.saturating_sub(at)).min(bytes.len());
        let bytes = bytes.get(..length).unwrap_or(bytes);
        if bytes.is_empty() {
            return Err(Errno::NO_SPACE);
        }
        if plan.unshare {
            self.unshare(medium)?;
        }
        let end = at.saturating_add(u32::try_from(length).unwrap_or(u32::MAX));
        self.grow(medium, medium.geometry.clusters_for(end))?;
        self.dirty = true;
        let size = self.working.size;
        let touched = at.min(size).checked_div(medium.geometry.cluster_bytes()).unwrap_or(0);
        self.common = self.common.min(touched);
        if at > size {
            // What the clusters held before is not the file's.
            self.put(medium, size, Bytes::Zeros(index(at.saturating_sub(size))), size)?;
        }
        self.put(medium, at, Bytes::Given(bytes), size.max(at))?;
        self.working.size = size.max(end);
        Ok(length)
    }

    /// Makes the working chain one that nothing leads to, with the same content.
    fn unshare<D: Disk>(&mut self, medium: &mut Medium<'_, D>) -> Result<(), Errno> {
        let mut last = match self.spare {
            Some(spare) => Some(end_of(medium, spare.first)?),
            None => None,
        };
        while self.spare.map_or(0, |spare| spare.clusters) < self.clusters {
            let near = last.unwrap_or(medium.table.hint);
            let cluster = medium.append(last, near)?;
            last = Some(cluster);
            // Kept as it grows: where this fails, it is still a spare.
            let Spare { first, clusters } = self.spare.unwrap_or(Spare { first: cluster, clusters: 0 });
            if clusters == 0 {
                self.common = 0;
            }
            self.spare = Some(Spare { first, clusters: clusters.saturating_add(1) });
        }
        if let Some(spare) = self.spare {
            self.copy_to(medium, spare)?;
            self.working.first = spare.first;
        }
        self.spare = None;
        self.common = self.clusters;
        self.own = true;
        self.forget_cursor();
        Ok(())
    }

    /// Copies what differs from the working chain to the spare.
    fn copy_to<D: Disk>(
        &mut self,
        medium: &mut Medium<'_, D>,
        spare: Spare,
    ) -> Result<(), Errno> {
        let mut at = self.common;
        if at >= self.clusters {
            return Ok(());
        }
        let mut from = self.cluster(medium, at)?;
        let mut to = spare.first;
        for _ in 0..at {
            to = medium.follow(to)?.ok_or(Errno::IO)?;
        }
        loop {
            let (most, _) = medium.run(from, self.clusters.saturating_sub(at))?;
            let (count, last) = medium.run(to, most)?;
            let cluster_sectors = medium.geometry.cluster_sectors;
            let (source, target) = (medium.geometry.sector_of(from), medium.geometry.sector_of(to));
            medium.copy(source, target, count.saturating_mul(cluster_sectors))?;
            at = at.saturating_add(count);
            if at >= self.clusters {
                return Ok(());
            }
            let end_of_run = from.saturating_add(count).saturating_sub(1);
            from = medium.follow(end_of_run)?.ok_or(Errno::IO)?;
            to = medium.follow(last)?.ok_or(Errno::IO)?;
        }
    }

    /// Adds clusters to the working chain until it has so many.
    fn grow<D: Disk>(&mut self, medium: &mut Medium<'_, D>, clusters: u32) -> Result<(), Errno> {
        while self.clusters < clusters {
            let last = match self.clusters.checked_sub(1) {
                Some(last) => Some(self.cluster(medium, last)?),
                None => None,
            };
            let near = last.unwrap_or(medium.table.hint);
            let cluster = medium.append(last, near)?;
            if last.is_none() {
                self.working.first = cluster;
            }
            self.clusters = self.clusters.saturating_add(1);
        }
        Ok(())
    }

    /// Puts bytes into clusters that the working chain has. The file's own bytes reach to `valid`;
    /// what is in the sectors beyond is of no interest, and is not read.
    fn put<D: Disk>(
        &mut self,
        medium: &mut Medium<'_, D>,
        at: u32,
        bytes: Bytes<'_>,
        valid: u32,
    ) -> Result<(), Errno> {
        let mut done = 0;
        while done < bytes.len() {
            let at = at.saturating_add(u32::try_from(done).unwrap_or(u32::MAX));
            let span = self.span(medium, at, bytes.len().saturating_sub(done))?;
            let whole = span.length.saturating_sub(span.length & 511);
            let part = if span.within == 0 && whole > 0 {
                match bytes.part(done, whole) {
                    Some(bytes) => medium.write(span.sector, bytes)?,
                    None => {
                        let sectors = u32::try_from(whole >> 9).unwrap_or(u32::MAX);
                        medium.clear(span.sector, sectors)?;
                    }
                }
                whole
            } else {
                let part = span.length.min(SECTOR_SIZE.saturating_sub(span.within));
                let given = bytes.part(done, part);
                let fill = |sector: &mut [u8; SECTOR_SIZE]| match given {
                    Some(bytes) => put(sector, span.within, bytes),
                    None => sector.iter_mut().skip(span.within).take(part).for_each(|byte| *byte = 0),
                };
                let start = at.saturating_sub(u32::try_from(span.within).unwrap_or(0));
                if start < valid {
                    medium.modify(span.sector, fill)?;
                } else {
                    medium.replace(span.sector, fill)?;
                }
                part
            };
            done = done.saturating_add(part);
        }
        Ok(())
    }
}

/// What is to be written.
#[derive(Clone, Copy)]
enum Bytes<'b> {
    Given(&'b [u8]),
    Zeros(usize),
}

impl<'b> Bytes<'b> {
    fn len(self) -> usize {
        match self {
            Self::Given(bytes) => bytes.len(),
            Self::Zeros(count) => count,
        }
    }

    /// A part of the bytes that were given.
    fn part(self, at: usize, length: usize) -> Option<&'b [u8]> {
        match self {
            Self::Given(bytes) => bytes.get(at..at.saturating_add(length)),
            Self::Zeros(_) => None,
        }
    }
}

/// The last cluster of a chain.
fn end_of<D: Disk>(medium: &mut Medium<'_, D>, first: u32) -> Result<u32, Errno> {
    let mut last = first;
    for _ in 0..medium.geometry.clusters {
        match medium.follow(last)? {
            Some(next) => last = next,
            None => return Ok(last),
        }
    }
    Err(Errno::IO)
}

impl<D: Disk> Medium<'_, D> {
    /// Adds a free cluster to a chain that nothing leads to, or begins one.
    fn append(&mut self, last: Option<u32>, near: u32) -> Result<u32, Errno> {
        let cluster = self.allocate(near)?;
        if let Some(last) = last {
            self.set_link(last, Link::Next(cluster))?;
        }
        Ok(cluster)
    }

    /// Copies sectors.
    fn copy(&mut self, mut from: u32, mut to: u32, mut count: u32) -> Result<(), Errno> {
        while count > 0 {
            let part = count.min(self.scratch_sectors());
            self.read_scratch(from, part)?;
            self.write_scratch(to, part)?;
            from = from.saturating_add(part);
            to = to.saturating_add(part);
            count = count.saturating_sub(part);
        }
        Ok(())
    }
}
