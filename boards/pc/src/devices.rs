//! The machine's virtio devices: those on PCI, then those behind memory-mapped registers
//!
//! PCI is walked, on whatever bus; where the others are ACPI's DSDT or the kernel command line
//! tells.

use core::mem;
use core::ops::Range;

use agent_core::PciId;
use boot::{Outside, StartInfo};
use hal_virtio::mmio::{self, ProbeError};
use hal_virtio::pci::{self, Interrupt, Walk};
use hal_virtio::transport::AnyTransport;
use hal_virtio::{DeviceType, Transport as _};
use hal_x86::acpi::{Gsi, Polarity, Tables, VirtioMmio};
use hal_x86::pci::ConfigurationPorts;
use machine::{Machine, command_line, warning};

/// Places behind memory-mapped registers that are looked at. QEMU's microvm has 24.
const PLACES: usize = 64;

/// Where to look for devices.
#[derive(Debug)]
pub struct Devices<'s, 'm> {
    machine: &'s Machine<'m>,
    memory: &'s Outside,
    tables: Option<&'s Tables<'m, Outside>>,
    start: &'s StartInfo<'m>,
}

/// Where a device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Location {
    /// A function on PCI.
    Pci(pci::Address),
    /// Registers at this address, with this global system interrupt.
    Mmio {
        /// Physical address of the registers.
        base: u64,
        /// The interrupt.
        gsi: u32,
    },
}

/// Looks at a device; returns whether it takes it.
type Take<'t> = &'t mut dyn FnMut(Location, AnyTransport) -> bool;

impl<'s, 'm> Devices<'s, 'm> {
    /// The devices of this machine.
    pub const fn new(
        machine: &'s Machine<'m>,
        memory: &'s Outside,
        tables: Option<&'s Tables<'m, Outside>>,
        start: &'s StartInfo<'m>,
    ) -> Self {
        Self { machine, memory, tables, start }
    }

    /// The machine that they belong to.
    pub const fn machine(&self) -> &'s Machine<'m> {
        self.machine
    }

    /// The kernel command line.
    pub fn command_line(&self) -> &'m [u8] {
        self.start.command_line()
    }

    /// Shows the devices of a kind, one after another, to `take`, which says yes to the one that it
    /// keeps. Returns whether it kept any. To be called once for each kind: it opens every device
    /// that it shows, in use or not.
    pub fn find(&self, kind: DeviceType, take: Take<'_>) -> bool {
        self.on_pci(kind, take) || self.behind_registers(kind, take)
    }

    /// What the device at `location` is, where it is on PCI.
    pub fn pci_id(&self, location: Location) -> Option<PciId> {
        let Location::Pci(address) = location else { return None };
        let ports = ConfigurationPorts::new(self.machine.ports());
        // PCI 3.0 §6.2.1: Vendor ID at 00h, Device ID at 02h.
        let [v1, v2, d1, d2] =
            ports.read_u32(address.bus, address.device, address.function, 0).to_le_bytes();
        Some(PciId { vendor: u16::from_le_bytes([v1, v2]), device: u16::from_le_bytes([d1, d2]) })
    }

    /// Lets the interrupts of the device at `location` wake the CPU. To be called with its
    /// transport once its queues are set up: until then it may refuse an interrupt.
    pub fn wake(&self, location: Location, transport: &AnyTransport) {
        let enabled = match (location, transport) {
            (Location::Mmio { gsi, .. }, _) => {
                self.machine.wake_on(Gsi { number: gsi, polarity: Polarity::ActiveHigh })
            }
            (Location::Pci(_), AnyTransport::Pci(transport)) => match transport.interrupt() {
                Interrupt::Message => Ok(()),
                Interrupt::Line(irq) => self.machine.wake_on_isa(irq),
                Interrupt::None => {
                    warning!("the device has no interrupt");
                    Ok(())
                }
            },
            (Location::Pci(_), AnyTransport::Mmio(_)) => Ok(()),
        };
        if let Err(failure) = enabled {
            warning!("its interrupt: {}", failure);
        }
    }

    fn on_pci(&self, kind: DeviceType, take: Take<'_>) -> bool {
        let ports = ConfigurationPorts::new(self.machine.ports());
        if !ports.present() {
            return false;
        }
        let mut space = Space(ports);
        let mut walk = Walk::new();
        while let Some(address) = walk.next_virtio(&mut space, kind) {
            let message = self.machine.wake_message();
            let message = pci::Message { address: message.address, data: message.data };
            // SAFETY: boot has mapped this range, and none of it is memory of the program's.
            // Nothing else drives the device.
            let opened = unsafe {
                pci::Transport::open(&mut space, address, &self.registers(), Some(message))
            };
            match opened {
                Ok(transport) => {
                    if take(Location::Pci(address), transport.into()) {
                        return true;
                    }
                }
                Err(failure) => warning!("the device at PCI {}: {}", address, failure),
            }
        }
        false
    }

    fn behind_registers(&self, kind: DeviceType, take: Take<'_>) -> bool {
        let described = self.tables.into_iter().flat_map(Tables::virtio_mmio);
        let named = command_line::virtio_mmio(self.start.command_line());
        // Firecracker tells of each device in both ways, and opening one again would reset it.
        let mut seen = heapless::Vec::<u64, PLACES>::new();
        for VirtioMmio { base, length, gsi } in described.chain(named) {
            if seen.contains(&base) {
                continue;
            }
            if seen.push(base).is_err() {
                warning!("more places for devices than are looked at");
                break;
            }
            // SAFETY: as for PCI.
            match unsafe { mmio::probe(base, length.into(), &self.registers()) } {
                // It may be in use, and to drop its transport would reset it.
                Ok(transport) if transport.device_type() != kind => mem::forget(transport),
                Ok(transport) => {
                    if take(Location::Mmio { base, gsi }, transport.into()) {
                        return true;
                    }
                }
                Err(ProbeError::Empty) => {}
                Err(_) => warning!("no virtio device that can be used at {=u64:#x}", base),
            }
        }
        false
    }

    /// Where registers may be.
    fn registers(&self) -> [Range<u64>; 1] {
        [self.memory.devices()]
    }
}

/// PCI configuration space, by the PC's two ports.
pub(crate) struct Space(pub(crate) ConfigurationPorts);

impl pci::Configuration for Space {
    fn read_u32(&mut self, address: pci::Address, offset: u8) -> u32 {
        self.0.read_u32(address.bus, address.device, address.function, offset)
    }

    fn write_u32(&mut self, address: pci::Address, offset: u8, value: u32) {
        self.0.write_u32(address.bus, address.device, address.function, offset, value);
    }
}
