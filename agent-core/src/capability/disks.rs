//! The capability to tell what disks the guest has.

use super::{DiskAddress, Errno};

/// The disks of a guest, and their partitions.
pub trait Disks {
    /// Shows every disk and every partition to `visit`; none where there is no disk.
    ///
    /// # Errors
    ///
    /// Why they cannot be listed.
    fn list(&mut self, visit: &mut dyn FnMut(&Disk<'_>)) -> Result<(), Errno>;

    /// Shows what has been done to every disk to `visit`.
    ///
    /// # Errors
    ///
    /// Why that cannot be told.
    fn statistics(&mut self, visit: &mut dyn FnMut(&DiskStatistics<'_>)) -> Result<(), Errno>;
}

/// A disk, or a partition of one.
#[derive(Clone, Copy, Debug)]
pub struct Disk<'d> {
    /// The path of its device, such as `/dev/vda1`.
    pub name: &'d str,
    /// Whether it is a partition.
    pub partition: bool,
    /// What it lies on: of a partition, its disk.
    pub dependencies: &'d [&'d str],
    /// Where it is attached, where that is known; of a disk only.
    pub address: Option<DiskAddress<'d>>,
    /// Another name, such as that of a device mapper's volume.
    pub alias: Option<&'d str>,
}

/// What has been done to a disk since the guest has started: Linux's `/proc/diskstats`.
#[derive(Clone, Copy, Debug)]
pub struct DiskStatistics<'d> {
    /// Its name, such as `vda`.
    pub name: &'d str,
    /// The major number of its device.
    pub major: u64,
    /// The minor number of its device.
    pub minor: u64,
    /// What was read.
    pub read: Transfers,
    /// What was written.
    pub write: Transfers,
    /// What was discarded.
    pub discard: Transfers,
    /// Flushes that are done.
    pub flush_ios: Option<u64>,
    /// The time that they took, in ms.
    pub flush_ticks: Option<u64>,
    /// Requests that are under way.
    pub ios_in_progress: Option<u64>,
    /// The time in which any were under way, in ms.
    pub total_ticks: Option<u64>,
    /// The same, each request counted by itself.
    pub weight_ticks: Option<u64>,
}

/// Transfers of one kind; what is not counted is left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Transfers {
    /// Requests that are done.
    pub ios: Option<u64>,
    /// Requests that became part of another.
    pub merges: Option<u64>,
    /// Sectors of 512 bytes.
    pub sectors: Option<u64>,
    /// The time that they took, in ms.
    pub ticks: Option<u64>,
}
