//! The running host: builds everything, runs it until a signal, drains.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::admin::{self, Access, Admin};
use crate::backbone::{self, Connection};
use crate::control::{Control, Controller, FileWatch, Wanted, follow_hangups};
use crate::pipeline::{Lanes, LanesSettings, Runner, Taps};
use crate::plan::{Live, Loaded};
use crate::plugins::{Engine, Instances, KeyValue};
use crate::rules::{Auth, Config, Rules};
use crate::sidecar::{self, Sidecar};
use crate::telemetry::supervisor::{self, Progress};
use crate::telemetry::{Condition, Metrics, Readiness};

use super::Failure;
use super::buckets::ServerStore;
use super::desk;
use super::gauges;
use super::offline::{BUILD, engine, load};
use super::reload::Loader;
use super::sources::{self, Feed, Sources};
use super::traces::{self, Traces};

/// How long handing back may take once the time for draining is over.
const HAND_BACK_LIMIT: Duration = Duration::from_secs(2);

/// Plans that can be activated anew, the one in force included: each may hold components that no other does.
const KEPT_PLANS: usize = 6;

/// How `dev` differs from `run`.
#[derive(Debug, Default)]
pub struct RunOptions {
    /// Servers in place of those of the configuration, with no authentication and no TLS.
    pub servers: Option<Vec<String>>,
    /// Whether to make streams that are missing.
    pub make_streams: bool,
    /// Where those who look on open their taps.
    pub taps: Taps,
}

/// Runs until SIGTERM or SIGINT, then drains. A second signal ends the process at once.
///
/// # Errors
/// When it cannot start: everything that is wrong, and what to do about it. And when the NATS client fails for good.
pub async fn run(directory: &Path, options: RunOptions) -> Result<(), Failure> {
    // A directory that is not there is told of by what reads it.
    let directory = directory.canonicalize().unwrap_or_else(|_| directory.to_owned());
    let stopping = stop_on_signals()?;
    let mut early = stopping.clone();
    tokio::select! {
        biased;
        _ = early.wait_for(|stop| *stop) => Ok(()),
        host = Host::start(directory, options) => {
            let host = host?;
            supervisor::tell(Progress::Running);
            host.wait(stopping).await?;
            host.drain().await
        }
    }
}

/// Everything that runs.
struct Host {
    config: Config,
    connection: Connection,
    readiness: Readiness,
    sources: Sources,
    sidecar: Option<Sidecar>,
    lanes: Lanes,
    loader: Loader,
    traces: Option<Traces>,
    /// Control, admin API and watching: ended by being dropped.
    background: JoinSet<()>,
}

impl Host {
    async fn start(directory: PathBuf, options: RunOptions) -> Result<Self, Failure> {
        let watching = directory.clone();
        // Its rules are parsed anew with what they refer to, and would take as much memory a second time until then.
        let (Rules { mut config, .. }, _) = blocking(move || load(&watching)).await?;
        // Reloads compare what the files say, whatever the servers are that `dev` uses.
        let as_written = config.clone();
        if let Some(servers) = options.servers {
            config.nats.servers = servers;
            config.nats.auth = Auth::None;
            config.nats.tls = None;
        }
        let store = Arc::new(ServerStore::default());
        let engine = engine(&config, Arc::clone(&store) as Arc<dyn KeyValue>)?;
        let metrics = Metrics::new(BUILD);
        let readiness = Readiness::new();
        for name in config.sources.keys() {
            readiness.set(Condition::Source(name.clone()), Err("not open yet".to_owned()));
        }
        // A secret that is missing is told before anything listens.
        backbone::check(&config.nats, &directory).map_err(|error| Failure::new(error.to_string()))?;
        let (tracer, traces) = traces::start(&config, &directory, &metrics)?.unzip();
        let mut background = JoinSet::new();
        background.spawn(supervisor::follow(readiness.clone()));
        let (control, live, loader) =
            control(&directory, &as_written, &engine, (&metrics, &readiness), &mut background).await?;
        readiness.set(Condition::Revision, Ok(()));
        let desk = desk_of(&config, &engine);
        let (looking, telling) = ((&live, &options.taps), (&metrics, &readiness, &desk));
        serve_admin(&config, &control, &loader, telling, looking, &mut background).await?;
        let sidecar = serve_sidecar(&config, &loader, &readiness, &mut background).await?;

        let connection =
            backbone::connect(&config.nats, &directory).await.map_err(|error| Failure::new(error.to_string()))?;
        follow_connection(&connection, &metrics, &readiness, &mut background);
        store.connected(&connection);
        desk.servers.get_or_init(|| connection.clone());
        let (streams, buckets) = loader.connected(connection.clone(), options.make_streams);
        let ensured = connection.ensure_streams(&streams, options.make_streams).await;
        ensured.map_err(|error| Failure::new(error.to_string()))?;
        let ensured = connection.buckets().ensure(&buckets, options.make_streams).await;
        ensured.map_err(|error| Failure::new(error.to_string()))?;
        let opened = sources::open(&connection, &config).await?;

        let settings = LanesSettings {
            publisher: connection.publisher(),
            taps: options.taps.clone(),
            readiness: readiness.clone(),
            live: live.clone(),
        };
        let lanes = Lanes::start(runners(&config, &engine), &settings)
            .map_err(|error| Failure::new(format!("the lanes cannot start: {error}")))?;
        let (read, scheduler, taps) = (live.clone(), lanes.scheduler(), options.taps.clone());
        metrics.read_from(move || gauges::read(&read, &scheduler, &taps));
        let feed = Feed {
            connection: connection.clone(),
            readiness: readiness.clone(),
            metrics,
            live,
            scheduler: lanes.scheduler(),
            taps: options.taps,
            tracer,
        };
        if let Some(sidecar) = &sidecar {
            sidecar.open(desk::desk(&config, &feed).await?);
        }
        let sources = Sources::start(opened, &config, &feed);
        Ok(Self { config, connection, readiness, sources, sidecar, lanes, loader, traces, background })
    }

    /// Runs until it is to stop.
    ///
    /// # Errors
    /// When there is no NATS client any more. Nothing could be handed back by a drain: all of it is delivered again to the
    /// next process.
    async fn wait(&self, mut stopping: watch::Receiver<bool>) -> Result<(), Failure> {
        let mut link = self.connection.watch();
        tokio::select! {
            // An error means that nobody listens for signals any more, which is as good as one.
            _ = stopping.wait_for(|stop| *stop) => {}
            () = link.closed() => {
                let gone = "the connection to NATS is gone for good, so this process ends: start it again, as systemd and \
                            Kubernetes do by themselves; what was not acknowledged is delivered again";
                return Err(Failure::new(gone));
            }
        }
        tracing::info!("draining");
        supervisor::tell(Progress::Stopping);
        self.readiness.set(Condition::Running, Err("draining".to_owned()));
        Ok(())
    }

    /// Takes nothing more in, finishes what is in flight, and leaves.
    async fn drain(self) -> Result<(), Failure> {
        let within = self.config.runtime.drain_timeout;
        let Self { connection, sources, sidecar, mut lanes, loader, traces, mut background, .. } = self;
        let finish = async {
            let calls = async {
                if let Some(sidecar) = &sidecar {
                    sidecar.stop().await;
                }
            };
            tokio::join!(sources.stop(), calls);
            loader.following().drain();
            lanes.drain().await;
        };
        let finished = tokio::time::timeout(within, finish).await;
        if finished.is_err() {
            tracing::warn!(?within, "not everything in flight was finished in time; it is handed back to its sources");
            // Without a connection there is nobody to hand anything back to, and everything comes again by itself.
            if tokio::time::timeout(HAND_BACK_LIMIT, lanes.abandon()).await.is_err() {
                tracing::warn!("not everything could be handed back; it is delivered again after its ack wait");
            }
        }
        if let Err(error) = connection.close(within).await {
            tracing::warn!("{error}");
        }
        if let Some(traces) = traces {
            traces.finish().await;
        }
        background.shutdown().await;
        tracing::info!("drained");
        Ok(())
    }
}

/// Loads the first revision, and starts what loads further ones.
async fn control(
    directory: &Path,
    config: &Config,
    engine: &Engine,
    (metrics, readiness): (&Metrics, &Readiness),
    background: &mut JoinSet<()>,
) -> Result<(Control, Live, Loader), Failure> {
    let file_watch = if config.runtime.watch { Some(FileWatch::begin(directory.to_owned()).await) } else { None };
    let loader = Loader::new(directory, config, engine, metrics, readiness);
    let active: Arc<OnceLock<Live>> = Arc::default();
    let activate = {
        let (active, loader) = (Arc::clone(&active), loader.clone());
        move |loaded: Loaded| {
            let plan = &loaded.plan;
            active.get_or_init(|| Live::new(Arc::clone(plan))).replace(Arc::clone(plan));
            loader.activated(loaded);
        }
    };
    let load = {
        let loader = loader.clone();
        move |wanted: &Wanted| loader.load(wanted)
    };
    let (controller, control) = Controller::new(load, activate, metrics.clone());
    // Nobody else could ask for them.
    let mut controller = controller.keeping(if config.admin.is_some() { KEPT_PLANS } else { 0 });
    controller.start().await.map_err(Failure::new)?;
    let live = active.get().cloned().ok_or_else(|| Failure::new("no revision was activated"))?;
    let hangups = follow_hangups(control.clone())
        .map_err(|error| Failure::new(format!("SIGHUP cannot be listened for: {error}")))?;
    background.spawn(hangups);
    if let Some(file_watch) = file_watch {
        background.spawn(file_watch.run(control.clone()));
    }
    background.spawn(controller.run(std::future::pending()));
    Ok((control, live, loader))
}

async fn serve_admin(
    config: &Config,
    control: &Control,
    loader: &Loader,
    (metrics, readiness, desk): (&Metrics, &Readiness, &admin::Desk),
    (live, taps): (&Live, &Taps),
    background: &mut JoinSet<()>,
) -> Result<(), Failure> {
    let Some(settings) = &config.admin else { return Ok(()) };
    let access = Access::new(settings, loader.credentials().clone());
    let access = access.map_err(|error| Failure::new(format!("{error}; see `[admin] audit`")))?;
    let listener = TcpListener::bind(settings.listen).await.map_err(|error| {
        Failure::new(format!("the admin API cannot listen at {}: {error}; see `[admin] listen`", settings.listen))
    })?;
    // Port 0 stands for any that is free.
    let listen = listener.local_addr().unwrap_or(settings.listen);
    tracing::info!(%listen, "the admin API listens");
    let admin = Admin {
        control: control.clone(),
        metrics: metrics.clone(),
        readiness: readiness.clone(),
        live: live.clone(),
        taps: taps.clone(),
        access,
        view: loader.view().clone(),
        desk: desk.clone(),
    };
    background.spawn(admin::serve(listener, admin));
    Ok(())
}

async fn serve_sidecar(
    config: &Config,
    loader: &Loader,
    readiness: &Readiness,
    background: &mut JoinSet<()>,
) -> Result<Option<Sidecar>, Failure> {
    let Some(settings) = &config.sidecar else { return Ok(None) };
    let listen = &settings.listen;
    let failed = |error: &dyn std::fmt::Display| {
        Failure::new(format!("the sidecar cannot listen at {listen}: {error}; see `[sidecar] listen`"))
    };
    let listener = sidecar::Listener::bind(listen).await.map_err(|error| failed(&error))?;
    let outlets = loader.following().outlets();
    let sidecar = Sidecar::new(settings.clone(), outlets, readiness.clone()).map_err(|error| failed(&error))?;
    tracing::info!(listen = listener.place(), "the sidecar listens");
    background.spawn(sidecar::serve(listener, sidecar.clone()));
    Ok(Some(sidecar))
}

/// Keeps readiness and metrics true to the connection.
fn follow_connection(connection: &Connection, metrics: &Metrics, readiness: &Readiness, background: &mut JoinSet<()>) {
    let (mut states, metrics, readiness) = (connection.watch(), metrics.clone(), readiness.clone());
    background.spawn(async move {
        loop {
            let connected = states.is_connected();
            metrics.connected(connected);
            let met = if connected { Ok(()) } else { Err("not connected to any NATS server".to_owned()) };
            readiness.set(Condition::Connection, met);
            if !states.changed().await {
                return;
            }
        }
    });
}

fn runners(config: &Config, engine: &Engine) -> Vec<Runner> {
    let instances = engine.instances_per_thread(threads(config));
    (0..lanes(config)).map(|_| Runner::new(Instances::new(instances), false)).collect()
}

/// How many lanes there are, with the spare one, which is not counted as one.
fn lanes(config: &Config) -> usize {
    config.runtime.lanes.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)) + 1
}

/// How many threads run plugins: the lanes, and one for the admin API.
fn threads(config: &Config) -> usize {
    lanes(config) + usize::from(config.admin.is_some())
}

/// What the admin API's work on dead letters needs.
fn desk_of(config: &Config, engine: &Engine) -> admin::Desk {
    let instances = engine.instances_per_thread(threads(config));
    admin::Desk { servers: Arc::default(), instances }
}

/// Becomes true at the first SIGTERM or SIGINT; a second one ends the process.
fn stop_on_signals() -> Result<watch::Receiver<bool>, Failure> {
    let failed = |error| Failure::new(format!("signals cannot be listened for: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let (stop, stopping) = watch::channel(false);
    tokio::spawn(async move {
        for first in [true, false] {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if first {
                stop.send_replace(true);
            } else {
                tracing::warn!("a second signal: ending at once; what is in flight is delivered again");
                std::process::exit(1);
            }
        }
    });
    Ok(stopping)
}

/// Runs what may take its time on a thread where it may.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Failure> + Send + 'static) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Failure::new(error.to_string()))?
}
