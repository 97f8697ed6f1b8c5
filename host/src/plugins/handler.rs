//! A handler as others have it, made a stage: it is given the message, and what it publishes is its verdict.
//!
//! | the handler | the verdict |
//! | --- | --- |
//! | publishes | what it published, in the message's place |
//! | publishes nothing | *drop*: on a message bus, a handler that publishes nothing has consumed the message |
//! | returns an error | *retry*: on a message bus, a message whose handler failed is delivered again |

use wasmtime::Store;

use super::bindings::offered::wasi::messaging::types::Error;
use super::bindings::offered::wasmcloud::messaging::types::BrokerMessage;
use super::exports::Exports;
use super::guest::Guest;
use super::host::messaging::REPLY_ROUTE;
use super::verdict::Verdict;

/// Hands a handler the message that is being handled: its verdict, or why it wants the message again.
pub(super) fn handle(exports: &Exports, store: &mut Store<Guest>) -> wasmtime::Result<Result<Verdict, String>> {
    let handled = match exports {
        Exports::Wasmcloud(handler) => {
            let message = broker_message(store.data_mut())?;
            handler.wasmcloud_messaging_handler().call_handle_message(&mut *store, &message)?
        }
        Exports::Wasi(handler) => {
            let message = store.data_mut().draft_of_message();
            let handled = handler.wasi_messaging_incoming_handler().call_handle(&mut *store, message)?;
            handled.map_err(|error| match error {
                Error::Timeout => "it ran into a timeout".to_owned(),
                Error::Connection(reason) | Error::PermissionDenied(reason) | Error::Other(reason) => reason,
            })
        }
        Exports::Stage(_) => wasmtime::bail!("a stage is no handler"),
    };
    let published = store.data_mut().take_published();
    Ok(handled.map(|()| match published.is_empty() {
        true => Verdict::Drop("the handler published nothing".to_owned()),
        false => Verdict::Publish(published),
    }))
}

/// The message as wasmCloud has it. Its reply subject is the route for answers, if the rule declares that.
fn broker_message(guest: &mut Guest) -> wasmtime::Result<BrokerMessage> {
    let reply_to = guest.answers().then(|| REPLY_ROUTE.to_owned());
    let (subject, body) = (guest.message().subject.as_str().to_owned(), guest.message().payload.to_vec());
    guest.budget.bytes(subject.len() + body.len())?;
    Ok(BrokerMessage { subject, body, reply_to })
}
