//! The multiple APIC description table, MADT (§5.2.12): which interrupt controllers and processors
//! there are.

use crate::acpi::{u8_at, u16_at, u32_at, u64_at};

/// Entries start here, after the local APIC's address and the flags.
const ENTRIES: usize = 44;

const LOCAL_APIC: u8 = 0;
const IO_APIC: u8 = 1;
const SOURCE_OVERRIDE: u8 = 2;
const LOCAL_APIC_ADDRESS_OVERRIDE: u8 = 5;
const LOCAL_X2APIC: u8 = 9;

/// The MADT.
#[derive(Clone, Copy, Debug)]
pub struct Madt<'m> {
    table: &'m [u8],
}

/// An I/O APIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IoApic {
    /// Physical address of its registers.
    pub address: u32,
    /// The global system interrupt of its first input.
    pub gsi_base: u32,
}

/// A global system interrupt: an input of an I/O APIC, counted through all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gsi {
    /// Its number.
    pub number: u32,
    /// Which level of the line means an interrupt.
    pub polarity: Polarity,
}

/// Which level of an interrupt line means an interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Polarity {
    /// High: the ISA bus.
    ActiveHigh,
    /// Low: PCI's `INTx` on real hardware.
    ActiveLow,
}

impl<'m> Madt<'m> {
    /// `table` is the whole table, checked.
    pub(super) const fn new(table: &'m [u8]) -> Self {
        Self { table }
    }

    /// Physical address of every processor's local APIC.
    pub fn local_apic(&self) -> Option<u64> {
        let wide = self.entries().find(|entry| entry.first() == Some(&LOCAL_APIC_ADDRESS_OVERRIDE));
        wide.and_then(|entry| u64_at(entry, 4)).or_else(|| u32_at(self.table, 36).map(u64::from))
    }

    /// The I/O APICs.
    pub const fn io_apics(&self) -> IoApics<'m> {
        IoApics { entries: self.entries() }
    }

    /// The local APIC identifiers of the processors that there are, in the order of the table.
    ///
    /// > Enabled: If this bit is set the processor is ready for use. (§5.2.12.2, table 5.23)
    ///
    /// Others, online-capable or not, are places where one may be plugged in later.
    pub const fn processors(&self) -> LocalApics<'m> {
        LocalApics { entries: self.entries() }
    }

    /// The global system interrupt that the ISA interrupt `irq` arrives as.
    ///
    /// > It is assumed that the ISA interrupts will be identity-mapped into the first I/O APIC
    /// > sources. (§5.2.12.5)
    ///
    /// An interrupt source override says otherwise.
    pub fn isa(&self, irq: u8) -> Gsi {
        const ISA: u8 = 0;
        const POLARITY: u16 = 0b11;
        const ACTIVE_LOW: u16 = 0b11;
        let find = |entry: &'m [u8]| {
            let found = entry.first() == Some(&SOURCE_OVERRIDE)
                && u8_at(entry, 2) == Some(ISA)
                && u8_at(entry, 3) == Some(irq);
            if !found {
                return None;
            }
            let polarity = match u16_at(entry, 8)? & POLARITY {
                ACTIVE_LOW => Polarity::ActiveLow,
                _ => Polarity::ActiveHigh,
            };
            Some(Gsi { number: u32_at(entry, 4)?, polarity })
        };
        self.entries().find_map(find).unwrap_or_else(|| Gsi::isa(irq))
    }

    const fn entries(&self) -> Entries<'m> {
        Entries {
            rest: match self.table.split_at_checked(ENTRIES) {
                Some((_, rest)) => rest,
                None => &[],
            },
        }
    }
}

impl Gsi {
    /// The ISA interrupt `irq` of a machine without source overrides.
    pub fn isa(irq: u8) -> Self {
        Self { number: irq.into(), polarity: Polarity::ActiveHigh }
    }
}

/// Iterator over the I/O APICs of a [`Madt`].
#[derive(Clone, Debug)]
pub struct IoApics<'m> {
    entries: Entries<'m>,
}

impl Iterator for IoApics<'_> {
    type Item = IoApic;

    fn next(&mut self) -> Option<IoApic> {
        self.entries.find_map(|entry| {
            if entry.first() != Some(&IO_APIC) {
                return None;
            }
            Some(IoApic { address: u32_at(entry, 4)?, gsi_base: u32_at(entry, 8)? })
        })
    }
}

/// Iterator over the identifiers of the enabled local APICs of a [`Madt`].
#[derive(Clone, Debug)]
pub struct LocalApics<'m> {
    entries: Entries<'m>,
}

impl Iterator for LocalApics<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        const ENABLED: u32 = 1 << 0;
        self.entries.find_map(|entry| {
            let (id, flags) = match *entry.first()? {
                LOCAL_APIC => (u8_at(entry, 3)?.into(), u32_at(entry, 4)?),
                LOCAL_X2APIC => (u32_at(entry, 4)?, u32_at(entry, 8)?),
                _ => return None,
            };
            (flags & ENABLED != 0).then_some(id)
        })
    }
}

/// The variable part: entries of a type byte, a length byte, and the rest of that length.
#[derive(Clone, Debug)]
struct Entries<'m> {
    rest: &'m [u8],
}

impl<'m> Iterator for Entries<'m> {
    type Item = &'m [u8];

    fn next(&mut self) -> Option<&'m [u8]> {
        let length = usize::from(u8_at(self.rest, 1)?);
        if length < 2 {
            // It would never end.
            return None;
        }
        let (entry, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;
    use std::vec::Vec;

    fn table(entries: &[&[u8]]) -> Vec<u8> {
        let mut table = vec![0; 36];
        table.extend(0xfee0_0000u32.to_le_bytes());
        table.extend(1u32.to_le_bytes());
        table.extend(entries.concat());
        table
    }

    #[test]
    fn controllers_and_overrides_are_found() {
        let table = table(&[
            &[0, 8, 0, 0, 1, 0, 0, 0],
            &[1, 12, 0, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0],
            &[2, 10, 0, 0, 2, 0, 0, 0, 0, 0],
            &[2, 10, 0, 9, 9, 0, 0, 0, 0x0f, 0],
            &[1, 12, 1, 0, 0, 0x10, 0xc0, 0xfe, 24, 0, 0, 0],
        ]);
        let madt = Madt::new(&table);
        assert_eq!(madt.local_apic(), Some(0xfee0_0000));
        let found: Vec<_> = madt.io_apics().collect();
        let first = IoApic { address: 0xfec0_0000, gsi_base: 0 };
        assert_eq!(found, [first, IoApic { address: 0xfec0_1000, gsi_base: 24 }]);
        for (irq, number, polarity) in [
            (0, 2, Polarity::ActiveHigh),
            (4, 4, Polarity::ActiveHigh),
            (9, 9, Polarity::ActiveLow),
        ] {
            assert_eq!(madt.isa(irq), Gsi { number, polarity });
        }
    }

    #[test]
    fn processors_are_those_that_are_enabled() {
        const X2: [u8; 8] = [9, 16, 0, 0, 0x34, 0x12, 0, 0];
        for (entries, expected) in [
            (&[&[0u8, 8, 0, 5, 1, 0, 0, 0][..], &[0, 8, 1, 2, 1, 0, 0, 0]][..], &[5, 2][..]),
            // A place for another one: not enabled, online-capable or not.
            (&[&[0, 8, 0, 0, 1, 0, 0, 0], &[0, 8, 1, 1, 0, 0, 0, 0]], &[0]),
            (&[&[0, 8, 0, 0, 1, 0, 0, 0], &[0, 8, 1, 1, 2, 0, 0, 0]], &[0]),
            (&[&[&X2[..], &[1, 0, 0, 0, 7, 0, 0, 0]].concat()], &[0x1234]),
            (&[&[&X2[..], &[2, 0, 0, 0, 7, 0, 0, 0]].concat()], &[]),
            // Too short for what they are: passed over.
            (&[&[0, 7, 0, 3, 1, 0, 0], &[9, 8, 0, 0, 1, 0, 0, 0], &[0, 8, 0, 1, 1, 0, 0, 0]], &[1]),
            // The end of the table, or an entry without a length, amid the list.
            (&[&[0, 8, 0, 0, 1, 0, 0, 0], &[0, 8, 1, 1, 1, 0, 0]], &[0]),
            (&[&[0, 8, 0, 0, 1, 0, 0, 0], &[0, 0], &[0, 8, 1, 1, 1, 0, 0, 0]], &[0]),
        ] {
            let table = table(entries);
            let found: Vec<_> = Madt::new(&table).processors().collect();
            assert_eq!(found, expected, "{entries:x?}");
        }
    }

    #[test]
    fn the_local_apic_may_be_elsewhere() {
        let table = table(&[&[5, 12, 0, 0, 0, 0, 0, 0xe0, 1, 0, 0, 0]]);
        assert_eq!(Madt::new(&table).local_apic(), Some(0x1_e000_0000));
    }

    #[test]
    fn broken_entries_end_the_walk() {
        for entry in [&[1u8, 0, 0, 0][..], &[1, 1], &[1], &[1, 200, 0], &[]] {
            assert_eq!(Madt::new(&table(&[entry])).io_apics().count(), 0, "{entry:?}");
        }
        // An entry shorter than its type needs is passed over.
        let short = table(&[&[1, 4, 0, 0], &[2, 4, 0, 9]]);
        assert_eq!(Madt::new(&short).io_apics().count(), 0);
        assert_eq!(Madt::new(&short).isa(9), Gsi::isa(9));
        assert_eq!(Madt::new(&[]).local_apic(), None);
    }
}
