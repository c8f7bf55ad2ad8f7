//! A mounted volume: [`Filesystems`] for the agent.

use agent_core::{
    DiskAddress, Errno, Filesystem, Filesystems, FreezeError, Trim, TrimError, Trimmed,
};

use crate::disk::{Disk, DiskError};
use crate::medium::errno;
use crate::table::Link;
use crate::volume::Volume;

/// What a volume is called, and where its disk is.
#[derive(Clone, Copy, Debug)]
pub struct Label<'l> {
    /// The device, such as `vda1`.
    pub name: &'l str,
    /// Where it is mounted, such as `/`.
    pub mountpoint: &'static str,
    /// Where the disk is attached, where that is known.
    pub disk: Option<DiskAddress<'l>>,
}

impl<D: Disk, const FILES: usize> Volume<'_, D, FILES> {
    /// Bytes that files and directories can take in all.
    pub fn total_bytes(&self) -> u64 {
        self.bytes(self.medium.geometry.clusters)
    }

    /// Bytes that are free. Not known of a damaged volume.
    pub fn free_bytes(&self) -> Option<u64> {
        self.is_sound().then(|| self.bytes(self.medium.table.free))
    }

    /// Publishes every file, so that the disk is complete; and gives back what is kept to be
    /// quicker, so that nothing else is on it.
    fn settle(&mut self) -> Result<(), Errno> {
        for file in self.files.iter_mut().flatten() {
            file.publish(&mut self.medium)?;
            file.drop_spare(&mut self.medium)?;
        }
        self.medium.flush()
    }

    /// Discards every run of free clusters of `minimum` bytes or more.
    fn discard_free(&mut self, minimum: u64) -> Result<Trimmed, TrimError> {
        let unit = self.medium.disk.discard_unit().ok_or(TrimError::Unsupported)?;
        if self.medium.read_only {
            return Err(TrimError::Disk(Errno::READ_ONLY));
        }
        // What is free must be so on the disk before it is lost from it.
        self.medium.flush().map_err(TrimError::Disk)?;
        let minimum = minimum.max(u64::from(unit).saturating_mul(512)).max(self.bytes(1));
        let mut bytes = 0;
        let mut run: Option<(u32, u32)> = None;
        for cluster in crate::geometry::FIRST_CLUSTER..=self.medium.geometry.end() {
            let free = cluster < self.medium.geometry.end()
                && self.medium.link(cluster).map_err(TrimError::Disk)? == Link::Free;
            match (run, free) {
                (None, true) => run = Some((cluster, 1)),
                (Some((first, count)), true) => run = Some((first, count.saturating_add(1))),
                (Some((first, count)), false) => {
                    run = None;
                    let length = self.bytes(count);
                    if length >= minimum {
                        self.discard(first, length)?;
                        bytes = u64::saturating_add(bytes, length);
                    }
                }
                (None, false) => {}
            }
        }
        Ok(Trimmed { bytes, minimum })
    }

    fn discard(&mut self, cluster: u32, bytes: u64) -> Result<(), TrimError> {
        let geometry = &self.medium.geometry;
        let sector = geometry.start.saturating_add(u64::from(geometry.sector_of(cluster)));
        self.medium.disk.discard(sector, bytes >> 9).map_err(|error| match error {
            DiskError::Unsupported => TrimError::Unsupported,
            error => TrimError::Disk(errno(error)),
        })
    }

    fn bytes(&self, clusters: u32) -> u64 {
        u64::from(clusters).saturating_mul(u64::from(self.medium.geometry.cluster_bytes()))
    }

    fn is_sound(&self) -> bool {
        self.condition() == crate::Condition::Sound
    }
}

/// A board that has hooks to run before a freeze and after a thaw wraps these.
impl<D: Disk, const FILES: usize> Filesystems for Volume<'_, D, FILES> {
    fn list(&mut self, visit: &mut dyn FnMut(&Filesystem<'_>)) {
        let total = self.total_bytes();
        let disk = self.label.disk;
        visit(&Filesystem {
            name: self.label.name,
            mountpoint: self.label.mountpoint,
            r#type: "vfat",
            used_bytes: self.free_bytes().map(|free| total.saturating_sub(free)),
            total_bytes: Some(total),
            disks: disk.as_slice(),
        });
    }

    fn freeze(&mut self, selected: &mut dyn FnMut(&[u8]) -> bool) -> Result<u32, FreezeError> {
        if self.frozen || !selected(self.label.mountpoint.as_bytes()) {
            return Ok(0);
        }
        if !self.medium.read_only {
            let mountpoint = self.label.mountpoint;
            self.settle().map_err(|errno| FreezeError::Disk { mountpoint, errno })?;
        }
        self.frozen = true;
        Ok(1)
    }

    fn thaw(&mut self) -> Result<u32, FreezeError> {
        Ok(u32::from(core::mem::take(&mut self.frozen)))
    }

    fn trim(&mut self, minimum: u64, visit: &mut dyn FnMut(&Trim<'_>)) {
        let outcome = if self.frozen {
            Err(TrimError::Disk(Errno::READ_ONLY))
        } else {
            self.discard_free(minimum)
        };
        visit(&Trim { path: self.label.mountpoint, outcome });
    }
}
