//! `cast`: from one JSON type to another, when nothing is lost.

use super::StepError;
use crate::document::Node;

/// What to cast to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Text,
    Number,
    Integer,
    Boolean,
}

impl Type {
    pub(super) fn cast(self, node: &Node<'_>) -> Result<Node<'static>, StepError> {
        if let Node::Closed(_) | Node::Array(_) | Node::Object(_) = node {
            return Err(StepError::Type { found: node.kind(), expected: "a string, number or boolean" });
        }
        match self {
            Self::Text => Ok(Node::text(&node.spelling())),
            Self::Number => number(node).map(|number| Node::Number(number.into())),
            Self::Integer => {
                let whole = integer(&number(node)?).ok_or(StepError::Unreadable("is not a whole number"))?;
                Ok(Node::Number(whole.into()))
            }
            Self::Boolean => boolean(node).map(Node::Boolean).ok_or(StepError::Unreadable("is neither true nor false")),
        }
    }
}

/// A number's spelling, or the number that a text spells.
fn number(node: &Node<'_>) -> Result<String, StepError> {
    let spelling = match node {
        Node::Boolean(value) => return Ok(u8::from(*value).to_string()),
        other => other.spelling(),
    };
    match parts(spelling.trim()) {
        Some(_) => Ok(spelling.trim().to_owned()),
        None => Err(StepError::Unreadable("is not a number")),
    }
}

/// Sign, whole digits, digits of the fraction and exponent of a number as JSON (RFC 8259, section 6) spells it.
fn parts(spelling: &str) -> Option<(&str, &str, &str, i64)> {
    let digits = spelling.strip_prefix('-').unwrap_or(spelling);
    let sign = &spelling[..spelling.len() - digits.len()];
    let (mantissa, exponent) = match digits.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (digits, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let exponent_digits = exponent.map(|exponent| exponent.strip_prefix(['+', '-']).unwrap_or(exponent));
    let well_formed = is_digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(is_digits)
        && exponent_digits.is_none_or(is_digits);
    // An exponent beyond 64 bits is a number all the same, but none that anything comes out of.
    let exponent = exponent.map_or(0, |exponent| exponent.parse().unwrap_or(i64::MIN));
    well_formed.then(|| (sign, whole, fraction.unwrap_or_default(), exponent))
}

/// The longest whole number that is written out, in digits.
const MAX_DIGITS: usize = 400;

/// The number without fraction and exponent, if it is whole.
fn integer(spelling: &str) -> Option<String> {
    let (sign, whole, fraction, exponent) = parts(spelling)?;
    let digits = format!("{whole}{fraction}");
    let point = i64::try_from(whole.len()).ok()?.checked_add(exponent)?;
    let significant = digits.trim_start_matches('0');
    if significant.is_empty() {
        return Some("0".to_owned());
    }
    // Where the point is, counted from the first digit that is not a zero.
    let point = point - i64::try_from(digits.len() - significant.len()).ok()?;
    let point = usize::try_from(point).ok().filter(|point| (1..=MAX_DIGITS).contains(point))?;
    let (before, after) = significant.split_at(point.min(significant.len()));
    let zeros = "0".repeat(point - before.len());
    after.bytes().all(|byte| byte == b'0').then(|| format!("{sign}{before}{zeros}"))
}

fn boolean(node: &Node<'_>) -> Option<bool> {
    let spelling = node.spelling();
    match spelling.trim() {
        "1" => Some(true),
        "0" => Some(false),
        text if text.eq_ignore_ascii_case("true") => Some(true),
        text if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(to: Type, from: &str, expected: Option<&str>) {
        let cast = to.cast(&Node::parse(from).unwrap());
        assert_eq!(cast.ok().map(|node| node.print()).as_deref(), expected, "{from}");
    }

    #[test]
    fn numbers_keep_every_digit() {
        check(Type::Number, r#"" 12345678901234567890.10 ""#, Some("12345678901234567890.10"));
        check(Type::Number, r#""-1e5""#, Some("-1e5"));
        check(Type::Number, "1.50", Some("1.50"));
        check(Type::Number, "true", Some("1"));
        check(Type::Text, "1.50", Some(r#""1.50""#));
        check(Type::Text, "false", Some(r#""false""#));
        for text in ["", "abc", "1,5", "0x1", "01", "1.", ".5", "+1", "1e", "NaN", "--1", "1 2"] {
            check(Type::Number, &format!("\"{text}\""), None);
        }
    }

    #[test]
    fn integers_are_cast_only_when_nothing_is_lost() {
        for (from, to) in [
            ("12.0", "12"),
            ("1.5e1", "15"),
            ("1e3", "1000"),
            ("-0.0", "0"),
            ("120e-1", "12"),
            ("0.01e2", "1"),
            ("-7", "-7"),
        ] {
            check(Type::Integer, from, Some(to));
        }
        for from in ["1.5", "15e-1", "1e-3", "1e999999999999", "1e99999999999999999999"] {
            check(Type::Integer, from, None);
        }
    }

    #[test]
    fn booleans_are_read_from_words_and_digits() {
        check(Type::Boolean, r#""TRUE""#, Some("true"));
        check(Type::Boolean, "0", Some("false"));
        check(Type::Boolean, r#""yes""#, None);
        check(Type::Boolean, "2", None);
        check(Type::Boolean, "[]", None);
    }
}
