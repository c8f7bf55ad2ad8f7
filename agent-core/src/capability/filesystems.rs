//! The capability to list, freeze and trim file systems.

use super::Errno;

/// The file systems of a guest.
///
/// Freezing makes what is on the disk complete and unchanging: everything written so far is on it,
/// and nothing more is written until the thaw, by the agent or by the application.
pub trait Filesystems {
    /// Shows every file system to `visit`, in the order in which they were mounted.
    fn list(&mut self, visit: &mut dyn FnMut(&Filesystem<'_>));

    /// Freezes the file systems whose mount point `selected` says yes to; returns how many.
    ///
    /// The application's hook, where there is one, runs first. On an error everything is thawed
    /// again.
    ///
    /// # Errors
    ///
    /// What could not be frozen, and why.
    fn freeze(&mut self, selected: &mut dyn FnMut(&[u8]) -> bool) -> Result<u32, FreezeError>;

    /// Thaws what is frozen; returns how many file systems that were. The application's hook runs
    /// last: when it fails, with [`FreezeError::Hook`], they are thawed. Legal when nothing is frozen.
    ///
    /// # Errors
    ///
    /// What could not be thawed, and why.
    fn thaw(&mut self) -> Result<u32, FreezeError>;

    /// Tells the disks which space is free, in runs of at least `minimum` bytes; shows the outcome
    /// for each file system to `visit`.
    fn trim(&mut self, minimum: u64, visit: &mut dyn FnMut(&Trim<'_>));
}

/// A mounted file system.
#[derive(Clone, Copy, Debug)]
pub struct Filesystem<'f> {
    /// The device, such as `vda1`.
    pub name: &'f str,
    /// Where it is mounted.
    pub mountpoint: &'f str,
    /// Its type, such as `vfat`.
    pub r#type: &'f str,
    /// Bytes in use, where that is known.
    pub used_bytes: Option<u64>,
    /// Bytes in all, where that is known.
    pub total_bytes: Option<u64>,
    /// The disks that it lies on.
    pub disks: &'f [DiskAddress<'f>],
}

/// Where a disk is attached.
#[derive(Clone, Copy, Debug)]
pub struct DiskAddress<'f> {
    /// The kind of bus, in the words of the schema's `GuestDiskBusType`, such as `virtio`.
    pub bus_type: &'f str,
    /// The number of the bus.
    pub bus: i64,
    /// The target on it.
    pub target: i64,
    /// The unit of the target.
    pub unit: i64,
    /// The PCI device that is the controller, where there is one.
    pub pci: Option<PciAddress>,
    /// The disk's serial number, where it has one.
    pub serial: Option<&'f str>,
    /// The path of the device, such as `/dev/vda`, where there is one.
    pub dev: Option<&'f str>,
}

/// Where a PCI device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PciAddress {
    /// The segment group.
    pub domain: u16,
    /// The bus.
    pub bus: u8,
    /// The device.
    pub slot: u8,
    /// The function.
    pub function: u8,
}

/// Why file systems were not frozen or thawed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FreezeError {
    /// The application's hook refused, or failed.
    Hook,
    /// The disk of a file system failed.
    Disk {
        /// Where the file system is mounted.
        mountpoint: &'static str,
        /// How the disk failed.
        errno: Errno,
    },
}

/// What trimming a file system came to.
#[derive(Clone, Copy, Debug)]
pub struct Trim<'f> {
    /// The mount point.
    pub path: &'f str,
    /// What was given back, or why nothing was.
    pub outcome: Result<Trimmed, TrimError>,
}

/// Space that was given back to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trimmed {
    /// Bytes.
    pub bytes: u64,
    /// The shortest run that was given back, in bytes: what was asked for, or what the disk needs.
    pub minimum: u64,
}

/// Why a file system was not trimmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrimError {
    /// The disk failed.
    Disk(Errno),
    /// The disk has no such command.
    Unsupported,
}
