//! Base64 as qemu-ga reads and writes it.
//!
//! The alphabet is the standard one (RFC 4648 §4). What GLib, and so qemu-ga, makes of odd text is
//! part of the protocol: line feeds count for nothing, groups go on behind padding, an incomplete
//! last group is dropped, and of a group with padding only the bytes whose own character is
//! padding are left out.
//!
//! The crate `base64` is what the tests compare with. It is not used here because it indexes
//! slices, each a way to panic that would be linked.

const PADDING: u8 = b'=';

/// Bytes that are encoded at once: whole groups, so that there is padding only at the end.
pub(crate) const ENCODED_AT_ONCE: usize = 1536;

/// Encodes up to [`ENCODED_AT_ONCE`] bytes.
pub(crate) fn encode<'o>(bytes: &[u8], out: &'o mut [u8; ENCODED_AT_ONCE / 3 * 4]) -> &'o [u8] {
    let mut length = 0_usize;
    for (group, symbols) in bytes.chunks(3).zip(out.chunks_exact_mut(4)) {
        let byte = |at: usize| group.get(at).copied().map_or(0, u32::from);
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for (place, at) in symbols.iter_mut().zip(0_u32..) {
            // A group of one byte has two symbols, one of two bytes has three.
            let is_padding = usize::try_from(at).is_ok_and(|at| at > group.len());
            let shift = 18_u32.saturating_sub(at.saturating_mul(6));
            *place = if is_padding { PADDING } else { symbol(bits >> shift & 0x3F) };
        }
        length = length.saturating_add(4);
    }
    out.get(..length).unwrap_or_default()
}

/// The symbol for six bits.
fn symbol(bits: u32) -> u8 {
    let [bits, ..] = bits.to_le_bytes();
    match bits {
        0..=25 => b'A'.wrapping_add(bits),
        26..=51 => b'a'.wrapping_add(bits.wrapping_sub(26)),
        52..=61 => b'0'.wrapping_add(bits.wrapping_sub(52)),
        62 => b'+',
        _ => b'/',
    }
}

/// The six bits of a symbol. Padding counts as zero.
fn bits(symbol: u8) -> Option<u8> {
    match symbol {
        b'A'..=b'Z' => Some(symbol.wrapping_sub(b'A')),
        b'a'..=b'z' => Some(symbol.wrapping_sub(b'a').wrapping_add(26)),
        b'0'..=b'9' => Some(symbol.wrapping_sub(b'0').wrapping_add(52)),
        b'+' => Some(62),
        b'/' => Some(63),
        PADDING => Some(0),
        _ => None,
    }
}

/// Bytes that [`Decoder::read`] gives at once, at most.
pub(crate) const DECODED_AT_ONCE: usize = 1536;

/// Decodes a text piece by piece.
#[derive(Clone, Debug)]
pub(crate) struct Decoder<'t> {
    text: &'t [u8],
}

impl<'t> Decoder<'t> {
    /// A decoder for `text`, or `None` where it has a character that does not belong there.
    pub(crate) fn new(text: &'t [u8]) -> Option<Self> {
        let belongs = |&byte: &u8| byte == b'\n' || bits(byte).is_some();
        text.iter().all(belongs).then_some(Self { text })
    }

    /// How many bytes are still to come.
    pub(crate) fn length(&self) -> usize {
        let mut rest = self.clone();
        let mut length = 0_usize;
        while let Some(group) = rest.group() {
            length = length.saturating_add(group.flatten().count());
        }
        length
    }

    /// Decodes the next bytes; none at the end.
    pub(crate) fn read<'o>(&mut self, out: &'o mut [u8; DECODED_AT_ONCE]) -> &'o [u8] {
        let mut length = 0_usize;
        while length.saturating_add(3) <= DECODED_AT_ONCE {
            let Some(group) = self.group() else { break };
            for byte in group.flatten() {
                if let Some(place) = out.get_mut(length) {
                    *place = byte;
                    length = length.saturating_add(1);
                }
            }
        }
        out.get(..length).unwrap_or_default()
    }

    /// Decodes the next four symbols: three bytes, but those whose symbol is padding.
    fn group(&mut self) -> Option<impl Iterator<Item = Option<u8>> + use<>> {
        let mut symbols = [0; 4];
        for symbol in &mut symbols {
            loop {
                let (&byte, rest) = self.text.split_first()?;
                self.text = rest;
                if byte != b'\n' {
                    *symbol = byte;
                    break;
                }
            }
        }
        let value = symbols
            .iter()
            .fold(0_u32, |value, &symbol| value << 6 | bits(symbol).map_or(0, u32::from));
        let [_, bytes @ ..] = value.to_be_bytes();
        // The first byte is there whatever its symbols are.
        let [_, _, third, fourth] = symbols;
        let own = [0, third, fourth];
        Some(bytes.into_iter().zip(own).map(|(byte, own)| (own != PADDING).then_some(byte)))
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use proptest::prelude::*;

    use super::*;

    fn decoded(text: &[u8]) -> Option<Vec<u8>> {
        let mut decoder = Decoder::new(text)?;
        let length = decoder.length();
        let mut out = [0; DECODED_AT_ONCE];
        let mut bytes = Vec::new();
        loop {
            let piece = decoder.read(&mut out);
            if piece.is_empty() {
                break;
            }
            bytes.extend_from_slice(piece);
        }
        assert_eq!(length, bytes.len());
        Some(bytes)
    }

    #[test]
    fn odd_texts() {
        let check = |text: &str, expected: Option<&[u8]>| {
            assert_eq!(decoded(text.as_bytes()).as_deref(), expected, "{text:?}");
        };
        check("", Some(b""));
        check("YWJj", Some(b"abc"));
        check("YWJj\nZGVm\n", Some(b"abcdef"));
        check("Y\nW\nJ\nj", Some(b"abc"));
        check("YQ==", Some(b"a"));
        check("YQ", Some(b""));
        check("YWI", Some(b""));
        check("YWJjY", Some(b"abc"));
        check("====", Some(b"\0"));
        check("YQ==YQ==", Some(b"aa"));
        check("YQ====", Some(b"a"));
        check("YQ=A", Some(b"a\0"));
        check("=WJj", Some(b"\x01bc"));
        check("YWJjYQ==ZGVm", Some(b"abcadef"));
        for bad in ["!!!!", "YW Jj", "-_-_", "YWJj\r\n", "YQ\0", "\u{e9}"] {
            check(bad, None);
        }
    }

    proptest! {
        #[test]
        fn encodes_like_the_crate(bytes in proptest::collection::vec(any::<u8>(), 0..=ENCODED_AT_ONCE)) {
            let expected = STANDARD.encode(&bytes);
            let mut out = [0; ENCODED_AT_ONCE / 3 * 4];
            prop_assert_eq!(encode(&bytes, &mut out), expected.as_bytes());
        }

        #[test]
        fn round_trip(bytes in proptest::collection::vec(any::<u8>(), 0..2000), newlines: bool) {
            let mut text = Vec::new();
            for chunk in bytes.chunks(ENCODED_AT_ONCE) {
                text.extend_from_slice(encode(chunk, &mut [0; ENCODED_AT_ONCE / 3 * 4]));
                if newlines {
                    text.push(b'\n');
                }
            }
            prop_assert_eq!(decoded(&text), Some(bytes));
        }
    }
}
