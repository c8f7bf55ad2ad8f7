//! A chain of clusters, and where in it one is.
//!
//! The table only leads forwards, so some places are remembered: where one is, the end, and where
//! one will be again.

use agent_core::Errno;

use crate::bytes::{index, parts};
use crate::disk::Disk;
use crate::medium::Medium;
use crate::table::Link;

/// A chain of clusters.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Chain {
    /// The first cluster, or zero where there is none.
    pub(crate) first: u32,
    /// How many there are.
    pub(crate) clusters: u32,
    /// The cluster that was asked for last.
    latest: Known,
    /// The last cluster of the span that was asked for last, of which the next may begin anywhere.
    ahead: Known,
    /// The last cluster, at some time.
    end: Known,
    /// The last cluster when the chain was marked.
    mark: Known,
}

/// A cluster of which it is known where in the chain it is; cluster zero where none is.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    index: u32,
    cluster: u32,
}

/// Bytes that lie one after the other in a chain and on the disk.
pub(crate) struct Span {
    /// The sector in which they begin, and where in it.
    pub(crate) sector: u32,
    pub(crate) within: usize,
    pub(crate) length: usize,
}

impl Chain {
    pub(crate) fn new(first: u32, clusters: u32) -> Self {
        Self { first, clusters, ..Self::default() }
    }

    /// The cluster at an index.
    pub(crate) fn at<D: Disk>(
        &mut self,
        medium: &mut Medium<'_, D>,
        wanted: u32,
    ) -> Result<u32, Errno> {
        // Bounds the walk below where the disk holds nonsense.
        if wanted >= medium.geometry.clusters {
            return Err(Errno::IO);
        }
        let known = [self.latest, self.ahead, self.end, self.mark]
            .into_iter()
            .filter(|known| known.cluster != 0 && known.index <= wanted)
            .max_by_key(|known| known.index);
        let Known { mut index, mut cluster } =
            known.unwrap_or(Known { index: 0, cluster: self.first });
        while index < wanted {
            cluster = medium.follow(cluster)?.ok_or(Errno::IO)?;
            index = index.saturating_add(1);
        }
        self.latest = Known { index, cluster };
        if medium.geometry.has(cluster) { Ok(cluster) } else { Err(Errno::IO) }
    }

    /// The last cluster, where there is one.
    fn last<D: Disk>(&mut self, medium: &mut Medium<'_, D>) -> Result<Option<u32>, Errno> {
        let Some(index) = self.clusters.checked_sub(1) else { return Ok(None) };
        if self.end.cluster == 0 || self.end.index != index {
            self.end = Known { index, cluster: self.at(medium, index)? };
        }
        Ok(Some(self.end.cluster))
    }

    /// Remembers the last cluster: it will be asked for after others that follow.
    pub(crate) fn mark_end<D: Disk>(&mut self, medium: &mut Medium<'_, D>) -> Result<(), Errno> {
        self.last(medium)?;
        self.mark = self.end;
        Ok(())
    }

    /// Adds free clusters until there are so many. Nothing leads to the chain.
    pub(crate) fn extend<D: Disk>(
        &mut self,
        medium: &mut Medium<'_, D>,
        clusters: u32,
    ) -> Result<(), Errno> {
        while self.clusters < clusters {
            let last = self.last(medium)?;
            let cluster = medium.allocate(last.unwrap_or(medium.table.hint))?;
            match last {
                Some(last) => medium.set_link(last, Link::Next(cluster))?,
                None => self.first = cluster,
            }
            self.end = Known { index: self.clusters, cluster };
            self.clusters = self.clusters.saturating_add(1);
        }
        Ok(())
    }

    /// Frees the clusters after so many. Nothing leads to the chain.
    pub(crate) fn cut<D: Disk>(
        &mut self,
        medium: &mut Medium<'_, D>,
        clusters: u32,
    ) -> Result<(), Errno> {
        if self.clusters <= clusters {
            return Ok(());
        }
        let Some(last) = clusters.checked_sub(1) else {
            medium.release(self.first)?;
            *self = Self::default();
            return Ok(());
        };
        let last = self.at(medium, last)?;
        if let Some(rest) = medium.follow(last)? {
            medium.set_link(last, Link::End)?;
            medium.release(rest)?;
        }
        *self = Self::new(self.first, clusters);
        Ok(())
    }

    /// Where up to `longest` bytes from a position on are.
    pub(crate) fn span<D: Disk>(
        &mut self,
        medium: &mut Medium<'_, D>,
        position: u32,
        longest: usize,
    ) -> Result<Span, Errno> {
        let bytes = medium.geometry.cluster_bytes();
        let first = position.checked_div(bytes).ok_or(Errno::IO)?;
        let within = position.checked_rem(bytes).ok_or(Errno::IO)?;
        let cluster = self.at(medium, first)?;
        let end = within.saturating_add(u32::try_from(longest).unwrap_or(u32::MAX));
        let (count, last) = medium.run(cluster, parts(end, bytes))?;
        let ahead = count.saturating_sub(1);
        self.ahead = Known { index: first.saturating_add(ahead), cluster: last };
        let length = count.saturating_mul(bytes).saturating_sub(within);
        Ok(Span {
            sector: medium.geometry.sector_of(cluster).saturating_add(within >> 9),
            within: index(within & 511),
            length: index(length).min(longest),
        })
    }

    /// Copies the clusters from an index on, up to the end, to the same places of another chain.
    pub(crate) fn copy_to<D: Disk>(
        &mut self,
        medium: &mut Medium<'_, D>,
        to: &mut Self,
        from: u32,
    ) -> Result<(), Errno> {
        let mut at = from;
        while at < self.clusters {
            let source = self.at(medium, at)?;
            let target = to.at(medium, at)?;
            let (most, _) = medium.run(source, self.clusters.saturating_sub(at))?;
            let (count, _) = medium.run(target, most)?;
            let sectors = count.saturating_mul(medium.geometry.cluster_sectors);
            let source = medium.geometry.sector_of(source);
            medium.copy(source, medium.geometry.sector_of(target), sectors)?;
            at = at.saturating_add(count);
        }
        Ok(())
    }
}
