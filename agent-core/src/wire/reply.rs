//! The reply: begun by a command, all or nothing, and finished piece by piece.
//!
//! Last stop of a request. A command writes what it returns through [`ReplyWriter`]. What can be
//! longer than the buffer is kept as [`Piece`]s, and written whenever the buffer has been sent.

use heapless::VecView;

use crate::capability::{Errno, Handle, Pid, Stream};

use super::{
    base64::{self, ENCODED_AT_ONCE},
    number::{Number, Written},
    piece::{Piece, Pieces},
    string::Escaped,
    value::{self, KEY, STRING, Span},
    writer::ReplyWriter,
};

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
    pieces: Pieces,
    /// Whether a separator is due before the next token of a [`Piece::Value`].
    separate: bool,
}

impl<'b> Reply<'b> {
    pub(crate) fn new(bytes: &'b mut VecView<u8>) -> Self {
        bytes.clear();
        Self { bytes, sent: 0, pieces: Pieces::new(), separate: false }
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
        let limit = self.bytes.len().saturating_add(self.longest()).min(self.bytes.capacity());
        ReplyWriter::new(self.bytes, &mut self.pieces, limit)
    }

    /// Adds a piece behind what is there.
    #[inline(never)]
    pub(crate) fn push(&mut self, piece: Piece) {
        self.pieces.push(piece);
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

    /// Writes as much of the pieces as there is room for; `message` is what they point into. Whether
    /// all of it is written.
    pub(crate) fn write(&mut self, message: &[u8], source: &mut impl Source) -> bool {
        while let Some(piece) = self.pieces.pop_front() {
            let written = match piece {
                Piece::Element { list, index } => {
                    self.pieces.push_front(Piece::Text("]."));
                    self.pieces.push_front(Piece::Integer(index.into()));
                    self.pieces.push_front(Piece::Text("["));
                    self.pieces.push_front(Piece::Words(list));
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
                        self.pieces.push_front(Piece::Quoted(Span { start, ..span }));
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
                        self.pieces.push_front(Piece::Words(text.get(done..).unwrap_or_default()));
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
                self.pieces.push_front(piece);
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
            let limit = self.bytes.capacity();
            let mut writer = ReplyWriter::new(self.bytes, &mut self.pieces, limit);
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
                self.pieces.push_front(Piece::List { next });
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
            self.pieces.push_front(Piece::Text(later));
        }
        later.is_empty()
    }

    fn write_number(&mut self, number: Number, piece: Piece) -> bool {
        let fits = self.bytes.extend_from_slice(Written::number(number).as_bytes()).is_ok();
        if !fits {
            self.pieces.push_front(piece);
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
        self.pieces.push_front(Piece::Value(Span { start: end, ..span }));
        match first {
            b'{' => self.pieces.push_front(Piece::Text("{")),
            b'}' => self.pieces.push_front(Piece::Text("}")),
            b'[' => self.pieces.push_front(Piece::Text("[")),
            b']' => self.pieces.push_front(Piece::Text("]")),
            b't' => self.pieces.push_front(Piece::Text("true")),
            b'f' => self.pieces.push_front(Piece::Text("false")),
            b'n' => self.pieces.push_front(Piece::Text("null")),
            KEY | STRING => {
                self.pieces.push_front(Piece::Text(if first == KEY { "\": " } else { "\"" }));
                self.pieces.push_front(Piece::Quoted(text));
                self.pieces.push_front(Piece::Text("\""));
            }
            _ => self.pieces.push_front(Piece::Number(Span { start: span.start, ..text })),
        }
        if self.separate && !matches!(first, b'}' | b']') {
            self.pieces.push_front(Piece::Text(", "));
        }
        self.separate = !matches!(first, b'{' | b'[' | KEY);
    }
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
