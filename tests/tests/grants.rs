//! What plugins are granted: buckets on a real server, secrets, the clock; and components that others wrote.

use bytes::Bytes;
use serde_json::json;
use trackside_tests::{Server, Setup, Stored, Trackside, command, command_with, guest};

/// Nobody listens there.
const NO_SERVER: &str = "nats://127.0.0.1:1";

const SOURCE: &str =
    "[sources.orders]\nstream = \"ORDERS\"\nfilter-subjects = [\"orders.>\"]\ndurable = \"trackside-orders\"\n";

const TALLY: &str = r#"
[secrets]
geo = "env:GEO_KEY"
other = "env:NOBODY_WANTS_THIS"
[plugins.tally]
path = "plugins/tally.wasm"
deadline = "10s"
grants = ["kv:tally:read-write", "kv:zones:read", "secret:geo"]
"#;

const RULES: &str = r#"
[[rule]]
name = "tallied"
source = "orders"
subject = "orders.*"
[[rule.stage]]
plugin = "tally"
[rule.routes]
default = "clean.tallied"
[rule.on-failure]
dead-letter = "dead.tallied"
tries = 2
backoff = ["10ms"]
"#;

const KEY: (&str, &str) = ("GEO_KEY", "swordfish");

fn tally(server: &str, config: &str) -> Setup {
    let setup = Setup::new(server, &format!("{SOURCE}{config}"));
    setup.write("rules/all.toml", RULES);
    setup.write("plugins/tally.wasm", guest("tally"));
    setup
}

/// The streams that every configuration here needs.
async fn streams(server: &Server) {
    for (name, subject) in [("ORDERS", "orders.>"), ("CLEAN", "clean.>"), ("DEAD", "dead.>")] {
        server.stream(name, &[subject]).await;
    }
}

/// Publishes an order with these headers and payload, and hands back when it is stored.
async fn publish(server: &Server, subject: &str, headers: &[(&str, &str)], payload: &str) {
    let mut map = async_nats::HeaderMap::new();
    for (name, value) in headers {
        map.insert(*name, *value);
    }
    let context = async_nats::jetstream::new(server.client().await);
    let payload = Bytes::from(payload.to_owned());
    let sent = context.publish_with_headers(subject.to_owned(), map, payload).await.expect("the client can publish");
    sent.await.expect("the stream stores it");
}

mod keyvalue {
    use super::*;
    use async_nats::jetstream::kv;

    async fn bucket(server: &Server, name: &str) -> kv::Store {
        let config = kv::Config { bucket: name.to_owned(), ..kv::Config::default() };
        let context = async_nats::jetstream::new(server.client().await);
        context.create_key_value(config).await.expect("a bucket")
    }

    fn told(stored: &[Stored]) -> Vec<&str> {
        stored.iter().map(|stored| stored.header("Tally").expect("the plugin tells")).collect()
    }

    #[tokio::test]
    async fn a_plugin_counts_keeps_and_looks_up_in_the_buckets_it_was_granted_and_in_no_others() {
        let server = Server::start().await;
        streams(&server).await;
        let (tallied, zones) = (bucket(&server, "tally").await, bucket(&server, "zones").await);
        bucket(&server, "forbidden").await;
        zones.put("zip/10115", "berlin".into()).await.expect("it is stored");
        let setup = tally(&server.url(), TALLY);
        let _trackside = Trackside::start_with(&setup, &[KEY]).await;
        let cases: [(&[(&str, &str)], &str); 14] = [
            (&[("Do", "count")], "1"),
            (&[("Do", "count")], "2"),
            (&[("Do", "get"), ("Bucket", "zones"), ("Key", "zip/10115")], "berlin"),
            (&[("Do", "get"), ("Bucket", "zones"), ("Key", "zip/1")], "none"),
            (&[("Do", "set"), ("Bucket", "zones"), ("Key", "zip/10115")], "access denied"),
            (&[("Do", "count"), ("Bucket", "zones")], "access denied"),
            (&[("Do", "get"), ("Bucket", "forbidden")], "access denied"),
            (&[("Do", "set"), ("Key", "seen")], "set"),
            (&[("Do", "exists"), ("Key", "seen")], "true"),
            (
                &[("Do", "count"), ("Key", "seen")],
                "the value is not a whole number in decimal digits, so it cannot be incremented",
            ),
            (&[("Do", "delete"), ("Key", "seen")], "deleted"),
            (&[("Do", "get"), ("Key", "seen")], "none"),
            (&[("Do", "many")], "none2"),
            (
                &[("Do", "list")],
                "keys cannot be listed here, since that has no bound: look up the keys that the message names",
            ),
        ];
        // One after another, since each builds on what the one before has left.
        for (number, (headers, want)) in cases.iter().enumerate() {
            publish(&server, "orders.a", headers, "{}").await;
            let stored = server.stored("CLEAN", number + 1).await;
            assert_eq!(told(&stored).last(), Some(want), "{headers:?}");
        }
        let count = tallied.get("orders.a").await.expect("it answers").expect("it is there");
        assert_eq!(count, "2", "everybody can read it");
    }

    #[tokio::test]
    async fn a_bucket_that_is_not_there_keeps_trackside_from_starting_and_is_named_with_the_command_that_makes_it() {
        let server = Server::start().await;
        streams(&server).await;
        bucket(&server, "zones").await;
        let setup = tally(&server.url(), TALLY);
        let mut trackside = Trackside::spawn(setup.path(), &setup.admin, &[KEY]);
        assert_eq!(trackside.process().ended().await.code(), Some(1));
        let said = "bucket `tally` of plugin `tally` does not exist; make it with:\n    nats kv add tally";
        assert!(trackside.log().contains(said), "{}", trackside.log());
        assert!(!trackside.log().contains("zones"), "{}", trackside.log());
    }

    #[tokio::test]
    async fn a_store_that_does_not_answer_ends_as_a_message_that_is_tried_again_and_holds_nobody_up() {
        // The server takes the question, and nobody is allowed to answer it.
        let folder = tempfile::tempdir().expect("a folder");
        let config = folder.path().join("server.conf");
        let denied = r#"["$JS.API.DIRECT.GET.KV_tally.>", "$JS.API.STREAM.MSG.GET.KV_tally"]"#;
        let users = format!(
            "authorization {{ users = [{{ user: u, password: p, permissions: {{ publish: {{ deny: {denied} }} }} }}] }}"
        );
        std::fs::write(&config, format!("{users}\nno_auth_user: u\n")).expect("a file");
        let server = Server::start_with(&["--jetstream", "-c", config.to_str().expect("UTF-8")]).await;
        streams(&server).await;
        bucket(&server, "tally").await;
        bucket(&server, "zones").await;
        let setup = tally(&server.url(), &TALLY.replace("10s", "200ms"));
        let neighbour = "\n[[rule]]\nname = \"neighbour\"\nsource = \"orders\"\nsubject = \"orders.*\"\n\
                         routes = { default = \"clean.neighbour\" }\non-failure = { dead-letter = \"dead.neighbour\" }\n";
        setup.write("rules/all.toml", format!("{RULES}{neighbour}"));
        let _trackside = Trackside::start_with(&setup, &[KEY]).await;
        for _ in 0..3 {
            publish(&server, "orders.a", &[("Do", "count")], "{}").await;
        }
        let letters = server.stored("DEAD", 3).await;
        for letter in &letters {
            assert_eq!(letter.header("Trackside-Dead-Class"), Some("deadline"));
            assert_eq!(letter.header("Trackside-Dead-Reason"), Some("the key-value store did not answer in time"));
            assert_eq!(letter.header("Trackside-Dead-Tries"), Some("2"));
        }
        assert_eq!(server.stored("CLEAN", 3).await.len(), 3, "the neighbour's");
    }

    #[test]
    fn a_trial_keeps_buckets_in_memory_and_says_so_and_check_says_what_is_not_exact() {
        let setup = tally(NO_SERVER, TALLY);
        let line = r#"{"subject":"orders.a","headers":{"Do":"count"},"payload":{}}"#;
        let lines = format!("{line}\n{line}\n");
        let done = command_with(&["try", setup.argument(), "--jsonl"], &[KEY], lines.as_bytes());
        let told: Vec<_> = done.lines().iter().map(|line| line["headers"]["Tally"].clone()).collect();
        assert_eq!(told, ["1", "2"], "{}", done.stderr);
        assert!(done.stderr.contains("plugin `tally` finds `tally` and `zones` in memory here"), "{}", done.stderr);
        let done = command_with(&["check", setup.argument()], &[KEY], b"");
        let note = "note: replays are not exact: plugin `tally` has `kv:tally:read-write`, `kv:zones:read`\n";
        assert!(done.stdout.ends_with(note), "{}", done.stdout);
    }
}

#[test]
fn a_plugin_reads_the_secrets_it_was_granted_and_a_secret_that_cannot_be_had_is_an_error_at_its_entry() {
    let setup = tally(NO_SERVER, TALLY);
    let told = |key: &str, secret: &str| {
        let arguments = ["try", setup.argument(), "--subject", "orders.a", "--header", "Do=secret", "--header", key];
        command_with(&arguments, &[("GEO_KEY", secret)], b"{}").lines()[0]["headers"]["Tally"].clone()
    };
    assert_eq!(told("Key=geo", "swordfish"), r#"Ok(Some("swordfish")) of 1"#);
    assert_eq!(told("Key=other", "swordfish"), "Ok(None) of 1");
    let revision = |secret: &str| {
        let done = command_with(&["check", setup.argument()], &[("GEO_KEY", secret)], b"");
        let ok = done.stdout.lines().next().expect("a line").to_owned();
        ok.rsplit_once(' ').expect("it ends with the revision").1.to_owned()
    };
    assert_eq!(revision("one"), revision("one"));
    assert_ne!(revision("one"), revision("two"), "another secret is another revision");

    let done = command(&["check", setup.argument()], b"");
    assert_eq!(done.code, 1);
    let said = "secret `geo`: the environment variable `GEO_KEY` is not set";
    assert!(done.stderr.contains(said) && done.stderr.contains("geo = \"env:GEO_KEY\""), "{}", done.stderr);
    assert!(!done.stderr.contains("NOBODY_WANTS_THIS"), "{}", done.stderr);
}

#[test]
fn a_plugin_reads_the_real_clock_only_if_it_was_granted() {
    let told = |grants: &str| {
        let setup = tally(NO_SERVER, &TALLY.replace("grants = [", &format!("grants = [{grants}")));
        let line = r#"{"subject":"orders.a","headers":{"Do":"now"},"payload":{},"timestamp":7000}"#;
        let done = command_with(&["try", setup.argument(), "--jsonl"], &[KEY], line.as_bytes());
        let seconds = done.lines()[0]["headers"]["Tally"].as_str().expect("a text").to_owned();
        seconds.parse::<u64>().expect("seconds")
    };
    assert_eq!(told(""), 7, "the message's own time");
    assert!(told("\"clock\", ") > 1_750_000_000);
}

mod handlers {
    use super::*;
    use base64::Engine as _;

    const BELL: &str = "[plugins.bell]\npath = \"plugins/bell.wasm\"\ndeadline = \"10s\"\ngrants = [\"log\"]\n";

    /// A rule with a component that was written for wasmCloud, and this table of settings.
    fn bell(server: &str, with: &str, grants: &str) -> Setup {
        let setup = Setup::new(server, &format!("{SOURCE}{}", BELL.replace("\"log\"", grants)));
        let routes = "default = \"clean.{subject.2}\"\nrung = \"bell.rung\"\nreply = \"clean.answers\"";
        setup.write(
            "rules/all.toml",
            format!(
                "[[rule]]\nname = \"bell\"\nsource = \"orders\"\nsubject = \"orders.*\"\n[[rule.stage]]\n\
                 plugin = \"bell\"\nwith = {{ {with} }}\n[rule.routes]\n{routes}\n\
                 [rule.on-failure]\ndead-letter = \"dead.bell\"\ntries = 2\nbackoff = [\"10ms\"]\n"
            ),
        );
        setup.write("plugins/bell.wasm", guest("wasmcloud"));
        setup
    }

    #[tokio::test]
    async fn a_component_written_for_wasmcloud_runs_as_a_stage() {
        let server = Server::start().await;
        streams(&server).await;
        server.stream("BELL", &["bell.>"]).await;
        let setup = bell(&server.url(), "", "\"log\"");
        let trackside = Trackside::start(&setup).await;
        publish(&server, "orders.a", &[("Region", "eu")], "ding").await;
        let rung = server.stored("BELL", 1).await;
        assert_eq!((rung[0].text(), rung[0].header("Region")), ("ring: ding", Some("eu")));
        let answers = server.stored("CLEAN", 1).await;
        assert_eq!((answers[0].subject.as_str(), answers[0].text()), ("clean.answers", "heard"));

        // It takes what it does not answer, and what it fails on is tried again and becomes a letter.
        publish(&server, "orders.a", &[], "silence").await;
        publish(&server, "orders.a", &[], "fail").await;
        publish(&server, "orders.a", &[], "ask").await;
        let letters = server.stored("DEAD", 2).await;
        let mut reasons: Vec<_> =
            letters.iter().map(|l| l.header("Trackside-Dead-Reason").expect("a reason")).collect();
        reasons.sort_unstable();
        let no_requests =
            "requests cannot be made here: a stage decides about one message. Publish to a route of the rule instead";
        assert_eq!(reasons, [no_requests, "the bell is broken"]);
        assert!(letters.iter().all(|letter| letter.header("Trackside-Dead-Tries") == Some("2")));
        server.settled("ORDERS", "trackside-orders").await;
        assert_eq!(server.stored("BELL", 1).await.len(), 1, "only one was rung for");
        assert!(trackside.log().contains("bell: 4 bytes from orders.a"), "{}", trackside.log());
    }

    fn tried(with: &str) -> Vec<serde_json::Value> {
        let setup = bell(NO_SERVER, with, "\"log\"");
        let done = command(&["try", setup.argument(), "--subject", "orders.a"], b"ding");
        assert_eq!(done.code, 0, "{}", done.stderr);
        done.lines()
    }

    #[test]
    fn what_it_publishes_takes_the_route_of_that_name_or_the_one_that_leads_there_and_else_nothing_is_published() {
        let routes = |with: &str| tried(with).iter().map(|line| line["route"].clone()).collect::<Vec<_>>();
        assert_eq!(routes("targets = \"rung\""), ["rung", "reply"], "by the route's name");
        assert_eq!(routes("targets = \"clean.a,bell.rung\""), ["default", "rung", "reply"], "by where they lead");
        let astray = tried("targets = \"bell.rung,payments.out\"");
        assert_eq!(astray.len(), 1, "{astray:?}");
        assert_eq!(astray[0]["outcome"], json!("dead-lettered"));
        let reason = astray[0]["reason"].as_str().expect("a reason");
        let want = "the handler published to `payments.out`, which is neither the name of a route of the rule";
        assert!(reason.starts_with(want) && reason.contains("`rung` (bell.rung)"), "{reason}");
    }

    #[test]
    fn it_is_refused_what_it_was_not_granted_as_any_plugin_is() {
        let setup = bell(NO_SERVER, "", "");
        let done = command(&["check", setup.argument()], b"");
        assert_eq!(done.code, 1);
        let want = "it imports `wasi:logging/logging@0.1.0-draft`, which takes the grant `log`";
        assert!(done.stderr.contains(want), "{}", done.stderr);
        let file = setup.path().join("plugins/bell.wasm");
        let done = command(&["plugin", "inspect", file.to_str().expect("UTF-8")], b"");
        assert!(done.stdout.contains("contract  wasmcloud:messaging/handler@0.2.0\n"), "{}", done.stdout);
    }

    fn base64(text: &str) -> serde_json::Value {
        base64::engine::general_purpose::STANDARD.encode(text).into()
    }

    #[test]
    fn a_component_of_the_wasi_proposal_runs_as_a_stage_too() {
        let setup =
            Setup::new(NO_SERVER, &format!("{SOURCE}[plugins.relay]\npath = \"relay.wasm\"\ndeadline = \"10s\"\n"));
        setup.write("relay.wasm", guest("relay"));
        setup.write(
            "rules/all.toml",
            "[[rule]]\nname = \"relay\"\nsource = \"orders\"\nsubject = \"orders.*\"\n[[rule.stage]]\n\
             plugin = \"relay\"\n[rule.routes]\ncopy = \"clean.copy\"\nreply = \"clean.answers\"\n\
             [rule.on-failure]\ndead-letter = \"dead.relay\"\ntries = 1\n",
        );
        let lines = [
            json!({ "subject": "orders.a", "headers": { "To": "copy" }, "payload_text": "one" }),
            json!({ "subject": "orders.a", "headers": { "To": "clean.copy", "Content-Type": "x/y" }, "payload_text": "two" }),
            json!({ "subject": "orders.a", "headers": { "To": "elsewhere" } }),
            json!({ "subject": "orders.a", "payload_text": "nothing to do" }),
            json!({ "subject": "orders.a", "headers": { "Do": "stale" } }),
            json!({ "subject": "orders.a", "headers": { "Do": "ask" } }),
            json!({ "subject": "orders.a", "headers": { "Do": "timeout" } }),
        ];
        let lines: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let done = command(&["try", setup.argument(), "--jsonl"], lines.as_bytes());
        let outcomes = done.lines();
        let sent: Vec<_> = outcomes[..4]
            .iter()
            .map(|line| {
                (line["route"].clone(), line["payload_base64"].clone(), line["headers"]["Content-Type"].clone())
            })
            .collect();
        let want = [
            (json!("copy"), base64("orders.a: one"), json!("text/plain")),
            (json!("reply"), base64("relayed"), json!(null)),
            (json!("copy"), base64("orders.a: two"), json!("x/y")),
            (json!("reply"), base64("relayed"), json!(null)),
        ];
        assert_eq!(sent, want, "{}", done.stdout);
        assert_eq!(outcomes[0]["headers"]["Via"], "relay");
        assert_ne!(outcomes[0]["headers"]["Nats-Msg-Id"], "mine", "reserved names are left out");
        let reasons: Vec<_> = outcomes[4..].iter().map(|line| line["reason"].as_str().unwrap_or_default()).collect();
        for (reason, want) in reasons.iter().zip([
            "the handler published to `elsewhere`",
            "the handler published nothing",
            "it used a message that it was given, or has made, in an earlier call",
            "requests cannot be made here",
            "it ran into a timeout",
        ]) {
            assert!(reason.contains(want), "{want}: {reason}");
        }
    }
}
