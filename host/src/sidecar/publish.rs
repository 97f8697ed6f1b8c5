//! `POST /v1/publish/{subject}`: a message goes through the rules while its sender waits.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, HttpBody};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router, middleware};
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};

use crate::admin::Problem;
use crate::events::{BATCHED, Event, PREFIX, STRUCTURED, is_binary};
use crate::message::{Headers, Message, Subject};
use crate::pipeline::Place;

use super::answer::{Judged, accepted};
use super::call::{Call, bad, subject};
use super::desk::{Desk, Of};
use super::{Sidecar, UnderWay, batch, events, request};

pub(super) fn routes(sidecar: &Sidecar) -> Router<Sidecar> {
    Router::new()
        .route("/v1/publish/{subject}", post(publish))
        .route("/v1/publish", post(batch::publish))
        .route("/v1/request/{subject}", post(request::request))
        .route_layer(middleware::from_fn_with_state(sidecar.clone(), counted))
}

/// A call counts from its head to the end of its answer; none begins while Trackside stops.
async fn counted(State(sidecar): State<Sidecar>, request: Request, next: middleware::Next) -> Response {
    let under_way = match sidecar.begin() {
        Ok(under_way) => under_way,
        Err(problem) => return problem.into_response(),
    };
    // On a task of its own, which goes on if the client hangs up once it has begun: what was taken in is not left half
    // done. A client that hangs up before that may find nothing done.
    let answering =
        tokio::spawn(
            async move { next.run(request).await.map(|body| Body::new(Counted { body, _under_way: under_way })) },
        );
    answering.await.unwrap_or_else(|_| {
        let detail = "Trackside broke off in the middle of this call; its log says why";
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail).into_response()
    })
}

/// The body of an answer. It is dropped when all of it is on its way.
struct Counted {
    body: Body,
    _under_way: UnderWay,
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A message, with its id and its place.
pub(super) struct Incoming {
    pub(super) message: Message,
    pub(super) id: String,
    pub(super) place: Place,
}

/// The subject of a path. A `%` that encodes nothing would stand for itself, in a subject that nobody meant.
pub(super) fn of_path(path: Result<Path<String>, PathRejection>, uri: &Uri) -> Result<Subject, Problem> {
    let encodes = |rest: &str| rest.as_bytes().get(..2).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
    if !uri.path().split('%').skip(1).all(encodes) {
        return Err(bad("the path has a `%` without two hexadecimal digits behind it: a `%` itself is written `%25`"));
    }
    let Path(text) = path.map_err(|_| bad("the subject in the path is not UTF-8"))?;
    subject(&text)
}

async fn publish(
    State(sidecar): State<Sidecar>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Problem> {
    let desk = sidecar.desk()?;
    let subject = of_path(path, request.uri())?;
    let (parts, body) = request.into_parts();
    let mut call = Call::read(&parts, &sidecar.settings)?;
    let (body, place) = call.body(&parts, body, desk, &sidecar.settings).await?;
    if call.media_type == BATCHED {
        drop(place);
        return batch::events(&sidecar, desk, &subject, &call, &body).await;
    }
    let incoming = incoming(desk, &mut call, subject, &body, place)?;
    let Incoming { message, id, place } = incoming;
    let until = (!call.respond_async).then_some(call.until);
    let Some(told) = desk.hand_in(Of::Messages, message, &id, None, place, until)? else {
        let applied = [("preference-applied", HeaderValue::from_static("respond-async"))];
        return Ok((StatusCode::ACCEPTED, applied, Json(accepted(&id))).into_response());
    };
    let reports = told.reports().await?;
    Ok(Judged::new(&id, &reports).into_response())
}

/// The message of a call, an event or not.
pub(super) fn incoming(
    desk: &Desk,
    call: &mut Call,
    subject: Subject,
    body: &Bytes,
    place: Place,
) -> Result<Incoming, Problem> {
    let (mut headers, payload) = (std::mem::take(&mut call.headers), body.clone());
    let (mut headers, payload) = if call.media_type == STRUCTURED {
        let event = Event::of_json(body, body).map_err(|error| bad(error.to_string()))?;
        let (of_event, payload) = event.into_message();
        headers.retain(|header| !header.name.starts_with(PREFIX) && header.name != "Content-Type");
        (joined(headers, &of_event), payload)
    } else {
        (headers, payload)
    };
    let event = is_binary(&headers).map_err(|error| bad(error.to_string()))?;
    events::traced(&mut headers);
    let key = call.key.take().or_else(|| events::key(&headers).filter(|_| event));
    let id = desk.id(&subject, key.as_deref());
    check_size(desk, payload.len())?;
    Ok(Incoming { message: Message { subject, headers, payload }, id, place })
}

/// These headers, and those of an event.
pub(super) fn joined(mut headers: Headers, of_event: &Headers) -> Headers {
    for header in of_event {
        headers.push(header.name.clone(), header.value.as_str());
    }
    headers
}

/// A payload that no output could carry as it is.
pub(super) fn check_size(desk: &Desk, bytes: usize) -> Result<(), Problem> {
    let max = desk.max_payload();
    if bytes > max {
        let detail = format!("the payload has {bytes} bytes, and the NATS server takes {max} (`max_payload`)");
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail));
    }
    Ok(())
}
