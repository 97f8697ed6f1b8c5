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
use crate::rules::{Rule, Rules, Template};

/// The templates of all that a rule publishes, with the name of the route; `None` is the dead letter.
fn outputs(rule: &Rule) -> impl Iterator<Item = (Option<&str>, &Template)> {
    let routes = rule.routes.iter().map(|(name, route)| (Some(name.as_str()), &route.subject));
    routes.chain(rule.on_failure.dead_letter.iter().map(|dead| (None, &dead.subject)))
}

/// The streams of `trackside.toml` that store what a template makes.
fn streams<'r>(rules: &'r Rules, template: &Template) -> Vec<&'r str> {
    let stores = |patterns: &[SubjectPattern]| patterns.iter().any(|pattern| template.may_match(pattern));
    let streams = rules.config.streams.iter().filter(|(_, stream)| stores(&stream.subjects));
    streams.map(|(name, _)| name.as_str()).collect()
}

/// Whether a rule takes in again what a template makes. Where it is not known what its source delivers, it may be anything.
fn takes(rules: &Rules, rule: &Rule, template: &Template) -> bool {
    let reach = rules.reach(&rule.source);
    let delivered = reach.is_empty() || reach.iter().any(|pattern| template.may_match(pattern));
    delivered && template.may_match(&rule.subject)
}

#[cfg(test)]
mod tests;
