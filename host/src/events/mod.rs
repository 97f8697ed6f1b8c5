//! CloudEvents 1.0 in the three modes of their bindings to NATS and HTTP, and from each into the others.
//!
//! In binary mode attributes are `ce-` headers, `datacontenttype` is `Content-Type`, and the payload is the data alone. In
//! structured mode the payload is one object of JSON that has all of it, and as a batch a list of such objects. A leaf: it
//! knows messages, and nothing of where they come from or go.

mod attribute;
mod json;

use bytes::Bytes;

use crate::message::Headers;
use crate::rules::EventMode;

pub(crate) use attribute::{PREFIX, decoded};
pub(crate) use json::elements;

/// The media type of one event.
pub(crate) const STRUCTURED: &str = "application/cloudevents+json";

/// The media type of a list of events.
pub(crate) const BATCHED: &str = "application/cloudevents-batch+json";

/// What the media types of events in all formats begin with.
const FAMILY: &str = "application/cloudevents";

/// What every event has.
const REQUIRED: [&str; 4] = ["specversion", "id", "source", "type"];

const VERSION: &str = "1.0";

const CONTENT_TYPE: &str = "Content-Type";

/// What the head of a batch says: no more than what is the same of all that a rule posts to a place, since only what has one
/// head goes together.
const SHARED: [&str; 3] = ["Trackside-Rule", "Trackside-Revision", "Trackside-Diverted-From"];

/// Attributes of an event in a batch that are Trackside's own. By the first, services know what they have taken: whoever made
/// the event cannot say it.
const OWN: [&str; 2] = ["tracksideid", "tracksidesubject"];

/// Why something is not an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// It is something else.
    #[error("this is not a CloudEvent: it is no object of JSON")]
    NotAnObject,
    /// It is something else.
    #[error("this is not a list of CloudEvents in JSON")]
    NotAList,
    /// A required attribute is missing, or empty.
    #[error("this is not a CloudEvent: it has no `{0}`")]
    Missing(&'static str),
    /// The version is another one.
    #[error("this CloudEvent is not of version 1.0")]
    Version,
    /// No attribute can be called so.
    #[error("`{0}` cannot be the name of an attribute of a CloudEvent: names have lower-case letters and digits")]
    Name(String),
    /// Which of them would count?
    #[error("the attribute `{0}` is there twice")]
    Twice(String),
    /// No attribute can have such a value.
    #[error(
        "the attribute `{0}` is neither text, a whole number, true nor false, has control characters, or is too long"
    )]
    Value(String),
    /// Which of them would count?
    #[error("`data` and `data_base64` are both there")]
    DataTwice,
    /// It cannot be decoded.
    #[error("`data_base64` is not Base64")]
    Base64,
    /// A format other than JSON, which is the one that is known here.
    #[error("this CloudEvent is in a format other than JSON")]
    Format,
    /// A list of events where one is needed.
    #[error("this is a batch of {0} CloudEvents, where one is needed")]
    Count(usize),
}

/// An event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    /// All but `datacontenttype`, in their order.
    attributes: Vec<(String, String)>,
    /// `datacontenttype`
    content_type: Option<String>,
    /// Its data.
    payload: Bytes,
}

/// What stands for attributes that every event has where a message has no such header.
#[derive(Debug)]
pub struct Defaults<'m> {
    /// `id`
    pub id: &'m str,
    /// `source`, a URI reference.
    pub source: String,
    /// `type`
    pub kind: &'m str,
    /// `time`, RFC 3339.
    pub time: String,
}

/// Whether a message can be written as an event in this mode.
///
/// # Errors
/// When it says that it is an event and is not, or is several where one is needed.
pub fn check(headers: &Headers, payload: &Bytes, mode: EventMode) -> Result<(), EventError> {
    let texts = match Form::of(headers)? {
        Form::Message => return Event::of_message(headers, payload).map(drop),
        Form::Structured => vec![&payload[..]],
        Form::Batched => list(payload, mode)?,
    };
    texts.into_iter().try_for_each(|text| Event::of_json(payload, text).map(drop))
}

/// The headers and the payload of a message as an event in this mode. One that is no event becomes one, with the defaults
/// for what it lacks; one that is an event already is not wrapped again, and stays as it is if it is in this mode.
///
/// A batch has one head, so what the message's other headers say stays behind: all but the rule and its revision, and the
/// route that it was diverted from. What they would have told a service is in the attributes `tracksideid`,
/// `tracksidesubject`, `traceparent` and `tracestate`.
///
/// # Errors
/// As [`check`].
pub fn converted(
    headers: &Headers,
    payload: &Bytes,
    mode: EventMode,
    defaults: &Defaults<'_>,
) -> Result<(Headers, Bytes), EventError> {
    let texts = match Form::of(headers)? {
        Form::Message => {
            let mut event = Event::of_message(headers, payload)?;
            event.fill(defaults);
            return Ok(event.write(headers, mode, defaults));
        }
        Form::Structured => vec![&payload[..]],
        Form::Batched => list(payload, mode)?,
    };
    let events = texts.iter().map(|text| Event::of_json(payload, text)).collect::<Result<Vec<_>, _>>()?;
    Ok(match mode {
        EventMode::Batched => {
            let extensions = extensions(headers, defaults);
            let whole = texts.iter().zip(events).map(|(text, mut event)| {
                if OWN.iter().all(|name| event.get(name).is_none()) {
                    return json::extended(text, &event, &extensions);
                }
                event.extend(&extensions);
                event.json()
            });
            (head(headers, mode), batch(whole))
        }
        EventMode::Structured => (head(headers, mode), payload.slice_ref(texts[0])),
        EventMode::Binary => {
            let event = events.into_iter().next().ok_or(EventError::Count(0))?;
            event.write(headers, mode, defaults)
        }
    })
}

/// The texts of a batch's events.
fn list(payload: &Bytes, mode: EventMode) -> Result<Vec<&[u8]>, EventError> {
    let texts: Vec<_> = elements(payload)?.into_iter().map(|text| text.get().as_bytes()).collect();
    match texts.len() {
        1 => Ok(texts),
        2.. if mode == EventMode::Batched => Ok(texts),
        count => Err(EventError::Count(count)),
    }
}

/// The headers and the payload of a message, and in binary mode if it is an event in another one.
///
/// # Errors
/// As [`check`].
pub(crate) fn unwrapped(headers: &Headers, payload: &Bytes) -> Result<(Headers, Bytes), EventError> {
    if Form::of(headers)? == Form::Message {
        return Ok((headers.clone(), payload.clone()));
    }
    // An event of another mode is complete, and lacks nothing.
    let defaults = Defaults { id: "", source: String::new(), kind: "", time: String::new() };
    converted(headers, payload, EventMode::Binary, &defaults)
}

/// How a message says that it is an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// By headers, or not at all.
    Message,
    Structured,
    Batched,
}

impl Form {
    fn of(headers: &Headers) -> Result<Self, EventError> {
        let kind = media_type(headers.get(CONTENT_TYPE).unwrap_or_default());
        match kind.as_str() {
            STRUCTURED => Ok(Self::Structured),
            BATCHED => Ok(Self::Batched),
            other if is_event(other) => Err(EventError::Format),
            _ => Ok(Self::Message),
        }
    }
}

impl Event {
    /// The event that a message is in binary mode, as far as it is one.
    fn of_message(headers: &Headers, payload: &Bytes) -> Result<Self, EventError> {
        let mut attributes: Vec<(String, String)> = Vec::new();
        for header in headers {
            let Some(name) = attribute::of_header(&header.name) else { continue };
            if attributes.iter().any(|(known, _)| *known == name) {
                continue;
            }
            let value = attribute::checked(&name, attribute::read(&header.value))?;
            if name == "specversion" && !matches!(value.as_str(), VERSION | "") {
                return Err(EventError::Version);
            }
            attributes.push((name, value));
        }
        let content_type = headers.get(CONTENT_TYPE).map(str::to_owned);
        Ok(Self { attributes, content_type, payload: payload.clone() })
    }

    /// Gives it what it lacks to be an event. One that is complete is left as it is.
    fn fill(&mut self, defaults: &Defaults<'_>) {
        let fallbacks = [
            ("specversion", VERSION),
            ("id", defaults.id),
            ("source", &defaults.source),
            ("type", defaults.kind),
            ("time", &defaults.time),
        ];
        if self.complete().is_ok() {
            return;
        }
        for (name, value) in fallbacks {
            if self.get(name).is_none_or(str::is_empty) {
                self.attributes.retain(|(known, _)| known != name);
                self.attributes.push((name.to_owned(), value.to_owned()));
            }
        }
    }

    /// Whether it has what every event has.
    fn complete(&self) -> Result<(), EventError> {
        for name in REQUIRED {
            let value = self.get(name).filter(|value| !value.is_empty()).ok_or(EventError::Missing(name))?;
            if name == "specversion" && value != VERSION {
                return Err(EventError::Version);
            }
        }
        Ok(())
    }

    /// Gives it these attributes, in place of those that are Trackside's own and beside all others.
    fn extend(&mut self, extensions: &[(&str, String)]) {
        self.attributes.retain(|(name, _)| !OWN.contains(&name.as_str()));
        let lacking = extensions.iter().filter(|(name, _)| self.lacks(name));
        let lacking: Vec<_> = lacking.map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        self.attributes.extend(lacking);
    }

    /// Whether an attribute would say something new: the state of a trace belongs to its `traceparent`.
    fn lacks(&self, name: &str) -> bool {
        self.get(name).is_none() && (name != "tracestate" || self.get("traceparent").is_none())
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// As a message in this mode, whose other headers are these.
    fn write(mut self, headers: &Headers, mode: EventMode, defaults: &Defaults<'_>) -> (Headers, Bytes) {
        let mut head = head(headers, mode);
        match mode {
            EventMode::Structured => (head, self.json().into()),
            EventMode::Batched => {
                self.extend(&extensions(headers, defaults));
                (head, batch([self.json()]))
            }
            EventMode::Binary => {
                let (of_event, payload) = self.into_message();
                for header in &of_event {
                    head.push(header.name.clone(), header.value.as_str());
                }
                (head, payload)
            }
        }
    }

    /// The headers and the payload that it has in binary mode.
    pub(crate) fn into_message(self) -> (Headers, Bytes) {
        let mut headers = Headers::default();
        for (name, value) in &self.attributes {
            headers.push(format!("{PREFIX}{name}"), attribute::encoded(value));
        }
        if let Some(kind) = self.content_type {
            headers.push(CONTENT_TYPE, kind);
        }
        (headers, self.payload)
    }
}

/// Whether headers are those of an event in binary mode; whether it has what every event has.
pub(crate) fn is_binary(headers: &Headers) -> Result<bool, EventError> {
    if !headers.iter().any(|header| header.name.starts_with(PREFIX)) {
        return Ok(false);
    }
    for name in REQUIRED {
        let mut values = headers.iter().filter(|header| header.name.strip_prefix(PREFIX) == Some(name));
        let value = values.next().filter(|header| !header.value.is_empty()).ok_or(EventError::Missing(name))?;
        if values.next().is_some() {
            return Err(EventError::Twice(name.to_owned()));
        }
        if name == "specversion" && value.value != VERSION {
            return Err(EventError::Version);
        }
    }
    Ok(true)
}

/// The headers beside those that an event is written with.
fn head(headers: &Headers, mode: EventMode) -> Headers {
    let mut head = headers.clone();
    head.retain(|header| attribute::of_header(&header.name).is_none() && !is_content_type(&header.name));
    match mode {
        EventMode::Binary => {}
        EventMode::Structured => head.push(CONTENT_TYPE, STRUCTURED),
        EventMode::Batched => {
            head.retain(|header| SHARED.contains(&header.name.as_ref()));
            head.push(CONTENT_TYPE, BATCHED);
        }
    }
    head
}

/// What an event of a batch has as attributes and any other as headers.
fn extensions(headers: &Headers, defaults: &Defaults<'_>) -> Vec<(&'static str, String)> {
    let mut extensions = vec![(OWN[0], defaults.id.to_owned()), (OWN[1], defaults.kind.to_owned())];
    if let Some(parent) = headers.get("traceparent") {
        extensions.push(("traceparent", parent.to_owned()));
        extensions.extend(headers.get("tracestate").map(|state| ("tracestate", state.to_owned())));
    }
    extensions
}

fn batch(events: impl IntoIterator<Item = Vec<u8>>) -> Bytes {
    let mut body = vec![b'['];
    for (index, event) in events.into_iter().enumerate() {
        if index > 0 {
            body.push(b',');
        }
        body.extend_from_slice(&event);
    }
    body.push(b']');
    body.into()
}

/// Batches as one.
pub(crate) fn joined<'b>(batches: impl IntoIterator<Item = &'b Bytes>) -> Bytes {
    batch(batches.into_iter().map(|batch| batch[1..batch.len() - 1].to_vec()))
}

fn is_content_type(name: &str) -> bool {
    name.eq_ignore_ascii_case(CONTENT_TYPE)
}

/// Whether a media type is that of events, in whatever format (NATS binding, 3.1).
pub(crate) fn is_event(media_type: &str) -> bool {
    media_type.starts_with(FAMILY)
}

/// A media type without its parameters, in lower case.
pub(crate) fn media_type(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

#[cfg(test)]
mod tests;
