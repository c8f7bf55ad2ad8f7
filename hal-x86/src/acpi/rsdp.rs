//! The root pointer, RSDP (§5.2.5): where the list of tables is.

use crate::acpi::{sums_to_zero, u8_at, u16_at, u32_at, u64_at};
use crate::memory::PhysicalMemory;

/// Length of the structure of revision 0, which the first checksum covers.
const LENGTH_0: usize = 20;
/// Length from revision 2 on.
const LENGTH_2: usize = 36;
/// A pointer that claims to be longer is not one.
const MAX_LENGTH: usize = 256;

/// Real-mode segment of the extended BIOS data area, in the BIOS data area.
const EBDA_SEGMENT: u64 = 0x40e;
/// BIOS ROM space, where §5.2.5.1 has the pointer on a 16-byte boundary.
const BIOS: u64 = 0xe_0000;
const BIOS_LENGTH: usize = 0x2_0000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RootPointer {
    pub(super) rsdt: u64,
    /// From revision 2 on.
    pub(super) xsdt: Option<u64>,
}

/// The root pointer at `hint`, else the first good one where BIOSes put it.
pub(super) fn find(memory: &impl PhysicalMemory, hint: Option<u64>) -> Option<RootPointer> {
    hint.and_then(|address| at(memory, address))
        .or_else(|| {
            let segment = memory.bytes(EBDA_SEGMENT, 2).and_then(|bytes| u16_at(bytes, 0))?;
            scan(memory, u64::from(segment) << 4, 1024)
        })
        .or_else(|| scan(memory, BIOS, BIOS_LENGTH))
}

fn scan(memory: &impl PhysicalMemory, start: u64, length: usize) -> Option<RootPointer> {
    (start..).step_by(16).take(length / 16).find_map(|address| at(memory, address))
}

fn at(memory: &impl PhysicalMemory, address: u64) -> Option<RootPointer> {
    let bytes = memory.bytes(address, LENGTH_0)?;
    if !bytes.starts_with(b"RSD PTR ") || !sums_to_zero(bytes) {
        return None;
    }
    let rsdt = u64::from(u32_at(bytes, 16)?);
    if u8_at(bytes, 15)? < 2 {
        return Some(RootPointer { rsdt, xsdt: None });
    }
    let length = usize::try_from(u32_at(memory.bytes(address, LENGTH_2)?, 20)?).ok()?;
    if !(LENGTH_2..=MAX_LENGTH).contains(&length) {
        return None;
    }
    let bytes = memory.bytes(address, length)?;
    if !sums_to_zero(bytes) {
        return None;
    }
    Some(RootPointer { rsdt, xsdt: u64_at(bytes, 24).filter(|&xsdt| xsdt != 0) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::Machine;
    use std::vec;
    use std::vec::Vec;

    fn balance(bytes: &mut [u8], checksum: usize) {
        bytes[checksum] = 0;
        let sum = bytes.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
        bytes[checksum] = sum.wrapping_neg();
    }

    fn pointer(revision: u8) -> Vec<u8> {
        let mut bytes = b"RSD PTR \0QEMU  ".to_vec();
        bytes.push(revision);
        bytes.extend(0x1000u32.to_le_bytes());
        balance(&mut bytes, 8);
        if revision >= 2 {
            bytes.extend(36u32.to_le_bytes());
            bytes.extend(0x2000u64.to_le_bytes());
            bytes.extend([0; 4]);
            balance(&mut bytes, 32);
        }
        bytes
    }

    const OLD: RootPointer = RootPointer { rsdt: 0x1000, xsdt: None };
    const NEW: RootPointer = RootPointer { rsdt: 0x1000, xsdt: Some(0x2000) };

    #[test]
    fn found_by_hint_in_the_ebda_and_in_the_bios() {
        for (revision, expected) in [(0, OLD), (2, NEW)] {
            let hinted = Machine::with_memory(vec![(0x7_1234, pointer(revision))]);
            assert_eq!(find(&hinted, Some(0x7_1234)), Some(expected));
            assert_eq!(find(&hinted, None), None);

            let mut ebda = vec![0; 1024];
            ebda[0x3c0..][..20].copy_from_slice(&pointer(revision)[..20]);
            if revision == 2 {
                ebda[0x3c0..][..36].copy_from_slice(&pointer(revision));
            }
            let machine = Machine::with_memory(vec![(0x40e, vec![0xc0, 0x9f]), (0x9_fc00, ebda)]);
            assert_eq!(find(&machine, Some(0x5000)), Some(expected));

            let mut bios = vec![0xff; BIOS_LENGTH];
            bios[0x1_fff0 - 0x20..][..pointer(revision).len()].copy_from_slice(&pointer(revision));
            let machine = Machine::with_memory(vec![(BIOS, bios)]);
            assert_eq!(find(&machine, None), Some(expected));
        }
    }

    #[test]
    fn damaged_pointers_are_passed_over() {
        for revision in [0, 2] {
            let good = pointer(revision);
            for byte in 0..good.len() {
                let mut bad = good.clone();
                bad[byte] ^= 0x10;
                let machine = Machine::with_memory(vec![(0x5000, bad)]);
                assert_eq!(find(&machine, Some(0x5000)), None, "revision {revision}, byte {byte}");
            }
            for length in 0..good.len() {
                let machine = Machine::with_memory(vec![(0x5000, good[..length].to_vec())]);
                assert_eq!(find(&machine, Some(0x5000)), None);
            }
        }
        assert_eq!(find(&Machine::new(), Some(u64::MAX)), None);
    }
}
