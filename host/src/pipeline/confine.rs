//! What a handler published, confined to the routes of its rule. A handler names subjects, since it was not written for
//! Trackside; where these lead is still the rule's to say.

use crate::message::Message;
use crate::plan::{Plan, RulePlan, StagePlan};
use crate::plugins::{Part, Publication};

use super::outcome::{Failure, FailureClass};
use super::stages::Room;

/// The route that messages take after the last stage.
const DEFAULT: &str = "default";

/// Makes parts of what was published. Each takes the route that its subject is the name of, or else the one whose subject
/// it is for this message. What is for the route `default` goes on to the next stage first, as a message does that a
/// plugin forwards.
///
/// # Errors
/// When a subject is neither, or there is no room for all: nothing of the message is published then.
pub(super) fn confine(
    plan: &Plan,
    rule: &RulePlan,
    stage: &StagePlan,
    message: &Message,
    published: Vec<Publication>,
    room: &mut Room,
) -> Result<Vec<Part>, Failure> {
    let mut parts = Vec::new();
    for Publication { subject, shown, payload, headers } in published {
        // What was not given headers has those of the message, which are copied.
        room.take(headers.as_ref().unwrap_or(&message.headers), payload.len())?;
        let headers = headers.unwrap_or_else(|| message.headers.clone());
        let resolved = Message { subject: message.subject.clone(), headers, payload };
        let leads_there = |position: &usize| {
            // Only to NATS by its subject: elsewhere by the name of the route.
            let Some(template) = rule.routes[*position].to.subject() else { return false };
            // Filling a template in may mean to read the payload: only for those that could lead there.
            let could = template.pattern().matches(&subject);
            could && template.render(&resolved, &plan.json).is_ok_and(|rendered| rendered.as_str() == subject)
        };
        // Where two routes lead to the same subject, `default` is meant.
        let by_subject = || rule.default_route.into_iter().chain(0..rule.routes.len()).find(leads_there);
        let Some(position) = rule.route(&subject).or_else(by_subject) else {
            return Err(Failure::said(stage, FailureClass::Route, stray(rule, &shown)));
        };
        let name = rule.routes[position].name.as_str();
        let route = (name != DEFAULT).then(|| name.to_owned());
        parts.push(Part { payload: resolved.payload, headers: resolved.headers, route });
    }
    Ok(parts)
}

fn stray(rule: &RulePlan, shown: &str) -> String {
    let routes: Vec<_> = rule.routes.iter().map(|route| format!("`{}` ({})", route.name, route.to)).collect();
    format!(
        "the handler published to `{shown}`, which is neither the name of a route of the rule nor where one leads for \
         this message; its routes are {}",
        routes.join(", ")
    )
}
