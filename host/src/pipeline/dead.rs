//! Dead letters: the original message, and why it could not be delivered.

use std::time::SystemTime;

use bytes::Bytes;

use crate::backbone::Outgoing;
use crate::message::{Headers, Message, Origin, Subject, is_reserved};
use crate::names::SourceName;
use crate::plan::{Plan, RulePlan};
use crate::rules::{Confirm, Template};

use super::outcome::Failure;

/// Prefix under which a dead letter keeps those of the original's headers that have a meaning to the server.
const KEPT_PREFIX: &str = "Trackside-Dead-Header-";

/// The last token of a dead letter's subject if its template cannot be filled in.
const UNROUTED: &str = "unrouted";

/// How often a message was tried before it was given up, and when.
#[derive(Debug, Clone, Copy)]
pub struct Tries {
    /// How often.
    pub count: u32,
    /// When for the first time.
    pub first: SystemTime,
    /// When for the last time.
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
    Some(Outgoing {
        subject,
        reply: None,
        headers: headers(plan, rule, source, message, origin, failure, tries),
        payload: message.payload.clone(),
        // A letter nobody stores is lost: without a stream the message stays unacknowledged instead.
        confirm: Confirm::Stream,
        message_id: format!("{}:{}:dead", origin.id, rule.name),
    })
}

/// The same letter without its payload, for when it is too large with what was added to it: where the original is
/// can be read from the headers.
#[must_use]
pub(super) fn without_payload(mut letter: Outgoing) -> Outgoing {
    letter.headers.push("Trackside-Dead-Payload-Omitted", format!("{} bytes", letter.payload.len()));
    letter.payload = Bytes::new();
    letter
}

fn unrouted(template: &Template) -> Subject {
    let pattern = template.pattern();
    let literal = pattern.as_str().split('.').take_while(|token| *token != "*");
    let tokens: Vec<&str> = literal.chain([UNROUTED]).collect();
    Subject::new(&tokens.join(".")).expect("templates begin with a literal token, and their tokens are valid")
}

fn headers(
    plan: &Plan,
    rule: &RulePlan,
    source: &SourceName,
    message: &Message,
    origin: &Origin,
    failure: &Failure,
    tries: &Tries,
) -> Headers {
    let mut headers = Headers::default();
    for header in &message.headers {
        if is_reserved(&header.name) {
            headers.push(format!("{KEPT_PREFIX}{}", header.name), header.value.as_str());
        } else {
            headers.push(header.name.clone(), header.value.as_str());
        }
    }
    headers.push("Trackside-Rule", rule.name.as_str());
    headers.push("Trackside-Revision", plan.revision.as_str());
    headers.push("Trackside-Dead-Source", source.as_str());
    if let Some((stream, sequence)) = origin.stream_position() {
        headers.push("Trackside-Dead-Stream", stream);
        headers.push("Trackside-Dead-Sequence", sequence);
    }
    headers.push("Trackside-Dead-Subject", message.subject.as_str());
    if let Some((plugin, digest)) = &failure.plugin {
        headers.push("Trackside-Dead-Stage", plugin.as_str());
        headers.push("Trackside-Dead-Plugin-Digest", format!("sha256:{}", hex::encode(digest)));
    }
    headers.push("Trackside-Dead-Class", failure.class.as_str());
    headers.push("Trackside-Dead-Reason", one_line(&failure.reason));
    headers.push("Trackside-Dead-Tries", tries.count.to_string());
    headers
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
