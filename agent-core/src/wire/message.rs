//! The message: tokens collected into one canonical value, its brackets counted, its grammar checked.
//!
//! Second stop of a request, between [`Lexer`] and [`Request`](super::request::Request). The text
//! of the token under way is kept as it came, behind the canonical form ([`super::value`])
//! of everything before it. Grammar is checked token by token; the first error is latched and
//! reported when the brackets say that the message is over, as qemu-ga reports it.
//!
//! Brackets are *counted*, not matched: a message ends when no brace and no bracket is open, or as
//! soon as one too many is closed. What they enclose is the grammar's business.

use heapless::VecView;

use super::{
    lexer::{Lexer, Step, Token},
    order::bucket,
    string::{self, StringError},
    value::{self, END, KEY, STRING, Span},
};

/// Braces and brackets that may be open together, as in qemu-ga.
pub(crate) const NESTING_LIMIT: usize = 1024;

/// Stands before a container in the place of a key, which is an error once the container is over.
const MISPLACED: u8 = b'?';

/// What a byte has brought about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A message is complete and well-formed: the value at the start of [`Message::bytes`].
    Complete,
    /// Nothing is left of the message but an error to report.
    Failed(SyntaxError),
    /// The message does not fit: its rest will be skipped without another word.
    TooLong,
}

/// What is wrong with a message. Spans are offsets into [`Message::bytes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SyntaxError {
    DuplicateKey,
    ExpectingValue,
    InvalidEscape,
    InvalidKeyword(Span),
    InvalidUtf8,
    KeyNotString,
    MissingColon,
    NestingLimit,
    NotUnicode(Span),
    SeparatorInDict,
    SeparatorInList,
    /// A token that the lexer refused, with the byte that it refused it for.
    Stray(Span),
}

/// What the grammar allows next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expect {
    Colon,
    /// `,` or `]`
    ElementEnd,
    /// A value or `]`
    FirstElement,
    /// A key or `}`
    FirstKey,
    Key,
    /// `,` or `}`
    MemberEnd,
    Value,
}

/// How the message under way stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Every token so far was in its place.
    Expecting(Expect),
    /// Not so; what is still to come is only counted.
    Failed(SyntaxError),
    /// It was too long and has been answered; what is still to come is only counted.
    Skipping,
}

/// The message under way.
#[derive(Debug)]
pub(crate) struct Message<'b> {
    lexer: Lexer,
    standing: Standing,
    braces: usize,
    brackets: usize,
    /// The canonical form, and behind it the text of the token under way.
    bytes: &'b mut VecView<u8>,
    /// Length of the canonical form.
    kept: usize,
    /// For each open container, where its latest member or element begins.
    items: &'b mut [usize; NESTING_LIMIT],
}

impl<'b> Message<'b> {
    pub(crate) fn new(bytes: &'b mut VecView<u8>, items: &'b mut [usize; NESTING_LIMIT]) -> Self {
        bytes.clear();
        let standing = Standing::Expecting(Expect::Value);
        Self { lexer: Lexer::new(), standing, braces: 0, brackets: 0, bytes, kept: 0, items }
    }

    /// The canonical form of a complete message, or what the spans of an error point into.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes
    }

    /// Takes bytes up to the first event; the number of bytes taken comes with it.
    ///
    /// After [`Event::Complete`] and [`Event::Failed`] the message stays as it is until
    /// [`Self::clear`], which must come before the next byte.
    pub(crate) fn push(&mut self, input: &[u8]) -> (usize, Option<Event>) {
        let mut taken = 0_usize;
        while let Some(rest) = input.get(taken..).filter(|rest| !rest.is_empty()) {
            let plain = self.lexer.plain(rest);
            if plain > 0 {
                taken = taken.saturating_add(plain);
                let text = rest.get(..plain).unwrap_or_default();
                if let Some(event) = self.append(text) {
                    return (taken, Some(event));
                }
                continue;
            }
            let Some(&byte) = rest.first() else { break };
            let step = self.lexer.push(byte);
            if !matches!(step, Step::Ended(_)) {
                taken = taken.saturating_add(1);
            }
            if let Some(event) = self.step(step, byte) {
                return (taken, Some(event));
            }
        }
        (taken, None)
    }

    /// Forgets the message, so that the next can begin. The lexer goes on where it is.
    pub(crate) fn clear(&mut self) {
        self.standing = Standing::Expecting(Expect::Value);
        self.braces = 0;
        self.brackets = 0;
        self.bytes.clear();
        self.kept = 0;
    }

    fn step(&mut self, step: Step, byte: u8) -> Option<Event> {
        match step {
            Step::Skip => None,
            Step::Append => self.append(&[byte]),
            Step::Complete(token) => {
                let too_long = self.append(&[byte]);
                // It counts even where it is the byte that does not fit; then there is only the
                // nesting limit to add.
                self.token(token).or(too_long)
            }
            Step::Ended(token) => self.token(token),
            Step::Stray => Some(self.stray(byte)),
        }
    }

    /// Adds to the text of the token under way.
    fn append(&mut self, text: &[u8]) -> Option<Event> {
        if self.standing == Standing::Skipping || self.bytes.extend_from_slice(text).is_ok() {
            return None;
        }
        Some(self.too_long())
    }

    fn too_long(&mut self) -> Event {
        self.standing = Standing::Skipping;
        self.keep(0);
        Event::TooLong
    }

    /// The token under way is refused, and the message with it.
    fn stray(&mut self, byte: u8) -> Event {
        if self.standing == Standing::Skipping {
            // The token's text has not been kept.
            self.clear();
        }
        // The text ends before its first zero byte, and only its last byte can be one.
        if byte != 0 && self.bytes.push(byte).is_err() {
            self.clear();
            return Event::TooLong;
        }
        Event::Failed(SyntaxError::Stray(self.token_text()))
    }

    /// A token is complete; its text is behind the canonical form.
    fn token(&mut self, token: Token) -> Option<Event> {
        let Some(over) = self.count(token) else {
            return Some(Event::Failed(SyntaxError::NestingLimit));
        };
        let event = match self.standing {
            Standing::Skipping => None,
            Standing::Failed(error) => {
                self.keep(self.kept);
                Some(Event::Failed(error))
            }
            Standing::Expecting(expect) => match self.grammar(expect, token) {
                Ok(next) => {
                    self.standing = Standing::Expecting(next);
                    Some(Event::Complete)
                }
                Err(Refusal::Syntax(error)) => {
                    let error = self.keep_text_of(error);
                    self.standing = Standing::Failed(error);
                    Some(Event::Failed(error))
                }
                Err(Refusal::NoRoom) => {
                    let event = self.too_long();
                    if over {
                        self.clear();
                    }
                    return Some(event);
                }
            },
        };
        if over && event.is_none() {
            self.clear();
        }
        event.filter(|_| over)
    }

    /// Counts brackets: whether the message is over, or `None` where they nest too deep.
    fn count(&mut self, token: Token) -> Option<bool> {
        let too_many_closed = match token {
            Token::ObjectStart => add(&mut self.braces),
            Token::ArrayStart => add(&mut self.brackets),
            Token::ObjectEnd => subtract(&mut self.braces),
            Token::ArrayEnd => subtract(&mut self.brackets),
            Token::Colon | Token::Comma | Token::Number | Token::String | Token::Keyword => false,
        };
        let depth = self.depth();
        (depth <= NESTING_LIMIT).then_some(depth == 0 || too_many_closed)
    }

    fn depth(&self) -> usize {
        self.braces.saturating_add(self.brackets)
    }

    /// Checks a token against what may come, and keeps it in canonical form.
    fn grammar(&mut self, expect: Expect, token: Token) -> Result<Expect, Refusal> {
        let is_key = matches!(expect, Expect::FirstKey | Expect::Key);
        match (expect, token) {
            (Expect::FirstKey | Expect::MemberEnd, Token::ObjectEnd)
            | (Expect::FirstElement | Expect::ElementEnd, Token::ArrayEnd) => {
                self.kept = self.bytes.len();
                self.value_done()
            }
            (Expect::MemberEnd, Token::Comma) => Ok(self.begin_item(Expect::Key)),
            (Expect::ElementEnd, Token::Comma) => Ok(self.begin_item(Expect::Value)),
            (Expect::Colon, Token::Colon) => {
                self.keep(self.kept);
                Ok(Expect::Value)
            }
            (Expect::Colon, _) => Err(SyntaxError::MissingColon.into()),
            (Expect::MemberEnd, _) => Err(SyntaxError::SeparatorInDict.into()),
            (Expect::ElementEnd, _) => Err(SyntaxError::SeparatorInList.into()),

            (_, Token::ObjectStart) => self.open(b'{', is_key, Expect::FirstKey),
            (_, Token::ArrayStart) => self.open(b'[', is_key, Expect::FirstElement),
            (_, Token::String) => {
                self.string(if is_key { KEY } else { STRING })?;
                if is_key { Ok(Expect::Colon) } else { self.value_done() }
            }
            (_, Token::Keyword) => {
                self.keyword()?;
                self.scalar_done(is_key)
            }
            (_, Token::Number) => {
                self.bytes.push(END).map_err(|_| Refusal::NoRoom)?;
                self.kept = self.bytes.len();
                self.scalar_done(is_key)
            }
            (_, Token::ObjectEnd | Token::ArrayEnd | Token::Colon | Token::Comma) => {
                Err(SyntaxError::ExpectingValue.into())
            }
        }
    }

    /// The token is a separator: a member or an element begins behind what is kept.
    fn begin_item(&mut self, expect: Expect) -> Expect {
        self.keep(self.kept);
        if let Some(item) = self.depth().checked_sub(1).and_then(|top| self.items.get_mut(top)) {
            *item = self.kept;
        }
        expect
    }

    /// The token opens a container.
    fn open(&mut self, bracket: u8, is_key: bool, expect: Expect) -> Result<Expect, Refusal> {
        self.keep(self.kept);
        let begin: &[u8] = if is_key { &[MISPLACED, bracket] } else { &[bracket] };
        self.bytes.extend_from_slice(begin).map_err(|_| Refusal::NoRoom)?;
        self.kept = self.bytes.len();
        Ok(self.begin_item(expect))
    }

    /// The token is a string: unescapes it where it stands.
    fn string(&mut self, first: u8) -> Result<(), Refusal> {
        let kept = self.kept;
        let token = self.bytes.get_mut(kept..).unwrap_or_default();
        let length = string::unescape(token).map_err(|error| match error {
            StringError::Escape => SyntaxError::InvalidEscape,
            StringError::Utf8 => SyntaxError::InvalidUtf8,
            StringError::NotUnicode { start, end } => SyntaxError::NotUnicode(Span {
                start: kept.saturating_add(start),
                end: kept.saturating_add(end),
            }),
        })?;
        if let Some(quote) = token.first_mut() {
            *quote = first;
        }
        // The string is no longer than its text without the closing quote.
        if let Some(quote) = token.get_mut(length) {
            *quote = END;
        }
        self.keep(kept.saturating_add(length).saturating_add(1));
        Ok(())
    }

    /// The token is a keyword: one letter tells which.
    fn keyword(&mut self) -> Result<(), Refusal> {
        let text = self.token_text();
        if matches!(text.of(self.bytes), b"true" | b"false" | b"null") {
            self.keep(self.kept.saturating_add(1));
            Ok(())
        } else {
            Err(SyntaxError::InvalidKeyword(text).into())
        }
    }

    /// A number or a keyword is complete.
    fn scalar_done(&mut self, is_key: bool) -> Result<Expect, Refusal> {
        if is_key { Err(SyntaxError::KeyNotString.into()) } else { self.value_done() }
    }

    /// A value is complete: what may follow depends on what it is part of.
    fn value_done(&mut self) -> Result<Expect, Refusal> {
        let Some(item) = self.depth().checked_sub(1).and_then(|top| self.items.get(top)) else {
            // The message itself; nothing follows.
            return Ok(Expect::Value);
        };
        match self.bytes.get(*item) {
            Some(&KEY) => {
                self.place_member(*item)?;
                Ok(Expect::MemberEnd)
            }
            Some(&MISPLACED) => Err(SyntaxError::KeyNotString.into()),
            _ => Ok(Expect::ElementEnd),
        }
    }

    /// Moves the member that begins at `item`, the last so far, to its place in its object.
    fn place_member(&mut self, item: usize) -> Result<(), Refusal> {
        let key = value::key_at(self.bytes, item).of(self.bytes);
        let order = bucket(key);
        let mut place = item;
        for member in value::members(self.bytes, self.innermost(), item) {
            let other = member.key.of(self.bytes);
            let other_order = bucket(other);
            if other_order >= order {
                place = place.min(member.start());
            }
            if other_order > order {
                // Nor can a duplicate come any more.
                break;
            }
            if other == key {
                return Err(SyntaxError::DuplicateKey.into());
            }
        }
        let moved = item.saturating_sub(place);
        if let Some(region) = self.bytes.get_mut(place..self.kept) {
            swap_halves(region, moved);
        }
        Ok(())
    }

    /// Where the innermost open container begins.
    fn innermost(&self) -> usize {
        let outer = self.depth().checked_sub(2).and_then(|outer| self.items.get(outer));
        outer.map_or(0, |&item| match self.bytes.get(item) {
            Some(&KEY) => value::end_of_text(self.bytes, item),
            Some(&MISPLACED) => item.saturating_add(1),
            _ => item,
        })
    }

    /// Keeps the first `length` bytes and drops the rest.
    fn keep(&mut self, length: usize) {
        self.bytes.truncate(length);
        self.kept = length;
    }

    /// Drops everything but the text that an error quotes.
    fn keep_text_of(&mut self, error: SyntaxError) -> SyntaxError {
        let (SyntaxError::InvalidKeyword(text) | SyntaxError::NotUnicode(text)) = error else {
            self.keep(0);
            return error;
        };
        let length = text.end.saturating_sub(text.start);
        swap_halves(self.bytes.get_mut(..text.end).unwrap_or_default(), text.start);
        self.keep(length);
        let text = Span { start: 0, end: length };
        match error {
            SyntaxError::NotUnicode(_) => SyntaxError::NotUnicode(text),
            _ => SyntaxError::InvalidKeyword(text),
        }
    }

    fn token_text(&self) -> Span {
        Span { start: self.kept, end: self.bytes.len() }
    }
}

/// Why a token is not kept.
enum Refusal {
    Syntax(SyntaxError),
    NoRoom,
}

impl From<SyntaxError> for Refusal {
    fn from(error: SyntaxError) -> Self {
        Self::Syntax(error)
    }
}

/// One more is open; never too many closed.
fn add(open: &mut usize) -> bool {
    *open = open.saturating_add(1);
    false
}

/// One more is closed; whether that is one too many.
fn subtract(open: &mut usize) -> bool {
    let fewer = open.checked_sub(1);
    *open = fewer.unwrap_or(0);
    fewer.is_none()
}

/// Exchanges the first `length` bytes with the rest, in place.
fn swap_halves(bytes: &mut [u8], length: usize) {
    if let Some((first, second)) = bytes.split_at_mut_checked(length) {
        reverse(first);
        reverse(second);
        reverse(bytes);
    }
}

/// `slice::reverse`, which has a way to panic that not every level of optimisation sees through.
fn reverse(mut bytes: &mut [u8]) {
    while let [first, inner @ .., last] = bytes {
        core::mem::swap(first, last);
        bytes = inner;
    }
}
