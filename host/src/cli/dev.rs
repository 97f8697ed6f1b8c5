//! `trackside dev`: the running host with a private nats-server, for trying rules out.

use std::fs::File;
use std::path::PathBuf;
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use clap::Args;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

use crate::app::{self, Failure, RunOptions};
use crate::pipeline::{Glance, Tap, TapFilter, Taps};

use super::output;

/// How long the private server may take to listen.
const SERVER_START: Duration = Duration::from_secs(10);

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The directory with trackside.toml and rules/.
    #[arg(value_name = "CONFIG_DIR")]
    directory: PathBuf,

    /// The nats-server to start, if it is not on the PATH.
    #[arg(long, value_name = "FILE", default_value = "nats-server", env = "NATS_SERVER")]
    nats_server: PathBuf,
}

/// A nats-server of our own, with a store that goes when it goes.
struct PrivateServer {
    url: String,
    _process: Child,
    _store: TempDir,
}

/// Runs the command.
pub(super) fn dev(arguments: &Arguments) -> Result<ExitCode, Failure> {
    app::runtime()?.block_on(async {
        let server = tokio::select! {
            biased;
            stopped = stopped() => return stopped,
            server = PrivateServer::start(arguments) => server?,
        };
        eprintln!("nats-server listens at {} with a temporary store; Ctrl-C ends both", server.url);
        let taps = Taps::default();
        let tap = taps.open(TapFilter::default()).map_err(|error| Failure::new(error.to_string()))?;
        let printer = tokio::spawn(print(tap));
        let options = RunOptions { servers: Some(vec![server.url.clone()]), make_streams: true, taps };
        let done = app::run(&arguments.directory, options).await;
        printer.await.map_err(|error| Failure::new(format!("showing outcomes broke off: {error}")))?;
        done
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Waits for a signal that ends the process. Until the host looks after them itself, they would leave the server behind.
async fn stopped() -> Result<(), Failure> {
    let failed = |error| Failure::new(format!("signals cannot be listened for: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        interrupted = tokio::signal::ctrl_c() => interrupted.map_err(failed),
    }
}

/// Prints what there is to see until the host has ended.
async fn print(mut tap: Tap) {
    while let Some(glance) = tap.next().await {
        let seen = match glance {
            Glance::Seen(seen) => seen,
            Glance::Missed(count) => {
                eprintln!("{count} outcomes came faster than they could be shown");
                continue;
            }
        };
        for observation in seen.observations() {
            let shown = serde_json::to_string(&observation)
                .map_err(|error| Failure::new(error.to_string()))
                .and_then(|line| output::print(&(line + "\n")));
            if let Err(error) = shown {
                eprintln!("an outcome cannot be shown: {error}");
            }
        }
    }
}

impl PrivateServer {
    async fn start(arguments: &Arguments) -> Result<Self, Failure> {
        let store = tempfile::tempdir()
            .map_err(|error| Failure::new(format!("no temporary folder for the private nats-server: {error}")))?;
        let log = store.path().join("nats-server.log");
        let no_log = |error| Failure::new(format!("no log file for the private nats-server: {error}"));
        let output = File::create(&log).map_err(no_log)?;
        let mut process = Command::new(&arguments.nats_server)
            .args(["--addr", "127.0.0.1", "--port", "-1", "--jetstream", "--store_dir"])
            .arg(store.path().join("jetstream"))
            .arg("--ports_file_dir")
            .arg(store.path())
            .stdin(Stdio::null())
            .stdout(output.try_clone().map_err(no_log)?)
            .stderr(output)
            // Ctrl-C in a terminal goes to the whole group, and the server has to outlive the drain.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| {
                Failure::new(format!(
                    "cannot start {}: {error}; install nats-server 2.11 or later (https://nats.io/download), or name \
                     it by --nats-server FILE",
                    arguments.nats_server.display()
                ))
            })?;
        let listening = tokio::time::timeout(SERVER_START, listening(&store));
        let (url, why) = tokio::select! {
            url = listening => (url.ok(), format!("did not listen within {SERVER_START:?}")),
            ended = process.wait() => (None, format!("ended ({})", ended.map_or_else(|e| e.to_string(), |s| s.to_string()))),
        };
        let url = url.ok_or_else(|| {
            let log = std::fs::read_to_string(&log).unwrap_or_default();
            Failure::new(format!("the private nats-server {} {why}:\n{log}", arguments.nats_server.display()))
        })?;
        Ok(Self { url, _process: process, _store: store })
    }
}

/// Waits for the file in which the server names its port.
async fn listening(store: &TempDir) -> String {
    let mut poll = tokio::time::interval(Duration::from_millis(20));
    loop {
        poll.tick().await;
        let Ok(entries) = std::fs::read_dir(store.path()) else { continue };
        for entry in entries.flatten().filter(|entry| entry.path().extension().is_some_and(|e| e == "ports")) {
            let ports = std::fs::read(entry.path()).unwrap_or_default();
            let ports: serde_json::Value = serde_json::from_slice(&ports).unwrap_or_default();
            if let Some(url) = ports["nats"][0].as_str() {
                return url.to_owned();
            }
        }
    }
}
