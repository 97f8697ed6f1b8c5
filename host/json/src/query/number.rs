//! Numbers in their spelling.

use std::cmp::Ordering;

/// Compares two numbers of JSON: exactly if both are written as integers, whatever their length, else as IEEE 754
/// doubles.
pub(super) fn compare(left: &str, right: &str) -> Ordering {
    if let (Some(left), Some(right)) = (Integer::read(left), Integer::read(right)) {
        return left.compare(right);
    }
    let double = |spelling: &str| spelling.parse::<f64>().unwrap_or_default();
    // A number of JSON is never NaN, and -0 equals 0.
    double(left).partial_cmp(&double(right)).unwrap_or(Ordering::Equal)
}

#[derive(Clone, Copy)]
struct Integer<'a> {
    negative: bool,
    /// Without leading zeros, as the grammar has it.
    digits: &'a str,
}

impl<'a> Integer<'a> {
    fn read(spelling: &'a str) -> Option<Self> {
        let (negative, digits) = match spelling.strip_prefix('-') {
            Some(digits) => (digits != "0", digits),
            None => (false, spelling),
        };
        digits.bytes().all(|byte| byte.is_ascii_digit()).then_some(Self { negative, digits })
    }

    fn compare(self, other: Self) -> Ordering {
        let size = |one: &str, two: &str| one.len().cmp(&two.len()).then_with(|| one.cmp(two));
        match (self.negative, other.negative) {
            (false, false) => size(self.digits, other.digits),
            (true, true) => size(other.digits, self.digits),
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(left: &str, expected: Ordering, right: &str) {
        assert_eq!(compare(left, right), expected, "{left} to {right}");
        assert_eq!(compare(right, left), expected.reverse(), "{right} to {left}");
    }

    #[test]
    fn integers_of_any_length_compare_exactly() {
        check("90071992547409921", Ordering::Less, "90071992547409922");
        check("-90071992547409921", Ordering::Greater, "-90071992547409922");
        check(
            "100000000000000000000000000000000000000000",
            Ordering::Greater,
            "99999999999999999999999999999999999999999",
        );
        check("-1", Ordering::Less, "0");
        check("-0", Ordering::Equal, "0");
    }

    #[test]
    fn other_numbers_compare_as_doubles() {
        check("1", Ordering::Equal, "1.0");
        check("1e2", Ordering::Equal, "100");
        check("-0.0", Ordering::Equal, "0");
        check("0.1", Ordering::Less, "0.2");
        check("1e400", Ordering::Greater, "1e300");
    }
}
