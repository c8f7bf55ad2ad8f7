//! The capability to tell what drives the guest's devices.

use super::Errno;

/// The devices of a guest that have a driver.
pub trait Devices {
    /// Shows every device to `visit`.
    ///
    /// # Errors
    ///
    /// Why they cannot be listed.
    fn list(&mut self, visit: &mut dyn FnMut(&Device<'_>)) -> Result<(), Errno>;
}

/// A device and its driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Device<'d> {
    /// The driver.
    pub driver_name: &'d str,
    /// The version of the driver, where it has one.
    pub driver_version: Option<&'d str>,
    /// When the driver was made, in nanoseconds since 1970-01-01 00:00 UTC, where that is known.
    pub driver_date_ns: Option<i64>,
    /// What the device is on PCI, where it is there.
    pub pci: Option<PciId>,
}

/// What a PCI device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PciId {
    /// Who made it.
    pub vendor: u16,
    /// Which of the maker's devices it is.
    pub device: u16,
}
