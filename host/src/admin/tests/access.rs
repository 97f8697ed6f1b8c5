//! Tokens, roles, the rate, the audit log and TLS.

use std::path::Path;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

use crate::names::TokenName;
use crate::rules::FileSet;
use crate::rules::{Role, SecretRef, TokenSettings, load_from};

use super::*;

const READER: &str = "reader-0123456789-0123456789-0123456789";
const ADMIN: &str = "admin-0123456789-0123456789-0123456789";

/// Settings with a reader and an administrator, whose tokens are files of the folder.
fn with_tokens(folder: &Path) -> AdminSettings {
    let mut tokens = BTreeMap::new();
    for (name, role, token) in [("grafana", Role::Reader, READER), ("ops", Role::Admin, ADMIN)] {
        std::fs::write(folder.join(name), format!("{token}\n")).expect("is written");
        let token = SecretRef::File(name.into());
        tokens.insert(TokenName::new(name).expect("a name"), TokenSettings { role, token, location: somewhere() });
    }
    AdminSettings { tokens, ..settings() }
}

/// A place of a file, as tables have one.
fn somewhere() -> crate::rules::Location {
    let text = "[nats]\nservers = [\"nats://127.0.0.1\"]\n[admin.tokens.a]\nrole = \"admin\"\ntoken = \"env:A\"\n\
                [sources.s]\nsubject = \"s\"\n";
    let rule = "[[rule]]\nname = \"r\"\nsource = \"s\"\nsubject = \"s\"\nroutes.default = \"t\"\n\
                on-failure.dead-letter = \"d\"\n";
    let files = FileSet::new("/").with("trackside.toml", text).with("rules/r.toml", rule);
    let (rules, _) = load_from(&files).expect("it is right");
    rules.config.admin.expect("the table is there").tokens.into_values().next().expect("there is one").location
}

fn read(settings: &AdminSettings, folder: &Path) -> Credentials {
    let credentials = Credentials::default();
    credentials.replace(Fresh::read(settings, folder).expect("the tokens are right"));
    credentials
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

#[tokio::test]
async fn without_its_token_nothing_is_told_and_nothing_changes() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = with_tokens(folder.path());
    let server = Server::start_with(&settings, &read(&settings, folder.path())).await;
    server.set(Ok(2));
    let tokens = [
        "",
        "Authorization: Basic b3BzOm9wcw==\r\n",
        "Authorization: Bearer \r\n",
        "Authorization: Bearer wrong\r\n",
        "Authorization: Bearer \u{fc}\r\n",
        &bearer(&ADMIN[..ADMIN.len() - 1]),
        &bearer(&format!("{ADMIN}x")),
        &format!("{}{}", bearer(ADMIN), bearer("another")),
    ];
    for token in tokens {
        for (method, path) in [("GET", "/metrics"), ("GET", "/v1/revision"), ("POST", "/v1/reload")] {
            let answer = server.send(method, path, token).await;
            answer.is_problem(401);
            assert!(answer.head.contains("www-authenticate: bearer realm=\"trackside\""), "{}", answer.head);
            assert!(!answer.body.contains("010101"), "{}", answer.body);
        }
    }
    assert_eq!(server.get("/healthz").await.status, 200);
    let reasons = server.get("/readyz").await.json();
    assert_eq!(reasons, json!({ "ready": false, "reasons": [] }), "reasons are for those with a token");
    let told = server.send("GET", "/readyz", &bearer(READER)).await.json();
    assert_ne!(told["reasons"], json!([]));
    let revision = server.send("GET", "/v1/revision", &bearer(READER)).await;
    assert_eq!(revision.json()["revision"], "010101010101", "one of them reloaded");
}

#[tokio::test]
async fn a_reader_reads_and_an_administrator_changes() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = with_tokens(folder.path());
    let server = Server::start_with(&settings, &read(&settings, folder.path())).await;
    server.set(Ok(2));
    assert_eq!(server.send("GET", "/metrics", &bearer(READER)).await.status, 200);
    let refused = server.send("POST", "/v1/reload", &bearer(READER)).await;
    refused.is_problem(403);
    assert!(refused.body.contains("token `grafana` is of the role `reader`"), "{}", refused.body);
    let lower = format!("authorization: bearer   {ADMIN}\r\n");
    assert_eq!(server.send("POST", "/v1/reload", &lower).await.json()["outcome"], "activated");
    assert_eq!(server.send("GET", "/v1/revision", &bearer(ADMIN)).await.json()["revision"], "020202020202");
}

#[tokio::test]
async fn tokens_that_are_replaced_hold_for_the_next_request() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = with_tokens(folder.path());
    let credentials = read(&settings, folder.path());
    let server = Server::start_with(&settings, &credentials).await;
    let newer = "newer-0123456789-0123456789-0123456789";
    std::fs::write(folder.path().join("ops"), newer).expect("is written");
    credentials.replace(Fresh::read(&settings, folder.path()).expect("the tokens are right"));
    server.send("POST", "/v1/reload", &bearer(ADMIN)).await.is_problem(401);
    assert_eq!(server.send("POST", "/v1/reload", &bearer(newer)).await.status, 200);
}

#[test]
fn what_cannot_be_a_token_is_refused_with_its_name_and_not_shown() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = with_tokens(folder.path());
    for (text, want) in [
        ("short-secret", "what `file:ops` holds cannot be the token `ops`"),
        ("has white space in it, but is long enough", "what `file:ops` holds cannot be the token `ops`"),
        (READER, "the tokens `grafana` and `ops` are the same"),
        ("", "the token `ops` cannot be had"),
    ] {
        std::fs::write(folder.path().join("ops"), text).expect("is written");
        let report = Fresh::read(&settings, folder.path()).unwrap_err().to_string();
        assert!(report.contains(want), "{report}");
        assert!(text.is_empty() || !report.contains(text), "{report}");
    }
}

#[tokio::test]
async fn too_many_requests_are_refused_and_strangers_use_up_nobody_elses() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = AdminSettings { requests_per_second: 1, ..with_tokens(folder.path()) };
    let server = Server::start_with(&settings, &read(&settings, folder.path())).await;
    let mut refused = None;
    for _ in 0..100 {
        refused = refused.or(Some(server.get("/v1/revision").await).filter(|answer| answer.status != 401));
    }
    let refused = refused.expect("one of a hundred is too many");
    refused.is_problem(429);
    assert!(refused.head.contains("retry-after: 1"), "{}", refused.head);
    assert_eq!(server.send("GET", "/v1/revision", &bearer(READER)).await.status, 200);
    assert_eq!(server.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn every_change_is_written_down_with_who_made_it_and_no_token() {
    let folder = tempfile::tempdir().expect("a folder");
    let audit = folder.path().join("audit.jsonl");
    let settings = AdminSettings { audit: Some(audit.clone()), ..with_tokens(folder.path()) };
    let server = Server::start_with(&settings, &read(&settings, folder.path())).await;
    server.set(Ok(2));
    server.send("POST", "/v1/reload", &bearer(ADMIN)).await;
    std::fs::rename(&audit, folder.path().join("old.jsonl")).expect("is moved");
    server.set(Err("broken"));
    server.send("POST", "/v1/reload", &bearer(ADMIN)).await;
    server.send("GET", "/v1/revision", &bearer(ADMIN)).await;
    let read = |name| std::fs::read_to_string(folder.path().join(name)).expect("is read");
    let (first, second) = (read("old.jsonl"), read("audit.jsonl"));
    assert!(!first.contains(ADMIN) && !second.contains(ADMIN));
    let line = |outcome| {
        json!({ "at": null, "who": "ops", "role": "admin", "from": null, "action": "POST /v1/reload",
            "outcome": outcome })
    };
    let ended = |outcome, status, told| {
        let mut line = line(outcome);
        line["status"] = json!(status);
        line["details"] = json!({ "outcome": told, "revision": "020202020202" });
        line
    };
    assert_eq!(lines(&first), [line("begun"), ended("done", 200, "activated")]);
    assert_eq!(lines(&second), [line("begun"), ended("refused", 422, "rejected")]);
}

/// The lines of an audit file, without what differs each time.
fn lines(text: &str) -> Vec<Value> {
    let read = |line: &str| {
        let mut line: Value = serde_json::from_str(line).expect("JSON");
        assert!(line["at"].take().is_string());
        assert!(line["from"].take().as_str().is_some_and(|from| from.starts_with("127.0.0.1:")));
        line
    };
    text.lines().map(read).collect()
}

#[tokio::test]
async fn a_change_that_cannot_be_written_down_is_not_made() {
    let folder = tempfile::tempdir().expect("a folder");
    let audit = folder.path().join("audit.jsonl");
    let settings = AdminSettings { audit: Some(audit.clone()), ..with_tokens(folder.path()) };
    let server = Server::start_with(&settings, &read(&settings, folder.path())).await;
    server.set(Ok(2));
    // Nobody can write to a folder, root included.
    std::fs::remove_file(&audit).expect("it was made at the start");
    std::fs::create_dir(&audit).expect("a folder in its place");
    let refused = server.send("POST", "/v1/reload", &bearer(ADMIN)).await;
    refused.is_problem(503);
    let said = refused.json()["detail"].as_str().expect("a text").to_owned();
    assert!(said.starts_with("nothing is changed that cannot be written down: the audit file `"), "{said}");
    assert_eq!(server.send("GET", "/v1/revision", &bearer(READER)).await.json()["revision"], "010101010101");
    std::fs::remove_dir(&audit).expect("it is empty");
    assert_eq!(server.send("POST", "/v1/reload", &bearer(ADMIN)).await.json()["revision"], "020202020202");
}

#[tokio::test]
async fn who_may_not_change_anything_and_tries_is_written_down() {
    let folder = tempfile::tempdir().expect("a folder");
    let audit = folder.path().join("audit.jsonl");
    let settings = AdminSettings { audit: Some(audit.clone()), ..with_tokens(folder.path()) };
    let server = Server::start_with(&settings, &read(&settings, folder.path())).await;
    for _ in 0..2 {
        server.send("PUT", "/v1/rules/a.toml", &bearer(READER)).await.is_problem(403);
    }
    for _ in 0..50 {
        server.send("POST", "/v1/reload", &bearer("wrong")).await.is_problem(401);
    }
    // These change nothing, whoever asks.
    server.get("/v1/revision").await.is_problem(401);
    let told = lines(&std::fs::read_to_string(&audit).expect("is read"));
    let by_reader = json!({ "at": null, "who": "grafana", "role": "reader", "from": null,
        "action": "PUT /v1/rules/a.toml", "outcome": "refused", "status": 403 });
    assert_eq!(told[..2], [by_reader.clone(), by_reader]);
    let stranger = json!({ "at": null, "who": null, "role": null, "from": null, "action": "POST /v1/reload",
        "outcome": "refused", "status": 401 });
    assert_eq!(told[2], stranger);
    // One a second, however many there are.
    assert!(told.len() < 30, "{told:#?}");
    let more = |line: &Value| line["details"]["more"].as_u64().unwrap_or(0);
    let counted: u64 = told[2..].iter().map(|line| 1 + more(line)).sum();
    assert!(counted <= 50, "{told:#?}");
}

#[tokio::test]
async fn an_audit_file_that_cannot_be_written_is_named_at_the_start() {
    let settings = AdminSettings { audit: Some("/nowhere/audit.jsonl".into()), ..settings() };
    let error = Access::new(&settings, Credentials::default()).unwrap_err().to_string();
    assert!(error.starts_with("the audit file `/nowhere/audit.jsonl` cannot be written: "), "{error}");
}

#[tokio::test]
async fn a_change_is_seen_through_and_written_down_when_its_client_hangs_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let audit = folder.path().join("audit.jsonl");
    let settings = AdminSettings { audit: Some(audit.clone()), ..settings() };
    let server = Server::start_with(&settings, &Credentials::default()).await;
    let (next, (locked, is_locked)) = (Arc::clone(&server.next), tokio::sync::oneshot::channel());
    let (release, released) = std::sync::mpsc::channel::<()>();
    let holder = std::thread::spawn(move || {
        let _held = next.lock().expect("nobody panics with it");
        locked.send(()).expect("it is waited for");
        let _ = released.recv();
    });
    is_locked.await.expect("it is told");
    let mut stream = TcpStream::connect(server.address).await.expect("it listens");
    stream
        .write_all(b"POST /v1/reload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
        .await
        .expect("is sent");
    // The load cannot end before the lock is let go, and the client is gone by then.
    drop(stream);
    assert_eq!(server.get("/healthz").await.status, 200);
    release.send(()).expect("it is waited for");
    holder.join().expect("it does not panic");
    timeout(PATIENCE, async {
        while !std::fs::read_to_string(&audit).expect("is read").contains("\"outcome\":\"done\"") {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("a line of the audit log");
}

#[tokio::test]
async fn it_talks_tls_and_takes_any_host_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    let certified = |name: &str| {
        let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).expect("a certificate");
        std::fs::write(&cert, made.cert.pem()).expect("is written");
        std::fs::write(&key, made.signing_key.serialize_pem()).expect("is written");
        made.cert.der().clone()
    };
    let first = certified("trackside.example");
    let settings = AdminSettings { tls: Some((cert.clone(), key.clone())), ..with_tokens(folder.path()) };
    let credentials = read(&settings, folder.path());
    let server = Server::start_with(&settings, &credentials).await;
    let ask = async |authority| {
        let mut roots = RootCertStore::empty();
        roots.add(authority).expect("a certificate");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the versions are known");
        let config = config.with_root_certificates(roots).with_no_client_auth();
        let stream = TcpStream::connect(server.address).await.expect("it listens");
        let name = ServerName::try_from("trackside.example").expect("a name");
        let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
        let head = format!("GET /v1/revision HTTP/1.1\r\nHost: trackside.example\r\n{}", bearer(READER));
        stream.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes()).await?;
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer).await;
        Ok::<_, std::io::Error>(answer)
    };
    assert!(ask(first.clone()).await.expect("an answer").starts_with("HTTP/1.1 200 OK"));
    // A renewed certificate is shown once it was read.
    let second = certified("trackside.example");
    credentials.replace(Fresh::read(&settings, folder.path()).expect("the tokens are right"));
    assert!(ask(first).await.is_err());
    assert!(ask(second).await.expect("an answer").starts_with("HTTP/1.1 200 OK"));
    // Plain HTTP ends without an answer.
    let mut plain = TcpStream::connect(server.address).await.expect("it listens");
    plain.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.expect("is sent");
    let mut answer = Vec::new();
    let _ = timeout(PATIENCE, plain.read_to_end(&mut answer)).await.expect("it closes in time");
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
}
