//! PCI configuration space through the ports 0xCF8 and 0xCFC.
//!
//! PCI Local Bus 3.0 §3.2.2.3.2, "configuration mechanism #1": every PC chipset has it, q35 beside
//! its memory-mapped window. What is found there, buses, bridges and devices, is for `hal-virtio`
//! to walk.

use crate::ports::{Hardware, Ports};

const CONFIG_ADDRESS: u16 = 0xcf8;
const CONFIG_DATA: u16 = 0xcfc;
const ENABLE: u32 = 1 << 31;

/// The two configuration ports.
#[derive(Clone, Debug)]
pub struct ConfigurationPorts<P = Hardware> {
    ports: P,
}

impl<P: Ports> ConfigurationPorts<P> {
    /// Configuration space as reached through `ports`.
    pub const fn new(ports: P) -> Self {
        Self { ports }
    }

    /// Whether a host bridge answers: the address register of mechanism #1 keeps what is written to
    /// it.
    ///
    /// QEMU's microvm without PCI has no such register, and reads as all ones.
    pub fn present(&self) -> bool {
        let before = self.ports.read_u32(CONFIG_ADDRESS);
        self.ports.write_u32(CONFIG_ADDRESS, ENABLE);
        let present = self.ports.read_u32(CONFIG_ADDRESS) == ENABLE;
        self.ports.write_u32(CONFIG_ADDRESS, before);
        present
    }

    /// Reads the 32 bits at `offset`, rounded down to a multiple of four. A function that does not
    /// exist reads as all ones.
    ///
    /// `device` counts to 31 and `function` to 7; their higher bits are ignored.
    pub fn read_u32(&self, bus: u8, device: u8, function: u8, offset: u8) -> u32 {
        self.ports.write_u32(CONFIG_ADDRESS, address(bus, device, function, offset));
        self.ports.read_u32(CONFIG_DATA)
    }

    /// Writes the 32 bits at `offset`, rounded down to a multiple of four.
    pub fn write_u32(&mut self, bus: u8, device: u8, function: u8, offset: u8, value: u32) {
        self.ports.write_u32(CONFIG_ADDRESS, address(bus, device, function, offset));
        self.ports.write_u32(CONFIG_DATA, value);
    }
}

fn address(bus: u8, device: u8, function: u8, offset: u8) -> u32 {
    ENABLE
        | u32::from(bus) << 16
        | u32::from(device & 0x1f) << 11
        | u32::from(function & 0x7) << 8
        | u32::from(offset & 0xfc)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::Machine;

    #[test]
    fn addresses_have_the_layout_of_mechanism_1() {
        for (bus, device, function, offset, expected) in [
            (0, 0, 0, 0, 0x8000_0000),
            (1, 2, 3, 0x10, 0x8001_1310),
            (0xff, 0x1f, 7, 0xff, 0x80ff_fffc),
            (0, 0x20, 8, 3, 0x8000_0000),
        ] {
            assert_eq!(address(bus, device, function, offset), expected);
        }
    }

    #[test]
    fn registers_go_through_the_two_ports() {
        let machine = Machine::new();
        machine.answer(CONFIG_DATA, 0x1af4_1003);
        let mut configuration = ConfigurationPorts::new(&machine);
        assert_eq!(configuration.read_u32(0, 3, 0, 0), 0x1af4_1003);
        configuration.write_u32(0, 3, 0, 4, 6);
        let expected =
            [(CONFIG_ADDRESS, 0x8000_1800), (CONFIG_ADDRESS, 0x8000_1804), (CONFIG_DATA, 6)];
        assert_eq!(machine.writes(), expected);
    }

    #[test]
    fn a_machine_without_a_host_bridge_is_noticed() {
        let machine = Machine::new();
        assert!(!ConfigurationPorts::new(&machine).present());
        machine.remember(CONFIG_ADDRESS);
        assert!(ConfigurationPorts::new(&machine).present());
    }
}
