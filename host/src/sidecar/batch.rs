//! Several messages in one call, each with an outcome of its own: `POST /v1/publish` with JSON, and batches of CloudEvents.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::admin::Problem;
use crate::events::{Event, PREFIX, elements, is_binary};
use crate::message::{Headers, Message, Subject, is_reserved};

use super::answer::{Judged, accepted};
use super::call::{Call, bad, check_key, crowded, spelling, subject};
use super::desk::{Desk, Of};
use super::publish::{check_size, joined};
use super::{Sidecar, events};

/// Media types of one message a line.
const LINES: [&str; 3] = ["application/x-ndjson", "application/jsonl", "application/json-lines"];

/// One message of a batch.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Element<'b> {
    subject: String,
    /// What the sender calls it, as `Idempotency-Key`.
    id: Option<String>,
    #[serde(default)]
    headers: Map<String, Value>,
    /// JSON, taken as it is written.
    #[serde(borrow)]
    data: Option<&'b RawValue>,
    /// Anything else.
    data_base64: Option<String>,
}

/// A message that is ready to be handed in, or why it is not.
type Ready = Result<(Message, String), Problem>;

pub(super) async fn publish(State(sidecar): State<Sidecar>, request: Request) -> Result<Response, Problem> {
    let desk = sidecar.desk()?;
    let (parts, body) = request.into_parts();
    let call = Call::read(&parts, &sidecar.settings)?;
    if call.key.is_some() {
        return Err(bad("a batch has no Idempotency-Key: each of its messages may have an `id`"));
    }
    let lines = LINES.contains(&call.media_type.as_str());
    if !lines && call.media_type != "application/json" {
        let detail = "a batch is `application/json`, a list, or `application/x-ndjson`, one message a line; events and single \
                      messages go to /v1/publish/SUBJECT";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
    }
    let (body, place) = call.body(&parts, body, desk, &sidecar.settings).await?;
    drop(place);
    let texts: Vec<&[u8]> = if lines {
        body.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty()).collect()
    } else {
        let elements: Vec<&RawValue> =
            serde_json::from_slice(&body).map_err(|_| bad("the body is not a list in JSON"))?;
        elements.into_iter().map(|element| element.get().as_bytes()).collect()
    };
    let carry = &sidecar.settings.carry_headers;
    let ready = |text: &&[u8]| element(desk, &call, carry, &body, text);
    hand_in(&sidecar, desk, &call, &texts, ready).await
}

/// A batch of CloudEvents, all to one subject.
pub(super) async fn events(
    sidecar: &Sidecar,
    desk: &Desk,
    subject: &Subject,
    call: &Call,
    body: &Bytes,
) -> Result<Response, Problem> {
    if call.key.is_some() {
        return Err(bad("a batch has no Idempotency-Key: events have ids of their own"));
    }
    let elements = elements(body).map_err(|error| bad(error.to_string()))?;
    let ready = |element: &&RawValue| {
        let event = Event::of_json(body, element.get().as_bytes()).map_err(|error| bad(error.to_string()))?;
        let (of_event, payload) = event.into_message();
        check_size(desk, payload.len())?;
        let id = desk.id(subject, events::key(&of_event).as_deref());
        let mut headers = joined(shared(call), &of_event);
        events::traced(&mut headers);
        Ok((Message { subject: subject.clone(), headers, payload }, id))
    };
    hand_in(sidecar, desk, call, &elements, ready).await
}

/// Hands all of them in, in their order, and waits for what becomes of them.
async fn hand_in<T>(
    sidecar: &Sidecar,
    desk: &Desk,
    call: &Call,
    elements: &[T],
    ready: impl Fn(&T) -> Ready,
) -> Result<Response, Problem> {
    let most = sidecar.settings.max_batch_messages;
    if elements.len() > most {
        let detail =
            format!("the batch has {} messages, more than {most} (`[sidecar] max-batch-messages`)", elements.len());
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail));
    }
    let mut outcomes = vec![Value::Null; elements.len()];
    let mut under_way = FuturesUnordered::new();
    for (index, element) in elements.iter().enumerate() {
        let (message, id) = match ready(element) {
            Ok(ready) => ready,
            Err(problem) => {
                outcomes[index] = problem.element();
                continue;
            }
        };
        // Where there is no room, the batch waits for its own messages; others' are no reason to wait.
        let place = loop {
            if let Some(place) = desk.try_enter(message.payload.len()) {
                break Some(place);
            }
            match under_way.next().await {
                Some((index, outcome)) => outcomes[index] = outcome,
                None => break None,
            }
        };
        let Some(place) = place else {
            outcomes[index] = crowded().element();
            continue;
        };
        let until = (!call.respond_async).then_some(call.until);
        match desk.hand_in(Of::Messages, message, &id, None, place, until) {
            Ok(Some(told)) => under_way.push(async move {
                let outcome = match told.reports().await {
                    Ok(reports) => Judged::new(&id, &reports).element(),
                    Err(problem) => problem.element(),
                };
                (index, outcome)
            }),
            Ok(None) => outcomes[index] = accepted(&id),
            Err(problem) => outcomes[index] = problem.element(),
        }
    }
    while let Some((index, outcome)) = under_way.next().await {
        outcomes[index] = outcome;
    }
    Ok(Json(json!({ "messages": outcomes })).into_response())
}

fn element(desk: &Desk, call: &Call, carry: &[String], body: &Bytes, text: &[u8]) -> Ready {
    let element: Element<'_> = serde_json::from_slice(text).map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        bad(format!(
            "not a message with `subject`, and perhaps `id`, `headers`, and `data` or `data-base64`: see {place} of it"
        ))
    })?;
    let subject = subject(&element.subject)?;
    if let Some(id) = &element.id {
        check_key(id).map_err(|()| bad("`id` has what no Idempotency-Key has, see there"))?;
    }
    let payload = match (element.data, element.data_base64) {
        (Some(_), Some(_)) => return Err(bad("`data` and `data-base64` are both there")),
        (Some(data), None) => body.slice_ref(data.get().as_bytes()),
        (None, Some(text)) => STANDARD.decode(text).map_err(|_| bad("`data-base64` is not Base64"))?.into(),
        (None, None) => Bytes::new(),
    };
    check_size(desk, payload.len())?;
    let mut headers = shared(call);
    for (name, value) in &element.headers {
        // What is carried is what a call of its own would have carried; a reserved name is refused below.
        let reserved = is_reserved(name).then(|| name.clone());
        let Some(name) = reserved.or_else(|| spelling(name, carry)) else { continue };
        let values = match value {
            Value::Array(values) => values.as_slice(),
            single => std::slice::from_ref(single),
        };
        for value in values {
            let value = value.as_str().ok_or_else(|| bad("the value of a header is a text, or a list of texts"))?;
            headers.append_by_plugin(&name, value).map_err(|error| bad(error.to_string()))?;
        }
    }
    is_binary(&headers).map_err(|error| bad(error.to_string()))?;
    events::traced(&mut headers);
    let id = desk.id(&subject, element.id.as_deref());
    Ok((Message { subject, headers, payload }, id))
}

/// What the call's headers say about each message: all but what describes the batch.
fn shared(call: &Call) -> Headers {
    let mut headers = call.headers.clone();
    headers.retain(|header| header.name != "Content-Type" && !header.name.starts_with(PREFIX));
    headers
}
