//! Runs the scenarios: in each round everybody in turn, so that what disturbs the machine disturbs all alike.

use std::sync::Arc;

use anyhow::{Result, bail};

use super::config::Shape;
use super::contestant::{Contestant, Kind, Programs};
use super::latency::{self, Latency};
use super::orders::Orders;
use super::peer::Peer;
use super::results::{Results, Table};
use super::scenario::{self, Extent, Measure, Scenario};
use super::stats::{grouped, grouped_count};
use super::task::Transport;
use super::throughput::{self, Judged, Measured};
use super::world::{Load, World};
use super::{micro, reload, sidecar, start, tables};
use crate::nats::Server;

/// The share of the maximum rate at which latency is measured.
const SHARE: f64 = 0.5;
/// For so many seconds.
const LATENCY_SECONDS: [f64; 2] = [6.0, 1.5];
/// The names of what has no load of its own.
const START: &str = "start";
const RELOAD: &str = "reload";
const IDLE: &str = "idle";
const OTHERS: [&str; 5] = [START, RELOAD, IDLE, sidecar::NAME, micro::NAME];
/// Calls of the sidecar's scenario.
const CALLS: [usize; 2] = [20_000, 4_000];

/// A run of the benchmarks.
pub(crate) struct Session {
    world: World,
    programs: Programs,
    extent: Extent,
    only: Option<String>,
    /// Whether `only` is the name of a scenario as a whole, and not a part of several.
    is_a_name: bool,
    results: Results,
}

impl Session {
    /// Starts the server.
    pub(crate) async fn start(
        server: &Server,
        programs: Programs,
        extent: Extent,
        only: Option<String>,
    ) -> Result<Self> {
        let world = World::start(server).await?;
        Ok(Self { world, programs, extent, only, is_a_name: false, results: Results::default() })
    }

    /// Runs every scenario, and prints what came of it.
    pub(crate) async fn run(&mut self, peers: &[Peer]) -> Result<()> {
        let scenarios = scenario::all(self.extent, peers);
        let names: Vec<_> = scenarios.iter().map(|scenario| scenario.name.as_str()).chain(OTHERS).collect();
        if !names.iter().any(|name| self.wants(name)) {
            bail!("there is no such scenario; there are {}", names.join(", "));
        }
        self.is_a_name = scenarios.iter().any(|scenario| self.only.as_ref() == Some(&scenario.name));
        if self.programs.trackside.is_some() {
            start::compile(&self.world, &self.programs).await?;
        }
        for mut scenario in scenarios {
            if self.programs.trackside.is_none() {
                scenario.contestants.retain(|contestant| !matches!(contestant.kind, Kind::Trackside(_)));
            }
            if self.programs.guests.is_none() {
                let is_guest = |one: &Contestant| matches!(one.kind, Kind::Trackside(Shape { guest: Some(_), .. }));
                scenario.contestants.retain(|contestant| !is_guest(contestant));
            }
            if self.wants(&scenario.name) && !scenario.contestants.is_empty() {
                match scenario.measure {
                    Measure::Throughput => self.throughput(&scenario).await?,
                    Measure::Latency => self.latency(&scenario).await?,
                }
            }
        }
        if self.programs.trackside.is_some() {
            self.life().await?;
        }
        Ok(())
    }

    /// Ends the server.
    pub(crate) async fn finish(self) -> Result<Results> {
        self.world.stop().await?;
        Ok(self.results)
    }

    fn wants(&self, name: &str) -> bool {
        self.only.as_deref().is_none_or(|only| if self.is_a_name { name == only } else { name.contains(only) })
    }

    async fn throughput(&mut self, scenario: &Scenario) -> Result<()> {
        let load = Arc::new(self.fill(scenario, scenario.count).await?);
        let about = format!("{}, {} messages a run", about(scenario), grouped_count(scenario.count));
        let mut table: Table<Measured> = Table::new(scenario, about);
        self.rounds(scenario, &mut table, async |session, contestant| {
            throughput::run(&session.world, &session.programs, &load, contestant).await
        })
        .await;
        println!("\n{}: {}\n{}", table.name, table.about, tables::throughput(&table));
        self.results.throughput.push(table);
        Ok(())
    }

    async fn latency(&mut self, scenario: &Scenario) -> Result<()> {
        let Some(maximum) = self.maximum(scenario).await? else { return Ok(()) };
        let rate = maximum * SHARE;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate is small and positive")]
        let count = (rate * LATENCY_SECONDS[usize::from(self.extent.quick)]) as usize;
        let count = self.extent.messages.unwrap_or(count);
        let load = Arc::new(load(scenario, count));
        let about = format!("{}, at {SHARE} of {}/s, open loop", about(scenario), grouped(maximum, 0));
        let mut table: Table<Latency> = Table::new(scenario, about);
        self.rounds(scenario, &mut table, async |session, contestant| {
            latency::run(&session.world, &session.programs, &load, contestant, rate).await
        })
        .await;
        println!("\n{}: {}\n{}", table.name, table.about, tables::latency(&table));
        self.results.latency.push(table);
        Ok(())
    }

    /// How many messages a second Trackside handles at most, or else who comes first.
    async fn maximum(&mut self, scenario: &Scenario) -> Result<Option<f64>> {
        let load = Arc::new(self.fill(scenario, scenario.count).await?);
        let trackside = scenario.contestants.iter().find(|one| matches!(one.kind, Kind::Trackside(_)));
        let contestant = trackside.unwrap_or(&scenario.contestants[0]);
        Ok(match throughput::run(&self.world, &self.programs, &load, contestant).await? {
            Ok(measured) => Some(measured.rate),
            Err(mistakes) => {
                self.results.wrong.push(format!("{}, {}: {mistakes}", scenario.name, contestant.label));
                None
            }
        })
    }

    /// Runs each contestant once in each round. What does not pass the arrival check loses its row, and is not run again.
    async fn rounds<T>(
        &mut self,
        scenario: &Scenario,
        table: &mut Table<T>,
        run: impl AsyncFn(&Self, &Contestant) -> Result<Judged<T>>,
    ) {
        let mut wrong = vec![None; scenario.contestants.len()];
        for round in 1..=scenario.rounds {
            for (index, contestant) in scenario.contestants.iter().enumerate() {
                if wrong[index].is_some() {
                    continue;
                }
                let what = match run(self, contestant).await {
                    Ok(Ok(measured)) => {
                        table.rows[index].runs.push(measured);
                        continue;
                    }
                    Ok(Err(mistakes)) => mistakes.to_string(),
                    Err(error) => format!("{error:#}"),
                };
                wrong[index] = Some(format!("{}, {}, round {round}: {what}", scenario.name, contestant.label));
                table.rows[index].runs.clear();
            }
        }
        self.results.wrong.extend(wrong.into_iter().flatten());
    }

    async fn life(&mut self) -> Result<()> {
        let rounds = self.extent.rounds();
        let (world, programs) = (&self.world, &self.programs);
        if self.wants(sidecar::NAME) {
            let count = self.extent.messages.unwrap_or(CALLS[usize::from(self.extent.quick)]);
            let load = Load { transport: Transport::JetStream, keys: 1, count, orders: Orders::new(1_000) };
            match sidecar::run(world, programs, &Arc::new(load), rounds).await? {
                Ok(table) => {
                    println!("\n{}: {}\n{}", table.name, table.about, tables::calls(&table));
                    self.results.sidecar = Some(table);
                }
                Err(mistakes) => self.results.wrong.push(format!("{}: {mistakes}", sidecar::NAME)),
            }
        }
        if self.wants(START) {
            self.results.start = Some(start::times(world, programs, rounds).await?);
        }
        if self.wants(RELOAD) {
            for _ in 0..rounds {
                match reload::run(world, programs).await? {
                    Ok(reload) => self.results.reloads.push(reload),
                    Err(mistakes) => self.results.wrong.push(format!("{RELOAD}: {mistakes}")),
                }
            }
        }
        if self.wants(IDLE) {
            self.results.idle = start::idle(world, programs, rounds).await?;
        }
        let life = tables::life(&self.results);
        if !life.is_empty() {
            println!("\n{life}");
        }
        Ok(())
    }

    /// The load of a scenario, stored where it has to be.
    async fn fill(&self, scenario: &Scenario, count: usize) -> Result<Load> {
        let load = load(scenario, count);
        if load.transport == Transport::JetStream {
            self.world.fill(&load).await?;
        }
        Ok(load)
    }
}

fn load(scenario: &Scenario, count: usize) -> Load {
    Load { transport: scenario.transport, keys: scenario.keys, count, orders: Orders::new(scenario.bytes) }
}

fn about(scenario: &Scenario) -> String {
    let Scenario { transport, bytes, keys, rounds, .. } = scenario;
    let way = match transport {
        Transport::Core => "core to core",
        Transport::JetStream => "JetStream to JetStream (file store)",
    };
    let keys = if *keys == 1 { "1 key".to_owned() } else { format!("{} keys", grouped_count(*keys)) };
    let rounds = if *rounds == 1 { "1 round".to_owned() } else { format!("{rounds} rounds") };
    format!("{way}, {} bytes, {keys}, {rounds}", grouped_count(*bytes))
}
