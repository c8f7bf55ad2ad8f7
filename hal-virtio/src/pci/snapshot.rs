//! What firmware and drivers have written to all functions, for a reset that the program survives
//!
//! A machine that wakes up from ACPI's S3 has reset its devices: base address registers, bridges' buses and windows,
//! command registers and MSI-X are as they were when it was switched on. Firmware leaves them so.

use super::capability::{MSI_X, Space};
use super::{Address, Configuration, Function, Walk, register};

/// Registers of a device that firmware writes, PCI Local Bus 3.0 §6.1: cache line and latency, base address registers,
/// expansion ROM, interrupt line.
const DEVICE: &[u8] = &[0x0C, 0x10, 0x14, 0x18, 0x1C, 0x20, 0x24, 0x30, 0x3C];
/// The same of a bridge, PCI-to-PCI Bridge 1.2 §3.2: the numbers of its buses, and its windows too.
const BRIDGE: &[u8] = &[0x0C, 0x18, 0x10, 0x14, 0x1C, 0x20, 0x24, 0x28, 0x2C, 0x30, 0x38, 0x3C];
/// Registers of chipsets behind the header, by the ID of the function: where ACPI's fixed hardware lies and whether it
/// answers, and where PCI's interrupt lines are routed to.
const CHIPSETS: &[(u32, &[u8])] = &[
    // PIIX3 and PIIX4, bridge to ISA: PIRQRC.
    (0x7000_8086, &[0x60]),
    (0x7110_8086, &[0x60]),
    // PIIX4, power management: PMBA and PMREGMISC.
    (0x7113_8086, &[0x40, 0x80]),
    // ICH9, bridge to LPC: PMBASE, ACPI_CNTL, PIRQ_ROUT.
    (0x2918_8086, &[0x40, 0x44, 0x60, 0x68]),
];

const VALUES: usize = 12;
const CHIPSET_VALUES: usize = 4;

/// Bits of these registers that are to be written: not the header's type, not the status of a bridge's other side,
/// whose bits are cleared by writing ones.
const fn written(offset: u8, is_bridge: bool) -> u32 {
    match offset {
        0x0C => 0xFFFF,
        0x1C if is_bridge => 0xFFFF,
        _ => u32::MAX,
    }
}

/// The functions of a machine and what was written to them, up to `FUNCTIONS` of them.
#[derive(Clone, Debug)]
pub struct Snapshot<const FUNCTIONS: usize> {
    functions: [Option<Saved>; FUNCTIONS],
}

/// There are more functions than a snapshot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TooMany;

impl core::fmt::Display for TooMany {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("there are too many PCI functions")
    }
}

impl core::error::Error for TooMany {}

/// A function and what was written to it.
#[derive(Clone, Copy, Debug)]
struct Saved {
    address: Address,
    id: u32,
    command: u32,
    is_bridge: bool,
    values: [u32; VALUES],
    chipset: [u32; CHIPSET_VALUES],
    /// The MSI-X capability and its first double word, which turns it on.
    msix: Option<(u8, u32)>,
}

impl<const FUNCTIONS: usize> Default for Snapshot<FUNCTIONS> {
    /// Of no function.
    fn default() -> Self {
        Self { functions: [None; FUNCTIONS] }
    }
}

impl<const FUNCTIONS: usize> Snapshot<FUNCTIONS> {
    /// Looks at all functions, on every bus that can be reached from bus 0.
    ///
    /// # Errors
    ///
    /// There are more than `FUNCTIONS`.
    pub fn take(configuration: &mut impl Configuration) -> Result<Self, TooMany> {
        let mut snapshot = Self::default();
        let mut slots = snapshot.functions.iter_mut();
        let mut walk = Walk::new();
        while let Some(function) = walk.next(configuration) {
            let slot = slots.next().ok_or(TooMany)?;
            *slot = Some(Saved::of(function, configuration));
        }
        Ok(snapshot)
    }

    /// Writes it all again, in the order in which functions were found: bridges before what lies behind them. What is
    /// not there any more is passed over.
    pub fn restore(&self, configuration: &mut impl Configuration) {
        for saved in self.functions.iter().flatten() {
            saved.restore(configuration);
        }
    }
}

impl Saved {
    fn of(function: Function, configuration: &mut impl Configuration) -> Self {
        let mut space = Space { configuration, address: function.address };
        let [_, _, header, _] = space.read(register::HEADER).to_le_bytes();
        let is_bridge = header & 0x7F == 1;
        let mut values = [0; VALUES];
        for (value, &offset) in values.iter_mut().zip(registers(is_bridge)) {
            *value = space.read(offset) & written(offset, is_bridge);
        }
        let id = space.read(register::ID);
        let mut chipset = [0; CHIPSET_VALUES];
        for (value, &offset) in chipset.iter_mut().zip(chipset_registers(id)) {
            *value = space.read(offset);
        }
        let mut msix = None;
        space.capabilities(|_, capability| {
            if capability.head.to_le_bytes()[0] == MSI_X {
                msix.get_or_insert((capability.offset, capability.head));
            }
        });
        Self {
            address: function.address,
            id,
            command: space.read(register::COMMAND_STATUS) & 0xFFFF,
            is_bridge,
            values,
            chipset,
            msix,
        }
    }

    fn restore(&self, configuration: &mut impl Configuration) {
        let mut space = Space { configuration, address: self.address };
        if space.read(register::ID) != self.id {
            return;
        }
        // Nothing answers while its address changes.
        space.write(register::COMMAND_STATUS, 0);
        for (&value, &offset) in self.values.iter().zip(registers(self.is_bridge)) {
            space.write(offset, value);
        }
        for (&value, &offset) in self.chipset.iter().zip(chipset_registers(self.id)) {
            space.write(offset, value);
        }
        if let Some((offset, head)) = self.msix {
            space.write(offset, head);
        }
        space.write(register::COMMAND_STATUS, self.command);
    }
}

const fn registers(is_bridge: bool) -> &'static [u8] {
    if is_bridge { BRIDGE } else { DEVICE }
}

fn chipset_registers(id: u32) -> &'static [u8] {
    CHIPSETS.iter().find(|(chipset, _)| *chipset == id).map_or(&[], |(_, registers)| registers)
}

const _: () = assert!(DEVICE.len() <= VALUES && BRIDGE.len() <= VALUES);

#[cfg(test)]
mod tests {
    use super::super::fake::Bus;
    use super::*;

    const BRIDGE_AT: Address = Address { bus: 0, device: 2, function: 0 };
    const ISA_AT: Address = Address { bus: 0, device: 1, function: 0 };
    const BEHIND: Address = Address { bus: 5, device: 0, function: 0 };

    /// A bridge to ISA, a bridge to bus 5, and a console behind it, each register with a value of its own.
    fn machine() -> Bus {
        let mut bus = Bus::default();
        for (address, id, header) in [
            (ISA_AT, 0x2918_8086, 0x00),
            (BRIDGE_AT, 0x000C_1B36, 0x01),
            (BEHIND, 0x1043_1AF4, 0x00),
        ] {
            let space = bus.function(address);
            for (value, offset) in space.iter_mut().zip((0u32..).step_by(4)) {
                *value = 0x0100_0000 | u32::from(address.bus) << 8 | offset;
            }
            space[0] = id;
            space[1] = 0xFFFF_0007;
            space[3] = header << 16 | 0x4010;
        }
        bus.function(BRIDGE_AT)[6] = 0x0007_0500;
        let console = bus.function(BEHIND);
        console[13] = 0x98;
        console[0x98 / 4] = 0x8002_0011;
        bus
    }

    #[test]
    fn what_was_written_is_written_again_and_nothing_else() {
        let mut bus = machine();
        let snapshot = Snapshot::<3>::take(&mut bus).unwrap();
        for (address, written) in [
            (ISA_AT, [DEVICE, &[0x40, 0x44, 0x60, 0x68]].concat()),
            (BRIDGE_AT, BRIDGE.to_vec()),
            (BEHIND, [DEVICE, &[0x98]].concat()),
        ] {
            let before = *bus.function(address);
            let space = bus.function(address);
            for value in &mut space[1..] {
                *value = 0;
            }
            snapshot.restore(&mut bus);
            let after = *bus.function(address);
            assert_eq!(after[1], 0x0007, "the command, and no status");
            for offset in (8..=255u8).step_by(4) {
                let index = usize::from(offset / 4);
                let is_bridge = address == BRIDGE_AT;
                let expected = if written.contains(&offset) {
                    before[index] & super::written(offset, is_bridge)
                } else {
                    0
                };
                assert_eq!(after[index], expected, "{address:?} {offset:#x}");
            }
        }
    }

    #[test]
    fn a_bridge_comes_before_what_lies_behind_it() {
        // Bus 5 is only there while the bridge leads to it.
        struct Bridged(Bus);
        impl Bridged {
            fn leads_to(&mut self, address: Address) -> bool {
                address.bus == 0 || self.0.function(BRIDGE_AT)[6] >> 8 & 0xFF == address.bus.into()
            }
        }
        impl Configuration for Bridged {
            fn read_u32(&mut self, address: Address, offset: u8) -> u32 {
                if self.leads_to(address) { self.0.read_u32(address, offset) } else { u32::MAX }
            }
            fn write_u32(&mut self, address: Address, offset: u8, value: u32) {
                if self.leads_to(address) {
                    self.0.write_u32(address, offset, value);
                }
            }
        }
        let mut bus = Bridged(machine());
        let snapshot = Snapshot::<8>::take(&mut bus).unwrap();
        bus.0.function(BRIDGE_AT)[6] = 0;
        bus.0.function(BEHIND)[4] = 0;
        snapshot.restore(&mut bus);
        assert_eq!(bus.0.function(BRIDGE_AT)[6], 0x0007_0500);
        assert_ne!(bus.0.function(BEHIND)[4], 0);
    }

    #[test]
    fn a_machine_that_has_changed_is_left_as_it_is() {
        let mut bus = machine();
        assert_eq!(Snapshot::<2>::take(&mut bus).map(|_| ()), Err(TooMany));
        let snapshot = Snapshot::<3>::take(&mut bus).unwrap();
        *bus.function(BEHIND) = [0x1041_1AF4; 64];
        snapshot.restore(&mut bus);
        assert_eq!(*bus.function(BEHIND), [0x1041_1AF4; 64]);
    }
}
