//! One process of Trackside: the real pipeline, put together as the host does it, on the server in memory.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use trackside::backbone::memory::{Client, Server};
use trackside::pipeline::{InFlight, Intake, Lanes, LanesSettings, Runner, Taps, Window};
use trackside::plan::{Compiler, Live};
use trackside::plugins::Instances;
use trackside::telemetry::{Metrics, Readiness};

use super::scenario::INSTANCES;
use super::world::{BUILD, World};

/// How long draining may take: the default of the configuration.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// It finished everything that it had taken in.
    Drained,
    /// It could not in time.
    HandedBack,
    /// It died.
    Crashed,
}

/// A process that runs. Dropped, it ends in the middle of whatever it does.
pub(super) struct Process {
    client: Client,
    compiler: Compiler,
    live: Live,
    lanes: Lanes,
    sources: JoinSet<()>,
    stop: watch::Sender<bool>,
}

impl Process {
    /// Starts with one of the configurations.
    pub(super) fn start(world: &World, server: &Server, variant: usize, lanes: usize) -> Self {
        let client = server.connect();
        let metrics = Metrics::new(BUILD);
        let mut compiler = world.compiler(metrics.clone());
        let rules = world.rules(variant);
        let live = Live::new(compiler.compile(rules).expect("the rules are right"));
        let settings = LanesSettings {
            publisher: client.publisher(),
            taps: Taps::default(),
            readiness: Readiness::new(),
            live: live.clone(),
        };
        let instances = world.engine().instances_per_thread(lanes * INSTANCES * World::PROCESSES);
        let runners = (0..lanes).map(|_| Runner::new(Instances::new(instances), false)).collect();
        let lanes = Lanes::start_as_tasks(runners, &settings);
        let stop = watch::Sender::new(false);
        let mut sources = JoinSet::new();
        for (name, settings) in &rules.config.sources {
            let mut source = client.open(settings).expect("its stream is there");
            let metrics = metrics.source(name);
            let flight = InFlight::new(name.clone(), Arc::clone(&metrics), None);
            if let Some(ack_wait) = source.ack_wait() {
                flight.keep(ack_wait);
            }
            let window = Window::new(settings, metrics);
            let mut intake = Intake::new(flight, window, &live, lanes.scheduler(), Taps::default());
            let mut stopping = stop.subscribe();
            sources
                .spawn(async move { intake.run(&mut source, &mut stopping).await.expect("it does not end by itself") });
        }
        Self { client, compiler, live, lanes, sources, stop }
    }

    /// What the server knows it by.
    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Swaps another configuration in.
    pub(super) fn reload(&mut self, world: &World, variant: usize) {
        self.live.replace(self.compiler.compile(world.rules(variant)).expect("the rules are right"));
    }

    /// Takes nothing more in, finishes what is in flight, and leaves; as the host does at SIGTERM.
    pub(super) async fn drain(mut self) -> Ending {
        let finish = async {
            self.stop.send_replace(true);
            while let Some(ended) = self.sources.join_next().await {
                ended.expect("no source panics");
            }
            self.lanes.drain().await;
        };
        let ending = match tokio::time::timeout(DRAIN_TIMEOUT, finish).await {
            Ok(()) => Ending::Drained,
            Err(_) => {
                self.lanes.abandon().await;
                Ending::HandedBack
            }
        };
        self.client.crash();
        ending
    }

    /// Drains, and dies if that takes longer.
    pub(super) async fn drain_within(self, limit: Duration) -> Ending {
        let client = self.client.clone();
        // Pinned, so that it is still there when the client is gone.
        let mut drained = std::pin::pin!(self.drain());
        let ending = tokio::time::timeout(limit, &mut drained).await;
        ending.unwrap_or_else(|_| {
            client.crash();
            Ending::Crashed
        })
    }

    /// Dies.
    pub(super) fn crash(self) -> Ending {
        // First of all, so that nothing that is dropped now can do anything.
        self.client.crash();
        Ending::Crashed
    }
}
