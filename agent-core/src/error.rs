//! Errors as a client sees them: a class and a description.
//!
//! The texts are qemu-ga's, to the byte.

use heapless::Vec;

use crate::wire::{EnvelopeError, Piece, Span, SyntaxError};

/// The error classes that qemu-ga uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// The command does not exist here, or must not be used.
    CommandNotFound,
    /// Everything else.
    GenericError,
}

/// Pieces that a description may have.
const PIECES: usize = 7;

/// What a client is told instead of a result.
#[derive(Debug)]
pub(crate) struct Error {
    pub(crate) class: Class,
    pub(crate) description: Vec<Piece, PIECES>,
}

impl Error {
    /// An error of the class `GenericError`.
    pub(crate) fn generic(pieces: &[Piece]) -> Self {
        Self::new(Class::GenericError, pieces)
    }

    pub(crate) fn new(class: Class, pieces: &[Piece]) -> Self {
        // Every caller's list of pieces is a constant's length, and fits.
        Self { class, description: Vec::from_slice(pieces).unwrap_or_default() }
    }

    /// The reply of a command is longer than the reply buffer allows.
    pub(crate) fn reply_too_long() -> Self {
        Self::generic(&[Piece::Text("the reply does not fit in the agent's buffer")])
    }

    /// A message is longer than the request buffer. The text is the one for qemu-ga's own limit.
    pub(crate) fn request_too_long() -> Self {
        Self::generic(&[Piece::Text("JSON token size limit exceeded")])
    }

    /// QEMU's text for what a guest cannot do.
    pub(crate) fn unsupported() -> Self {
        Self::generic(&[Piece::Text("this feature or command is not currently supported")])
    }
}

/// How many bytes of an error text qemu-ga keeps behind `JSON parse error, `.
const LONGEST_PARSE_ERROR: usize = 1023;

impl From<SyntaxError> for Error {
    fn from(error: SyntaxError) -> Self {
        let parse_error = |text| Self::generic(&[Piece::Text("JSON parse error, "), Piece::Text(text)]);
        match error {
            SyntaxError::DuplicateKey => parse_error("duplicate key"),
            SyntaxError::ExpectingValue => parse_error("expecting value"),
            SyntaxError::InvalidEscape => parse_error("invalid escape sequence in string"),
            SyntaxError::InvalidKeyword(text) => invalid_keyword(text),
            SyntaxError::InvalidUtf8 => parse_error("invalid UTF-8 sequence in string"),
            SyntaxError::KeyNotString => parse_error("key is not a string in object"),
            SyntaxError::MissingColon => parse_error("missing : in object pair"),
            SyntaxError::NestingLimit => {
                Self::generic(&[Piece::Text("JSON nesting depth limit exceeded")])
            }
            SyntaxError::NotUnicode(text) => Self::generic(&[
                Piece::Text("JSON parse error, "),
                Piece::Quoted(text),
                Piece::Text(" is not a valid Unicode character"),
            ]),
            SyntaxError::SeparatorInDict => parse_error("expected separator in dict"),
            SyntaxError::SeparatorInList => parse_error("expected separator in list"),
            SyntaxError::Stray(text) => Self::generic(&[
                Piece::Text("JSON parse error, stray '"),
                Piece::Quoted(text),
                Piece::Text("'"),
            ]),
        }
    }
}

fn invalid_keyword(text: Span) -> Error {
    const BEGIN: &str = "invalid keyword '";
    let longest = text.start.saturating_add(LONGEST_PARSE_ERROR.saturating_sub(BEGIN.len()));
    let end = text.end.min(longest);
    Error::generic(&[
        Piece::Text("JSON parse error, "),
        Piece::Text(BEGIN),
        Piece::Quoted(Span { end, ..text }),
        // The closing quote is cut first.
        Piece::Text(if text.end < longest { "'" } else { "" }),
    ])
}

impl From<EnvelopeError> for Error {
    fn from(error: EnvelopeError) -> Self {
        let text = |text| Self::generic(&[Piece::Text(text)]);
        match error {
            EnvelopeError::ArgumentsNotObject => {
                text("QMP input member 'arguments' must be an object")
            }
            EnvelopeError::ExecuteNotString => text("QMP input member 'execute' must be a string"),
            EnvelopeError::LacksExecute => text("QMP input lacks member 'execute'"),
            EnvelopeError::NotObject => text("QMP input must be a JSON object"),
            EnvelopeError::Unexpected(key) => Self::generic(&[
                Piece::Text("QMP input member '"),
                Piece::Quoted(key),
                Piece::Text("' is unexpected"),
            ]),
        }
    }
}
