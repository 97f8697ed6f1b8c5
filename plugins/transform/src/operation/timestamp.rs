//! `timestamp`: from one way to write a time to another.

use jiff::civil::DateTime;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::{Offset, TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, Zoned};

use super::StepError;
use crate::document::Node;

/// A way to write a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Rfc3339,
    UnixSeconds,
    UnixMilliseconds,
    /// As `strftime` has it.
    Pattern(String),
}

/// From one format to another.
#[derive(Debug)]
pub(crate) struct Reformat {
    pub(crate) from: Format,
    pub(crate) to: Format,
    /// Of times that are read without an offset, and of those that are written.
    pub(crate) zone: TimeZone,
}

const RFC_3339: &str = "%Y-%m-%dT%H:%M:%S%.f%:z";
const UNREADABLE: StepError = StepError::Unreadable("is not a time in the format of `from`");
const UNWRITABLE: StepError = StepError::Unreadable("is a time that the format of `to` cannot write");

impl Format {
    /// `rfc3339`, `unix-s`, `unix-ms`, or a pattern.
    ///
    /// # Errors
    ///
    /// Why the pattern is none.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        match text {
            "rfc3339" => Ok(Self::Rfc3339),
            "unix-s" => Ok(Self::UnixSeconds),
            "unix-ms" => Ok(Self::UnixMilliseconds),
            pattern if pattern.contains('%') => {
                let any = Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC);
                jiff::fmt::strtime::format(pattern, &any).map_err(|error| error.to_string())?;
                Ok(Self::Pattern(pattern.to_owned()))
            }
            _ => Err("must be rfc3339, unix-s, unix-ms, or a pattern such as %d/%m/%Y %H:%M".to_owned()),
        }
    }
}

/// `UTC`, an offset such as `+02:00`, or a name of the IANA time zone database, which is part of the component.
pub(crate) fn zone(text: &str) -> Option<TimeZone> {
    match text.split_at_checked(1) {
        _ if text == "UTC" => Some(TimeZone::UTC),
        Some((sign @ ("+" | "-"), rest)) => {
            let (hours, minutes) = rest.split_once(':')?;
            let two = |text: &str, max: i32| text.parse().ok().filter(|n| text.len() == 2 && (0..=max).contains(n));
            let seconds = two(hours, 23)? * 3600 + two(minutes, 59)? * 60;
            Some(TimeZone::fixed(Offset::from_seconds(if sign == "-" { -seconds } else { seconds }).ok()?))
        }
        _ => TimeZoneDatabase::bundled().get(text).ok(),
    }
}

impl Reformat {
    pub(super) fn apply(&self, node: &Node<'_>) -> Result<Node<'static>, StepError> {
        if let Node::Boolean(_) | Node::Closed(_) | Node::Array(_) | Node::Object(_) = node {
            return Err(StepError::Type { found: node.kind(), expected: "a time in a string or number" });
        }
        let time = self.read(&node.spelling()).ok_or(UNREADABLE)?;
        let zoned = time.to_zoned(self.zone.clone());
        Ok(match &self.to {
            Format::UnixSeconds => Node::Number(time.as_nanosecond().div_euclid(1_000_000_000).to_string().into()),
            Format::UnixMilliseconds => Node::Number(time.as_nanosecond().div_euclid(1_000_000).to_string().into()),
            Format::Rfc3339 if self.zone == TimeZone::UTC => Node::text(&time.to_string()),
            Format::Rfc3339 => Node::text(&write(RFC_3339, &zoned)?),
            Format::Pattern(pattern) => Node::text(&write(pattern, &zoned)?),
        })
    }

    fn read(&self, text: &str) -> Option<Timestamp> {
        let local = |time: DateTime| Some(time.to_zoned(self.zone.clone()).ok()?.timestamp());
        match &self.from {
            Format::UnixSeconds => unix(text, 9),
            Format::UnixMilliseconds => unix(text, 6),
            Format::Rfc3339 => text.parse().ok().or_else(|| local(text.parse().ok()?)),
            Format::Pattern(pattern) => {
                let parts = BrokenDownTime::parse(pattern, text).ok()?;
                let date = || parts.to_date().ok().map(|date| date.to_datetime(jiff::civil::Time::midnight()));
                parts.to_timestamp().ok().or_else(|| local(parts.to_datetime().ok().or_else(date)?))
            }
        }
    }
}

fn write(pattern: &str, time: &Zoned) -> Result<String, StepError> {
    jiff::fmt::strtime::format(pattern, time).map_err(|_| UNWRITABLE)
}

/// A decimal number of units of which each is ten to the `places` nanoseconds.
fn unix(text: &str, places: usize) -> Option<Timestamp> {
    let (whole, fraction) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
    let digits = whole.strip_prefix('-').unwrap_or(whole);
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if digits.is_empty() || !is_digits(digits) || !is_digits(fraction) {
        return None;
    }
    let fraction: String = fraction.chars().chain(std::iter::repeat('0')).take(places).collect();
    Timestamp::from_nanosecond(format!("{whole}{fraction}").parse().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(from: &str, to: &str, in_zone: &str, value: &str, expected: Option<&str>) {
        let format = |text| Format::parse(text).unwrap();
        let reformat = Reformat { from: format(from), to: format(to), zone: zone(in_zone).unwrap() };
        let done = reformat.apply(&Node::parse(value).unwrap());
        assert_eq!(done.ok().map(|node| node.print()).as_deref(), expected, "{value}");
    }

    #[test]
    fn times_are_reformatted() {
        check("unix-ms", "rfc3339", "UTC", "1795342272345", Some(r#""2026-11-22T10:11:12.345Z""#));
        check("unix-s", "rfc3339", "UTC", r#""1795342272""#, Some(r#""2026-11-22T10:11:12Z""#));
        check("unix-s", "unix-ms", "UTC", "1795342272.5", Some("1795342272500"));
        check("rfc3339", "unix-s", "UTC", r#""2026-11-22T12:11:12.9+02:00""#, Some("1795342272"));
        check("rfc3339", "%d/%m/%Y %H:%M", "UTC", r#""2026-11-22T10:11:12Z""#, Some(r#""22/11/2026 10:11""#));
        check("%d/%m/%Y", "rfc3339", "UTC", r#""22/11/2026""#, Some(r#""2026-11-22T00:00:00Z""#));
        check("%d/%m/%Y %H:%M %z", "rfc3339", "UTC", r#""22/11/2026 10:11 +0200""#, Some(r#""2026-11-22T08:11:00Z""#));
        check("unix-s", "unix-s", "UTC", "-1.5", Some("-2"));
    }

    #[test]
    fn a_zone_gives_an_offset_to_times_without_and_to_what_is_written() {
        check("rfc3339", "rfc3339", "+02:00", r#""2026-11-22T10:11:12""#, Some(r#""2026-11-22T10:11:12+02:00""#));
        check(
            "rfc3339",
            "rfc3339",
            "Europe/Amsterdam",
            r#""2026-07-01T10:00:00Z""#,
            Some(r#""2026-07-01T12:00:00+02:00""#),
        );
        check("%Y-%m-%d %H:%M", "rfc3339", "-05:30", r#""2026-11-22 10:11""#, Some(r#""2026-11-22T10:11:00-05:30""#));
    }

    #[test]
    fn what_is_not_a_time_is_refused() {
        for value in [r#""""#, r#""soon""#, "1e9", "true", "[]", "99999999999999999999"] {
            check("unix-s", "rfc3339", "UTC", value, None);
            check("rfc3339", "unix-s", "UTC", value, None);
            check("%d/%m/%Y", "unix-s", "UTC", value, None);
        }
        check("%d/%m/%Y", "rfc3339", "UTC", r#""31/02/2026""#, None);
    }

    #[test]
    fn a_format_or_zone_that_there_is_not_is_refused() {
        for format in ["", "iso", "%!", "unix"] {
            assert!(Format::parse(format).is_err(), "{format}");
        }
        for text in ["", "+2", "+24:00", "Mars/Olympus", "+0200"] {
            assert!(zone(text).is_none(), "{text}");
        }
    }
}
