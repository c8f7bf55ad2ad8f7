//! Errors: what a client is told when a request was not carried out.
//!
//! The texts are qemu-ga's, and stand where they are used, so that an image has those of its own
//! commands only. Here are the ones that several have.

use crate::{
    capability::Errno,
    wire::{EnvelopeError, Piece, Span, SyntaxError},
};

/// Pieces that a text can have.
const PIECES: usize = 4;

/// Why a request was not carried out, as the client is told.
#[derive(Clone, Copy, Debug)]
pub struct Error {
    class: Class,
    /// Each `%` stands for a piece.
    text: &'static str,
    pieces: [Piece; PIECES],
}

/// The error class of the QAPI schema: qemu-ga uses these two.
#[derive(Clone, Copy, Debug)]
enum Class {
    CommandNotFound,
    GenericError,
}

impl Error {
    /// An error in the application's own words, of class `GenericError`.
    pub fn refusal(words: &'static str) -> Self {
        Self::new("%", &[Piece::Words(words)])
    }

    /// An error with a text that says it all. `%`, `"` and `\\` do not stand for themselves there.
    pub(crate) fn plain(text: &'static str) -> Self {
        Self::new(text, &[])
    }

    /// An error whose text has up to four pieces.
    #[inline(never)]
    pub(crate) fn new(text: &'static str, pieces: &[Piece]) -> Self {
        debug_assert!(pieces.len() <= PIECES, "more pieces than an error can have");
        let mut error =
            Self { class: Class::GenericError, text, pieces: [Piece::Text(""); PIECES] };
        for (place, piece) in error.pieces.iter_mut().zip(pieces) {
            *place = *piece;
        }
        error
    }

    /// A failure of what the board does: what was tried, and why it failed.
    pub(crate) fn failed(what: &'static str) -> impl Fn(Errno) -> Self + Copy {
        move |Errno(why)| Self::new("%: %", &[Piece::Text(what), Piece::Words(why)])
    }

    /// The same error about a member of an element of a list.
    pub(crate) fn within(self, list: &'static str, index: u32) -> Self {
        let [first, second, third, _] = self.pieces;
        Self { pieces: [Piece::Element { list, index }, first, second, third], ..self }
    }

    /// There is no such command.
    pub(crate) fn not_found(command: Span) -> Self {
        Self::of_command("The command % has not been found", command)
    }

    /// Policy forbids the command.
    pub(crate) fn disabled(command: Span) -> Self {
        Self::of_command("Command % has been disabled", command)
    }

    /// The command has to wait for the thaw.
    pub(crate) fn frozen(command: Span) -> Self {
        Self::of_command("Command % has been disabled: the agent is in frozen state", command)
    }

    fn of_command(text: &'static str, command: Span) -> Self {
        Self { class: Class::CommandNotFound, ..Self::new(text, &[Piece::Quoted(command)]) }
    }

    /// An argument is not there.
    pub(crate) fn missing(argument: &'static str) -> Self {
        Self::new("Parameter '%' is missing", &[Piece::Words(argument)])
    }

    /// An argument has the wrong type.
    pub(crate) fn wrong_type(argument: &'static str, expected: &'static str) -> Self {
        Self::new(
            "Invalid parameter type for '%', expected: %",
            &[Piece::Words(argument), Piece::Text(expected)],
        )
    }

    /// An argument is none of the words that it may be.
    pub(crate) fn no_such_value(argument: &'static str, value: Span) -> Self {
        Self::new(
            "Parameter '%' does not accept value '%'",
            &[Piece::Words(argument), Piece::Quoted(value)],
        )
    }

    /// A text is no Base64.
    pub(crate) fn bad_base64() -> Self {
        Self::plain("Base64 data contains invalid characters")
    }

    /// QEMU's error for what a guest turns out not to be able to do.
    pub(crate) fn unsupported() -> Self {
        Self::plain("this feature or command is not currently supported")
    }

    /// The message is longer than the request buffer: qemu-ga's text for its own limit, 64 MiB.
    pub(crate) fn request_too_long() -> Self {
        Self::plain("JSON token size limit exceeded")
    }

    /// What a command returns is longer than half the reply buffer.
    pub(crate) fn reply_too_long() -> Self {
        Self::plain("the reply does not fit in the agent's buffer")
    }

    /// The error class of the QAPI schema.
    pub(crate) fn class(&self) -> &'static str {
        match self.class {
            Class::CommandNotFound => "CommandNotFound",
            Class::GenericError => "GenericError",
        }
    }

    /// The description: a text in which each `%` stands for a piece.
    pub(crate) fn description(&self) -> (&'static str, &[Piece]) {
        (self.text, &self.pieces)
    }
}

impl From<EnvelopeError> for Error {
    fn from(error: EnvelopeError) -> Self {
        Self::plain(match error {
            EnvelopeError::ArgumentsNotObject => "QMP input member 'arguments' must be an object",
            EnvelopeError::ExecuteNotString => "QMP input member 'execute' must be a string",
            EnvelopeError::LacksExecute => "QMP input lacks member 'execute'",
            EnvelopeError::NotObject => "QMP input must be a JSON object",
            EnvelopeError::Unexpected(key) => {
                return Self::new("QMP input member '%' is unexpected", &[Piece::Quoted(key)]);
            }
        })
    }
}

impl From<SyntaxError> for Error {
    fn from(error: SyntaxError) -> Self {
        Self::plain(match error {
            SyntaxError::DuplicateKey => "JSON parse error, duplicate key",
            SyntaxError::ExpectingValue => "JSON parse error, expecting value",
            SyntaxError::InvalidEscape => "JSON parse error, invalid escape sequence in string",
            SyntaxError::InvalidKeyword(text) => return keyword(text),
            SyntaxError::InvalidUtf8 => "JSON parse error, invalid UTF-8 sequence in string",
            SyntaxError::KeyNotString => "JSON parse error, key is not a string in object",
            SyntaxError::MissingColon => "JSON parse error, missing : in object pair",
            SyntaxError::NestingLimit => "JSON nesting depth limit exceeded",
            SyntaxError::NotUnicode(text) => {
                return Self::new(
                    "JSON parse error, % is not a valid Unicode character",
                    &[Piece::Quoted(text)],
                );
            }
            SyntaxError::SeparatorInDict => "JSON parse error, expected separator in dict",
            SyntaxError::SeparatorInList => "JSON parse error, expected separator in list",
            SyntaxError::Stray(text) => {
                return Self::new("JSON parse error, stray '%'", &[Piece::Quoted(text)]);
            }
        })
    }
}

/// qemu-ga cuts what stands behind `JSON parse error, ` to 1023 bytes, and a keyword is the one
/// text that can be longer than that.
fn keyword(text: Span) -> Error {
    const LONGEST: usize = 1023 - "invalid keyword '".len();

    let cut = text.start.saturating_add(LONGEST);
    if text.end < cut {
        Error::new("JSON parse error, invalid keyword '%'", &[Piece::Quoted(text)])
    } else {
        let cut = Span { end: cut, ..text };
        Error::new("JSON parse error, invalid keyword '%", &[Piece::Quoted(cut)])
    }
}
