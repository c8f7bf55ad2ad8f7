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
