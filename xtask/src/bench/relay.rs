//! The raw relay: the same client library, the same guarantees, the same window, and no processing. A process of its
//! own, as Trackside is.

use anyhow::{Context, Result};
use async_nats::jetstream::{self, consumer::pull, context::PublishAckFuture, message::PublishMessage};
use async_nats::{Client, HeaderMap, Subject};
use bytes::Bytes;
use futures::StreamExt;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::task::{Task, Transport, WINDOW};
use super::work::{Place, Work};

mod fault;
mod hand;

pub(crate) use fault::Fault;
use fault::Saboteur;

/// How it is to behave.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Do by hand what the stages would, as far as the orders of the harness need it
    #[arg(long)]
    by_hand: bool,
    /// Do something wrong, now and then, that the harness has to find
    #[arg(long)]
    fault: Option<Fault>,
}

/// A message on its way.
#[derive(Clone)]
struct Passing {
    from: Subject,
    to: Subject,
    headers: HeaderMap,
    payload: Bytes,
    /// The payload as it came.
    original: Bytes,
    /// What tells it from all others, for the stream that stores it.
    id: String,
}

/// What turns a message that came into one that goes.
struct Relay {
    by_hand: bool,
    work: Work,
    /// In the order of the places.
    subjects: [Subject; 3],
    saboteur: Saboteur,
}

/// Relays until SIGTERM, what the environment says.
pub(crate) async fn run(args: &Args) -> Result<()> {
    let task = Task::read()?;
    let client = async_nats::connect(&task.url).await.with_context(|| format!("cannot connect to {}", task.url))?;
    let mut terminate = signal(SignalKind::terminate())?;
    let relaying = async {
        match task.transport {
            Transport::Core => relay_live(&client, &task, args).await,
            Transport::JetStream => relay_stored(&client, &task, args).await,
        }
    };
    tokio::select! {
        ended = relaying => ended?,
        _ = terminate.recv() => {}
    }
    client.flush().await.context("what was published last may be lost")
}

async fn relay_live(client: &Client, task: &Task, args: &Args) -> Result<()> {
    let source = format!("{}.in.*", task.transport.prefix());
    let mut messages = client.queue_subscribe(source, task.durable.clone()).await?;
    let mut relay = Relay::new(task, args);
    while let Some(message) = messages.next().await {
        for passing in relay.pass(message, String::new()) {
            client.publish_with_headers(passing.to, passing.headers, passing.payload).await?;
        }
    }
    Ok(())
}

/// Acknowledges each message when the stream that stores its output has confirmed it.
async fn relay_stored(client: &Client, task: &Task, args: &Args) -> Result<()> {
    let context = jetstream::ContextBuilder::new().max_ack_inflight(WINDOW).backpressure_on_inflight(true);
    let context = context.build(client.clone());
    let stream = context.get_stream(&task.stream).await?;
    let config = pull::Config {
        durable_name: Some(task.durable.clone()),
        max_ack_pending: i64::try_from(WINDOW)?,
        ..pull::Config::default()
    };
    let consumer = stream.get_or_create_consumer(&task.durable, config).await?;
    let mut messages = consumer.stream().max_messages_per_batch(WINDOW).messages().await?;
    let mut relay = Relay::new(task, args);
    let (sender, receiver) = mpsc::channel(WINDOW);
    let mut settling = tokio::spawn(settle(receiver));
    loop {
        let message = tokio::select! {
            message = messages.next() => message.context("the consumer has ended")??,
            settled = &mut settling => return settled?,
        };
        let sequence = message.info().map_err(anyhow::Error::from_boxed)?.stream_sequence;
        let (message, acker) = message.split();
        let mut confirmations = Vec::with_capacity(1);
        for passing in relay.pass(message, sequence.to_string()) {
            let publish = PublishMessage::build().headers(passing.headers).payload(passing.payload);
            confirmations.push(context.send_publish(passing.to, publish.message_id(passing.id)).await?);
        }
        if sender.send((confirmations, acker)).await.is_err() {
            return settling.await?;
        }
    }
}

async fn settle(mut sent: mpsc::Receiver<(Vec<PublishAckFuture>, jetstream::message::Acker)>) -> Result<()> {
    while let Some((confirmations, acker)) = sent.recv().await {
        for confirmation in confirmations {
            confirmation.await?;
        }
        acker.ack().await.map_err(anyhow::Error::from_boxed)?;
    }
    Ok(())
}

impl Relay {
    fn new(task: &Task, args: &Args) -> Self {
        let subject = |place| Subject::from(task.transport.out(place));
        Self {
            by_hand: args.by_hand,
            work: task.work,
            subjects: [Place::Default, Place::Review, Place::Dead].map(subject),
            saboteur: Saboteur::new(args.fault),
        }
    }

    fn pass(&mut self, message: async_nats::Message, id: String) -> Vec<Passing> {
        let original = message.payload;
        let (place, payload) = match self.by_hand {
            true => hand::handle(self.work, original.clone()),
            false => (Place::Default, original.clone()),
        };
        let (from, to) = (message.subject, self.subjects[place as usize].clone());
        let headers = message.headers.unwrap_or_default();
        self.saboteur.spoil(Passing { from, to, headers, payload, original, id })
    }
}
