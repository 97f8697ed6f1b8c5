//! What is measured: loads, and who runs under each.

use super::config::Shape;
use super::contestant::{Contestant, Kind};
use super::guests::Guest;
use super::peer::Peer;
use super::stats::grouped_count;
use super::task::Transport;
use super::work::Work;

/// The label of the raw relay, to which others are compared.
pub(crate) const RELAY: &str = "raw relay";
/// What is added to the label of a pipeline with fresh instances for every message.
pub(crate) const ISOLATED: &str = ", isolated";
/// What is added to the label of a pipeline whose output stream allows fast ingest.
pub(crate) const BATCHED: &str = ", fast ingest";

/// The name of the scenario with stages in other languages.
pub(crate) const LANGUAGES: &str = "core-languages";

/// Keys of a load that nobody keeps in order.
const KEYS: usize = 100;
/// The keys that messages of the scenario `core-rules` have, however many rules there are.
const RULES_KEYS: usize = 10;

/// A load and those who run under it, in turn, so many times. The first of them is what the others are compared with.
pub(crate) struct Scenario {
    pub(crate) name: String,
    pub(crate) measure: Measure,
    pub(crate) transport: Transport,
    /// Bytes of a message.
    pub(crate) bytes: usize,
    pub(crate) keys: usize,
    /// Messages of one run.
    pub(crate) count: usize,
    pub(crate) rounds: usize,
    pub(crate) contestants: Vec<Contestant>,
}

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Measure {
    /// As fast as it goes.
    Throughput,
    /// At half of the rate that Trackside reaches, or else the first contestant.
    Latency,
}

/// How much of everything.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extent {
    pub(crate) quick: bool,
    /// In place of each scenario's own.
    pub(crate) messages: Option<usize>,
    /// In place of each scenario's own.
    pub(crate) rounds: Option<usize>,
}

impl Extent {
    fn count(self, quick: usize, full: usize) -> usize {
        self.messages.unwrap_or(if self.quick { quick } else { full })
    }

    /// How often everything is run.
    pub(crate) fn rounds(self) -> usize {
        self.rounds.unwrap_or(if self.quick { 3 } else { 5 })
    }
}

/// All scenarios with messages, in the order in which they run.
pub(crate) fn all(extent: Extent, peers: &[Peer]) -> Vec<Scenario> {
    let mut all = Vec::new();
    for (bytes, size, full) in
        [(1_000, "1kB", 80_000), (300, "300B", 80_000), (4_000, "4kB", 50_000), (64_000, "64kB", 6_000)]
    {
        for transport in [Transport::JetStream, Transport::Core] {
            if bytes == 1_000 || !extent.quick {
                let count = extent.count(20_000, full);
                all.push(payload(format!("{transport}-{size}"), transport, bytes, count, extent, peers));
            }
        }
    }
    // With fewer messages than keys, nothing would have to be kept in order.
    let keys = if extent.quick { &[1, 100][..] } else { &[1, 100, 100_000] };
    all.extend(keys.iter().map(|keys| ordered(*keys, extent, peers)));
    all.push(languages(extent));
    all.push(isolated(extent));
    all.push(rules(extent));
    all.push(lanes(extent));
    for transport in [Transport::Core, Transport::JetStream] {
        all.push(latency(transport, extent, peers));
    }
    all
}

/// The pipelines, at one size of payload.
fn payload(name: String, transport: Transport, bytes: usize, count: usize, extent: Extent, peers: &[Peer]) -> Scenario {
    let mut contestants = vec![relay()];
    for work in [Work::Pass, Work::Mask, Work::Check, Work::Five] {
        contestants.push(trackside(format!("trackside {work}"), work, Shape::PLAIN));
        contestants.extend(peers.iter().map(|peer| peer.contestant(work, false)));
    }
    if transport == Transport::JetStream {
        for work in [Work::Pass, Work::Check] {
            contestants.push(trackside(format!("trackside {work}{BATCHED}"), work, Shape::BATCHED));
        }
    }
    let (measure, rounds) = (Measure::Throughput, extent.rounds());
    Scenario { name, measure, transport, bytes, keys: KEYS, count, rounds, contestants }
}

/// Messages of so many keys, kept in order.
fn ordered(keys: usize, extent: Extent, peers: &[Peer]) -> Scenario {
    let shape = Shape { ordered: true, ..Shape::PLAIN };
    let mut contestants = vec![relay(), trackside("trackside in order".to_owned(), Work::Check, shape)];
    contestants.extend(peers.iter().map(|peer| peer.contestant(Work::Check, true)));
    Scenario {
        name: format!("jetstream-ordered-{keys}"),
        measure: Measure::Throughput,
        transport: Transport::JetStream,
        bytes: 1_000,
        keys,
        // One key goes through one message after another, each waiting for the stream: slowly, on purpose.
        count: if keys == 1 { extent.count(3_000, 20_000) } else { extent.count(20_000, 200_000) },
        rounds: extent.rounds(),
        contestants,
    }
}

/// The same stage, written in other languages.
fn languages(extent: Extent) -> Scenario {
    let mut contestants =
        vec![trackside(format!("trackside {}, standard plugin", Work::Mask), Work::Mask, Shape::PLAIN)];
    for guest in Guest::ALL {
        let label = format!("trackside {}, {}", Work::Mask, guest.title());
        contestants.push(trackside(label, Work::Mask, Shape { guest: Some(guest), ..Shape::PLAIN }));
    }
    Scenario {
        name: LANGUAGES.to_owned(),
        measure: Measure::Throughput,
        transport: Transport::Core,
        bytes: 1_000,
        keys: KEYS,
        count: extent.count(5_000, 20_000),
        rounds: extent.rounds(),
        contestants,
    }
}

/// Pipelines with fresh instances for every message, beside the same without. An instance is configured when it is made,
/// so what it costs depends on the plugin.
fn isolated(extent: Extent) -> Scenario {
    let mut contestants = Vec::new();
    for work in [Work::Check, Work::Mask] {
        let label = format!("trackside {work}");
        contestants.push(trackside(label.clone(), work, Shape::PLAIN));
        contestants.push(trackside(label + ISOLATED, work, Shape { isolated: true, ..Shape::PLAIN }));
    }
    Scenario {
        name: "core-isolated".to_owned(),
        measure: Measure::Throughput,
        transport: Transport::Core,
        bytes: 1_000,
        keys: KEYS,
        count: extent.count(1_000, 5_000),
        rounds: extent.rounds(),
        contestants,
    }
}

/// The same messages for few rules and for many, of which the same few take them.
fn rules(extent: Extent) -> Scenario {
    let contestant = |rules| trackside(rules_label(rules), Work::Check, Shape { rules, ..Shape::PLAIN });
    Scenario {
        name: "core-rules".to_owned(),
        measure: Measure::Throughput,
        transport: Transport::Core,
        bytes: 1_000,
        keys: RULES_KEYS,
        count: extent.count(20_000, 80_000),
        rounds: extent.rounds(),
        contestants: [10, 1, 100, 10_000].map(contestant).into(),
    }
}

/// The label of a Trackside with so many rules.
pub(crate) fn rules_label(rules: usize) -> String {
    match rules {
        1 => "trackside, 1 rule".to_owned(),
        _ => format!("trackside, {} rules", grouped_count(rules)),
    }
}

/// A pipeline that is bound by computing, on one lane and on two.
fn lanes(extent: Extent) -> Scenario {
    let contestant =
        |lanes, label: &str| trackside(label.to_owned(), Work::Compute, Shape { lanes: Some(lanes), ..Shape::PLAIN });
    Scenario {
        name: "jetstream-lanes".to_owned(),
        measure: Measure::Throughput,
        transport: Transport::JetStream,
        bytes: 1_000,
        keys: KEYS,
        count: extent.count(400, 2_000),
        rounds: extent.rounds(),
        contestants: vec![contestant(1, "trackside, 1 lane"), contestant(2, "trackside, 2 lanes")],
    }
}

fn latency(transport: Transport, extent: Extent, peers: &[Peer]) -> Scenario {
    let mut contestants = vec![relay(), trackside(format!("trackside {}", Work::Check), Work::Check, Shape::PLAIN)];
    contestants.extend(peers.iter().map(|peer| peer.contestant(Work::Check, false)));
    Scenario {
        name: format!("{transport}-latency"),
        measure: Measure::Latency,
        transport,
        bytes: 1_000,
        keys: KEYS,
        count: extent.count(20_000, 80_000),
        rounds: extent.rounds(),
        contestants,
    }
}

fn relay() -> Contestant {
    // It handles one message after another, so that everything it puts out is in order.
    Contestant { label: RELAY.to_owned(), kind: Kind::Relay, work: Work::Pass, ordered: true }
}

fn trackside(label: String, work: Work, shape: Shape) -> Contestant {
    Contestant { label, kind: Kind::Trackside(shape), work, ordered: shape.ordered }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_tell_scenarios_apart_and_labels_their_contestants() {
        let peers = ["one=true".parse().expect("a peer"), "two=true".parse().expect("a peer")];
        for quick in [true, false] {
            let all = all(Extent { quick, messages: None, rounds: None }, &peers);
            assert_eq!(all.iter().map(|scenario| &scenario.name).collect::<BTreeSet<_>>().len(), all.len());
            for scenario in all {
                let labels: BTreeSet<_> = scenario.contestants.iter().map(|one| &one.label).collect();
                assert_eq!(labels.len(), scenario.contestants.len(), "{}", scenario.name);
            }
        }
    }
}
