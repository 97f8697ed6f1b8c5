use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt as _;
use tokio::time::Instant;

use super::{Client, Faults, Happened, Sabotage, Server};
use crate::backbone::{Confirmed, Delivery, Outgoing, Pending, PublishError, Room, Source};
use crate::message::{Headers, Message, Subject, SubjectPattern};
use crate::rules::{self, Confirm, Deliver, Partitions, Priority, SourceKind};

const ROOM: Room = Room { messages: 100, bytes: 1 << 20, holds_nothing: true };
const ACK_WAIT: Duration = Duration::from_secs(30);
const WINDOW: Duration = Duration::from_secs(120);

fn server() -> Server {
    let server = Server::new(1);
    for (name, subject) in [("ORDERS", "orders.>"), ("CLEAN", "clean.>")] {
        server.add_stream(name, &[SubjectPattern::new(subject).expect("a pattern")], WINDOW);
    }
    server
}

fn message(subject: &str, payload: u64) -> Message {
    let subject = Subject::new(subject).expect("a subject");
    Message { subject, headers: Headers::default(), payload: Bytes::from(payload.to_string()) }
}

fn produce(server: &Server, numbers: std::ops::Range<u64>) {
    for number in numbers {
        server.produce(message("orders.eu", number)).expect("a stream takes it");
    }
}

fn settings(kind: SourceKind) -> rules::Source {
    let location = rules::Location::new(&rules::SourceText::new("trackside.toml", ""), 0..0);
    rules::Source {
        kind,
        max_in_flight_messages: 10,
        max_in_flight_bytes: 1 << 20,
        priority: Priority::Normal,
        location,
    }
}

fn durable(partitions: Option<Partitions>) -> rules::Source {
    settings(SourceKind::JetStream {
        stream: "ORDERS".to_owned(),
        filter_subjects: Vec::new(),
        durable: "reader".to_owned(),
        deliver: Deliver::All,
        ack_wait: ACK_WAIT,
        double_ack: false,
        partitions,
    })
}

fn ordered() -> rules::Source {
    durable(Some(Partitions { count: 1, filters: Vec::new() }))
}

async fn next(source: &mut Source) -> Vec<Delivery> {
    // Virtual time: nobody waits for it.
    tokio::time::timeout(ACK_WAIT * 10, source.next(ROOM)).await.expect("something comes").expect("delivers")
}

fn payloads(deliveries: &[Delivery]) -> Vec<&str> {
    deliveries.iter().map(|d| std::str::from_utf8(&d.message.payload).expect("text")).collect()
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

async fn publish(client: &Client, outgoing: Outgoing) -> Result<Confirmed, PublishError> {
    let sent: Result<Pending, _> = client.publisher().publish(outgoing).await;
    sent?.confirmed().await
}

fn stored(sequence: u64, duplicate: bool) -> Result<Confirmed, PublishError> {
    Ok(Confirmed::Stored { stream: "CLEAN".to_owned(), sequence, duplicate })
}

#[tokio::test(start_paused = true)]
async fn what_is_handed_back_or_dropped_comes_again_with_the_same_id_and_a_higher_count() {
    let server = server();
    produce(&server, 0..1);
    let mut source = server.connect().open(&durable(None)).expect("opens");
    let first = next(&mut source).await.remove(0);
    let begun = Instant::now();
    let id = first.origin.id.clone();
    assert!(id.starts_with("ORDERS:1:"), "{id}");
    first.acker.nak(Some(Duration::from_secs(7))).await.expect("is sent");
    let second = next(&mut source).await.remove(0);
    assert_eq!((begun.elapsed(), second.origin.delivery), (Duration::from_secs(7), 2));
    drop(second);
    let third = next(&mut source).await.remove(0);
    assert_eq!((begun.elapsed(), third.origin.delivery), (Duration::from_secs(7) + ACK_WAIT, 3));
    assert_eq!(third.origin.id, id);
    third.acker.ack().await.expect("is sent");
    let backlog = server.backlog("ORDERS", "reader").expect("there is one");
    assert!(backlog.pending.is_empty() && backlog.undelivered == 0, "{backlog:?}");
}

#[tokio::test(start_paused = true)]
async fn a_sign_of_progress_begins_the_ack_wait_anew_and_a_termination_ends_it() {
    let server = server();
    produce(&server, 0..2);
    let mut source = server.connect().open(&durable(None)).expect("opens");
    let begun = Instant::now();
    let mut taken = next(&mut source).await;
    let kept = taken.pop().expect("two");
    taken.remove(0).acker.term("hopeless").await.expect("is sent");
    tokio::time::sleep(ACK_WAIT / 2).await;
    kept.acker.in_progress().await.expect("is sent");
    assert_eq!(payloads(&next(&mut source).await), ["1"]);
    assert_eq!(begun.elapsed(), ACK_WAIT * 3 / 2);
}

#[tokio::test(start_paused = true)]
async fn no_more_comes_than_there_is_room_for_or_may_be_pending() {
    let server = server();
    produce(&server, 0..20);
    let mut source = server.connect().open(&durable(None)).expect("opens");
    let held = source.next(Room { messages: 3, ..ROOM }).await.expect("delivers");
    assert_eq!(payloads(&held), ["0", "1", "2"]);
    let few = Room { messages: 100, bytes: 25, holds_nothing: false };
    assert_eq!(payloads(&source.next(few).await.expect("delivers")), ["3", "4"], "10 bytes each");
    let none = Room { messages: 100, bytes: 1, holds_nothing: false };
    assert!(source.next(none).now_or_never().is_none());
    assert_eq!(source.next(Room { holds_nothing: true, ..none }).await.expect("delivers").len(), 1, "of any size");
    assert_eq!(next(&mut source).await.len(), 4, "the consumer has ten at most");
    assert!(source.next(ROOM).now_or_never().is_none());
}

#[tokio::test(start_paused = true)]
async fn an_ordered_source_hands_over_nothing_newer_before_what_was_lost_has_come_again() {
    for crash in [false, true] {
        let server = server();
        produce(&server, 0..3);
        let client = server.connect();
        let mut source = client.open(&ordered()).expect("opens");
        let mut held = next(&mut source).await;
        held.remove(1).acker.ack().await.expect("is sent");
        if crash {
            client.crash();
            source = server.connect().open(&ordered()).expect("opens");
        } else {
            // One is still in hand, one is nowhere.
            held.pop();
            server.interrupt(Duration::from_secs(1));
        }
        produce(&server, 3..5);
        let again = next(&mut source).await;
        let lost = if crash { vec!["0", "2"] } else { vec!["2"] };
        assert_eq!(payloads(&again)[..lost.len()], lost, "crash: {crash}");
        assert_eq!(again[0].origin.delivery, 2);
        assert_eq!(payloads(&again)[lost.len()..], ["3", "4"]);
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_lost_comes_sorted_when_the_last_of_it_is_due() {
    let server = server();
    let begun = Instant::now();
    produce(&server, 0..3);
    let client = server.connect();
    let mut source = client.open(&ordered()).expect("opens");
    let held = next(&mut source).await;
    tokio::time::sleep(ACK_WAIT / 2).await;
    // So that the first is due last.
    held[0].acker.in_progress().await.expect("is sent");
    client.crash();
    produce(&server, 3..4);
    let mut source = server.connect().open(&ordered()).expect("opens");
    let early = tokio::time::timeout(ACK_WAIT * 3 / 4, source.next(ROOM)).await;
    assert!(early.is_err(), "the others are due by now");
    assert_eq!(payloads(&next(&mut source).await), ["0", "1", "2", "3"]);
    assert_eq!(begun.elapsed(), ACK_WAIT * 3 / 2);
}

#[tokio::test(start_paused = true)]
async fn a_source_without_order_delivers_on_while_something_is_lost() {
    let server = server();
    produce(&server, 0..2);
    let client = server.connect();
    drop(next(&mut client.open(&durable(None)).expect("opens")).await);
    client.crash();
    tokio::time::sleep(ACK_WAIT / 2).await;
    produce(&server, 2..4);
    let mut source = server.connect().open(&durable(None)).expect("opens");
    assert_eq!(payloads(&next(&mut source).await), ["2", "3"]);
    assert_eq!(payloads(&next(&mut source).await), ["0", "1"]);
}

#[tokio::test(start_paused = true)]
async fn an_ordered_consumer_has_one_reader_until_that_is_gone_or_silent_for_too_long() {
    let server = server();
    let clients = [(); 3].map(|()| server.connect());
    let [mut one, mut two, mut three] = clients.clone().map(|client| client.open(&ordered()).expect("opens"));
    produce(&server, 0..1);
    let held = next(&mut one).await;
    produce(&server, 1..2);
    assert!(two.next(ROOM).now_or_never().is_none());
    drop(one);
    assert!(two.next(ROOM).now_or_never().is_none(), "the first is not done with by whoever has it");
    for delivery in held {
        delivery.acker.ack().await.expect("is sent");
    }
    assert_eq!(payloads(&next(&mut two).await), ["1"]);
    produce(&server, 2..3);
    assert!(three.next(ROOM).now_or_never().is_none());
    server.cut(&clients[1], ACK_WAIT * 4);
    let begun = Instant::now();
    assert_eq!(payloads(&next(&mut three).await), ["1", "2"], "the cut one dropped it");
    assert_eq!(begun.elapsed(), ACK_WAIT);
    assert!(two.next(ROOM).now_or_never().is_none());
}

#[tokio::test(start_paused = true)]
async fn what_is_handed_back_to_an_ordered_source_goes_before_what_was_on_its_way() {
    let server = server();
    produce(&server, 0..3);
    let mut source = server.connect().open(&ordered()).expect("opens");
    let first = source.next(Room { messages: 1, ..ROOM }).await.expect("delivers").remove(0);
    first.acker.nak(None).await.expect("is sent");
    assert_eq!(payloads(&next(&mut source).await), ["0", "1", "2"]);
}

#[tokio::test(start_paused = true)]
async fn outputs_of_one_stream_are_stored_together_or_not_at_all() {
    let server = server();
    let client = server.connect();
    let batch = || ["1", "2"].map(|id| outgoing("clean.a", id)).to_vec();
    let publish = async || {
        let mut results = Vec::new();
        for pending in client.publisher().publish_together(batch()).await {
            results.push(pending.expect("is sent").confirmed().await.is_ok());
        }
        results
    };
    server.set_faults(Faults { publishes_failed: 500, ..Faults::default() });
    while server.stored("CLEAN").is_empty() {
        let results = publish().await;
        assert_eq!(results[0], results[1]);
    }
    assert_eq!(server.stored("CLEAN").len(), 2);
    server.set_faults(Faults::default());
    assert_eq!(publish().await, [true, true]);
    assert_eq!(server.stored("CLEAN").len(), 2, "they were known");
}

#[tokio::test(start_paused = true)]
async fn a_publish_may_panic_before_or_after_it_is_stored() {
    let server = server();
    let client = server.connect();
    server.set_faults(Faults { panics: 500, ..Faults::default() });
    let mut panics = 0;
    for id in 0..20 {
        let publish = publish(&client, outgoing("clean.a", &id.to_string()));
        panics += usize::from(std::panic::AssertUnwindSafe(publish).catch_unwind().await.is_err());
    }
    let events = server.events().iter().filter(|event| matches!(event.what, Happened::Panicked { .. })).count();
    assert!(panics > 0 && panics < 20 && panics == events, "{panics} of 20, {events} told");
    assert!(server.stored("CLEAN").len() > 20 - panics, "some were stored nevertheless");
}

#[tokio::test(start_paused = true)]
async fn a_message_in_hand_is_not_handed_over_again_by_an_ordered_source() {
    for (settings, want) in [(durable(None), 2), (ordered(), 1)] {
        let server = server();
        server.set_faults(Faults { delivered_twice: 1000, ..Faults::default() });
        produce(&server, 0..1);
        let mut source = server.connect().open(&settings).expect("opens");
        assert_eq!(next(&mut source).await.len(), want);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_stores_an_id_once_within_its_window() {
    let server = server();
    let client = server.connect();
    assert_eq!(publish(&client, outgoing("clean.a", "1")).await, stored(1, false));
    assert_eq!(publish(&client, outgoing("clean.a", "1")).await, stored(1, true));
    assert_eq!(publish(&client, outgoing("clean.a", "2")).await, stored(2, false));
    tokio::time::sleep(WINDOW).await;
    assert_eq!(publish(&client, outgoing("clean.a", "1")).await, stored(3, false));
    assert_eq!(publish(&client, outgoing("elsewhere", "1")).await, Ok(Confirmed::Flushed));
    let by_stream = Outgoing { confirm: Confirm::Stream, ..outgoing("elsewhere", "1") };
    let error = publish(&client, by_stream).await.expect_err("there is none");
    assert!(matches!(error, PublishError::NoStream { .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_publish_may_fail_or_be_stored_without_a_confirmation() {
    let server = server();
    let client = server.connect();
    server.set_faults(Faults { publishes_failed: 1000, ..Faults::default() });
    for id in ["1", "2", "3", "4", "5"] {
        let error = publish(&client, outgoing("clean.a", id)).await.expect_err("fails");
        assert!(error.retryable() && !error.is_disconnected(), "{error}");
    }
    assert!(server.stored("CLEAN").is_empty());
    server.set_faults(Faults { confirmations_lost: 1000, ..Faults::default() });
    let error = publish(&client, outgoing("clean.a", "1")).await.expect_err("is not confirmed");
    assert!(matches!(error, PublishError::Timeout { .. }), "{error}");
    server.set_faults(Faults::default());
    assert_eq!(publish(&client, outgoing("clean.a", "1")).await, stored(1, true));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_full_takes_messages_again_later() {
    let server = server();
    let client = server.connect();
    server.fill("CLEAN", Duration::from_secs(1));
    let error = publish(&client, outgoing("clean.a", "1")).await.expect_err("is full");
    assert!(matches!(error, PublishError::Stream { retryable: true, .. }), "{error}");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(publish(&client, outgoing("clean.a", "1")).await, stored(1, false));
}

#[tokio::test(start_paused = true)]
async fn a_confirmation_does_not_outlive_its_connection_and_a_publish_waits_for_the_next_one() {
    let server = server();
    let client = server.connect();
    server.set_faults(Faults { delay_most: Duration::from_millis(100), ..Faults::default() });
    let pending = client.publisher().publish(outgoing("clean.a", "1")).await.expect("is sent");
    server.interrupt(Duration::from_secs(3));
    let error = pending.confirmed().await.expect_err("is not known to be stored");
    assert!(error.is_disconnected(), "{error}");
    assert_eq!(publish(&client, outgoing("clean.a", "1")).await, stored(1, true));
    server.interrupt(Duration::from_secs(6));
    let error = publish(&client, outgoing("clean.a", "2")).await.expect_err("takes too long");
    assert!(error.is_disconnected(), "{error}");
}

#[tokio::test(start_paused = true)]
async fn deliveries_on_their_way_are_lost_with_the_connection() {
    let server = server();
    server.set_faults(Faults { delay_most: Duration::from_secs(5), ..Faults::default() });
    produce(&server, 0..5);
    let mut source = server.connect().open(&durable(None)).expect("opens");
    assert!(source.next(ROOM).now_or_never().is_none(), "they are on their way");
    server.interrupt(Duration::from_secs(1));
    let begun = Instant::now();
    let again = next(&mut source).await;
    assert!(begun.elapsed() >= ACK_WAIT);
    assert_eq!(again[0].origin.delivery, 2);
}

#[tokio::test(start_paused = true)]
async fn an_acknowledgement_that_is_lost_is_as_none() {
    let server = server();
    produce(&server, 0..1);
    let mut source = server.connect().open(&durable(None)).expect("opens");
    server.set_faults(Faults { acks_lost: 1000, ..Faults::default() });
    next(&mut source).await.remove(0).acker.ack().await.expect("is sent");
    assert_eq!(next(&mut source).await[0].origin.delivery, 2);
}

#[tokio::test(start_paused = true)]
async fn a_core_subscription_is_bounded_and_counts_what_it_drops() {
    let server = server();
    let pattern = SubjectPattern::new("live.>").expect("a pattern");
    let core = |queue_group: Option<&str>| {
        settings(SourceKind::Core { subject: pattern.clone(), queue_group: queue_group.map(str::to_owned) })
    };
    let mut alone = server.connect().open(&core(None)).expect("opens");
    let mut shared = [(); 2].map(|()| server.connect().open(&core(Some("group"))).expect("opens"));
    for number in 0..12 {
        assert_eq!(server.produce(message("live.a", number)), None);
    }
    assert_eq!((next(&mut alone).await.len(), alone.drops().map(|drops| drops.in_all())), (10, Some(2)));
    let mut all = Vec::new();
    for source in &mut shared {
        all.extend(next(source).await);
    }
    all.sort_by_key(|delivery| delivery.message.payload.clone());
    assert_eq!(all.len(), 12, "each went to one of the group");
    assert!(all.iter().all(|delivery| !delivery.acker.redelivers()));
}

#[tokio::test(start_paused = true)]
async fn nothing_that_a_crashed_client_does_has_an_effect() {
    let server = server();
    produce(&server, 0..1);
    let client = server.connect();
    let mut source = client.open(&durable(None)).expect("opens");
    let held = next(&mut source).await.remove(0);
    client.crash();
    assert!(held.acker.ack().now_or_never().is_none());
    assert!(client.publisher().publish(outgoing("clean.a", "1")).now_or_never().is_none());
    assert!(source.next(ROOM).now_or_never().is_none());
    assert!(server.stored("CLEAN").is_empty());
    assert_eq!(server.backlog("ORDERS", "reader").expect("there is one").pending, [1]);
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_and_calls_give_the_same_events_and_another_seed_gives_others() {
    async fn events(seed: u64) -> Vec<String> {
        let server = Server::new(seed);
        server.add_stream("ORDERS", &[SubjectPattern::new("orders.>").expect("a pattern")], WINDOW);
        let delay_most = Duration::from_secs(1);
        server.set_faults(Faults { delay_most, delivered_twice: 300, acks_lost: 300, ..Faults::default() });
        produce(&server, 0..30);
        let mut source = server.connect().open(&durable(None)).expect("opens");
        while server.backlog("ORDERS", "reader").is_none_or(|backlog| backlog.undelivered > 0) {
            for delivery in next(&mut source).await {
                delivery.acker.ack().await.expect("is sent");
            }
        }
        server.events().iter().map(ToString::to_string).collect()
    }
    let one = events(1).await;
    assert_eq!(one, events(1).await);
    assert_ne!(one, events(2).await);
}

#[tokio::test(start_paused = true)]
async fn each_sabotage_breaks_what_it_says() {
    let prepared = async |bug| {
        let server = server();
        server.sabotage(bug);
        produce(&server, 0..1);
        let client = server.connect();
        let mut source = client.open(&durable(None)).expect("opens");
        let delivery = next(&mut source).await.remove(0);
        (server, client, source, delivery)
    };
    let (server, ..) = prepared(Sabotage::AckEarly).await;
    assert!(server.events().iter().any(|event| matches!(event.what, Happened::Acknowledged(_))));

    let (_, _, mut source, delivery) = prepared(Sabotage::DropNaks).await;
    delivery.acker.nak(None).await.expect("is sent");
    assert!(tokio::time::timeout(ACK_WAIT * 100, source.next(ROOM)).await.is_err());

    let (server, client, ..) = prepared(Sabotage::ConfirmUnstored).await;
    server.fill("CLEAN", ACK_WAIT);
    publish(&client, outgoing("clean.a", "1")).await.expect("is said to be safe");
    assert!(server.stored("CLEAN").is_empty());

    let (_, client, ..) = prepared(Sabotage::IgnoreIds).await;
    assert_eq!(publish(&client, outgoing("clean.a", "1")).await, stored(1, false));
    assert_eq!(publish(&client, outgoing("clean.a", "1")).await, stored(2, false));

    let (server, client, mut source, delivery) = prepared(Sabotage::SkipBarriers).await;
    drop((source, delivery));
    client.crash();
    tokio::time::sleep(ACK_WAIT / 2).await;
    source = server.connect().open(&ordered()).expect("opens");
    produce(&server, 1..2);
    assert_eq!(payloads(&next(&mut source).await), ["1"]);
}
