//! What docs/metrics.md says is what a running host serves, and what is shipped for Prometheus and Grafana asks for
//! nothing else.

mod alerts;
mod page;

use std::collections::BTreeSet;

use trackside_tests::app::{App, Subscriber};
use trackside_tests::http::post;
use trackside_tests::{Server, Setup, Trackside, free_port, until};

use page::Page;

const CONFIG: &str = r#"
[sources.orders]
stream = "ORDERS"
durable = "trackside"
[sources.core]
subject = "readings.>"
"#;

const RULES: &str = r#"
[[rule]]
name = "clean"
source = "orders"
subject = "orders.>"
[[rule.stage]]
plugin = "validate"
with = { schema = "schemas/order.json" }
[[rule.stage]]
plugin = "mask"
with = { fields = [{ path = "$.card", action = "remove" }] }
[rule.routes]
default = "clean.{subject.2}"
[rule.on-failure]
dead-letter = "dead.orders"
[[rule]]
name = "pushed"
source = "sidecar"
subject = "push.>"
"#;

/// A server with streams for orders, what comes of them, and dead letters.
async fn server() -> Server {
    let server = Server::start().await;
    for (name, subjects) in [("ORDERS", "orders.>"), ("CLEAN", "clean.>"), ("DEAD", "dead.>")] {
        server.stream(name, &[subjects]).await;
    }
    server
}

async fn publish(server: &Server, payloads: &[&str]) {
    let context = async_nats::jetstream::new(server.client().await);
    for payload in payloads {
        let payload = (*payload).to_owned().into();
        context.publish("orders.new", payload).await.expect("sent").await.expect("stored");
    }
}

#[tokio::test]
async fn every_metric_that_is_documented_is_served_and_every_one_that_is_served_is_documented() {
    let app = App::start(0, |_| async { (200, None) }).await;
    let sidecar = format!("127.0.0.1:{}", free_port());
    let server = server().await;
    let sidecar_table = format!("[sidecar]\nlisten = {sidecar:?}\ndeliver-to = [{:?}]\n", app.url());
    let setup = Setup::new(&server.url(), &format!("{CONFIG}{sidecar_table}"));
    let routes = format!("routes.default = {:?}\nroutes.pulled = \"sidecar:pushed\"\n", app.url());
    setup.write("schemas/order.json", r#"{"type":"object"}"#);
    setup.write("rules/all.toml", format!("{RULES}{routes}"));
    // It is ready once somebody subscribes.
    let mut trackside = Trackside::spawn(setup.path(), &setup.admin, &[]);
    let _subscriber = Subscriber::subscribe(&sidecar, "pushed", 1).await;
    trackside.ready().await;
    publish(&server, &["{\"card\":1}", "[]"]).await;
    server.stored("CLEAN", 1).await;
    server.stored("DEAD", 1).await;
    server.settled("ORDERS", "trackside").await;
    assert_eq!(post(&sidecar, "/v1/publish/push.new", &[], "{}").await.status, 200);

    let page = Page::read();
    let served = async || {
        let (status, text) = trackside.admin("GET", "/metrics").await;
        assert_eq!(status, 200);
        text
    };
    let samples = |text: &str| {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines.map(|line| line.rsplit_once(' ').expect("a value").0.to_owned()).collect::<Vec<_>>()
    };
    until("every metric of the page to have a sample", async || {
        let names: BTreeSet<_> = samples(&served().await).iter().filter_map(|sample| page.name_of(sample)).collect();
        let missing: Vec<_> = page.names().filter(|name| !names.contains(*name)).collect();
        if !missing.is_empty() {
            eprintln!("no sample yet: {missing:?}");
        }
        missing.is_empty().then_some(())
    })
    .await;
    let text = served().await;
    for sample in samples(&text) {
        let name = page.name_of(&sample).unwrap_or_else(|| panic!("served and not documented: {sample}"));
        assert_eq!(page::labels_of(&sample), page.labels(&name), "the labels of {sample}");
    }
    for (name, kind) in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')) {
        let suffix = match kind {
            "counter" => "_total",
            "info" => "_info",
            _ => "",
        };
        assert_eq!(page.kind(&format!("{name}{suffix}")), Some(kind), "the type of {name}");
    }

    let metrics = trackside.metrics().await;
    for (series, value) in [
        ("trackside_rule_info{rule=\"clean\",source=\"orders\"}", 1.0),
        ("trackside_rule_tries_total{rule=\"clean\",outcome=\"published\"}", 1.0),
        ("trackside_rule_tries_total{rule=\"clean\",outcome=\"dead-lettered\"}", 1.0),
        ("trackside_route_outputs_total{rule=\"clean\",route=\"default\",outcome=\"confirmed\"}", 1.0),
        ("trackside_stage_seconds_count{rule=\"clean\",stage=\"1\",plugin=\"validate\"}", 2.0),
        ("trackside_stage_seconds_count{rule=\"clean\",stage=\"2\",plugin=\"mask\"}", 1.0),
        ("trackside_rule_publish_seconds_count{rule=\"clean\"}", 1.0),
        ("trackside_source_latency_seconds_count{source=\"orders\"}", 2.0),
        ("trackside_source_window_messages{source=\"orders\"}", 1000.0),
        ("trackside_source_in_flight_messages{source=\"orders\"}", 0.0),
        ("trackside_tasks{state=\"ready\"}", 0.0),
        ("trackside_tasks{state=\"waiting\"}", 0.0),
        ("trackside_plugin_breaker_open{plugin=\"mask\"}", 0.0),
        ("trackside_taps", 0.0),
        ("trackside_reloads_total{outcome=\"activated\"}", 1.0),
        (&format!("trackside_service_up{{service=\"{}\"}}", app.url()), 1.0),
        (&format!("trackside_service_requests_total{{service=\"{}\",outcome=\"delivered\"}}", app.url()), 1.0),
        ("trackside_subscription_subscribers{subscription=\"pushed\"}", 1.0),
    ] {
        let got = metrics.get(series).copied().unwrap_or_else(|| panic!("no {series} in {metrics:#?}"));
        assert!((got - value).abs() < 0.5, "{series} is {got}, not {value}");
    }
    assert!(metrics["trackside_plugin_instances{plugin=\"mask\"}"] >= 1.0);
    assert!(metrics["trackside_plugin_memory_bytes{plugin=\"mask\"}"] >= 65536.0);
    assert!(metrics.keys().all(|series| !series.starts_with("trackside_source_pending_messages{source=\"core\"")));
}

#[tokio::test]
async fn no_message_makes_a_series_and_those_of_a_rule_go_with_it() {
    let server = server().await;
    let setup = Setup::new(&server.url(), CONFIG);
    let rule = |name: &str| {
        let routes = "routes.default = \"clean.{subject.2}\"\non-failure.dead-letter = \"dead.orders\"\n";
        let mask = "stage = [{ plugin = \"mask\", with = { fields = [{ path = \"$.card\" }] } }]\n";
        format!("[[rule]]\nname = {name:?}\nsource = \"orders\"\nsubject = \"orders.>\"\n{mask}{routes}")
    };
    setup.write("rules/all.toml", rule("before"));
    let trackside = Trackside::start(&setup).await;
    let series = async || trackside.metrics().await.into_keys().collect::<BTreeSet<_>>();
    publish(&server, &["{}"]).await;
    server.settled("ORDERS", "trackside").await;
    let of_one = series().await;
    let context = async_nats::jetstream::new(server.client().await);
    for number in 0..50 {
        let subject = format!("orders.s{number}");
        let payload = if number % 5 == 0 { "no JSON".to_owned() } else { format!("{{\"card\":{number}}}") };
        context.publish(subject, payload.into()).await.expect("sent").await.expect("stored");
    }
    server.stored("DEAD", 10).await;
    server.settled("ORDERS", "trackside").await;
    assert_eq!(series().await, of_one, "51 subjects and payloads have the series of one");

    let old = trackside.revision().await;
    setup.write("rules/all.toml", rule("after"));
    trackside.revision_after(&old).await;
    publish(&server, &["{}"]).await;
    server.settled("ORDERS", "trackside").await;
    let renamed: BTreeSet<_> = of_one.iter().map(|name| name.replace("\"before\"", "\"after\"")).collect();
    let unlike = |name: &&String| !name.starts_with("trackside_revision_info");
    let now = series().await;
    assert_eq!(now.iter().filter(unlike).collect::<Vec<_>>(), renamed.iter().filter(unlike).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_route_that_is_left_alone_is_shown_with_what_failed() {
    let server = server().await;
    let setup = Setup::new(&server.url(), CONFIG);
    setup.write(
        "rules/all.toml",
        "[[rule]]\nname = \"lost\"\nsource = \"orders\"\nsubject = \"orders.>\"\n\
         routes.default = { subject = \"nowhere.orders\", confirm = \"stream\" }\n\
         breaker = { failures = 2, open-for = \"10m\", open-for-most = \"10m\" }\n\
         on-failure = { tries = 100, backoff = [\"1ms\"], dead-letter = \"dead.orders\" }\n",
    );
    let trackside = Trackside::start(&setup).await;
    publish(&server, &["{}"]).await;
    trackside
        .shows(&[
            ("trackside_route_breaker_open{rule=\"lost\",route=\"default\"}", 1.0),
            ("trackside_route_outputs_total{rule=\"lost\",route=\"default\",outcome=\"failed\"}", 2.0),
            ("trackside_rule_publish_errors_total{rule=\"lost\"}", 2.0),
            ("trackside_rule_tries_total{rule=\"lost\",outcome=\"retried\"}", 2.0),
            ("trackside_tasks{state=\"waiting\"}", 1.0),
        ])
        .await;
    // The breaker of a rule that is gone is no longer shown.
    let old = trackside.revision().await;
    setup.write(
        "rules/all.toml",
        "[[rule]]\nname = \"found\"\nsource = \"orders\"\nsubject = \"orders.>\"\nroutes.default = \"clean.orders\"\n",
    );
    trackside.revision_after(&old).await;
    assert!(trackside.metrics().await.keys().all(|series| !series.contains("\"lost\"")));
}

#[tokio::test]
async fn how_far_a_consumer_is_behind_is_what_the_server_says() {
    let server = server().await;
    // It takes what is posted to it, and never says so.
    let app = App::start(0, |_| std::future::pending()).await;
    let source = "[sources.orders]\nstream = \"ORDERS\"\ndurable = \"trackside\"\nmax-in-flight-messages = 2\n\
                  ack-wait = \"2s\"\n";
    let sidecar = format!("[sidecar]\nlisten = \"127.0.0.1:{}\"\ndeliver-to = [{:?}]\n", free_port(), app.url());
    let setup = Setup::new(&server.url(), &format!("{source}{sidecar}"));
    let rule = "[[rule]]\nname = \"posted\"\nsource = \"orders\"\nsubject = \"orders.>\"\n\
                on-failure.dead-letter = \"dead.orders\"\n";
    setup.write("rules/all.toml", format!("{rule}routes.default = {:?}\n", app.url()));
    publish(&server, &["{}"; 5]).await;
    let came = async |count: usize| {
        until(&format!("{count} messages at the service"), async || (app.seen().len() >= count).then_some(())).await;
    };
    let first = Trackside::start(&setup).await;
    came(2).await;
    first.kill();
    // The two that it had come again, to another one.
    let trackside = Trackside::start(&setup).await;
    came(4).await;
    until("three that wait and two that have come again", async || {
        let metrics = trackside.metrics().await;
        let of = |name: &str| metrics.get(&format!("trackside_source_{name}_messages{{source=\"orders\"}}")).copied();
        let told = [of("pending")?, of("unacknowledged")?, of("redelivered")?];
        told.iter().zip([3.0, 2.0, 2.0]).all(|(told, want)| (told - want).abs() < 0.5).then_some(())
    })
    .await;
    assert_eq!(server.unsettled("ORDERS", "trackside").await, (2, 3), "the server says so");
    assert!(trackside.metrics().await["trackside_source_redelivered_total{source=\"orders\"}"] > 1.5);
}
