//! One message as an HTTP request, and one exchange.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Method, Request};

use super::{HttpClient, PostError};
use crate::https::reasons;
use crate::message::Headers;
use crate::rules::{BatchBounds, ServiceAddress};

/// How much of an answer is read, so that its connection can be used again; one that is longer costs its connection.
const MAX_ANSWER_BYTES: usize = 64 << 10;

const AGENT: &str = concat!("trackside/", env!("CARGO_PKG_VERSION"));

/// By which a service recognises what it has taken already (draft-ietf-httpapi-idempotency-key-header).
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const MESSAGE_ID: HeaderName = HeaderName::from_static("nats-msg-id");

/// Headers of a message that are not sent on: those that belong to a connection or frame a body (RFC 9110, 7.6.1), and
/// those by which a message could pass for a caller that the service trusts.
const WITHHELD: [&str; 21] = [
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "idempotency-key",
    "keep-alive",
    "nats-msg-id",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
    "x-real-ip",
    "x-request-id",
];

/// A message to post.
#[derive(Debug, Clone)]
pub struct Post {
    /// Path and query.
    pub path: String,
    /// Its headers.
    pub headers: Headers,
    /// Its payload.
    pub payload: Bytes,
    /// Its id, the same whenever it is posted; `None` of a batch, whose events have theirs.
    pub message_id: Option<String>,
    /// How long the answer may take, connecting included.
    pub timeout: Duration,
    /// If it is a batch, how much may go in one request.
    pub batch: Option<BatchBounds>,
}

/// Sends a request and waits for the answer.
pub(super) async fn exchange(client: &HttpClient, address: &ServiceAddress, post: Post) -> Result<(), PostError> {
    let after = post.timeout;
    let request = request(address, post)?;
    let exchange = async {
        let answer = client.request(request).await.map_err(|error| {
            let (address, reason) = (address.clone(), reasons(&error));
            match error.is_connect() {
                true => PostError::Missing { address, reason },
                false => PostError::Broken { address, reason },
            }
        })?;
        let judged = PostError::of_answer(address, answer.status(), answer.headers());
        finish(answer.into_body()).await;
        judged
    };
    match tokio::time::timeout(after, exchange).await {
        Ok(judged) => judged,
        Err(_) => Err(PostError::Timeout { address: address.clone(), after }),
    }
}

/// Reads what is left of an answer, as far as that is worth it. What it says is of no interest, and what goes wrong with
/// it changes nothing about the status.
async fn finish(body: Incoming) {
    let _ = Limited::new(body, MAX_ANSWER_BYTES).collect().await;
}

fn request(address: &ServiceAddress, post: Post) -> Result<Request<Full<Bytes>>, PostError> {
    let unfit = |reason: String| PostError::Unfit { address: address.clone(), reason };
    let mut headers = carried(&post.headers).map_err(unfit)?;
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    if let Some(id) = post.message_id {
        let id = HeaderValue::try_from(id).map_err(|_| unfit("its id".to_owned()))?;
        headers.insert(MESSAGE_ID, id.clone());
        headers.insert(IDEMPOTENCY_KEY, id);
    }
    if !headers.contains_key(CONTENT_TYPE) && !post.payload.is_empty() {
        let json = trackside_json::validate(&post.payload, &trackside_json::Limits::default()).is_ok();
        let kind = if json { "application/json" } else { "application/octet-stream" };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    }
    let request = Request::builder().method(Method::POST).uri(format!("{address}{}", post.path));
    let mut request = request.body(Full::new(post.payload)).map_err(|_| unfit("its URL".to_owned()))?;
    *request.headers_mut() = headers;
    Ok(request)
}

/// A message's headers as HTTP has them.
fn carried(headers: &Headers) -> Result<HeaderMap, String> {
    let mut map = HeaderMap::with_capacity(headers.len() + 4);
    for header in headers {
        let name = header.name.to_ascii_lowercase();
        if WITHHELD.contains(&name.as_str()) || name.starts_with("x-forwarded-") {
            continue;
        }
        let shown = || format!("header `{}`", header.name.escape_debug());
        let name = HeaderName::try_from(name).map_err(|_| format!("{} has a name that HTTP does not take", shown()))?;
        let value = HeaderValue::from_bytes(header.value.as_bytes())
            .map_err(|_| format!("{} has a value that HTTP does not take", shown()))?;
        map.try_append(name, value).map_err(|_| "there are too many headers".to_owned())?;
    }
    Ok(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn post(headers: &[(&'static str, &str)], payload: &'static [u8]) -> Result<Request<Full<Bytes>>, PostError> {
        let mut of_message = Headers::default();
        headers.iter().for_each(|(name, value)| of_message.push(*name, *value));
        let address = ServiceAddress::parse("http://app:8080").expect("an address");
        let post = Post {
            path: "/orders?a=b".to_owned(),
            headers: of_message,
            payload: Bytes::from_static(payload),
            message_id: Some("ORDERS:7:1:rule:default:0".to_owned()),
            timeout: Duration::from_secs(1),
            batch: None,
        };
        request(&address, post)
    }

    #[test]
    fn a_message_cannot_frame_its_request_or_pass_for_somebody() {
        let told = [
            ("Content-Length", "0"),
            ("Transfer-Encoding", "chunked"),
            ("Host", "elsewhere"),
            ("Connection", "close"),
            ("Authorization", "Bearer x"),
            ("Cookie", "a=b"),
            ("X-Forwarded-For", "10.0.0.1"),
            ("Idempotency-Key", "other"),
            ("Nats-Msg-Id", "other"),
            ("Region", "eu"),
            ("region", "us"),
            ("ce-id", "7"),
        ];
        let request = post(&told, b"{}").expect("a request");
        assert_eq!(request.uri(), "http://app:8080/orders?a=b");
        let mut names: Vec<_> = request.headers().keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["ce-id", "content-type", "idempotency-key", "nats-msg-id", "region", "user-agent"]);
        let regions: Vec<_> = request.headers().get_all("region").iter().collect();
        assert_eq!(regions, ["eu", "us"]);
        assert_eq!(request.headers()["idempotency-key"], "ORDERS:7:1:rule:default:0");
        assert_eq!(request.headers()["nats-msg-id"], "ORDERS:7:1:rule:default:0");
    }

    #[test]
    fn the_type_of_the_payload_is_the_messages_own_or_what_it_looks_like() {
        for (headers, payload, want) in [
            (&[("Content-Type", "text/csv")][..], &b"{}"[..], Some("text/csv")),
            (&[], b" {\"a\":1}", Some("application/json")),
            (&[], b"\xff", Some("application/octet-stream")),
            (&[], b"", None),
        ] {
            let request = post(headers, payload).expect("a request");
            assert_eq!(request.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes), want.map(str::as_bytes));
        }
    }

    #[test]
    fn what_http_does_not_take_is_told_by_name_alone() {
        for (name, value) in [("a(b", "x"), ("Secret", "a\u{1}b")] {
            let error = post(&[(name, value)], b"").expect_err("unfit");
            assert!(!error.retryable());
            let text = error.to_string();
            assert!(text.contains(name) && !text.contains(value.trim_matches('x')) || name == "a(b", "{text}");
        }
        assert!(post(&[("Name", "nörd\t!")], b"").is_ok(), "bytes past ASCII are taken as they are");
    }
}
