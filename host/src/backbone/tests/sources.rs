use std::collections::BTreeSet;
use std::time::Duration;

use async_nats::jetstream;
use bytes::Bytes;
use futures::FutureExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::connecting::Log;
use super::server::Server;
use super::{
    ROOM, acknowledge_all, connected, core_source, jetstream_source, make_stream, next, other_client, outgoing,
    payload, store, subscribed, take, within,
};
use crate::backbone::{Acker, Source, SourceError};
use crate::message::OriginKind;
use crate::rules::SourceKind;

#[tokio::test]
async fn a_message_comes_with_its_subject_headers_payload_and_origin() {
    let server = Server::start();
    let other = other_client(&server).await;
    make_stream(&other, "ORDERS", &["orders.>"]).await;
    let mut headers = async_nats::HeaderMap::new();
    for (name, value) in [("Region", "eu"), ("Region", "us"), ("Region", "af"), ("A", "1")] {
        headers.append(name, value);
    }
    let context = jetstream::new(other.clone());
    let ack = context.publish_with_headers("orders.eu", headers, Bytes::from_static(b"{\"a\":1}")).await.expect("sent");
    within(std::future::IntoFuture::into_future(ack)).await.expect("is stored");

    let connection = connected(&server).await;
    let mut source = within(connection.open(&jetstream_source("ORDERS", "reader"))).await.expect("opens");
    let delivery = take(&mut source, 1).await.remove(0);
    assert_eq!(delivery.message.subject.as_str(), "orders.eu");
    let lines: Vec<_> = delivery.message.headers.iter().map(|h| format!("{}={}", h.name, h.value)).collect();
    assert_eq!(lines, ["A=1", "Region=eu", "Region=us", "Region=af"]);
    assert_eq!(&delivery.message.payload[..], b"{\"a\":1}");
    assert_eq!((delivery.origin.kind, delivery.origin.delivery), (OriginKind::JetStream, 1));
    assert!(delivery.origin.id.starts_with("ORDERS:1:"), "{}", delivery.origin.id);
    assert!(delivery.bytes > 7 && delivery.reply.is_none());
    let nanos: u64 = delivery.origin.id.rsplit(':').next().expect("three parts").parse().expect("a number");
    assert_eq!(delivery.origin.timestamp_ms, nanos / 1_000_000);
    assert_eq!(source.ack_wait(), Some(Duration::from_secs(30)));
}

/// Publishes what no client would: headers as they are written here. The server has them when this returns.
async fn publish_raw(server: &Server, subject: &str, headers: &str, payload: &str) {
    let address = server.url();
    let address = address.strip_prefix("nats://").expect("a plain address");
    let mut stream = within(TcpStream::connect(address)).await.expect("connects");
    let head = format!("NATS/1.0\r\n{headers}\r\n\r\n");
    let (head_bytes, bytes) = (head.len(), head.len() + payload.len());
    let sent = format!(
        "CONNECT {{\"verbose\":false,\"headers\":true}}\r\n\
         HPUB {subject} {head_bytes} {bytes}\r\n{head}{payload}\r\nPING\r\n"
    );
    stream.write_all(sent.as_bytes()).await.expect("is sent");
    let mut answer = Vec::new();
    while !String::from_utf8_lossy(&answer).contains("PONG") {
        assert_ne!(within(stream.read_buf(&mut answer)).await.expect("is read"), 0, "it was refused: {answer:?}");
    }
}

/// The line that names the message with this sequence, once it is there; meanwhile the source works, if there is any.
async fn named(log: &Log, mut source: Option<&mut Source>, sequence: u64) -> String {
    let name = format!("sequence={sequence} ");
    let mut poll = tokio::time::interval(Duration::from_millis(10));
    let look = async {
        loop {
            let told =
                log.text().lines().find(|line| line.contains(&name) && line.contains("cannot read")).map(str::to_owned);
            if let Some(told) = told {
                return told;
            }
            match &mut source {
                Some(source) => tokio::select! {
                    _ = source.next(ROOM) => {}
                    _ = poll.tick() => {}
                },
                None => drop(poll.tick().await),
            }
        }
    };
    within(look).await
}

#[tokio::test]
async fn a_message_that_the_client_cannot_read_is_named_and_all_is_well_once_it_is_deleted() {
    let server = Server::start();
    let other = other_client(&server).await;
    make_stream(&other, "ORDERS", &["orders.>"]).await;
    store(&other, "orders.eu", 0..1).await;
    publish_raw(&server, "orders.eu", "carried5500", "carried5500").await;
    let log = Log::default();
    let _guard = log.capture();
    let connection = connected(&server).await;
    let mut source = within(connection.open(&jetstream_source("ORDERS", "reader"))).await.expect("opens");
    let told = named(&log, Some(&mut source), 2).await;
    for part in ["ERROR", "stream=\"ORDERS\"", "consumer=\"reader\"", "a line has no colon", "nats stream rmm ORDERS 2"]
    {
        assert!(told.contains(part), "{part} is not in {told}");
    }
    assert!(!told.contains("carried5500"), "{told}");
    assert_eq!(within(connection.delete_held("ORDERS", 2)).await, Ok(true));
    store(&other, "orders.eu", 1..2).await;
    while payload(&take(&mut source, 1).await[0]) != "1" {}
}

#[tokio::test]
async fn a_message_that_the_client_breaks_off_over_is_not_waited_for_and_named_at_the_next_start() {
    let server = Server::start();
    let other = other_client(&server).await;
    make_stream(&other, "ORDERS", &["orders.>"]).await;
    publish_raw(&server, "orders.eu", "Region: e\ru", "{}").await;
    let connection = connected(&server).await;
    let mut source = within(connection.open(&jetstream_source("ORDERS", "reader"))).await.expect("opens");
    assert!(matches!(within(source.next(ROOM)).await, Err(SourceError::Closed)));
    let mut link = connection.watch();
    while link.is_connected() {
        assert!(within(link.changed()).await);
    }
    let log = Log::default();
    let _guard = log.capture();
    let connection = connected(&server).await;
    let _source = within(connection.open(&jetstream_source("ORDERS", "reader"))).await.expect("opens");
    assert!(named(&log, None, 1).await.contains("a value has a carriage return in it"));
}

#[tokio::test]
async fn a_message_that_is_sent_back_comes_again_with_the_same_id_and_a_higher_count() {
    let server = Server::start();
    let other = other_client(&server).await;
    make_stream(&other, "ORDERS", &["orders.>"]).await;
    store(&other, "orders.eu", 0..1).await;
    let connection = connected(&server).await;
    let mut source = within(connection.open(&jetstream_source("ORDERS", "reader"))).await.expect("opens");
    let first = take(&mut source, 1).await.remove(0);
    first.acker.nak(None).await.expect("is sent");
    let second = take(&mut source, 1).await.remove(0);
    second.acker.nak(Some(Duration::from_millis(20))).await.expect("is sent");
    let third = take(&mut source, 1).await.remove(0);
    let deliveries = [first.origin.delivery, second.origin.delivery, third.origin.delivery];
    assert_eq!(deliveries, [1, 2, 3]);
    assert_eq!([&first.origin.id, &second.origin.id], [&third.origin.id; 2]);
}

#[tokio::test]
async fn a_delivery_that_is_dropped_comes_again_after_the_ack_wait_unless_work_is_said_to_go_on() {
    let server = Server::start();
    let other = other_client(&server).await;
    make_stream(&other, "ORDERS", &["orders.>"]).await;
    store(&other, "orders.eu", 0..2).await;
    let connection = connected(&server).await;
    let mut settings = jetstream_source("ORDERS", "reader");
    if let SourceKind::JetStream { ack_wait, .. } = &mut settings.kind {
        *ack_wait = Duration::from_millis(600);
    }
    let mut source = within(connection.open(&settings)).await.expect("opens");
    let mut taken = take(&mut source, 2).await;
    let worked_on = taken.pop().expect("two");
    drop(taken);
    // Well within the ack wait, again and again, until the other one has come back.
    let mut alive = tokio::time::interval(Duration::from_millis(100));
    let again = loop {
        tokio::select! {
            delivered = source.next(ROOM) => break delivered.expect("delivers").remove(0),
            _ = alive.tick() => worked_on.acker.in_progress().await.expect("is sent"),
        }
    };
    assert_eq!((payload(&again), again.origin.delivery), ("0", 2));
    assert_eq!(payload(&worked_on), "1");
}

#[tokio::test]
async fn a_terminated_message_never_comes_again_and_the_advisory_says_why() {
    let server = Server::start();
    let other = other_client(&server).await;
    make_stream(&other, "ORDERS", &["orders.>"]).await;
    let mut advisories = subscribed(&other, "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.>").await;
    store(&other, "orders.eu", 0..1).await;
    let connection = connected(&server).await;
    let mut source = within(connection.open(&jetstream_source("ORDERS", "reader"))).await.expect("opens");
    take(&mut source, 1).await.remove(0).acker.term("not an order").await.expect("is sent");
    let advisory = within(futures::StreamExt::next(&mut advisories)).await.expect("comes");
    let advisory: serde_json::Value = serde_json::from_slice(&advisory.payload).expect("is JSON");
    assert_eq!(advisory["reason"], "not an order");
    store(&other, "orders.eu", 1..2).await;
    assert_eq!(payload(&take(&mut source, 1).await[0]), "1");
}

#[tokio::test]
async fn a_stream_made_again_gives_other_ids_for_the_same_sequences() {
    let server = Server::start();
    let other = other_client(&server).await;
    let connection = connected(&server).await;
    let mut ids = BTreeSet::new();
    for _ in 0..2 {
        make_stream(&other, "ORDERS", &["orders.>"]).await;
        store(&other, "orders.eu", 0..1).await;
        let mut source = within(connection.open(&jetstream_source("ORDERS", "reader"))).await.expect("opens");
        ids.insert(take(&mut source, 1).await[0].origin.id.to_string());
        within(jetstream::new(other.clone()).delete_stream("ORDERS")).await.expect("is deleted");
    }
    assert_eq!(ids.len(), 2, "{ids:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_cancelled_loses_nothing() {
    let server = Server::start();
    let other = other_client(&server).await;
    make_stream(&other, "ORDERS", &["orders.>"]).await;
    let connection = connected(&server).await;
    let mut source = within(connection.open(&jetstream_source("ORDERS", "reader"))).await.expect("opens");
    let publishing = tokio::spawn(async move { store(&other, "orders.eu", 0..2000).await });
    let mut numbers = Vec::new();
    let mut patience = 0_u64;
    within(async {
        while numbers.len() < 2000 {
            // Cancelled after a time that grows from nothing, so at every place where it waits.
            patience = (patience + 7) % 500;
            let next = source.next(ROOM);
            if let Ok(batch) = tokio::time::timeout(Duration::from_micros(patience), next).await {
                for delivery in batch.expect("delivers") {
                    assert_eq!(delivery.origin.delivery, 1);
                    numbers.push(payload(&delivery).to_owned());
                    delivery.acker.ack().await.expect("is sent");
                }
            }
        }
    })
    .await;
    publishing.await.expect("no panic");
    assert_eq!(numbers, (0..2000).map(|n| n.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_stored_message_that_looks_like_a_status_of_the_server_is_a_message() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let server = Server::start();
    let other = other_client(&server).await;
    make_stream(&other, "ORDERS", &["orders.>"]).await;
    let address = server.url().replace("nats://", "");
    let mut raw = within(tokio::net::TcpStream::connect(address)).await.expect("connects");
    let lie = "NATS/1.0 409 Consumer Deleted\r\n\r\n";
    let publish = format!("HPUB orders.eu {0} {1}\r\n{lie}ok\r\n", lie.len(), lie.len() + 2);
    raw.write_all(format!("CONNECT {{\"headers\":true}}\r\n{publish}PING\r\n").as_bytes()).await.expect("is sent");
    let mut answer = String::new();
    while !answer.contains("PONG") {
        let mut bytes = [0; 1024];
        let count = within(raw.read(&mut bytes)).await.expect("answers");
        answer.push_str(std::str::from_utf8(&bytes[..count]).expect("text"));
    }
    let connection = connected(&server).await;
    let mut source = within(connection.open(&jetstream_source("ORDERS", "reader"))).await.expect("opens");
    assert_eq!(payload(&take(&mut source, 1).await[0]), "ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_and_started_again_in_the_middle_loses_nothing() {
    let mut server = Server::start();
    let other = other_client(&server).await;
    make_stream(&other, "ORDERS", &["orders.>"]).await;
    store(&other, "orders.eu", 0..3000).await;
    let connection = connected(&server).await;
    let mut settings = jetstream_source("ORDERS", "reader");
    if let SourceKind::JetStream { ack_wait, .. } = &mut settings.kind {
        *ack_wait = Duration::from_secs(1);
    }
    let mut source = within(connection.open(&settings)).await.expect("opens");
    // Some are acknowledged, some held over the restart, most still to come.
    for delivery in take(&mut source, 500).await {
        delivery.acker.ack().await.expect("is sent");
    }
    let held = take(&mut source, 100).await;
    server.kill();
    server.start_again();
    for delivery in held {
        delivery.acker.ack().await.expect("is sent");
    }
    acknowledge_all(&mut source, 600..3000).await;
    assert_eq!(connection.losses(), 1);
}

#[tokio::test]
async fn a_consumer_that_is_deleted_meanwhile_is_told_and_can_be_opened_again() {
    let server = Server::start();
    let other = other_client(&server).await;
    make_stream(&other, "ORDERS", &["orders.>"]).await;
    let connection = connected(&server).await;
    let settings = jetstream_source("ORDERS", "reader");
    let mut source = within(connection.open(&settings)).await.expect("opens");
    assert!(source.next(ROOM).now_or_never().is_none());
    let stream = within(jetstream::new(other.clone()).get_stream("ORDERS")).await.expect("is there");
    let deleting = async {
        // The request has to be at the server: it answers later than what came before.
        connection.publisher().publish(outgoing("a", "1")).await.expect("sent").confirmed().await.expect("safe");
        within(stream.delete_consumer("reader")).await.expect("is deleted");
        std::future::pending::<()>().await;
    };
    let error = tokio::select! {
        result = within(source.next(ROOM)) => result.expect_err("is gone"),
        () = deleting => unreachable!("it is pending"),
    };
    assert_eq!(error, SourceError::ConsumerGone { stream: "ORDERS".to_owned(), consumer: "reader".to_owned() });
    assert!(error.retryable());
    let mut source = within(connection.open(&settings)).await.expect("opens");
    store(&other, "orders.eu", 0..1).await;
    assert_eq!(payload(&take(&mut source, 1).await[0]), "0");
}

#[tokio::test]
async fn a_stream_that_was_deleted_before_the_next_request_is_told() {
    let server = Server::start();
    let other = other_client(&server).await;
    make_stream(&other, "ORDERS", &["orders.>"]).await;
    let connection = connected(&server).await;
    let mut source = within(connection.open(&jetstream_source("ORDERS", "reader"))).await.expect("opens");
    within(jetstream::new(other).delete_stream("ORDERS")).await.expect("is deleted");
    let error = within(source.next(ROOM)).await.expect_err("is gone");
    assert!(matches!(&error, SourceError::StreamMissing { stream, .. } if stream == "ORDERS"), "{error}");
}

#[tokio::test]
async fn a_core_message_carries_the_reply_subject_and_an_id() {
    let server = Server::with("");
    let other = other_client(&server).await;
    let connection = connected(&server).await;
    let mut source = within(connection.open(&core_source("ask.>", None))).await.expect("opens");
    let mut headers = async_nats::HeaderMap::new();
    headers.insert("Nats-Msg-Id", "mine");
    other.publish_with_reply_and_headers("ask.me", "answer.here", headers, "1".into()).await.expect("is sent");
    other.publish("ask.me", "2".into()).await.expect("is sent");
    other.publish("ask.me", "3".into()).await.expect("is sent");
    let taken = take(&mut source, 3).await;
    assert_eq!(taken.iter().map(payload).collect::<Vec<_>>(), ["1", "2", "3"]);
    assert_eq!(taken[0].reply.as_ref().map(crate::message::Subject::as_str), Some("answer.here"));
    assert!(taken[0].origin.id.starts_with("core:"), "the producer's own says nothing to core NATS");
    assert!(taken[1].origin.id.starts_with("core:") && taken[1].origin.id != taken[2].origin.id);
    assert_eq!((taken[1].origin.kind, taken[1].origin.delivery), (OriginKind::Core, 1));
    assert!(taken[1].origin.timestamp_ms > 1_600_000_000_000);
    assert!(matches!(taken[0].acker, Acker::Core) && source.ack_wait().is_none());
}

#[tokio::test]
async fn instances_of_one_queue_group_share_the_messages() {
    let server = Server::with("");
    let other = other_client(&server).await;
    let (one, two) = (connected(&server).await, connected(&server).await);
    let mut one = within(one.open(&core_source("work.>", Some("trackside")))).await.expect("opens");
    let mut two = within(two.open(&core_source("work.>", Some("trackside")))).await.expect("opens");
    for number in 0..500 {
        other.publish("work.now", number.to_string().into()).await.expect("is sent");
    }
    let mut numbers: Vec<u32> = Vec::new();
    let mut shares = [0, 0];
    while numbers.len() < 500 {
        let (share, batch) = tokio::select! {
            batch = next(&mut one) => (0, batch),
            batch = next(&mut two) => (1, batch),
        };
        shares[share] += batch.len();
        numbers.extend(batch.iter().map(|delivery| payload(delivery).parse::<u32>().expect("a number")));
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (0..500).collect::<Vec<_>>());
    assert!(shares.iter().all(|share| *share > 0), "{shares:?}");
}

#[tokio::test]
async fn what_a_core_source_has_no_room_for_is_dropped_and_counted() {
    let server = Server::with("");
    let other = other_client(&server).await;
    let connection = connected(&server).await;
    let mut settings = core_source("flood.>", None);
    settings.max_in_flight_messages = 10;
    let mut source = within(connection.open(&settings)).await.expect("opens");
    for number in 0..100 {
        other.publish("flood.now", number.to_string().into()).await.expect("is sent");
    }
    other.flush().await.expect("is flushed");
    let drops = source.drops().expect("a core source may drop");
    within(async {
        while drops.in_all() < 90 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let kept = take(&mut source, 10).await;
    assert_eq!(kept.iter().map(payload).collect::<Vec<_>>(), ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
    assert_eq!((drops.in_all(), connection.slow_consumer_drops()), (90, 0));
}

#[tokio::test]
async fn a_core_source_goes_on_after_a_restart_and_ends_with_the_connection() {
    let mut server = Server::with("");
    let connection = connected(&server).await;
    let mut source = within(connection.open(&core_source("work.>", None))).await.expect("opens");
    let mut link = connection.wire().link.watch();
    server.kill();
    server.start_again();
    within(link.wait_for(|state| state.made == 2)).await.expect("is told");
    // Proves that the subscription was made again: it is sent on the same connection before this.
    connection.publisher().publish(outgoing("work.now", "1")).await.expect("sent").confirmed().await.expect("safe");
    assert_eq!(payload(&take(&mut source, 1).await[0]), "{}");
    within(connection.close(Duration::from_secs(10))).await.expect("closes");
    assert_eq!(within(source.next(ROOM)).await.expect_err("is closed"), SourceError::Closed);
}
