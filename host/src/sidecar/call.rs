//! What a call says about its message, apart from the message itself: the subject, how long to wait, which id, which
//! headers go along.

use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use axum::http::{StatusCode, request};
use bytes::Bytes;
use tokio::time::{Instant, timeout_at};
use url::form_urlencoded;

use crate::admin::Problem;
use crate::events::{self, PREFIX};
use crate::message::{Headers, Subject};
use crate::pipeline::Place;
use crate::rules::{SidecarSettings, duration};

use super::desk::Desk;

/// Longest `Idempotency-Key`, in bytes.
const MAX_KEY_BYTES: usize = 200;

/// Headers that every message carries, in the spelling in which it carries them.
const CARRIED: [(&str, &str); 4] = [
    ("content-type", "Content-Type"),
    ("traceparent", "traceparent"),
    ("tracestate", "tracestate"),
    ("baggage", "baggage"),
];

/// What a call asks for.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) until: Instant,
    /// Whether its sender does not wait for what becomes of the message.
    pub(super) respond_async: bool,
    /// What the sender calls the message.
    pub(super) key: Option<String>,
    /// What the message carries.
    pub(super) headers: Headers,
    /// The media type, without parameters and in lower case.
    pub(super) media_type: String,
}

impl Call {
    pub(super) fn read(parts: &request::Parts, settings: &SidecarSettings) -> Result<Self, Problem> {
        let wait = wait(parts, settings)?;
        let content_type = text(&parts.headers, &CONTENT_TYPE)?.unwrap_or_default();
        let media_type = events::media_type(content_type);
        Ok(Self {
            until: Instant::now() + wait,
            respond_async: prefers_async(&parts.headers),
            key: key(&parts.headers)?,
            headers: headers(&parts.headers, &settings.carry_headers)?,
            media_type,
        })
    }

    /// Reads the body. Its place is taken before, so that bodies that arrive slowly are bounded in all.
    pub(super) async fn body(
        &self,
        parts: &request::Parts,
        body: Body,
        desk: &Desk,
        settings: &SidecarSettings,
    ) -> Result<(Bytes, Place), Problem> {
        let max = settings.max_body_bytes;
        let too_large = || {
            Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("the body has more than {max} bytes (`[sidecar] max-body`)"),
            )
        };
        let length = text(&parts.headers, &CONTENT_LENGTH)?.and_then(|length| length.parse::<usize>().ok());
        if length.is_some_and(|length| length > max) {
            return Err(too_large());
        }
        let place = desk.try_enter(length.unwrap_or(max)).ok_or_else(crowded)?;
        match timeout_at(self.until, axum::body::to_bytes(body, max)).await {
            Ok(Ok(bytes)) => Ok((bytes, place)),
            Ok(Err(error)) if is_too_long(&error) => Err(too_large()),
            Ok(Err(_)) => Err(bad("the body broke off, or is not what its headers say")),
            Err(_) => Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in the call's time")),
        }
    }
}

/// `400`
pub(super) fn bad(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, detail)
}

/// `429`
pub(super) fn crowded() -> Problem {
    let detail =
        "as many messages are under way as `[sidecar]` allows; see `max-in-flight-messages` and `max-in-flight-bytes`";
    Problem::new(StatusCode::TOO_MANY_REQUESTS, detail).retry_after(1)
}

/// The subject that a message is handed in under. Those that NATS keeps for itself are refused, whatever the rules say.
pub(super) fn subject(text: &str) -> Result<Subject, Problem> {
    let subject =
        Subject::new(text).map_err(|error| bad(format!("this is not a subject: {}", shown(&error.to_string()))))?;
    if text.starts_with('$') || text.starts_with("_INBOX.") {
        return Err(bad("subjects that begin with `$` or `_INBOX.` are those of NATS itself"));
    }
    Ok(subject)
}

/// A text of somebody else, in an error.
fn shown(text: &str) -> String {
    let mut shown = String::new();
    for c in text.chars().take(200) {
        if c.is_control() { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown
}

fn is_too_long(error: &axum::Error) -> bool {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        if error.is::<http_body_util::LengthLimitError>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// A header that may be there once, as text.
fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, Problem> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(bad(format!("there is more than one header `{name}`")));
    }
    value_text(name, value).map(Some)
}

/// NATS carries text of UTF-8 without control characters.
fn value_text<'h>(name: &HeaderName, value: &'h HeaderValue) -> Result<&'h str, Problem> {
    let text = std::str::from_utf8(value.as_bytes()).ok();
    let text = text.filter(|text| !text.chars().any(|c| c.is_control() && c != '\t'));
    text.ok_or_else(|| bad(format!("the header `{name}` is not UTF-8, or has control characters")))
}

/// How long the call waits: what `?timeout=` or `Trackside-Timeout` says, or what the configuration says.
fn wait(parts: &request::Parts, settings: &SidecarSettings) -> Result<Duration, Problem> {
    let mut asked = text(&parts.headers, &HeaderName::from_static("trackside-timeout"))?.map(str::to_owned);
    for (name, value) in form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()) {
        if name != "timeout" {
            return Err(bad(format!("there is no parameter `{}` here: there is `timeout`", shown(&name))));
        }
        if asked.replace(value.into_owned()).is_some() {
            return Err(bad("the timeout is given more than once"));
        }
    }
    let Some(asked) = asked else { return Ok(settings.timeout) };
    match duration(&asked) {
        Ok(wait) if !wait.is_zero() && wait <= settings.max_timeout => Ok(wait),
        Ok(_) => Err(bad(format!(
            "a timeout is more than nothing and at most {:?} (`[sidecar] max-timeout`)",
            settings.max_timeout
        ))),
        Err(error) => Err(bad(format!("this is not a timeout: {}", shown(&error.to_string())))),
    }
}

/// RFC 7240.
fn prefers_async(headers: &HeaderMap) -> bool {
    let values = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    let preferences =
        values.flat_map(|value| value.split(',')).map(|one| one.split(';').next().unwrap_or_default().trim());
    preferences.into_iter().any(|preference| preference.eq_ignore_ascii_case("respond-async"))
}

/// The `Idempotency-Key`, whether it is quoted, as draft-ietf-httpapi-idempotency-key-header has it, or not.
fn key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(key) = text(headers, &HeaderName::from_static("idempotency-key"))? else { return Ok(None) };
    let key = key.strip_prefix('"').and_then(|key| key.strip_suffix('"')).unwrap_or(key);
    check_key(key).map_err(|()| {
        bad(format!("an Idempotency-Key has 1 to {MAX_KEY_BYTES} characters of ASCII without white space, quotes and backslashes"))
    })?;
    Ok(Some(key.to_owned()))
}

pub(super) fn check_key(key: &str) -> Result<(), ()> {
    let fits = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
    if (1..=MAX_KEY_BYTES).contains(&key.len()) && key.bytes().all(fits) { Ok(()) } else { Err(()) }
}

fn headers(headers: &HeaderMap, carry: &[String]) -> Result<Headers, Problem> {
    let mut carried = Headers::default();
    for (name, value) in headers {
        if let Some(spelt) = spelling(name.as_str(), carry) {
            carried.push(spelt, value_text(name, value)?);
        }
    }
    Ok(carried)
}

/// In which spelling messages carry a header of this name, if they do.
pub(super) fn spelling(name: &str, carry: &[String]) -> Option<String> {
    let lower = name.to_ascii_lowercase();
    let always = CARRIED.iter().find(|(known, _)| *known == lower).map(|(_, spelt)| (*spelt).to_owned());
    let asked = || carry.iter().find(|spelt| spelt.eq_ignore_ascii_case(&lower)).cloned();
    let known = always.or_else(asked);
    if lower.starts_with(PREFIX) { Some(lower) } else { known }
}
