//! Errors: everything that a client can be told instead of a result.
//!
//! The texts are qemu-ga's, to the byte; docs/commands has them by command.

mod file;

use crate::wire::{EnvelopeError, Piece, Reply, Span, SyntaxError};

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

    /// Adds the description to a reply.
    pub(crate) fn describe(self, reply: &mut Reply<'_>) {
        use Piece::{Quoted, Text};

        let mut add = |pieces: &[Piece]| pieces.iter().for_each(|&piece| reply.push(piece));
        match self {
            Self::Command(text) => add(&[Text(text)]),
            Self::Disabled(name) => {
                add(&[Text("Command "), Quoted(name), Text(" has been disabled")]);
            }
            Self::Envelope(error) => describe_envelope(error, &mut add),
            Self::File(error) => error.describe(&mut add),
            Self::Frozen(name) => add(&[
                Text("Command "),
                Quoted(name),
                Text(" has been disabled: the agent is in frozen state"),
            ]),
            Self::MissingArgument(name) => {
                add(&[Text("Parameter '"), Text(name), Text("' is missing")]);
            }
            Self::NotFound(name) => {
                add(&[Text("The command "), Quoted(name), Text(" has not been found")]);
            }
            Self::NoSuchValue { argument, value } => add(&[
                Text("Parameter '"),
                Text(argument),
                Text("' does not accept value '"),
                Quoted(value),
                Text("'"),
            ]),
            Self::ReplyTooLong => add(&[Text("the reply does not fit in the agent's buffer")]),
            // qemu-ga's text for its own limit, 64 MiB.
            Self::RequestTooLong => add(&[Text("JSON token size limit exceeded")]),
            Self::Syntax(SyntaxError::NestingLimit) => {
                add(&[Text("JSON nesting depth limit exceeded")]);
            }
            Self::Syntax(error) => {
                add(&[Text("JSON parse error, ")]);
                describe_syntax(error, &mut add);
            }
            Self::UnexpectedArgument(name) => {
                add(&[Text("Parameter '"), Quoted(name), Text("' is unexpected")]);
            }
            Self::Unsupported => {
                add(&[Text("this feature or command is not currently supported")]);
            }
            Self::WrongElement { argument, index, expected } => add(&[
                Text("Invalid parameter type for '"),
                Text(argument),
                Text("["),
                Piece::Integer(index),
                Text("]', expected: "),
                Text(expected),
            ]),
            Self::WrongType { argument, expected } => add(&[
                Text("Invalid parameter type for '"),
                Text(argument),
                Text("', expected: "),
                Text(expected),
            ]),
        }
    }
}

fn describe_envelope(error: EnvelopeError, add: &mut impl FnMut(&[Piece])) {
    use Piece::{Quoted, Text};

    match error {
        EnvelopeError::ArgumentsNotObject => {
            add(&[Text("QMP input member 'arguments' must be an object")]);
        }
        EnvelopeError::ExecuteNotString => {
            add(&[Text("QMP input member 'execute' must be a string")]);
        }
        EnvelopeError::LacksExecute => add(&[Text("QMP input lacks member 'execute'")]),
        EnvelopeError::NotObject => add(&[Text("QMP input must be a JSON object")]),
        EnvelopeError::Unexpected(key) => {
            add(&[Text("QMP input member '"), Quoted(key), Text("' is unexpected")]);
        }
    }
}

fn describe_syntax(error: SyntaxError, add: &mut impl FnMut(&[Piece])) {
    use Piece::{Quoted, Text};

    match error {
        SyntaxError::DuplicateKey => add(&[Text("duplicate key")]),
        SyntaxError::ExpectingValue => add(&[Text("expecting value")]),
        SyntaxError::InvalidEscape => add(&[Text("invalid escape sequence in string")]),
        SyntaxError::InvalidKeyword(text) => describe_keyword(text, add),
        SyntaxError::InvalidUtf8 => add(&[Text("invalid UTF-8 sequence in string")]),
        SyntaxError::KeyNotString => add(&[Text("key is not a string in object")]),
        SyntaxError::MissingColon => add(&[Text("missing : in object pair")]),
        // Has no prefix and is described by the caller.
        SyntaxError::NestingLimit => {}
        SyntaxError::NotUnicode(text) => {
            add(&[Quoted(text), Text(" is not a valid Unicode character")]);
        }
        SyntaxError::SeparatorInDict => add(&[Text("expected separator in dict")]),
        SyntaxError::SeparatorInList => add(&[Text("expected separator in list")]),
        SyntaxError::Stray(text) => add(&[Text("stray '"), Quoted(text), Text("'")]),
    }
}

/// qemu-ga cuts what stands behind `JSON parse error, ` to 1023 bytes, and a keyword is the one
/// text that can be longer than that.
fn describe_keyword(text: Span, add: &mut impl FnMut(&[Piece])) {
    const BEGIN: &str = "invalid keyword '";
    const LONGEST: usize = 1023 - BEGIN.len();

    let cut = text.start.saturating_add(LONGEST);
    add(&[Piece::Text(BEGIN), Piece::Quoted(Span { end: text.end.min(cut), ..text })]);
    if text.end < cut {
        add(&[Piece::Text("'")]);
    }
}
