//! The checks of arguments that are lists. The errors name the element: `vcpus[0].online`.

use super::{Arguments, Field};
use crate::{
    error::Error,
    wire::{Kind, Piece, Value},
};

/// Checks a list of strings.
pub(super) fn strings(field: &Field, value: Value<'_>) -> Result<(), Error> {
    for (element, index) in elements(field, value)? {
        if element.kind() != Kind::String {
            return Err(wrong_element(field, index, "string"));
        }
    }
    Ok(())
}

/// Checks a list of structures.
pub(super) fn structures(field: &Field, value: Value<'_>) -> Result<(), Error> {
    for (element, index) in elements(field, value)? {
        if element.kind() != Kind::Object {
            return Err(wrong_element(field, index, "object"));
        }
        Arguments::check(Some(element), field.r#type.members)
            .map_err(|error| error.within(field.name, index))?;
    }
    Ok(())
}

fn elements<'m>(
    field: &Field,
    value: Value<'m>,
) -> Result<impl Iterator<Item = (Value<'m>, u32)>, Error> {
    match value.kind() {
        Kind::Array => Ok(value.elements().zip(0..)),
        _ => Err(Error::wrong_type(field.name, "array")),
    }
}

fn wrong_element(field: &Field, index: u32, expected: &'static str) -> Error {
    Error::new(
        "Invalid parameter type for '%[%]', expected: %",
        &[Piece::Words(field.name), Piece::Integer(index.into()), Piece::Text(expected)],
    )
}
