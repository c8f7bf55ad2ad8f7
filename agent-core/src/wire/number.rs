//! Numbers: what the text of a number token means, and how numbers are written.
//!
//! The lexer has checked the form. A number without fraction and exponent is signed 64-bit where
//! it fits, else unsigned 64-bit where it fits, else a double; every other number is a double.
//!
//! Source: RFC 8259 §6; qemu-ga keeps the three kinds apart and writes doubles as C's `%.17g`.

use super::decimal::Decimal;

/// The value of a number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Number {
    Signed(i64),
    Unsigned(u64),
    Double(f64),
}

impl Number {
    /// Reads the text of a number token.
    pub(crate) fn parse(text: &[u8]) -> Self {
        let (negative, digits) = match text.split_first() {
            Some((b'-', digits)) => (true, digits),
            _ => (false, text),
        };
        match magnitude(digits) {
            Some(magnitude) if negative => 0_i64.checked_sub_unsigned(magnitude).map(Self::Signed),
            Some(magnitude) => {
                Some(i64::try_from(magnitude).map_or(Self::Unsigned(magnitude), Self::Signed))
            }
            None => None,
        }
        .unwrap_or_else(|| Self::Double(Decimal::parse(text).into_f64()))
    }

    /// The nearest double.
    #[expect(clippy::cast_precision_loss, reason = "a double is what is asked for")]
    pub(crate) fn to_f64(self) -> f64 {
        match self {
            Self::Signed(value) => value as f64,
            Self::Unsigned(value) => value as f64,
            Self::Double(value) => value,
        }
    }
}

/// The value of a run of digits, or `None` where it is anything else or over 64 bits.
fn magnitude(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0_u64, |value, &byte| {
        let digit = char::from(byte).to_digit(10)?;
        value.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

/// The longest text of a number: a sign, 17 digits, a point and `e-308`.
const LONGEST: usize = 24;

/// A number as it is written in a reply.
#[derive(Debug)]
pub(crate) struct Written {
    bytes: [u8; LONGEST],
    length: usize,
}

impl Written {
    pub(crate) const fn new() -> Self {
        Self { bytes: [0; LONGEST], length: 0 }
    }

    pub(crate) fn number(number: Number) -> Self {
        match number {
            Number::Signed(value) => Self::signed(value),
            Number::Unsigned(value) => Self::unsigned(value),
            Number::Double(value) => Decimal::from_f64(value).write_general(),
        }
    }

    pub(crate) fn signed(value: i64) -> Self {
        let mut written = Self::new();
        if value < 0 {
            written.push(b'-');
        }
        written.digits(value.unsigned_abs());
        written
    }

    pub(crate) fn unsigned(value: u64) -> Self {
        let mut written = Self::new();
        written.digits(value);
        written
    }

    pub(crate) fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.length) {
            *place = byte;
            self.length = self.length.saturating_add(1);
        }
    }

    fn digits(&mut self, value: u64) {
        let mut power = 1_u64;
        while value.checked_div(power).is_some_and(|rest| rest >= 10) {
            power = power.wrapping_mul(10);
        }
        while let Some(rest) = value.checked_div(power) {
            self.push(digit(rest));
            power /= 10;
        }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

/// The last decimal digit of a value, as a character.
fn digit(value: u64) -> u8 {
    b'0'.wrapping_add((value % 10).to_le_bytes()[0])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(text: &str) -> String {
        String::from_utf8(Written::number(Number::parse(text.as_bytes())).as_bytes().to_vec())
            .unwrap()
    }

    #[test]
    fn kinds() {
        let check =
            |text: &str, expected| assert_eq!(Number::parse(text.as_bytes()), expected, "{text}");
        check("0", Number::Signed(0));
        check("-0", Number::Signed(0));
        check("9223372036854775807", Number::Signed(i64::MAX));
        check("9223372036854775808", Number::Unsigned(1 << 63));
        check("18446744073709551615", Number::Unsigned(u64::MAX));
        check("18446744073709551616", Number::Double(18_446_744_073_709_551_616.0));
        check("-9223372036854775808", Number::Signed(i64::MIN));
        check("-9223372036854775809", Number::Double(-9_223_372_036_854_775_808.0));
        check("1.0", Number::Double(1.0));
        check("1e3", Number::Double(1000.0));
        check("1e999", Number::Double(f64::INFINITY));
    }

    /// C's `%.17g`.
    #[test]
    fn texts() {
        let check = |text, expected: &str| assert_eq!(written(text), expected, "{text}");
        check("-12", "-12");
        check("18446744073709551615", "18446744073709551615");
        check("1.0", "1");
        check("-0.0", "-0");
        check("0.1", "0.10000000000000001");
        check("1e3", "1000");
        check("1e16", "10000000000000000");
        check("1e17", "1e+17");
        check("1e22", "1e+22");
        check("0.0001", "0.0001");
        check("0.00001", "1.0000000000000001e-05");
        check("1e-7", "9.9999999999999995e-08");
        check("123456.789", "123456.789");
        check("18446744073709551616", "1.8446744073709552e+19");
        check("5e-324", "4.9406564584124654e-324");
        check("2e-324", "0");
        check("-1.7976931348623157e308", "-1.7976931348623157e+308");
        check("1.7976931348623159e308", "inf");
        check("-1e999", "-inf");
        check("1e99999999999999999999", "inf");
        check("1e-99999999999999999999", "0");
        check("0.0e99999999999999999999", "0");
        check("2.2250738585072014e-308", "2.2250738585072014e-308");
        check("2.2250738585072011e-308", "2.2250738585072009e-308");
    }

    proptest! {
        #[test]
        fn parses_like_the_standard_library(
            text in "-?(0|[1-9][0-9]{0,30})\\.[0-9]{1,30}([eE][+-]?[0-9]{1,3})?"
        ) {
            let Number::Double(value) = Number::parse(text.as_bytes()) else { panic!("{text}") };
            prop_assert_eq!(value.to_bits(), text.parse::<f64>().unwrap().to_bits());
        }

        #[test]
        fn halfway_cases_round_to_even(mantissa in 1_u64 << 52..1_u64 << 53, exponent in -200..200_i32) {
            // 2 * mantissa + 1 is exactly between two doubles.
            let halfway = f64::from_bits(u64::try_from(1023 + 52 + exponent).unwrap() << 52 | (mantissa & ((1 << 52) - 1)));
            let text = format!("{halfway:.1200}");
            prop_assert_eq!(Decimal::parse(text.as_bytes()).into_f64().to_bits(), halfway.to_bits());
            let text = format!("{}.0", u128::from(mantissa * 2 + 1) << 60);
            prop_assert_eq!(
                Decimal::parse(text.as_bytes()).into_f64().to_bits(),
                text.parse::<f64>().unwrap().to_bits()
            );
        }

        #[test]
        fn writes_seventeen_digits(bits: u64) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            let written = Written::number(Number::Double(value));
            let text = core::str::from_utf8(written.as_bytes()).unwrap();
            prop_assert_eq!(text.parse::<f64>().unwrap().to_bits(), bits);
            // `{:.16e}` has the same seventeen digits.
            let digits = |text: &str| {
                let digits: String =
                    text.split('e').next().unwrap().chars().filter(char::is_ascii_digit).collect();
                digits.trim_matches('0').to_owned()
            };
            prop_assert_eq!(digits(text), digits(&format!("{value:.16e}")));
        }
    }
}
