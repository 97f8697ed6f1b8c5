//! The ways that messages take, read off the rules alone: no plugin is loaded, no secret is needed, nothing runs.
//!
//! `explain.rs` says which rules take a subject and why the others do not. `graph.rs` makes one picture of all rules, which
//! `mermaid.rs`, `dot.rs` and `svg/` write down.

mod dot;
mod explain;
mod graph;
mod loops;
mod mermaid;
mod svg;

pub use dot::dot;
pub use explain::{Explanation, Output, Refusal, Refused, Taken, refusal};
pub use graph::{Edge, EdgeKind, Graph, Node, NodeKind};
pub use mermaid::mermaid;
pub use svg::svg;

use crate::message::SubjectPattern;
use crate::rules::{REPLIES_SOURCE, Rule, Rules, SIDECAR_SOURCE, Target, Template};

/// Where something that a rule makes goes.
enum Place<'r> {
    /// To NATS, by a subject template.
    Subject(&'r Template),
    /// Elsewhere: to a service, or to who subscribes.
    Elsewhere(&'r Target),
}

impl<'r> Place<'r> {
    fn of(target: &'r Target) -> Self {
        target.subject().map_or(Self::Elsewhere(target), Self::Subject)
    }

    /// As it is written in the rule.
    fn text(&self) -> String {
        match self {
            Self::Subject(template) => template.to_string(),
            Self::Elsewhere(target) => target.to_string(),
        }
    }

    /// The template, if it goes to NATS.
    fn into_subject(self) -> Option<&'r Template> {
        match self {
            Self::Subject(template) => Some(template),
            Self::Elsewhere(_) => None,
        }
    }
}

/// Where all that a rule makes goes, with the name of the route; `None` is the dead letter.
fn outputs(rule: &Rule) -> impl Iterator<Item = (Option<&str>, Place<'_>)> {
    let routes = rule.routes.iter().map(|(name, route)| (Some(name.as_str()), Place::of(&route.to)));
    routes.chain(rule.on_failure.dead_letter.iter().map(|dead| (None, Place::Subject(&dead.subject))))
}

/// The streams of `trackside.toml` that store what a template makes.
fn streams<'r>(rules: &'r Rules, template: &Template) -> Vec<&'r str> {
    let stores = |patterns: &[SubjectPattern]| patterns.iter().any(|pattern| template.may_match(pattern));
    let streams = rules.config.streams.iter().filter(|(_, stream)| stores(&stream.subjects));
    streams.map(|(name, _)| name.as_str()).collect()
}

/// Whether a rule takes in again what a template makes. Where it is not known what its source delivers, it may be anything.
fn takes(rules: &Rules, rule: &Rule, template: &Template) -> bool {
    // What goes to NATS does not come back by HTTP.
    if matches!(rule.source.as_str(), SIDECAR_SOURCE | REPLIES_SOURCE) {
        return false;
    }
    let reach = rules.reach(&rule.source);
    let delivered = reach.is_empty() || reach.iter().any(|pattern| template.may_match(pattern));
    delivered && template.may_match(&rule.subject)
}

#[cfg(test)]
mod tests;
