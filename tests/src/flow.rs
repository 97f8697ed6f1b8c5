//! A stream of numbered messages through Trackside, and the books that are kept of it: what went in, what came out, how
//! often, and in which order.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_nats::jetstream::{self, consumer};
use futures::{StreamExt as _, TryStreamExt as _};

use crate::{Setup, hostile, until};

/// How many keys the messages have: few, so that there is an order to keep.
pub const KEYS: usize = 50;
/// How many they have where many have to be under way at a time.
pub const MANY_KEYS: usize = 2000;

/// The duplicate window of the output streams: longer than any of these tests takes.
const WINDOW: std::time::Duration = std::time::Duration::from_secs(3600);

/// What makes the messages about as large as an order.
const PADDING: &str = include_str!("../../LICENSE").split_at(1000).0;

/// A producer at work.
#[derive(Debug)]
pub struct Producer {
    sent: Arc<AtomicUsize>,
    paused: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<()>,
}

/// What came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Books {
    /// Messages that were stored in the source stream.
    pub sent: usize,
    /// Of these, how many are neither in the output stream nor a dead letter.
    pub lost: usize,
    /// Messages in the output stream that are there already.
    pub duplicates: usize,
    /// Messages in the output stream that come after a later one of their key.
    pub disordered: usize,
    /// Dead letters.
    pub dead: usize,
}

/// The streams of the test: one that is read, one for outputs, one for dead letters.
pub async fn streams(url: &str, replicas: usize) {
    for (name, subjects) in [("ORDERS", "orders.>"), ("CLEAN", "clean.>"), ("DEAD", "dead.>")] {
        stream(url, name, subjects, replicas, -1).await;
    }
}

/// Makes or changes a stream that takes so many messages and refuses more. One that allows fast ingest goes on to.
pub async fn stream(url: &str, name: &str, subjects: &str, replicas: usize, most: i64) {
    let config = jetstream::stream::Config {
        name: name.to_owned(),
        subjects: vec![subjects.to_owned()],
        num_replicas: replicas,
        max_messages: most,
        discard: jetstream::stream::DiscardPolicy::New,
        duplicate_window: WINDOW,
        ..jetstream::stream::Config::default()
    };
    until(&format!("stream {name}"), async || {
        let context = context(url).await?;
        let known = context.get_stream(name).await;
        let allow_batch_publish = known.is_ok_and(|stream| stream.cached_info().config.allow_batch_publish);
        context.create_or_update_stream(jetstream::stream::Config { allow_batch_publish, ..config.clone() }).await.ok()
    })
    .await;
}

/// Has the output stream allow fast ingest.
pub async fn allow_batched(url: &str) {
    until("the output stream to allow fast ingest", async || {
        let context = context(url).await?;
        let mut config = context.get_stream("CLEAN").await.ok()?.cached_info().config.clone();
        config.allow_batch_publish = true;
        context.update_stream(config).await.ok()
    })
    .await;
}

/// Answers of the server to batches of fast ingest, as they go by.
#[derive(Debug)]
pub struct Answers {
    count: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Answers {
    /// Listens to what the server tells others.
    pub async fn watch(url: &str) -> Self {
        let client = until("the server", async || async_nats::connect(addresses(url)).await.ok()).await;
        let mut answers = client.subscribe("_INBOX.*.*.fail.*.*.$FI").await.expect("a subscription");
        client.flush().await.expect("the server knows of it");
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        let task = tokio::spawn(async move {
            while let Some(answer) = answers.next().await {
                let stored = serde_json::from_slice::<serde_json::Value>(&answer.payload);
                let stored = stored.is_ok_and(|answer| answer["type"] == "ack" && answer["seq"] != 0);
                counted.fetch_add(usize::from(stored), Ordering::Relaxed);
            }
        });
        Self { count, task }
    }

    /// How many there were that said of many messages that they are stored.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }
}

impl Drop for Answers {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A client of these servers, whose addresses are separated by commas.
pub(crate) async fn context(urls: &str) -> Option<jetstream::Context> {
    Some(jetstream::new(async_nats::connect(addresses(urls)).await.ok()?))
}

fn addresses(urls: &str) -> Vec<async_nats::ServerAddr> {
    urls.split(',').map(|url| url.parse().expect("the address of a server")).collect()
}

/// Has the source stream put the key's partition, one of so many, before the key: `orders.3.17` instead of `orders.17`.
///
/// # Panics
/// When there is no such stream or the server refuses.
pub async fn partition(url: &str, count: usize) {
    let context = until("the server", async || context(url).await).await;
    let mut config = context.get_stream("ORDERS").await.expect("it is there").cached_info().config.clone();
    config.subject_transform = Some(jetstream::stream::SubjectTransform {
        source: "orders.*".to_owned(),
        destination: format!("orders.{{{{partition({count},1)}}}}.{{{{wildcard(1)}}}}"),
    });
    context.update_stream(config).await.expect("a transform");
}

/// A configuration that takes orders in order of their keys through a plugin to the output stream, at this server.
#[must_use]
pub fn setup(url: &str) -> Setup {
    configured(url, "partitions = 1", 2)
}

/// The same for a stream that is [partitioned](partition).
#[must_use]
pub fn partitioned_setup(url: &str, count: usize) -> Setup {
    configured(url, &format!("partitions = {count}\nfilter-subjects = [\"orders.{{partition}}.*\"]"), 3)
}

/// With the key in this token of the subject.
fn configured(url: &str, source: &str, key: usize) -> Setup {
    let setup = Setup::new(
        url,
        &format!(
            "[sources.orders]\nstream = \"ORDERS\"\ndurable = \"trackside\"\n{source}\nack-wait = \"2s\"\n\
             max-in-flight-messages = 2000\n[plugins.directed]\npath = \"plugins/directed.wasm\"\ndeadline = \"30s\"\n"
        ),
    );
    setup.write("plugins/directed.wasm", hostile::component("directed"));
    setup.write(
        "rules/orders.toml",
        format!(
            "[[rule]]\nname = \"orders\"\nsource = \"orders\"\nsubject = \"orders.>\"\norder-by = \"subject.{key}\"\n\
             [[rule.stage]]\nplugin = \"directed\"\n[rule.routes]\ndefault = \"clean.{{subject.{key}}}\"\n\
             [rule.breaker]\nopen-for = \"100ms\"\nopen-for-most = \"500ms\"\n\
             [rule.on-failure]\ndead-letter = \"dead.orders\"\nbackoff = [\"50ms\", \"200ms\", \"500ms\"]\ntries = 100\n"
        ),
    );
    setup
}

impl Producer {
    /// Stores `count` messages of so many keys in the source stream, each exactly once, whatever happens to the server
    /// meanwhile.
    #[must_use]
    pub fn start(url: &str, count: usize, keys: usize) -> Self {
        let (sent, paused) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let task = tokio::spawn(produce(url.to_owned(), count, keys, Arc::clone(&sent), Arc::clone(&paused)));
        Self { sent, paused, task }
    }

    /// How many are stored.
    #[must_use]
    pub fn sent(&self) -> usize {
        self.sent.load(Ordering::Acquire)
    }

    /// Waits until so many are stored.
    pub async fn reached(&self, count: usize) {
        until("the producer to get on", async || (self.sent() >= count).then_some(())).await;
    }

    /// Holds the producer back, or lets it go on.
    pub fn pause(&self, paused: bool) {
        self.paused.store(paused, Ordering::Release);
    }

    /// Waits until everything is stored.
    ///
    /// # Panics
    /// When the producer panicked.
    pub async fn finish(&mut self) {
        (&mut self.task).await.expect("the producer does not panic");
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Messages on their way at a time: few enough that a lost connection leaves few to be sent again.
const BATCH: usize = 100;

async fn produce(url: String, count: usize, keys: usize, sent: Arc<AtomicUsize>, paused: Arc<AtomicBool>) {
    let client = async_nats::ConnectOptions::new().retry_on_initial_connect().connect(addresses(&url)).await;
    let context = jetstream::new(client.expect("it is retried until the server is there"));
    let mut poll = tokio::time::interval(std::time::Duration::from_millis(10));
    let mut next = 0;
    while next < count {
        while paused.load(Ordering::Acquire) {
            poll.tick().await;
        }
        let end = (next + BATCH).min(count);
        // One key's messages have to be stored in their order, so what failed is sent again with all that follows: the
        // ids keep the stream from storing any of it twice.
        let mut pending = Vec::with_capacity(end - next);
        for number in next..end {
            let mut headers = async_nats::HeaderMap::new();
            headers.insert("Nats-Msg-Id", number.to_string());
            let subject = format!("orders.{}", number % keys);
            pending.push(context.publish_with_headers(subject, headers, format!("n{number} {PADDING}").into()).await);
        }
        for (ack, number) in pending.into_iter().zip(next..end) {
            let Ok(ack) = ack else { break };
            if ack.await.is_err() {
                break;
            }
            next = number + 1;
        }
        sent.store(next, Ordering::Release);
    }
}

/// All numbers in a stream, in its order.
pub async fn numbers(url: &str, stream: &str) -> Vec<usize> {
    let context = until("the server", async || context(url).await).await;
    let stream = until("the stream", async || context.get_stream(stream).await.ok()).await;
    let held = stream.cached_info().state.messages;
    if held == 0 {
        return Vec::new();
    }
    let config = consumer::pull::OrderedConfig::default();
    let consumer = stream.create_consumer(config).await.expect("an ordered consumer");
    let messages = consumer.messages().await.expect("its messages");
    let number = |payload: &[u8]| {
        let text = std::str::from_utf8(payload).ok()?.split_whitespace().next()?;
        text.trim_start_matches(char::is_alphabetic).parse::<usize>().ok()
    };
    messages
        .take(usize::try_from(held).expect("a few"))
        .map(|message| number(&message.expect("a stored message").payload).expect("a numbered message"))
        .collect()
        .await
}

/// Waits until everything is acknowledged to every consumer of the source stream, of which there is one at least.
pub async fn settled(url: &str) {
    until("everything to be acknowledged", async || {
        let context = context(url).await?;
        let stream = context.get_stream("ORDERS").await.ok()?;
        let consumers: Vec<consumer::Info> = stream.consumers().try_collect().await.ok()?;
        let done = |info: &consumer::Info| info.num_ack_pending == 0 && info.num_pending == 0;
        (!consumers.is_empty() && consumers.iter().all(done)).then_some(())
    })
    .await;
}

/// Draws up the books of messages of so many keys. `before` is what the output stream held when it was last emptied or
/// made anew.
pub async fn books(url: &str, keys: usize, before: Vec<usize>) -> Books {
    let sent = numbers(url, "ORDERS").await;
    let clean: Vec<usize> = before.into_iter().chain(numbers(url, "CLEAN").await).collect();
    let dead = numbers(url, "DEAD").await;
    let mut times: BTreeMap<usize, usize> = BTreeMap::new();
    for number in clean.iter().chain(&dead) {
        *times.entry(*number).or_default() += 1;
    }
    // What counts is the order of the source stream. It need not be that of the numbers: a cluster that loses its leader
    // may lose a message in the middle of a batch, which the producer sends again.
    let places: HashMap<usize, usize> = sent.iter().zip(0..).map(|(number, place)| (*number, place)).collect();
    let mut last: HashMap<usize, usize> = HashMap::new();
    let mut disordered = 0;
    for number in &clean {
        let place = places[number];
        let last = last.entry(number % keys).or_insert(place);
        disordered += usize::from(place < *last);
        *last = (*last).max(place);
    }
    Books {
        sent: sent.len(),
        lost: sent.iter().filter(|number| !times.contains_key(number)).count(),
        duplicates: times.values().map(|times| times - 1).sum(),
        disordered,
        dead: dead.len(),
    }
}
