//! A nats-server of the test's own.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use async_nats::jetstream::{self, consumer, stream};
use futures::StreamExt;
use tempfile::TempDir;

use crate::{PATIENCE, Process, free_port, provided, until};

/// A nats-server with JetStream and a temporary store.
#[derive(Debug)]
pub struct Server {
    process: Process,
    folder: TempDir,
    arguments: Vec<String>,
    port: u16,
}

/// A message as a test compares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its subject.
    pub subject: String,
    /// Its headers: all values of each name.
    pub headers: BTreeMap<String, Vec<String>>,
    /// Its payload.
    pub payload: Vec<u8>,
}

impl Stored {
    /// The first value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.first().map(String::as_str)
    }

    /// The payload as text.
    ///
    /// # Panics
    /// When it is not text.
    #[must_use]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.payload).expect("the payload is text")
    }

    /// The payload as JSON.
    ///
    /// # Panics
    /// When it is not JSON.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.payload).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }
}

impl From<&async_nats::Message> for Stored {
    fn from(message: &async_nats::Message) -> Self {
        let headers = message.headers.iter().flat_map(async_nats::HeaderMap::iter);
        let texts = |values: &[async_nats::HeaderValue]| values.iter().map(ToString::to_string).collect();
        Self {
            subject: message.subject.to_string(),
            headers: headers.map(|(name, values)| (name.to_string(), texts(values))).collect(),
            payload: message.payload.to_vec(),
        }
    }
}

impl Server {
    /// Starts it on a free port and waits until it listens.
    pub async fn start() -> Self {
        Self::start_with(&["--jetstream"]).await
    }

    /// The same with these arguments, which may leave JetStream out or add users.
    pub async fn start_with(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let arguments: Vec<_> = arguments.iter().map(ToString::to_string).collect();
        let port = free_port();
        let process = Self::spawn(folder.path(), &arguments, port);
        until("nats-server to listen", async || listening_port(folder.path())).await;
        Self { process, folder, arguments, port }
    }

    /// The same with its store in this folder, which outlives it.
    pub async fn start_in(store: &Path) -> Self {
        let store = store.to_str().expect("the folder's name is UTF-8");
        Self::start_with(&["--jetstream", "--store_dir", store]).await
    }

    /// The port that it listens at.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What it has logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.output()
    }

    /// Kills it as a power failure would.
    pub fn stop(&mut self) {
        self.process.kill();
    }

    /// Tells it to send its clients away and end, as an operator does before maintenance.
    pub fn lame_duck(&self) {
        self.process.signal("USR2");
    }

    /// Kills it as a power failure would, and starts it again on the same port and store.
    pub async fn restart(&mut self) {
        self.process.kill();
        for entry in std::fs::read_dir(self.folder.path()).expect("the server's folder").flatten() {
            if entry.path().extension().is_some_and(|extension| extension == "ports") {
                std::fs::remove_file(entry.path()).expect("a stale file can be removed");
            }
        }
        self.process = Self::spawn(self.folder.path(), &self.arguments, self.port);
        until("nats-server to listen again", async || listening_port(self.folder.path())).await;
    }

    /// Where it listens.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// A client of it.
    pub async fn client(&self) -> async_nats::Client {
        async_nats::connect(self.url()).await.expect("the server takes clients")
    }

    /// Makes a stream.
    pub async fn stream(&self, name: &str, subjects: &[&str]) -> stream::Stream {
        let config = stream::Config {
            name: name.to_owned(),
            subjects: subjects.iter().map(ToString::to_string).collect(),
            ..stream::Config::default()
        };
        jetstream::new(self.client().await).create_stream(config).await.expect("the stream can be made")
    }

    /// Waits until the stream has `count` messages and returns all it has, in order.
    pub async fn stored(&self, stream: &str, count: usize) -> Vec<Stored> {
        let context = jetstream::new(self.client().await);
        let held = until(&format!("{count} messages in {stream}"), async || {
            let info = context.get_stream(stream).await.ok()?.cached_info().clone();
            (info.state.messages >= count as u64).then_some(info.state.messages)
        })
        .await;
        let stream = context.get_stream(stream).await.expect("it was there a moment ago");
        let config = consumer::pull::OrderedConfig { ..Default::default() };
        let consumer = stream.create_consumer(config).await.expect("an ordered consumer");
        let messages = consumer.messages().await.expect("its messages");
        let read = messages
            .take(usize::try_from(held).expect("a few"))
            .map(|message| Stored::from(&message.expect("a stored message").message))
            .collect();
        tokio::time::timeout(PATIENCE, read).await.expect("all stored messages come in time")
    }

    /// How many messages of a consumer are delivered and not acknowledged, and how many are still to be delivered.
    pub async fn unsettled(&self, stream: &str, durable: &str) -> (usize, u64) {
        let context = jetstream::new(self.client().await);
        let stream = context.get_stream(stream).await.expect("the stream is there");
        let mut consumer: consumer::PullConsumer = stream.get_consumer(durable).await.expect("the consumer is there");
        let info = consumer.info().await.expect("its state");
        (info.num_ack_pending, info.num_pending)
    }

    /// Waits until a consumer has nothing more to deliver and everything is acknowledged.
    pub async fn settled(&self, stream: &str, durable: &str) {
        until("everything to be acknowledged", async || {
            (self.unsettled(stream, durable).await == (0, 0)).then_some(())
        })
        .await;
    }

    fn spawn(folder: &Path, arguments: &[String], port: u16) -> Process {
        let mut command = Command::new(provided("NATS_SERVER"));
        command.args(["--addr", "127.0.0.1"]).args(arguments);
        if !arguments.iter().any(|argument| argument == "--store_dir") {
            command.arg("--store_dir").arg(folder.join("store"));
        }
        command.arg("--ports_file_dir").arg(folder);
        command.args(["--port", &port.to_string()]);
        Process::spawn(&mut command, &folder.join("nats-server.log"))
    }
}

/// The port that a server says it listens at, in the file it writes for that.
fn listening_port(folder: &Path) -> Option<u16> {
    let entries = std::fs::read_dir(folder).ok()?.flatten();
    let ports = entries.map(|entry| entry.path()).find(|path| path.extension().is_some_and(|e| e == "ports"))?;
    let ports: serde_json::Value = serde_json::from_slice(&std::fs::read(ports).ok()?).ok()?;
    let url = ports["nats"][0].as_str()?;
    url.rsplit(':').next()?.parse().ok()
}
