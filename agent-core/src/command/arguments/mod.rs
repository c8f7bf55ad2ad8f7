//! Arguments: checked against a command's row, then read by name.
//!
//! The whole check is made before the handler runs, in qemu-ga's order: every field of the schema
//! in its order (missing? of the right type?), then whether there is anything else.

mod lists;
mod types;

pub use types::{Field, Type};

use crate::{
    error::Error,
    wire::{Number, Piece, Span, Table, Text, Value},
};

/// The arguments of a request, or a structure in them. Every value has the type that its field
/// says.
#[derive(Clone, Copy, Debug)]
pub struct Arguments<'m> {
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
                None if !field.optional => return Err(Error::missing(field.name)),
                None => {}
            }
        }
        match object.and_then(|object| unexpected(object, fields)) {
            Some(key) => Err(Error::new("Parameter '%' is unexpected", &[Piece::Quoted(key)])),
            None => Ok(arguments),
        }
    }

    /// An argument of type [`Type::INTEGER`], where it is there.
    pub fn integer(self, name: &str) -> Option<i64> {
        match self.value(name)?.number()? {
            Number::Signed(value) => Some(value),
            _ => None,
        }
    }

    /// An argument of type [`Type::UNSIGNED`], where it is there. As in qemu-ga a negative number is
    /// a very large one.
    pub fn unsigned(self, name: &str) -> Option<u64> {
        match self.value(name)?.number()? {
            Number::Signed(value) => Some(value.cast_unsigned()),
            Number::Unsigned(value) => Some(value),
            Number::Double(_) => None,
        }
    }

    /// An argument of type [`Type::NUMBER`], where it is there.
    pub fn number(self, name: &str) -> Option<f64> {
        Some(self.value(name)?.number()?.to_f64())
    }

    /// An argument of type [`Type::BOOLEAN`], where it is there.
    pub fn boolean(self, name: &str) -> Option<bool> {
        self.value(name)?.boolean()
    }

    /// An argument that is a string, where it is there, in modified UTF-8 (U+0000 is C0 80).
    pub fn string(self, name: &str) -> Option<&'m [u8]> {
        self.text(name).map(Text::bytes)
    }

    /// The elements of an argument of type [`Type::STRINGS`], where it is there.
    pub fn strings(self, name: &str) -> Option<impl Iterator<Item = &'m [u8]> + Clone> {
        Some(self.texts(name)?.map(Text::bytes))
    }

    /// The elements of a list of [structures](Type::structures), where it is there.
    pub fn structures(self, name: &str) -> Option<impl Iterator<Item = Self>> {
        Some(self.value(name)?.elements().map(|object| Self { object: Some(object) }))
    }

    /// [`Self::string`], as a part of the message.
    pub(crate) fn text(self, name: &str) -> Option<Text<'m>> {
        self.value(name)?.text()
    }

    /// [`Self::strings`], as parts of the message.
    pub(crate) fn texts(self, name: &str) -> Option<impl Iterator<Item = Text<'m>> + Clone> {
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
