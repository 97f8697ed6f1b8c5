//! All rules as one graph: sources, rules, the subjects that they publish to, and the streams that store those.

use std::collections::HashMap;

use crate::rules::{Rule, Rules, SourceKind};

use super::loops::Feeding;
use super::{Place, outputs, streams, takes};

/// The flow of messages.
#[derive(Debug)]
pub struct Graph {
    /// Sources, then rules, then subjects, then streams.
    pub nodes: Vec<Node>,
    /// What leads where, by positions in `nodes`.
    pub edges: Vec<Edge>,
    /// The names of the rules of each loop.
    pub loops: Vec<Vec<String>>,
}

/// A source, rule, subject or stream.
#[derive(Debug)]
pub struct Node {
    /// What it is.
    pub kind: NodeKind,
    /// What it is called, and below that what is to be known of it.
    pub lines: Vec<String>,
}

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NodeKind {
    /// Where messages come from.
    Source,
    /// A rule with its stages.
    Rule,
    /// A subject, or a template of one, that is published to.
    Subject,
    /// A service that is posted to, or services that subscribe.
    Service,
    /// A stream of `trackside.toml`.
    Stream,
}

/// A way from one node to another.
#[derive(Debug)]
pub struct Edge {
    /// Where it begins.
    pub from: usize,
    /// Where it ends.
    pub to: usize,
    /// What is written beside it.
    pub label: Option<String>,
    /// What kind of way it is.
    pub kind: EdgeKind,
    /// Whether a message that takes it may come by again.
    pub in_loop: bool,
}

/// What kind of way it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EdgeKind {
    /// From source to rule, from rule by a route to a subject, from subject to stream.
    Flow,
    /// What cannot be delivered.
    Dead,
    /// From a subject to a source that reads it.
    Again,
}

impl Graph {
    /// Draws up the graph of all rules.
    #[must_use]
    pub fn of(rules: &Rules) -> Self {
        let feeding = Feeding::of(rules);
        let names = |circle: Vec<usize>| circle.into_iter().map(|rule| rules.rules[rule].name.to_string()).collect();
        let mut drawing = Drawing { rules, feeding: &feeding, nodes: Vec::new(), edges: Vec::new() };
        drawing.sources_and_rules();
        drawing.outputs();
        let Drawing { nodes, edges, .. } = drawing;
        Self { nodes, edges, loops: feeding.loops().into_iter().map(names).collect() }
    }
}

/// A graph that is being drawn up.
struct Drawing<'r> {
    rules: &'r Rules,
    feeding: &'r Feeding,
    nodes: Vec<Node>,
    edges: Vec<Edge>,
}

impl Drawing<'_> {
    fn sources_and_rules(&mut self) {
        let rules = self.rules;
        for (name, source) in &rules.config.sources {
            let what = match &source.kind {
                SourceKind::JetStream { stream, .. } => format!("stream {stream}"),
                SourceKind::Core { .. } => "core NATS".to_owned(),
                SourceKind::Sidecar => "HTTP".to_owned(),
                SourceKind::Replies => "replies to HTTP".to_owned(),
            };
            let mut lines = vec![name.to_string(), what];
            lines.extend(rules.reach(name).iter().map(ToString::to_string));
            self.nodes.push(Node { kind: NodeKind::Source, lines });
        }
        for (position, rule) in rules.rules.iter().enumerate() {
            let mut lines = vec![rule.name.to_string(), rule.subject.to_string()];
            lines.extend(rule.stages.iter().zip(1..).map(|(stage, number)| format!("{number} {}", stage.plugin)));
            let to = self.nodes.len();
            self.nodes.push(Node { kind: NodeKind::Rule, lines });
            let Some(from) = rules.config.sources.keys().position(|name| *name == rule.source) else { continue };
            let in_loop = (0..rules.rules.len()).any(|other| self.feeding.is_loop(other, position));
            self.edges.push(Edge { from, to, label: None, kind: EdgeKind::Flow, in_loop });
        }
    }

    fn outputs(&mut self) {
        let (rules, sources) = (self.rules, self.rules.config.sources.len());
        let mut subjects: HashMap<String, usize> = HashMap::new();
        for (position, rule) in rules.rules.iter().enumerate() {
            for (route, place) in outputs(rule) {
                let text = place.text();
                let kind = match &place {
                    Place::Subject(_) => NodeKind::Subject,
                    Place::Elsewhere(_) => NodeKind::Service,
                };
                let to = *subjects.entry(text.clone()).or_insert_with(|| {
                    self.nodes.push(Node { kind, lines: vec![text] });
                    self.nodes.len() - 1
                });
                let template = place.into_subject();
                let takes =
                    |other: &usize| template.is_some_and(|template| takes(rules, &rules.rules[*other], template));
                let takers: Vec<usize> = (0..rules.rules.len()).filter(takes).collect();
                let in_loop = |taker: &usize| self.feeding.is_loop(position, *taker);
                let (label, kind) = match route {
                    Some(name) => (name.to_owned(), EdgeKind::Flow),
                    None => ("dead letter".to_owned(), EdgeKind::Dead),
                };
                self.edges.push(Edge {
                    from: sources + position,
                    to,
                    label: Some(label),
                    kind,
                    in_loop: takers.iter().any(in_loop),
                });
                for &taker in &takers {
                    self.again(to, &rules.rules[taker], self.feeding.is_loop(position, taker));
                }
            }
        }
        self.stored(&subjects);
    }

    /// A subject that a rule's source reads; several rules of a source are one edge.
    fn again(&mut self, subject: usize, taker: &Rule, in_loop: bool) {
        let Some(source) = self.rules.config.sources.keys().position(|name| *name == taker.source) else { return };
        let known = self.edges.iter_mut().find(|edge| (edge.from, edge.to) == (subject, source));
        match known {
            Some(edge) => edge.in_loop |= in_loop,
            None => {
                let (label, kind) = (Some("read again".to_owned()), EdgeKind::Again);
                self.edges.push(Edge { from: subject, to: source, label, kind, in_loop });
            }
        }
    }

    /// The streams that store the subjects.
    fn stored(&mut self, subjects: &HashMap<String, usize>) {
        let mut known: HashMap<&str, usize> = HashMap::new();
        let rules = self.rules;
        let mut seen = vec![false; self.nodes.len()];
        for template in rules.rules.iter().flat_map(outputs).filter_map(|(_, place)| place.into_subject()) {
            let from = subjects[&template.to_string()];
            if std::mem::replace(&mut seen[from], true) {
                continue;
            }
            for name in streams(rules, template) {
                let to = *known.entry(name).or_insert_with(|| {
                    self.nodes.push(Node { kind: NodeKind::Stream, lines: vec![name.to_owned(), "stream".to_owned()] });
                    self.nodes.len() - 1
                });
                self.edges.push(Edge { from, to, label: None, kind: EdgeKind::Flow, in_loop: false });
            }
        }
    }
}
