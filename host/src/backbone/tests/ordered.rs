use std::time::Duration;

use async_nats::jetstream::{self, consumer};
use bytes::Bytes;
use futures::{FutureExt as _, StreamExt as _};

use super::server::Server;
use super::{
    ROOM, connected, jetstream_source, make_stream, next, other_client, outgoing, payload, store, take, within,
};
use crate::backbone::{Connection, Delivery, Source};
use crate::rules::{self, Partitions, SourceKind};

/// So long that nothing comes again because of it.
const NEVER: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) fn ordered_source(wait: Duration) -> rules::Source {
    let mut source = jetstream_source("ORDERS", "reader");
    if let SourceKind::JetStream { ack_wait, partitions, .. } = &mut source.kind {
        *ack_wait = wait;
        *partitions = Some(Partitions { count: 1, filters: Vec::new() });
    }
    source
}

async fn start(numbers: std::ops::Range<u32>) -> (Server, async_nats::Client) {
    let server = Server::start();
    let other = other_client(&server).await;
    make_stream(&other, "ORDERS", &["orders.>"]).await;
    store(&other, "orders.eu", numbers).await;
    (server, other)
}

async fn opened(connection: &Connection, wait: Duration) -> Source {
    within(connection.open(&ordered_source(wait))).await.expect("opens")
}

async fn info(client: &async_nats::Client) -> consumer::Info {
    let stream = within(jetstream::new(client.clone()).get_stream("ORDERS")).await.expect("is there");
    within(stream.consumer_info("reader")).await.expect("is there")
}

fn numbers(deliveries: &[Delivery]) -> Vec<u32> {
    deliveries.iter().map(|delivery| payload(delivery).parse().expect("a number")).collect()
}

/// Somebody who claims to be the pinned instance takes a message away; its payload.
async fn steal(client: &async_nats::Client) -> Bytes {
    let id = info(client).await.priority_groups.remove(0).pinned_client_id.expect("is pinned");
    let request = serde_json::json!({ "batch": 1, "group": "trackside", "id": id, "expires": 10_000_000_000_u64 });
    let mut loot = within(client.subscribe("loot")).await.expect("subscribes");
    let (subject, request) = ("$JS.API.CONSUMER.MSG.NEXT.ORDERS.reader", Bytes::from(request.to_string()));
    within(client.publish_with_reply(subject, "loot", request)).await.expect("is sent");
    within(loot.next()).await.expect("is delivered").payload
}

/// Everything that the server sent to this connection before has come.
async fn round_trip(connection: &Connection) {
    let pending = connection.publisher().publish(outgoing("a", "1")).await.expect("is sent");
    within(pending.confirmed()).await.expect("is safe");
}

/// Makes the source ask for all there is room for, and returns what has come already.
fn ask(source: &mut Source) -> Vec<Delivery> {
    source.next(ROOM).now_or_never().map_or_else(Vec::new, |deliveries| deliveries.expect("delivers"))
}

/// Acknowledges, and tells which number is the next. A message may come again, and none may come before all those before
/// it have.
async fn acknowledge_in_order(deliveries: Vec<Delivery>, mut expected: u32) -> u32 {
    for (number, delivery) in numbers(&deliveries).into_iter().zip(deliveries) {
        assert!(number <= expected, "{number} came before {expected}");
        expected = expected.max(number + 1);
        delivery.acker.ack().await.expect("is sent");
    }
    expected
}

#[tokio::test]
async fn an_ordered_source_delivers_in_order_and_hides_who_is_pinned() {
    let (server, other) = start(0..300).await;
    let connection = connected(&server).await;
    let mut source = opened(&connection, NEVER).await;
    let taken = take(&mut source, 300).await;
    assert_eq!(numbers(&taken), (0..300).collect::<Vec<_>>());
    assert!(taken.iter().all(|delivery| delivery.message.headers.is_empty()));
    assert!(info(&other).await.priority_groups[0].pinned_client_id.is_some());
}

#[tokio::test]
async fn what_a_killed_instance_held_comes_before_anything_newer() {
    let (server, other) = start(0..20).await;
    let (one, two) = (connected(&server).await, connected(&server).await);
    let mut first = opened(&one, Duration::from_secs(2)).await;
    let held = take(&mut first, 20).await;
    let mut second = opened(&two, Duration::from_secs(2)).await;
    assert!(second.next(ROOM).now_or_never().is_none());
    // Some are acknowledged, so that what is left is neither the first nor without gaps.
    for (position, delivery) in held.into_iter().enumerate() {
        if position < 5 || position == 12 {
            delivery.acker.ack().await.expect("is sent");
        }
    }
    round_trip(&one).await;
    drop((first, one));
    store(&other, "orders.eu", 20..40).await;
    let expected: Vec<u32> = (5..40).filter(|number| *number != 12).collect();
    assert_eq!(numbers(&take(&mut second, expected.len()).await), expected);
}

#[tokio::test]
async fn an_instance_that_retires_is_followed_at_once_and_what_it_did_not_hand_over_is_not_lost() {
    let (server, other) = start(0..1).await;
    // Neither does the pin move by itself, nor does anything come again.
    let config = consumer::Config {
        durable_name: Some("reader".to_owned()),
        max_deliver: -1,
        ack_wait: NEVER,
        priority_policy: consumer::PriorityPolicy::PinnedClient,
        priority_groups: vec!["trackside".to_owned()],
        priority_timeout: NEVER,
        ..Default::default()
    };
    let stream = within(jetstream::new(other.clone()).get_stream("ORDERS")).await.expect("is there");
    within(stream.create_consumer(config)).await.expect("is made");
    let (one, two) = (connected(&server).await, connected(&server).await);
    let mut first = opened(&one, NEVER).await;
    let held = next(&mut first).await;
    assert!(first.next(ROOM).now_or_never().is_none(), "asks for more");
    store(&other, "orders.eu", 1..10).await;
    round_trip(&one).await;
    assert!(info(&other).await.num_ack_pending > 1, "they are on their way, or here");

    let mut second = opened(&two, NEVER).await;
    within(first.retire()).await;
    let (asking, resolving) = (take(&mut second, 9), async {
        // The one that it works on keeps the others back until it is done.
        let mut requests = other.subscribe("$JS.API.CONSUMER.INFO.ORDERS.reader").await.expect("subscribes");
        for _ in 0..3 {
            within(requests.next()).await.expect("is asked again and again");
        }
        for delivery in held {
            delivery.acker.ack().await.expect("is sent");
        }
    });
    let (taken, ()) = tokio::join!(asking, resolving);
    assert_eq!(numbers(&taken), (1..10).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_instance_without_room_stays_the_one_that_reads() {
    let (server, other) = start(0..2).await;
    let (one, two) = (connected(&server).await, connected(&server).await);
    let mut first = opened(&one, Duration::from_secs(1)).await;
    let held = take(&mut first, 1).await;
    let mut second = opened(&two, Duration::from_secs(1)).await;
    assert!(second.next(ROOM).now_or_never().is_none());
    let before = info(&other).await.priority_groups.remove(0).pinned_client_id;
    let mut requests = other.subscribe("$JS.API.CONSUMER.MSG.NEXT.ORDERS.reader").await.expect("subscribes");
    // Three in the time after which the pin would be lost.
    for _ in 0..5 {
        let request = within(requests.next()).await.expect("is sent");
        assert!(std::str::from_utf8(&request.payload).is_ok_and(|text| text.contains("max_bytes\":1,")));
    }
    assert_eq!(info(&other).await.priority_groups.remove(0).pinned_client_id, before);
    drop(held);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_overtakes_over_a_crash_of_the_server() {
    let (mut server, _other) = start(0..3000).await;
    let connection = connected(&server).await;
    let mut source = opened(&connection, Duration::from_secs(2)).await;
    for delivery in take(&mut source, 700).await {
        delivery.acker.ack().await.expect("is sent");
    }
    let mut held = take(&mut source, 100).await;
    // More is on its way when the server goes.
    held.extend(ask(&mut source));
    server.kill();
    server.start_again();
    let first = 700 + u32::try_from(held.len()).expect("few");
    let resolving = async {
        // It is for those that are worked on to be done first.
        assert_eq!(numbers(&held), (700..first).collect::<Vec<_>>());
        for delivery in held {
            delivery.acker.ack().await.expect("is sent");
        }
    };
    let reading = async {
        let mut expected = first;
        while expected < 3000 {
            expected = acknowledge_in_order(next(&mut source).await, expected).await;
        }
    };
    tokio::join!(resolving, reading);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_overtakes_over_lost_connections() {
    let (server, _other) = start(0..5000).await;
    let connection = connected(&server).await;
    let mut source = opened(&connection, Duration::from_secs(1)).await;
    let mut expected = 0;
    for part in 1..=10 {
        // What is asked for here is on its way when the connection goes.
        let early = ask(&mut source);
        connection.wire().client.force_reconnect().await.expect("reconnects");
        expected = acknowledge_in_order(early, expected).await;
        while expected < part * 500 {
            expected = acknowledge_in_order(next(&mut source).await, expected).await;
        }
    }
}

#[tokio::test]
async fn a_delivery_that_did_not_arrive_comes_before_anything_newer() {
    let (server, other) = start(0..6).await;
    let connection = connected(&server).await;
    let mut source = opened(&connection, Duration::from_secs(1)).await;
    let held = take(&mut source, 3).await;
    assert_eq!(steal(&other).await, "3");
    let taken = take(&mut source, 3).await;
    assert_eq!(numbers(&taken), [3, 4, 5]);
    assert_eq!(taken[0].origin.delivery, 2);
    drop(held);
}

#[tokio::test]
async fn a_delivery_that_is_handed_back_comes_again_before_anything_newer_unless_it_is_put_off() {
    let (server, other) = start(0..1).await;
    let connection = connected(&server).await;
    let mut source = opened(&connection, NEVER).await;
    let first = next(&mut source).await.remove(0);
    assert!(source.next(ROOM).now_or_never().is_none(), "asks for more");
    store(&other, "orders.eu", 1..5).await;
    round_trip(&connection).await;
    first.acker.nak(None).await.expect("is sent");
    let mut taken = take(&mut source, 5).await;
    assert_eq!(numbers(&taken), [0, 1, 2, 3, 4]);

    store(&other, "orders.eu", 5..7).await;
    taken.remove(0).acker.nak(Some(Duration::from_millis(300))).await.expect("is sent");
    assert_eq!(numbers(&take(&mut source, 3).await), [5, 6, 0]);
}

#[tokio::test]
async fn a_message_that_is_put_off_neither_holds_up_the_others_nor_hides_that_one_is_lost() {
    let (server, other) = start(0..4).await;
    let connection = connected(&server).await;
    let mut source = opened(&connection, Duration::from_secs(1)).await;
    let mut taken = take(&mut source, 2).await;
    taken.remove(0).acker.nak(Some(Duration::from_secs(60 * 60))).await.expect("is sent");
    taken.remove(0).acker.nak(None).await.expect("is sent");
    let mut taken = take(&mut source, 2).await;
    assert_eq!(numbers(&taken), [1, 2]);

    taken.remove(0).acker.nak(Some(Duration::from_millis(50))).await.expect("is sent");
    taken.remove(0).acker.ack().await.expect("is sent");
    let again = take(&mut source, 2).await;
    assert_eq!(numbers(&again), [3, 1]);
    for delivery in again {
        delivery.acker.ack().await.expect("is sent");
    }
    store(&other, "orders.eu", 4..6).await;
    assert_eq!(steal(&other).await, "4");
    assert_eq!(numbers(&take(&mut source, 2).await), [4, 5]);
}

#[tokio::test]
async fn a_message_that_is_worked_on_for_longer_than_the_ack_wait_is_not_handed_over_twice() {
    let (server, other) = start(0..2).await;
    let connection = connected(&server).await;
    let mut source = opened(&connection, Duration::from_millis(500)).await;
    let held = take(&mut source, 1).await;
    let again = async {
        while info(&other).await.num_redelivered == 0 {
            tokio::task::yield_now().await;
        }
        for delivery in held {
            delivery.acker.ack().await.expect("is sent");
        }
        store(&other, "orders.eu", 2..3).await;
    };
    let (taken, ()) = tokio::join!(take(&mut source, 2), again);
    assert_eq!(numbers(&taken), [1, 2]);
    for delivery in taken {
        delivery.acker.ack().await.expect("is sent");
    }
    round_trip(&connection).await;
    assert_eq!(info(&other).await.num_ack_pending, 0, "either delivery's acknowledgement is the message's");
}

#[tokio::test]
async fn a_message_that_is_acknowledged_while_it_comes_again_is_not_handed_over_twice() {
    let (server, other) = start(0..1).await;
    let connection = connected(&server).await;
    let mut source = opened(&connection, Duration::from_millis(500)).await;
    let held = next(&mut source).await;
    assert!(ask(&mut source).is_empty());
    while info(&other).await.num_redelivered == 0 {
        tokio::task::yield_now().await;
    }
    round_trip(&connection).await;
    for delivery in held {
        delivery.acker.ack().await.expect("is sent");
    }
    store(&other, "orders.eu", 1..2).await;
    assert_eq!(numbers(&next(&mut source).await), [1]);
}

#[tokio::test]
async fn a_consumer_that_several_instances_share_cannot_become_an_ordered_one_and_says_what_to_do() {
    let (server, _other) = start(0..0).await;
    let connection = connected(&server).await;
    within(connection.open(&jetstream_source("ORDERS", "reader"))).await.expect("opens");
    let error = within(connection.open(&ordered_source(Duration::from_secs(30)))).await.expect_err("differs");
    let want = "consumer `reader` of stream `ORDERS` is not as the configuration says:
    priority groups: it has none, the configuration says pinned client of `trackside`
change the configuration, or the consumer with:
    nats consumer rm ORDERS reader
which forgets what it has delivered: it is made again at the next start";
    assert_eq!(error.to_string(), want);
}
