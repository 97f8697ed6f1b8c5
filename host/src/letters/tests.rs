//! Letters as the pipeline writes them, read back. No server: a letter's message is taken for what a stream holds.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use super::*;
use crate::backbone::{Held, Outgoing};
use crate::message::{Header, Headers, Message, Origin, OriginKind, Subject};
use crate::pipeline::{Failure, FailureClass, Tries, dead_letter, header, without_payload};
use crate::plan::{Compiler, Plan};
use crate::plugins::{Engine, EngineSettings};
use crate::rules::{FileSet, Rules, SecretRef, load_from};
use crate::sealing::{Content, OpenError};
use crate::telemetry::{Build, Metrics};

const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// A rule with these dead letters.
fn plan(directory: &Path, letters: &str) -> (Rules, Arc<Plan>) {
    let config = "[nats]\nservers = [\"nats://a:4222\"]\n[sources.orders]\nstream = \"ORDERS\"\ndurable = \"d\"\n\
                  filter-subjects = [\"orders.>\"]\n";
    let rule = format!(
        "[[rule]]\nname = \"check\"\nsource = \"orders\"\nsubject = \"orders.>\"\nroutes = {{ default = \"clean\" }}\n\
         on-failure = {{ dead-letter = {letters} }}\n"
    );
    let files = FileSet::new(directory).with("trackside.toml", config).with("rules/a.toml", rule);
    let (rules, _) = load_from(&files).expect("the rules are right");
    let engine = Engine::new(EngineSettings::default()).expect("an engine");
    let metrics = Metrics::new(Build { version: "0", wasmtime: "0", contract: "0" });
    let plan = Compiler::new(engine, metrics).compile(&rules).expect("compiles");
    (rules, plan)
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn original() -> Message {
    let mut headers = Headers::default();
    for (name, value) in [("Nats-Msg-Id", "mine"), ("Region", "eu"), ("Region", "secret"), ("Trackside-Rule", "x")] {
        headers.push(name, value);
    }
    let payload = Bytes::from_static(b"{\"card\": \"secret\"}");
    Message { subject: Subject::delivered("orders.eu"), headers, payload }
}

fn letter(plan: &Plan, reason: &str) -> Outgoing {
    let id = "ORDERS:7:1790230470084404000".into();
    let origin = Origin { kind: OriginKind::JetStream, id, timestamp_ms: 1_790_230_470_084, delivery: 3 };
    let failure = Failure::of_rule(FailureClass::Rejected, reason.to_owned());
    let tries = Tries { count: 3, first: at(1_790_230_471), last: at(1_790_230_480) };
    let rule = &plan.rules[0];
    dead_letter(plan, rule, &rule.source, &original(), &origin, &failure, &tries).expect("the rule keeps letters")
}

/// What a stream would hold: headers sorted by name and trimmed, with the server's id.
fn read(sent: Outgoing, sequence: u64) -> Option<Letter> {
    let mut headers: Vec<Header> = sent.headers.iter().cloned().collect();
    headers.push(Header { name: "Nats-Msg-Id".into(), value: sent.message_id });
    headers.iter_mut().for_each(|header| header.value = header.value.trim().to_owned());
    headers.sort_by(|a, b| a.name.cmp(&b.name));
    let message = Message { subject: sent.subject, headers: headers.into_iter().collect(), payload: sent.payload };
    Letter::read("DEAD", Held { sequence, stored: at(1_790_230_481), message })
}

fn with_key(key: &str) -> (tempfile::TempDir, Rules, Arc<Plan>) {
    let directory = tempfile::tempdir().expect("a folder");
    std::fs::write(directory.path().join("key"), key).expect("is written");
    let (rules, plan) = plan(directory.path(), "{ subject = \"dead.orders\", encrypt = \"file:key\" }");
    (directory, rules, plan)
}

#[test]
fn a_letter_says_what_happened_and_gives_the_original_back_as_it_was() {
    let (_, plan) = plan(Path::new(""), "\"dead.orders\"");
    let sent = letter(&plan, " not\nallowed ");
    assert_eq!(sent.message_id, "ORDERS:7:1790230470084404000:check:dead");
    assert_eq!(sent.headers.get(header::FIRST_TIME), Some("2026-09-24T06:14:31.000Z"));
    assert_eq!(sent.headers.get(header::LAST_TIME), Some("2026-09-24T06:14:40.000Z"));
    let letter = read(sent, 4).expect("is a letter");
    assert_eq!(
        (letter.rule.as_str(), letter.source.as_str(), letter.subject.as_str()),
        ("check", "orders", "orders.eu")
    );
    assert_eq!((letter.class.as_str(), letter.reason.as_str()), ("rejected", "not allowed"));
    assert_eq!(letter.tries, Tries { count: 3, first: at(1_790_230_471), last: at(1_790_230_480) });
    assert_eq!(letter.position(), Some(("ORDERS", 7)));
    let origin = letter.origin();
    assert_eq!((&*origin.id, origin.timestamp_ms), ("ORDERS:7:1790230470084404000", 1_790_230_470_084));
    assert_eq!((origin.kind, origin.delivery), (OriginKind::JetStream, 4));
    let want = Content { headers: original().headers, payload: Some(original().payload) };
    assert_eq!(letter.original(&Keys::default()), Ok(want));
}

#[test]
fn an_encrypted_letter_shows_nothing_of_the_original_and_opens_with_its_key_alone() {
    let (directory, rules, plan) = with_key(KEY);
    let sent = letter(&plan, " odd  spaces\n");
    let shown = format!("{:?} {}", sent.headers, String::from_utf8_lossy(&sent.payload));
    assert!(!shown.contains("secret") && !shown.contains("Region") && !shown.contains("mine"), "{shown}");
    assert_eq!(sent.headers.get(header::ENCRYPTED), Some("aes-256-gcm-siv"));
    let letter = read(sent, 4).expect("is a letter");
    let want = Content { headers: original().headers, payload: Some(original().payload) };
    assert_eq!(letter.original(&Keys::of(&rules)), Ok(want.clone()));

    std::fs::write(directory.path().join("key"), "11".repeat(32)).expect("is written");
    let error = letter.original(&Keys::of(&rules)).expect_err("another key").to_string();
    assert!(error.ends_with("(there is 02d449a3)"), "{error}");
    assert!(
        error.contains("encrypted with the key 630dcd29, which is not at hand: give it by `--key env:NAME`"),
        "{error}"
    );
    std::fs::remove_file(directory.path().join("key")).expect("is removed");
    let error = letter.original(&Keys::of(&rules)).expect_err("no key").to_string();
    assert!(error.contains("(there is none; the secret file") && error.contains("`--key env:NAME`"), "{error}");
    std::fs::write(directory.path().join("old"), KEY).expect("is written");
    let mut keys = Keys::of(&rules);
    keys.add(&SecretRef::File("old".into()), directory.path()).expect("a key");
    assert_eq!(letter.original(&keys), Ok(want));
}

#[test]
fn an_encrypted_letter_with_facts_of_another_does_not_open() {
    let (_directory, rules, plan) = with_key(KEY);
    let keys = Keys::of(&rules);
    for name in [header::SUBJECT, header::ID, header::RULE, header::REASON, header::LAST_TIME] {
        let mut sent = letter(&plan, "no");
        let value = if name == header::LAST_TIME { "2026-09-24T06:14:41.000Z" } else { "other" };
        sent.headers.insert(name, value);
        let letter = read(sent, 4).expect("is still a letter");
        assert_eq!(letter.original(&keys), Err(LetterError::Open(OpenError::Changed)), "{name}");
    }
    let mut cut = letter(&plan, "no");
    cut.payload = without_payload(cut.clone()).payload;
    let letter = read(cut, 4).expect("is still a letter");
    assert_eq!(letter.original(&keys), Err(LetterError::Open(OpenError::Malformed)));
}

#[test]
fn a_letter_whose_payload_was_left_out_keeps_the_headers_and_says_how_long_the_payload_was() {
    let (_, plain) = plan(Path::new(""), "\"dead.orders\"");
    let (_directory, rules, encrypted) = with_key(KEY);
    for plan in [plain, encrypted] {
        let letter = read(without_payload(letter(&plan, "no")), 4).expect("is a letter");
        assert_eq!(letter.fact(header::PAYLOAD_OMITTED), Some("18 bytes"));
        assert_eq!(letter.original(&Keys::of(&rules)), Ok(Content { headers: original().headers, payload: None }));
    }
}

#[test]
fn all_that_a_filter_says_has_to_hold() {
    let (_, plan) = plan(Path::new(""), "\"dead.orders\"");
    let letter = read(letter(&plan, "amount is missing"), 4).expect("is a letter");
    let text = |text: &str| Some(text.to_owned());
    let stored = at(1_790_230_481);
    let sequences = |text: &str| text.parse().expect("is a range");
    for (want, filter) in [
        (true, Filter::default()),
        (true, Filter { rule: text("check"), class: text("rejected"), reason: text("is miss"), ..Filter::default() }),
        (false, Filter { rule: text("che"), ..Filter::default() }),
        (false, Filter { rule: text("check"), class: text("trap"), ..Filter::default() }),
        (false, Filter { reason: text("Amount"), ..Filter::default() }),
        (true, Filter { since: Some(stored), until: Some(stored), ..Filter::default() }),
        (false, Filter { since: Some(stored + Duration::from_millis(1)), ..Filter::default() }),
        (false, Filter { until: Some(stored - Duration::from_millis(1)), ..Filter::default() }),
        (true, Filter { sequences: sequences("2..4"), ..Filter::default() }),
        (false, Filter { sequences: sequences("5.."), ..Filter::default() }),
    ] {
        assert_eq!(filter.takes(&letter), want, "{filter:?}");
    }
}

#[test]
fn what_lacks_a_fact_is_no_letter() {
    let (_, plan) = plan(Path::new(""), "\"dead.orders\"");
    let needed = [
        header::RULE,
        header::ID,
        header::TIME,
        header::SOURCE,
        header::SUBJECT,
        header::CLASS,
        header::REASON,
        header::TRIES,
        header::FIRST_TIME,
        header::LAST_TIME,
    ];
    for name in needed {
        let mut sent = letter(&plan, "no");
        sent.headers.remove(name);
        assert!(read(sent, 4).is_none(), "{name}");
    }
}
