//! Arguments: checked against a command's row, then read by name.
//!
//! The whole check is made before the handler runs, in qemu-ga's order: every field of the schema
//! in its order (missing? of the right type?), then whether there is anything else.

use crate::{
    error::Error,
    wire::{Kind, Number, Span, Table, Text, Value},
};

/// An argument of a command.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its name on the wire.
    pub name: &'static str,
    /// Its type.
    pub r#type: Type,
    /// Whether it may be left out. `null` is not "left out".
    pub optional: bool,
}

/// The type of an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// `int`: signed 64-bit, without fraction and exponent.
    Integer,
    /// `str`
    String,
    /// `['str']`
    Strings,
    /// `GuestFileWhence`: an integer, or one of `set`, `cur` and `end`.
    Whence,
}

impl Field {
    /// Checks a value, with qemu-ga's errors.
    fn check(&self, value: Value<'_>) -> Result<(), Error> {
        let wrong_type = |expected| Error::WrongType { argument: self.name, expected };
        let integer = || matches!(value.number(), Some(Number::Signed(_)));
        match (self.r#type, value.kind()) {
            (Type::Integer, _) | (Type::Whence, Kind::Number) if integer() => Ok(()),
            (Type::Integer, _) | (Type::Whence, Kind::Number) => Err(wrong_type("integer")),
            (Type::String, Kind::String) => Ok(()),
            (Type::String, _) => Err(wrong_type("string")),
            (Type::Strings, Kind::Array) => self.check_strings(value),
            (Type::Strings, _) => Err(wrong_type("array")),
            (Type::Whence, Kind::String) => self.check_whence(value),
            (Type::Whence, _) => Err(wrong_type("GuestFileWhence")),
        }
    }

    fn check_strings(&self, value: Value<'_>) -> Result<(), Error> {
        let mut elements = value.elements().zip(0..);
        match elements.find(|(element, _)| element.kind() != Kind::String) {
            None => Ok(()),
            Some((_, index)) => {
                Err(Error::WrongElement { argument: self.name, index, expected: "string" })
            }
        }
    }

    fn check_whence(&self, value: Value<'_>) -> Result<(), Error> {
        match value.text() {
            Some(text) if !matches!(text.bytes(), b"set" | b"cur" | b"end") => {
                Err(Error::NoSuchValue { argument: self.name, value: text.span() })
            }
            _ => Ok(()),
        }
    }
}

/// The arguments of a request. Every value has the type that the command's row says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arguments<'m> {
    object: Option<Value<'m>>,
}

impl<'m> Arguments<'m> {
    /// Checks the arguments of a request; none at all are the same as an empty object.
    ///
    /// # Errors
    ///
    /// The first thing wrong, in qemu-ga's order.
    pub(crate) fn check(object: Option<Value<'m>>, fields: &[Field]) -> Result<Self, Error> {
        let arguments = Self { object };
        for field in fields {
            match arguments.value(field.name) {
                Some(value) => field.check(value)?,
                None if !field.optional => return Err(Error::MissingArgument(field.name)),
                None => {}
            }
        }
        match object.and_then(|object| unexpected(object, fields)) {
            Some(key) => Err(Error::UnexpectedArgument(key)),
            None => Ok(arguments),
        }
    }

    /// An argument that is an integer, where it is there.
    pub(crate) fn integer(self, name: &str) -> Option<i64> {
        match self.value(name)?.number() {
            Some(Number::Signed(value)) => Some(value),
            _ => None,
        }
    }

    /// An argument that is a string, where it is there.
    pub(crate) fn text(self, name: &str) -> Option<Text<'m>> {
        self.value(name)?.text()
    }

    /// The elements of an argument of type [`Type::Strings`], where it is there.
    pub(crate) fn texts(self, name: &str) -> Option<impl Iterator<Item = Text<'m>>> {
        Some(self.value(name)?.elements().filter_map(Value::text))
    }

    fn value(self, name: &str) -> Option<Value<'m>> {
        self.object?.member(name.as_bytes())
    }
}

/// The member that is no field, or of several the one that qemu-ga names: it enters all members
/// into a hash table of GLib's, takes out the fields, and names the first that is left.
fn unexpected(object: Value<'_>, fields: &[Field]) -> Option<Span> {
    let keys = || object.members().map(|(key, _)| key);
    let is_field = |key: &Text<'_>| fields.iter().any(|field| field.name.as_bytes() == key.bytes());
    let mut others = keys().filter(|key| !is_field(key));
    let first = others.next()?;
    if others.next().is_none() {
        return Some(first.span());
    }

    let mut table = Table::new();
    for (key, number) in keys().zip(0..) {
        if !table.insert(key.bytes(), number) {
            // More members than the table can follow.
            return Some(first.span());
        }
    }
    for field in fields {
        let named = |(key, _): &(Text<'_>, u8)| key.bytes() == field.name.as_bytes();
        if let Some((_, number)) = keys().zip(0..).find(named) {
            table.remove(number);
        }
    }
    let left = keys().nth(table.first()?.into())?;
    Some(left.span())
}
