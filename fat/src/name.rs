//! Long names: what a path's part is, as a directory holds it.
//!
//! FAT §"FAT Long Directory Entries": UTF-16, thirteen units to a slot of 32 bytes, the last slot
//! first. Names are compared without regard to case, and dots at the end do not count, as Linux
//! has it.

use agent_core::Errno;

use crate::bytes::{index, put, u16_at};

/// The most units of a name.
pub(crate) const LONGEST: usize = 255;

/// Units in a slot, and where each of them is.
pub(crate) const UNITS_PER_SLOT: usize = 13;
const UNITS: [usize; UNITS_PER_SLOT] = [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30];

/// The attributes of a slot: those of a volume label, of a read-only, hidden file of the system.
pub(crate) const LONG: u8 = 0x0F;
/// In the number of the slot that comes first, and is the last of the name.
const LAST: u8 = 0x40;

/// The name of a file or directory.
#[derive(Clone)]
pub(crate) struct Name {
    units: [u16; LONGEST],
    length: usize,
    /// It is one that a new file may have.
    valid: bool,
}

impl Name {
    /// Reads a part of a path. `None` where no file can have such a name: it is empty, or not
    /// UTF-8.
    pub(crate) fn parse(part: &[u8]) -> Result<Option<Self>, Errno> {
        let Ok(text) = str::from_utf8(part) else { return Ok(None) };
        let text = text.trim_end_matches('.');
        let mut name = Self { units: [0; LONGEST], length: 0, valid: !text.ends_with(' ') };
        for unit in text.encode_utf16() {
            *name.units.get_mut(name.length).ok_or(Errno::NAME_TOO_LONG)? = unit;
            name.length = name.length.saturating_add(1);
            name.valid &= allowed(unit);
        }
        Ok((!text.is_empty()).then_some(name))
    }

    /// Whether a new file may have the name (FAT §"Long Name Limits": no control characters, none
    /// that stand for something in a path).
    pub(crate) fn is_valid(&self) -> bool {
        self.valid
    }

    /// The units of the name.
    pub(crate) fn units(&self) -> &[u16] {
        self.units.get(..self.length).unwrap_or(&[])
    }

    /// Whether this is the name, short or long, of which `other` are the units.
    pub(crate) fn is(&self, other: impl Iterator<Item = u16>) -> bool {
        self.units().iter().copied().map(fold).eq(other.map(fold))
    }

    /// How many slots the name takes.
    pub(crate) fn slots(&self) -> usize {
        self.length.div_ceil(UNITS_PER_SLOT)
    }

    /// Writes the slot with a number, from one on.
    pub(crate) fn write_slot(&self, number: usize, checksum: u8, slot: &mut [u8]) {
        let last = if number == self.slots() { LAST } else { 0 };
        slot.fill(0);
        put(slot, 0, &[u8::try_from(number).unwrap_or(0) | last]);
        put(slot, 11, &[LONG]);
        put(slot, 13, &[checksum]);
        for (at, place) in (first_unit(number)..).zip(UNITS) {
            // > Names are also NUL terminated and padded with 0xFFFF characters
            let unit = match self.units().get(at) {
                Some(unit) => *unit,
                None if at == self.length => 0,
                None => 0xFFFF,
            };
            put(slot, place, &unit.to_le_bytes());
        }
    }

    /// Whether a slot with a number holds what this name has there.
    fn is_in_slot(&self, number: usize, slot: &[u8; 32]) -> bool {
        (first_unit(number)..).zip(UNITS).all(|(at, place)| {
            let unit = u16_at(slot, place);
            match self.units().get(at) {
                Some(own) => fold(*own) == fold(unit),
                None => at > self.length || unit == 0,
            }
        })
    }
}

/// Compares a name with the slots of a directory, as they come.
#[derive(Clone, Copy, Default)]
pub(crate) struct Comparison {
    /// The slot to come next; zero once all have come, or none has.
    expected: u8,
    checksum: u8,
    /// All of a name have come and were the name's.
    same: bool,
}

impl Comparison {
    /// Takes a slot.
    pub(crate) fn push(&mut self, name: &Name, slot: &[u8; 32]) {
        let [number, ..] = *slot;
        let checksum = slot[13];
        let position = number & 0x3F;
        let fits = if number & LAST != 0 {
            *self =
                Self { expected: position, checksum, same: usize::from(position) == name.slots() };
            position != 0
        } else {
            position != 0 && position == self.expected && checksum == self.checksum
        };
        self.same &= fits && name.is_in_slot(usize::from(position), slot);
        self.expected = if fits { position.saturating_sub(1) } else { 0 };
    }

    /// Whether the slots before a short name were the name, and belong to it; starts again.
    pub(crate) fn finish(&mut self, checksum: u8) -> bool {
        let Self { expected, checksum: said, same } = core::mem::take(self);
        same && expected == 0 && said == checksum
    }
}

/// Where in a name the units of a slot begin.
fn first_unit(number: usize) -> usize {
    number.saturating_sub(1).saturating_mul(UNITS_PER_SLOT)
}

fn allowed(unit: u16) -> bool {
    const FORBIDDEN: &[u8] = b"\"*/:<>?\\|";
    unit >= 0x20 && !u8::try_from(unit).is_ok_and(|byte| FORBIDDEN.contains(&byte))
}

/// A unit in upper case, where that is one unit too.
fn fold(unit: u16) -> u16 {
    let Some(character) = char::from_u32(u32::from(unit)) else { return unit };
    if character.is_ascii() {
        return u16::from(u8::try_from(unit).unwrap_or(0).to_ascii_uppercase());
    }
    let mut upper = character.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(upper), None) => u16::try_from(u32::from(upper)).unwrap_or(unit),
        _ => unit,
    }
}

/// A directory's part of a slot index that fits every count here.
pub(crate) fn slot_bytes(number: u32) -> usize {
    index(number).saturating_mul(32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_read() {
        let check = |part: &[u8], length: Option<usize>, valid: bool| {
            let name = Name::parse(part).unwrap();
            assert_eq!(name.as_ref().map(|name| name.length), length, "{part:?}");
            assert_eq!(name.is_some_and(|name| name.is_valid()), valid, "{part:?}");
        };
        check(b"config.txt", Some(10), true);
        check(b"config.txt...", Some(10), true);
        check("Ä€😀".as_bytes(), Some(4), true);
        check(b"two words", Some(9), true);
        check(b"", None, false);
        check(b"....", None, false);
        check(b"a\xC0\x80b", None, false);
        check(b"end ", Some(4), false);
        check(b"a:b", Some(3), false);
        check(b"a\x1Fb", Some(3), false);
        check(&[b'x'; 255], Some(255), true);
        assert_eq!(Name::parse(&[b'x'; 256]).err(), Some(Errno::NAME_TOO_LONG));
    }

    #[test]
    fn slots_compare_without_case() {
        let check = |stored: &str, wanted: &str, expected: bool| {
            let stored = Name::parse(stored.as_bytes()).unwrap().unwrap();
            let wanted = Name::parse(wanted.as_bytes()).unwrap().unwrap();
            let mut comparison = Comparison::default();
            for number in (1..=stored.slots()).rev() {
                let mut slot = [0; 32];
                stored.write_slot(number, 7, &mut slot);
                comparison.push(&wanted, &slot);
            }
            assert_eq!(comparison.finish(7), expected);
            assert!(!comparison.finish(7));
        };
        check("Some configuration.json", "some CONFIGURATION.json", true);
        check("Some configuration.json", "some CONFIGURATION.jsom", false);
        check("Some configuration.json", "some CONFIGURATION.jso", false);
        check("thirteen long", "thirteen long", true);
        check("thirteen long", "thirteen long plus", false);
        check("thirteen long plus", "thirteen long", false);
        check("Ärger.txt", "äRGER.TXT", true);
        check("Ärger.txt", "arger.txt", false);
    }

    #[test]
    fn slots_of_another_name_do_not_count() {
        let name = Name::parse(b"a name of two slots").unwrap().unwrap();
        let slot = |number, checksum| {
            let mut slot = [0; 32];
            name.write_slot(number, checksum, &mut slot);
            slot
        };
        let check = |slots: &[[u8; 32]], checksum, expected| {
            let mut comparison = Comparison::default();
            for slot in slots {
                comparison.push(&name, slot);
            }
            assert_eq!(comparison.finish(checksum), expected);
        };
        check(&[slot(2, 1), slot(1, 1)], 1, true);
        check(&[slot(2, 1), slot(2, 1), slot(1, 1)], 1, true);
        check(&[slot(2, 1), slot(1, 1)], 2, false);
        check(&[slot(2, 1), slot(1, 2)], 1, false);
        check(&[slot(2, 1), slot(1, 2)], 2, false);
        check(&[slot(1, 1)], 1, false);
        check(&[slot(2, 1)], 1, false);
        check(&[slot(1, 1), slot(2, 1)], 1, false);
        check(&[slot(2, 1), slot(1, 1), slot(1, 1)], 1, false);
        check(&[], 0, false);
    }
}
