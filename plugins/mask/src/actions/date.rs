//! `truncate-date`: a date keeps its shape and loses its detail.

use std::ops::Range;

use super::Unreadable;

/// The smallest unit that a date keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Precision {
    Year,
    Month,
    Day,
    Hour,
}

impl Precision {
    /// Sets everything below the precision to its first value: month and day to `01`, times to `00`. The date may be
    /// a full-date or date-time of RFC 3339, or a date-time without an offset. An offset is kept, not applied.
    pub(crate) fn truncate(self, text: &str) -> Result<String, Unreadable> {
        let parts = Parts::find(text).ok_or_else(|| Unreadable("is not an RFC 3339 date".into()))?;
        let mut bytes = text.as_bytes().to_vec();
        let mut fill = |range: Range<usize>, with: &[u8; 2]| {
            for (offset, byte) in bytes[range].iter_mut().enumerate() {
                *byte = with[offset.min(1)];
            }
        };
        if self < Self::Month {
            fill(5..7, b"01");
        }
        if self < Self::Day {
            fill(8..10, b"01");
        }
        if parts.time {
            if self < Self::Hour {
                fill(11..13, b"00");
            }
            fill(14..16, b"00");
            fill(17..19, b"00");
            fill(parts.fraction, b"00");
        }
        Ok(String::from_utf8(bytes).expect("digits of ASCII were replaced by digits of ASCII"))
    }
}

struct Parts {
    time: bool,
    fraction: Range<usize>,
}

impl Parts {
    /// Checks every field's range, so that a text that merely looks like a date is not let through half masked.
    fn find(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let number = |range: Range<usize>| -> Option<u32> {
            let digits = bytes.get(range)?;
            digits.iter().all(u8::is_ascii_digit).then(|| digits.iter().fold(0, |n, b| n * 10 + u32::from(b - b'0')))
        };
        let is = |at: usize, set: &[u8]| bytes.get(at).is_some_and(|byte| set.contains(byte));
        let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
        if !(is(4, b"-") && is(7, b"-") && (1..=days(year, month)).contains(&day)) {
            return None;
        }
        if bytes.len() == 10 {
            return Some(Self { time: false, fraction: 0..0 });
        }
        let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
        let in_range = hour <= 23 && minute <= 59 && second <= 60;
        if !(is(10, b"Tt ") && is(13, b":") && is(16, b":") && in_range) {
            return None;
        }
        let mut end = 19;
        let mut fraction = end..end;
        if is(end, b".") {
            let digits = bytes[end + 1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            fraction = end + 1..end + 1 + digits;
            end = fraction.end;
            if digits == 0 {
                return None;
            }
        }
        let offset = match bytes.len() - end {
            0 => true,
            1 => is(end, b"Zz"),
            6 => {
                is(end, b"+-")
                    && is(end + 3, b":")
                    && number(end + 1..end + 3)? <= 23
                    && number(end + 4..end + 6)? <= 59
            }
            _ => false,
        };
        offset.then_some(Self { time: true, fraction })
    }
}

/// None for a month that there is not.
fn days(year: u32, month: u32) -> u32 {
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_shape_and_drops_the_detail() {
        let full = "2026-11-22T10:11:12.345+02:00";
        assert_eq!(Precision::Year.truncate(full).unwrap(), "2026-01-01T00:00:00.000+02:00");
        assert_eq!(Precision::Month.truncate(full).unwrap(), "2026-11-01T00:00:00.000+02:00");
        assert_eq!(Precision::Day.truncate(full).unwrap(), "2026-11-22T00:00:00.000+02:00");
        assert_eq!(Precision::Hour.truncate(full).unwrap(), "2026-11-22T10:00:00.000+02:00");
        assert_eq!(Precision::Month.truncate("2026-11-22T10:11:12Z").unwrap(), "2026-11-01T00:00:00Z");
        assert_eq!(Precision::Month.truncate("2026-11-22 10:11:12").unwrap(), "2026-11-01 00:00:00");
        assert_eq!(Precision::Year.truncate("1984-02-29").unwrap(), "1984-01-01");
        assert_eq!(Precision::Hour.truncate("1984-02-29").unwrap(), "1984-02-29");
    }

    #[test]
    fn what_is_not_a_date_is_refused() {
        for text in [
            "",
            "yesterday",
            "2026",
            "2026-11",
            "22.11.2026",
            "2026-13-01",
            "2026-00-01",
            "2026-02-29",
            "1900-02-29",
            "2026-11-31",
            "2026-11-22T",
            "2026-11-22T10:11",
            "2026-11-22T24:00:00Z",
            "2026-11-22T10:60:00Z",
            "2026-11-22T10:11:12.Z",
            "2026-11-22T10:11:12+2:00",
            "2026-11-22T10:11:12+24:00",
            "2026-11-22T10:11:12Zx",
            " 2026-11-22",
            "2026-11-22 ",
            "２０２６-11-22",
        ] {
            assert!(Precision::Year.truncate(text).is_err(), "{text}");
        }
    }
}
