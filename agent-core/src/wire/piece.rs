//! Pieces: what is still to be written of a reply.
//!
//! What is taken from the request, an echoed `id` or the text that an error quotes, can be longer
//! than any buffer for a reply, and so can a file, the output of a program or the list of commands.
//! It is kept as pieces, which say where it comes from.

use heapless::Vec;

use crate::capability::{Handle, Pid, Stream};

use super::value::Span;

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

/// The pieces of a reply, in their order. Those of every reply are known when it is written, and they
/// fit.
#[derive(Debug)]
pub(crate) struct Pieces {
    /// The first one is the last here.
    reversed: Vec<Piece, PIECES>,
}

impl Pieces {
    pub(crate) const fn new() -> Self {
        Self { reversed: Vec::new() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.reversed.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        self.reversed.clear();
    }

    /// Adds a piece behind the others.
    pub(crate) fn push(&mut self, piece: Piece) {
        let fits = self.reversed.insert(0, piece).is_ok();
        debug_assert!(fits, "more pieces than a reply can have");
    }

    /// Adds a piece before the others. There is a place for as many as a token has.
    #[inline(never)]
    pub(crate) fn push_front(&mut self, piece: Piece) {
        let fits = self.reversed.push(piece).is_ok();
        debug_assert!(fits, "more pieces than a reply can have");
    }

    /// Takes the first piece.
    pub(crate) fn pop_front(&mut self) -> Option<Piece> {
        self.reversed.pop()
    }
}
