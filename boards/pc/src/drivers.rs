//! The devices that an image drives, as the host is told of them

use agent_core::{Device, Errno, PciId};
use machine::warning;

use crate::devices::{Devices, Location};

/// The most devices that are told of: the channel, a disk, and more network interfaces than one.
const DEVICES: usize = 16;

/// What drives which device. Drivers bear the names that they have in Linux, and the version of
/// the agent, whose part they are.
#[derive(Debug, Default)]
pub struct Drivers(heapless::Vec<Driven, DEVICES>);

#[derive(Clone, Copy, Debug)]
struct Driven {
    driver_name: &'static str,
    pci: Option<PciId>,
}

impl Drivers {
    /// No device is driven yet.
    pub const fn new() -> Self {
        Self(heapless::Vec::new())
    }

    /// The device at `location` is driven by `driver_name` from now on.
    pub fn add(
        &mut self,
        driver_name: &'static str,
        devices: &Devices<'_, '_>,
        location: Location,
    ) {
        let driven = Driven { driver_name, pci: devices.pci_id(location) };
        if self.0.push(driven).is_err() {
            warning!("guest-get-devices leaves out a device of {=str}", driver_name);
        }
    }
}

impl agent_core::Devices for Drivers {
    fn list(&mut self, visit: &mut dyn FnMut(&Device<'_>)) -> Result<(), Errno> {
        for &Driven { driver_name, pci } in &self.0 {
            let driver_version = Some(env!("CARGO_PKG_VERSION"));
            visit(&Device { driver_name, driver_version, driver_date_ns: None, pci });
        }
        Ok(())
    }
}
