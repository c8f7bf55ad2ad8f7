//! Errors: everything that a client can be told instead of a result.
//!
//! The texts are qemu-ga's, to the byte; docs/commands has them by command.

mod file;

use crate::wire::{EnvelopeError, Piece, Span, SyntaxError};

pub(crate) use file::FileError;

/// Why a message is answered with an error. Spans are offsets into the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Error {
    /// What a command itself has to say.
    Command(&'static str),
    /// Policy forbids the command of this name.
    Disabled(Span),
    Envelope(EnvelopeError),
    File(FileError),
    /// The command of this name must wait for the thaw.
    Frozen(Span),
    MissingArgument(&'static str),
    /// No command of this name is offered.
    NotFound(Span),
    /// A value that the argument's enumeration does not have.
    NoSuchValue {
        argument: &'static str,
        value: Span,
    },
    ReplyTooLong,
    RequestTooLong,
    Syntax(SyntaxError),
    UnexpectedArgument(Span),
    /// QEMU's error for what a guest turns out not to be able to do.
    Unsupported,
    /// An element of a list has the wrong type.
    WrongElement {
        argument: &'static str,
        index: i64,
        expected: &'static str,
    },
    WrongType {
        argument: &'static str,
        expected: &'static str,
    },
}

impl From<FileError> for Error {
    fn from(error: FileError) -> Self {
        Self::File(error)
    }
}

impl From<EnvelopeError> for Error {
    fn from(error: EnvelopeError) -> Self {
        Self::Envelope(error)
    }
}

impl Error {
    /// The error class of the QAPI schema: qemu-ga uses these two.
    pub(crate) fn class(self) -> &'static str {
        match self {
            Self::Disabled(_) | Self::Frozen(_) | Self::NotFound(_) => "CommandNotFound",
            _ => "GenericError",
        }
    }

    /// The description: a text in which each `%` stands for a piece.
    pub(crate) fn description(self) -> (&'static str, [Piece; 3]) {
        match self {
            Self::Command(text) => plain(text),
            Self::Disabled(name) => with("Command % has been disabled", Piece::Quoted(name)),
            Self::Envelope(error) => envelope(error),
            Self::File(error) => error.description(),
            Self::Frozen(name) => {
                let text = "Command % has been disabled: the agent is in frozen state";
                with(text, Piece::Quoted(name))
            }
            Self::MissingArgument(name) => with("Parameter '%' is missing", Piece::Text(name)),
            Self::NoSuchValue { argument, value } => (
                "Parameter '%' does not accept value '%'",
                [Piece::Text(argument), Piece::Quoted(value), NONE],
            ),
            Self::NotFound(name) => with("The command % has not been found", Piece::Quoted(name)),
            Self::ReplyTooLong => plain("the reply does not fit in the agent's buffer"),
            // qemu-ga's text for its own limit, 64 MiB.
            Self::RequestTooLong => plain("JSON token size limit exceeded"),
            Self::Syntax(error) => syntax(error),
            Self::UnexpectedArgument(name) => {
                with("Parameter '%' is unexpected", Piece::Quoted(name))
            }
            Self::Unsupported => plain("this feature or command is not currently supported"),
            Self::WrongElement { argument, index, expected } => (
                "Invalid parameter type for '%[%]', expected: %",
                [Piece::Text(argument), Piece::Integer(index), Piece::Text(expected)],
            ),
            Self::WrongType { argument, expected } => (
                "Invalid parameter type for '%', expected: %",
                [Piece::Text(argument), Piece::Text(expected), NONE],
            ),
        }
    }
}

/// A piece that no `%` stands for.
const NONE: Piece = Piece::Text("");

fn plain(text: &'static str) -> (&'static str, [Piece; 3]) {
    (text, [NONE; 3])
}

fn with(text: &'static str, piece: Piece) -> (&'static str, [Piece; 3]) {
    (text, [piece, NONE, NONE])
}

fn envelope(error: EnvelopeError) -> (&'static str, [Piece; 3]) {
    match error {
        EnvelopeError::ArgumentsNotObject => {
            plain("QMP input member 'arguments' must be an object")
        }
        EnvelopeError::ExecuteNotString => plain("QMP input member 'execute' must be a string"),
        EnvelopeError::LacksExecute => plain("QMP input lacks member 'execute'"),
        EnvelopeError::NotObject => plain("QMP input must be a JSON object"),
        EnvelopeError::Unexpected(key) => {
            with("QMP input member '%' is unexpected", Piece::Quoted(key))
        }
    }
}

fn syntax(error: SyntaxError) -> (&'static str, [Piece; 3]) {
    match error {
        SyntaxError::DuplicateKey => plain("JSON parse error, duplicate key"),
        SyntaxError::ExpectingValue => plain("JSON parse error, expecting value"),
        SyntaxError::InvalidEscape => plain("JSON parse error, invalid escape sequence in string"),
        SyntaxError::InvalidKeyword(text) => keyword(text),
        SyntaxError::InvalidUtf8 => plain("JSON parse error, invalid UTF-8 sequence in string"),
        SyntaxError::KeyNotString => plain("JSON parse error, key is not a string in object"),
        SyntaxError::MissingColon => plain("JSON parse error, missing : in object pair"),
        SyntaxError::NestingLimit => plain("JSON nesting depth limit exceeded"),
        SyntaxError::NotUnicode(text) => {
            with("JSON parse error, % is not a valid Unicode character", Piece::Quoted(text))
        }
        SyntaxError::SeparatorInDict => plain("JSON parse error, expected separator in dict"),
        SyntaxError::SeparatorInList => plain("JSON parse error, expected separator in list"),
        SyntaxError::Stray(text) => with("JSON parse error, stray '%'", Piece::Quoted(text)),
    }
}

/// qemu-ga cuts what stands behind `JSON parse error, ` to 1023 bytes, and a keyword is the one
/// text that can be longer than that.
fn keyword(text: Span) -> (&'static str, [Piece; 3]) {
    const LONGEST: usize = 1023 - "invalid keyword '".len();

    let cut = text.start.saturating_add(LONGEST);
    if text.end < cut {
        with("JSON parse error, invalid keyword '%'", Piece::Quoted(text))
    } else {
        with("JSON parse error, invalid keyword '%", Piece::Quoted(Span { end: cut, ..text }))
    }
}
