//! The reply: written into a bounded buffer, with rollback, and finished piece by piece.
//!
//! Last stop of a request. A command writes what it returns through [`ReplyWriter`], all or
//! nothing. What is taken from the request, an echoed `id` or the text that an error quotes, can
//! be longer than any buffer for it; it is kept as [`Piece`]s and written whenever the buffer has
//! been sent.
//!
//! The text is qemu-ga's: one line, `, ` and `: ` between tokens, ASCII only.

use heapless::{Vec, VecView};

use crate::capability::{Errno, Handle, Pid, Stream};

use super::{
    base64::{self, ENCODED_AT_ONCE},
    number::{Number, Written},
    string::Escaped,
    value::{self, KEY, STRING, Span},
};

/// Pieces that one reply may have at once: an error with an `id` and four pieces in its description
/// makes sixteen. A token of an `id` under way makes at most five out of one.
const PIECES: usize = 20;

/// A part of a reply that is still to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// The beginning of a name, up to that of a member: `list[index].`.
    Element { list: &'static str, index: u32 },
    /// Bytes of an open file from its position on, in Base64.
    File { handle: Handle, count: u64 },
    /// A number.
    Integer(i64),
    /// The elements of a list from this one on.
    List { next: usize },
    /// What a program has written, in Base64.
    Output { pid: Pid, stream: Stream, count: u64 },
    /// As it is; what must be escaped in a string has been.
    Text(&'static str),
    /// Text of the message, escaped for the inside of a string.
    Quoted(Span),
    /// A number of the message, by its text.
    Number(Span),
    /// A value of the message, in JSON.
    Value(Span),
    /// Escaped for the inside of a string.
    Words(&'static str),
}

/// Where pieces come from that can be longer than any buffer.
pub(crate) trait Source {
    /// Reads on in a file.
    fn read_file(&mut self, handle: Handle, buffer: &mut [u8]) -> Result<usize, Errno>;

    /// Reads on in what a program has written.
    fn read_output(&mut self, pid: Pid, stream: Stream, buffer: &mut [u8]) -> Result<usize, Errno>;

    /// Writes an element of the list that the reply has; whether there is one at `index`.
    fn write_element(&mut self, index: usize, writer: &mut ReplyWriter<'_>) -> bool;
}

/// Replies that wait to be sent, and what is still to be written of the last.
#[derive(Debug)]
pub(crate) struct Reply<'b> {
    bytes: &'b mut VecView<u8>,
    sent: usize,
    /// The next one is the last of them.
    pieces: Vec<Piece, PIECES>,
    /// Whether a separator is due before the next token of a [`Piece::Value`].
    separate: bool,
}

impl<'b> Reply<'b> {
    pub(crate) fn new(bytes: &'b mut VecView<u8>) -> Self {
        bytes.clear();
        Self { bytes, sent: 0, pieces: Vec::new(), separate: false }
    }

    /// What is ready to be sent.
    pub(crate) fn pending(&self) -> &[u8] {
        self.bytes.get(self.sent..).unwrap_or_default()
    }

    /// The first `count` bytes of [`Self::pending`] have been sent.
    pub(crate) fn sent(&mut self, count: usize) {
        self.sent = self.sent.saturating_add(count).min(self.bytes.len());
        if self.sent == self.bytes.len() {
            self.bytes.clear();
            self.sent = 0;
        }
    }

    /// The longest that one command may return: half the buffer, so that one reply can wait there
    /// while the next is written.
    fn longest(&self) -> usize {
        self.bytes.capacity() / 2
    }

    /// Whether the last reply is written and there is room for the longest.
    pub(crate) fn is_ready(&self) -> bool {
        self.pieces.is_empty() && self.room() >= self.longest()
    }

    fn room(&self) -> usize {
        self.bytes.capacity().saturating_sub(self.bytes.len())
    }

    /// A writer for what a command returns. The reply must be [ready](Self::is_ready).
    pub(crate) fn writer(&mut self) -> ReplyWriter<'_> {
        let start = self.bytes.len();
        let limit = start.saturating_add(self.longest()).min(self.bytes.capacity());
        let Self { bytes, pieces, .. } = self;
        ReplyWriter { bytes, pieces, start, limit, overflowed: false }
    }

    /// Adds a piece behind what is there.
    #[inline(never)]
    pub(crate) fn push(&mut self, piece: Piece) {
        push(&mut self.pieces, piece);
    }

    /// Adds a text in which each `%` stands for a piece.
    pub(crate) fn push_format(&mut self, format: &'static str, pieces: &[Piece]) {
        let mut pieces = pieces.iter();
        let mut rest = format;
        // By bytes: `split_once` has a way to panic that not every level of optimisation sees through.
        while let Some(place) = rest.bytes().position(|byte| byte == b'%') {
            self.push(Piece::Text(rest.get(..place).unwrap_or_default()));
            for &piece in pieces.by_ref() {
                self.push(piece);
                // It is the beginning of the next one.
                if !matches!(piece, Piece::Element { .. }) {
                    break;
                }
            }
            rest = rest.get(place.saturating_add(1)..).unwrap_or_default();
        }
        self.push(Piece::Text(rest));
    }

    /// Adds a piece before what is there. There is a place for as many as a token has.
    #[inline(never)]
    fn push_front(&mut self, piece: Piece) {
        let fits = self.pieces.push(piece).is_ok();
        debug_assert!(fits, "more pieces than a reply can have");
    }

    /// Writes as much of the pieces as there is room for; `message` is what they point into. Whether
    /// all of it is written.
    pub(crate) fn write(&mut self, message: &[u8], source: &mut impl Source) -> bool {
        while let Some(piece) = self.pieces.pop() {
            let written = match piece {
                Piece::Element { list, index } => {
                    self.push_front(Piece::Text("]."));
                    self.push_front(Piece::Integer(index.into()));
                    self.push_front(Piece::Text("["));
                    self.push_front(Piece::Words(list));
                    true
                }
                Piece::File { .. } | Piece::Output { .. } => self.write_bytes(piece, source),
                Piece::Integer(value) => self.write_number(Number::Signed(value), piece),
                Piece::List { next } => self.write_list(next, source),
                Piece::Number(text) => self.write_number(Number::parse(text.of(message)), piece),
                Piece::Quoted(span) => match self.write_escaped(span.of(message)) {
                    None => true,
                    Some(done) => {
                        let start = span.start.saturating_add(done);
                        self.push_front(Piece::Quoted(Span { start, ..span }));
                        false
                    }
                },
                Piece::Text(text) => self.write_text(text),
                Piece::Value(span) => {
                    self.split(span, message);
                    true
                }
                Piece::Words(text) => match self.write_escaped(text.as_bytes()) {
                    None => true,
                    Some(done) => {
                        self.push_front(Piece::Words(text.get(done..).unwrap_or_default()));
                        false
                    }
                },
            };
            if !written {
                return false;
            }
        }
        true
    }

    /// Encodes bytes of a file or of a program's output as far as there is room.
    ///
    /// Not inlined: a board without files should not have its buffers on the stack.
    #[inline(never)]
    fn write_bytes(&mut self, mut piece: Piece, source: &mut impl Source) -> bool {
        let mut encoded = [0; ENCODED_AT_ONCE / 3 * 4];
        while let Piece::File { count, .. } | Piece::Output { count, .. } = &mut piece
            && *count > 0
        {
            // Whole groups, so that there is padding only at the end.
            let groups = (self.room() / 4).min(ENCODED_AT_ONCE / 3);
            if groups == 0 {
                self.push_front(piece);
                return false;
            }
            let wanted =
                usize::try_from(*count).unwrap_or(usize::MAX).min(groups.saturating_mul(3));
            *count = count.saturating_sub(u64::try_from(wanted).unwrap_or(u64::MAX));
            let mut bytes = [0; ENCODED_AT_ONCE];
            let bytes = bytes.get_mut(..wanted).unwrap_or_default();
            let filled = fill(bytes, |rest| match piece {
                Piece::File { handle, .. } => source.read_file(handle, rest),
                Piece::Output { pid, stream, .. } => source.read_output(pid, stream, rest),
                _ => Ok(0),
            });
            if filled.is_err() {
                self.break_off();
                break;
            }
            // There is room for these groups.
            let _ = self.bytes.extend_from_slice(base64::encode(bytes, &mut encoded));
        }
        true
    }

    /// Writes the elements of a list as far as there is room.
    fn write_list(&mut self, mut next: usize, source: &mut impl Source) -> bool {
        loop {
            let mut writer = self.writer();
            writer.limit = writer.bytes.capacity();
            if next > 0 {
                writer.raw(b", ");
            }
            let written = source.write_element(next, &mut writer);
            if !written || !writer.fits() {
                writer.take_back();
            }
            if !written {
                return true;
            }
            if !writer.fits() {
                if self.bytes.is_empty() {
                    // An element that is longer than the buffer.
                    self.break_off();
                    return true;
                }
                self.push_front(Piece::List { next });
                return false;
            }
            next = next.saturating_add(1);
        }
    }

    /// The rest cannot be had after the reply has begun to promise it: the line ends where it is, so
    /// that no client takes it for whole, and it stays one line for one request.
    fn break_off(&mut self) {
        self.pieces.clear();
        self.push(Piece::Text("\n"));
    }

    fn write_text(&mut self, text: &'static str) -> bool {
        let (now, later) = text.split_at_checked(self.room()).unwrap_or((text, ""));
        // Cut to the room there is.
        let _ = self.bytes.extend_from_slice(now.as_bytes());
        if !later.is_empty() {
            self.push_front(Piece::Text(later));
        }
        later.is_empty()
    }

    fn write_number(&mut self, number: Number, piece: Piece) -> bool {
        let fits = self.bytes.extend_from_slice(Written::number(number).as_bytes()).is_ok();
        if !fits {
            self.push_front(piece);
        }
        fits
    }

    /// Escapes text as far as there is room; returns how much that was, where it was not all.
    fn write_escaped(&mut self, text: &[u8]) -> Option<usize> {
        let mut done = 0_usize;
        while let Some(rest) = text.get(done..).filter(|rest| !rest.is_empty()) {
            let (escaped, length) = Escaped::first_of(rest);
            if self.bytes.extend_from_slice(escaped.as_bytes()).is_err() {
                return Some(done);
            }
            done = done.saturating_add(length);
        }
        None
    }

    /// Splits a value into the pieces of its first token and the rest.
    fn split(&mut self, span: Span, message: &[u8]) {
        let Some(&first) = span.of(message).first() else {
            self.separate = false;
            return;
        };
        let (end, text) = match first {
            b'{' | b'}' | b'[' | b']' | b't' | b'f' | b'n' => (span.start.saturating_add(1), span),
            _ => {
                let end = value::end_of_text(message, span.start);
                let text = Span { start: span.start.saturating_add(1), end: end.saturating_sub(1) };
                (end, text)
            }
        };
        self.push_front(Piece::Value(Span { start: end, ..span }));
        match first {
            b'{' => self.push_front(Piece::Text("{")),
            b'}' => self.push_front(Piece::Text("}")),
            b'[' => self.push_front(Piece::Text("[")),
            b']' => self.push_front(Piece::Text("]")),
            b't' => self.push_front(Piece::Text("true")),
            b'f' => self.push_front(Piece::Text("false")),
            b'n' => self.push_front(Piece::Text("null")),
            KEY | STRING => {
                self.push_front(Piece::Text(if first == KEY { "\": " } else { "\"" }));
                self.push_front(Piece::Quoted(text));
                self.push_front(Piece::Text("\""));
            }
            _ => self.push_front(Piece::Number(Span { start: span.start, ..text })),
        }
        if self.separate && !matches!(first, b'}' | b']') {
            self.push_front(Piece::Text(", "));
        }
        self.separate = !matches!(first, b'{' | b'[' | KEY);
    }
}

/// Adds a piece behind the others. The pieces of every reply are known when it is written, and they
/// fit.
fn push(pieces: &mut Vec<Piece, PIECES>, piece: Piece) {
    let fits = pieces.insert(0, piece).is_ok();
    debug_assert!(fits, "more pieces than a reply can have");
}

/// Fills a buffer by reading again and again; an early end is an error.
fn fill(
    mut bytes: &mut [u8],
    mut read: impl FnMut(&mut [u8]) -> Result<usize, Errno>,
) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match read(bytes)? {
            0 => return Err(Errno::IO),
            count => bytes = bytes.get_mut(count..).unwrap_or_default(),
        }
    }
    Ok(())
}

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
    pieces: &'r mut Vec<Piece, PIECES>,
    start: usize,
    limit: usize,
    overflowed: bool,
}

impl ReplyWriter<'_> {
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
            push(self.pieces, piece);
        }
    }

    /// Takes everything back, and what was to follow.
    pub(crate) fn rollback(&mut self) {
        self.pieces.clear();
        self.take_back();
    }

    /// Takes back what is written.
    fn take_back(&mut self) {
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
