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
use crate::disk::{Disk, SECTOR_SIZE};
use crate::entry::{Content, Entry, Place};
use crate::medium::Medium;
use crate::table::Link;

/// A file that is open, by however many handles.
pub(crate) struct File {
    pub(crate) place: Place,
    pub(crate) handles: u32,
    /// What the entry leads to.
    pub(super) published: Content,
    /// What a reader gets. It begins with the same cluster, or is in a chain of its own.
    pub(super) working: Content,
    /// Clusters of the working chain.
    pub(super) clusters: u32,
    /// The working chain is not the published one.
    pub(super) own: bool,
    /// What is published is wanted by nobody: the file was emptied.
    truncated: bool,
    /// There is something to publish.
    pub(super) dirty: bool,
    /// The chain that was published before.
    pub(super) spare: Option<Spare>,
    /// How many clusters from the start on are the same in the working chain and in the other one,
    /// which is the published one where the working one is not, and the spare otherwise.
    pub(super) common: u32,
    cursor: Cursor,
}

/// A chain that nothing leads to.
#[derive(Clone, Copy)]
pub(super) struct Spare {
    pub(super) first: u32,
    pub(super) clusters: u32,
}

/// A cluster of the working chain that is known.
#[derive(Clone, Copy)]
struct Cursor {
    index: u32,
    cluster: u32,
}

/// Bytes of a file that lie one after the other on the disk.
pub(super) struct Span {
    /// The sector in which they begin, and where in it.
    pub(super) sector: u32,
    pub(super) within: usize,
    pub(super) length: usize,
}

impl File {
    pub(crate) fn open<D: Disk>(entry: &Entry, medium: &Medium<'_, D>) -> Self {
        let content = entry.content;
        Self {
            place: entry.place,
            handles: 0,
            published: content,
            working: content,
            clusters: medium.geometry.clusters_for(content.size),
            own: false,
            truncated: false,
            dirty: false,
            spare: None,
            common: 0,
            cursor: Cursor { index: 0, cluster: 0 },
        }
    }

    /// Bytes of the file, as a reader sees it.
    pub(crate) fn size(&self) -> u32 {
        self.working.size
    }

    /// Reads from a position, which is before the end, to the end or until the buffer is full.
    pub(crate) fn read<D: Disk>(
        &mut self,
        medium: &mut Medium<'_, D>,
        at: u32,
        into: &mut [u8],
    ) -> Result<usize, Errno> {
        let most = index(self.working.size.saturating_sub(at)).min(into.len());
        let mut done = 0;
        while done < most {
            let at = at.saturating_add(u32::try_from(done).unwrap_or(u32::MAX));
            let rest = into.get_mut(done..most).ok_or(Errno::IO)?;
            let span = self.span(medium, at, rest.len())?;
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
        let end = at.saturating_add(length).min(self.working.size);
        while at < end {
            let span = self.span(medium, at, index(end.saturating_sub(at)))?;
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
            medium.release(self.working.first)?;
        }
        self.drop_spare(medium)?;
        self.working = Content::default();
        self.clusters = 0;
        self.own = true;
        self.truncated = true;
        self.dirty = true;
        self.common = 0;
        self.cursor.cluster = 0;
        Ok(())
    }

    /// Makes everything written so far what the directory entry leads to. Returns once it is where
    /// it stays.
    pub(crate) fn publish<D: Disk>(&mut self, medium: &mut Medium<'_, D>) -> Result<(), Errno> {
        if !self.dirty {
            return Ok(());
        }
        self.fit(medium)?;
        self.point(medium, self.working)?;
        self.dirty = false;
        Ok(())
    }

    /// Gives back the clusters that are kept to be quicker.
    pub(crate) fn drop_spare<D: Disk>(&mut self, medium: &mut Medium<'_, D>) -> Result<(), Errno> {
        match self.spare.take() {
            Some(spare) => medium.release(spare.first),
            None => Ok(()),
        }
    }

    /// Gives back what can be: the spare clusters, and those of what the file was before it was
    /// emptied. It is empty after a cut of power then, until it is published.
    pub(crate) fn make_room<D: Disk>(&mut self, medium: &mut Medium<'_, D>) -> Result<(), Errno> {
        self.drop_spare(medium)?;
        if self.truncated && self.published != Content::default() {
            let own = self.own;
            self.point(medium, Content::default())?;
            self.own = own;
        }
        Ok(())
    }

    /// Points the entry to other content, and deals with what it led to so far.
    fn point<D: Disk>(&mut self, medium: &mut Medium<'_, D>, to: Content) -> Result<(), Errno> {
        let was = self.published;
        let old = medium.geometry.clusters_for(was.size);
        let new = medium.geometry.clusters_for(to.size);
        if old != new {
            medium.forget_count()?;
        }
        medium.flush()?;
        medium.point(self.place, to)?;
        medium.unowned = medium.unowned.saturating_add(old).saturating_sub(new);
        self.published = to;
        let truncated = core::mem::take(&mut self.truncated);
        if core::mem::take(&mut self.own) && was.first != 0 {
            if truncated {
                medium.release(was.first)?;
            } else {
                self.spare = Some(Spare { first: was.first, clusters: old });
                self.common = self.common.min(old);
            }
        }
        medium.tell_count()
    }

    /// Takes off the working chain what a write that failed has added to it.
    fn fit<D: Disk>(&mut self, medium: &mut Medium<'_, D>) -> Result<(), Errno> {
        let needed = medium.geometry.clusters_for(self.working.size);
        if !self.own || self.clusters <= needed {
            return Ok(());
        }
        match needed.checked_sub(1) {
            None => {
                medium.release(self.working.first)?;
                self.working.first = 0;
            }
            Some(last) => {
                let last = self.cluster(medium, last)?;
                if let Some(rest) = medium.follow(last)? {
                    medium.set_link(last, Link::End)?;
                    medium.release(rest)?;
                }
            }
        }
        self.clusters = needed;
        self.cursor.cluster = 0;
        Ok(())
    }

    /// A cluster of the working chain.
    pub(super) fn cluster<D: Disk>(
        &mut self,
        medium: &mut Medium<'_, D>,
        wanted: u32,
    ) -> Result<u32, Errno> {
        // Bounds the walk below where the disk holds nonsense.
        if wanted >= medium.geometry.clusters {
            return Err(Errno::IO);
        }
        let Cursor { mut index, mut cluster } = self.cursor;
        if cluster == 0 || index > wanted {
            (index, cluster) = (0, self.working.first);
        }
        while index < wanted {
            cluster = medium.follow(cluster)?.ok_or(Errno::IO)?;
            index = index.saturating_add(1);
        }
        self.cursor = Cursor { index, cluster };
        if medium.geometry.has(cluster) { Ok(cluster) } else { Err(Errno::IO) }
    }

    /// Forgets which clusters are known: the working chain is another one.
    pub(super) fn forget_cursor(&mut self) {
        self.cursor.cluster = 0;
    }

    /// Where up to `longest` bytes from a position on are.
    pub(super) fn span<D: Disk>(
        &mut self,
        medium: &mut Medium<'_, D>,
        at: u32,
        longest: usize,
    ) -> Result<Span, Errno> {
        let bytes = medium.geometry.cluster_bytes();
        let wanted = at.checked_div(bytes).ok_or(Errno::IO)?;
        let within = at.checked_rem(bytes).ok_or(Errno::IO)?;
        let cluster = self.cluster(medium, wanted)?;
        let end = within.saturating_add(u32::try_from(longest).unwrap_or(u32::MAX));
        let (count, last) = medium.run(cluster, end.div_ceil(bytes))?;
        let ahead = count.saturating_sub(1);
        self.cursor = Cursor { index: wanted.saturating_add(ahead), cluster: last };
        let length = count.saturating_mul(bytes).saturating_sub(within);
        Ok(Span {
            sector: medium.geometry.sector_of(cluster).saturating_add(within >> 9),
            within: index(within & 511),
            length: index(length).min(longest),
        })
    }
}
