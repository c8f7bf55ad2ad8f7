//! The writer: what a command returns, as JSON in a bounded buffer.
//!
//! The text is qemu-ga's: one line, `, ` and `: ` between tokens, ASCII only.

use heapless::VecView;

use super::{
    number::{Number, Written},
    piece::{Piece, Pieces},
    string::Escaped,
};

/// Writes what a command returns, as JSON in qemu-ga's form.
///
/// Values come in the order of the calls; the separators between them are put where they belong.
/// What does not fit any more is dropped, and the agent then answers with an error instead of
/// the whole reply.
///
/// All of it must be one value: every object and array is ended, and every key has its value. With
/// debug assertions an agent panics where that is not so.
#[derive(Debug)]
pub struct ReplyWriter<'r> {
    bytes: &'r mut VecView<u8>,
    pieces: &'r mut Pieces,
    start: usize,
    limit: usize,
    overflowed: bool,
}

impl<'r> ReplyWriter<'r> {
    /// A writer behind what is in `bytes`, up to a length of `limit`.
    #[inline(never)]
    pub(crate) fn new(bytes: &'r mut VecView<u8>, pieces: &'r mut Pieces, limit: usize) -> Self {
        let start = bytes.len();
        Self { bytes, pieces, start, limit, overflowed: false }
    }

    /// Begins an object. Its members must come in the order of qemu-ga's hash table.
    pub fn begin_object(&mut self) -> &mut Self {
        self.separate().raw(b"{")
    }

    /// Ends an object.
    pub fn end_object(&mut self) -> &mut Self {
        self.raw(b"}")
    }

    /// Begins an array.
    pub fn begin_array(&mut self) -> &mut Self {
        self.separate().raw(b"[")
    }

    /// Ends an array.
    pub fn end_array(&mut self) -> &mut Self {
        self.raw(b"]")
    }

    /// Writes the key of a member, whose value comes next.
    pub fn key(&mut self, key: &str) -> &mut Self {
        self.string(key.as_bytes()).raw(b": ")
    }

    /// Writes a string, given in UTF-8; bytes that are not are shown as U+FFFD.
    pub fn string(&mut self, text: &[u8]) -> &mut Self {
        self.text(&[text])
    }

    /// Writes a string, given in parts.
    pub fn text(&mut self, parts: &[&[u8]]) -> &mut Self {
        self.separate().raw(b"\"");
        for &part in parts {
            let mut rest = part;
            while !rest.is_empty() {
                let (escaped, length) = Escaped::first_of(rest);
                self.raw(escaped.as_bytes());
                rest = rest.get(length..).unwrap_or_default();
            }
        }
        self.raw(b"\"")
    }

    /// Writes a whole number.
    pub fn integer(&mut self, value: i64) -> &mut Self {
        self.separate().raw(Written::signed(value).as_bytes())
    }

    /// Writes a whole number that is not negative.
    pub fn unsigned(&mut self, value: u64) -> &mut Self {
        self.separate().raw(Written::unsigned(value).as_bytes())
    }

    /// Writes a number that may have a fraction, as C's `%.17g` does. JSON has no form for those that are
    /// infinite or no number.
    pub fn double(&mut self, value: f64) -> &mut Self {
        self.separate().raw(Written::number(Number::Double(value)).as_bytes())
    }

    /// Writes `true` or `false`.
    pub fn boolean(&mut self, value: bool) -> &mut Self {
        self.separate().raw(if value { b"true" } else { b"false" })
    }

    /// Writes the separator that is due before a value or a key, which the last byte tells: none
    /// at the beginning of an object, of an array or of all, and none behind a key.
    fn separate(&mut self) -> &mut Self {
        match self.bytes.get(self.start..).and_then(<[u8]>::last) {
            None | Some(b'{' | b'[' | b' ') => self,
            Some(_) => self.raw(b", "),
        }
    }

    #[inline(never)]
    pub(crate) fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        let fits = self.bytes.len().saturating_add(bytes.len()) <= self.limit;
        if self.overflowed || !fits || self.bytes.extend_from_slice(bytes).is_err() {
            self.overflowed = true;
        }
        self
    }

    /// Lets pieces follow what is written. Nothing more can be written then.
    pub(crate) fn then(&mut self, pieces: &[Piece]) {
        for &piece in pieces {
            self.pieces.push(piece);
        }
    }

    /// Takes everything back, and what was to follow.
    pub(crate) fn rollback(&mut self) {
        self.pieces.clear();
        self.take_back();
    }

    /// Takes back what is written.
    pub(crate) fn take_back(&mut self) {
        self.bytes.truncate(self.start);
    }

    /// How many bytes have been written.
    pub(crate) fn length(&self) -> usize {
        self.bytes.len().saturating_sub(self.start)
    }

    /// Whether what is written is the beginning of an object, with one member that is whole or that
    /// pieces will end.
    pub(crate) fn has_one_value(&self) -> bool {
        let (mut open, mut quoted, mut escaped) = (0_u32, false, false);
        for byte in self.bytes.get(self.start..).unwrap_or_default() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => quoted = !quoted,
                _ if quoted => {}
                b'{' | b'[' => open = open.saturating_add(1),
                b'}' | b']' if open > 1 => open = open.saturating_sub(1),
                b'}' | b']' => return false,
                b',' if open == 1 => return false,
                _ => {}
            }
        }
        open == 1 || !self.pieces.is_empty()
    }

    /// Whether all of it did fit.
    pub(crate) fn fits(&self) -> bool {
        !self.overflowed
    }
}
