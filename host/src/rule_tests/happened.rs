//! What became of a message in one rule, as an expectation can speak of it.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;

use crate::message::{Headers, Message, Origin};
use crate::names::{PluginName, RouteName, RuleName, SourceName};
use crate::pipeline::{Outcome, Tries, dead_letter, stamped};
use crate::plan::Plan;
use crate::rules::testing::Ending;

/// One thing that happened to a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Happened {
    /// The rule; `None` where none takes the message.
    pub rule: Option<RuleName>,
    /// What happened.
    pub ending: Ending,
    /// The route that was taken.
    pub route: Option<RouteName>,
    /// Where it goes: a subject, the URL of a service, or `sidecar:` and what services subscribe to. `None` where nothing
    /// goes anywhere, not even a dead letter.
    pub subject: Option<String>,
    /// Its headers, as they are published.
    pub headers: Headers,
    /// Its payload, as it is published.
    pub payload: Bytes,
    /// The class of the failure.
    pub class: Option<&'static str>,
    /// The plugin whose stage failed.
    pub stage: Option<PluginName>,
    /// Why it failed or was dropped.
    pub reason: Option<String>,
}

impl Happened {
    /// No rule took the message.
    #[must_use]
    pub fn unmatched() -> Self {
        Self::new(None, Ending::Unmatched)
    }

    fn new(rule: Option<RuleName>, ending: Ending) -> Self {
        Self {
            rule,
            ending,
            route: None,
            subject: None,
            headers: Headers::default(),
            payload: Bytes::new(),
            class: None,
            stage: None,
            reason: None,
        }
    }

    /// It in a few words.
    #[must_use]
    pub fn summary(&self) -> String {
        let Some(rule) = &self.rule else { return self.ending.as_str().to_owned() };
        let mut words = format!("rule `{rule}`, {}", self.ending.as_str());
        if let Some(route) = &self.route {
            words += &format!(" by route `{route}`");
        }
        if let Some(subject) = &self.subject {
            words += &format!(" to `{subject}`");
        }
        if let Some(reason) = &self.reason {
            words += &format!(": {reason}");
        }
        words
    }
}

/// Everything that became of a message in a rule: what is published in order, then what is dropped.
pub(super) fn of_outcome(
    plan: &Plan,
    rule: usize,
    source: &SourceName,
    message: &Message,
    origin: &Arc<Origin>,
    outcome: Outcome,
) -> Vec<Happened> {
    let rule = &plan.rules[rule];
    let mut all = Vec::new();
    for output in outcome.outputs {
        let route = rule.routes[output.route].name.clone();
        let sent = stamped(rule, &plan.revision, origin, output);
        all.push(Happened {
            route: Some(route),
            subject: Some(sent.to.to_string()),
            headers: sent.headers,
            payload: sent.payload,
            ..Happened::new(Some(rule.name.clone()), Ending::Published)
        });
    }
    for dropped in outcome.dropped {
        let reason = Some(dropped.reason);
        all.push(Happened { reason, ..Happened::new(Some(rule.name.clone()), Ending::Dropped) });
    }
    if let Some(failure) = outcome.failure {
        let now = SystemTime::now();
        let tries = Tries { count: origin.delivery, first: now, last: now };
        let letter = dead_letter(plan, rule, source, message, origin, &failure, &tries);
        let mut dead = Happened {
            class: Some(failure.class.as_str()),
            stage: failure.plugin.map(|(name, _)| name),
            reason: Some(failure.reason),
            ..Happened::new(Some(rule.name.clone()), Ending::DeadLettered)
        };
        if let Some(letter) = letter {
            (dead.subject, dead.headers, dead.payload) =
                (Some(letter.subject.to_string()), letter.headers, letter.payload);
        }
        all.push(dead);
    }
    all
}
