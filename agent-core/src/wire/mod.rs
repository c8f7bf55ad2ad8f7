//! The wire: from bytes to a checked request, and from a reply to bytes.
//!
//! It knows qemu-ga's JSON dialect and its texts, and nothing of commands or boards.

mod address;
mod base64;
mod decimal;
mod lexer;
mod message;
mod number;
mod order;
mod piece;
mod reply;
mod request;
mod string;
mod value;
mod writer;

pub(crate) use address::{hardware, ip};
pub(crate) use base64::{DECODED_AT_ONCE, Decoder};
#[cfg(fuzzing)]
pub(crate) use lexer::{Lexer, Step};
pub(crate) use message::{Event, Message, NESTING_LIMIT, SyntaxError};
pub(crate) use number::{Number, Written};
pub(crate) use order::Table;
pub(crate) use piece::Piece;
pub(crate) use reply::{Reply, Source};
pub(crate) use request::{EnvelopeError, Request};
pub(crate) use value::{Kind, Span, Text, Value};
pub use writer::ReplyWriter;
