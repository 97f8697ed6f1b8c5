//! Memory under full input while nothing comes out. Run by `cargo xtask memory`, which says for how long.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_nats::jetstream::{self, stream};
use trackside_tests::graph::Graph;
use trackside_tests::{Server, Setup, Trackside};

const CONFIG: &str = r#"
[sources.orders]
stream = "ORDERS"
durable = "trackside"
[sources.telemetry]
subject = "telemetry.>"
"#;

const RULES: &str = r#"
[[rule]]
name = "orders"
source = "orders"
subject = "orders.>"
[[rule.stage]]
plugin = "mask"
with = { fields = [{ path = "$.card", action = "keep-last", count = 4 }] }
[rule.routes]
default = "clean.orders"
[rule.on-failure]
dead-letter = "dead.orders"
tries = 100
[[rule]]
name = "telemetry"
source = "telemetry"
subject = "telemetry.>"
[rule.routes]
default = { subject = "clean.telemetry", confirm = "stream" }
[rule.on-failure]
dead-letter = "dead.telemetry"
tries = 100
"#;

/// A stream that forgets what is old, so that the disk is not what fills up.
fn stream(name: &str, subjects: &str) -> stream::Config {
    stream::Config {
        name: name.to_owned(),
        subjects: vec![subjects.to_owned()],
        max_bytes: 512 << 20,
        duplicate_window: Duration::from_secs(1),
        ..stream::Config::default()
    }
}

/// An order of about a kilobyte.
fn order(number: u64) -> String {
    format!("{{\"id\":{number},\"card\":\"4111111111111111\",\"note\":\"{}\"}}", "x".repeat(950))
}

/// Publishes as fast as the server takes it, for ever.
async fn flood(url: String, subject: &'static str, stored: bool, sent: Arc<AtomicU64>) {
    let client = async_nats::connect(url).await.expect("the server takes clients");
    let context = jetstream::new(client.clone());
    for number in 0.. {
        if stored {
            // The confirmations of a batch are waited for, so that the server sets the pace.
            let mut acks = Vec::new();
            for part in 0..200 {
                acks.push(context.publish(subject, order(number * 200 + part).into()).await);
            }
            for ack in acks.into_iter().flatten() {
                let _ = ack.await;
            }
            sent.fetch_add(200, Ordering::Relaxed);
        } else {
            for part in 0..200 {
                client.publish(subject, order(number * 200 + part).into()).await.expect("the client can publish");
            }
            client.flush().await.expect("the server reads it");
            sent.fetch_add(200, Ordering::Relaxed);
        }
    }
}

/// Resident memory of a process, in MiB.
fn resident_mib(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("Linux tells of processes");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("how much is resident");
    let kib: f64 = line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number");
    kib / 1024.0
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs for as long as TRACKSIDE_MEMORY_SECONDS says; see cargo xtask memory"]
async fn it_stays_flat_when_outputs_stop_at_full_input() {
    let seconds = std::env::var("TRACKSIDE_MEMORY_SECONDS").expect("set by cargo xtask memory");
    let whole = Duration::from_secs(seconds.parse().expect("a number of seconds"));
    let server = Server::start().await;
    let context = jetstream::new(server.client().await);
    for (name, subjects) in [("ORDERS", "orders.>"), ("CLEAN", "clean.>"), ("DEAD", "dead.>")] {
        context.create_stream(stream(name, subjects)).await.expect("the stream can be made");
    }
    let setup = Setup::new(&server.url(), CONFIG);
    setup.write("rules/all.toml", RULES);
    let mut trackside = Trackside::start(&setup).await;
    let pid = trackside.process().id();
    let sent = [Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0))];
    let floods = [
        tokio::spawn(flood(server.url(), "orders.eu", true, Arc::clone(&sent[0]))),
        tokio::spawn(flood(server.url(), "telemetry.a", false, Arc::clone(&sent[1]))),
    ];
    let begun = Instant::now();
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    let (mut points, mut stopped) = (Vec::new(), None);
    while begun.elapsed() < whole {
        tick.tick().await;
        points.push((begun.elapsed().as_secs_f64(), resident_mib(pid)));
        if stopped.is_none() && begun.elapsed() > whole / 2 {
            let full =
                stream::Config { max_messages: 1, discard: stream::DiscardPolicy::New, ..stream("CLEAN", "clean.>") };
            context.update_stream(full).await.expect("the stream can be changed");
            stopped = Some(begun.elapsed().as_secs_f64());
        }
    }
    floods.iter().for_each(tokio::task::JoinHandle::abort);
    let stopped = stopped.expect("half the time is over");
    let metrics = trackside.metrics().await;
    let most = |from: f64, to: f64| {
        points.iter().filter(|point| (from..to).contains(&point.0)).map(|point| point.1).fold(0.0, f64::max)
    };
    let (before, after) = (most(0.0, stopped), most(stopped, f64::MAX));
    println!("resident memory: at most {before:.0} MiB before outputs stopped, {after:.0} MiB after");
    println!(
        "published to the sources: {:?} messages (JetStream, core)",
        sent.map(|sent| sent.load(Ordering::Relaxed))
    );
    println!("dropped by the core source: {}", metrics["trackside_source_dropped_total{source=\"telemetry\"}"]);
    if let Some(path) = std::env::var_os("TRACKSIDE_MEMORY_GRAPH") {
        let graph = Graph {
            title: "Resident memory of Trackside at full input from JetStream and core NATS",
            unit: "MiB resident, over seconds",
            points: &points,
            marks: &[(stopped, "outputs stop".to_owned())],
        };
        std::fs::write(&path, graph.svg()).expect("the picture can be written");
    }
    assert!(after < before * 1.25 + 16.0, "it grew from {before:.0} to {after:.0} MiB");
}
