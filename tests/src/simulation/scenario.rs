//! What one seed stands for: the messages, what goes wrong, and when.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use trackside::backbone::memory::Faults;
use trackside::message::{Headers, Message, Subject};

use super::ruling::VARIANTS;
use super::verdict::Verdict;

/// Most instances that run at a time.
pub(super) const INSTANCES: usize = 3;

/// How long messages are produced, and incidents happen.
const PRODUCED_FOR: Duration = Duration::from_secs(15);
const UNQUIET_FOR: Duration = Duration::from_secs(40);

/// Keys that messages have.
const KEYS: [&str; 3] = ["k1", "k2", "k3"];

/// Everything that a seed decides beforehand.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// How many instances of Trackside run at a time.
    pub instances: usize,
    /// How many lanes each of them has.
    pub lanes: usize,
    /// The configuration that it begins with.
    pub variant: usize,
    /// How often something goes wrong by itself.
    pub faults: Faults,
    /// What happens, in the order of time.
    pub acts: Vec<(Duration, Act)>,
}

/// One thing that the world does.
#[derive(Debug, Clone)]
pub enum Act {
    /// A message is published.
    Produce(Produced),
    /// All connections are lost for a while.
    Interrupt(Duration),
    /// A stream takes nothing for a while.
    Fill(&'static str, Duration),
    /// Another configuration is swapped in.
    Reload(usize),
    /// An instance loses its connection for a while.
    Cut(usize, Duration),
    /// An instance drains and starts again, with this configuration.
    Restart(usize, usize),
    /// An instance begins to drain, is killed if that takes longer than this, and starts again with this configuration.
    RestartInHaste(usize, Duration, usize),
    /// An instance dies, and starts again after a while with this configuration.
    Crash(usize, Duration, usize),
}

/// A message that is published to a source.
#[derive(Debug, Clone)]
pub struct Produced {
    /// Its number, by which it is known wherever it gets to; ascending in time.
    pub number: u32,
    /// `ORDERED`, `FREE`, or `live` for the core subject.
    pub to: &'static str,
    /// Its subject.
    pub subject: String,
    /// What it is to be kept in order by.
    pub key: &'static str,
    /// What Trackside takes for its key: the same, unless lanes are mixed up.
    pub lane: String,
    /// What the plugin does with it.
    pub verdict: Verdict,
}

impl Scenario {
    /// What the seed decides. With `mixed_lanes`, Trackside is told other keys than the oracle.
    #[must_use]
    pub fn of(seed: u64, mixed_lanes: bool) -> Self {
        // The server in memory has a generator of its own with the same seed: its stream must be another one.
        let mut rng = Rng::with_seed(seed ^ 0x7261_636b_7369_6465);
        let rng = &mut rng;
        let mut acts = Vec::new();
        let mut times: Vec<_> = (0..rng.u32(10..=40)).map(|_| time(rng, PRODUCED_FOR)).collect();
        times.sort_unstable();
        for (at, number) in times.into_iter().zip(0..) {
            acts.push((at, Act::Produce(Produced::any(rng, number, mixed_lanes))));
        }
        // One alone has a share of its own: what it does then nobody else mends.
        let instances = rng.usize(0..=INSTANCES).max(1);
        for _ in 0..rng.u32(0..=6) {
            acts.push((time(rng, UNQUIET_FOR), Act::any(rng, instances)));
        }
        // Stable: what happens at the same time keeps its order.
        acts.sort_by_key(|(at, _)| *at);
        Self { instances, lanes: rng.usize(1..=3), variant: rng.usize(..VARIANTS), faults: faults(rng), acts }
    }

    /// Whether every publish succeeds at the first attempt.
    #[must_use]
    pub fn is_unhindered(&self) -> bool {
        let Faults { publishes_failed, confirmations_lost, .. } = self.faults;
        let hinders = |(_, act): &(Duration, Act)| matches!(act, Act::Interrupt(_) | Act::Cut(..) | Act::Fill(..));
        publishes_failed == 0 && confirmations_lost == 0 && !self.acts.iter().any(hinders)
    }

    /// The messages.
    pub fn produced(&self) -> impl Iterator<Item = &Produced> {
        self.acts.iter().filter_map(|(_, act)| if let Act::Produce(produced) = act { Some(produced) } else { None })
    }
}

/// Half of all seeds are spared each kind of fault, so that one does not hide what another brings out.
fn faults(rng: &mut Rng) -> Faults {
    let mut often = |most: u32| if rng.bool() { rng.u32(1..=most) } else { 0 };
    Faults {
        delay_most: Duration::from_millis(often(3000).into()),
        delivered_twice: often(300),
        acks_lost: often(400),
        publishes_failed: often(400),
        confirmations_lost: often(300),
        panics: often(50),
    }
}

fn time(rng: &mut Rng, within: Duration) -> Duration {
    Duration::from_millis(rng.u64(..u64::try_from(within.as_millis()).expect("it is short")))
}

impl Act {
    fn any(rng: &mut Rng, instances: usize) -> Self {
        let mut during = |most_secs| time(rng, Duration::from_secs(most_secs));
        let (short, long) = (during(12), during(20));
        let variant = rng.usize(..VARIANTS);
        let instance = rng.usize(..instances);
        match rng.u32(..8) {
            0 => Self::Interrupt(short),
            7 => Self::Cut(instance, long),
            1 => Self::Fill(if rng.bool() { "OUT" } else { "DEAD" }, long),
            2 => Self::Reload(variant),
            3 => Self::Restart(instance, variant),
            4 => Self::RestartInHaste(instance, short / 8, variant),
            _ => Self::Crash(instance, short, variant),
        }
    }
}

impl Produced {
    fn any(rng: &mut Rng, number: u32, mixed_lanes: bool) -> Self {
        let key = KEYS[rng.usize(..KEYS.len())];
        let (to, subject) = match rng.u32(..8) {
            0..3 => ("ORDERED", format!("ordered.plain.{key}")),
            3 => ("ORDERED", format!("ordered.held.{key}")),
            4 => ("FREE", format!("free.plain.{key}")),
            5 => ("FREE", format!("free.copy.{key}")),
            6 => ("FREE", format!("free.bare.{key}")),
            _ => ("live", format!("live.{key}")),
        };
        let verdict = Verdict::any(rng, subject.starts_with("ordered.held"));
        let lane = if mixed_lanes { format!("lane-{}", rng.u32(..5)) } else { key.to_owned() };
        Self { number, to, subject, key, lane, verdict }
    }

    /// As it is published.
    #[must_use]
    pub fn message(&self) -> Message {
        let mut headers = Headers::default();
        headers.push("Do", self.verdict.letter());
        headers.push("Key", self.key);
        headers.push("Lane", self.lane.as_str());
        if self.to == "live" {
            headers.push("Nats-Msg-Id", self.core_id());
        }
        let subject = Subject::new(&self.subject).expect("a subject");
        Message { subject, headers, payload: self.payload() }
    }

    /// Its payload.
    #[must_use]
    pub fn payload(&self) -> Bytes {
        Bytes::from(format!("message {}", self.number))
    }

    /// The id of its origin, if it is published to the core subject.
    #[must_use]
    pub fn core_id(&self) -> String {
        format!("live-{}", self.number)
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { instances, lanes, variant, faults, .. } = self;
        writeln!(f, "{instances} instances of {lanes} lanes, configuration {variant}, {faults:?}")?;
        for (at, act) in &self.acts {
            let at = at.as_secs_f64();
            match act {
                Act::Produce(Produced { number, subject, verdict, .. }) => {
                    writeln!(f, "{at:>10.3}s  message {number}: {subject}, {verdict:?}")?;
                }
                act => writeln!(f, "{at:>10.3}s  {act:?}")?,
            }
        }
        Ok(())
    }
}
