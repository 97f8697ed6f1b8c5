//! Dead letters: the original message, and why it could not be delivered.

use std::time::SystemTime;

use bytes::Bytes;

use crate::backbone::Outgoing;
use crate::message::{Header, Headers, Message, Origin, Subject, is_reserved};
use crate::names::SourceName;
use crate::plan::{Plan, RulePlan};
use crate::rules::{Confirm, Template};
use crate::sealing;
use crate::times::{rfc3339, rfc3339_ms};

use super::outcome::Failure;

/// The last token of a dead letter's subject if its template cannot be filled in.
const UNROUTED: &str = "unrouted";

/// The names of a dead letter's headers, for who writes them and who reads them. All stay readable in a letter that is
/// encrypted.
pub mod header {
    /// Prefix under which a letter keeps those of the original's headers that have a meaning to the server.
    pub const KEPT_PREFIX: &str = "Trackside-Dead-Header-";
    /// The rule that gave the message up.
    pub const RULE: &str = "Trackside-Rule";
    /// The revision that the rule was of.
    pub const REVISION: &str = "Trackside-Revision";
    /// The origin's id, of which the ids of outputs and letters are made.
    pub const ID: &str = "Trackside-Dead-Id";
    /// The message's own time.
    pub const TIME: &str = "Trackside-Dead-Time";
    /// The source by its name in the configuration.
    pub const SOURCE: &str = "Trackside-Dead-Source";
    /// The stream of the original; only of a JetStream source, as the next one.
    pub const STREAM: &str = "Trackside-Dead-Stream";
    /// The original's sequence in that stream.
    pub const SEQUENCE: &str = "Trackside-Dead-Sequence";
    /// The original's subject.
    pub const SUBJECT: &str = "Trackside-Dead-Subject";
    /// The plugin whose stage failed, if one did; the next one then is there too.
    pub const STAGE: &str = "Trackside-Dead-Stage";
    /// `sha256:` and the digest of the plugin's component.
    pub const PLUGIN_DIGEST: &str = "Trackside-Dead-Plugin-Digest";
    /// What kind of failure it is; see [`FailureClass`](super::super::FailureClass).
    pub const CLASS: &str = "Trackside-Dead-Class";
    /// Why, in a sentence that shows nothing of the payload.
    pub const REASON: &str = "Trackside-Dead-Reason";
    /// How often the message was tried.
    pub const TRIES: &str = "Trackside-Dead-Tries";
    /// When it was tried first.
    pub const FIRST_TIME: &str = "Trackside-Dead-First-Time";
    /// When it was tried last.
    pub const LAST_TIME: &str = "Trackside-Dead-Last-Time";
    /// How original headers and payload are encrypted, if they are; the next one then is there too.
    pub const ENCRYPTED: &str = "Trackside-Dead-Encrypted";
    /// The id of the key they are encrypted with.
    pub const KEY: &str = "Trackside-Dead-Key";
    /// How long the payload was that made the letter too large, and is not in it.
    pub const PAYLOAD_OMITTED: &str = "Trackside-Dead-Payload-Omitted";
    /// Instead of the original's headers: how many there were.
    pub const HEADERS_OMITTED: &str = "Trackside-Dead-Headers-Omitted";
    /// On what a replay made: the sequence of the letter that was replayed.
    pub const REPLAYED: &str = "Trackside-Replayed";
}

/// How often a message was tried, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tries {
    /// How often, this time included.
    pub count: u32,
    /// The first time.
    pub first: SystemTime,
    /// The last time.
    pub last: SystemTime,
}

/// The dead letter of a message that a rule could not deliver: the original payload and headers, and `Trackside-Dead-*`
/// headers that say where it came from, what refused it and why. `None` where the rule keeps none.
///
/// A template that cannot be filled in for this message, which may be the very reason that it is dead, gives the
/// subject up to its first placeholder and `unrouted`.
#[must_use]
pub fn dead_letter(
    plan: &Plan,
    rule: &RulePlan,
    source: &SourceName,
    message: &Message,
    origin: &Origin,
    failure: &Failure,
    tries: &Tries,
) -> Option<Outgoing> {
    let template = &rule.on_failure.dead_letter.as_ref()?.subject;
    let subject = template.render(message, &plan.json).unwrap_or_else(|_| unrouted(template));
    let mut facts = Headers::default();
    facts.push(header::RULE, rule.name.as_str());
    facts.push(header::REVISION, plan.revision.as_str());
    facts.push(header::SOURCE, source.as_str());
    about_message(&mut facts, message, origin);
    about_failure(&mut facts, failure, tries);
    let (headers, payload) = match &rule.dead_letter_key {
        None => (kept(&message.headers).chain(facts.iter().cloned()).collect(), message.payload.clone()),
        Some(key) => {
            facts.push(header::ENCRYPTED, sealing::ALGORITHM);
            facts.push(header::KEY, key.id());
            let sealed = key.seal(&facts, &message.headers, &message.payload);
            (facts, sealed)
        }
    };
    Some(Outgoing {
        subject,
        reply: None,
        headers,
        payload,
        // A letter nobody stores is lost: without a stream the message stays unacknowledged instead.
        confirm: Confirm::Stream,
        message_id: format!("{}:{}:dead", origin.id, rule.name),
    })
}

/// The same letter without its payload, for when it is too large with what was added to it: where the original is
/// can be read from the headers.
#[must_use]
pub(crate) fn without_payload(mut letter: Outgoing) -> Outgoing {
    let (rest, bytes) = match letter.headers.get(header::ENCRYPTED) {
        Some(_) => sealing::without_payload(&letter.payload),
        None => (Bytes::new(), letter.payload.len()),
    };
    letter.headers.push(header::PAYLOAD_OMITTED, format!("{bytes} bytes"));
    letter.payload = rest;
    letter
}

/// The same letter without the headers of the original, for when the stream refuses them: a stream takes 64 KiB of
/// headers, and what is said about a letter comes on top.
#[must_use]
pub(super) fn without_headers(mut letter: Outgoing) -> Outgoing {
    if letter.headers.get(header::ENCRYPTED).is_some() {
        return facts_only(letter);
    }
    let before = letter.headers.len();
    letter
        .headers
        .retain(|header| header.name.starts_with("Trackside-") && !header.name.starts_with(header::KEPT_PREFIX));
    let omitted = before - letter.headers.len();
    letter.headers.push(header::HEADERS_OMITTED, omitted.to_string());
    letter
}

/// The same letter with nothing of the original: where that is can be read from what is left.
#[must_use]
pub(super) fn facts_only(letter: Outgoing) -> Outgoing {
    let mut letter = without_payload(letter);
    let sealed = letter.headers.get(header::ENCRYPTED).is_some();
    letter.payload = Bytes::new();
    if sealed {
        letter.headers.push(header::HEADERS_OMITTED, "all");
        return letter;
    }
    without_headers(letter)
}

fn unrouted(template: &Template) -> Subject {
    let pattern = template.pattern();
    let literal = pattern.as_str().split('.').take_while(|token| *token != "*");
    let tokens: Vec<&str> = literal.chain([UNROUTED]).collect();
    Subject::new(&tokens.join(".")).expect("templates begin with a literal token, and their tokens are valid")
}

/// The original's headers, those with a meaning to the server under names that have none.
fn kept(headers: &Headers) -> impl Iterator<Item = Header> {
    headers.iter().map(|header| match is_reserved(&header.name) {
        true => Header { name: format!("{}{}", header::KEPT_PREFIX, header.name).into(), value: header.value.clone() },
        false => header.clone(),
    })
}

fn about_message(facts: &mut Headers, message: &Message, origin: &Origin) {
    facts.push(header::ID, &*origin.id);
    facts.push(header::TIME, rfc3339_ms(origin.timestamp_ms));
    if let Some((stream, sequence)) = origin.stream_position() {
        facts.push(header::STREAM, stream);
        facts.push(header::SEQUENCE, sequence);
    }
    facts.push(header::SUBJECT, message.subject.as_str());
}

fn about_failure(facts: &mut Headers, failure: &Failure, tries: &Tries) {
    if let Some((plugin, digest)) = &failure.plugin {
        facts.push(header::STAGE, plugin.as_str());
        facts.push(header::PLUGIN_DIGEST, format!("sha256:{}", hex::encode(digest)));
    }
    facts.push(header::CLASS, failure.class.as_str());
    facts.push(header::REASON, one_line(&failure.reason));
    facts.push(header::TRIES, tries.count.to_string());
    facts.push(header::FIRST_TIME, rfc3339(tries.first));
    facts.push(header::LAST_TIME, rfc3339(tries.last));
}

/// A reason as a header can carry it.
fn one_line(reason: &str) -> String {
    reason.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_whose_template_cannot_be_filled_in_goes_beside_the_others() {
        for (template, want) in [
            ("dead.{header.Region}", "dead.unrouted"),
            ("dead.orders.{json:$.a}.{subject.2}", "dead.orders.unrouted"),
            ("dead.x-{subject.9}", "dead.unrouted"),
        ] {
            assert_eq!(unrouted(&Template::parse(template).unwrap()).as_str(), want, "{template}");
        }
    }
}
