//! What comes out, as it comes: from a subscription, or from the stream that stores it.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use async_nats::jetstream::consumer::pull::OrderedConfig;
use async_nats::{HeaderMap, Subject};
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt, TryStreamExt};

use super::task::{NUMBER, Transport};
use super::world::{Load, OUT, World, number_of};
use crate::process::Process;

/// What a message bears in place of a number that is only sent to see whether somebody relays.
const PROBE: &str = "probe";
/// The last token of the subject that we publish to ourselves, behind everything else.
const END: &str = "end";

const PROBE_PERIOD: Duration = Duration::from_millis(50);
const PROBE_LIMIT: Duration = Duration::from_secs(30);
const END_LIMIT: Duration = Duration::from_secs(20);

/// One message that came out.
pub(crate) struct Arrival {
    pub(crate) subject: Subject,
    pub(crate) number: Option<usize>,
    pub(crate) payload: Bytes,
}

/// Everything that comes out from now on.
pub(crate) struct Outputs {
    messages: BoxStream<'static, Result<async_nats::Message>>,
    transport: Transport,
}

impl Outputs {
    /// Begins to listen. A stream is read from its beginning.
    pub(crate) async fn open(world: &World, transport: Transport) -> Result<Self> {
        let messages = match transport {
            Transport::Core => {
                let messages = world.receiver.subscribe(format!("{}.out.>", transport.prefix())).await?;
                messages.map(Ok).boxed()
            }
            Transport::JetStream => {
                let consumer = world.jetstream.create_consumer_on_stream(OrderedConfig::default(), OUT).await?;
                let messages = consumer.messages().await?;
                messages.map_ok(|message| message.message).map_err(anyhow::Error::from).boxed()
            }
        };
        Ok(Self { messages, transport })
    }

    /// Sends a message again and again until it comes out, so that nothing is measured that nobody listens to.
    ///
    /// # Errors
    /// When the process ends, or relays nothing in time.
    pub(crate) async fn probe(&mut self, world: &World, load: &Load, process: &mut Process) -> Result<()> {
        let subject = load.transport.source(0, load.keys);
        let mut headers = HeaderMap::new();
        headers.insert(NUMBER, PROBE);
        let payload = load.orders.of(0).payload.clone();
        let (sender, messages) = (&world.sender, &mut self.messages);
        let arrived = async || {
            sender.publish_with_headers(subject.clone(), headers.clone(), payload.clone()).await.ok()?;
            tokio::time::timeout(PROBE_PERIOD, messages.next()).await.ok()
        };
        match process.wait_for("a message to be relayed", PROBE_LIMIT, arrived).await? {
            Some(message) => message.map(drop),
            None => bail!("the outputs have ended"),
        }
    }

    /// The next one that is no probe. Cancel safe.
    pub(crate) async fn next(&mut self) -> Result<Arrival> {
        loop {
            let message = self.messages.next().await.context("the outputs have ended")??;
            let headers = message.headers.as_ref();
            if headers.and_then(|headers| headers.get(NUMBER)).is_some_and(|number| number.as_str() == PROBE) {
                continue;
            }
            let number = number_of(headers);
            return Ok(Arrival { subject: message.subject, number, payload: message.payload });
        }
    }

    /// What else has come out by now, the process that it came from having ended.
    pub(crate) async fn rest(mut self, world: &World) -> Result<Vec<Arrival>> {
        let end = Subject::from(format!("{}.out.{END}", self.transport.prefix()));
        world.sender.publish(end.clone(), Bytes::new()).await?;
        let mut rest = Vec::new();
        let reading = async {
            loop {
                match self.next().await? {
                    arrival if arrival.subject == end => return anyhow::Ok(()),
                    arrival => rest.push(arrival),
                }
            }
        };
        tokio::time::timeout(END_LIMIT, reading).await.context("the outputs do not come to an end")??;
        Ok(rest)
    }
}
