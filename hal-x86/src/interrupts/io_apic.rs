//! An I/O APIC: which interrupt line becomes which vector.
//!
//! Intel 82093AA data sheet.

use crate::acpi::{Gsi, IoApic, Polarity};
use crate::memory::Registers;

/// The register that selects one.
const INDEX: u64 = 0x00;
/// The register selected.
const WINDOW: u64 = 0x10;

const VERSION: u32 = 0x01;
/// Redirection entries follow, two registers each.
const REDIRECTIONS: u32 = 0x10;

const MASKED: u32 = 1 << 16;
const ACTIVE_LOW: u32 = 1 << 13;

/// Where an input leads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    input: u32,
    low: u32,
    high: u32,
}

#[derive(Debug)]
pub(super) struct Redirections<R> {
    registers: R,
    unit: IoApic,
    inputs: u32,
}

impl<R: Registers> Redirections<R> {
    /// The controller `unit` with all its inputs masked; `None` where nothing answers.
    pub(super) fn new(registers: R, unit: IoApic) -> Option<Self> {
        let mut redirections = Self { registers, unit, inputs: 0 };
        let version = redirections.read(VERSION);
        if version == u32::MAX {
            return None;
        }
        // > Bits 23:16, Maximum Redirection Entry: … the entry number (0 being the lowest entry) of
        // > the highest entry.
        redirections.inputs = (version >> 16 & 0xff) + 1;
        redirections.mask_all();
        Some(redirections)
    }

    /// Masks all inputs.
    pub(super) fn mask_all(&self) {
        for input in 0..self.inputs {
            self.write(REDIRECTIONS + 2 * input, MASKED);
        }
    }

    /// The entries of the inputs that are not masked.
    pub(super) fn entries(&self) -> impl Iterator<Item = Entry> {
        (0..self.inputs).filter_map(|input| {
            let low = self.read(REDIRECTIONS + 2 * input);
            let high = self.read(REDIRECTIONS + 2 * input + 1);
            (low & MASKED == 0).then_some(Entry { input, low, high })
        })
    }

    /// Writes an entry that was read before.
    pub(super) fn restore(&self, entry: Entry) {
        self.write(REDIRECTIONS + 2 * entry.input + 1, entry.high);
        self.write(REDIRECTIONS + 2 * entry.input, entry.low);
    }

    /// Sends `gsi` to the processor `destination` as `vector`, edge-triggered. False where the
    /// input is another unit's.
    pub(super) fn enable(&self, gsi: Gsi, vector: u8, destination: u8) -> bool {
        let Some(input) =
            gsi.number.checked_sub(self.unit.gsi_base).filter(|&input| input < self.inputs)
        else {
            return false;
        };
        let polarity = match gsi.polarity {
            Polarity::ActiveHigh => 0,
            Polarity::ActiveLow => ACTIVE_LOW,
        };
        // The destination first: the write of the lower half is what unmasks.
        self.write(REDIRECTIONS + 2 * input + 1, u32::from(destination) << 24);
        self.write(REDIRECTIONS + 2 * input, u32::from(vector) | polarity);
        true
    }

    fn read(&self, index: u32) -> u32 {
        let base = u64::from(self.unit.address);
        self.registers.write_u32(base + INDEX, index);
        self.registers.read_u32(base + WINDOW)
    }

    fn write(&self, index: u32, value: u32) {
        let base = u64::from(self.unit.address);
        self.registers.write_u32(base + INDEX, index);
        self.registers.write_u32(base + WINDOW, value);
    }
}
