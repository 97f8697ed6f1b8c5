//! Things break while messages flow, and the books are balanced afterwards: nothing lost, nothing twice, nothing out of
//! order. Each test prints a line of the table in docs/delivery.md; `cargo xtask faults` runs them at full length.

use std::time::Instant;

use trackside_tests::flow::{self, Answers, Books, Producer};
use trackside_tests::proxy::{Network, Proxy};
use trackside_tests::{Cluster, Server, Setup, Trackside, until};

/// Partitions that several instances share.
const PARTITIONS: usize = 8;

/// How often a story is told, at most, until something happens in it that depends on how busy the machine is.
const MOST_TELLINGS: usize = 10;

/// How many messages, and how often something breaks: few by default, so that every run of the tests has them.
fn scale(few: usize, many: usize) -> usize {
    if std::env::var_os("TRACKSIDE_FAULTS_FULL").is_some() { many } else { few }
}

/// Messages flow, something breaks, and the books are balanced.
struct Story {
    begun: Instant,
    url: String,
    keys: usize,
    producer: Producer,
    /// What the output stream held when it was last made anew.
    before: Vec<usize>,
}

/// How outputs are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outputs {
    /// Each by itself.
    Alone,
    /// By fast ingest, many of them in one batch.
    Batched,
}

impl Outputs {
    /// How many keys the messages have: of each one is under way at a time.
    fn keys(self) -> usize {
        match self {
            Self::Alone => flow::KEYS,
            Self::Batched => flow::MANY_KEYS,
        }
    }

    /// Makes the streams.
    async fn streams(self, url: &str, replicas: usize) -> Option<Answers> {
        flow::streams(url, replicas).await;
        self.renewed(url).await;
        match self {
            Self::Alone => None,
            Self::Batched => Some(Answers::watch(url).await),
        }
    }

    /// Has the output stream as it has to be, after it was made or changed.
    async fn renewed(self, url: &str) {
        if self == Self::Batched {
            flow::allow_batched(url).await;
        }
    }

    /// The name of a row.
    fn row(self, what: &str) -> String {
        match self {
            Self::Alone => what.to_owned(),
            Self::Batched => format!("{what}, outputs by fast ingest"),
        }
    }

    /// Tells a story until outputs were stored in this way in it, as far as the server told: many go into one batch while
    /// there is a backlog, and on a busy machine it may be that the producer never got ahead.
    async fn tell(self, once: impl AsyncFn(Self) -> Option<Answers>) {
        for _ in 0..MOST_TELLINGS {
            let answers = once(self).await;
            if self == Self::Alone || answers.is_some_and(|answers| answers.count() > 0) {
                return;
            }
        }
        panic!("the server never answered for many outputs at once");
    }
}

impl Story {
    /// So many messages begin to flow.
    fn begin(url: &str, count: usize) -> Self {
        Self::begin_with(url, count, flow::KEYS)
    }

    /// The same, of so many keys.
    fn begin_with(url: &str, count: usize, keys: usize) -> Self {
        let producer = Producer::start(url, count, keys);
        Self { begun: Instant::now(), url: url.to_owned(), keys, producer, before: Vec::new() }
    }

    /// Waits until everything has gone through, prints the line of the table and checks that the books are balanced.
    async fn conclude(mut self, name: &str, faults: &str) {
        self.producer.finish().await;
        flow::settled(&self.url).await;
        let Books { sent, lost, duplicates, disordered, dead } = flow::books(&self.url, self.keys, self.before).await;
        let seconds = self.begun.elapsed().as_secs();
        println!("| {name} | {faults} | {sent} | {lost} | {duplicates} | {disordered} | {dead} | {seconds} s |");
        assert_eq!((lost, duplicates, disordered, dead), (0, 0, 0, 0), "{name}: lost, twice, out of order, dead");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn server_killed() {
    Outputs::Alone.tell(server_killed_once).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn server_killed_batched() {
    Outputs::Batched.tell(server_killed_once).await;
}

async fn server_killed_once(outputs: Outputs) -> Option<Answers> {
    let (count, kills) = (scale(3_000, 50_000), scale(2, 5));
    let mut server = Server::start().await;
    let answers = outputs.streams(&server.url(), 1).await;
    let setup = flow::setup(&server.url());
    let trackside = Trackside::start(&setup).await;
    let story = Story::begin_with(&server.url(), count, outputs.keys());
    for kill in 1..=kills {
        story.producer.reached(count * kill / (kills + 1)).await;
        server.restart().await;
    }
    let row = outputs.row("nats-server killed and started again with its store");
    story.conclude(&row, &format!("{kills} times")).await;
    assert_eq!(trackside.drain().await, 0);
    answers
}

#[tokio::test(flavor = "multi_thread")]
async fn trackside_killed() {
    Outputs::Alone.tell(trackside_killed_once).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn trackside_killed_batched() {
    Outputs::Batched.tell(trackside_killed_once).await;
}

async fn trackside_killed_once(outputs: Outputs) -> Option<Answers> {
    let (count, kills) = (scale(3_000, 100_000), scale(3, 20));
    let server = Server::start().await;
    let answers = outputs.streams(&server.url(), 1).await;
    let setup = flow::setup(&server.url());
    let mut trackside = Trackside::start(&setup).await;
    let story = Story::begin_with(&server.url(), count, outputs.keys());
    for kill in 1..=kills {
        story.producer.reached(count * kill / (kills + 1)).await;
        trackside.kill();
        trackside = Trackside::start(&setup).await;
    }
    let row = outputs.row("Trackside killed and started again");
    story.conclude(&row, &format!("{kills} times")).await;
    assert_eq!(trackside.drain().await, 0);
    answers
}

#[tokio::test(flavor = "multi_thread")]
async fn network_cut() {
    Outputs::Alone.tell(network_cut_once).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn network_cut_batched() {
    Outputs::Batched.tell(network_cut_once).await;
}

async fn network_cut_once(outputs: Outputs) -> Option<Answers> {
    let (count, rounds) = (scale(3_000, 50_000), scale(1, 4));
    let server = Server::start().await;
    let answers = outputs.streams(&server.url(), 1).await;
    let proxy = Proxy::start(server.port()).await;
    let setup = flow::setup(&proxy.url());
    let trackside = Trackside::start(&setup).await;
    let story = Story::begin_with(&server.url(), count, outputs.keys());
    let faults = [Network::Stalls, Network::Drops, Network::Down];
    for round in 0..rounds * faults.len() {
        story.producer.reached(count * (round + 1) / (rounds * faults.len() + 1)).await;
        proxy.set(faults[round % faults.len()]);
        // The cut lasts until the world on the other side has moved on by a good deal.
        let on = (story.producer.sent() + count / 20).min(count);
        story.producer.reached(on).await;
        proxy.set(Network::Works);
    }
    let cuts = format!("stalled, dropped and reset {rounds} times each");
    story.conclude(&outputs.row("network cut between the two"), &cuts).await;
    assert_eq!(trackside.drain().await, 0);
    answers
}

#[tokio::test(flavor = "multi_thread")]
async fn network_cut_for_long() {
    let (count, cuts) = (scale(4_000, 60_000), scale(1, 6));
    let server = Server::start().await;
    flow::streams(&server.url(), 1).await;
    let proxies = [Proxy::start(server.port()).await, Proxy::start(server.port()).await];
    let setups = [flow::setup(&proxies[0].url()), flow::setup(&proxies[1].url())];
    let instances = [Trackside::start(&setups[0]).await, Trackside::start(&setups[1]).await];
    let story = Story::begin(&server.url(), count);
    story.producer.pause(true);
    let produce = async |more: usize| {
        story.producer.pause(false);
        story.producer.reached((story.producer.sent() + more).min(count)).await;
        story.producer.pause(true);
    };
    for cut in 0..cuts {
        let before = [received(&instances[0]).await, received(&instances[1]).await];
        produce(count / (2 * cuts + 1)).await;
        let reads = async |number: usize| (received(&instances[number]).await > before[number]).then_some(number);
        let reader = until("one of them to read", async || reads(0).await.or(reads(1).await)).await;
        proxies[reader].set([Network::Stalls, Network::Drops, Network::Down][cut % 3]);
        produce(count / (2 * cuts + 1)).await;
        // The other one reads once the pin of the one that is cut off has run out, and goes on once what that had in hand
        // has come again.
        until("the other one to take over", async || reads(1 - reader).await).await;
        server.settled("ORDERS", "trackside").await;
        proxies[reader].set(Network::Works);
    }
    story.producer.pause(false);
    let how = format!("{cuts} times, stalled, dropped and reset in turn");
    story.conclude("network of the instance that reads cut until another has taken over", &how).await;
    for instance in instances {
        assert_eq!(instance.drain().await, 0);
    }
}

/// How many deliveries an instance has had.
async fn received(instance: &Trackside) -> f64 {
    instance.metrics().await["trackside_source_received_total{source=\"orders\"}"]
}

#[tokio::test(flavor = "multi_thread")]
async fn leader_lost() {
    Outputs::Alone.tell(leader_lost_once).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn leader_lost_batched() {
    Outputs::Batched.tell(leader_lost_once).await;
}

async fn leader_lost_once(outputs: Outputs) -> Option<Answers> {
    let (count, losses) = (scale(2_000, 30_000), scale(1, 4));
    let mut cluster = Cluster::start().await;
    let answers = outputs.streams(&cluster.urls(), 3).await;
    let setup = flow::setup(&cluster.urls());
    let trackside = Trackside::start(&setup).await;
    let story = Story::begin_with(&cluster.urls(), count, outputs.keys());
    for loss in 1..=losses {
        story.producer.reached(count * loss / (losses + 1)).await;
        let stream = ["ORDERS", "CLEAN"][loss % 2];
        let leader = cluster.leader_of(stream).await;
        cluster.restart(leader).await;
    }
    let row = outputs.row("leader of a three-node cluster killed");
    story.conclude(&row, &format!("{losses} times")).await;
    assert_eq!(trackside.drain().await, 0);
    answers
}

#[tokio::test(flavor = "multi_thread")]
async fn output_full() {
    Outputs::Alone.tell(output_full_once).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn output_full_batched() {
    Outputs::Batched.tell(output_full_once).await;
}

async fn output_full_once(outputs: Outputs) -> Option<Answers> {
    let count = scale(2_000, 30_000);
    let server = Server::start().await;
    let url = server.url();
    let answers = outputs.streams(&url, 1).await;
    flow::stream(&url, "CLEAN", "clean.>", 1, (count / 4) as i64).await;
    outputs.renewed(&url).await;
    let setup = flow::setup(&url);
    let story = Story::begin_with(&url, count, outputs.keys());
    // Outputs are stored many at a time where there is a backlog, so there is one.
    story.producer.reached(count / 4).await;
    let trackside = Trackside::start(&setup).await;
    until("the output stream to be full", async || {
        trackside.log().contains("an output could not be published").then_some(())
    })
    .await;
    flow::stream(&url, "CLEAN", "clean.>", 1, -1).await;
    outputs.renewed(&url).await;
    story.conclude(&outputs.row("output stream full, then with room again"), "once").await;
    assert_eq!(trackside.drain().await, 0);
    answers
}

#[tokio::test(flavor = "multi_thread")]
async fn output_deleted() {
    let count = scale(2_000, 30_000);
    let server = Server::start().await;
    let url = server.url();
    flow::streams(&url, 1).await;
    let setup = flow::setup(&url);
    let trackside = Trackside::start(&setup).await;
    let mut story = Story::begin(&url, count);
    story.producer.reached(count / 2).await;
    // What is deleted with the stream is gone, and nobody else's fault: it is read first, while nothing flows.
    story.producer.pause(true);
    let stored = until("the producer to hold", async || {
        let before = story.producer.sent();
        flow::settled(&url).await;
        (story.producer.sent() == before).then_some(before)
    })
    .await;
    story.before = flow::numbers(&url, "CLEAN").await;
    assert!(story.before.len() >= stored, "everything so far has arrived");
    let context = async_nats::jetstream::new(server.client().await);
    context.delete_stream("CLEAN").await.expect("it is there");
    story.producer.pause(false);
    until("outputs without a stream", async || trackside.log().contains("no stream takes").then_some(())).await;
    flow::stream(&url, "CLEAN", "clean.>", 1, -1).await;
    story.conclude("output stream deleted, then made again", "once").await;
    assert_eq!(trackside.drain().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn consumer_deleted() {
    let (count, times) = (scale(2_000, 30_000), scale(1, 3));
    let server = Server::start().await;
    let url = server.url();
    flow::streams(&url, 1).await;
    let setup = flow::setup(&url);
    let trackside = Trackside::start(&setup).await;
    let story = Story::begin(&url, count);
    let context = async_nats::jetstream::new(server.client().await);
    for time in 1..=times {
        story.producer.reached(count * time / (times + 1)).await;
        let stream = context.get_stream("ORDERS").await.expect("it is there");
        until("the consumer to delete", async || stream.delete_consumer("trackside").await.ok()).await;
    }
    story.conclude("consumer deleted", &format!("{times} times")).await;
    assert_eq!(trackside.drain().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn disk_full() {
    let count = scale(2_000, 20_000);
    let Some(disk) = trackside_tests::SmallDisk::mount("256m") else {
        println!("| disk full under the store | not run: mounting a small disk needs root | | | | | | |");
        return;
    };
    let mut server = Server::start_in(disk.path()).await;
    let url = server.url();
    flow::streams(&url, 1).await;
    let setup = flow::setup(&url);
    let trackside = Trackside::start(&setup).await;
    disk.fill(1 << 20);
    let story = Story::begin(&url, count);
    until("the disk to be full", async || {
        let full = server.log().contains("no space left");
        let tells = trackside.log().contains("an output could not be published");
        (full && (tells || story.producer.sent() < count)).then_some(())
    })
    .await;
    disk.free();
    // A nats-server that could not write stops serving the stream until it is started again.
    server.restart().await;
    story.conclude("disk full under the store, then with room again", "once").await;
    assert_eq!(trackside.drain().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn instance_killed() {
    let (count, rounds) = (scale(3_000, 50_000), scale(1, 5));
    let server = Server::start().await;
    let url = server.url();
    flow::streams(&url, 1).await;
    // Two of them, each with a directory of its own that says the same: one is killed, the other is asked to end.
    let setups = [flow::setup(&url), flow::setup(&url)];
    let mut killed = Trackside::start(&setups[0]).await;
    let mut ended = Trackside::start(&setups[1]).await;
    let story = Story::begin(&url, count);
    for round in 1..=rounds {
        story.producer.reached(count * (2 * round - 1) / (2 * rounds + 1)).await;
        killed.kill();
        killed = Trackside::start(&setups[0]).await;
        story.producer.reached(count * 2 * round / (2 * rounds + 1)).await;
        assert_eq!(ended.drain().await, 0);
        ended = Trackside::start(&setups[1]).await;
    }
    let how = format!("{rounds} times killed, {rounds} times ended by SIGTERM");
    story.conclude("instances that share a stream come and go", &how).await;
    assert_eq!((killed.drain().await, ended.drain().await), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn partition_owner_killed() {
    let (count, rounds) = (scale(4_000, 100_000), scale(1, 5));
    let server = Server::start().await;
    let url = server.url();
    flow::streams(&url, 1).await;
    flow::partition(&url, PARTITIONS).await;
    let setups: Vec<Setup> = (0..3).map(|_| flow::partitioned_setup(&url, PARTITIONS)).collect();
    let mut instances = Vec::new();
    for setup in &setups {
        instances.push(Trackside::start(setup).await);
    }
    let story = Story::begin(&url, count);
    // Every instance reads some before the first one dies.
    for instance in &instances {
        until("the partitions to be shared", async || instance.log().contains("instances=3").then_some(())).await;
    }
    for round in 1..=rounds {
        story.producer.reached(count * (2 * round - 1) / (2 * rounds + 1)).await;
        let victim = round % instances.len();
        instances.remove(victim).kill();
        instances.insert(victim, Trackside::start(&setups[victim]).await);
        story.producer.reached(count * 2 * round / (2 * rounds + 1)).await;
        let leaver = (round + 1) % instances.len();
        assert_eq!(instances.remove(leaver).drain().await, 0);
        instances.insert(leaver, Trackside::start(&setups[leaver]).await);
    }
    let how = format!("{rounds} times killed, {rounds} times ended by SIGTERM");
    story.conclude("three instances that share eight partitions come and go", &how).await;
    for instance in instances {
        assert_eq!(instance.drain().await, 0);
    }
}
