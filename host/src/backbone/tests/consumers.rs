use std::time::Duration;

use async_nats::jetstream::{self, consumer};

use super::server::Server;
use super::{connected, jetstream_source, make_stream, other_client, pattern, payload, store, take, within};
use crate::backbone::SourceError;
use crate::rules::{self, Deliver, SourceKind};

async fn consumer_config(client: &async_nats::Client, stream: &str, name: &str) -> consumer::Config {
    let stream = within(jetstream::new(client.clone()).get_stream(stream)).await.expect("is there");
    within(stream.consumer_info(name)).await.expect("is there").config
}

async fn make_consumer(client: &async_nats::Client, stream: &str, config: consumer::Config) {
    let stream = within(jetstream::new(client.clone()).get_stream(stream)).await.expect("is there");
    within(stream.create_consumer(config)).await.expect("is made");
}

fn with(change: impl FnOnce(&mut Vec<crate::message::SubjectPattern>, &mut Deliver, &mut Duration)) -> rules::Source {
    let mut source = jetstream_source("ORDERS", "reader");
    if let SourceKind::JetStream { filter_subjects, deliver, ack_wait, .. } = &mut source.kind {
        change(filter_subjects, deliver, ack_wait);
    }
    source
}

#[tokio::test]
async fn a_stream_that_does_not_exist_is_an_error_with_the_line_that_makes_it() {
    let server = Server::start();
    let connection = connected(&server).await;
    let source = with(|filters, _, _| *filters = vec![pattern("orders.>"), pattern("returns.*")]);
    let error = within(connection.open(&source)).await.expect_err("fails");
    let want = "stream `ORDERS` does not exist; make it with:\n    \
                nats stream add ORDERS --subjects \"orders.>,returns.*\" --defaults";
    assert_eq!(error.to_string(), want);
    assert!(error.retryable());
}

#[tokio::test]
async fn without_jetstream_a_source_says_how_to_get_it() {
    let server = Server::with("");
    let connection = connected(&server).await;
    let error = within(connection.open(&jetstream_source("ORDERS", "reader"))).await.expect_err("fails");
    assert!(error.to_string().contains("JetStream is not enabled on the NATS server: start it with `-js`"), "{error}");
    assert!(!error.retryable());
}

#[tokio::test]
async fn a_missing_consumer_is_made_as_configured_and_found_again_the_next_time() {
    let server = Server::start();
    let other = other_client(&server).await;
    make_stream(&other, "ORDERS", &["orders.>", "returns.>"]).await;
    let connection = connected(&server).await;
    let source = with(|filters, deliver, ack_wait| {
        *filters = vec![pattern("orders.*"), pattern("returns.*")];
        *deliver = Deliver::FromTime("2020-11-22T10:00:00Z".to_owned());
        *ack_wait = Duration::from_secs(7);
    });
    drop(within(connection.open(&source)).await.expect("opens"));
    let made = consumer_config(&other, "ORDERS", "reader").await;
    assert_eq!(made.durable_name.as_deref(), Some("reader"));
    assert_eq!(made.filter_subjects, ["orders.*", "returns.*"]);
    assert_eq!(made.ack_policy, consumer::AckPolicy::Explicit);
    assert_eq!((made.ack_wait, made.max_ack_pending, made.max_deliver), (Duration::from_secs(7), 1000, -1));
    within(connection.open(&source)).await.expect("opens again");
}

#[tokio::test]
async fn instances_that_make_the_same_consumer_at_once_all_get_it() {
    let server = Server::start();
    let other = other_client(&server).await;
    make_stream(&other, "ORDERS", &["orders.>"]).await;
    let (one, two) = (connected(&server).await, connected(&server).await);
    let source = jetstream_source("ORDERS", "reader");
    let opened = within(futures::future::join_all(
        [&one, &two, &one, &two, &one, &two].map(|connection| connection.open(&source)),
    ));
    for result in opened.await {
        result.expect("opens");
    }
}

#[tokio::test]
async fn a_consumer_that_differs_is_an_error_that_names_each_field_and_the_way_out() {
    let server = Server::start();
    let other = other_client(&server).await;
    make_stream(&other, "ORDERS", &["orders.>"]).await;
    let config = consumer::Config {
        durable_name: Some("reader".to_owned()),
        filter_subject: "orders.eu".to_owned(),
        ack_wait: Duration::from_secs(5),
        max_deliver: 3,
        max_ack_pending: 10,
        ..Default::default()
    };
    make_consumer(&other, "ORDERS", config).await;
    let connection = connected(&server).await;
    let source = with(|filters, _, _| *filters = vec![pattern("orders.us")]);
    let error = within(connection.open(&source)).await.expect_err("differs");
    let want = "consumer `reader` of stream `ORDERS` is not as the configuration says:
    filter-subjects: it has `orders.eu`, the configuration says `orders.us`
    ack-wait: it has 5s, the configuration says 30s
    tries by the server: it has 3, the configuration says no limit
    max-in-flight: it has 10, the configuration says 1000
change the configuration, or the consumer with:
    nats consumer edit ORDERS reader --filter \"orders.us\" --wait 30000ms --max-deliver=-1 --max-pending 1000";
    assert_eq!(error.to_string(), want);
    assert!(!error.retryable());
}

#[tokio::test]
async fn what_cannot_be_edited_says_that_the_consumer_has_to_go() {
    let server = Server::start();
    let other = other_client(&server).await;
    make_stream(&other, "ORDERS", &["orders.>"]).await;
    let config = consumer::Config {
        durable_name: Some("reader".to_owned()),
        deliver_subject: Some("push.here".to_owned()),
        deliver_policy: consumer::DeliverPolicy::New,
        ack_policy: consumer::AckPolicy::All,
        max_deliver: -1,
        ..Default::default()
    };
    make_consumer(&other, "ORDERS", config).await;
    let connection = connected(&server).await;
    let error = within(connection.open(&jetstream_source("ORDERS", "reader"))).await.expect_err("differs");
    let want = "consumer `reader` of stream `ORDERS` is not as the configuration says:
    kind: it has a push consumer, the configuration says a pull consumer
    deliver: it has `new`, the configuration says `all`
    acknowledgement: it has all, the configuration says explicit
change the configuration, or the consumer with:
    nats consumer rm ORDERS reader
which forgets what it has delivered: it is made again at the next start";
    assert_eq!(error.to_string(), want);
}

#[tokio::test]
async fn settings_of_the_owner_that_change_nothing_for_us_are_left_alone() {
    let server = Server::start();
    let other = other_client(&server).await;
    make_stream(&other, "ORDERS", &["orders.>"]).await;
    let config = consumer::Config {
        durable_name: Some("reader".to_owned()),
        description: Some("mine".to_owned()),
        filter_subject: ">".to_owned(),
        max_deliver: -1,
        max_ack_pending: 5000,
        sample_frequency: 50,
        max_batch: 3,
        max_expires: Duration::from_secs(9),
        ..Default::default()
    };
    make_consumer(&other, "ORDERS", config.clone()).await;
    store(&other, "orders.eu", 0..10).await;
    let connection = connected(&server).await;
    let mut source = within(connection.open(&jetstream_source("ORDERS", "reader"))).await.expect("opens");
    // Its limit of three messages a request is kept, or the server would refuse.
    let taken = take(&mut source, 10).await;
    assert_eq!(taken.iter().map(payload).collect::<Vec<_>>(), ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
    assert_eq!(consumer_config(&other, "ORDERS", "reader").await.description, config.description);
}

#[tokio::test]
async fn a_consumer_begins_where_deliver_says() {
    let server = Server::start();
    let other = other_client(&server).await;
    make_stream(&other, "ORDERS", &["orders.>"]).await;
    store(&other, "orders.eu", 0..5).await;
    let connection = connected(&server).await;
    let mut from = with(|_, deliver, _| *deliver = Deliver::FromSequence(4));
    let mut source = within(connection.open(&from)).await.expect("opens");
    assert_eq!(take(&mut source, 2).await.iter().map(payload).collect::<Vec<_>>(), ["3", "4"]);

    if let SourceKind::JetStream { deliver, durable, .. } = &mut from.kind {
        *deliver = Deliver::New;
        "newcomer".clone_into(durable);
    }
    let mut source = within(connection.open(&from)).await.expect("opens");
    store(&other, "orders.eu", 5..6).await;
    assert_eq!(payload(&take(&mut source, 1).await[0]), "5");

    let wrong = with(|_, deliver, _| *deliver = Deliver::FromTime("yesterday".to_owned()));
    let error = within(connection.open(&wrong)).await.expect_err("fails");
    assert_eq!(error, SourceError::Time { text: "yesterday".to_owned() });
}
