//! What an argument can be, and the checks of those that are no lists.
//!
//! A type brings its own check, so that an image has the checks of its own commands only.

use super::lists;
use crate::{
    error::Error,
    wire::{Kind, Number, Piece, Value},
};

/// An argument of a command, or a member of a structure.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its name on the wire.
    pub name: &'static str,
    /// Its type.
    pub r#type: Type,
    /// Whether it may be left out. `null` is not "left out".
    pub optional: bool,
}

impl Field {
    /// A field that must be there.
    pub const fn new(name: &'static str, r#type: Type) -> Self {
        Self { name, r#type, optional: false }
    }

    /// A field that may be left out.
    pub const fn optional(name: &'static str, r#type: Type) -> Self {
        Self { name, r#type, optional: true }
    }

    /// Checks a value, with qemu-ga's errors.
    pub(super) fn check(&self, value: Value<'_>) -> Result<(), Error> {
        (self.r#type.check)(self, value)
    }
}

/// The type of an argument.
#[derive(Clone, Copy, Debug)]
pub struct Type {
    /// As the schema writes it.
    pub name: &'static str,
    /// Of a list of structures, their members.
    pub members: &'static [Field],
    check: Check,
}

/// Checks the value of a field.
type Check = fn(&Field, Value<'_>) -> Result<(), Error>;

impl Type {
    /// `true` or `false`.
    pub const BOOLEAN: Self = Self::plain("bool", boolean);
    /// Signed 64-bit, without fraction and exponent.
    pub const INTEGER: Self = Self::plain("int", integer);
    /// Any number.
    pub const NUMBER: Self = Self::plain("number", number);
    /// A string.
    pub const STRING: Self = Self::plain("str", string);
    /// A list of strings.
    pub const STRINGS: Self = Self::plain("['str']", lists::strings);
    /// Unsigned 64-bit, without fraction and exponent. Negative numbers are taken as qemu-ga takes
    /// them, modulo 2⁶⁴.
    pub const UNSIGNED: Self = Self::plain("uint64", unsigned);
    /// `true` or `false`, or a word of `GuestExecCaptureOutputMode`.
    pub(in crate::command) const CAPTURE: Self = Self::plain("GuestExecCaptureOutput", capture);
    /// An integer, or a word of `QGASeek`.
    pub(in crate::command) const WHENCE: Self = Self::plain("GuestFileWhence", whence);

    /// A list of structures, each with these members; `name` is how the schema writes it, such as
    /// `['GuestLogicalProcessor']`. The members are no lists.
    pub const fn structures(name: &'static str, members: &'static [Field]) -> Self {
        Self { name, members, check: lists::structures }
    }

    const fn plain(name: &'static str, check: Check) -> Self {
        Self { name, members: &[], check }
    }
}

/// `Ok` where a condition holds.
fn require(holds: bool, error: impl FnOnce() -> Error) -> Result<(), Error> {
    if holds { Ok(()) } else { Err(error()) }
}

fn boolean(field: &Field, value: Value<'_>) -> Result<(), Error> {
    require(value.kind() == Kind::Bool, || Error::wrong_type(field.name, "boolean"))
}

fn integer(field: &Field, value: Value<'_>) -> Result<(), Error> {
    require(matches!(value.number(), Some(Number::Signed(_))), || {
        Error::wrong_type(field.name, "integer")
    })
}

fn number(field: &Field, value: Value<'_>) -> Result<(), Error> {
    require(value.kind() == Kind::Number, || Error::wrong_type(field.name, "number"))
}

fn string(field: &Field, value: Value<'_>) -> Result<(), Error> {
    require(value.kind() == Kind::String, || Error::wrong_type(field.name, "string"))
}

fn unsigned(field: &Field, value: Value<'_>) -> Result<(), Error> {
    require(matches!(value.number(), Some(Number::Signed(_) | Number::Unsigned(_))), || {
        Error::new("Parameter '%' expects uint64", &[Piece::Words(field.name)])
    })
}

fn capture(field: &Field, value: Value<'_>) -> Result<(), Error> {
    match value.kind() {
        Kind::Bool => Ok(()),
        Kind::String => word(field, value, &["none", "stdout", "stderr", "separated", "merged"]),
        _ => Err(Error::wrong_type(field.name, "GuestExecCaptureOutput")),
    }
}

fn whence(field: &Field, value: Value<'_>) -> Result<(), Error> {
    match value.kind() {
        Kind::Number => integer(field, value),
        Kind::String => word(field, value, &["set", "cur", "end"]),
        _ => Err(Error::wrong_type(field.name, "GuestFileWhence")),
    }
}

/// Checks that a string is one of the words of an enumeration.
fn word(field: &Field, value: Value<'_>, words: &[&str]) -> Result<(), Error> {
    match value.text() {
        Some(text) if !words.iter().any(|word| word.as_bytes() == text.bytes()) => {
            Err(Error::no_such_value(field.name, text.span()))
        }
        _ => Ok(()),
    }
}
