//! Exact decimals: from text to the nearest double, and from a double to `%.17g`.
//!
//! Doubles only pass through the agent as members of an echoed `id`, so this is the plain way
//! rather than the fast one: a decimal of many digits that can be multiplied and divided by powers
//! of two. The work is bounded by the number of digits times about 1100 / [`STEP`] shifts.

use super::number::Written;

/// Digits that are kept. The exact value of a double has at most 767 significant digits, and so
/// has every value halfway between two of them; of what comes after, only whether it is zero
/// matters (IEEE 754-2019 §5.12.2).
const DIGITS: usize = 800;

/// The largest shift done at once: ten times a remainder below 2^STEP must fit in 64 bits.
const STEP: u32 = 59;

/// Significant digits that `%.17g` writes.
const PRECISION: usize = 17;

/// 0.d1 d2 d3 … × 10^point, and a bit for non-zero digits beyond those kept.
pub(crate) struct Decimal {
    negative: bool,
    digits: [u8; DIGITS],
    length: usize,
    point: i32,
    sticky: bool,
    infinite: bool,
}

impl Decimal {
    const ZERO: Self = Self {
        negative: false,
        digits: [0; DIGITS],
        length: 0,
        point: 0,
        sticky: false,
        infinite: false,
    };

    /// Reads the text of a number token, whose form the lexer has checked.
    pub(crate) fn parse(text: &[u8]) -> Self {
        let mut decimal = Self::ZERO;
        let mut fraction = false;
        let mut bytes = text.iter();
        for &byte in bytes.by_ref() {
            match byte {
                b'-' => decimal.negative = true,
                b'.' => fraction = true,
                b'e' | b'E' => break,
                // Zeros before the first other digit only move the point.
                b'0' if decimal.length == 0 => {
                    decimal.point = decimal.point.saturating_sub(i32::from(fraction));
                }
                _ => {
                    decimal.push(byte.wrapping_sub(b'0'));
                    decimal.point = decimal.point.saturating_add(i32::from(!fraction));
                }
            }
        }
        let (mut exponent, mut negative) = (0_i32, false);
        for &byte in bytes {
            match byte {
                b'-' => negative = true,
                b'+' => {}
                _ => {
                    let digit = i32::from(byte.wrapping_sub(b'0'));
                    exponent = exponent.saturating_mul(10).saturating_add(digit);
                }
            }
        }
        let exponent = if negative { exponent.saturating_neg() } else { exponent };
        decimal.point = decimal.point.saturating_add(exponent);
        decimal
    }

    /// The exact value of a double. A NaN, which no text gives, is taken for an infinity.
    pub(crate) fn from_f64(value: f64) -> Self {
        const FRACTION: u64 = (1 << 52) - 1;
        let bits = value.to_bits();
        let mut decimal = Self { negative: value.is_sign_negative(), ..Self::ZERO };
        let biased = i32::from((bits >> 52 & 0x7FF).to_le_bytes()[0])
            | i32::from((bits >> 60 & 0x7).to_le_bytes()[0]) << 8;
        let (mantissa, exponent) = match biased {
            0x7FF => {
                decimal.infinite = true;
                return decimal;
            }
            0 => (bits & FRACTION, -1074),
            _ => (bits & FRACTION | 1 << 52, biased.wrapping_sub(1075)),
        };
        for &byte in Written::unsigned(mantissa).as_bytes() {
            if decimal.length > 0 || byte != b'0' {
                decimal.push(byte.wrapping_sub(b'0'));
                decimal.point = decimal.point.saturating_add(1);
            }
        }
        decimal.scale(exponent);
        decimal
    }

    /// The nearest double, ties to even; infinite where the range ends (IEEE 754-2019 §4.3.1).
    pub(crate) fn into_f64(mut self) -> f64 {
        let sign = u64::from(self.negative) << 63;
        let infinite = f64::from_bits(sign | 0x7FF << 52);
        if self.length == 0 || self.point < -330 {
            return f64::from_bits(sign);
        }
        if self.point > 310 {
            return infinite;
        }
        // Bring the value into [1/2, 1), counting the halvings.
        let mut exponent = 0_i32;
        while self.point > 0 {
            let step = step_for(self.point);
            self.scale(step.saturating_neg());
            exponent = exponent.saturating_add(step);
        }
        while self.point < 0 || self.digits.first().is_some_and(|&first| first < 5) {
            let step = step_for(self.point.saturating_neg());
            self.scale(step);
            exponent = exponent.saturating_sub(step);
        }
        // Now it is 2 × value in [1, 2), with `exponent - 1` as the double's.
        let mut exponent = exponent.saturating_sub(1);
        let subnormal = (-1022_i32).saturating_sub(exponent);
        if subnormal > 0 {
            self.scale(subnormal.saturating_neg());
            exponent = -1022;
        }
        self.scale(53);
        let mut mantissa = self.round_to_integer();
        if mantissa == 1 << 53 {
            mantissa >>= 1;
            exponent = exponent.saturating_add(1);
        }
        if exponent > 1023 {
            return infinite;
        }
        // Without the hidden bit it is a subnormal, whose biased exponent is zero.
        let hidden = mantissa >> 52 & 1;
        let biased = u64::try_from(exponent.saturating_add(1023)).unwrap_or(0).wrapping_mul(hidden);
        f64::from_bits(sign | biased << 52 | mantissa & ((1 << 52) - 1))
    }

    /// Writes the value as C's `%.17g` does.
    pub(crate) fn write_general(mut self) -> Written {
        let mut written = Written::new();
        if self.negative {
            written.push(b'-');
        }
        if self.infinite {
            b"inf".iter().for_each(|&byte| written.push(byte));
            return written;
        }
        if self.length == 0 {
            written.push(b'0');
            return written;
        }
        self.round_to_digits(PRECISION);
        let digits = self.digits.get(..self.length).unwrap_or_default();
        let exponent = self.point.saturating_sub(1);
        if (-4..17).contains(&exponent) {
            if self.point <= 0 {
                written.push(b'0');
                written.push(b'.');
                (self.point..0).for_each(|_| written.push(b'0'));
            }
            let mut places = self.point;
            for &digit in digits {
                if places == 0 && self.point > 0 {
                    written.push(b'.');
                }
                written.push(b'0'.wrapping_add(digit));
                places = places.saturating_sub(1);
            }
            (0..places).for_each(|_| written.push(b'0'));
        } else {
            for (index, &digit) in digits.iter().enumerate() {
                if index == 1 {
                    written.push(b'.');
                }
                written.push(b'0'.wrapping_add(digit));
            }
            written.push(b'e');
            written.push(if exponent < 0 { b'-' } else { b'+' });
            let exponent = exponent.unsigned_abs();
            if exponent < 10 {
                written.push(b'0');
            }
            Written::unsigned(u64::from(exponent)).as_bytes().iter().for_each(|&b| written.push(b));
        }
        written
    }

    fn push(&mut self, digit: u8) {
        if let Some(place) = self.digits.get_mut(self.length) {
            *place = digit;
            self.length = self.length.saturating_add(1);
        } else {
            self.sticky |= digit != 0;
        }
    }

    /// Multiplies by 2^exponent.
    fn scale(&mut self, mut exponent: i32) {
        while exponent != 0 {
            let shift = exponent.unsigned_abs().min(STEP);
            if exponent > 0 {
                self.double(shift);
                exponent = exponent.saturating_sub_unsigned(shift);
            } else {
                self.halve(shift);
                exponent = exponent.saturating_add_unsigned(shift);
            }
        }
    }

    /// Divides by 2^shift: long division from the first digit on.
    fn halve(&mut self, shift: u32) {
        let source = self.digits;
        let mut source = source.iter().take(self.length);
        let mask = (1_u64 << shift).wrapping_sub(1);
        let mut remainder = 0_u64;
        self.length = 0;
        // The quotient's first digits are zeros: each takes the point one to the left.
        let mut leading = true;
        loop {
            let next = source.next();
            if next.is_none() && remainder == 0 {
                break;
            }
            let value = remainder.wrapping_mul(10).wrapping_add(u64::from(*next.unwrap_or(&0)));
            remainder = value & mask;
            let digit = (value >> shift).to_le_bytes()[0];
            if leading && digit == 0 {
                self.point = self.point.saturating_sub(1);
            } else {
                leading = false;
                self.push(digit);
            }
        }
        self.trim();
    }

    /// Multiplies by 2^shift: from the last digit on, after finding how many digits come in front.
    fn double(&mut self, shift: u32) {
        let source = self.digits;
        let source = source.get(..self.length).unwrap_or_default();
        let product = |digit: u8, carry: u64| (u64::from(digit) << shift).wrapping_add(carry);
        let mut carry = source.iter().rev().fold(0, |carry, &digit| product(digit, carry) / 10);
        let mut more = 0_usize;
        while carry > 0 {
            carry /= 10;
            more = more.saturating_add(1);
        }
        self.point = self.point.saturating_add(i32::try_from(more).unwrap_or(i32::MAX));
        let total = self.length.saturating_add(more);
        self.length = total.min(DIGITS);
        let mut digits = source.iter().rev();
        for place in (0..total).rev() {
            let value = product(*digits.next().unwrap_or(&0), carry);
            carry = value / 10;
            let digit = (value % 10).to_le_bytes()[0];
            match self.digits.get_mut(place) {
                Some(kept) => *kept = digit,
                None => self.sticky |= digit != 0,
            }
        }
        self.trim();
    }

    /// Takes zeros from the end. Zero has no digits.
    fn trim(&mut self) {
        let kept = self.digits.get(..self.length).unwrap_or_default();
        self.length = kept.iter().rposition(|&digit| digit != 0).map_or(0, |at| at.wrapping_add(1));
        if self.length == 0 {
            self.point = 0;
        }
    }

    /// Whether cutting at `place` digits must round up: to nearest, ties to even.
    fn rounds_up(&self, place: usize) -> bool {
        let digit =
            |at| if at < self.length { self.digits.get(at).copied().unwrap_or(0) } else { 0 };
        let exact_half =
            digit(place) == 5 && place.saturating_add(1) >= self.length && !self.sticky;
        if exact_half {
            place.checked_sub(1).is_some_and(|before| digit(before) % 2 == 1)
        } else {
            digit(place) >= 5
        }
    }

    /// The nearest integer. The value must be below 2^54.
    fn round_to_integer(&self) -> u64 {
        let Ok(places) = usize::try_from(self.point) else { return 0 };
        let mut value = 0_u64;
        for at in 0..places {
            let digit =
                if at < self.length { self.digits.get(at).copied().unwrap_or(0) } else { 0 };
            value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
        }
        value.wrapping_add(u64::from(self.rounds_up(places)))
    }

    /// Rounds to so many significant digits.
    fn round_to_digits(&mut self, places: usize) {
        if places >= self.length {
            return;
        }
        let up = self.rounds_up(places);
        self.length = places;
        if up {
            // Nines become zeros, which `trim` drops, until a digit can be raised.
            let mut raised = false;
            for digit in self.digits.iter_mut().take(places).rev() {
                if *digit < 9 {
                    *digit = digit.wrapping_add(1);
                    raised = true;
                    break;
                }
                *digit = 0;
            }
            if !raised {
                self.digits = [0; DIGITS];
                self.length = 0;
                self.push(1);
                self.point = self.point.saturating_add(1);
                return;
            }
        }
        self.trim();
    }
}

/// How far to shift at once so that the point moves by no more than `places`.
fn step_for(places: i32) -> i32 {
    // Ten is a little more than 2^3.
    places.saturating_mul(3).clamp(1, STEP.cast_signed())
}
