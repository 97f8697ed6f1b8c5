//! What requests have beside their path: a query, a body, a revision that has to be in force.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request};
use axum::http::header::{CONTENT_LENGTH, IF_MATCH};
use axum::http::{HeaderMap, StatusCode, Uri};
use bytes::Bytes;
use http_body_util::LengthLimitError;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use tokio::time::timeout;
use url::form_urlencoded;

use crate::names::Revision;

use super::problem::Problem;

/// How long a request's body may take to arrive.
pub(super) const BODY_WAIT: Duration = Duration::from_secs(10);

/// The values of a query, each of which may be there once, and no others.
///
/// # Errors
/// When there is another one, or one is there twice.
pub(super) fn query(uri: &Uri, known: &[&'static str]) -> Result<BTreeMap<&'static str, String>, Problem> {
    let mut values = BTreeMap::new();
    for (name, value) in form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
        let Some(name) = known.iter().find(|known| **known == name) else {
            let name: String = name.escape_debug().take(64).collect();
            let instead = if known.is_empty() { "there is none here".to_owned() } else { known.join(", ") };
            return Err(bad(format!("there is no parameter `{name}` here, but: {instead}")));
        };
        if values.insert(*name, value.into_owned()).is_some() {
            return Err(bad(format!("the parameter `{name}` is there twice")));
        }
    }
    Ok(values)
}

/// A part of the path.
///
/// # Errors
/// When it is not UTF-8.
pub(super) fn segment(path: Result<Path<String>, PathRejection>) -> Result<String, Problem> {
    path.map(|Path(text)| text).map_err(|_| bad("a part of the path is not UTF-8"))
}

/// A parameter that is a number within these bounds.
///
/// # Errors
/// When it is not.
pub(super) fn number(
    values: &BTreeMap<&'static str, String>,
    name: &str,
    bounds: std::ops::RangeInclusive<usize>,
    default: usize,
) -> Result<usize, Problem> {
    let Some(value) = values.get(name) else { return Ok(default) };
    value
        .parse()
        .ok()
        .filter(|number| bounds.contains(number))
        .ok_or_else(|| bad(format!("`{name}` is a number from {} to {}", bounds.start(), bounds.end())))
}

/// A parameter that is `true` or `false`.
///
/// # Errors
/// When it is neither.
pub(super) fn boolean(values: &BTreeMap<&'static str, String>, name: &str) -> Result<bool, Problem> {
    match values.get(name).map(String::as_str) {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(bad(format!("`{name}` is `true` or `false`"))),
    }
}

/// A request's body, which is read within a bound and in time.
///
/// # Errors
/// When it is too long or too slow.
pub(super) async fn body(request: Request, max_bytes: usize) -> Result<Bytes, Problem> {
    let too_long = || {
        let detail = format!("the body has more than {max_bytes} bytes");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
    };
    let length = request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if length.is_some_and(|length: usize| length > max_bytes) {
        return Err(too_long());
    }
    let body: Body = request.into_body();
    match timeout(BODY_WAIT, to_bytes(body, max_bytes)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) => {
            let too_many =
                std::error::Error::source(&error).is_some_and(<dyn std::error::Error>::is::<LengthLimitError>);
            if too_many { Err(too_long()) } else { Err(bad("the body broke off")) }
        }
        Err(_) => Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "the body did not arrive")),
    }
}

/// A body of JSON.
///
/// # Errors
/// When it is not, or not what is asked for.
pub(super) fn json_of<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    // Serde would take a list for an object, its elements for the members in their order.
    if !bytes.trim_ascii_start().starts_with(b"{") {
        return Err(bad("the body is not an object of JSON"));
    }
    serde_json::from_slice(bytes).map_err(|error| bad(format!("the body cannot be understood: {error}")))
}

/// A member that may be left out, and is not null where it is there.
///
/// # Errors
/// When it is null, or not what is asked for.
pub(super) fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(input: D) -> Result<Option<T>, D::Error> {
    T::deserialize(input).map(Some)
}

/// What `If-Match` asks for (RFC 9110, 13.1.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum IfMatch {
    /// It is not there.
    Absent,
    /// `*`: whatever is in force.
    Any,
    /// This revision.
    Only(Revision),
}

/// Reads `If-Match`: `*`, or one revision in quotes, as `ETag` gives it.
///
/// # Errors
/// When it is something else.
pub(super) fn if_match(headers: &HeaderMap) -> Result<IfMatch, Problem> {
    let mut values = headers.get_all(IF_MATCH).iter();
    let (value, more) = (values.next(), values.next());
    let Some(value) = value else { return Ok(IfMatch::Absent) };
    let text = value.to_str().map(str::trim).unwrap_or_default();
    let wrong = || bad("`If-Match` is `*`, or the revision that has to be in force, in quotes, as `ETag` gives it");
    match text {
        _ if more.is_some() => Err(wrong()),
        "*" => Ok(IfMatch::Any),
        _ => {
            let quoted = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
            quoted.and_then(Revision::parse).map(IfMatch::Only).ok_or_else(wrong)
        }
    }
}

/// A request that cannot be understood.
pub(super) fn bad(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, detail)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_query_has_what_is_known_and_each_once() {
        let of = |text: &str| query(&text.parse().expect("a URI"), &["limit", "write"]);
        assert_eq!(of("/a?limit=7&write=true").expect("the query is right")["limit"], "7");
        assert!(of("/a").expect("the query is right").is_empty());
        for text in ["/a?limits=7", "/a?limit=7&limit=7", "/a?x"] {
            assert!(of(text).is_err(), "{text}");
        }
        let values = of("/a?limit=7&write=yes").expect("the query is right");
        assert_eq!(number(&values, "limit", 1..=10, 3).expect("within bounds"), 7);
        assert!(number(&values, "limit", 1..=6, 3).is_err());
        assert!(boolean(&values, "write").is_err());
    }

    #[test]
    fn if_match_is_a_star_or_one_revision_in_quotes() {
        let of = |texts: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for text in texts {
                headers.append(IF_MATCH, HeaderValue::from_static(text));
            }
            if_match(&headers).ok()
        };
        assert_eq!(of(&[]), Some(IfMatch::Absent));
        assert_eq!(of(&["*"]), Some(IfMatch::Any));
        assert_eq!(
            of(&["\"0a1b2c3d4e5f\""]),
            Some(IfMatch::Only(Revision::parse("0a1b2c3d4e5f").expect("a revision")))
        );
        let wrong: [&[&'static str]; 5] =
            [&["0a1b2c3d4e5f"], &["\"0a1b\""], &["W/\"0a1b2c3d4e5f\""], &["*", "*"], &["\"0A1B2C3D4E5F\""]];
        for wrong in wrong {
            assert_eq!(of(wrong), None, "{wrong:?}");
        }
    }
}
