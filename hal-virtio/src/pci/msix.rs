//! How a device's interrupts arrive: as one message for everything, or on a line
//!
//! The embedding's interrupts only wake the CPU, so one MSI-X vector serves the configuration and all queues.

use core::ops::Range;

use safe_mmio::fields::ReadPureWrite;
use safe_mmio::{UniqueMmioPointer, field};

use super::capability::{Capability, Location, Space};
use super::transport::words;
use super::{Configuration, OpenError, register};

/// A message-signalled interrupt: what the device writes, and where. On x86 the address selects the CPU's local APIC
/// and the data holds the vector (Intel SDM volume 3, "Message Signalled Interrupts").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Message {
    /// Where the device writes.
    pub address: u64,
    /// What it writes.
    pub data: u32,
}

/// How the interrupts of an opened device arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Interrupt {
    /// As the message that was given.
    Message,
    /// On the PCI interrupt line that firmware has routed to this number of the legacy interrupt controller. Boards
    /// that use an I/O APIC may have to translate it: on QEMU's pc the inputs have the same numbers, on q35 they are 16 to
    /// 23. The line may be shared, and is level-triggered: an edge-triggered input works if every device on it is polled.
    Line(u8),
    /// Not at all: there is neither MSI-X nor a line, or the device refused a vector. It has to be polled.
    None,
}

/// The entry of a device's MSI-X table that is used, and what it holds.
pub(super) struct Vector {
    entry: UniqueMmioPointer<'static, Entry>,
    message: Message,
}

/// An entry of the MSI-X table, PCI 3.0 §6.8.2.
#[repr(C)]
struct Entry {
    address_low: ReadPureWrite<u32>,
    address_high: ReadPureWrite<u32>,
    data: ReadPureWrite<u32>,
    control: ReadPureWrite<u32>,
}

const ENTRY_BYTES: u32 = 16;
/// Bit of an entry's control: the vector is masked.
const ENTRY_MASKED: u32 = 1 << 0;
/// Bits of the capability's first double word: MSI-X is enabled, all vectors are masked.
const ENABLE: u32 = 1 << 31;
const MASK_ALL: u32 = 1 << 30;
/// Bit of the command register: the interrupt line is not used.
const COMMAND_LINE_DISABLED: u32 = 1 << 10;
/// The upper half, status bits that are cleared by writing ones.
const STATUS: u32 = 0xFFFF_0000;

impl Vector {
    /// Writes the entry. A reset of the whole machine clears it.
    pub(super) fn write(&mut self) {
        // An entry has to be masked while it changes (PCI 3.0 §6.8.3.5).
        field!(self.entry, control).write(ENTRY_MASKED);
        let [low, high] = words(self.message.address);
        field!(self.entry, address_low).write(low);
        field!(self.entry, address_high).write(high);
        field!(self.entry, data).write(self.message.data);
        field!(self.entry, control).write(0);
    }
}

/// Directs the device's interrupts to `message` if it has MSI-X and a message was given, else to its line.
pub(super) fn configure<C: Configuration>(
    space: &mut Space<'_, C>,
    capability: Option<Capability>,
    message: Option<Message>,
    windows: &[Range<u64>],
) -> Result<(Interrupt, Option<Vector>), OpenError> {
    let command = space.read(register::COMMAND_STATUS) & !STATUS;
    if let Some(capability) = capability {
        let Some(message) = message else {
            // Firmware may have left it on, in which case the line would stay silent.
            space.write(capability.offset, capability.head & !ENABLE);
            return Ok((line(space, command), None));
        };
        let table = space.read_capability(capability, 1).ok_or(OpenError::OutOfWindow)?;
        let location = Location {
            bar: table.to_le_bytes()[0] & 0b111,
            offset: table & !0b111,
            len: ENTRY_BYTES,
        };
        let mut vector = Vector { entry: space.registers::<Entry>(location, windows)?, message };
        vector.write();
        space.write(register::COMMAND_STATUS, command | COMMAND_LINE_DISABLED);
        space.write(capability.offset, capability.head & !MASK_ALL | ENABLE);
        return Ok((Interrupt::Message, Some(vector)));
    }
    Ok((line(space, command), None))
}

fn line<C: Configuration>(space: &mut Space<'_, C>, command: u32) -> Interrupt {
    space.write(register::COMMAND_STATUS, command & !COMMAND_LINE_DISABLED);
    // On x86 the number of an input of the two 8259, or 255 for none; firmware writes it (PCI 3.0 §6.2.4).
    let [line, pin, ..] = space.read(register::INTERRUPT).to_le_bytes();
    if pin == 0 || line == 0xFF { Interrupt::None } else { Interrupt::Line(line) }
}
