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
}

impl Type {
    /// What qemu-ga calls it in errors.
    fn name(self) -> &'static str {
        match self {
            Self::Integer => "integer",
            Self::String => "string",
        }
    }

    fn fits(self, value: Value<'_>) -> bool {
        match self {
            Self::Integer => matches!(value.number(), Some(Number::Signed(_))),
            Self::String => value.kind() == Kind::String,
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
                Some(value) if !field.r#type.fits(value) => {
                    let expected = field.r#type.name();
                    return Err(Error::WrongType { argument: field.name, expected });
                }
                None if !field.optional => return Err(Error::MissingArgument(field.name)),
                Some(_) | None => {}
            }
        }
        match object.and_then(|object| unexpected(object, fields)) {
            Some(key) => Err(Error::UnexpectedArgument(key)),
            None => Ok(arguments),
        }
    }

    /// An argument of type [`Type::Integer`], where it is there.
    pub(crate) fn integer(self, name: &str) -> Option<i64> {
        match self.value(name)?.number() {
            Some(Number::Signed(value)) => Some(value),
            _ => None,
        }
    }

    /// An argument of type [`Type::String`], in modified UTF-8, where it is there.
    pub(crate) fn string(self, name: &str) -> Option<&'m [u8]> {
        self.value(name)?.text().map(Text::bytes)
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
