//! The request: the envelope of a message, checked in qemu-ga's order.
//!
//! Third stop of a request: from here on it is a command's name, its arguments and an `id`.

use super::value::{Kind, Span, Text, Value};

/// A request whose envelope is in order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'m> {
    /// The name of the command.
    pub(crate) execute: Text<'m>,
    pub(crate) arguments: Option<Value<'m>>,
}

/// What is wrong with an envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EnvelopeError {
    ArgumentsNotObject,
    ExecuteNotString,
    LacksExecute,
    NotObject,
    /// The key of a member that no request has.
    Unexpected(Span),
}

impl<'m> Request<'m> {
    /// Reads a complete message.
    ///
    /// # Errors
    ///
    /// The first member that is wrong, in the order of members; only then a missing `execute`.
    pub(crate) fn read(message: &'m [u8]) -> Result<Self, EnvelopeError> {
        let envelope = Value::at(message, 0);
        if envelope.kind() != Kind::Object {
            return Err(EnvelopeError::NotObject);
        }
        let (mut execute, mut arguments) = (None, None);
        for (key, value) in envelope.members() {
            match key.bytes() {
                b"execute" => execute = Some(value.text().ok_or(EnvelopeError::ExecuteNotString)?),
                b"arguments" if value.kind() == Kind::Object => arguments = Some(value),
                b"arguments" => return Err(EnvelopeError::ArgumentsNotObject),
                b"id" => {}
                _ => return Err(EnvelopeError::Unexpected(key.span())),
            }
        }
        let execute = execute.ok_or(EnvelopeError::LacksExecute)?;
        Ok(Self { execute, arguments })
    }

    /// The `id` to echo, which any object may have, whatever else is wrong with it.
    pub(crate) fn id(message: &'m [u8]) -> Option<Span> {
        Value::at(message, 0).member(b"id").map(Value::span)
    }
}
