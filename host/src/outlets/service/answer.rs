//! What a service's answer means for a message.

use std::time::{Duration, SystemTime};

use hyper::StatusCode;
use hyper::header::{HeaderMap, RETRY_AFTER};
use tokio::time::Instant;

use crate::rules::ServiceAddress;

/// The longest wait that `Retry-After` can ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(60 * 60);

/// Why a service is not known to have taken a message. Shows nothing of the message: not even where exactly it was
/// posted to, since that may have been made of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PostError {
    /// No connection can be made, so nothing was sent.
    #[error("the service at {address} cannot be reached: {reason}")]
    Missing {
        /// Where it should be.
        address: ServiceAddress,
        /// Why.
        reason: String,
    },
    /// It asked to be left alone before, and nothing was sent.
    #[error("the service at {address} asked to be left alone for a while")]
    Resting {
        /// Where it is.
        address: ServiceAddress,
        /// Until when.
        until: Instant,
    },
    /// It answered something other than success.
    #[error("the service at {address} answered {status}")]
    Status {
        /// Where it is.
        address: ServiceAddress,
        /// The answer's status.
        status: StatusCode,
        /// How long it asked to be left alone, with a status that may pass.
        after: Option<Duration>,
    },
    /// There was no answer in time.
    #[error("the service at {address} did not answer within {after:?}")]
    Timeout {
        /// Where it is.
        address: ServiceAddress,
        /// How long was waited.
        after: Duration,
    },
    /// The conversation broke off.
    #[error("the conversation with the service at {address} broke off: {reason}")]
    Broken {
        /// Where it is.
        address: ServiceAddress,
        /// Why.
        reason: String,
    },
    /// HTTP cannot carry the message.
    #[error("HTTP cannot carry the message to {address}: {reason}")]
    Unfit {
        /// Where it was to go.
        address: ServiceAddress,
        /// What cannot be carried, by the names of headers alone.
        reason: String,
    },
}

impl PostError {
    /// Whether the same message may be taken later.
    #[must_use]
    pub fn retryable(&self) -> bool {
        match self {
            Self::Missing { .. } | Self::Resting { .. } | Self::Timeout { .. } | Self::Broken { .. } => true,
            Self::Status { status, .. } => may_pass(*status),
            Self::Unfit { .. } => false,
        }
    }

    /// Whether it says nothing about the message, since nothing was sent.
    #[must_use]
    pub fn is_unsent(&self) -> bool {
        matches!(self, Self::Missing { .. } | Self::Resting { .. })
    }

    /// Whether the service has more to do than it can, which is no failure of it.
    #[must_use]
    pub fn is_back_pressure(&self) -> bool {
        matches!(self, Self::Status { status, .. } if *status == StatusCode::TOO_MANY_REQUESTS)
    }

    /// After how long to come again, if the service said so.
    #[must_use]
    pub fn after(&self) -> Option<Duration> {
        match self {
            Self::Status { after, .. } => *after,
            Self::Resting { until, .. } => Some(until.saturating_duration_since(Instant::now())),
            _ => None,
        }
    }

    /// What an answer means. Redirects are not followed: where messages go is the configuration's to say.
    pub(super) fn of_answer(address: &ServiceAddress, status: StatusCode, headers: &HeaderMap) -> Result<(), Self> {
        if status.is_success() {
            return Ok(());
        }
        let after = may_pass(status).then(|| retry_after(headers, SystemTime::now())).flatten();
        Err(Self::Status { address: address.clone(), status, after })
    }
}

/// Too many requests, and what went wrong in the service itself.
fn may_pass(status: StatusCode) -> bool {
    status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error()
}

/// `Retry-After` in seconds or as a date (RFC 9110, 10.2.3), bounded.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let wait = match digits {
        // More than a number can hold is more than is waited.
        true => text.parse().map_or(MAX_RETRY_AFTER, Duration::from_secs),
        false => httpdate::parse_http_date(text).ok()?.duration_since(now).unwrap_or_default(),
    };
    Some(wait.min(MAX_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_read_in_seconds_and_as_a_date_and_bounded() {
        let now = httpdate::parse_http_date("Wed, 25 Nov 2026 11:00:00 GMT").expect("a date");
        for (text, want) in [
            ("0", Some(0)),
            (" 7 ", Some(7)),
            ("99999", Some(3600)),
            ("99999999999999999999999999", Some(3600)),
            ("Wed, 25 Nov 2026 11:00:09 GMT", Some(9)),
            ("Wed, 25 Nov 2026 10:00:00 GMT", Some(0)),
            ("Thu, 26 Nov 2026 11:00:00 GMT", Some(3600)),
            ("-1", None),
            ("soon", None),
            ("", None),
        ] {
            let headers = [(RETRY_AFTER, text.parse().expect("a header"))].into_iter().collect();
            assert_eq!(retry_after(&headers, now), want.map(Duration::from_secs), "{text:?}");
        }
    }

    #[test]
    fn each_class_of_answers_has_its_meaning() {
        let address = ServiceAddress::parse("http://app").expect("an address");
        let headers: HeaderMap = [(RETRY_AFTER, "3".parse().expect("a header"))].into_iter().collect();
        let judge = |status| PostError::of_answer(&address, StatusCode::from_u16(status).expect("a status"), &headers);
        for status in [200, 201, 202, 204, 299] {
            assert_eq!(judge(status), Ok(()), "{status}");
        }
        for (status, retryable) in [(301, false), (307, false), (400, false), (404, false), (408, false), (422, false)]
            .into_iter()
            .chain([(429, true), (500, true), (502, true), (503, true), (599, true)])
        {
            let error = judge(status).expect_err("no success");
            let after = retryable.then(|| Duration::from_secs(3));
            assert_eq!((error.retryable(), error.after(), error.is_unsent()), (retryable, after, false), "{status}");
        }
    }
}
