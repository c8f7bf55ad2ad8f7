//! The firmware ACPI control structure, FACS (§5.2.10): where the firmware goes after a sleep.
//!
//! The only one of the tables that a guest writes to.

use crate::acpi::u32_at;
use crate::memory::{PhysicalMemory, Registers};

/// Offsets of fields, §5.2.10 table 5.12.
mod field {
    pub(super) const LENGTH: usize = 4;
    pub(super) const FIRMWARE_WAKING_VECTOR: u64 = 12;
    pub(super) const X_FIRMWARE_WAKING_VECTOR: u64 = 24;
}

/// It has 64 bytes or more, and lies on a boundary of 64.
const LENGTH: usize = 64;
/// One that claims to be longer is not one.
const MAX_LENGTH: usize = 4096;

/// The FACS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facs {
    address: u64,
}

impl Facs {
    /// The structure at `address`, if it is one. It has no checksum.
    pub(crate) fn at(memory: &impl PhysicalMemory, address: u64) -> Option<Self> {
        let bytes = memory.bytes(address, LENGTH).filter(|bytes| bytes.starts_with(b"FACS"))?;
        let length = usize::try_from(u32_at(bytes, field::LENGTH)?).ok()?;
        let is_whole = (LENGTH..=MAX_LENGTH).contains(&length) && address.is_multiple_of(64);
        is_whole.then_some(Self { address })
    }

    /// Whether any of it lies in the `length` bytes at `start`.
    pub(crate) const fn overlaps(self, start: u64, length: u64) -> bool {
        self.address < start + length && start < self.address + LENGTH as u64
    }

    /// Tells the firmware where to go in real mode when the machine wakes up; 0 for nowhere, which
    /// makes it start anew.
    pub fn set_waking_vector(&self, memory: &impl Registers, vector: u32) {
        // Where the wide vector is set the firmware may go there, and in protected mode.
        memory.write_u32(self.address + field::X_FIRMWARE_WAKING_VECTOR, 0);
        memory.write_u32(self.address + field::X_FIRMWARE_WAKING_VECTOR + 4, 0);
        memory.write_u32(self.address + field::FIRMWARE_WAKING_VECTOR, vector);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::Machine;
    use std::vec;
    use std::vec::Vec;

    fn structure(length: u32) -> Vec<u8> {
        let mut bytes = b"FACS".to_vec();
        bytes.extend(length.to_le_bytes());
        bytes.resize(LENGTH, 0);
        bytes
    }

    #[test]
    fn only_a_whole_structure_in_readable_memory_is_one() {
        let mut unsigned = structure(64);
        unsigned[0] = b'f';
        for (address, bytes, is_one) in [
            (0x7_0000, structure(64), true),
            (0x7_0040, structure(128), true),
            (0x7_0000, structure(63), false),
            (0x7_0000, structure(0), false),
            (0x7_0000, structure(u32::MAX), false),
            (0x7_0020, structure(64), false),
            (0x7_0000, unsigned, false),
            (0x7_0000, structure(64)[..63].to_vec(), false),
        ] {
            let machine = Machine::with_memory(vec![(address, bytes)]);
            assert_eq!(Facs::at(&machine, address).is_some(), is_one, "{address:#x}");
            assert_eq!(Facs::at(&machine, u64::MAX), None);
        }
    }

    #[test]
    fn knows_where_it_is() {
        let facs = Facs { address: 0x8000 - 64 };
        assert!(!facs.overlaps(0x8000, 0x1000));
        assert!(Facs { address: 0x8000 }.overlaps(0x8000, 0x1000));
        assert!(Facs { address: 0x8fc0 }.overlaps(0x8000, 0x1000));
        assert!(!Facs { address: 0x9000 }.overlaps(0x8000, 0x1000));
    }

    #[test]
    fn the_vector_is_for_real_mode() {
        let machine = Machine::new();
        Facs { address: 0x7_0000 }.set_waking_vector(&&machine, 0x8000);
        assert_eq!(machine.memory_writes(), [(0x7_0018, 0), (0x7_001c, 0), (0x7_000c, 0x8000)]);
    }
}
