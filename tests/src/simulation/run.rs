//! Runs one seed: the world happens to Trackside until it is quiet, then the oracle judges.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use tokio::time::Instant;
use trackside::backbone::memory::{Event, Faults, Server};
use trackside::message::SubjectPattern;

use super::bug::Bug;
use super::oracle::{Counts, Violation, judge};
use super::process::{Ending, Process};
use super::ruling::{DURABLE, STREAMS};
use super::scenario::{Act, Scenario};
use super::world::World;

/// How long after the last fault everything has to be done, in virtual time.
const REST: Duration = Duration::from_secs(30 * 60);

/// Longer than any run: within it nothing is stored twice.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(2 * 60 * 60);

/// What came of one seed.
#[derive(Debug)]
pub struct Run {
    /// What the seed stands for.
    pub scenario: Scenario,
    /// What happened, in order.
    pub events: Vec<Event>,
    /// What was counted, or the promise that was broken.
    pub judged: Result<Counts, Violation>,
}

/// The world while it happens.
struct Theatre<'w> {
    world: &'w World,
    server: Server,
    /// The instances; none in place of one that is down.
    processes: Vec<Option<Process>>,
    lanes: usize,
    /// Configurations that came into force, with the number of events before that.
    in_force: Vec<(usize, usize)>,
    /// By the numbers of their clients.
    endings: BTreeMap<usize, Ending>,
}

/// Runs one seed, always in the same way.
///
/// # Panics
/// When the runtime cannot be made.
#[must_use]
pub fn run(world: &World, seed: u64, bug: Option<Bug>) -> Run {
    let scenario = Scenario::of(seed, bug == Some(Bug::MixedLanes));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime of one thread").block_on(async {
        let server = Server::new(seed);
        for (name, subject) in STREAMS {
            server.add_stream(name, &[SubjectPattern::new(subject).expect("a pattern")], DUPLICATE_WINDOW);
        }
        server.set_faults(scenario.faults.clone());
        if let Some(bug) = bug {
            bug.play(&server);
        }
        let lanes = scenario.lanes;
        let (processes, in_force, endings) = (Vec::new(), Vec::new(), BTreeMap::new());
        let mut theatre = Theatre { world, server, processes, lanes, in_force, endings };
        for instance in 0..scenario.instances {
            theatre.processes.push(None);
            theatre.start(instance, scenario.variant);
        }
        theatre.play(&scenario).await;
        theatre.rest().await;
        let judged = judge(&scenario, &theatre.server, &theatre.in_force, &theatre.endings);
        Run { events: theatre.server.events(), scenario, judged }
    })
}

impl Run {
    /// A digest of everything that happened.
    #[must_use]
    pub fn digest(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.events.iter().for_each(|event| event.to_string().hash(&mut hasher));
        hasher.finish()
    }
}

impl Theatre<'_> {
    fn start(&mut self, instance: usize, variant: usize) {
        self.came_into_force(variant);
        self.processes[instance] = Some(Process::start(self.world, &self.server, variant, self.lanes));
    }

    fn came_into_force(&mut self, variant: usize) {
        self.in_force.push((self.server.events().len(), variant));
    }

    async fn play(&mut self, scenario: &Scenario) {
        let begun = Instant::now();
        for (at, act) in &scenario.acts {
            tokio::time::sleep_until(begun + *at).await;
            match act {
                Act::Produce(produced) => {
                    let _ = self.server.produce(produced.message());
                }
                Act::Interrupt(during) => self.server.interrupt(*during),
                Act::Fill(stream, during) => self.server.fill(stream, *during),
                Act::Reload(variant) => {
                    self.came_into_force(*variant);
                    for process in self.processes.iter_mut().flatten() {
                        process.reload(self.world, *variant);
                    }
                }
                Act::Cut(instance, during) => {
                    if let Some(process) = &self.processes[*instance] {
                        self.server.cut(process.client(), *during);
                    }
                }
                Act::Restart(instance, variant) => {
                    self.drain(*instance).await;
                    self.start(*instance, *variant);
                }
                Act::RestartInHaste(instance, within, variant) => {
                    if let Some(process) = self.processes[*instance].take() {
                        let client = process.client().number();
                        self.endings.insert(client, process.drain_within(*within).await);
                    }
                    self.start(*instance, *variant);
                }
                Act::Crash(instance, down, variant) => {
                    if let Some(process) = self.processes[*instance].take() {
                        self.endings.insert(process.client().number(), process.crash());
                    }
                    tokio::time::sleep(*down).await;
                    self.start(*instance, *variant);
                }
            }
        }
    }

    /// Lets everything come to rest, without further faults.
    async fn rest(&mut self) {
        self.server.set_faults(Faults::default());
        let done = |stream| {
            let backlog = self.server.backlog(stream, DURABLE);
            backlog.is_none_or(|backlog| backlog.pending.is_empty() && backlog.undelivered == 0)
        };
        let end = Instant::now() + REST;
        while !(done("ORDERED") && done("FREE")) && Instant::now() < end {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        for instance in 0..self.processes.len() {
            self.drain(instance).await;
        }
    }

    async fn drain(&mut self, instance: usize) {
        if let Some(process) = self.processes[instance].take() {
            let client = process.client().number();
            self.endings.insert(client, process.drain().await);
        }
    }
}
