use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt as _;
use tokio::sync::watch;

use super::server::Server;
use super::{ROOM, connected, jetstream_source, make_stream, next, other_client, payload, store, subscribed, within};
use crate::backbone::{Connection, Delivery, Room, Source};
use crate::message::SubjectPattern;
use crate::rules::{self, Partitions, SourceKind};

const COUNT: u32 = 4;

fn partitioned_source(wait: Duration) -> rules::Source {
    let mut source = jetstream_source("ORDERS", "reader");
    if let SourceKind::JetStream { ack_wait, partitions, filter_subjects, .. } = &mut source.kind {
        *ack_wait = wait;
        *filter_subjects = vec![SubjectPattern::new("orders.*.>").expect("a pattern")];
        *partitions = Some(Partitions { count: COUNT, filters: vec!["orders.{partition}.>".to_owned()] });
    }
    source
}

async fn opened(connection: &Connection, wait: Duration) -> Source {
    within(connection.open(&partitioned_source(wait))).await.expect("opens")
}

async fn start() -> (Server, async_nats::Client) {
    let server = Server::start();
    let other = other_client(&server).await;
    make_stream(&other, "ORDERS", &["orders.>"]).await;
    (server, other)
}

/// Stores these numbers in each partition, one partition after another.
async fn store_in_each(client: &async_nats::Client, numbers: std::ops::Range<u32>) {
    for partition in 0..COUNT {
        store(client, &format!("orders.{partition}.key"), numbers.clone()).await;
    }
}

/// The partition and the number of a message.
fn place(delivery: &Delivery) -> (u32, u32) {
    let partition = delivery.message.subject.as_str().split('.').nth(1).expect("has one");
    (partition.parse().expect("a number"), payload(delivery).parse().expect("a number"))
}

/// What was handed over, by whichever instance.
#[derive(Debug, Default)]
struct Seen {
    /// The next number of each partition.
    expected: BTreeMap<u32, u32>,
    /// Who had the last message of each partition.
    last: BTreeMap<u32, u32>,
}

impl Seen {
    /// A message may come again, and none may come before all those before it in its partition have.
    fn note(&mut self, instance: u32, delivery: &Delivery) {
        let (partition, number) = place(delivery);
        let expected = self.expected.entry(partition).or_default();
        assert!(number <= *expected, "{number} of partition {partition} came before {expected}");
        *expected = (*expected).max(number + 1);
        self.last.insert(partition, instance);
    }

    fn all_until(&self, end: u32) -> bool {
        (0..COUNT).all(|partition| self.expected.get(&partition) == Some(&end))
    }
}

/// Stores a further message in each partition and has two instances handle it, until each of them gets half. How many
/// messages each partition has then.
async fn balanced(client: &async_nats::Client, one: &mut Source, two: &mut Source, seen: &mut Seen) -> u32 {
    for round in seen.expected.values().min().copied().unwrap_or(0).. {
        store_in_each(client, round..round + 1).await;
        while !seen.all_until(round + 1) {
            let (instance, batch) = tokio::select! {
                batch = next(one) => (1, batch),
                batch = next(two) => (2, batch),
            };
            for delivery in batch {
                seen.note(instance, &delivery);
                delivery.acker.ack().await.expect("is sent");
            }
        }
        if seen.last.values().filter(|instance| **instance == 1).count() == 2 {
            return round + 1;
        }
    }
    unreachable!("rounds do not end")
}

#[tokio::test]
async fn an_instance_alone_reads_all_partitions_each_in_order_and_none_before_the_others() {
    let (server, other) = start().await;
    store_in_each(&other, 0..100).await;
    let connection = connected(&server).await;
    let mut source = opened(&connection, Duration::from_secs(30)).await;
    let mut seen = Seen::default();
    let mut most_apart = 0;
    while !seen.all_until(100) {
        // Less room than there are partitions.
        let room = Room { messages: 2, ..ROOM };
        let batch = within(source.next(room)).await.expect("delivers");
        assert!(batch.len() <= 2, "{}", batch.len());
        for delivery in batch {
            seen.note(1, &delivery);
            delivery.acker.ack().await.expect("is sent");
        }
        let least = (0..COUNT).map(|partition| seen.expected.get(&partition).copied().unwrap_or(0)).min();
        most_apart = most_apart.max(seen.expected.values().max().unwrap_or(&0) - least.unwrap_or(0));
    }
    assert!(most_apart < 50, "one partition was ahead by {most_apart}");
}

#[tokio::test]
async fn instances_share_the_partitions_and_a_killed_one_is_followed_in_order() {
    let (server, other) = start().await;
    let (one, two) = (connected(&server).await, connected(&server).await);
    let mut first = opened(&one, Duration::from_secs(2)).await;
    let mut second = opened(&two, Duration::from_secs(2)).await;
    let mut seen = Seen::default();
    let end = within(Box::pin(balanced(&other, &mut first, &mut second, &mut seen))).await;

    // It dies with what it works on.
    store_in_each(&other, end..end + 5).await;
    for delivery in next(&mut first).await {
        seen.note(1, &delivery);
    }
    drop((first, one));
    store_in_each(&other, end + 5..end + 10).await;
    while !seen.all_until(end + 10) {
        for delivery in next(&mut second).await {
            seen.note(2, &delivery);
            delivery.acker.ack().await.expect("is sent");
        }
    }
    assert!(seen.last.values().all(|instance| *instance == 2));
}

#[tokio::test]
async fn an_instance_that_retires_says_so_and_leaves_its_partitions_at_once() {
    let (server, other) = start().await;
    let (one, two) = (connected(&server).await, connected(&server).await);
    // So long that nothing comes again because of it.
    let never = Duration::from_secs(24 * 60 * 60);
    let mut unpinned = subscribed(&other, "$JS.EVENT.ADVISORY.CONSUMER.UNPINNED.>").await;
    let mut first = opened(&one, never).await;
    let mut seen = Seen::default();
    store_in_each(&other, 0..1).await;
    while !seen.all_until(1) {
        for delivery in next(&mut first).await {
            seen.note(1, &delivery);
            delivery.acker.ack().await.expect("is sent");
        }
    }
    let mut second = opened(&two, never).await;
    let end = within(Box::pin(balanced(&other, &mut first, &mut second, &mut seen))).await;
    let mut goodbyes = subscribed(&other, "_TRACKSIDE.presence.ORDERS.reader.gone").await;
    store_in_each(&other, end..end + 5).await;
    within(first.retire()).await;
    within(goodbyes.next()).await.expect("is said");
    while !seen.all_until(end + 5) {
        for delivery in next(&mut second).await {
            seen.note(2, &delivery);
            delivery.acker.ack().await.expect("is sent");
        }
    }
    // Two when the second came, two when the first went, however often the calls were cancelled meanwhile.
    for _ in 0..4 {
        let advisory = within(unpinned.next()).await.expect("is said").payload;
        let advisory: serde_json::Value = serde_json::from_slice(&advisory).expect("is JSON");
        assert_eq!(advisory["reason"], "admin", "a pin was given back and not left to time out");
    }
}

/// Handles messages until told to stop, and leaves.
async fn work(mut source: Source, instance: u32, seen: Arc<Mutex<Seen>>, mut stop: watch::Receiver<u32>) {
    loop {
        let batch = tokio::select! {
            _ = stop.wait_for(|stopped| *stopped >= instance) => break,
            batch = source.next(Room { messages: 50, ..ROOM }) => batch.expect("delivers"),
        };
        for delivery in batch {
            seen.lock().expect("no panic").note(instance, &delivery);
            delivery.acker.ack().await.expect("is sent");
        }
    }
    source.retire().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_overtakes_while_instances_come_and_go() {
    let (server, other) = start().await;
    store_in_each(&other, 0..2000).await;
    let seen = Arc::new(Mutex::new(Seen::default()));
    let stop = watch::Sender::new(0);
    let handled = || seen.lock().expect("no panic").expected.values().sum::<u32>();
    let mut working = Vec::new();
    for instance in 1..=4 {
        let connection = connected(&server).await;
        let source = opened(&connection, Duration::from_secs(2)).await;
        working.push(tokio::spawn(work(source, instance, Arc::clone(&seen), stop.subscribe())));
        within(async {
            while handled() < instance * 1500 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        if instance > 1 {
            stop.send_replace(instance - 1);
        }
    }
    within(async {
        while !seen.lock().expect("no panic").all_until(2000) {
            assert!(working.iter().take(3).all(|task| !task.is_finished()) || !working[3].is_finished());
            tokio::task::yield_now().await;
        }
    })
    .await;
    stop.send_replace(4);
    for task in working {
        within(task).await.expect("no panic");
    }
}
