//! An open file: the content that its directory entry leads to, and the content to come.
//!
//! This is where the promise about a cut of power is kept. What the entry leads to is left alone
//! but for what no reader can tell: the rest of the last cluster, beyond the end. Every other
//! change goes to a chain of the file's own that nothing leads to, and becomes visible, all of it,
//! when one write of the entry points there ([`File::publish`]).
//!
//! The chain that was visible before is kept as a spare as long as the file is open: to change the
//! file again, only what differs is copied to it ([`File::unshare`]). So a log that is flushed
//! after every line costs two writes a line, not a copy of the log.

use agent_core::Errno;

use crate::bytes::index;
use crate::chain::Chain;
use crate::disk::{Disk, SECTOR_SIZE};
use crate::entry::{Content, Entry, Place};
use crate::medium::Medium;

/// A file that is open, by however many handles.
pub(crate) struct File {
    pub(crate) place: Place,
    pub(crate) handles: u32,
    /// There is something to publish.
    pub(crate) dirty: bool,
    /// What the entry leads to.
    pub(super) published: Content,
    /// Bytes of the file, as a reader sees it, and the clusters that they are in.
    pub(super) size: u32,
    pub(super) chain: Chain,
    /// That chain is the file's own, and nothing leads to it; otherwise it is the published one.
    pub(super) own: bool,
    /// The published chain where the file has its own, and otherwise the spare one, if any.
    pub(super) other: Option<Chain>,
    /// How many clusters from the start on hold the same in both chains.
    pub(super) common: u32,
    /// What is published is wanted by nobody: the file was emptied.
    truncated: bool,
}

impl File {
    pub(crate) fn open<D: Disk>(entry: &Entry, medium: &Medium<'_, D>) -> Self {
        let Content { first, size } = entry.content;
        Self {
            place: entry.place,
            handles: 0,
            dirty: false,
            published: entry.content,
            size,
            chain: Chain::new(first, medium.geometry.clusters_for(size)),
            own: false,
            other: None,
            common: 0,
            truncated: false,
        }
    }

    /// Bytes of the file, as a reader sees it.
    pub(crate) fn size(&self) -> u32 {
        self.size
    }

    /// Reads from a position, which is before the end, to the end or until the buffer is full.
    pub(crate) fn read<D: Disk>(
        &mut self,
        medium: &mut Medium<'_, D>,
        at: u32,
        into: &mut [u8],
    ) -> Result<usize, Errno> {
        let most = index(self.size.saturating_sub(at)).min(into.len());
        let mut done = 0;
        while done < most {
            let at = at.saturating_add(u32::try_from(done).unwrap_or(u32::MAX));
            let rest = into.get_mut(done..most).ok_or(Errno::IO)?;
            let span = self.chain.span(medium, at, rest.len())?;
            let whole = span.length.saturating_sub(span.length & 511);
            if span.within == 0 && whole > 0 {
                medium.read(span.sector, rest.get_mut(..whole).ok_or(Errno::IO)?)?;
                done = done.saturating_add(whole);
            } else {
                let part = span.length.min(SECTOR_SIZE.saturating_sub(span.within));
                let bytes = medium.load(span.sector)?.get(span.within..).unwrap_or(&[]);
                for (to, from) in rest.iter_mut().zip(bytes).take(part) {
                    *to = *from;
                }
                done = done.saturating_add(part);
            }
        }
        Ok(done)
    }

    /// Reads `length` bytes from a position to see that they can be read.
    pub(crate) fn verify<D: Disk>(
        &mut self,
        medium: &mut Medium<'_, D>,
        mut at: u32,
        length: u32,
    ) -> Result<(), Errno> {
        let end = at.saturating_add(length).min(self.size);
        let most = index(medium.scratch_sectors()).saturating_mul(SECTOR_SIZE);
        while at < end {
            let span = self.chain.span(medium, at, index(end.saturating_sub(at)).min(most))?;
            let sectors = span.within.saturating_add(span.length).div_ceil(SECTOR_SIZE);
            let sectors = u32::try_from(sectors).unwrap_or(u32::MAX).min(medium.scratch_sectors());
            medium.read_scratch(span.sector, sectors)?;
            let read = index(sectors).saturating_mul(SECTOR_SIZE).saturating_sub(span.within);
            at = at.saturating_add(u32::try_from(read).unwrap_or(u32::MAX));
        }
        Ok(())
    }

    /// Empties the file. Nothing of that is visible until the next [`File::publish`].
    pub(crate) fn truncate<D: Disk>(&mut self, medium: &mut Medium<'_, D>) -> Result<(), Errno> {
        if self.own {
            self.chain.cut(medium, 0)?;
        } else {
            self.drop_spare(medium)?;
            self.other = Some(core::mem::take(&mut self.chain));
        }
        self.size = 0;
        self.own = true;
        self.common = 0;
        self.truncated = true;
        self.dirty = true;
        Ok(())
    }

    /// Makes everything written so far what the directory entry leads to. Returns once it is where
    /// it stays.
    pub(crate) fn publish<D: Disk>(&mut self, medium: &mut Medium<'_, D>) -> Result<(), Errno> {
        if !self.dirty {
            return Ok(());
        }
        if self.own {
            // A write that failed may have left more.
            self.chain.cut(medium, medium.geometry.clusters_for(self.size))?;
        }
        self.point(medium, Content { first: self.chain.first, size: self.size })?;
        self.own = false;
        self.dirty = false;
        self.settle_other(medium)
    }

    /// Gives back the clusters that are kept to be quicker.
    pub(crate) fn drop_spare<D: Disk>(&mut self, medium: &mut Medium<'_, D>) -> Result<(), Errno> {
        if self.own {
            return Ok(());
        }
        match self.other.take() {
            Some(spare) => medium.release(spare.first),
            None => Ok(()),
        }
    }

    /// Gives back what can be: the spare clusters, and those of what the file was before it was
    /// emptied. It is empty after a cut of power then, until it is published.
    pub(crate) fn make_room<D: Disk>(&mut self, medium: &mut Medium<'_, D>) -> Result<(), Errno> {
        self.drop_spare(medium)?;
        if self.truncated {
            self.point(medium, Content::default())?;
            self.settle_other(medium)?;
        }
        Ok(())
    }

    /// Deals with the chain that was published, once it is not any more.
    fn settle_other<D: Disk>(&mut self, medium: &mut Medium<'_, D>) -> Result<(), Errno> {
        let clusters = self.other.map_or(0, |other| other.clusters);
        self.common = self.common.min(clusters);
        if core::mem::take(&mut self.truncated)
            && let Some(old) = self.other.take()
        {
            return medium.release(old.first);
        }
        Ok(())
    }

    /// Points the entry to other content.
    fn point<D: Disk>(&mut self, medium: &mut Medium<'_, D>, to: Content) -> Result<(), Errno> {
        let old = medium.geometry.clusters_for(self.published.size);
        let new = medium.geometry.clusters_for(to.size);
        if old != new {
            medium.forget_count()?;
        }
        // What is to be visible is there before it is.
        medium.flush()?;
        let pointed = medium.point(self.place, to);
        medium.is_count_lost |= pointed.is_err();
        pointed?;
        self.published = to;
        medium.unowned = medium.unowned.saturating_add(old).saturating_sub(new);
        medium.tell_count()
    }
}
