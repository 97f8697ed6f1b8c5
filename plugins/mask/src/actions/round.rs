//! `round`: in decimal, on the number's spelling, so that no digit drifts.

use super::Unreadable;

/// A number longer than this, written out, is not one that anybody rounds.
const MAX_DIGITS: usize = 400;

/// What to round to a multiple of: `multiple` times ten to the `exponent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    multiple: u64,
    exponent: i32,
}

/// Why there is no such step.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a number above 0 of at most 15 digits, such as 100, 5 or 0.05")]
pub(crate) struct StepError;

impl Step {
    /// A multiple, as the settings spell it.
    pub(crate) fn multiple_of(spelling: &str) -> Result<Self, StepError> {
        let number = Decimal::parse(spelling).ok_or(StepError)?;
        if number.negative || number.digits.is_empty() || number.digits.len() > 15 {
            return Err(StepError);
        }
        let multiple = number.digits.iter().fold(0, |sum, digit| sum * 10 + u64::from(*digit));
        Ok(Self { multiple, exponent: number.exponent })
    }

    /// So many digits after the point.
    pub(crate) fn decimals(digits: u8) -> Self {
        Self { multiple: 1, exponent: -i32::from(digits) }
    }

    /// The nearest multiple, halves away from zero, in plain notation without zeros at the end of a fraction.
    pub(crate) fn round(&self, spelling: &str) -> Result<String, Unreadable> {
        let number =
            Decimal::parse(spelling).ok_or_else(|| Unreadable("is not a number that can be rounded".into()))?;
        let (units, rest) = number.units_of(self.exponent);
        let (mut quotient, remainder) = divide(&units, self.multiple);
        // Is what was left over at least half of a step? `rest` is below one unit, so it only decides when the
        // remainder is within half a unit of half a step.
        let up = match self.multiple.saturating_sub(remainder.saturating_mul(2)) {
            0 => true,
            1 => rest.first().is_some_and(|digit| *digit >= 5),
            _ => false,
        };
        if up {
            increment(&mut quotient);
        }
        Ok(print(number.negative, &multiply(&quotient, self.multiple), self.exponent))
    }
}

/// A decimal number: digits without a leading zero (none at all for zero), times ten to the exponent.
struct Decimal {
    negative: bool,
    digits: Vec<u8>,
    exponent: i32,
}

impl Decimal {
    /// Reads a number as JSON (RFC 8259, section 6) spells it.
    fn parse(text: &str) -> Option<Self> {
        let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent_of(exponent)?),
            None => (text, 0),
        };
        let (whole, fraction) = match mantissa.split_once('.') {
            Some((_, "")) => return None,
            Some(parts) => parts,
            None => (mantissa, ""),
        };
        let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let well_formed = all_digits(whole) && all_digits(fraction) && (whole == "0" || !whole.starts_with('0'));
        if whole.is_empty() || !well_formed || whole.len() + fraction.len() > MAX_DIGITS {
            return None;
        }
        let digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).map(|byte| byte - b'0').collect();
        let digits = digits[digits.iter().take_while(|digit| **digit == 0).count()..].to_vec();
        let exponent = exponent - i32::try_from(fraction.len()).ok()?;
        let written_out = exponent.unsigned_abs() as usize + digits.len();
        (digits.is_empty() || written_out <= MAX_DIGITS).then_some(Self { negative, digits, exponent })
    }

    /// The number in units of ten to the `exponent`, and the digits that are left over behind the point.
    fn units_of(&self, exponent: i32) -> (Vec<u8>, Vec<u8>) {
        let mut units = self.digits.clone();
        if units.is_empty() {
            return (units, Vec::new());
        }
        let shift = self.exponent - exponent;
        let distance = shift.unsigned_abs() as usize;
        if shift >= 0 {
            units.resize(units.len() + distance, 0);
            return (units, Vec::new());
        }
        if distance > units.len() {
            // Below a tenth of a unit: never a half.
            return (Vec::new(), vec![0]);
        }
        let rest = units.split_off(units.len() - distance);
        (units, rest)
    }
}

fn exponent_of(text: &str) -> Option<i32> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let well_formed = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    well_formed.then(|| text.parse().ok()).flatten().filter(|exponent: &i32| exponent.unsigned_abs() <= 10_000)
}

/// Long division by a divisor of at most 15 digits: quotient digits and remainder.
fn divide(digits: &[u8], by: u64) -> (Vec<u8>, u64) {
    let mut remainder = 0;
    let quotient = digits.iter().map(|digit| {
        remainder = remainder * 10 + u64::from(*digit);
        let next = u8::try_from(remainder / by).expect("the remainder was below the divisor, so this is one digit");
        remainder %= by;
        next
    });
    let quotient = quotient.collect();
    (quotient, remainder)
}

fn increment(digits: &mut Vec<u8>) {
    for digit in digits.iter_mut().rev() {
        if *digit < 9 {
            *digit += 1;
            return;
        }
        *digit = 0;
    }
    digits.insert(0, 1);
}

fn multiply(digits: &[u8], by: u64) -> Vec<u8> {
    let mut product = Vec::with_capacity(digits.len() + 16);
    let mut carry = 0;
    for digit in digits.iter().rev() {
        carry += u64::from(*digit) * by;
        product.push(last_digit(carry));
        carry /= 10;
    }
    while carry > 0 {
        product.push(last_digit(carry));
        carry /= 10;
    }
    product.reverse();
    product
}

fn last_digit(number: u64) -> u8 {
    u8::try_from(number % 10).expect("a digit fits a byte")
}

fn print(negative: bool, digits: &[u8], exponent: i32) -> String {
    let mut text: String = digits.iter().map(|digit| char::from(b'0' + digit)).collect();
    let places = exponent.unsigned_abs() as usize;
    let (whole, fraction) = if exponent >= 0 {
        text.extend(std::iter::repeat_n('0', places));
        (text, String::new())
    } else {
        let padding = places.saturating_sub(text.len());
        text.insert_str(0, &"0".repeat(padding));
        let fraction = text.split_off(text.len() - places);
        (text, fraction)
    };
    let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
    let sign = if negative && !(whole.is_empty() && fraction.is_empty()) { "-" } else { "" };
    let whole = if whole.is_empty() { "0" } else { whole };
    match fraction {
        "" => format!("{sign}{whole}"),
        fraction => format!("{sign}{whole}.{fraction}"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn to(step: &str, number: &str) -> String {
        Step::multiple_of(step).unwrap().round(number).unwrap()
    }

    fn decimals(digits: u8, number: &str) -> String {
        Step::decimals(digits).round(number).unwrap()
    }

    #[test]
    fn rounds_to_the_nearest_multiple_and_halves_away_from_zero() {
        assert_eq!(to("100", "1234"), "1200");
        assert_eq!(to("100", "1250"), "1300");
        assert_eq!(to("100", "-1250"), "-1300");
        assert_eq!(to("100", "49.999"), "0");
        assert_eq!(to("100", "-49.999"), "0");
        assert_eq!(to("5", "12.49"), "10");
        assert_eq!(to("5", "12.5"), "15");
        assert_eq!(to("3", "4.5"), "6");
        assert_eq!(to("3", "4.4999"), "3");
        assert_eq!(to("0.05", "1.07"), "1.05");
        assert_eq!(to("0.05", "1.075"), "1.1");
        assert_eq!(to("1", "0.5"), "1");
        assert_eq!(to("1", "0.05"), "0");
        assert_eq!(to("10", "0.05"), "0");
        assert_eq!(to("1000", "5e2"), "1000");
        assert_eq!(to("1e3", "499"), "0");
    }

    #[test]
    fn rounds_to_decimals_without_drift() {
        assert_eq!(decimals(2, "1.005"), "1.01");
        assert_eq!(decimals(2, "2.675"), "2.68");
        assert_eq!(decimals(0, "9007199254740993.5"), "9007199254740994");
        assert_eq!(decimals(2, "12345678901234567890.129"), "12345678901234567890.13");
        assert_eq!(decimals(2, "99.999"), "100");
        assert_eq!(decimals(2, "1.5E-1"), "0.15");
        assert_eq!(decimals(2, "-0.0"), "0");
        assert_eq!(decimals(3, "0.00049"), "0");
    }

    #[test]
    fn what_is_not_a_number_or_is_absurdly_long_is_refused() {
        for text in
            ["", "-", "abc", "1.", ".5", "01", "1e", "1e+", "0x10", "1 ", "1e999", "1e-999", "1e99999999999", "NaN"]
        {
            assert!(Step::decimals(1).round(text).is_err(), "{text}");
        }
        assert!(Step::decimals(1).round(&"9".repeat(401)).is_err());
    }

    #[test]
    fn a_step_is_a_positive_number() {
        for text in ["0", "0.0", "-1", "x", "1234567890123456"] {
            assert_eq!(Step::multiple_of(text), Err(StepError), "{text}");
        }
    }

    proptest! {
        #[test]
        fn agrees_with_integer_arithmetic(number in -1_000_000_000_000i64..1_000_000_000_000, step in 1i64..100_000) {
            let half_away = |n: i64| (n.abs() * 2 + step) / (2 * step) * step * n.signum();
            let step_text = step.to_string();
            prop_assert_eq!(to(&step_text, &number.to_string()), half_away(number).to_string());
        }

        #[test]
        fn rounding_twice_changes_nothing_more(whole in 0u64..1_000_000, fraction in "[0-9]{1,12}", digits in 0u8..8) {
            let once = decimals(digits, &format!("{whole}.{fraction}"));
            prop_assert_eq!(&decimals(digits, &once), &once);
        }
    }
}
