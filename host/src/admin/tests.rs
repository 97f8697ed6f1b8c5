//! Real HTTP over the loopback interface, against a real controller.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::control::{Compiled, Controller, Rejection, Wanted};
use crate::names::{PluginName, Revision, SourceName};
use crate::pipeline::Ending;
use crate::plan::{Plan, View};
use crate::telemetry::{Build, Condition, Metrics, Readiness};

use crate::rules::{AdminSettings, Contents};

use super::*;

mod access;

const PATIENCE: Duration = Duration::from_secs(20);

struct Server {
    address: SocketAddr,
    readiness: Readiness,
    /// What the next load finds.
    next: Arc<Mutex<Result<u8, String>>>,
    tasks: JoinSet<()>,
}

/// Of a listener for this machine alone, without tokens.
fn settings() -> AdminSettings {
    AdminSettings {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        tls: None,
        requests_per_second: 1000,
        audit: None,
        tokens: BTreeMap::new(),
    }
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

/// A plan without rules.
fn live() -> Live {
    Live::new(Arc::new(Plan {
        revision: Revision::from_digest(&[0; 32]),
        sources: BTreeMap::new(),
        rules: Vec::new(),
        plugins: Vec::new(),
        json: trackside_json::Limits::default(),
    }))
}

impl Server {
    async fn start() -> Self {
        Self::start_with(&settings(), &Credentials::default()).await
    }

    async fn start_with(settings: &AdminSettings, credentials: &Credentials) -> Self {
        let next = Arc::new(Mutex::new(Ok(1)));
        let found = Arc::clone(&next);
        let compile = move |_: &Wanted| match found.lock().expect("nobody panics with it").clone() {
            Ok(plan) => Ok(Compiled {
                plan,
                revision: Revision::from_digest(&[plan; 32]),
                rules: 2,
                plugins: vec![(PluginName::new("mask").expect("a name"), "ab".repeat(32))],
                watch: Vec::new(),
                warnings: Vec::new(),
                contents: Contents::default(),
            }),
            Err(report) => Err(Rejection { report, watch: Vec::new() }),
        };
        let metrics = Metrics::new(Build { version: "0.1.0", wasmtime: "48.0.0", contract: "0.1.0" });
        let (mut controller, control) = Controller::new(compile, |_| {}, metrics.clone());
        controller.start().await.expect("it starts");
        let readiness = Readiness::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("it has an address");
        let mut tasks = JoinSet::new();
        tasks.spawn(controller.run(std::future::pending()));
        let access = Access::new(settings, credentials.clone()).expect("the settings are right");
        let admin = Admin {
            control,
            metrics,
            readiness: readiness.clone(),
            access,
            live: live(),
            taps: Taps::default(),
            view: View::default(),
            desk: Desk::default(),
        };
        tasks.spawn(serve(listener, admin));
        Self { address, readiness, next, tasks }
    }

    /// Sends a request as it is written here, and reads the answer to its end.
    async fn raw(&self, request: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.expect("it listens");
        stream.write_all(request.as_bytes()).await.expect("is sent");
        let mut bytes = Vec::new();
        timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("an answer").expect("it can be read");
        let text = String::from_utf8(bytes).expect("UTF-8");
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }

    async fn send(&self, method: &str, path: &str, headers: &str) -> Answer {
        let host = self.address;
        self.raw(&format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}\r\n")).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, "").await
    }

    fn set(&self, next: Result<u8, &str>) {
        *self.next.lock().expect("nobody panics with it") = next.map_err(str::to_owned);
    }

    async fn reload(&self) -> (u16, Value) {
        let answer = self.send("POST", "/v1/reload", "Content-Length: 0\r\n").await;
        (answer.status, answer.json())
    }
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {:?}", self.body))
    }

    #[track_caller]
    fn is_problem(&self, status: u16) {
        assert_eq!(self.status, status, "{}", self.body);
        assert!(self.head.contains("content-type: application/problem+json"), "{}", self.head);
        assert_eq!(self.json()["status"], status);
        assert!(self.json()["detail"].as_str().is_some_and(|detail| !detail.is_empty()));
    }
}

#[tokio::test]
async fn it_is_healthy_while_it_lives() {
    let server = Server::start().await;
    let answer = server.get("/healthz").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "ok"));
    assert!(answer.head.contains("cache-control: no-store") && answer.head.contains("nosniff"), "{}", answer.head);
}

#[tokio::test]
async fn readiness_is_the_truth_with_its_reasons() {
    let server = Server::start().await;
    let source = Condition::Source(SourceName::new("orders").expect("a name"));
    server.readiness.set(Condition::Revision, Ok(()));
    server.readiness.set(Condition::Connection, Ok(()));
    server.readiness.set(source.clone(), Err("the consumer is gone".to_owned()));
    let answer = server.get("/readyz").await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.json(), json!({ "ready": false, "reasons": ["source orders: the consumer is gone"] }));
    server.readiness.set(source, Ok(()));
    let answer = server.get("/readyz").await;
    assert_eq!((answer.status, answer.json()), (200, json!({ "ready": true, "reasons": [] })));
}

#[tokio::test]
async fn metrics_come_as_open_metrics() {
    let server = Server::start().await;
    let answer = server.get("/metrics").await;
    let media_type = "content-type: application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert!(answer.status == 200 && answer.head.contains(media_type), "{}", answer.head);
    assert!(answer.body.contains("trackside_reloads_total{outcome=\"activated\"} 1\n"));
    assert!(answer.body.ends_with("# EOF\n"));
}

#[tokio::test]
async fn the_revision_is_told_with_its_plugins_and_the_last_reload() {
    let server = Server::start().await;
    server.set(Err("rules/orders.toml:3:1 `sourc` is no key"));
    server.reload().await;
    let mut body = server.get("/v1/revision").await.json();
    let last = body["last-reload"].take();
    let since = body["since"].take();
    assert!(since.as_str().is_some_and(|since| since.ends_with('Z') && since.contains('T')), "{since}");
    assert_eq!(
        body,
        json!({ "revision": "010101010101", "since": null, "basis": "files", "unwritten": [], "rules": 2, "plugins": { "mask": "ab".repeat(32) },
            "last-reload": null })
    );
    assert_eq!((&last["trigger"], &last["outcome"]), (&json!("admin"), &json!("rejected")));
    assert_eq!(last["errors"], "rules/orders.toml:3:1 `sourc` is no key");
    assert!(last["took-ms"].is_u64() && last["at"].is_string(), "{last}");
}

#[tokio::test]
async fn a_reload_tells_what_came_of_it() {
    let server = Server::start().await;
    let unchanged = json!({ "outcome": "unchanged", "revision": "010101010101" });
    assert_eq!(server.reload().await, (200, unchanged));
    server.set(Ok(2));
    assert_eq!(server.reload().await, (200, json!({ "outcome": "activated", "revision": "020202020202" })));
    server.set(Err("all of it"));
    let rejected = json!({ "outcome": "rejected", "revision": "020202020202", "errors": "all of it" });
    assert_eq!(server.reload().await, (422, rejected));
}

#[tokio::test]
async fn a_reload_is_refused_while_it_drains_or_stops() {
    let mut server = Server::start().await;
    server.readiness.set(Condition::Running, Err("draining".to_owned()));
    server.send("POST", "/v1/reload", "").await.is_problem(503);
    assert_eq!(server.get("/readyz").await.status, 503);
    assert_eq!(server.get("/healthz").await.status, 200);
    server.tasks.shutdown().await;
    assert!(TcpStream::connect(server.address).await.is_err(), "the listener outlived its task");
}

#[test]
fn the_documents_have_every_path_and_no_other() {
    let routes = include_str!("routes.rs").split(".route(\"").skip(1);
    let mut routes: Vec<String> = routes
        .map(|route| {
            let (path, rest) = route.split_once("\", ").expect("a path and what answers it");
            format!("{} {path}", rest.split_once('(').expect("a method").0.to_uppercase())
        })
        .collect();
    let api: Value = serde_json::from_str(include_str!("openapi.json")).expect("the document of the API is JSON");
    let paths = api["paths"].as_object().expect("paths").iter();
    let mut operations: Vec<String> = paths
        .flat_map(|(path, item)| {
            let methods = item.as_object().expect("an item").keys().filter(|key| *key != "parameters");
            methods.map(move |method| format!("{} {path}", method.to_uppercase()))
        })
        .collect();
    let document = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/admin.md");
    let document = std::fs::read_to_string(document).expect("the document");
    let rows = document.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let mut rows: Vec<&str> = rows.map(|(request, _)| request).filter(|request| request.contains(" /")).collect();
    let outcomes = &api["paths"]["/v1/tap"]["get"]["parameters"][1];
    let known: Vec<_> = Ending::ALL.iter().map(|ending| Value::from(ending.as_str())).collect();
    assert_eq!((&outcomes["name"], &outcomes["schema"]["enum"]), (&Value::from("outcome"), &Value::from(known)));
    routes.sort();
    rows.sort_unstable();
    operations.sort();
    assert!(!routes.is_empty());
    assert_eq!(rows, routes);
    assert_eq!(operations, routes);
}

#[tokio::test]
async fn what_is_not_there_is_a_problem_in_json() {
    let server = Server::start().await;
    server.get("/").await.is_problem(404);
    server.get("/v1/reload/").await.is_problem(404);
    let wrong = server.get("/v1/reload").await;
    wrong.is_problem(405);
    assert!(wrong.head.contains("allow: post"), "{}", wrong.head);
    server.send("DELETE", "/v1/revision", "").await.is_problem(405);
}

#[tokio::test]
async fn a_web_page_cannot_reach_it() {
    let server = Server::start().await;
    server.set(Ok(2));
    server.send("POST", "/v1/reload", "Origin: http://evil.example\r\n").await.is_problem(403);
    server.send("POST", "/v1/reload", "Origin: null\r\n").await.is_problem(403);
    for path in ["/v1/revision", "/metrics", "/nothing"] {
        server
            .raw(&format!("GET {path} HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"))
            .await
            .is_problem(421);
    }
    let both = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
    server.raw(both).await.is_problem(421);
    let absolute = "GET http://evil.example/metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    server.raw(absolute).await.is_problem(421);
    let text = server.get("/metrics").await.body;
    assert!(text.contains("trackside_reloads_total{outcome=\"activated\"} 1\n"), "one of them reloaded");
}

#[tokio::test]
async fn a_probe_without_a_host_and_one_by_a_forwarded_port_get_through() {
    let server = Server::start().await;
    assert_eq!(server.raw("GET /readyz HTTP/1.0\r\n\r\n").await.status, 503);
    let forwarded = "GET /healthz HTTP/1.1\r\nHost: localhost:18080\r\nConnection: close\r\n\r\n";
    assert_eq!(server.raw(forwarded).await.status, 200);
}

#[tokio::test]
async fn monitoring_reaches_an_open_listener_by_any_name_and_the_api_only_by_address() {
    let server = Server::start().await;
    let listener = TcpListener::bind("0.0.0.0:0").await.expect("a port is free");
    let listener_address = listener.local_addr().expect("it has an address");
    let port = listener_address.port();
    let (_, control) = Controller::<()>::new(
        |_: &Wanted| Err(Rejection { report: String::new(), watch: Vec::new() }),
        |()| {},
        Metrics::new(Build { version: "0", wasmtime: "0", contract: "0" }),
    );
    let metrics = Metrics::new(Build { version: "0", wasmtime: "0", contract: "0" });
    let mut tasks = JoinSet::new();
    let everywhere = AdminSettings { listen: listener_address, ..settings() };
    let access = Access::new(&everywhere, Credentials::default()).expect("the settings are right");
    tasks.spawn(serve(
        listener,
        Admin {
            control,
            metrics,
            readiness: Readiness::new(),
            access,
            live: live(),
            taps: Taps::default(),
            view: View::default(),
            desk: Desk::default(),
        },
    ));
    let open = Server { address: SocketAddr::from(([127, 0, 0, 1], port)), tasks, ..server };
    let by_name = |path| format!("GET {path} HTTP/1.1\r\nHost: trackside.internal\r\nConnection: close\r\n\r\n");
    assert_eq!(open.raw(&by_name("/metrics")).await.status, 200);
    open.raw(&by_name("/v1/revision")).await.is_problem(421);
    open.get("/v1/revision").await.is_problem(403);
    open.send("POST", "/v1/reload", "").await.is_problem(403);
}

#[tokio::test]
async fn large_heads_and_bodies_are_refused() {
    let server = Server::start().await;
    let body = "x".repeat(5000);
    let request = format!(
        "POST /v1/reload HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    server.raw(&request).await.is_problem(413);
    let answer = server.send("GET", "/healthz", &format!("X: {}\r\n", "x".repeat(20_000))).await;
    assert_eq!(answer.status, 431);
}

#[tokio::test]
async fn further_connections_wait_until_there_is_a_place() {
    let server = Server::start().await;
    let mut held = Vec::new();
    for _ in 0..server::MAX_CONNECTIONS {
        let mut stream = TcpStream::connect(server.address).await.expect("it listens");
        // An answer proves that the connection has its place.
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.expect("is sent");
        let mut answered = [0; 15];
        timeout(PATIENCE, stream.read_exact(&mut answered)).await.expect("in time").expect("it can be read");
        held.push(stream);
    }
    let mut late = Box::pin(server.get("/healthz"));
    tokio::select! {
        biased;
        answer = &mut late => panic!("answered with {} although there was no place", answer.status),
        // Another round trip through a held connection: the server has had its chance to accept.
        () = round_trip(&mut held[0]) => {}
    }
    held.truncate(1);
    assert_eq!(timeout(PATIENCE, late).await.expect("a place").status, 200);
}

async fn round_trip(stream: &mut TcpStream) {
    let mut rest = vec![0; 4096];
    stream.write_all(b"GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n").await.expect("is sent");
    let mut seen = String::new();
    while !seen.contains("there is nothing at this path") {
        let count = timeout(PATIENCE, stream.read(&mut rest)).await.expect("an answer").expect("it can be read");
        assert_ne!(count, 0, "closed too early: {seen}");
        seen.push_str(&String::from_utf8_lossy(&rest[..count]));
    }
}

#[tokio::test(start_paused = true)]
async fn a_head_or_body_that_never_ends_is_given_up() {
    let server = Server::start().await;
    let head = "GET /healthz HT";
    let body = "POST /v1/reload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n";
    for (unfinished, limit) in [(head, server::HEAD_WAIT), (body, input::BODY_WAIT)] {
        // The clock is the runtime's own and jumps, so this takes no time.
        let begun = Instant::now();
        let mut stream = TcpStream::connect(server.address).await.expect("it listens");
        stream.write_all(unfinished.as_bytes()).await.expect("is sent");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.expect("it can be read");
        assert!(begun.elapsed() <= limit + Duration::from_secs(1), "{unfinished:?} took {:?}", begun.elapsed());
        let answer = String::from_utf8(answer).expect("UTF-8");
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
    }
}
