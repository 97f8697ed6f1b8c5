//! `trackside dev`: the running host with a private nats-server, for trying rules out.

use std::path::PathBuf;
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use clap::Args;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

use crate::app::{self, Failure, RunOptions};
use crate::pipeline::{Observation, Observer};

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
        let server = PrivateServer::start(arguments).await?;
        eprintln!("nats-server listens at {} with a temporary store; Ctrl-C ends both", server.url);
        let (observer, observed) = Observer::new();
        let printer = tokio::spawn(print(observed));
        let options =
            RunOptions { servers: Some(vec![server.url.clone()]), make_streams: true, observer: Some(observer) };
        let done = app::run(&arguments.directory, options).await;
        printer.await.map_err(|error| Failure::new(format!("showing outcomes broke off: {error}")))?;
        done
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn print(mut observed: mpsc::Receiver<Observation>) {
    while let Some(observation) = observed.recv().await {
        match serde_json::to_string(&observation) {
            Ok(line) => println!("{line}"),
            Err(error) => eprintln!("an outcome cannot be shown: {error}"),
        }
    }
}

impl PrivateServer {
    async fn start(arguments: &Arguments) -> Result<Self, Failure> {
        let store = tempfile::tempdir()
            .map_err(|error| Failure::new(format!("no temporary folder for the private nats-server: {error}")))?;
        let process = Command::new(&arguments.nats_server)
            .args(["--addr", "127.0.0.1", "--port", "-1", "--jetstream", "--store_dir"])
            .arg(store.path().join("jetstream"))
            .arg("--ports_file_dir")
            .arg(store.path())
            .arg("--log")
            .arg(store.path().join("nats-server.log"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
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
        let url = tokio::time::timeout(SERVER_START, listening(&store)).await.map_err(|_| {
            let log = std::fs::read_to_string(store.path().join("nats-server.log")).unwrap_or_default();
            Failure::new(format!("the private nats-server did not listen within {SERVER_START:?}:\n{log}"))
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
