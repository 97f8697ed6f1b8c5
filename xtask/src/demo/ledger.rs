//! The books: what was sent, what arrived, and everything that is wrong about it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::leak;
use super::orders::{Expect, Kind, Order};
use super::watch::{Arrival, Outcome};

/// How many mistakes are told in full; the rest are counted.
const TOLD_MISTAKES: usize = 10;

/// One revision of the rules, as the demo knows it.
pub(crate) struct Revision {
    pub(crate) name: String,
    /// The amount from which on this revision sends orders to review.
    pub(crate) threshold: f64,
}

/// One order before and after.
pub(crate) struct Sample {
    pub(crate) order: Order,
    pub(crate) arrival: Arrival,
}

/// What is known so far.
pub(crate) struct Ledger {
    seed: u64,
    /// How often the order of this number has arrived.
    arrived: Vec<u8>,
    distinct: u32,
    revisions: Vec<Revision>,
    /// Arrivals by outcome, a row for each revision.
    counts: Vec<[u32; 3]>,
    /// From this order on, everything was sent after the second revision was in force.
    boundary: Option<u32>,
    latencies: Vec<Duration>,
    samples: BTreeMap<Kind, Sample>,
    mistakes: Vec<String>,
    mistake_count: usize,
}

impl Ledger {
    /// Books for this many orders, begun under this revision.
    pub(crate) fn new(seed: u64, count: u32, revision: Revision) -> Self {
        Self {
            seed,
            arrived: vec![0; count as usize],
            distinct: 0,
            revisions: vec![revision],
            counts: vec![[0; 3]],
            boundary: None,
            latencies: Vec::with_capacity(count as usize),
            samples: BTreeMap::new(),
            mistakes: Vec::new(),
            mistake_count: 0,
        }
    }

    /// The revision that is about to come into force. Its name is learnt from the admin API, or from the first
    /// message that bears it, whichever is seen first.
    pub(crate) fn expect_revision(&mut self, threshold: f64) {
        self.revisions.push(Revision { name: String::new(), threshold });
        self.counts.push([0; 3]);
    }

    /// The new revision is in force: orders from `boundary` on must bear it.
    pub(crate) fn revised(&mut self, name: &str, boundary: u32) {
        self.boundary = Some(boundary);
        if self.revision(name).is_none() {
            self.mistake(format!("messages bear another revision than {name}, which the admin API names"));
        }
    }

    /// Books an arrival.
    pub(crate) fn arrive(&mut self, arrival: Arrival) {
        let Some(number) = arrival.number.filter(|number| (*number as usize) < self.arrived.len()) else {
            return self.mistake(format!("a message in {} that is none of the orders", arrival.subject));
        };
        let times = &mut self.arrived[number as usize];
        *times = times.saturating_add(1);
        if *times > 1 {
            return self.mistake(format!("order {number} arrived again, as {}", arrival.outcome.as_str()));
        }
        self.distinct += 1;
        self.latencies.push(arrival.latency);
        let order = Order::new(self.seed, number);
        self.check_revision(number, &order, &arrival);
        self.check_secrets(number, &order, &arrival);
        self.samples.entry(order.kind).or_insert(Sample { order, arrival });
    }

    fn check_revision(&mut self, number: u32, order: &Order, arrival: &Arrival) {
        let name = arrival.header("Trackside-Revision").unwrap_or_default();
        let Some(index) = self.revision(name) else {
            return self.mistake(format!("order {number} bears the revision {name:?}, which never was"));
        };
        self.counts[index][arrival.outcome as usize] += 1;
        let want = expected(order.expect, self.revisions[index].threshold);
        if want != arrival.outcome {
            let (want, got) = (want.as_str(), arrival.outcome.as_str());
            self.mistake(format!("order {number} ({:?}) should be {want} and is {got}", order.kind));
        }
        if index == 0 && self.boundary.is_some_and(|boundary| number >= boundary) {
            self.mistake(format!("order {number} was sent after the rule had changed and went by the old one"));
        }
    }

    fn check_secrets(&mut self, number: u32, order: &Order, arrival: &Arrival) {
        // A dead letter keeps the original payload; only what it says about it must not repeat a secret.
        let payload = (arrival.outcome != Outcome::Dead).then_some(arrival.payload.as_slice());
        let headers = arrival.headers.iter().flat_map(|(_, values)| values).map(|value| value.as_str().as_bytes());
        let seen: Vec<&[u8]> = payload.into_iter().chain(headers).collect();
        for secret in &order.secrets {
            if seen.iter().any(|text| leak::shows(text, secret)) {
                let outcome = arrival.outcome.as_str();
                self.mistake(format!("order {number} ({:?}) shows a secret in its {outcome}", order.kind));
            }
        }
    }

    /// Which revision bears this name; a name not met before is that of the revision that is expected.
    fn revision(&mut self, name: &str) -> Option<usize> {
        if let Some(index) = self.revisions.iter().position(|revision| revision.name == name) {
            return Some(index).filter(|_| !name.is_empty());
        }
        let index = self.revisions.iter().position(|revision| revision.name.is_empty())?;
        name.clone_into(&mut self.revisions[index].name);
        Some(index)
    }

    /// Books a mistake that was found elsewhere.
    pub(crate) fn mistake(&mut self, text: String) {
        self.mistake_count += 1;
        if self.mistakes.len() < TOLD_MISTAKES {
            self.mistakes.push(text);
        }
    }

    /// How many different orders have arrived.
    pub(crate) fn distinct(&self) -> u32 {
        self.distinct
    }

    /// How many orders there are to be.
    pub(crate) fn expected(&self) -> usize {
        self.arrived.len()
    }

    /// Arrivals by outcome, over all revisions.
    pub(crate) fn totals(&self) -> [u32; 3] {
        let mut totals = [0; 3];
        for row in &self.counts {
            for (total, count) in totals.iter_mut().zip(row) {
                *total += count;
            }
        }
        totals
    }

    /// Every revision with its arrivals by outcome.
    pub(crate) fn by_revision(&self) -> impl Iterator<Item = (&Revision, &[u32; 3])> {
        self.revisions.iter().zip(&self.counts)
    }

    /// The first arrival of each kind of order.
    pub(crate) fn samples(&self) -> &BTreeMap<Kind, Sample> {
        &self.samples
    }

    /// The latency that this share of the orders did not exceed.
    pub(crate) fn percentile(&self, percent: usize) -> Duration {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() * percent).div_ceil(100).max(1);
        sorted.get(rank - 1).copied().unwrap_or_default()
    }

    /// The mistakes that are told in full, and how many there are.
    pub(crate) fn mistakes(&self) -> (&[String], usize) {
        (&self.mistakes, self.mistake_count)
    }
}

fn expected(expect: Expect, threshold: f64) -> Outcome {
    match expect {
        Expect::Dead => Outcome::Dead,
        Expect::ByAmount(amount) if amount >= threshold => Outcome::Review,
        Expect::ByAmount(_) => Outcome::Clean,
    }
}

#[cfg(test)]
mod tests;
