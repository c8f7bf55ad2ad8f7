//! A PCI hierarchy in memory: configuration space that is stored, and a device's registers that do nothing

use core::ops::Range;
use std::boxed::Box;
use std::collections::BTreeMap;

use super::{Address, Configuration};

/// Configuration spaces by bus, device and function.
#[derive(Default)]
pub(super) struct Bus {
    functions: BTreeMap<(u8, u8, u8), [u32; 64]>,
    pub(super) reads: usize,
}

/// Bytes for registers, at an address that stays.
pub(super) struct Registers {
    bytes: Box<Page>,
}

#[repr(align(4096))]
struct Page([u8; 4096]);

impl Bus {
    /// The configuration space of a function, which is made if it is not there.
    pub(super) fn function(&mut self, address: Address) -> &mut [u32; 64] {
        let Address { bus, device, function } = address;
        self.functions.entry((bus, device, function)).or_insert([0; 64])
    }
}

impl Configuration for Bus {
    fn read_u32(&mut self, address: Address, offset: u8) -> u32 {
        assert!(address.device < 32 && address.function < 8 && offset.is_multiple_of(4));
        self.reads += 1;
        let Address { bus, device, function } = address;
        let space = self.functions.get(&(bus, device, function));
        space.map_or(u32::MAX, |space| space[usize::from(offset / 4)])
    }

    fn write_u32(&mut self, address: Address, offset: u8, value: u32) {
        self.function(address)[usize::from(offset / 4)] = value;
    }
}

impl Registers {
    pub(super) fn new() -> Self {
        Self { bytes: Box::new(Page([0; 4096])) }
    }

    /// The only window that a driver may use: these bytes.
    pub(super) fn window(&mut self) -> Range<u64> {
        let start = self.bytes.0.as_mut_ptr().expose_provenance() as u64;
        start..start + 4096
    }

    pub(super) fn read(&self, offset: usize, bytes: usize) -> u64 {
        (0..bytes).rev().fold(0, |value, index| {
            let place = &raw const self.bytes.0[offset + index];
            // SAFETY: the bytes are this value's; a driver under test uses pointers to them as well, in turn.
            value << 8 | u64::from(unsafe { place.read_volatile() })
        })
    }

    pub(super) fn write(&mut self, offset: usize, value: u16) {
        for (index, byte) in value.to_le_bytes().into_iter().enumerate() {
            let place = &raw mut self.bytes.0[offset + index];
            // SAFETY: as in `read`.
            unsafe { place.write_volatile(byte) };
        }
    }
}
