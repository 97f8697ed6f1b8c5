use super::batches::older;
use super::server::Server;
use super::{connected, make_stream, other_client, outgoing, pattern, settings, within};
use crate::backbone::{Confirmed, EnsureError, JetStreamError, Need, RequiredStream, connect};
use crate::rules::{FileSet, NatsSettings, load_from};

fn required(name: &str, subjects: &[&str], why: &str) -> RequiredStream {
    let subjects = subjects.iter().map(|subject| pattern(subject)).collect();
    RequiredStream {
        name: name.to_owned(),
        subjects,
        transform: None,
        need: Need::Takes,
        allow_batched: false,
        make: false,
        why: why.to_owned(),
    }
}

#[tokio::test]
async fn everything_that_is_missing_is_told_at_once_with_the_commands() {
    let server = Server::start();
    let other = other_client(&server).await;
    make_stream(&other, "ORDERS", &["orders.>"]).await;
    make_stream(&other, "DEAD", &["dead.orders"]).await;
    let connection = connected(&server).await;
    let needed = [
        required("ORDERS", &["orders.*.created"], "source \"orders\""),
        required("CLEAN", &["clean.>", "review.>"], "[streams.CLEAN]"),
        required("DEAD", &["dead.>"], "[streams.DEAD]"),
        required("ANY", &[], "source \"any\""),
    ];
    let error = within(connection.ensure_streams(&needed, false)).await.expect_err("some are missing");
    let want = "stream `CLEAN` of [streams.CLEAN] does not exist; make it with:
    nats stream add CLEAN --subjects \"clean.>,review.>\" --defaults
stream `DEAD` of [streams.DEAD] does not take `dead.>`; change it with:
    nats stream edit DEAD --subjects \"dead.orders,dead.>\"
stream `ANY` of source \"any\" does not exist; make it with:
    nats stream add ANY --subjects \"any.>\" --defaults";
    assert_eq!(error.to_string(), want);
}

#[tokio::test]
async fn those_that_are_missing_are_made_when_asked_for_and_take_messages_at_once() {
    let server = Server::start();
    let connection = connected(&server).await;
    let needed = [required("CLEAN", &["clean.>"], "[streams.CLEAN]"), required("ANY", &[], "source \"any\"")];
    within(connection.ensure_streams(&needed, true)).await.expect("are made");
    within(connection.ensure_streams(&needed, true)).await.expect("are there");
    for (stream, subject) in [("CLEAN", "clean.a"), ("ANY", "any.a")] {
        let pending = connection.publisher().publish(outgoing(subject, "1")).await.expect("is sent");
        let want = Confirmed::Stored { stream: stream.to_owned(), sequence: 1, duplicate: false };
        assert_eq!(within(pending.confirmed()).await, Ok(want));
    }
}

#[tokio::test]
async fn a_stream_that_does_not_transform_what_it_should_is_told_with_the_command_and_made_right_from_the_start() {
    let server = Server::start();
    let other = other_client(&server).await;
    make_stream(&other, "PLAIN", &["plain.>"]).await;
    make_stream(&other, "NARROW", &["narrow.a"]).await;
    let connection = connected(&server).await;
    let transformed = |name: &str, subject: &str| {
        let config = format!(
            "[nats]\nservers = [\"nats://a\"]\n[sources.a]\nsubject = \"x\"\n[streams.{name}]\n\
             subjects = [\"{subject}.>\"]\n\
             transform = {{ from = \"{subject}.*\", to = \"{subject}.{{{{partition(2,1)}}}}.{{{{wildcard(1)}}}}\" }}\n"
        );
        let rule = "[[rule]]\nname = \"a\"\nsource = \"a\"\nsubject = \"x\"\nroutes = { default = \"y\" }\n";
        let files = FileSet::new("").with("trackside.toml", config).with("rules/a.toml", rule.to_owned());
        let (rules, _) = load_from(&files).expect("the rules are right");
        let transform = rules.config.streams[name].transform.clone();
        RequiredStream { transform, ..required(name, &[&format!("{subject}.>")], &format!("[streams.{name}]")) }
    };
    let needed = ["PLAIN plain", "NARROW narrow", "MADE made"].map(|both| {
        let (name, subject) = both.split_once(' ').expect("two words");
        transformed(name, subject)
    });
    let error = within(connection.ensure_streams(&needed, false)).await.expect_err("none is right");
    let want = "stream `PLAIN` of [streams.PLAIN] does not store `plain.*` as `plain.{{partition(2,1)}}.{{wildcard(1)}}`; \
                change it with:
    nats stream edit PLAIN --transform-source \"plain.*\" --transform-destination \"plain.{{partition(2,1)}}.{{wildcard(1)}}\"
stream `NARROW` of [streams.NARROW] does not take `narrow.>`; change it with:
    nats stream edit NARROW --subjects \"narrow.a,narrow.>\"
stream `NARROW` of [streams.NARROW] does not store `narrow.*` as \
                `narrow.{{partition(2,1)}}.{{wildcard(1)}}`; change it with:
    nats stream edit NARROW --transform-source \"narrow.*\" --transform-destination \
                \"narrow.{{partition(2,1)}}.{{wildcard(1)}}\"
stream `MADE` of [streams.MADE] does not exist; make it with:
    nats stream add MADE --subjects \"made.>\" --defaults --transform-source \"made.*\" --transform-destination \
                \"made.{{partition(2,1)}}.{{wildcard(1)}}\"";
    assert_eq!(error.to_string(), want);

    let made = &needed[2..];
    within(connection.ensure_streams(made, true)).await.expect("is made");
    within(connection.ensure_streams(made, false)).await.expect("is as it should be");
}

#[tokio::test]
async fn without_jetstream_the_error_says_how_to_get_it() {
    let server = Server::with("");
    let connection = connected(&server).await;
    let needed = [required("CLEAN", &["clean.>"], "[streams.CLEAN]")];
    let error = within(connection.ensure_streams(&needed, true)).await.expect_err("fails");
    let want = "stream `CLEAN` of [streams.CLEAN]: JetStream is not enabled on the NATS server: start it with `-js`, \
                or add `jetstream {}` to its file";
    assert_eq!(error.to_string(), want);
}

#[tokio::test]
async fn an_account_without_jetstream_is_told_apart_from_a_server_without_it() {
    let server = Server::with(
        "jetstream { store_dir: \"DIRECTORY/store\" }\n\
         accounts { POOR: { users: [ { user: \"poor\", password: \"poor\" } ] }, \
         RICH: { jetstream: enabled, users: [ { user: \"rich\", password: \"rich\" } ] } }\nno_auth_user: poor",
    );
    let connection = connected(&server).await;
    let error = within(connection.ensure_streams(&[required("A", &[], "x")], false)).await.expect_err("fails");
    assert!(matches!(&error, EnsureError::JetStream { error: JetStreamError::OffForAccount, .. }), "{error}");
    assert!(error.to_string().contains("JetStream is not enabled for this NATS account"), "{error}");
}

#[tokio::test]
async fn more_streams_than_a_page_has_are_all_known() {
    let server = Server::start();
    let other = other_client(&server).await;
    for number in 0..300 {
        make_stream(&other, &format!("S{number}"), &[&format!("many.{number}")]).await;
    }
    let connection = connected(&server).await;
    for number in 0..300 {
        assert_eq!(connection.publisher.parts.index.takes(&format!("many.{number}")), Ok(true), "{number}");
    }
    assert_eq!(connection.publisher.parts.index.takes("many.300"), Ok(false));
}

#[tokio::test]
async fn a_stream_that_is_to_be_made_is_made_for_what_no_other_stream_takes() {
    let server = Server::start();
    let other = other_client(&server).await;
    make_stream(&other, "OTHERS", &["dead.one"]).await;
    let connection = connected(&server).await;
    let letters = |subjects: &[&str]| RequiredStream {
        need: Need::TakenByAny,
        make: true,
        ..required("DEAD", subjects, "the dead letters of rule `a`")
    };
    within(connection.ensure_streams(&[letters(&["dead.one"])], false)).await.expect("is taken already");
    assert_eq!(connection.holding("DEAD").await, Ok(None));
    within(connection.ensure_streams(&[letters(&["dead.one", "dead.*.two"])], false)).await.expect("is made");
    assert_eq!(connection.streams_with(&pattern("dead.x.two")).await, Ok(vec!["DEAD".to_owned()]));
    let error = within(connection.ensure_streams(&[letters(&["dead.three"])], false)).await.expect_err("lacks it");
    let want = "stream `DEAD` of the dead letters of rule `a` does not take `dead.three`; change it with:
    nats stream edit DEAD --subjects \"dead.*.two,dead.three\"";
    assert_eq!(error.to_string(), want);
}

#[tokio::test]
async fn a_stream_that_has_to_allow_fast_ingest_is_made_so_and_one_that_does_not_is_told_with_the_command() {
    let server = Server::start();
    let other = other_client(&server).await;
    make_stream(&other, "OLD", &["old.>"]).await;
    let connection = connected(&server).await;
    let batched = |name: &str, subject: &str| RequiredStream {
        allow_batched: true,
        ..required(name, &[subject], &format!("[streams.{name}]"))
    };
    let needed = [batched("NEW", "new.>"), batched("OLD", "old.>")];
    let error = within(connection.ensure_streams(&needed, false)).await.expect_err("neither is right");
    let want = "stream `NEW` of [streams.NEW] does not exist; make it with:
    nats stream add NEW --subjects \"new.>\" --defaults --allow-fast
stream `OLD` of [streams.OLD] does not allow fast ingest; change it with:
    nats stream edit OLD --allow-fast";
    assert_eq!(error.to_string(), want);
    within(connection.ensure_streams(&needed[..1], true)).await.expect("is made");
    assert!(connection.publisher.parts.index.ingesting("new.a").is_some());
    assert!(connection.publisher.parts.index.ingesting("old.a").is_none());
}

#[tokio::test]
async fn a_server_that_knows_no_fast_ingest_is_told_so_instead_of_making_a_stream_without_it() {
    let server = Server::start();
    let settings = NatsSettings { servers: vec![older(&server).await], ..settings(&server) };
    let connection = within(connect(&settings, std::path::Path::new("/"))).await.expect("connects");
    let needed = [RequiredStream { allow_batched: true, ..required("NEW", &["new.>"], "[streams.NEW]") }];
    let error = within(connection.ensure_streams(&needed, true)).await.expect_err("is too old");
    let want = "stream `NEW` of [streams.NEW] cannot allow fast ingest: the NATS server is 2.11.9, and can do so from \
                2.14 on; update it, or take `allow-batched` out";
    assert_eq!(error.to_string(), want);
}
