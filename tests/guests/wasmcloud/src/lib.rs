//! A handler as one writes it for wasmCloud: it tells two subjects of each message and answers who asked. It knows
//! nothing of Trackside.

use wasmcloud_component::wasi::config::store as config;
use wasmcloud_component::wasi::logging::logging::{Level, log};
use wasmcloud_component::wasmcloud::messaging::consumer;
use wasmcloud_component::wasmcloud::messaging::types::BrokerMessage as Outgoing;

use exports::wasmcloud::messaging::handler::{BrokerMessage, Guest};

wit_bindgen::generate!({ world: "bell", generate_all });

struct Bell;

impl Guest for Bell {
    fn handle_message(message: BrokerMessage) -> Result<(), String> {
        let BrokerMessage { subject, body, reply_to } = message;
        log(Level::Info, "bell", &format!("{} bytes from {subject}", body.len()));
        match body.as_slice() {
            b"silence" => return Ok(()),
            b"fail" => return Err("the bell is broken".to_owned()),
            b"ask" => {
                return consumer::request("who.knows", b"?", 100).map(|_| ());
            }
            _ => {}
        }
        let publish = |subject: &str, body: Vec<u8>| {
            consumer::publish(&Outgoing { subject: subject.to_owned(), body, reply_to: None })
        };
        let rung = [b"ring: ", body.as_slice()].concat();
        let targets = config::get("targets").map_err(|error| format!("no configuration: {error:?}"))?;
        for target in targets.as_deref().unwrap_or("bell.rung").split(',') {
            publish(target, rung.clone())?;
        }
        if let Some(reply_to) = reply_to {
            publish(&reply_to, b"heard".to_vec())?;
        }
        Ok(())
    }
}

export!(Bell);
