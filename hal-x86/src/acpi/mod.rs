//! ACPI tables: found, checked, and read as far as an agent needs them.
//!
//! ```text
//! rsdp     root pointer, from the boot protocol or by scan
//! (here)   Tables: XSDT or RSDT, any table by its signature, checksums
//! fadt     fixed hardware: timers, sleep and reset registers
//! madt     interrupt controllers, processors
//! aml      what of the DSDT can be found without an interpreter: sleep types, virtio-mmio
//! sleep    how to enter a sleep state, and how to reset
//! facs     where the firmware goes after a sleep
//! ```
//!
//! The host writes these tables, so every number in them is checked: lengths against what is
//! mapped, walks against a bound. Sections cited are those of ACPI 6.5.

mod aml;
mod facs;
mod fadt;
mod madt;
mod rsdp;
mod sleep;

pub use aml::{VirtioMmio, VirtioMmioDevices};
pub use facs::Facs;
pub use fadt::{Fadt, Register};
pub use madt::{Gsi, IoApic, IoApics, LocalApics, Madt, Polarity};
pub use sleep::{Pm1, ResetRegister, SleepRegisters, SleepState, SleepTypes};

use crate::memory::PhysicalMemory;

/// Bytes of the header that every table starts with (§5.2.6).
const HEADER: usize = 36;
/// Larger tables are not looked at. QEMU's largest, a DSDT with hundreds of hot-plug slots, is some
/// 100 KiB.
const MAX_TABLE: usize = 1 << 20;
/// Tables that the XSDT or RSDT may list; the rest is not looked at.
const MAX_TABLES: usize = 256;

/// Why tables could not be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum AcpiError {
    /// A table's checksum, signature or length is wrong, or its memory cannot be reached.
    BadTable,
    /// The table asked for is not listed.
    NoTable,
    /// No root pointer: a machine without ACPI.
    NoRootPointer,
}

impl core::fmt::Display for AcpiError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::BadTable => "a damaged ACPI table",
            Self::NoTable => "no such ACPI table",
            Self::NoRootPointer => "no ACPI root pointer",
        })
    }
}

impl core::error::Error for AcpiError {}

/// The tables of a machine.
#[derive(Debug)]
pub struct Tables<'m, M> {
    memory: &'m M,
    /// What follows the header of the XSDT or RSDT: physical addresses.
    entries: &'m [u8],
    entry_size: usize,
}

impl<'m, M: PhysicalMemory> Tables<'m, M> {
    /// Finds the tables: through the root pointer at `rsdp_hint`, which the boot protocol may tell,
    /// else where BIOSes put it.
    ///
    /// # Errors
    ///
    /// [`AcpiError::NoRootPointer`] on a machine without ACPI; [`AcpiError::BadTable`] where
    /// neither XSDT nor RSDT is whole.
    pub fn find(memory: &'m M, rsdp_hint: Option<u64>) -> Result<Self, AcpiError> {
        let root = rsdp::find(memory, rsdp_hint).ok_or(AcpiError::NoRootPointer)?;
        let xsdt = root.xsdt.and_then(|address| table_at(memory, address, *b"XSDT"));
        let (table, entry_size) = match xsdt {
            Some(table) => (table, 8),
            None => (table_at(memory, root.rsdt, *b"RSDT").ok_or(AcpiError::BadTable)?, 4),
        };
        Ok(Self { memory, entries: table.get(HEADER..).unwrap_or_default(), entry_size })
    }

    /// The whole tables with `signature`, header included, in the order of the listing. Damaged
    /// ones are passed over.
    pub fn all(&self, signature: [u8; 4]) -> impl Iterator<Item = &'m [u8]> + use<'m, M> {
        let memory = self.memory;
        self.entries.chunks_exact(self.entry_size).take(MAX_TABLES).filter_map(move |entry| {
            let address = match entry.len() {
                4 => u64::from(u32_at(entry, 0)?),
                _ => u64_at(entry, 0)?,
            };
            table_at(memory, address, signature)
        })
    }

    /// The fixed hardware description.
    ///
    /// # Errors
    ///
    /// [`AcpiError::NoTable`] where there is none that is whole.
    pub fn fadt(&self) -> Result<Fadt<'m>, AcpiError> {
        self.all(*b"FACP").next().map(Fadt::new).ok_or(AcpiError::NoTable)
    }

    /// The interrupt controllers.
    ///
    /// # Errors
    ///
    /// [`AcpiError::NoTable`] where there is none that is whole.
    pub fn madt(&self) -> Result<Madt<'m>, AcpiError> {
        self.all(*b"APIC").next().map(Madt::new).ok_or(AcpiError::NoTable)
    }

    /// The byte code of the main device description, which the FADT points at; without its header.
    ///
    /// # Errors
    ///
    /// [`AcpiError::NoTable`] without FADT, [`AcpiError::BadTable`] where the DSDT is damaged.
    pub fn dsdt(&self) -> Result<&'m [u8], AcpiError> {
        let addresses = self.fadt()?.dsdt();
        let mut found = addresses.into_iter().flatten();
        let table = found.find_map(|address| table_at(self.memory, address, *b"DSDT"));
        table.and_then(|table| table.get(HEADER..)).ok_or(AcpiError::BadTable)
    }

    /// The firmware's control structure, which the FADT points at.
    ///
    /// # Errors
    ///
    /// [`AcpiError::NoTable`] without FADT, [`AcpiError::BadTable`] where it points at no such
    /// structure.
    pub fn facs(&self) -> Result<Facs, AcpiError> {
        let addresses = self.fadt()?.facs();
        let mut found = addresses.into_iter().flatten();
        found.find_map(|address| Facs::at(self.memory, address)).ok_or(AcpiError::BadTable)
    }

    /// The values that a sleep state's registers take, from the package `\_S5` or `\_S3` of the
    /// DSDT or an SSDT.
    pub fn sleep_types(&self, state: SleepState) -> Option<SleepTypes> {
        let ssdts = self.all(*b"SSDT").filter_map(|table| table.get(HEADER..));
        self.dsdt().ok().into_iter().chain(ssdts).find_map(|code| aml::sleep_types(code, state))
    }

    /// The virtio-mmio devices that the DSDT describes, as QEMU's microvm does.
    pub fn virtio_mmio(&self) -> VirtioMmioDevices<'m> {
        VirtioMmioDevices::new(self.dsdt().unwrap_or_default())
    }
}

/// The whole table at `address`, if it has `signature`, a length that can be, and a good checksum.
fn table_at(memory: &impl PhysicalMemory, address: u64, signature: [u8; 4]) -> Option<&[u8]> {
    let header = memory.bytes(address, HEADER).filter(|header| header.starts_with(&signature))?;
    let length = usize::try_from(u32_at(header, 4)?).ok()?;
    if !(HEADER..=MAX_TABLE).contains(&length) {
        return None;
    }
    let table = memory.bytes(address, length)?;
    sums_to_zero(table).then_some(table)
}

/// > The entire table, including the checksum field, must add to zero to be considered valid.
/// > (§5.2.6)
fn sums_to_zero(bytes: &[u8]) -> bool {
    bytes.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)) == 0
}

fn array_at<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..)?.first_chunk().copied()
}

fn u8_at(bytes: &[u8], offset: usize) -> Option<u8> {
    bytes.get(offset).copied()
}

fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    array_at(bytes, offset).map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    array_at(bytes, offset).map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], offset: usize) -> Option<u64> {
    array_at(bytes, offset).map(u64::from_le_bytes)
}
