//! Every function on every bus that can be reached from bus 0
//!
//! Buses behind bridges (a q35's root ports) are found by the bridges' secondary bus numbers. Each bus is visited
//! once, whatever the bridges say, so a walk ends after 256 buses at most. Buses of further host bridges (QEMU's `pxb`)
//! hang on no bridge and are not found.

use virtio_drivers::transport::DeviceType;

use super::{Address, Configuration, register};

const VIRTIO_VENDOR: u16 = 0x1AF4;

/// Added to a device type for the PCI device ID of a modern device (virtio 1.2 §4.1.2.1).
const MODERN_ID_BASE: u16 = 0x1040;

const DEVICES: u8 = 32;
const FUNCTIONS: u8 = 8;

/// A walk over the functions, one at a time, so that a device can be opened in between.
#[derive(Clone, Debug)]
pub struct Walk {
    /// Buses to visit, a bit each.
    pending: [u64; 4],
    /// Buses that are or were to be visited.
    known: [u64; 4],
    /// Where to look next, on a bus that is no longer pending.
    next: Option<Address>,
}

/// A function that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Function {
    /// Where it is.
    pub address: Address,
    /// Vendor ID.
    pub vendor: u16,
    /// Device ID.
    pub device: u16,
}

impl Walk {
    /// A walk that begins on bus 0.
    pub const fn new() -> Self {
        Self { pending: [1, 0, 0, 0], known: [1, 0, 0, 0], next: None }
    }

    /// The next virtio device of the given kind, transitional or modern.
    pub fn next_virtio(
        &mut self,
        configuration: &mut impl Configuration,
        kind: DeviceType,
    ) -> Option<Address> {
        loop {
            let function = self.next(configuration)?;
            if function.virtio_kind() == Some(kind) {
                return Some(function.address);
            }
        }
    }

    /// The next function.
    pub fn next(&mut self, configuration: &mut impl Configuration) -> Option<Function> {
        loop {
            let address = match self.next.take() {
                Some(address) => address,
                None => Address { bus: self.take_pending()?, device: 0, function: 0 },
            };
            let id = configuration.read_u32(address, register::ID);
            let (device, vendor) = halves(id);
            // An absent function reads as all ones; 0 is no vendor either.
            let is_present = vendor != 0xFFFF && vendor != 0;
            let mut is_multifunction = address.function > 0;
            if is_present {
                let (header, _) = halves(configuration.read_u32(address, register::HEADER));
                is_multifunction |= header & 0x80 != 0;
                if header & 0x7F == 1 {
                    let buses = configuration.read_u32(address, register::BRIDGE_BUSES);
                    let [_primary, secondary, ..] = buses.to_le_bytes();
                    self.add(secondary);
                }
            }
            self.next = following(address, is_multifunction);
            if is_present {
                return Some(Function { address, vendor, device });
            }
        }
    }

    fn add(&mut self, bus: u8) {
        let (word, bit) = (usize::from(bus / 64), 1 << (bus % 64));
        if self.known[word] & bit == 0 {
            self.known[word] |= bit;
            self.pending[word] |= bit;
        }
    }

    fn take_pending(&mut self) -> Option<u8> {
        let bus = (0..=u8::MAX)
            .find(|&bus| self.pending[usize::from(bus / 64)] & 1 << (bus % 64) != 0)?;
        self.pending[usize::from(bus / 64)] &= !(1 << (bus % 64));
        Some(bus)
    }
}

impl Default for Walk {
    fn default() -> Self {
        Self::new()
    }
}

impl Function {
    /// The kind of virtio device that the IDs stand for, if it is one.
    pub fn virtio_kind(&self) -> Option<DeviceType> {
        if self.vendor != VIRTIO_VENDOR {
            return None;
        }
        match self.device {
            // Transitional devices, virtio 1.2 §4.1.2.1.
            0x1000 => Some(DeviceType::Network),
            0x1001 => Some(DeviceType::Block),
            0x1002 => Some(DeviceType::MemoryBalloon),
            0x1003 => Some(DeviceType::Console),
            0x1004 => Some(DeviceType::ScsiHost),
            0x1005 => Some(DeviceType::EntropySource),
            0x1009 => Some(DeviceType::_9P),
            id => DeviceType::try_from(id.checked_sub(MODERN_ID_BASE)?).ok(),
        }
    }
}

/// The address to look at after `address`, on the same bus.
fn following(address: Address, is_multifunction: bool) -> Option<Address> {
    if is_multifunction && address.function + 1 < FUNCTIONS {
        return Some(Address { function: address.function + 1, ..address });
    }
    (address.device + 1 < DEVICES).then_some(Address {
        device: address.device + 1,
        function: 0,
        ..address
    })
}

/// Upper and lower half.
fn halves(value: u32) -> (u16, u16) {
    let [a, b, c, d] = value.to_le_bytes();
    (u16::from_le_bytes([c, d]), u16::from_le_bytes([a, b]))
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::super::fake::Bus;
    use super::*;

    const NETWORK: u32 = 0x1041_1AF4;
    const CONSOLE: u32 = 0x1043_1AF4;
    const TRANSITIONAL_CONSOLE: u32 = 0x1003_1AF4;
    const MULTIFUNCTION: u32 = 0x80 << 16;
    const BRIDGE: u32 = 0x01 << 16;

    fn add(bus: &mut Bus, at: (u8, u8, u8), id: u32, header: u32, secondary: u8) {
        let (number, device, function) = at;
        let space = bus.function(Address { bus: number, device, function });
        space[0] = id;
        space[3] = header;
        space[6] = u32::from(secondary) << 8;
    }

    fn consoles(bus: &mut Bus) -> Vec<(u8, u8, u8)> {
        let mut walk = Walk::new();
        core::iter::from_fn(|| walk.next_virtio(bus, DeviceType::Console))
            .map(|address| (address.bus, address.device, address.function))
            .collect()
    }

    #[test]
    fn finds_consoles_of_both_kinds_and_behind_bridges() {
        let mut bus = Bus::default();
        add(&mut bus, (0, 0, 0), 0x1237_8086, 0, 0);
        add(&mut bus, (0, 2, 0), TRANSITIONAL_CONSOLE, 0, 0);
        add(&mut bus, (0, 3, 0), NETWORK, 0, 0);
        // A multifunction device of root ports, as libvirt makes them, and a bridge behind one.
        add(&mut bus, (0, 4, 0), 0x000C_1B36, MULTIFUNCTION | BRIDGE, 1);
        add(&mut bus, (0, 4, 5), 0x000C_1B36, MULTIFUNCTION | BRIDGE, 2);
        add(&mut bus, (2, 0, 0), 0x000E_1B36, BRIDGE, 70);
        add(&mut bus, (70, 31, 0), CONSOLE, 0, 0);
        add(&mut bus, (1, 0, 0), CONSOLE, 0, 0);
        assert_eq!(consoles(&mut bus), [(0, 2, 0), (1, 0, 0), (70, 31, 0)]);
    }

    #[test]
    fn does_not_see_functions_that_are_not_there() {
        let mut bus = Bus::default();
        // Not a multifunction device: reading function 1 may show function 0 again.
        add(&mut bus, (0, 1, 0), CONSOLE, 0, 0);
        add(&mut bus, (0, 1, 1), CONSOLE, 0, 0);
        // No bridge leads here.
        add(&mut bus, (9, 0, 0), CONSOLE, 0, 0);
        // Another vendor's, and no device.
        add(&mut bus, (0, 5, 0), 0x1043_8086, 0, 0);
        add(&mut bus, (0, 6, 0), 0, 0, 0);
        assert_eq!(consoles(&mut bus), [(0, 1, 0)]);
    }

    #[test]
    fn ends_whatever_bridges_say() {
        let mut bus = Bus::default();
        for number in 0..=u8::MAX {
            for device in 0..DEVICES {
                // To themselves, to each other, to all buses.
                let secondary = number.wrapping_mul(31).wrapping_add(device);
                add(&mut bus, (number, device, 0), 0x000C_1B36, BRIDGE, secondary);
            }
        }
        let mut walk = Walk::new();
        let mut count = 0;
        while walk.next(&mut bus).is_some() {
            count += 1;
        }
        assert_eq!(count, 256 * 32);
        assert_eq!(walk.next(&mut bus), None);
    }

    #[test]
    fn knows_the_kinds() {
        let kind = |device| {
            Function { address: Address { bus: 0, device: 0, function: 0 }, vendor: 0x1AF4, device }
                .virtio_kind()
        };
        for (device, expected) in [
            (0x1000, Some(DeviceType::Network)),
            (0x1002, Some(DeviceType::MemoryBalloon)),
            (0x1003, Some(DeviceType::Console)),
            (0x1041, Some(DeviceType::Network)),
            (0x1042, Some(DeviceType::Block)),
            (0x1043, Some(DeviceType::Console)),
            (0x103F, None),
            (0x1040, None),
            (0xFFFF, None),
            (0, None),
        ] {
            assert_eq!(kind(device), expected, "{device:#x}");
        }
    }
}
