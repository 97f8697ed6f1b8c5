//! Errors as problem details (RFC 9457).

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

/// An error of the listener: its status, and one sentence about what to do.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    detail: String,
    /// In seconds.
    retry_after: Option<u64>,
    /// Whether a token would help.
    challenge: bool,
    /// Extension members.
    more: Map<String, Value>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), retry_after: None, challenge: false, more: Map::new() }
    }

    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    /// The same as an element of a list of answers.
    pub(crate) fn element(self) -> Value {
        let mut element = json!({ "status": self.status.as_u16(), "detail": self.detail });
        if let Some(seconds) = self.retry_after {
            element["retry-after"] = seconds.into();
        }
        if let Value::Object(members) = &mut element {
            members.extend(self.more);
        }
        element
    }

    /// The same, with an extension member.
    pub(crate) fn with(mut self, name: &str, value: Value) -> Self {
        self.more.insert(name.to_owned(), value);
        self
    }

    /// The same, with how to authenticate (RFC 6750).
    pub(super) fn challenge(mut self) -> Self {
        self.challenge = true;
        self
    }

    /// The same, with when to come again.
    pub(crate) fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        // Without a `type` member the type is `about:blank`, and the title is the status' own phrase.
        let title = self.status.canonical_reason().unwrap_or_default();
        let mut body = json!({ "title": title, "status": self.status.as_u16(), "detail": self.detail });
        if let Value::Object(members) = &mut body {
            members.extend(self.more);
        }
        let content_type = [(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"))];
        let mut response = (self.status, content_type, body.to_string()).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        if self.challenge {
            let bearer = HeaderValue::from_static("Bearer realm=\"trackside\"");
            response.headers_mut().insert(WWW_AUTHENTICATE, bearer);
        }
        response
    }
}
