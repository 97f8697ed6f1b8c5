//! Dead letters: the original message, and why it could not be delivered.

use crate::backbone::Outgoing;
use crate::message::{Headers, Message, Origin, is_reserved};
use crate::names::SourceName;
use crate::plan::{Plan, RulePlan};
use crate::rules::{Confirm, RenderError};

use super::outcome::Failure;

/// Prefix under which a dead letter keeps those of the original's headers that have a meaning to the server.
const KEPT_PREFIX: &str = "Trackside-Dead-Header-";

/// The dead letter of a message that a rule could not deliver: the original payload and headers, and `Trackside-Dead-*`
/// headers that say where it came from, what refused it and why. `None` where the rule keeps none.
#[must_use]
pub fn dead_letter(
    plan: &Plan,
    rule: &RulePlan,
    source: &SourceName,
    message: &Message,
    origin: &Origin,
    failure: &Failure,
) -> Option<Result<Outgoing, RenderError>> {
    let target = rule.on_failure.dead_letter.as_ref()?;
    Some(target.subject.render(message, &plan.json).map(|subject| Outgoing {
        subject,
        reply: None,
        headers: headers(plan, rule, source, message, origin, failure),
        payload: message.payload.clone(),
        // A letter nobody stores is lost: without a stream the message stays unacknowledged instead.
        confirm: Confirm::Stream,
        message_id: format!("{}:{}:dead", origin.id, rule.name),
    }))
}

fn headers(
    plan: &Plan,
    rule: &RulePlan,
    source: &SourceName,
    message: &Message,
    origin: &Origin,
    failure: &Failure,
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
    headers.push("Trackside-Dead-Tries", origin.delivery.to_string());
    headers
}

/// A reason as a header can carry it.
fn one_line(reason: &str) -> String {
    reason.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
