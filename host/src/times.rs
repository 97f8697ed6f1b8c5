//! Points in time as people and headers have them: RFC 3339, in UTC, in milliseconds. A leaf.

use std::num::NonZeroU8;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;
use time::format_description::well_known::iso8601::{Config, EncodedConfig, TimePrecision};
use time::format_description::well_known::{Iso8601, Rfc3339};

/// What RFC 3339 takes of ISO 8601, with three digits of a second, so that times line up and sort as text.
const MILLISECONDS: EncodedConfig =
    Config::DEFAULT.set_time_precision(TimePrecision::Second { decimal_digits: NonZeroU8::new(3) }).encode();

/// The last millisecond that RFC 3339 has digits for, since the Unix epoch: the end of the year 9999.
const LAST_MS: u64 = 253_402_300_799_999;

/// A time in UTC by RFC 3339, in milliseconds.
#[must_use]
pub fn rfc3339(at: SystemTime) -> String {
    rfc3339_ms(unix_ms(at))
}

/// The same for milliseconds since the Unix epoch. What is past the year 9999 becomes its end.
#[must_use]
pub fn rfc3339_ms(since_epoch_ms: u64) -> String {
    let nanos = i128::from(since_epoch_ms.min(LAST_MS)) * 1_000_000;
    let at = OffsetDateTime::from_unix_timestamp_nanos(nanos).expect("it is within the years of four digits");
    at.format(&Iso8601::<MILLISECONDS>).expect("a year of four digits has a text")
}

/// Milliseconds since the Unix epoch; 0 for what is before it.
#[must_use]
pub fn unix_ms(at: SystemTime) -> u64 {
    u64::try_from(at.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}

/// Reads a time of RFC 3339, such as `2026-11-22T10:00:00Z`, in nanoseconds. `None` if it is none, or before 1970.
#[must_use]
pub fn parse_rfc3339(text: &str) -> Option<SystemTime> {
    let nanos = u64::try_from(OffsetDateTime::parse(text, &Rfc3339).ok()?.unix_timestamp_nanos()).ok()?;
    UNIX_EPOCH.checked_add(Duration::from_nanos(nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rfc_3339_in_utc_with_milliseconds() {
        let at = UNIX_EPOCH + Duration::new(1_795_341_600, 7_654_321);
        assert_eq!(rfc3339(at), "2026-11-22T10:00:00.007Z");
        let padded = UNIX_EPOCH + Duration::new(1_795_341_624, 780_000_000);
        assert_eq!(rfc3339(padded), "2026-11-22T10:00:24.780Z");
        let nearly = UNIX_EPOCH + Duration::new(59, 999_999_999);
        assert_eq!(rfc3339(nearly), "1970-01-01T00:00:59.999Z");
        assert_eq!(rfc3339(UNIX_EPOCH), "1970-01-01T00:00:00.000Z");
        assert_eq!(rfc3339_ms(u64::MAX), "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn what_was_written_is_read_back_and_what_is_no_time_is_not() {
        let at = UNIX_EPOCH + Duration::from_millis(1_795_341_600_007);
        assert_eq!(parse_rfc3339(&rfc3339(at)), Some(at));
        assert_eq!(parse_rfc3339("2026-11-22T12:00:00.007+02:00"), Some(at));
        for text in ["", "yesterday", "2026-11-22", "1969-12-31T23:59:59Z"] {
            assert_eq!(parse_rfc3339(text), None, "{text}");
        }
    }
}
