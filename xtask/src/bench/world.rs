//! The world of the benchmarks: a nats-server with a file store in a temporary folder, and our connections to it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use async_nats::jetstream::{self, message::PublishMessage, stream};
use async_nats::{Client, HeaderMap};
use tempfile::TempDir;
use tokio::sync::mpsc;

use super::orders::{Orders, SCHEMA};
use super::task::{NUMBER, Transport, WINDOW};
use super::work::Place;
use crate::nats::{self, Server};
use crate::process::Process;

/// The stream that is read, and the one that is written.
pub(crate) const SOURCE: &str = "BENCH_IN";
pub(crate) const OUT: &str = "BENCH_OUT";

/// The one for dead letters of messages of core NATS.
const DEAD: &str = "BENCH_DEAD";

const STOP_LIMIT: Duration = Duration::from_secs(30);

/// What is sent: so many orders of one size, spread over so many keys.
pub(crate) struct Load {
    pub(crate) transport: Transport,
    pub(crate) keys: usize,
    pub(crate) count: usize,
    pub(crate) orders: Orders,
}

/// The server and our connections. Dropping it ends the server and removes the folder.
pub(crate) struct World {
    pub(crate) url: String,
    /// For what is sent.
    pub(crate) sender: Client,
    /// For what is received, and for asking the server.
    pub(crate) receiver: Client,
    pub(crate) jetstream: jetstream::Context,
    // The process before the folder that its store is in.
    nats: Process,
    folder: TempDir,
}

impl World {
    /// Starts the server.
    pub(crate) async fn start(server: &Server) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("trackside-bench-").tempdir()?;
        fs::write(folder.path().join("order.json"), SCHEMA)?;
        let (nats, url) = nats::start(server, folder.path()).await?;
        let connect = async || {
            let options = async_nats::ConnectOptions::new().subscription_capacity(1 << 20);
            options.connect(&url).await.with_context(|| format!("cannot connect to {url}"))
        };
        let (sender, receiver) = (connect().await?, connect().await?);
        let jetstream = jetstream::new(receiver.clone());
        let world = Self { sender, receiver, jetstream, nats, folder, url };
        // Dead letters have to be stored, wherever messages come from; whoever listens gets them as well.
        world.make_anew(DEAD, &Transport::Core.out(Place::Dead), false).await?;
        Ok(world)
    }

    /// Ends the server.
    pub(crate) async fn stop(self) -> Result<()> {
        self.nats.stop(STOP_LIMIT).await.map(drop)
    }

    /// Where everything lies that is not kept.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The schema of the orders.
    pub(crate) fn schema(&self) -> PathBuf {
        self.folder().join("order.json")
    }

    /// Makes the stream that is read anew, and puts the load into it.
    pub(crate) async fn fill(&self, load: &Load) -> Result<()> {
        self.empty_source().await?;
        let context = jetstream::ContextBuilder::new().max_ack_inflight(WINDOW).backpressure_on_inflight(true);
        let context = context.build(self.sender.clone());
        let (sender, mut receiver) = mpsc::channel(WINDOW);
        let confirming = tokio::spawn(async move {
            while let Some(confirmation) = receiver.recv().await {
                let confirmation: jetstream::context::PublishAckFuture = confirmation;
                confirmation.await?;
            }
            anyhow::Ok(())
        });
        for number in 0..load.count {
            let message = PublishMessage::build().headers(numbered(number));
            let message = message.payload(load.orders.of(number).payload.clone());
            let subject = load.transport.source(number, load.keys);
            sender.send(context.send_publish(subject, message).await?).await?;
        }
        drop(sender);
        confirming.await?.context("the server did not store the load")
    }

    /// Makes the stream that is read anew.
    pub(crate) async fn empty_source(&self) -> Result<()> {
        self.make_anew(SOURCE, "stored.in.>", false).await
    }

    /// Makes the stream that is written anew, with or without fast ingest.
    pub(crate) async fn empty_out(&self, batched: bool) -> Result<()> {
        self.make_anew(OUT, "stored.out.>", batched).await
    }

    /// How many messages a stream holds.
    pub(crate) async fn stored(&self, stream: &str) -> Result<u64> {
        Ok(self.jetstream.get_stream(stream).await?.get_info().await?.state.messages)
    }

    async fn make_anew(&self, name: &str, subjects: &str, batched: bool) -> Result<()> {
        // There is none the first time, which is as good.
        let _ = self.jetstream.delete_stream(name).await;
        let config = stream::Config {
            name: name.to_owned(),
            subjects: vec![subjects.to_owned()],
            allow_batch_publish: batched,
            ..stream::Config::default()
        };
        match self.jetstream.create_stream(config).await {
            Ok(_) => Ok(()),
            Err(error) => bail!("cannot make the stream {name}: {error}"),
        }
    }
}

/// The headers of the message of this number.
pub(crate) fn numbered(number: usize) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(NUMBER, number.to_string());
    headers
}

/// The number that a message bears.
pub(crate) fn number_of(headers: Option<&HeaderMap>) -> Option<usize> {
    headers?.get(NUMBER)?.as_str().parse().ok()
}
