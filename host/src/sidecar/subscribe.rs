//! Subscriptions: outputs as server-sent events, and what subscribers say to them.

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::Stream;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use url::form_urlencoded;

use crate::admin::Problem;
use crate::outlets::queue::{Handed, Heard, MAX_SUBSCRIBERS, Subscriber, Verdict};
use crate::outlets::{Content, Queue, is_credential};
use crate::pipeline::{headers_json, raw_json};
use crate::rules::duration;

use super::Sidecar;

/// What a subscriber may have without having answered it, unless it says otherwise, and at most.
const IN_FLIGHT: usize = 16;
const MAX_IN_FLIGHT: usize = 1024;

/// How often a subscriber to whom there is nothing to send is sent a comment, so that both sides notice when the other one
/// is gone.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The longest that a subscriber can ask for a message to be left alone.
const MAX_AFTER: Duration = Duration::from_secs(60 * 60);

/// What one that is refused for now is told to wait, in seconds.
const RETRY_AFTER_SECONDS: u64 = 1;

/// An output as a subscriber is sent it.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct EventBody<'c> {
    id: &'c str,
    message_id: &'c str,
    subject: Option<&'c str>,
    headers: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_base64: Option<String>,
}

pub(super) fn routes() -> Router<Sidecar> {
    Router::new().route("/v1/subscribe/{name}", get(subscribe)).route("/v1/ack/{id}", post(acknowledge))
}

async fn subscribe(
    State(sidecar): State<Sidecar>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let mut max_in_flight = IN_FLIGHT;
    for (key, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        max_in_flight = match (&*key, value.parse()) {
            ("max-in-flight", Ok(number @ 1..=MAX_IN_FLIGHT)) => number,
            ("max-in-flight", _) => {
                return Err(bad(format!("`max-in-flight` is a number from 1 to {MAX_IN_FLIGHT}")));
            }
            _ => return Err(unknown_parameter(&key, "`max-in-flight`")),
        };
    }
    let stopping = sidecar.readiness.now().is_draining();
    let queue = sidecar.outlets.find_queue(&name).filter(|queue| queue.is_served() || stopping);
    let Some(queue) = queue else {
        let detail = format!("no rule has a route to `sidecar:{}`", name.escape_debug().take(64).collect::<String>());
        return Err(Problem::new(StatusCode::NOT_FOUND, detail));
    };
    // While it stops, a subscriber would be handed what nobody has the time to answer any more.
    let subscriber = if stopping { None } else { queue.subscribe(max_in_flight) };
    match subscriber {
        Some(subscriber) => {
            let stream = events(subscriber, sidecar.id_prefix(&queue));
            let keep_alive = KeepAlive::new().interval(KEEP_ALIVE);
            Ok(Sse::new(stream).keep_alive(keep_alive).into_response())
        }
        None if stopping => {
            let detail = "Trackside is stopping; subscribe again to the one that comes after it";
            Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(RETRY_AFTER_SECONDS))
        }
        None => {
            let detail = format!("`{name}` has {MAX_SUBSCRIBERS} subscribers, which is the most");
            Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, detail).retry_after(RETRY_AFTER_SECONDS))
        }
    }
}

/// Everything that a subscriber is handed, one after another. Dropped with the connection, which gives back what was not
/// answered.
fn events(subscriber: Subscriber, prefix: String) -> impl Stream<Item = Result<Event, Infallible>> {
    futures::stream::unfold((subscriber, prefix), async |(mut subscriber, prefix)| {
        let Handed { number, content } = subscriber.next().await?;
        Some((Ok(event(&format!("{prefix}{number}"), &content)), (subscriber, prefix)))
    })
}

fn event(id: &str, content: &Content) -> Event {
    let payload = raw_json(&content.payload);
    let mut headers = content.headers.clone();
    headers.retain(|header| !is_credential(&header.name));
    let body = EventBody {
        id,
        message_id: &content.message_id,
        subject: content.headers.get("Trackside-Subject"),
        headers: headers_json(&headers),
        payload_base64: payload.is_none().then(|| STANDARD.encode(&content.payload)),
        payload,
    };
    // Texts, and JSON that was checked, can always be written.
    let body = serde_json::to_string(&body).unwrap_or_default();
    Event::default().event("message").id(id).data(body)
}

async fn acknowledge(
    State(sidecar): State<Sidecar>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<StatusCode, Problem> {
    let verdict = verdict(query.as_deref().unwrap_or_default())?;
    let unknown = || Problem::new(StatusCode::NOT_FOUND, "there is no message with this id");
    let (name, run, number) = parts(&id).ok_or_else(unknown)?;
    let queue = sidecar.outlets.find_queue(name).ok_or_else(unknown)?;
    let heard = if run == &*sidecar.run { queue.answer(number, verdict) } else { Heard::TooLate };
    match heard {
        Heard::InTime => Ok(StatusCode::NO_CONTENT),
        Heard::Unknown => Err(unknown()),
        Heard::TooLate => {
            let detail = "this message was answered already, or not in time: it is or was delivered again";
            Err(Problem::new(StatusCode::GONE, detail))
        }
    }
}

/// What the query says: `verdict=ack|retry|reject`, and with `retry` perhaps `after=5s`.
fn verdict(query: &str) -> Result<Verdict, Problem> {
    let (mut word, mut after) = ("ack".to_owned(), None);
    for (key, value) in form_urlencoded::parse(query.as_bytes()) {
        match &*key {
            "verdict" => word = value.into_owned(),
            "after" => {
                let wait = duration(&value).map_err(|error| bad(format!("`after`: {error}")))?;
                after = Some(wait.min(MAX_AFTER));
            }
            _ => return Err(unknown_parameter(&key, "`verdict` and `after`")),
        }
    }
    match (word.as_str(), after) {
        ("retry", after) => Ok(Verdict::Again(after)),
        (_, Some(_)) => Err(bad("`after` belongs to `verdict=retry`".to_owned())),
        ("ack", None) => Ok(Verdict::Taken),
        ("reject", None) => Ok(Verdict::Rejected),
        _ => Err(bad("`verdict` is `ack`, `retry` or `reject`".to_owned())),
    }
}

impl Sidecar {
    /// What the ids of a queue's outputs begin with.
    fn id_prefix(&self, queue: &Queue) -> String {
        format!("{}-{}-", queue.name(), self.run)
    }
}

/// The parts of an id: what was subscribed to, which run of Trackside handed it out, and its number there.
fn parts(id: &str) -> Option<(&str, &str, u64)> {
    let mut parts = id.rsplitn(3, '-');
    let number = parts.next()?.parse().ok()?;
    let run = parts.next().filter(|run| run.len() == 12 && run.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    Some((parts.next()?, run, number))
}

fn bad(detail: String) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, detail)
}

fn unknown_parameter(name: &str, known: &str) -> Problem {
    let name: String = name.chars().take(64).collect();
    bad(format!("there is no parameter `{}` here: there is {known}", name.escape_debug()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_three_parts_whatever_the_name_is() {
        assert_eq!(parts("orders-0123456789ab-7"), Some(("orders", "0123456789ab", 7)));
        assert_eq!(parts("a-b-c-0123456789ab-18"), Some(("a-b-c", "0123456789ab", 18)));
        for id in ["", "7", "orders-7", "orders-xyz-7", "orders-0123456789ab-", "orders-0123456789ab--1"] {
            assert_eq!(parts(id), None, "{id}");
        }
    }

    #[test]
    fn a_verdict_is_one_of_three_words() {
        for (query, want) in [
            ("", Some(Verdict::Taken)),
            ("verdict=ack", Some(Verdict::Taken)),
            ("verdict=retry", Some(Verdict::Again(None))),
            ("verdict=retry&after=5s", Some(Verdict::Again(Some(Duration::from_secs(5))))),
            ("after=9d&verdict=retry", Some(Verdict::Again(Some(MAX_AFTER)))),
            ("verdict=reject", Some(Verdict::Rejected)),
            ("verdict=nack", None),
            ("after=5s", None),
            ("verdict=retry&after=5", None),
            ("x=y", None),
        ] {
            assert_eq!(verdict(query).ok(), want, "{query}");
        }
    }
}
