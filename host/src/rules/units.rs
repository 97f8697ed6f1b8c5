//! Amounts with their unit in the value: `10ms`, `16MiB`.

use std::time::Duration;

const DURATIONS: [(&str, u64); 6] = [
    ("us", 1),
    ("ms", 1_000),
    ("s", 1_000_000),
    ("m", 60 * 1_000_000),
    ("h", 3_600 * 1_000_000),
    ("d", 86_400 * 1_000_000),
];

const SIZES: [(&str, u64); 7] = [
    ("B", 1),
    ("kB", 1_000),
    ("KiB", 1 << 10),
    ("MB", 1_000_000),
    ("MiB", 1 << 20),
    ("GB", 1_000_000_000),
    ("GiB", 1 << 30),
];

/// Why a text is not an amount with a unit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UnitError {
    #[error("`{0}` does not begin with a whole number: write for example `{1}`")]
    NoNumber(String, &'static str),
    #[error("`{0}` has no unit: write for example `{0}{1}`; the units are {2}")]
    NoUnit(String, &'static str, String),
    #[error("`{0}` is not a unit here: the units are {1}")]
    Unit(String, String),
    #[error("`{0}` is more than can be counted: write a smaller one")]
    TooLarge(String),
}

/// Reads a duration such as `10ms`.
pub(crate) fn duration(text: &str) -> Result<Duration, UnitError> {
    amount(text, &DURATIONS, "ms", "10ms").map(Duration::from_micros)
}

/// Reads a number of bytes such as `16MiB`.
pub(super) fn bytes(text: &str) -> Result<usize, UnitError> {
    let bytes = amount(text, &SIZES, "MiB", "16MiB")?;
    usize::try_from(bytes).map_err(|_| UnitError::TooLarge(text.to_owned()))
}

/// A duration as it would be written: in the largest unit that leaves a whole number.
pub(super) fn show_duration(duration: Duration) -> String {
    if duration.is_zero() {
        return "0s".to_owned();
    }
    show(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX), &DURATIONS)
}

/// A number of bytes as it would be written: in the largest unit that leaves a whole number.
pub(super) fn show_bytes(bytes: usize) -> String {
    show(bytes as u64, &SIZES)
}

fn amount(
    text: &str,
    units: &[(&'static str, u64)],
    usual: &'static str,
    example: &'static str,
) -> Result<u64, UnitError> {
    let text = text.trim();
    let names = || units.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    if number.is_empty() {
        return Err(UnitError::NoNumber(text.to_owned(), example));
    }
    let unit = unit.trim_start();
    if unit.is_empty() {
        return Err(UnitError::NoUnit(text.to_owned(), usual, names()));
    }
    let Some((_, factor)) = units.iter().find(|(name, _)| *name == unit) else {
        return Err(UnitError::Unit(unit.to_owned(), names()));
    };
    let number: Option<u64> = number.parse().ok();
    number.and_then(|number| number.checked_mul(*factor)).ok_or_else(|| UnitError::TooLarge(text.to_owned()))
}

fn show(amount: u64, units: &[(&'static str, u64)]) -> String {
    let whole = units.iter().rev().find(|(_, factor)| amount >= *factor && amount.is_multiple_of(*factor));
    let (name, factor) = whole.unwrap_or(&units[0]);
    format!("{}{name}", amount / factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_have_their_unit_in_the_value() {
        assert_eq!(duration("10ms"), Ok(Duration::from_millis(10)));
        assert_eq!(duration("2 h"), Ok(Duration::from_secs(7200)));
        assert_eq!(duration("250us"), Ok(Duration::from_micros(250)));
        assert_eq!(bytes("16MiB"), Ok(16 << 20));
        assert_eq!(bytes("1kB"), Ok(1000));
    }

    #[test]
    fn an_error_says_the_units() {
        for (text, want) in [
            ("10", "`10` has no unit: write for example `10ms`; the units are us, ms, s, m, h, d"),
            ("10min", "`min` is not a unit here: the units are us, ms, s, m, h, d"),
            ("1.5s", "`.5s` is not a unit here: the units are us, ms, s, m, h, d"),
            ("-1s", "`-1s` does not begin with a whole number: write for example `10ms`"),
            ("", "`` does not begin with a whole number: write for example `10ms`"),
            ("99999999999999999999s", "`99999999999999999999s` is more than can be counted: write a smaller one"),
            ("9999999999999d", "`9999999999999d` is more than can be counted: write a smaller one"),
        ] {
            assert_eq!(duration(text).expect_err(text).to_string(), want);
        }
        let error = bytes("16M").expect_err("no such unit").to_string();
        assert_eq!(error, "`M` is not a unit here: the units are B, kB, KiB, MB, MiB, GB, GiB");
    }

    #[test]
    fn what_is_shown_is_what_would_be_written() {
        assert_eq!(show_duration(Duration::from_millis(1500)), "1500ms");
        assert_eq!(show_duration(Duration::from_secs(3600)), "1h");
        assert_eq!(show_duration(Duration::ZERO), "0s");
        assert_eq!(show_bytes(64 << 20), "64MiB");
        assert_eq!(show_bytes(1_000_000), "1MB");
    }
}
