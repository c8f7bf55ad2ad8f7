//! The lexer: one byte in, at most one token or error out.
//!
//! First stop of a request. It knows qemu-ga's JSON dialect byte by byte and nothing of brackets,
//! grammar or memory: it says what to do with a byte, [`Message`](super::message::Message) does it.
//! All state is one small enum, so the input may be split anywhere.
//!
//! Source: RFC 8259 §§2, 6, 7 and where qemu-ga's dialect leaves it: single quotes, bytes 0xFE and
//! 0xFF as errors in every state, and recovery, which skips silently to the next byte that may
//! begin a message.

/// The kind of a complete token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    ObjectStart,
    ObjectEnd,
    ArrayStart,
    ArrayEnd,
    Colon,
    Comma,
    Number,
    String,
    Keyword,
}

/// What became of one byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The byte means nothing: white space, or skipped in recovery.
    Skip,
    /// The byte belongs to a token that goes on.
    Append,
    /// The byte is the last of a token.
    Complete(Token),
    /// The token ended before this byte, which must be given again.
    Ended(Token),
    /// The byte fits nowhere; the token so far is lost and recovery begins.
    Stray,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Start,
    String {
        quote: u8,
    },
    StringEscape {
        quote: u8,
    },
    Minus,
    Zero,
    Digits,
    Point,
    Fraction,
    Exponent,
    ExponentSign,
    ExponentDigits,
    Keyword,
    Recovery,
}

/// The lexer's state between two bytes.
#[derive(Debug, Default)]
pub(crate) struct Lexer {
    state: State,
}

impl Lexer {
    pub(crate) const fn new() -> Self {
        Self { state: State::Start }
    }

    /// Takes the next byte.
    pub(crate) fn push(&mut self, byte: u8) -> Step {
        if self.state == State::Recovery {
            if !ends_recovery(byte) {
                return Step::Skip;
            }
            self.state = State::Start;
        }
        let (state, step) = next(self.state, byte);
        self.state = state;
        step
    }

    /// How many of the first bytes do nothing but lengthen the current string.
    ///
    /// The fast path for long strings: `push` would answer [`Step::Append`] to each of them and
    /// stay in the same state.
    pub(crate) fn plain(&self, bytes: &[u8]) -> usize {
        let State::String { quote } = self.state else { return 0 };
        bytes
            .iter()
            .position(|&byte| byte == quote || byte == b'\\' || !in_string(byte))
            .unwrap_or(bytes.len())
    }
}

fn next(state: State, byte: u8) -> (State, Step) {
    let go_on = |state| (state, Step::Append);
    let complete = |token| (State::Start, Step::Complete(token));
    let ended = |token| (State::Start, Step::Ended(token));
    let stray = (State::Recovery, Step::Stray);

    match (state, byte) {
        (State::Start, b' ' | b'\t' | b'\r' | b'\n') => (State::Start, Step::Skip),
        (State::Start, b'{') => complete(Token::ObjectStart),
        (State::Start, b'}') => complete(Token::ObjectEnd),
        (State::Start, b'[') => complete(Token::ArrayStart),
        (State::Start, b']') => complete(Token::ArrayEnd),
        (State::Start, b':') => complete(Token::Colon),
        (State::Start, b',') => complete(Token::Comma),
        (State::Start, b'"' | b'\'') => go_on(State::String { quote: byte }),
        (State::Start, b'-') => go_on(State::Minus),
        (State::Start | State::Minus, b'0') => go_on(State::Zero),
        (State::Start | State::Keyword, b'a'..=b'z') => go_on(State::Keyword),

        (State::String { quote }, _) if byte == quote => complete(Token::String),
        (State::String { quote }, b'\\') => go_on(State::StringEscape { quote }),
        (State::String { quote } | State::StringEscape { quote }, _) if in_string(byte) => {
            go_on(State::String { quote })
        }

        (State::Zero | State::Digits, b'.') => go_on(State::Point),
        // A second digit after a leading zero.
        (State::Zero, b'0'..=b'9') => stray,
        (State::Start | State::Minus, b'1'..=b'9') | (State::Digits, b'0'..=b'9') => {
            go_on(State::Digits)
        }
        (State::Digits | State::Fraction, b'e' | b'E') => go_on(State::Exponent),
        (State::Point | State::Fraction, b'0'..=b'9') => go_on(State::Fraction),
        (State::Exponent, b'+' | b'-') => go_on(State::ExponentSign),
        (State::Exponent | State::ExponentSign | State::ExponentDigits, b'0'..=b'9') => {
            go_on(State::ExponentDigits)
        }

        (State::Zero | State::Digits | State::Fraction | State::ExponentDigits, _) => {
            ended(Token::Number)
        }
        (State::Keyword, _) => ended(Token::Keyword),
        _ => stray,
    }
}

/// Whether a byte may stand in a string: anything but control characters and 0xFE, 0xFF.
fn in_string(byte: u8) -> bool {
    (0x20..=0xFD).contains(&byte)
}

/// Whether a byte ends recovery. It is then an ordinary byte again.
fn ends_recovery(byte: u8) -> bool {
    match byte {
        b'\t' => false,
        0x00..=0x1F | 0xFE | 0xFF => true,
        _ => b"{}[]:,".contains(&byte),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes the tokens as `kind(text)`, a stray as `!(text)`.
    fn lex(input: &[u8]) -> String {
        let mut lexer = Lexer::new();
        let mut text = Vec::new();
        let mut out = Vec::new();
        let mut at = 0;
        while let Some(&byte) = input.get(at) {
            let step = lexer.push(byte);
            if !matches!(step, Step::Ended(_)) {
                at += 1;
                if step != Step::Skip {
                    text.push(byte);
                }
            }
            match step {
                Step::Skip | Step::Append => {}
                Step::Complete(token) | Step::Ended(token) => {
                    out.push(format!("{token:?}({})", String::from_utf8_lossy(&text)));
                    text.clear();
                }
                Step::Stray => {
                    out.push(format!("!({})", String::from_utf8_lossy(&text)));
                    text.clear();
                }
            }
        }
        out.join(" ")
    }

    #[test]
    fn tokens() {
        let check = |input: &str, expected: &str| assert_eq!(lex(input.as_bytes()), expected);
        check(" {\t}\r\n", "ObjectStart({) ObjectEnd(})");
        check("[:,]", "ArrayStart([) Colon(:) Comma(,) ArrayEnd(])");
        check(r#""a'b" 'a"b'"#, r#"String("a'b") String('a"b')"#);
        check(r#""\"\\" '\''"#, r#"String("\"\\") String('\'')"#);
        check(
            "12,-0,-1.5,1e3,0.0E-1 ",
            "Number(12) Comma(,) Number(-0) Comma(,) Number(-1.5) Comma(,) Number(1e3) Comma(,) Number(0.0E-1)",
        );
        check("true,nul x", "Keyword(true) Comma(,) Keyword(nul)");
        check("0e1 ", "Number(0) Keyword(e) Number(1)");
        check("0x10 ", "Number(0) Keyword(x) Number(10)");
    }

    #[test]
    fn strays_and_recovery() {
        let check = |input: &[u8], expected: &str| assert_eq!(lex(input), expected);
        for stray in ["@", "+", ".", "A", "%", "/", "_", "\u{7f}", "\u{b}", "\0"] {
            check(stray.as_bytes(), &format!("!({stray})"));
        }
        check(b"01 ", "!(01)");
        check(b"-x", "!(-x)");
        check(b"1.x", "!(1.x)");
        check(b"1ex", "!(1ex)");
        check(b"1e+x", "!(1e+x)");
        check(b"\"a\n", "!(\"a\n)");
        check(b"\"a\\\n", "!(\"a\\\n)");
        check(b"@ skipped \"x\" 1\t2 {", "!(@) ObjectStart({)");
        check(b"@x\n\"y\"", "!(@) String(\"y\")");
        check(b"@x\0", "!(@) !(\0)");
        check(b"\xff\xfe", "!(\u{fffd}) !(\u{fffd})");
        check(b"\"a\xff", "!(\"a\u{fffd})");
        check(b"1\xff", "Number(1) !(\u{fffd})");
    }

    #[test]
    fn plain_bytes_are_those_that_append() {
        let mut lexer = Lexer::new();
        assert_eq!(lexer.plain(b"abc"), 0);
        lexer.push(b'"');
        assert_eq!(lexer.plain(b"abc'\xc3\xa9"), 6);
        assert_eq!(lexer.plain(b"abc\"x"), 3);
        assert_eq!(lexer.plain(b"abc\\x"), 3);
        assert_eq!(lexer.plain(b"abc\x1f"), 3);
        assert_eq!(lexer.plain(b"abc\xfe"), 3);
        lexer.push(b'\\');
        assert_eq!(lexer.plain(b"abc"), 0);
    }
}
