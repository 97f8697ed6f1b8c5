//! `POST /v1/request/{subject}`: a message goes through the rules of source `sidecar` to whoever answers it on NATS, and the
//! answer comes back through those of source `sidecar-replies`.

use std::time::SystemTime;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use tokio::time::{Instant, timeout_at};

use crate::admin::Problem;
use crate::backbone::{Awaited, Reply};
use crate::events::{BATCHED, Defaults, EventError, PREFIX, STRUCTURED, converted, media_type, unwrapped};
use crate::message::{Message, Subject, is_reserved};
use crate::outlets::Content;
use crate::pipeline::{Ended, Kept, Part, Report};
use crate::rules::{EventMode, REPLIES_SOURCE};
use crate::times::rfc3339;

use super::accept::Accept;
use super::answer::{Judged, late};
use super::call::{Call, bad};
use super::desk::{Desk, Of};
use super::publish::{Incoming, incoming, of_path};
use super::{RETRY_AFTER, Sidecar, unavailable};

/// The media type of what does not say which it is of.
const UNKNOWN_TYPE: &str = "application/octet-stream";

/// Headers of a reply that the answer has, beside those of CloudEvents and those that `carry-headers` names.
const PASSED_ON: [&str; 3] = ["traceparent", "tracestate", "baggage"];

pub(super) async fn request(
    State(sidecar): State<Sidecar>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Problem> {
    let desk = sidecar.desk()?;
    let subject = of_path(path, request.uri())?;
    let (parts, body) = request.into_parts();
    let mut call = Call::read(&parts, &sidecar.settings)?;
    let accept = Accept::of(&parts.headers);
    if accept.is_hopeless() {
        let detail =
            format!("an event as an answer is `{STRUCTURED}` or `{BATCHED}`, or has its attributes in headers");
        return Err(Problem::new(StatusCode::NOT_ACCEPTABLE, detail));
    }
    if call.respond_async || call.media_type == BATCHED {
        return Err(bad("a request has one answer, and is there to wait for it"));
    }
    // Before anything is asked: an answer that no rule may let through is none.
    if !desk.takes(Of::Replies, &subject) {
        let detail = format!("no rule of source `sidecar-replies` takes `{subject}`, so no answer could come back");
        return Err(Problem::new(StatusCode::NOT_FOUND, detail));
    }
    let (body, place) = call.body(&parts, body, desk, &sidecar.settings).await?;
    let Incoming { message, id, place } = incoming(desk, &mut call, subject.clone(), &body, place)?;
    let mut awaited = desk.await_reply();
    let reply_to = Some(awaited.subject().clone());
    let Some(told) = desk.hand_in(Of::Messages, message, &id, reply_to, place, Some(call.until))? else {
        return Err(late(&id));
    };
    let reports = told.reports().await?;
    let judged = Judged::new(&id, &reports);
    if judged.status != StatusCode::OK {
        return Ok(judged.into_response());
    }
    let asked = match asked(&reports) {
        0 => return Err(nobody_asked(judged, &reports)),
        count => count,
    };
    let reply = first_reply(&mut awaited, asked, call.until, &id).await?;
    let content = through_rules(desk, subject.clone(), reply, &id, call.until).await?;
    let content = acceptable(content, &subject, &accept).map_err(|problem| problem.with("id", id.clone().into()))?;
    Ok(answer(content, &id, &sidecar.settings.carry_headers))
}

/// The answer in the mode that is wanted: in binary mode, unless another one is.
fn acceptable(content: Content, subject: &Subject, accept: &Accept) -> Result<Content, Problem> {
    let Content { message_id, headers, payload } = content;
    let unwrapped = unwrapped(&headers, &payload);
    let broken = unwrapped.is_err();
    let (plain, body) = unwrapped.unwrap_or_else(|_| (headers.clone(), payload.clone()));
    let kind = media_type(plain.get(CONTENT_TYPE.as_str()).unwrap_or(UNKNOWN_TYPE));
    let Some(mode) = accept.choose(&kind, broken) else {
        return Err(unacceptable("it is of a media type that the call does not accept"));
    };
    if mode == EventMode::Binary {
        return Ok(Content { message_id, headers: plain, payload: body });
    }
    let defaults = Defaults {
        id: &message_id,
        source: format!("/trackside/{REPLIES_SOURCE}"),
        kind: subject.as_str(),
        time: rfc3339(SystemTime::now()),
    };
    let (headers, payload) = converted(&headers, &payload, mode, &defaults).map_err(|error| match error {
        EventError::Count(_) => unacceptable(&error.to_string()),
        _ => Problem::new(StatusCode::BAD_GATEWAY, format!("there was an answer, and {error}")),
    })?;
    Ok(Content { message_id, headers, payload })
}

fn unacceptable(why: &str) -> Problem {
    let detail = format!("there was an answer to the request, and the call does not accept it: {why}");
    Problem::new(StatusCode::NOT_ACCEPTABLE, detail)
}

/// How many outputs went to where somebody may answer: to subjects that no stream stores.
fn asked(reports: &[Report]) -> usize {
    let parts = reports.iter().filter_map(|report| match &report.ended {
        Ended::Done(parts) => Some(parts),
        _ => None,
    });
    parts.flatten().filter(|part| matches!(part, Part::Sent { kept: Kept::Flushed, .. })).count()
}

/// Why nobody can answer.
fn nobody_asked(judged: Judged, reports: &[Report]) -> Problem {
    let sent = |report: &Report| match &report.ended {
        Ended::Done(parts) => parts.iter().any(|part| matches!(part, Part::Sent { .. })),
        _ => false,
    };
    if reports.iter().any(sent) {
        let detail = "the rules sent the request to streams or services alone, which answer nothing: a request needs a route \
                      to a subject that no stream stores";
        return judged.problem(StatusCode::INTERNAL_SERVER_ERROR, detail);
    }
    judged.problem(StatusCode::UNPROCESSABLE_ENTITY, "the rules dropped the request")
}

async fn first_reply(awaited: &mut Awaited, asked: usize, until: Instant, id: &str) -> Result<Message, Problem> {
    let mut unheard = 0;
    loop {
        match timeout_at(until, awaited.next()).await {
            Ok(Some(Reply::Message(message))) => return Ok(message),
            Ok(Some(Reply::NoResponders)) => {
                unheard += 1;
                if unheard >= asked {
                    let detail = "nobody listens to what the request was published to";
                    return Err(unavailable(detail, RETRY_AFTER).with("id", id.into()));
                }
            }
            Ok(None) => return Err(unavailable("the connection to NATS is closed", RETRY_AFTER)),
            Err(_) => {
                let detail = "there was no answer in the call's time; whether the request was acted upon is not known";
                return Err(Problem::new(StatusCode::GATEWAY_TIMEOUT, detail).with("id", id.into()));
            }
        }
    }
}

/// What the rules make of a reply.
async fn through_rules(
    desk: &Desk,
    subject: Subject,
    reply: Message,
    id: &str,
    until: Instant,
) -> Result<Content, Problem> {
    let Message { mut headers, payload, .. } = reply;
    headers.retain(|header| !is_reserved(&header.name));
    let Ok(place) = timeout_at(until, desk.enter_reply(payload.len())).await else { return Err(late(id)) };
    let (message, of_reply) = (Message { subject, headers, payload }, format!("{id}:reply"));
    let Some(told) = desk.hand_in(Of::Replies, message, &of_reply, None, place, Some(until))? else {
        return Err(late(id));
    };
    let reports = told.reports().await?;
    let judged = Judged::new(id, &reports);
    match judged.status {
        StatusCode::OK => {}
        StatusCode::GATEWAY_TIMEOUT => return Err(late(id)),
        // The caller has done nothing wrong: what was answered is not what may come back.
        _ => {
            return Err(
                judged.problem(StatusCode::BAD_GATEWAY, "there was an answer, and its rules did not let it through")
            );
        }
    }
    let parts = reports.into_iter().filter_map(|report| match report.ended {
        Ended::Done(parts) => Some(parts),
        _ => None,
    });
    let answer = parts.flatten().find_map(|part| match part {
        Part::Answer(content) => Some(*content),
        _ => None,
    });
    answer.ok_or_else(|| judged.problem(StatusCode::BAD_GATEWAY, "there was an answer, and its rules led it elsewhere"))
}

fn answer(content: Content, id: &str, carry: &[String]) -> Response {
    let Content { headers, payload, .. } = content;
    let mut response = payload.into_response();
    let map = response.headers_mut();
    map.insert(CONTENT_TYPE, HeaderValue::from_static(UNKNOWN_TYPE));
    for header in &headers {
        let lower = header.name.to_ascii_lowercase();
        let passed = lower.starts_with(PREFIX)
            || PASSED_ON.contains(&lower.as_str())
            || carry.iter().any(|name| name.eq_ignore_ascii_case(&lower));
        let (name, value) = (HeaderName::try_from(&lower), HeaderValue::try_from(&header.value));
        let (Ok(name), Ok(value)) = (name, value) else { continue };
        if name == CONTENT_TYPE {
            map.insert(name, value);
        } else if passed {
            map.append(name, value);
        }
    }
    if let Ok(id) = HeaderValue::try_from(id) {
        map.insert("trackside-id", id);
    }
    response
}
