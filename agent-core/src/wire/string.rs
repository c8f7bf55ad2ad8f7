//! Strings: unescaping in place, escaping on the way out, and the UTF-8 rules of both.
//!
//! The unescaped form is *modified UTF-8*: UTF-8 in which U+0000 is the two bytes C0 80. It has no
//! zero byte, so a zero byte can end it, and it is never longer than what was written on the wire.
//!
//! Source: RFC 8259 §7, Unicode 15 §3.9 and §23.7 (noncharacters); qemu-ga refuses noncharacters
//! and unpaired surrogates and takes `\'` as an escape.

/// Why a string is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StringError {
    /// A backslash before a character that has no escape.
    Escape,
    /// Bytes that are no character in UTF-8.
    Utf8,
    /// A `\u` escape that names no character, from `start` to `end` of the token.
    NotUnicode { start: usize, end: usize },
}

/// One step through modified UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decoded {
    /// The character, or `None` where the bytes are none.
    pub(crate) code_point: Option<u32>,
    /// How many bytes were looked at, at least one.
    pub(crate) length: usize,
}

/// Decodes the first character of `bytes`, which must not be empty.
///
/// An ill-formed sequence is taken as a whole: its lead byte and the continuation bytes that it
/// asks for, as many as are there.
pub(crate) fn decode(bytes: &[u8]) -> Decoded {
    let invalid = |length| Decoded { code_point: None, length };
    let Some((&lead, rest)) = bytes.split_first() else { return invalid(1) };
    // The obsolete forms of five and six bytes are read in full and then refused by value.
    let (continuations, bits, smallest) = match lead {
        0x00..=0x7F => return Decoded { code_point: Some(u32::from(lead)), length: 1 },
        0xC0..=0xDF => (1, lead & 0x1F, 0x80),
        0xE0..=0xEF => (2, lead & 0x0F, 0x800),
        0xF0..=0xF7 => (3, lead & 0x07, 0x1_0000),
        0xF8..=0xFB => (4, lead & 0x03, 0x20_0000),
        0xFC..=0xFD => (5, lead & 0x01, 0x400_0000),
        0x80..=0xBF | 0xFE..=0xFF => return invalid(1),
    };
    let mut code_point = u32::from(bits);
    let mut length = 1_usize;
    for &byte in rest.iter().take(continuations) {
        if byte & 0xC0 != 0x80 {
            break;
        }
        code_point = code_point << 6 | u32::from(byte & 0x3F);
        length = length.saturating_add(1);
    }
    let whole = length > continuations;
    let shortest = code_point >= smallest || (code_point == 0 && length == 2);
    if whole && shortest && is_character(code_point) {
        Decoded { code_point: Some(code_point), length }
    } else {
        invalid(length)
    }
}

/// Whether a code point is a Unicode character: no surrogate, no noncharacter.
fn is_character(code_point: u32) -> bool {
    code_point <= 0x10_FFFF
        && !(0xD800..=0xDFFF).contains(&code_point)
        && !(0xFDD0..=0xFDEF).contains(&code_point)
        && code_point & 0xFFFE != 0xFFFE
}

/// Unescapes a string token in place.
///
/// `token` is the text with both its quotes. On success its first bytes are the string, and the
/// length is returned; the first byte of the token, the quote, is left where it is.
///
/// # Errors
///
/// The first thing wrong with the string. The token's text from there on is still as it was.
pub(crate) fn unescape(token: &mut [u8]) -> Result<usize, StringError> {
    let end = token.len().saturating_sub(1);
    let (mut read, mut write) = (1_usize, 1_usize);
    while read < end {
        let start = read;
        let rest = token.get(read..).unwrap_or_default();
        let code_point = if rest.first() == Some(&b'\\') {
            let (code_point, length) = escape(rest);
            read = read.saturating_add(length);
            match code_point {
                Escape::Character(code_point) if is_character(code_point) => code_point,
                Escape::Unknown => return Err(StringError::Escape),
                Escape::Character(_) | Escape::NotHex => {
                    return Err(StringError::NotUnicode { start, end: read.min(token.len()) });
                }
            }
        } else {
            let decoded = decode(rest.get(..end.saturating_sub(read)).unwrap_or_default());
            read = read.saturating_add(decoded.length);
            decoded.code_point.ok_or(StringError::Utf8)?
        };
        let mut bytes = [0; 4];
        for &byte in encode(code_point, &mut bytes) {
            // Never overtakes `read`: no character is longer unescaped than it was written.
            if let Some(place) = token.get_mut(write) {
                *place = byte;
            }
            write = write.saturating_add(1);
        }
    }
    Ok(write)
}

enum Escape {
    Character(u32),
    /// `\u` without four hexadecimal digits, or a pair whose second half is wrong.
    NotHex,
    Unknown,
}

/// Reads one escape at the start of `text`; the second value is its length in bytes.
fn escape(text: &[u8]) -> (Escape, usize) {
    let simple = |character: char| (Escape::Character(u32::from(character)), 2);
    match text.get(1) {
        Some(&character @ (b'"' | b'\'' | b'\\' | b'/')) => simple(char::from(character)),
        Some(b'b') => simple('\u{8}'),
        Some(b'f') => simple('\u{c}'),
        Some(b'n') => simple('\n'),
        Some(b'r') => simple('\r'),
        Some(b't') => simple('\t'),
        Some(b'u') => match hex4(text.get(2..)) {
            None => (Escape::NotHex, 6),
            Some(high @ 0xD800..=0xDBFF) if text.get(6..8) == Some(b"\\u") => {
                match hex4(text.get(8..)) {
                    Some(low @ 0xDC00..=0xDFFF) => {
                        let pair = (high & 0x3FF) << 10 | (low & 0x3FF);
                        (Escape::Character(pair.saturating_add(0x1_0000)), 12)
                    }
                    _ => (Escape::NotHex, 6),
                }
            }
            Some(code_point) => (Escape::Character(code_point), 6),
        },
        _ => (Escape::Unknown, 2),
    }
}

/// The first four bytes as hexadecimal digits.
fn hex4(text: Option<&[u8]>) -> Option<u32> {
    text?
        .get(..4)?
        .iter()
        .try_fold(0_u32, |value, &byte| Some(value << 4 | char::from(byte).to_digit(16)?))
}

/// Encodes a character in modified UTF-8.
fn encode(code_point: u32, bytes: &mut [u8; 4]) -> &[u8] {
    if code_point == 0 {
        return b"\xC0\x80";
    }
    // Surrogates were refused by `is_character`.
    char::from_u32(code_point).unwrap_or(char::REPLACEMENT_CHARACTER).encode_utf8(bytes).as_bytes()
}

/// The longest that one character can become on the way out: `\uD83D\uDE00`.
pub(crate) const LONGEST_ESCAPED: usize = 12;

/// One character as it is written in a reply.
#[derive(Debug)]
pub(crate) struct Escaped {
    bytes: [u8; LONGEST_ESCAPED],
    length: usize,
}

impl Escaped {
    /// Escapes the first character of `bytes`; the second value is how many bytes it took.
    ///
    /// Everything but printable ASCII becomes `\uXXXX`, what is no character `\uFFFD`.
    pub(crate) fn first_of(bytes: &[u8]) -> (Self, usize) {
        let Decoded { code_point, length } = decode(bytes);
        let code_point = code_point.unwrap_or(u32::from(char::REPLACEMENT_CHARACTER));
        let mut escaped = Self { bytes: [0; LONGEST_ESCAPED], length: 0 };
        match code_point {
            0x22 => escaped.extend(b"\\\""),
            0x5C => escaped.extend(b"\\\\"),
            0x08 => escaped.extend(b"\\b"),
            0x0C => escaped.extend(b"\\f"),
            0x0A => escaped.extend(b"\\n"),
            0x0D => escaped.extend(b"\\r"),
            0x09 => escaped.extend(b"\\t"),
            0x20..=0x7E => escaped.extend(&[code_point.to_le_bytes()[0]]),
            0x00..=0xFFFF => escaped.unit(code_point),
            _ => {
                let above = code_point.wrapping_sub(0x1_0000);
                escaped.unit(0xD800 | (above >> 10 & 0x3FF));
                escaped.unit(0xDC00 | (above & 0x3FF));
            }
        }
        (escaped, length)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    fn unit(&mut self, unit: u32) {
        self.extend(b"\\u");
        for shift in [12, 8, 4, 0] {
            let digit = char::from_digit(unit >> shift & 0xF, 16).unwrap_or('0');
            self.extend(digit.to_ascii_uppercase().encode_utf8(&mut [0; 4]).as_bytes());
        }
    }

    fn extend(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if let Some(place) = self.bytes.get_mut(self.length) {
                *place = byte;
                self.length = self.length.saturating_add(1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unescaped(text: &[u8]) -> Result<Vec<u8>, StringError> {
        let mut token = [b"\"", text, b"\""].concat();
        unescape(&mut token).map(|length| token[1..length].to_vec())
    }

    fn escaped(mut bytes: &[u8]) -> String {
        let mut out = String::new();
        while !bytes.is_empty() {
            let (escaped, length) = Escaped::first_of(bytes);
            out.push_str(core::str::from_utf8(escaped.as_bytes()).unwrap());
            bytes = &bytes[length..];
        }
        out
    }

    #[test]
    fn unescaping() {
        let check = |text: &str, expected: &[u8]| {
            assert_eq!(unescaped(text.as_bytes()).as_deref(), Ok(expected), "{text}");
        };
        check("", b"");
        check("plain 'quoted' \u{7f}", b"plain 'quoted' \x7f");
        check(r#"\"\'\\\/\b\f\n\r\t"#, b"\"'\\/\x08\x0c\n\r\t");
        check(r"\u0041\u00e9\u20AC", "A\u{e9}\u{20ac}".as_bytes());
        check(r"\ud83d\uDE00", "\u{1f600}".as_bytes());
        check(r"a\u0000b", b"a\xc0\x80b");
        check("\u{fffd}\u{feff}\u{85}", "\u{fffd}\u{feff}\u{85}".as_bytes());
    }

    #[test]
    fn refused_strings() {
        let check = |text: &[u8], expected: StringError| {
            assert_eq!(unescaped(text), Err(expected), "{text:?}");
        };
        for escape in [r"\a", r"\x41", r"\0", r"\U0041", r"ok\N"] {
            check(escape.as_bytes(), StringError::Escape);
        }
        // The range runs over the closing quote of a short escape and ends with the token.
        check(br"\u12", StringError::NotUnicode { start: 1, end: 6 });
        check(br"\u12G4", StringError::NotUnicode { start: 1, end: 7 });
        check(br"x\uD83D", StringError::NotUnicode { start: 2, end: 8 });
        check(br"\uD83D\uD83D", StringError::NotUnicode { start: 1, end: 7 });
        check(br"\uD83D\n", StringError::NotUnicode { start: 1, end: 7 });
        check(br"\uDE00", StringError::NotUnicode { start: 1, end: 7 });
        check(br"\uD83F\uDFFE", StringError::NotUnicode { start: 1, end: 13 });
        check(br"\uFFFF", StringError::NotUnicode { start: 1, end: 7 });
        check(br"\uFDD0", StringError::NotUnicode { start: 1, end: 7 });
        for bytes in [
            &b"a\x80b"[..],
            b"a\xc3b",
            b"\xe2\x82",
            b"\xc1\x81",
            b"\xf0\x80\x80\xaf",
            b"\xed\xa0\x80",
            b"\xf4\x90\x80\x80",
            b"\xef\xbf\xbe",
            b"\xf8\x88\x80\x80\x80",
            b"abc\xf0\x9f",
        ] {
            check(bytes, StringError::Utf8);
        }
    }

    #[test]
    fn escaping() {
        let check = |bytes: &[u8], expected: &str| assert_eq!(escaped(bytes), expected);
        check(b"a/'~ ", "a/'~ ");
        check(b"\"\\\x08\x0c\n\r\t", r#"\"\\\b\f\n\r\t"#);
        check(b"\x01\x1f\x7f", r"\u0001\u001F\u007F");
        check("\u{e9}\u{20ac}\u{1f600}".as_bytes(), r"\u00E9\u20AC\uD83D\uDE00");
        check(b"\xc0\x80", r"\u0000");
        check(b"\xff\xfe", r"\uFFFD\uFFFD");
        check(b"\xe2\x82\xff", r"\uFFFD\uFFFD");
    }
}
