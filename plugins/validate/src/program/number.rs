//! Numbers, read from their spelling and compared as jsonschema compares them.

use std::cmp::Ordering;

use super::Types;
use super::check::Stop;

/// A number as `serde_json` reads it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    Int(i64),
    /// Finite.
    Float(f64),
    /// An integer beyond 63 bits that fits into 64. Nothing is compared with it here.
    Large,
}

/// Powers of ten that a 64-bit float has exactly.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

/// What a 64-bit float has exactly, and every integer below it.
const EXACT: u64 = 1 << 53;

impl Number {
    pub(super) fn of(number: &serde_json::Number) -> Option<Self> {
        match number.as_i64() {
            Some(int) => Some(Self::Int(int)),
            None if number.is_u64() => Some(Self::Large),
            None => number.as_f64().map(Self::Float),
        }
    }

    /// Reads the number that begins at `at`: what it is, and where it ends.
    #[inline]
    pub(super) fn read(text: &[u8], start: usize) -> Result<(Self, usize), Stop> {
        let digit = |at: usize| text.get(at).map(|byte| byte.wrapping_sub(b'0')).filter(|digit| *digit <= 9);
        let is_negative = text.get(start) == Some(&b'-');
        let first = start + usize::from(is_negative);
        let mut at = first;
        let mut value: u64 = 0;
        while let Some(digit) = digit(at) {
            value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
            at += 1;
        }
        let whole = at - first;
        if whole == 0 || (whole > 1 && text[first] == b'0') {
            return Err(Stop::Unsure);
        }
        let mut places = 0;
        if text.get(at) == Some(&b'.') {
            at += 1;
            let point = at;
            while let Some(digit) = digit(at) {
                value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
                at += 1;
            }
            places = at - point;
            if places == 0 {
                return Err(Stop::Unsure);
            }
        }
        // 18 digits do not wrap around.
        if matches!(text.get(at), Some(b'e' | b'E')) || whole + places > 18 {
            return Self::read_any(text, start);
        }
        let number = match (places, is_negative) {
            (0, true) if value == 0 => Self::Float(-0.0),
            (0, true) => Self::Int(-value.cast_signed()),
            (0, false) => Self::Int(value.cast_signed()),
            // Both are exact, so the quotient is rounded once, as it has to be.
            _ if value <= EXACT && places < POWERS.len() => {
                #[allow(clippy::cast_precision_loss, reason = "it is at most `EXACT`")]
                let quotient = value as f64 / POWERS[places];
                Self::Float(if is_negative { -quotient } else { quotient })
            }
            _ => return Self::read_any(text, start),
        };
        Ok((number, at))
    }

    /// As [`Self::read`], for what is long or has an exponent.
    #[cold]
    fn read_any(text: &[u8], start: usize) -> Result<(Self, usize), Stop> {
        let part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
        let end = start + text[start..].iter().take_while(|byte| part(byte)).count();
        let number: serde_json::Number = serde_json::from_slice(&text[start..end]).map_err(|_| Stop::Unsure)?;
        Ok((Self::of(&number).ok_or(Stop::Unsure)?, end))
    }

    /// Whether JSON Schema takes it for an integer, as it does 1.0.
    #[inline]
    pub(super) fn types(self) -> Types {
        match self {
            Self::Float(float) if float.fract() != 0.0 => Types::FRACTION,
            _ => Types::INTEGER,
        }
    }

    #[inline]
    pub(super) fn compare(self, other: Self) -> Result<Ordering, Stop> {
        match (self, other) {
            (Self::Int(left), Self::Int(right)) => Ok(left.cmp(&right)),
            (Self::Float(left), Self::Float(right)) => left.partial_cmp(&right).ok_or(Stop::Unsure),
            (Self::Int(left), Self::Float(right)) => exact(left)?.partial_cmp(&right).ok_or(Stop::Unsure),
            (Self::Float(left), Self::Int(right)) => left.partial_cmp(&exact(right)?).ok_or(Stop::Unsure),
            (Self::Large, _) | (_, Self::Large) => Err(Stop::Unsure),
        }
    }
}

#[inline]
fn exact(int: i64) -> Result<f64, Stop> {
    #[allow(clippy::cast_precision_loss, reason = "checked")]
    if int.unsigned_abs() <= EXACT { Ok(int as f64) } else { Err(Stop::Unsure) }
}

/// `minimum` and its like.
#[derive(Debug, Default)]
pub(super) struct Limits {
    /// Each with what the value may be, compared with it.
    limits: Vec<(Number, bool, Ordering)>,
}

impl Limits {
    /// A limit on this side of which a value has to be; the limit itself is one, if it is `inclusive`.
    pub(super) fn add(&mut self, limit: Number, side: Ordering, inclusive: bool) {
        self.limits.push((limit, inclusive, side));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.limits.is_empty()
    }

    #[inline]
    pub(super) fn check(&self, number: Number) -> Result<(), Stop> {
        for (limit, inclusive, side) in &self.limits {
            let order = number.compare(*limit)?;
            if order != *side && !(*inclusive && order == Ordering::Equal) {
                return Err(Stop::Invalid);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str) {
        let read = Number::read(text.as_bytes(), 0).ok().filter(|(_, end)| *end == text.len()).map(|(read, _)| read);
        let expected = serde_json::from_str(text).ok().and_then(|number| Number::of(&number));
        // Bits, because -0.0 equals 0.0.
        let bits = |number: Number| match number {
            Number::Float(float) => (1, float.to_bits()),
            Number::Int(int) => (2, int.cast_unsigned()),
            Number::Large => (3, 0),
        };
        assert_eq!(read.map(bits), expected.map(bits), "{text}");
    }

    #[test]
    fn odd_numbers_are_read_as_by_serde_json() {
        for text in [
            "0",
            "-0",
            "-0.0",
            "00",
            "01",
            "-",
            "1.",
            ".5",
            "1e5",
            "1E+5",
            "1e-5",
            "1e",
            "1e400",
            "-1e400",
            "1e-400",
            "0.1",
            "0.30000000000000004",
            "9007199254740993",
            "9007199254740993.0",
            "123456789012345678",
            "9223372036854775807",
            "9223372036854775808",
            "-9223372036854775808",
            "-9223372036854775809",
            "18446744073709551615",
            "18446744073709551616",
            "1.7976931348623157e308",
            "0.000000000000000001",
        ] {
            check(text);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3000))]

        #[test]
        fn every_number_is_read_as_by_serde_json(text in "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{0,20})?([eE][+-]?[0-9]{1,3})?") {
            check(&text);
        }
    }
}
