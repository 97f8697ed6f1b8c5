//! The backbone against a real nats-server, whose path is in the environment variable `NATS_SERVER`.

mod acknowledging;
mod batches;
mod connecting;
mod consumers;
mod held;
mod ingest;
mod ordered;
mod outputs;
mod partitions;
#[path = "../../../../tests/src/port.rs"]
#[expect(unreachable_pub, reason = "it is public in the tests' library, whose file this is")]
mod port;
mod relay;
mod requests;
mod server;
mod sources;
mod streams;

use std::collections::BTreeSet;
use std::future::Future;
use std::path::Path;
use std::time::Duration;

use async_nats::jetstream;
use bytes::Bytes;

use self::server::Server;
use super::{Connection, Delivery, Outgoing, Room, Source, connect};
use crate::message::{Headers, Subject, SubjectPattern};
use crate::rules::{self, Auth, Confirm, Deliver, Location, NatsSettings, SourceKind, SourceText};

/// No test waits longer than this for one thing.
const PATIENCE: Duration = Duration::from_secs(60);

async fn within<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("took too long")
}

fn settings(server: &Server) -> NatsSettings {
    NatsSettings {
        servers: vec![server.url()],
        name: "trackside-test".to_owned(),
        auth: Auth::None,
        tls: None,
        request_timeout: Duration::from_secs(5),
    }
}

async fn connected(server: &Server) -> Connection {
    within(connect(&settings(server), Path::new("/"))).await.expect("connects")
}

/// A client that is not the one under test.
async fn other_client(server: &Server) -> async_nats::Client {
    within(async_nats::connect(server.url())).await.expect("connects")
}

/// A subscription that the server knows of, which a flush of the client does not wait for.
async fn subscribed(client: &async_nats::Client, subject: &'static str) -> async_nats::Subscriber {
    let subscription = within(client.subscribe(subject)).await.expect("subscribes");
    let answer = within(client.request("nobody.here", Bytes::new())).await;
    assert_eq!(answer.expect_err("nobody is there").kind(), async_nats::RequestErrorKind::NoResponders);
    subscription
}

async fn make_stream(client: &async_nats::Client, name: &str, subjects: &[&str]) {
    let config = jetstream::stream::Config {
        name: name.to_owned(),
        subjects: subjects.iter().map(|&subject| subject.to_owned()).collect(),
        ..Default::default()
    };
    within(jetstream::new(client.clone()).create_stream(config)).await.expect("makes a stream");
}

/// Publishes numbers as payloads and waits until the stream has them.
async fn store(client: &async_nats::Client, subject: &str, numbers: std::ops::Range<u32>) {
    let context = jetstream::new(client.clone());
    let mut acks = Vec::new();
    for number in numbers {
        let ack = context.publish(subject.to_owned(), Bytes::from(number.to_string())).await;
        acks.push(ack.expect("is sent"));
    }
    for ack in acks {
        within(std::future::IntoFuture::into_future(ack)).await.expect("is stored");
    }
}

fn pattern(text: &str) -> SubjectPattern {
    SubjectPattern::new(text).expect("a pattern")
}

fn jetstream_source(stream: &str, durable: &str) -> rules::Source {
    rules::Source {
        kind: SourceKind::JetStream {
            stream: stream.to_owned(),
            filter_subjects: Vec::new(),
            durable: durable.to_owned(),
            deliver: Deliver::All,
            ack_wait: Duration::from_secs(30),
            double_ack: false,
            partitions: None,
        },
        max_in_flight_messages: 1000,
        max_in_flight_bytes: 1 << 20,
        priority: rules::Priority::Normal,
        location: Location::new(&SourceText::new("trackside.toml", ""), 0..0),
    }
}

fn core_source(subject: &str, queue_group: Option<&str>) -> rules::Source {
    rules::Source {
        kind: SourceKind::Core { subject: pattern(subject), queue_group: queue_group.map(str::to_owned) },
        ..jetstream_source("", "")
    }
}

const ROOM: Room = Room { messages: 1000, bytes: 1 << 20, holds_nothing: true };

async fn next(source: &mut Source) -> Vec<Delivery> {
    within(source.next(ROOM)).await.expect("delivers")
}

/// Takes exactly this many messages.
async fn take(source: &mut Source, count: usize) -> Vec<Delivery> {
    let mut taken = Vec::new();
    while taken.len() < count {
        let room = Room { messages: count - taken.len(), ..ROOM };
        taken.extend(within(source.next(room)).await.expect("delivers"));
    }
    taken
}

fn payload(delivery: &Delivery) -> &str {
    std::str::from_utf8(&delivery.message.payload).expect("text")
}

/// Acknowledges messages until every one of these numbers has come.
async fn acknowledge_all(source: &mut Source, numbers: std::ops::Range<u32>) {
    let mut missing: BTreeSet<String> = numbers.map(|number| number.to_string()).collect();
    while !missing.is_empty() {
        for delivery in next(source).await {
            missing.remove(payload(&delivery));
            delivery.acker.ack().await.expect("is sent");
        }
    }
}

fn outgoing(subject: &str, id: &str) -> Outgoing {
    Outgoing {
        subject: Subject::new(subject).expect("a subject"),
        reply: None,
        headers: Headers::default(),
        payload: Bytes::from_static(b"{}"),
        confirm: Confirm::Auto,
        message_id: id.to_owned(),
    }
}
