//! Values: a message in its canonical form, and how to walk through it.
//!
//! A complete message is kept as one run of bytes in which every token ends by itself, strings are
//! unescaped and the members of an object stand in qemu-ga's order:
//!
//! | value | form |
//! |---|---|
//! | object | `{`, then key and value of each member, `}` |
//! | array | `[`, then its elements, `]` |
//! | key | `:`, text in modified UTF-8, a zero byte |
//! | string | `"`, text in modified UTF-8, a zero byte |
//! | number | its text, a zero byte |
//! | `true`, `false`, `null` | `t`, `f`, `n` |
//!
//! So nothing is decoded twice, two keys are the same when their bytes are, and a value can be
//! echoed from first byte to last without a stack.

use super::number::Number;

/// First byte of a key.
pub(crate) const KEY: u8 = b':';
/// First byte of a string that is not a key.
pub(crate) const STRING: u8 = b'"';
/// Last byte of a key, a string or a number.
pub(crate) const END: u8 = 0;

/// A part of the message, by its offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Span {
    /// The bytes of this part of `message`.
    pub(crate) fn of(self, message: &[u8]) -> &[u8] {
        message.get(self.start..self.end).unwrap_or_default()
    }
}

/// The type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Array,
    Bool,
    Null,
    Number,
    Object,
    String,
}

/// A value in a complete message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Value<'m> {
    message: &'m [u8],
    span: Span,
}

impl<'m> Value<'m> {
    /// The value whose first byte is at `start`.
    pub(crate) fn at(message: &'m [u8], start: usize) -> Self {
        Self { message, span: Span { start, end: end_of(message, start) } }
    }

    pub(crate) fn span(self) -> Span {
        self.span
    }

    pub(crate) fn kind(self) -> Kind {
        match self.message.get(self.span.start) {
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::Array,
            Some(&STRING) => Kind::String,
            Some(b't' | b'f') => Kind::Bool,
            Some(b'-' | b'0'..=b'9') => Kind::Number,
            _ => Kind::Null,
        }
    }

    /// The text of a string.
    pub(crate) fn text(self) -> Option<Text<'m>> {
        (self.kind() == Kind::String)
            .then(|| Text { message: self.message, span: inner(self.span) })
    }

    /// The value of a number.
    pub(crate) fn number(self) -> Option<Number> {
        let end = self.span.end.saturating_sub(1);
        (self.kind() == Kind::Number)
            .then(|| Number::parse(Span { start: self.span.start, end }.of(self.message)))
    }

    /// The value of `true` or `false`.
    pub(crate) fn boolean(self) -> Option<bool> {
        (self.kind() == Kind::Bool).then(|| self.message.get(self.span.start) == Some(&b't'))
    }

    /// The members of an object in qemu-ga's order; none for any other value.
    pub(crate) fn members(self) -> impl Iterator<Item = (Text<'m>, Self)> {
        let Self { message, span } = self;
        let end = if self.kind() == Kind::Object { span.end } else { 0 };
        members(message, span.start, end).map(move |member| {
            (Text { message, span: member.key }, Self { message, span: member.value })
        })
    }

    /// The elements of an array; none for any other value.
    pub(crate) fn elements(self) -> impl Iterator<Item = Self> + Clone {
        let Self { message, span } = self;
        // Before the closing bracket.
        let end = if self.kind() == Kind::Array { span.end.saturating_sub(1) } else { 0 };
        let mut at = span.start.saturating_add(1);
        core::iter::from_fn(move || {
            (at < end).then(|| {
                let element = Self::at(message, at);
                at = element.span.end;
                element
            })
        })
    }

    /// The member of an object that has this key.
    pub(crate) fn member(self, key: &[u8]) -> Option<Self> {
        self.members().find(|(other, _)| other.bytes() == key).map(|(_, value)| value)
    }
}

/// The text of a key or a string in a complete message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text<'m> {
    message: &'m [u8],
    span: Span,
}

impl<'m> Text<'m> {
    pub(crate) fn span(self) -> Span {
        self.span
    }

    /// In modified UTF-8.
    pub(crate) fn bytes(self) -> &'m [u8] {
        self.span.of(self.message)
    }
}

/// A member of an object.
pub(crate) struct Member {
    /// The text of the key.
    pub(crate) key: Span,
    pub(crate) value: Span,
}

impl Member {
    /// Where the member begins: at the first byte of its key.
    pub(crate) fn start(&self) -> usize {
        self.key.start.saturating_sub(1)
    }
}

/// The members that lie before `end` in the object that begins at `start`.
pub(crate) fn members(message: &[u8], start: usize, end: usize) -> impl Iterator<Item = Member> {
    let mut at = start.saturating_add(1);
    core::iter::from_fn(move || {
        if at >= end || message.get(at) != Some(&KEY) {
            return None;
        }
        let key = key_at(message, at);
        let value = key.end.saturating_add(1);
        at = end_of(message, value);
        Some(Member { key, value: Span { start: value, end: at } })
    })
}

/// The text of the key that begins at `start`.
pub(crate) fn key_at(message: &[u8], start: usize) -> Span {
    inner(Span { start, end: end_of_text(message, start) })
}

/// A key or string without its first and its last byte.
fn inner(span: Span) -> Span {
    Span { start: span.start.saturating_add(1), end: span.end.saturating_sub(1) }
}

/// The end of the key, string or number that begins at `start`.
pub(crate) fn end_of_text(message: &[u8], start: usize) -> usize {
    let rest = message.get(start..).unwrap_or_default();
    let length = rest.iter().position(|&byte| byte == END).unwrap_or(rest.len());
    start.saturating_add(length).saturating_add(1)
}

/// The end of the value that begins at `start`.
fn end_of(message: &[u8], start: usize) -> usize {
    let mut at = start;
    let mut depth = 0_usize;
    while let Some(&byte) = message.get(at) {
        at = match byte {
            b'{' | b'[' | b'}' | b']' | b't' | b'f' | b'n' => at.saturating_add(1),
            _ => end_of_text(message, at),
        };
        match byte {
            b'{' | b'[' => depth = depth.saturating_add(1),
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 && byte != KEY {
            break;
        }
    }
    at
}
