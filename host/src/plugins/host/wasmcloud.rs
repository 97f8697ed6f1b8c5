//! `wasmcloud:messaging/consumer`: what a handler publishes is kept until it is done, and then is its verdict.

use bytes::Bytes;

use super::super::bindings::offered::wasmcloud::messaging::consumer;
use super::super::bindings::offered::wasmcloud::messaging::types::{self, BrokerMessage};
use super::super::guest::Guest;
use super::messaging::{NO_REQUESTS, REPLY_ROUTE};

/// What is said to a handler that wants answers to what it publishes.
const NO_REPLY_TO: &str = "a reply subject cannot be chosen here: the one of the message is carried along by itself";

impl types::Host for Guest {}

impl consumer::Host for Guest {
    fn request(
        &mut self,
        _subject: String,
        _body: Vec<u8>,
        _timeout_ms: u32,
    ) -> wasmtime::Result<Result<BrokerMessage, String>> {
        self.budget.call()?;
        Ok(Err(NO_REQUESTS.to_owned()))
    }

    fn publish(&mut self, message: BrokerMessage) -> wasmtime::Result<Result<(), String>> {
        self.in_handle("wasmcloud:messaging/consumer.publish")?;
        let BrokerMessage { subject, body, reply_to } = message;
        if reply_to.is_some_and(|reply_to| reply_to != REPLY_ROUTE) {
            return Ok(Err(NO_REPLY_TO.to_owned()));
        }
        // It cannot see the headers, so they stay as they are, once more for each message that it publishes.
        let headers = self.message().headers.copy_len();
        self.budget.bytes(subject.len() + body.len() + headers)?;
        self.publish_to(subject, Bytes::from(body), None);
        Ok(Ok(()))
    }
}
