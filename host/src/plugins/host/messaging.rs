//! `wasi:messaging`: messages as resources, and sending them. What a handler sends is kept until it is done, and then
//! is its verdict.

use std::collections::BTreeMap;

use bytes::Bytes;
use wasmtime::component::Resource;

use crate::message::{HeaderError, Headers};

use super::super::bindings::offered::wasi::messaging::{producer, request_reply, types};
use super::super::guest::Guest;
use super::super::verdict::Fault;

type Error = types::Error;

/// The route that answers take, if the rule declares it.
pub(in crate::plugins) const REPLY_ROUTE: &str = "reply";

/// What is said to a handler that wants an answer.
pub(super) const NO_REQUESTS: &str =
    "requests cannot be made here: a stage decides about one message. Publish to a route of the rule instead";

const CONTENT_TYPE: &str = "Content-Type";

/// A connection, of which there is one.
#[derive(Debug)]
#[allow(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Client;

/// Options of requests, which cannot be made.
#[derive(Debug)]
#[allow(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct RequestOptions;

/// A message that is being read or written.
#[derive(Debug, Default)]
#[allow(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Draft {
    /// The subject of the message that is being handled; none for one that the guest has made.
    subject: Option<String>,
    data: Bytes,
    headers: Headers,
}

/// The messages that handles stand for, by numbers that are not used twice: a handle from an earlier call stands for
/// nothing any more, and cannot be taken for another.
#[derive(Debug, Default)]
pub(in crate::plugins) struct Drafts {
    drafts: BTreeMap<u32, Draft>,
    next: u32,
}

impl Drafts {
    /// Forgets those of the call before, which a guest may have kept.
    pub(in crate::plugins) fn clear(&mut self) {
        self.drafts.clear();
    }

    fn push(&mut self, draft: Draft) -> Resource<Draft> {
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        self.drafts.insert(number, draft);
        Resource::new_own(number)
    }

    fn take(&mut self, handle: &Resource<Draft>) -> Result<Draft, Fault> {
        self.drafts.remove(&handle.rep()).ok_or_else(stale)
    }
}

fn stale() -> Fault {
    Fault::Trap { message: "it used a message that it was given, or has made, in an earlier call".to_owned() }
}

impl types::Host for Guest {}

impl producer::Host for Guest {
    fn send(
        &mut self,
        _client: Resource<Client>,
        topic: String,
        message: Resource<Draft>,
    ) -> wasmtime::Result<Result<(), Error>> {
        self.in_handle("wasi:messaging/producer.send")?;
        let Draft { data, headers, .. } = self.drafts.take(&message)?;
        self.budget.bytes(topic.len())?;
        self.publish_to(topic, data, Some(headers));
        Ok(Ok(()))
    }
}

impl request_reply::Host for Guest {
    fn request(
        &mut self,
        _client: Resource<Client>,
        _topic: String,
        _message: Resource<Draft>,
        _options: Option<Resource<RequestOptions>>,
    ) -> wasmtime::Result<Result<Vec<Resource<Draft>>, Error>> {
        self.budget.call()?;
        Ok(Err(Error::Other(NO_REQUESTS.to_owned())))
    }

    fn reply(&mut self, _reply_to: Resource<Draft>, message: Resource<Draft>) -> wasmtime::Result<Result<(), Error>> {
        self.in_handle("wasi:messaging/request-reply.reply")?;
        let Draft { data, headers, .. } = self.drafts.take(&message)?;
        if !self.answers() {
            let sentence = format!("there is nobody to reply to: the rule declares no route `{REPLY_ROUTE}`");
            return Ok(Err(Error::PermissionDenied(sentence)));
        }
        self.publish_to(REPLY_ROUTE.to_owned(), data, Some(headers));
        Ok(Ok(()))
    }
}

impl request_reply::HostRequestOptions for Guest {
    fn new(&mut self) -> wasmtime::Result<Resource<RequestOptions>> {
        self.budget.call()?;
        Ok(Resource::new_own(0))
    }

    fn set_timeout_ms(&mut self, _options: Resource<RequestOptions>, _millis: u32) -> wasmtime::Result<()> {
        Ok(self.budget.call()?)
    }

    fn set_expected_replies(&mut self, _options: Resource<RequestOptions>, _replies: u32) -> wasmtime::Result<()> {
        Ok(self.budget.call()?)
    }

    fn drop(&mut self, _options: Resource<RequestOptions>) -> wasmtime::Result<()> {
        Ok(())
    }
}

impl types::HostClient for Guest {
    /// Whatever a client is called, it leads to the routes of the rule.
    fn connect(&mut self, _name: String) -> wasmtime::Result<Result<Resource<Client>, Error>> {
        self.budget.call()?;
        Ok(Ok(Resource::new_own(0)))
    }

    fn disconnect(&mut self, _client: Resource<Client>) -> wasmtime::Result<Result<(), Error>> {
        self.budget.call()?;
        Ok(Ok(()))
    }

    fn drop(&mut self, _client: Resource<Client>) -> wasmtime::Result<()> {
        Ok(())
    }
}

impl types::HostMessage for Guest {
    fn new(&mut self, data: Vec<u8>) -> wasmtime::Result<Resource<Draft>> {
        self.budget.call()?;
        self.budget.bytes(data.len())?;
        Ok(self.drafts.push(Draft { data: data.into(), ..Draft::default() }))
    }

    fn topic(&mut self, message: Resource<Draft>) -> wasmtime::Result<Option<String>> {
        let subject = self.draft(&message)?.subject.clone();
        self.budget.bytes(subject.as_ref().map_or(0, String::len))?;
        Ok(subject)
    }

    fn content_type(&mut self, message: Resource<Draft>) -> wasmtime::Result<Option<String>> {
        let value = self.draft(&message)?.headers.get(CONTENT_TYPE).map(str::to_owned);
        self.budget.bytes(value.as_ref().map_or(0, String::len))?;
        Ok(value)
    }

    fn set_content_type(&mut self, message: Resource<Draft>, value: String) -> wasmtime::Result<()> {
        self.budget.bytes(value.len())?;
        edited(self.draft(&message)?.headers.set_by_plugin(CONTENT_TYPE, &value))
    }

    fn data(&mut self, message: Resource<Draft>) -> wasmtime::Result<Vec<u8>> {
        let data = self.draft(&message)?.data.clone();
        self.budget.bytes(data.len())?;
        Ok(data.to_vec())
    }

    fn set_data(&mut self, message: Resource<Draft>, data: Vec<u8>) -> wasmtime::Result<()> {
        self.budget.bytes(data.len())?;
        self.draft(&message)?.data = data.into();
        Ok(())
    }

    fn metadata(&mut self, message: Resource<Draft>) -> wasmtime::Result<Option<Vec<(String, String)>>> {
        let headers = self.draft(&message)?.headers.clone();
        self.budget.bytes(headers.byte_len())?;
        Ok(Some(headers.iter().map(|header| (header.name.to_string(), header.value.clone())).collect()))
    }

    fn add_metadata(&mut self, message: Resource<Draft>, key: String, value: String) -> wasmtime::Result<()> {
        self.budget.bytes(key.len() + value.len())?;
        edited(self.draft(&message)?.headers.set_by_plugin(&key, &value))
    }

    fn set_metadata(&mut self, message: Resource<Draft>, metadata: Vec<(String, String)>) -> wasmtime::Result<()> {
        self.budget.bytes(metadata.iter().map(|(key, value)| key.len() + value.len()).sum())?;
        let mut headers = Headers::default();
        for (key, value) in metadata {
            // As if they were added one by one: each is kept, and takes more room than its text.
            self.budget.call()?;
            edited(headers.append_by_plugin(&key, &value))?;
        }
        self.draft(&message)?.headers = headers;
        Ok(())
    }

    fn remove_metadata(&mut self, message: Resource<Draft>, key: String) -> wasmtime::Result<()> {
        self.budget.bytes(key.len())?;
        self.draft(&message)?.headers.remove(&key);
        Ok(())
    }

    /// One of an earlier call is gone already: language runtimes drop late.
    fn drop(&mut self, message: Resource<Draft>) -> wasmtime::Result<()> {
        self.drafts.drafts.remove(&message.rep());
        Ok(())
    }
}

impl Guest {
    /// Whether the rule has a place for answers.
    pub(in crate::plugins) fn answers(&self) -> bool {
        self.settings.routes.iter().any(|route| route == REPLY_ROUTE)
    }

    /// The message that is being handled, as a resource that the guest owns.
    pub(in crate::plugins) fn draft_of_message(&mut self) -> Resource<Draft> {
        let message = self.message();
        let draft = Draft {
            subject: Some(message.subject.as_str().to_owned()),
            data: message.payload.clone(),
            headers: message.headers.clone(),
        };
        self.drafts.push(draft)
    }

    /// Pays for a call, and finds the message that it is about.
    fn draft(&mut self, message: &Resource<Draft>) -> Result<&mut Draft, Fault> {
        self.budget.call()?;
        self.drafts.drafts.get_mut(&message.rep()).ok_or_else(stale)
    }
}

/// Headers with reserved names are left out: a handler that hands on the metadata it was given has them without meaning
/// to. The interface has no way to refuse others, so that they cannot be sent ends the call.
fn edited(edited: Result<(), HeaderError>) -> wasmtime::Result<()> {
    match edited {
        Ok(()) | Err(HeaderError::Reserved) => Ok(()),
        Err(error) => Err(Fault::Verdict { reason: error.to_string() }.into()),
    }
}
