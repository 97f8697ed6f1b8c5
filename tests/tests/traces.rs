//! Traces, seen by a real collector of OpenTelemetry.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_nats::jetstream;
use bytes::Bytes;
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::{SpanKind, TraceContextExt as _, Tracer as _, TracerProvider as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter as _};
use trackside_tests::app::App;
use trackside_tests::http::post;
use trackside_tests::{Collector, Received, Server, Setup, Stored, Trackside, free_port, hostile, until};

const SAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const UNSAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

/// What no span may have.
const PLANTED: &str = "4111-planted-1111";

const ORDERS: &str = "[sources.orders]\nstream = \"ORDERS\"\ndurable = \"trackside\"\n";

const CLEAN: &str = r#"
[[rule]]
name = "clean"
source = "orders"
subject = "orders.clean"
[[rule.stage]]
plugin = "mask"
with = { fields = [{ path = "$.card", action = "remove" }] }
[rule.routes]
default = "clean.{subject.2}"
[rule.on-failure]
dead-letter = "dead.orders"
"#;

/// A server with streams for orders, what comes of them and dead letters, and a configuration with `[telemetry.traces]`.
async fn world(traces: &str, rules: &str) -> (Server, Setup) {
    let server = Server::start().await;
    for (name, subjects) in [("ORDERS", "orders.>"), ("CLEAN", "clean.>"), ("DEAD", "dead.>")] {
        server.stream(name, &[subjects]).await;
    }
    let setup =
        Setup::new(&server.url(), &format!("{ORDERS}[telemetry.traces]\nservice-name = \"router\"\n{traces}\n"));
    setup.write("rules/orders.toml", rules);
    (server, setup)
}

async fn publish(server: &Server, subject: &str, headers: &[(&str, &str)], payload: &str) {
    let mut map = async_nats::HeaderMap::new();
    headers.iter().for_each(|(name, value)| map.append(*name, *value));
    let context = jetstream::new(server.client().await);
    let stored = context.publish_with_headers(subject.to_owned(), map, Bytes::from(payload.to_owned())).await;
    stored.expect("the client can publish").await.expect("the stream stores it");
}

/// A service that is instrumented with OpenTelemetry's SDK.
struct Service {
    provider: SdkTracerProvider,
    ended: Arc<Mutex<Vec<SpanData>>>,
    endpoint: String,
    resource: Resource,
}

/// Keeps spans until they are exported, since the SDK's own threads do not get on with a runtime.
#[derive(Debug)]
struct Keep(Arc<Mutex<Vec<SpanData>>>);

impl opentelemetry_sdk::trace::SpanExporter for Keep {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.lock().expect("no thread panicked").extend(batch);
        Ok(())
    }
}

impl Service {
    fn new(name: &'static str, collector: &Collector) -> Self {
        let ended: Arc<Mutex<Vec<SpanData>>> = Arc::default();
        let resource = Resource::builder_empty().with_attribute(KeyValue::new("service.name", name)).build();
        let provider = SdkTracerProvider::builder().with_simple_exporter(Keep(Arc::clone(&ended)));
        let endpoint = format!("{}/v1/traces", collector.endpoint());
        Self { provider: provider.with_resource(resource.clone()).build(), ended, endpoint, resource }
    }

    /// Works in a span below this one. What the span's message carries.
    fn work(&self, name: &'static str, kind: SpanKind, parent: &Context) -> BTreeMap<String, String> {
        let tracer = self.provider.tracer("test");
        let span = tracer.build_with_context(tracer.span_builder(name).with_kind(kind), parent);
        let mut carried = std::collections::HashMap::new();
        TraceContextPropagator::new().inject_context(&Context::new().with_span(span), &mut carried);
        carried.into_iter().filter(|(_, value)| !value.is_empty()).collect()
    }

    async fn export(self) {
        let mut exporter = SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(&self.endpoint)
            .build()
            .expect("an exporter");
        exporter.set_resource(&self.resource);
        let spans = std::mem::take(&mut *self.ended.lock().expect("no thread panicked"));
        exporter.export(spans).await.expect("the collector takes them");
    }
}

fn context_of(message: &Stored) -> Context {
    let headers = message.headers.iter().map(|(name, values)| (name.clone(), values[0].clone()));
    let carried: std::collections::HashMap<_, _> = headers.collect();
    TraceContextPropagator::new().extract_with_context(&Context::new(), &carried)
}

fn named<'s>(spans: &'s [Received], name: &str) -> &'s Received {
    spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no span `{name}` in {spans:#?}"))
}

#[tokio::test]
async fn a_trace_shows_producer_trackside_and_consumer_under_one_id() {
    let collector = Collector::start().await;
    let (server, setup) = world(&format!("endpoint = {:?}\nsample-ratio = 0", collector.endpoint()), CLEAN).await;
    let trackside = Trackside::start(&setup).await;
    let (producer, consumer) = (Service::new("shop", &collector), Service::new("billing", &collector));

    let carried = producer.work("send orders.clean", SpanKind::Producer, &Context::new());
    let mut headers: Vec<_> = carried.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    headers.push(("tracestate", "shop=1"));
    publish(&server, "orders.clean", &headers, &format!(r#"{{"card":"{PLANTED}"}}"#)).await;
    let clean = server.stored("CLEAN", 1).await;
    consumer.work("process clean.clean", SpanKind::Consumer, &context_of(&clean[0]));
    producer.export().await;
    consumer.export().await;

    let spans = collector.received(5, |_| true).await;
    let (sent, taken) = (named(&spans, "send orders.clean"), named(&spans, "process clean.clean"));
    let (message, stage) = (named(&spans, "process orders"), named(&spans, "stage mask"));
    let output = named(&spans, "send clean.{subject.2}");
    assert!(spans.iter().all(|span| span.trace == sent.trace), "{spans:#?}");
    let family = [(message, sent), (stage, message), (output, message), (taken, output)];
    family
        .iter()
        .for_each(|(child, parent)| assert_eq!(child.parent, parent.id, "{} below {}", child.name, parent.name));
    let services = spans.iter().map(|span| span.service.as_str()).collect::<std::collections::BTreeSet<_>>();
    assert_eq!(services.into_iter().collect::<Vec<_>>(), ["billing", "router", "shop"]);
    assert_eq!([&*message.kind, &*stage.kind, &*output.kind], ["CONSUMER", "INTERNAL", "PRODUCER"]);

    let id = clean[0].header("Nats-Msg-Id").expect("an id");
    let revision = trackside.revision().await;
    for (span, name, value) in [
        (message, "messaging.system", "nats"),
        (message, "messaging.operation.type", "process"),
        (message, "messaging.destination.name", "orders.clean"),
        (message, "messaging.message.id", id.strip_suffix(":clean:default:0").expect("of the rule's route")),
        (message, "trackside.source", "orders"),
        (message, "trackside.revision", revision.as_str()),
        (message, "trackside.outcome", "acknowledged"),
        (stage, "trackside.rule", "clean"),
        (stage, "trackside.verdict", "forward"),
        (output, "messaging.system", "nats"),
        (output, "messaging.operation.type", "send"),
        (output, "messaging.destination.name", "clean.clean"),
        (output, "messaging.message.id", id),
        (output, "trackside.rule", "clean"),
        (output, "trackside.route", "default"),
        (output, "trackside.outcome", "stored"),
        (output, "trackside.stream", "CLEAN"),
        (output, "trackside.sequence", "1"),
    ] {
        assert_eq!(span.attribute(name), value, "{name} of {span:#?}");
    }
    assert_eq!(message.events.len(), 1, "{message:#?}");
    assert_eq!(message.events[0].1["trackside.outcome"], "published");
    assert!(message.time.0 <= stage.time.0 && stage.time.1 <= output.time.1 && output.time.1 <= message.time.1);
    assert_eq!(clean[0].header("tracestate"), Some("shop=1"));
    assert!(!collector.output().contains(PLANTED));
    assert_eq!(trackside.drain().await, 0);
}

#[tokio::test]
async fn what_is_not_sampled_is_carried_on_as_it_came_and_what_has_no_trace_begins_one() {
    let collector = Collector::start().await;
    let (server, setup) = world(&format!("endpoint = {:?}", collector.endpoint()), CLEAN).await;
    let trackside = Trackside::start(&setup).await;
    let kinds = [&[("traceparent", UNSAMPLED), ("tracestate", "a=1")][..], &[("traceparent", "nonsense")], &[]];
    for (before, headers) in kinds.into_iter().enumerate() {
        publish(&server, "orders.clean", headers, "{}").await;
        // Two lanes would work on them at once otherwise.
        server.stored("CLEAN", before + 1).await;
    }
    let clean = server.stored("CLEAN", 3).await;
    assert_eq!(clean[0].header("traceparent"), Some(UNSAMPLED));
    assert_eq!(clean[0].header("tracestate"), Some("a=1"));
    let spans = collector.received(2, |span| span.name == "send clean.{subject.2}").await;
    for (message, output) in clean[1..].iter().zip(&spans) {
        let sent = format!("00-{}-{}-01", output.trace, output.id);
        assert_eq!(message.header("traceparent"), Some(sent.as_str()));
        assert_eq!(message.headers["traceparent"].len(), 1);
    }
    let messages = collector.received(2, |span| span.name == "process orders").await;
    assert!(messages.iter().all(|message| message.parent.is_empty()), "{messages:#?}");
    assert_ne!(messages[0].trace, messages[1].trace);
    assert_eq!(trackside.drain().await, 0);
    assert_eq!(collector.spans().iter().filter(|span| span.kind == "CONSUMER").count(), 2);
}

#[tokio::test]
async fn without_the_table_headers_are_carried_on_and_nothing_is_exported() {
    let server = Server::start().await;
    server.stream("ORDERS", &["orders.>"]).await;
    server.stream("CLEAN", &["clean.>"]).await;
    let setup = Setup::new(&server.url(), ORDERS);
    setup.write("rules/orders.toml", CLEAN.replace("dead-letter = \"dead.orders\"", "dead-letter = \"clean.dead\""));
    let trackside = Trackside::start(&setup).await;
    publish(&server, "orders.clean", &[("traceparent", SAMPLED), ("tracestate", "a=1")], "{}").await;
    publish(&server, "orders.clean", &[], "{}").await;
    // Two lanes work on them, so either may be stored first.
    let clean = server.stored("CLEAN", 2).await;
    let mut headers: Vec<_> = clean.iter().map(|one| (one.header("traceparent"), one.header("tracestate"))).collect();
    headers.sort_unstable();
    assert_eq!(headers, [(None, None), (Some(SAMPLED), Some("a=1"))]);
    let metrics = trackside.metrics().await;
    let spans: f64 = metrics.iter().filter(|(name, _)| name.contains("trace_spans")).map(|(_, count)| count).sum();
    assert!(spans.abs() < 0.5, "{metrics:#?}");
    assert_eq!(trackside.drain().await, 0);
}

#[tokio::test]
async fn failures_tries_and_what_a_plugin_logs_are_in_the_trace() {
    let rules = r#"
[[rule]]
name = "refused"
source = "orders"
subject = "orders.refused"
[[rule.stage]]
plugin = "chatty"
[[rule.stage]]
plugin = "validate"
with = { schema = "schemas/order.json" }
[rule.routes]
default = "clean.refused"
[rule.on-failure]
dead-letter = "dead.orders"

[[rule]]
name = "stuck"
source = "orders"
subject = "orders.stuck"
[[rule.stage]]
plugin = "loops"
[rule.routes]
default = "clean.stuck"
[rule.on-failure]
dead-letter = "dead.orders"
tries = 2
backoff = ["10ms"]
"#;
    let collector = Collector::start().await;
    let plugins = "[plugins.chatty]\npath = \"plugins/log.wasm\"\ngrants = [\"log\"]\n\
                   [plugins.loops]\npath = \"plugins/loop.wasm\"\ndeadline = \"50ms\"\n";
    let (server, setup) = world(&format!("endpoint = {:?}\n{plugins}", collector.endpoint()), rules).await;
    setup.write("schemas/order.json", r#"{"type":"object","properties":{"id":{"type":"integer"}}}"#);
    for name in ["log", "loop"] {
        setup.write(&format!("plugins/{name}.wasm"), hostile::component(name));
    }
    let trackside = Trackside::start(&setup).await;
    publish(&server, "orders.refused", &[("traceparent", SAMPLED)], &format!(r#"{{"id":"{PLANTED}"}}"#)).await;
    publish(&server, "orders.stuck", &[], &format!(r#"{{"card":"{PLANTED}"}}"#)).await;
    let dead = server.stored("DEAD", 2).await;
    // A letter keeps the trace of its original, for the day when it is replayed.
    let of_refused = dead.iter().find(|letter| letter.header("Trackside-Rule") == Some("refused")).expect("a letter");
    assert_eq!(of_refused.header("traceparent"), Some(SAMPLED));

    let letters = collector.received(2, |span| span.name == "send dead letter").await;
    assert!(
        letters.iter().all(|letter| letter.kind == "PRODUCER" && letter.attribute("trackside.outcome") == "stored")
    );
    collector
        .received(2, |span| span.kind == "CONSUMER" && span.attribute("trackside.outcome") == "acknowledged")
        .await;
    let spans = collector.spans();
    let chatty = named(&spans, "stage chatty");
    // A burst of what a plugin may log a second, of which a span keeps some.
    assert!((2..=32).contains(&chatty.events.len()), "{chatty:#?}");
    assert_eq!((chatty.events[0].0.as_str(), chatty.events[0].1["log.severity"].as_str()), ("log", "WARN"));
    assert!(chatty.events[0].1["log.message"].contains("forged"), "{chatty:#?}");
    let refused = named(&spans, "stage validate");
    assert_eq!((refused.status.as_str(), refused.attribute("error.type")), ("ERROR", "rejected"));
    assert_eq!((refused.attribute("trackside.stage"), refused.attribute("trackside.verdict")), ("2", "reject"));
    let stuck: Vec<_> = spans.iter().filter(|span| span.name == "stage loops").collect();
    assert_eq!(stuck.iter().map(|span| span.attribute("trackside.try")).collect::<Vec<_>>(), ["1", "2"]);
    assert!(
        stuck.iter().all(|span| span.status == "ERROR" && span.attribute("error.type") == "deadline"),
        "{stuck:#?}"
    );
    let message = spans
        .iter()
        .find(|span| span.kind == "CONSUMER" && span.attribute("messaging.destination.name") == "orders.refused");
    let message = message.expect("the message that was refused");
    assert_eq!((message.status.as_str(), message.message.as_str()), ("ERROR", "rule refused: dead-lettered"));
    assert!(!collector.output().contains(PLANTED));
    assert_eq!(trackside.drain().await, 0);
}

#[tokio::test]
async fn a_collector_that_is_gone_costs_drops_and_nothing_else_and_is_found_again() {
    let port = free_port();
    let traces = format!("endpoint = \"http://127.0.0.1:{port}\"\ntimeout = \"50ms\"\nmax-waiting-spans = 8");
    let (server, setup) = world(&traces, CLEAN).await;
    let trackside = Trackside::start(&setup).await;
    let (count, context) = (600, jetstream::new(server.client().await));
    for _ in 0..count {
        context.publish("orders.clean", "{}".into()).await.expect("the client can publish");
    }
    assert_eq!(server.stored("CLEAN", count).await.len(), count);
    server.settled("ORDERS", "trackside").await;
    let spans = async |outcome: &str| {
        trackside.metrics().await[&format!("trackside_trace_spans_total{{outcome=\"{outcome}\"}}")]
    };
    until("spans that are lost", async || (spans("failed").await > 0.0).then_some(())).await;
    until("spans that find no place", async || (spans("dropped").await > 0.0).then_some(())).await;
    assert!(spans("exported").await < 1.0);
    assert_eq!(trackside.log().matches("spans cannot be exported").count(), 1, "{}", trackside.log());

    let collector = Collector::start_at(port).await;
    let exported = until("spans that are taken", async || {
        publish(&server, "orders.clean", &[], "{}").await;
        Some(spans("exported").await).filter(|exported| *exported > 0.0)
    });
    exported.await;
    collector.received(1, |span| span.name == "process orders").await;
    assert!(trackside.log().contains("spans are exported again"));
    assert_eq!(trackside.drain().await, 0);
}

#[tokio::test]
async fn headers_come_from_secrets_and_a_receiver_that_is_busy_is_asked_again() {
    let asked = Arc::new(AtomicUsize::new(0));
    let receiver = App::start(free_port(), move |_| {
        let first = asked.fetch_add(1, Ordering::Relaxed) == 0;
        async move { if first { (503, Some("1".to_owned())) } else { (200, None) } }
    })
    .await;
    let traces = format!(
        "endpoint = \"{}/otlp/\"\n[telemetry.traces.secret-headers]\nAuthorization = \"env:OTLP_AUTHORIZATION\"",
        receiver.url()
    );
    let (server, setup) = world(&traces, CLEAN).await;
    let trackside = Trackside::start_with(&setup, &[("OTLP_AUTHORIZATION", "Bearer hunter2")]).await;
    publish(&server, "orders.clean", &[], "{}").await;
    server.stored("CLEAN", 1).await;
    until("another try", async || (receiver.seen().len() >= 2).then_some(())).await;
    let seen = receiver.seen();
    assert_eq!((seen[0].path.as_str(), seen[0].status, seen[1].status), ("/otlp/v1/traces", 503, 200));
    assert_eq!(seen[0].body, seen[1].body);
    assert!(seen[1].at - seen[0].at >= std::time::Duration::from_secs(1), "as it asked");
    assert_eq!(seen[1].headers["authorization"], "Bearer hunter2");
    assert_eq!(seen[1].headers["content-type"], "application/x-protobuf");
    until("the spans to be counted", async || {
        let metrics = trackside.metrics().await;
        (metrics["trackside_trace_spans_total{outcome=\"exported\"}"] > 2.5).then_some(())
    })
    .await;
    assert!(!trackside.log().contains("hunter2"));
    assert_eq!(trackside.drain().await, 0);
}

#[tokio::test]
async fn a_header_whose_secret_is_missing_keeps_it_from_starting_and_is_named() {
    let traces = "[telemetry.traces.secret-headers]\nAuthorization = \"env:OTLP_NOT_SET\"";
    let (_server, setup) = world(traces, CLEAN).await;
    let finished = trackside_tests::command(&["run", setup.argument()], b"");
    assert_eq!(finished.code, 1);
    assert!(finished.stderr.contains("[telemetry.traces.secret-headers] Authorization"), "{}", finished.stderr);
    assert!(finished.stderr.contains("OTLP_NOT_SET"), "{}", finished.stderr);
}

#[tokio::test]
async fn what_a_service_publishes_and_what_is_posted_to_one_are_in_its_trace() {
    let collector = Collector::start().await;
    let app = App::start(free_port(), |_| async { (200, None) }).await;
    let sidecar = format!("127.0.0.1:{}", free_port());
    let server = Server::start().await;
    let setup = Setup::new(
        &server.url(),
        &format!(
            "[telemetry.traces]\nendpoint = {:?}\n[sidecar]\nlisten = {sidecar:?}\ndeliver-to = [\"{}\"]\n",
            collector.endpoint(),
            app.url()
        ),
    );
    setup.write(
        "rules/out.toml",
        format!(
            "[[rule]]\nname = \"out\"\nsource = \"sidecar\"\nsubject = \"orders.>\"\nroutes.default = \"{}/in/{{json:$.card}}\"\n",
            app.url()
        ),
    );
    let trackside = Trackside::start(&setup).await;
    let body = format!("{{\"card\":\"{PLANTED}\"}}");
    let answer = post(&sidecar, "/v1/publish/orders.new", &[("traceparent", SAMPLED)], &body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let spans = collector.received(2, |_| true).await;
    let message = named(&spans, "process sidecar");
    let output = spans.iter().find(|span| span.kind == "PRODUCER").expect("an output");
    assert_eq!((message.trace.as_str(), message.parent.as_str()), (&SAMPLED[3..35], &SAMPLED[36..52]));
    assert_eq!(message.attribute("messaging.system"), "trackside");
    assert_eq!((&output.parent, output.attribute("trackside.outcome")), (&message.id, "taken"));
    assert_eq!(output.attribute("server.address"), "127.0.0.1");
    let seen = app.seen();
    let posted = seen.iter().find(|seen| seen.path.starts_with("/in/")).expect("it was posted");
    assert_eq!(posted.headers["traceparent"], format!("00-{}-{}-01", output.trace, output.id));
    assert!(!collector.output().contains(PLANTED), "a path may be made of a payload");
    assert_eq!(trackside.drain().await, 0);
}
