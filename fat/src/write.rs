//! Writing to an open file.
//!
//! What is written goes to the disk at once, to where it harms nothing; see [`crate::file`].

use agent_core::Errno;

use crate::bytes::index;
use crate::chain::Chain;
use crate::disk::{Disk, SECTOR_SIZE};
use crate::file::File;
use crate::medium::Medium;

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
        let clusters = self.chain.clusters;
        let needed = medium.geometry.clusters_for(end);
        let growth = needed.saturating_sub(clusters);
        let bytes = medium.geometry.cluster_bytes();
        let end_of = |clusters: u32| end.min(clusters.saturating_mul(bytes));
        if self.own {
            let ample = growth <= free;
            return Plan { unshare: false, end: end_of(clusters.saturating_add(free)), ample };
        }
        if at >= self.published.size && growth == 0 {
            return Plan { unshare: false, end, ample: true };
        }
        let spare = self.other.map_or(0, |spare| spare.clusters);
        let copy = clusters.saturating_sub(spare);
        match free.checked_sub(copy) {
            Some(left) if growth <= left => Plan { unshare: true, end, ample: true },
            Some(left) if left > 0 && growth > 0 => {
                let end = end_of(clusters.saturating_add(left));
                Plan { unshare: true, end, ample: false }
            }
            _ => Plan { unshare: false, end: end_of(clusters), ample: false },
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
        let clusters = medium.geometry.clusters_for(end);
        if self.own {
            self.chain.extend(medium, clusters)?;
        }
        self.dirty = true;
        let size = self.size;
        let touched = at.min(size).checked_div(medium.geometry.cluster_bytes()).unwrap_or(0);
        self.common = self.common.min(touched);
        if at > size {
            // What the clusters held before is not the file's.
            self.put(medium, size, Bytes::Zeros(index(at.saturating_sub(size))), size)?;
        }
        self.put(medium, at, Bytes::Given(bytes), size.max(at))?;
        self.size = size.max(end);
        Ok(length)
    }

    /// Gives the file a chain of its own, with the content that it has.
    fn unshare<D: Disk>(&mut self, medium: &mut Medium<'_, D>) -> Result<(), Errno> {
        let mut spare = self.other.take().unwrap_or_default();
        self.common = self.common.min(spare.clusters);
        let filled = self.fill(medium, &mut spare);
        // Where this failed, what there is of it is still a spare.
        self.other = (spare.first != 0).then_some(spare);
        filled?;
        self.other = Some(core::mem::replace(&mut self.chain, spare));
        self.common = self.chain.clusters;
        self.own = true;
        Ok(())
    }

    /// Makes the spare chain as long as the other one, and the same.
    fn fill<D: Disk>(
        &mut self,
        medium: &mut Medium<'_, D>,
        spare: &mut Chain,
    ) -> Result<(), Errno> {
        spare.extend(medium, self.chain.clusters)?;
        self.chain.copy_to(medium, spare, self.common)?;
        // From here on it will differ, and be copied back when it is the other one's turn.
        spare.mark_end(medium)
    }

    /// Puts bytes into clusters that the file has. Its own bytes reach to `valid`; what is in the
    /// sectors beyond is of no interest, and is not read.
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
            let span = self.chain.span(medium, at, bytes.len().saturating_sub(done))?;
            let whole = span.length.saturating_sub(span.length & 511);
            let part = if span.within == 0 && whole > 0 {
                bytes.write_sectors(medium, span.sector, done, whole)?;
                whole
            } else {
                let part = span.length.min(SECTOR_SIZE.saturating_sub(span.within));
                let change = |sector: &mut _| bytes.write_into(sector, span.within, done, part);
                let start = at.saturating_sub(u32::try_from(span.within).unwrap_or(0));
                if start < valid {
                    medium.modify(span.sector, change)?;
                } else {
                    medium.replace(span.sector, change)?;
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

impl Bytes<'_> {
    fn len(self) -> usize {
        match self {
            Self::Given(bytes) => bytes.len(),
            Self::Zeros(count) => count,
        }
    }

    /// Writes a part of the bytes to whole sectors.
    fn write_sectors<D: Disk>(
        self,
        medium: &mut Medium<'_, D>,
        sector: u32,
        from: usize,
        length: usize,
    ) -> Result<(), Errno> {
        match self {
            Self::Given(bytes) => {
                let bytes = bytes.get(from..from.saturating_add(length)).ok_or(Errno::IO)?;
                medium.write(sector, bytes)
            }
            Self::Zeros(_) => medium.clear(sector, u32::try_from(length >> 9).unwrap_or(u32::MAX)),
        }
    }

    /// Writes a part of the bytes into a sector in memory.
    fn write_into(self, sector: &mut [u8; SECTOR_SIZE], at: usize, from: usize, length: usize) {
        let into = sector.iter_mut().skip(at).take(length);
        match self {
            Self::Given(bytes) => {
                into.zip(bytes.iter().skip(from)).for_each(|(to, from)| *to = *from);
            }
            Self::Zeros(_) => into.for_each(|to| *to = 0),
        }
    }
}

impl<D: Disk> Medium<'_, D> {
    /// Copies sectors.
    pub(crate) fn copy(&mut self, mut from: u32, mut to: u32, mut count: u32) -> Result<(), Errno> {
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
