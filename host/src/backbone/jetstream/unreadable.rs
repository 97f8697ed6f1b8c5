//! Messages that the client cannot read. It loses the connection over headers that it cannot parse, tells nobody why, and is
//! sent the same message again, for ever. So when a source is opened, and each time that its connection was lost, what is
//! not acknowledged is looked at by the JetStream API, whose answers have headers in Base64.

use std::sync::Arc;

use async_nats::jetstream::consumer::Info;
use async_nats::{HeaderName, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::super::held;
use super::super::wire::{JetStreamError, Wire};
use crate::message::SubjectPattern;

/// Messages that are looked at: the first that are not acknowledged. One that is never read becomes the first in time.
const MAX_LOOKS: usize = 256;
/// The same in bytes, as they come.
const MAX_BYTES: usize = 8 << 20;

/// Looks for such messages among those that a consumer has delivered, and tells of each in the log.
pub(super) async fn look(wire: Arc<Wire>, stream: String, durable: String, filters: Vec<SubjectPattern>) {
    if let Err(error) = look_among(&wire, &stream, &durable, &filters).await {
        tracing::debug!(stream, consumer = durable, %error, "cannot look for messages that the NATS client cannot read");
    }
}

async fn look_among(
    wire: &Wire,
    stream: &str,
    durable: &str,
    filters: &[SubjectPattern],
) -> Result<(), JetStreamError> {
    let info: Info = wire.ask(format!("CONSUMER.INFO.{stream}.{durable}")).await?;
    if info.num_ack_pending == 0 {
        return Ok(());
    }
    let everything = SubjectPattern::everything();
    let pattern = match filters {
        [one] => one,
        _ => &everything,
    };
    let (mut next, mut bytes) = (info.ack_floor.stream_sequence + 1, 0);
    for _ in 0..MAX_LOOKS {
        let request = json!({ "seq": next, "next_by_subj": pattern.as_str() });
        let Some(message) = held::raw(wire, stream, &request).await? else { return Ok(()) };
        bytes += message.hdrs.len() + message.data.len();
        if message.seq > info.delivered.stream_sequence || bytes > MAX_BYTES {
            return Ok(());
        }
        let sequence = message.seq;
        next = sequence + 1;
        let ours = filters.is_empty() || filters.iter().any(|filter| filter.matches(&message.subject));
        let headers = STANDARD.decode(message.hdrs).unwrap_or_default();
        if ours && let Some(why) = fault(&headers) {
            tracing::error!(
                stream,
                consumer = durable,
                sequence,
                why,
                "the NATS client cannot read the headers of a message, and loses the connection whenever it is delivered: \
                 look at it by `nats stream get {stream} {sequence}`, and delete it by `nats stream rmm {stream} {sequence}`"
            );
        }
    }
    Ok(())
}

/// Why the client cannot read these headers, in words that show nothing of them. It goes over them as the client does.
fn fault(wire: &[u8]) -> Option<&'static str> {
    if wire.is_empty() {
        return None;
    }
    let Ok(text) = std::str::from_utf8(wire) else { return Some("they are not UTF-8") };
    let mut lines = text.lines().peekable();
    let Some(status) = lines.next().and_then(|line| line.strip_prefix("NATS/1.0")) else {
        return Some("they do not begin with `NATS/1.0`");
    };
    let status = status.trim().split(' ').next().unwrap_or_default();
    if !status.is_empty() && status.parse::<StatusCode>().is_err() {
        return Some("their status is no number of three digits");
    }
    while let Some(line) = lines.next() {
        if line.is_empty() {
            continue;
        }
        let Some((name, value)) = line.split_once(':') else { return Some("a line has no colon") };
        if name.parse::<HeaderName>().is_err() {
            return Some("a name has white space in it, or what is not ASCII");
        }
        let mut value = value.to_owned();
        while let Some(folded) = lines.next_if(|line| line.starts_with(char::is_whitespace)) {
            value.push_str(folded);
        }
        if value.trim().contains('\r') {
            return Some("a value has a carriage return in it");
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_client_reads_has_no_fault_and_what_it_does_not_is_said_without_showing_it() {
        for fine in [
            "",
            "NATS/1.0\r\n\r\n",
            "NATS/1.0 100 Idle\r\nA:b\r\n\r\n",
            "NATS/1.0\r\nA: b\r\n c\r\n: d\r\nUmlaut: \u{e4}\r\n\r\n",
        ] {
            assert_eq!(fault(fine.as_bytes()), None, "{fine:?}");
        }
        for (headers, why) in [
            (b"NATS/1.0\r\nA: \xe4\r\n\r\n".as_slice(), "not UTF-8"),
            (b"HTTP/1.1\r\nA: b\r\n\r\n", "do not begin"),
            (b"NATS/1.0 many\r\n\r\n", "status"),
            (b"NATS/1.0\r\nA: b\r\nno-colon\r\n\r\n", "no colon"),
            (b"NATS/1.0\r\nA b: c\r\n\r\n", "white space"),
            ("NATS/1.0\r\n\u{e4}: c\r\n\r\n".as_bytes(), "ASCII"),
            (b"NATS/1.0\r\nA: b\rc\r\n\r\n", "carriage return"),
        ] {
            assert!(fault(headers).is_some_and(|said| said.contains(why)), "{headers:?}: {:?}", fault(headers));
        }
    }
}
