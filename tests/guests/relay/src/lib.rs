//! A handler by the WASI proposal: it sends what it is given on to the topic that the metadata `To` names, answers who
//! asked, and keeps its client and the message from one call to the next, as handlers do that are not careful.

use std::cell::RefCell;

use exports::wasi::messaging::incoming_handler::{Error, Guest};
use wasi::messaging::types::{Client, Message};
use wasi::messaging::{producer, request_reply};

wit_bindgen::generate!({
    path: "../../../host/wit",
    inline: "
        package tests:relay;

        world relay {
            import wasi:messaging/producer@0.2.0-draft;
            import wasi:messaging/request-reply@0.2.0-draft;
            export wasi:messaging/incoming-handler@0.2.0-draft;
        }
    ",
    world: "tests:relay/relay",
    generate_all,
});

struct Relay;

thread_local! {
    static CLIENT: RefCell<Option<Client>> = const { RefCell::new(None) };
    static LAST: RefCell<Option<Message>> = const { RefCell::new(None) };
}

impl Guest for Relay {
    fn handle(message: Message) -> Result<(), Error> {
        let metadata = message.metadata().unwrap_or_default();
        let value = |name: &str| metadata.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        match value("Do").as_deref() {
            Some("ask") => {
                let client = Client::connect("any")?;
                return request_reply::request(&client, &"who.knows".to_owned(), &message, None).map(|_| ());
            }
            // What it kept belongs to a message that is long done.
            Some("stale") => {
                let stale = LAST.take().is_some_and(|last| !last.data().is_empty());
                return Err(Error::Other(format!("stale {stale}")));
            }
            Some("timeout") => return Err(Error::Timeout),
            _ => {}
        }
        if CLIENT.with_borrow(Option::is_none) {
            CLIENT.set(Some(Client::connect("broker")?));
        }
        if let Some(to) = value("To") {
            let copy = Message::new(&[message.topic().unwrap_or_default().as_bytes(), b": ", &message.data()].concat());
            copy.set_content_type(&message.content_type().unwrap_or_else(|| "text/plain".to_owned()));
            copy.add_metadata("Via", "relay");
            copy.add_metadata("Nats-Msg-Id", "mine");
            CLIENT.with_borrow(|client| producer::send(client.as_ref().expect("it is there"), &to, copy))?;
            request_reply::reply(&message, Message::new(b"relayed"))?;
        }
        LAST.set(Some(message));
        Ok(())
    }
}

export!(Relay);
