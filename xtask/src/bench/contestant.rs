//! Who is measured: the raw relay, Trackside, and peers given on the command line. Each is a process of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use async_nats::jetstream::consumer::PullConsumer;
use tokio::process::Command;

use super::config::{self, Places, Shape};
use super::flame::{self, Recording};
use super::task::{Task, Transport};
use super::work::Work;
use super::world::{SOURCE, World};
use crate::admin;
use crate::process::Process;

/// How often the server is asked whether everything is acknowledged.
const SETTLE_PERIOD: Duration = Duration::from_millis(20);
/// Longest time until a process that was told to end has ended.
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// Somebody who is measured, with what it has to do.
#[derive(Debug, Clone)]
pub(crate) struct Contestant {
    /// In tables; the same one in every round.
    pub(crate) label: String,
    pub(crate) kind: Kind,
    pub(crate) work: Work,
    /// Whether what it puts out has to be in order, key by key.
    pub(crate) ordered: bool,
}

/// What it is.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Relay,
    Trackside(Shape),
    /// A command line for the shell.
    Peer(String),
}

/// The programs that are started.
#[derive(Clone)]
pub(crate) struct Programs {
    /// This program, for the relay.
    pub(crate) relay: PathBuf,
    /// Without it, Trackside is left out.
    pub(crate) trackside: Option<PathBuf>,
    /// The folder of the stages in other languages; without it, they are left out.
    pub(crate) guests: Option<PathBuf>,
    /// Where flame graphs of Trackside go, if there are to be any.
    pub(crate) flames: Option<PathBuf>,
}

/// One of them, running.
pub(crate) struct Running {
    pub(crate) process: Process,
    pub(crate) task: Task,
    /// Trackside's admin API.
    pub(crate) admin: Option<String>,
    /// The address of Trackside's sidecar.
    pub(crate) sidecar: Option<String>,
    /// Trackside's configuration.
    pub(crate) config: PathBuf,
    /// How long Trackside took until it was ready.
    pub(crate) ready_after: Option<Duration>,
    is_ours: bool,
    /// What watches it, with the title and the file of the picture.
    recording: Option<(Recording, String, PathBuf)>,
}

/// Tells the runs of this process apart.
static RUNS: AtomicU32 = AtomicU32::new(0);

impl Contestant {
    /// Whether the stream of its outputs allows fast ingest.
    pub(crate) fn is_batched(&self) -> bool {
        matches!(self.kind, Kind::Trackside(Shape { batched: true, .. }))
    }

    /// Starts it. Trackside is ready then; the others may not be yet.
    pub(crate) async fn start(&self, world: &World, programs: &Programs, transport: Transport) -> Result<Running> {
        self.start_with_cache(world, programs, transport, &world.folder().join("cache")).await
    }

    /// The same, with this folder of compiled plugins for Trackside.
    pub(crate) async fn start_with_cache(
        &self,
        world: &World,
        programs: &Programs,
        transport: Transport,
        cache: &Path,
    ) -> Result<Running> {
        let run = RUNS.fetch_add(1, Ordering::Relaxed);
        let task = Task {
            url: world.url.clone(),
            transport,
            work: self.work,
            stream: SOURCE.to_owned(),
            durable: format!("bench-{run}"),
            schema: world.schema(),
        };
        let (config, sidecar) = (world.folder().join("config"), admin::free_address());
        let (name, mut command, admin) = match &self.kind {
            Kind::Relay => ("relay", relay(&programs.relay), None),
            // `exec`, so that the process that is measured is the peer and no shell.
            Kind::Peer(line) => ("peer", shell(&format!("exec {line}")), None),
            Kind::Trackside(shape) => {
                if config.exists() {
                    fs::remove_dir_all(&config)?;
                }
                let admin = admin::free_address();
                let guests = programs.guests.as_deref();
                let places = Places { folder: &config, admin: &admin, sidecar: &sidecar, cache, guests };
                config::write(&places, &task, *shape)?;
                let binary = programs.trackside.as_deref().context("no trackside was built")?;
                let mut command = Command::new(binary);
                command.arg("run").arg(&config);
                if programs.flames.is_some() {
                    command.env("TRACKSIDE_PERF_MAP", "1");
                }
                ("trackside", command, Some(format!("http://{admin}")))
            }
        };
        task.tell(&mut command);
        let sidecar = matches!(self.kind, Kind::Trackside(Shape { sidecar: true, .. })).then_some(sidecar);
        let start = Instant::now();
        let mut process = Process::start(name, &mut command, world.folder())?;
        let mut ready_after = None;
        if let Some(admin) = &admin {
            admin::wait_until_ready(&mut process, admin).await?;
            ready_after = Some(start.elapsed());
        }
        let recording = match (&programs.flames, &self.kind) {
            // What has no label is in no table: it is only started.
            (Some(flames), Kind::Trackside(_)) if !self.label.is_empty() => {
                let pid = process.id().context("it has ended")?;
                let file = flames.join(flame::file_name(transport, &self.label));
                Some((Recording::start(pid, world.folder()).await?, format!("{transport}: {}", self.label), file))
            }
            _ => None,
        };
        let is_ours = !matches!(self.kind, Kind::Peer(_));
        Ok(Running { process, task, admin, sidecar, config, ready_after, is_ours, recording })
    }
}

fn relay(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.arg("relay");
    command
}

fn shell(line: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", line]);
    command
}

impl Running {
    /// Its process's id.
    pub(crate) fn pid(&self) -> Result<u32> {
        self.process.id().with_context(|| format!("it has ended; {}", self.process.log_tail()))
    }

    /// Waits until everything in the stream that it reads is acknowledged.
    pub(crate) async fn settle(&mut self, world: &World, limit: Duration) -> Result<()> {
        let stream = world.jetstream.get_stream(&self.task.stream).await?;
        let durable = &self.task.durable;
        let settled = async || {
            // Asking costs the server something, which it is to spend on others.
            tokio::time::sleep(SETTLE_PERIOD).await;
            let consumer: PullConsumer = stream.get_consumer(durable).await.ok()?;
            let info = consumer.cached_info();
            (info.num_pending == 0 && info.num_ack_pending == 0).then_some(())
        };
        self.process.wait_for("every message to be acknowledged", limit, settled).await
    }

    /// Ends it, and forgets its consumer.
    ///
    /// # Errors
    /// When one of our own does not end as it should. How a peer ends is its own business.
    pub(crate) async fn stop(self, world: &World) -> Result<()> {
        let ended = self.process.stop(STOP_LIMIT).await;
        if let Some((recording, title, file)) = self.recording {
            recording.draw(&title, &file).await?;
        }
        if self.task.transport == Transport::JetStream {
            let _ = world.jetstream.delete_consumer_from_stream(&self.task.durable, &self.task.stream).await;
        }
        if self.is_ours { ended.map(drop) } else { Ok(()) }
    }
}
