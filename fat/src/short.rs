//! Short names: eight characters and three, which every file has beside its long name.
//!
//! FAT §"Short Directory Entries" and §"The Basis-Name Generation Algorithm".

use crate::name::Name;

/// Characters beside letters and digits that a short name may have.
const SPECIAL: &[u8] = b"$%'-_@~`!(){}^#&";

/// A short name as an entry has it: padded with spaces.
pub(crate) type ShortName = [u8; 11];

/// How many numbers are tried before the name itself is changed.
const NUMBERS: u32 = 64;

/// The sum over a short name that ties the slots of a long one to it.
pub(crate) fn checksum(short: &ShortName) -> u8 {
    short.iter().fold(0, |sum: u8, byte| sum.rotate_right(1).wrapping_add(*byte))
}

/// Whether a short name is a name: its characters, with a dot where there is an extension.
pub(crate) fn is(short: &ShortName, name: &Name) -> bool {
    // Characters of a code page have long names beside them where they are of today.
    if !short.is_ascii() {
        return false;
    }
    let [base, extension] = parts(short);
    let dot: &[u8] = if extension.is_empty() { b"" } else { b"." };
    name.is(base.iter().chain(dot).chain(extension).map(|byte| u16::from(*byte)))
}

/// The base and the extension, without their padding.
fn parts(short: &ShortName) -> [&[u8]; 2] {
    let (base, extension) = short.split_at(8);
    [base.trim_ascii_end(), extension.trim_ascii_end()]
}

/// A search for a short name that no other file of a directory has.
pub(crate) struct Search {
    basis: ShortName,
    /// The name without a number will do.
    plain: bool,
    /// The short name says all that the name does.
    exact: bool,
    /// The numbers that are taken; zero is the name without one.
    taken: u64,
}

impl Search {
    /// Starts a search. Every `round` leads to other short names.
    pub(crate) fn new(name: &Name, round: u16) -> Self {
        let units = name.units();
        let leading = units.iter().take_while(|unit| [DOT, SPACE].contains(*unit)).count();
        let rest = units.get(leading..).unwrap_or(&[]);
        let dot = rest.iter().rposition(|unit| *unit == DOT);
        let (base, extension) = match dot {
            Some(dot) => (rest.get(..dot).unwrap_or(&[]), rest.get(dot..).unwrap_or(&[])),
            None => (rest, &[][..]),
        };
        let mut search = Self { basis: [b' '; 11], plain: leading == 0, exact: true, taken: 0 };
        let (into_base, into_extension) = search.basis.split_at_mut(8);
        let mut fit = Fit { plain: true, exact: true };
        fit.fill(into_base, base);
        fit.fill(into_extension, extension.get(1..).unwrap_or(&[]));
        search.plain &= fit.plain && round == 0;
        search.exact = search.plain && fit.exact;
        if round > 0 {
            search.scatter(units, round);
        }
        search
    }

    /// Puts a sum over the name in the place of its third to sixth character.
    fn scatter(&mut self, units: &[u16], round: u16) {
        let sum = units.iter().fold(round, |sum, unit| sum.rotate_left(5) ^ unit.wrapping_mul(31));
        let kept = self.basis.iter().take(2).take_while(|byte| **byte != b' ').count();
        let mut digits = [12, 8, 4, 0].map(|shift| hexadecimal(sum >> shift)).into_iter();
        for byte in self.basis.iter_mut().take(8).skip(kept) {
            *byte = digits.next().unwrap_or(b' ');
        }
    }

    /// Whether the long name need not be written.
    pub(crate) fn is_exact(&self) -> bool {
        self.exact
    }

    /// Takes the short name of another file.
    pub(crate) fn push(&mut self, other: &ShortName) {
        for number in 0..NUMBERS {
            if self.numbered(number) == *other {
                self.taken |= 1_u64.checked_shl(number).unwrap_or(0);
            }
        }
    }

    /// A short name that is none of those that were pushed.
    pub(crate) fn finish(&self) -> Option<ShortName> {
        let first = u32::from(!self.plain);
        let free = (first..NUMBERS)
            .find(|number| self.taken.checked_shr(*number).is_some_and(|taken| taken & 1 == 0))?;
        Some(self.numbered(free))
    }

    /// The short name with a number, such as `CONFIG~1`.
    fn numbered(&self, number: u32) -> ShortName {
        let mut short = self.basis;
        let digit = |number: u32| b'0'.saturating_add(u8::try_from(number).unwrap_or(0));
        let (tens, ones) =
            (number.checked_div(10).unwrap_or(0), number.checked_rem(10).unwrap_or(0));
        let tail = [b'~', digit(tens), digit(ones)];
        let tail: &[u8] = match number {
            0 => return short,
            1..10 => &[b'~', digit(ones)],
            _ => &tail,
        };
        let [base, _] = parts(&self.basis);
        let at = base.len().min(8_usize.saturating_sub(tail.len()));
        for (byte, tail) in short
            .iter_mut()
            .skip(at)
            .take(8_usize.saturating_sub(at))
            .zip(tail.iter().copied().chain(core::iter::repeat(b' ')))
        {
            *byte = tail;
        }
        short
    }
}

const DOT: u16 = 0x2E;
const SPACE: u16 = 0x20;

/// How well a name went into a short one.
struct Fit {
    /// All of it did, but for its case.
    plain: bool,
    /// All of it did.
    exact: bool,
}

impl Fit {
    fn fill(&mut self, into: &mut [u8], units: &[u16]) {
        let mut places = into.iter_mut();
        for unit in units {
            let byte = u8::try_from(*unit).unwrap_or(0);
            let character = match byte {
                b' ' | b'.' => {
                    self.plain = false;
                    continue;
                }
                b'a'..=b'z' => {
                    self.exact = false;
                    byte.to_ascii_uppercase()
                }
                b'A'..=b'Z' | b'0'..=b'9' => byte,
                _ if SPECIAL.contains(&byte) => byte,
                _ => {
                    self.plain = false;
                    b'_'
                }
            };
            match places.next() {
                Some(place) => *place = character,
                None => self.plain = false,
            }
        }
    }
}

fn hexadecimal(digit: u16) -> u8 {
    b"0123456789ABCDEF".get(usize::from(digit & 15)).copied().unwrap_or(b'0')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(name: &str, round: u16, others: &[&ShortName]) -> (String, bool) {
        let name = Name::parse(name.as_bytes()).unwrap().unwrap();
        let mut search = Search::new(&name, round);
        for other in others {
            search.push(other);
        }
        let short = search.finish().unwrap();
        (String::from_utf8(short.to_vec()).unwrap(), search.is_exact())
    }

    #[test]
    fn short_names() {
        let check = |name, others: &[&ShortName], short: &str, exact| {
            assert_eq!(search(name, 0, others), (short.to_owned(), exact), "{name}");
        };
        check("README.TXT", &[], "README  TXT", true);
        check("CONFIG", &[], "CONFIG     ", true);
        check("config.txt", &[], "CONFIG  TXT", false);
        check("config.txt", &[b"CONFIG  TXT"], "CONFIG~1TXT", false);
        check("config.txt", &[b"CONFIG  TXT", b"CONFIG~1TXT"], "CONFIG~2TXT", false);
        check("configuration.json", &[], "CONFIG~1JSO", false);
        check("configuration.json", &[b"CONFIG~1TXT"], "CONFIG~1JSO", false);
        check("a.tar.gz", &[], "ATAR~1  GZ ", false);
        check(".profile", &[], "PROFIL~1   ", false);
        check("two words", &[], "TWOWOR~1   ", false);
        check("a+b", &[], "A_B~1      ", false);
        check("Ä", &[], "_~1        ", false);
        check("x", &[], "X          ", false);
    }

    #[test]
    fn many_alike() {
        let name = Name::parse(b"configuration").unwrap().unwrap();
        let mut search = Search::new(&name, 0);
        for number in 1..NUMBERS {
            let expected = search.numbered(number);
            assert_eq!(search.finish(), Some(expected));
            search.push(&expected);
        }
        assert_eq!(search.numbered(63), *b"CONFI~63   ");
        assert_eq!(search.finish(), None);
        let next = Search::new(&name, 1).finish().unwrap();
        assert!(next.starts_with(b"CO") && next[6..8] == *b"~1", "{next:?}");
        assert_ne!(Some(next), Search::new(&name, 2).finish());
    }

    #[test]
    fn the_checksum_is_the_specification_s() {
        assert_eq!(checksum(b"THEQUI~1FOX"), 0x07);
    }
}
