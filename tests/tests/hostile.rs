//! Plugins and payloads that mean harm: what becomes of them, and that nothing else is touched by it.

use std::fmt::Write as _;

use bytes::Bytes;
use serde_json::json;
use trackside_tests::{Server, Setup, Trackside, command, command_with, hostile};

/// Nobody listens there.
const NO_SERVER: &str = "nats://127.0.0.1:1";

const SOURCE: &str =
    "[sources.orders]\nstream = \"ORDERS\"\nfilter-subjects = [\"orders.>\"]\ndurable = \"trackside-orders\"\n";

/// Where the rules publish, declared.
const STREAMS: &str = "[streams.CLEAN]\nsubjects = [\"clean.>\"]\n";

/// The settings of a hostile plugin: limits that are met soon, and a deadline that a busy machine does not miss.
fn plugin(name: &str, deadline: &str) -> String {
    let grants = if matches!(name, "log" | "echo-config") { "[\"log\"]" } else { "[]" };
    format!(
        "[plugins.{name}]\npath = \"plugins/{name}.wasm\"\nmemory = \"16MiB\"\nhost-calls = 10000\nhost-bytes = \"8MiB\"\n\
         log-lines-per-second = 10\ndeadline = \"{deadline}\"\ngrants = {grants}\n"
    )
}

/// A rule with one stage that takes `subject`.
fn rule(name: &str, subject: &str, stage: &str) -> String {
    format!(
        "[[rule]]\nname = \"{name}\"\nsource = \"orders\"\nsubject = \"{subject}\"\n[[rule.stage]]\n{stage}\n\
         [rule.routes]\ndefault = \"clean.{name}\"\n\
         [rule.on-failure]\ndead-letter = \"dead.{name}\"\ndeadline = \"dead-letter\"\n"
    )
}

mod plugins {
    use super::*;

    /// The deadline is short only where it is what ends the plugin.
    fn deadline(name: &str) -> &'static str {
        if name == "loop" { "20ms" } else { "30s" }
    }

    /// A configuration in which each of these plugins has a rule for the subject `orders.NAME`.
    fn setup(names: &[&str], with: &str) -> Setup {
        let (mut config, mut rules) = (format!("{SOURCE}{STREAMS}"), String::new());
        for name in names {
            config += &plugin(name, deadline(name));
            rules += &rule(name, &format!("orders.{name}"), &format!("plugin = \"{name}\"\n{with}"));
        }
        let setup = Setup::new(NO_SERVER, &config);
        setup.write("rules/all.toml", rules);
        for name in names {
            setup.write(&format!("plugins/{name}.wasm"), hostile::component(name));
        }
        setup
    }

    #[test]
    fn each_way_to_break_is_told_apart_and_leaves_the_message_as_it_was() {
        let want = [
            ("trap", "trap", "the plugin trapped: it aborted (wasm `unreachable`) in `broken_on_purpose`"),
            ("loop", "deadline", "the plugin did not finish within its deadline of 20ms"),
            ("memory", "limit", "the plugin ran out of its 16MiB of memory"),
            ("recursion", "trap", "the plugin trapped: it used up its call stack in `deeper`"),
            ("table", "limit", "the plugin went over its limit of 20000 table elements (`table-elements`)"),
            ("host-calls", "limit", "the plugin went over its limit of 10000 host calls (`host-calls`)"),
            ("host-bytes", "limit", "the plugin went over its limit of 8MiB exchanged with the host (`host-bytes`)"),
            (
                "aliased-strings",
                "limit",
                "the plugin went over its limit of 8MiB exchanged with the host (`host-bytes`)",
            ),
            ("bad-pointer", "trap", "the plugin trapped: "),
            ("bad-text", "trap", "the plugin trapped: "),
            ("fatal", "trap", "the plugin gave up: cannot\\non!"),
            ("retry", "retry", "later"),
            ("setup-in-handle", "trap", "the plugin trapped: it called `setup.read-file` outside of `configure`"),
            (
                "split",
                "route",
                "the plugin chose the route \"x\", which the rule does not declare; it declares default",
            ),
            (
                "split-bad-header",
                "trap",
                "the plugin's verdict cannot be carried out: a header value cannot have control",
            ),
        ];
        let names: Vec<_> = want.iter().map(|(name, ..)| *name).collect();
        let setup = setup(&names, "");
        // Large enough that to copy it again and again costs bytes before it costs calls.
        let payload = json!({ "pad": "x".repeat(1 << 20) });
        let mut lines = String::new();
        for name in &names {
            writeln!(lines, "{}", json!({ "subject": format!("orders.{name}"), "payload": payload }))
                .expect("a string");
        }
        let done = command(&["try", setup.argument(), "--jsonl"], lines.as_bytes());
        assert_eq!((done.code, done.stderr.as_str()), (0, ""));
        for ((name, class, reason), line) in want.into_iter().zip(done.lines()) {
            assert_eq!(line["rule"], name);
            assert_eq!(line["outcome"], "dead-lettered", "{name}");
            assert_eq!(line["subject"], format!("dead.{name}"));
            assert_eq!(line["headers"]["Trackside-Dead-Class"], class, "{name}: {}", line["reason"]);
            assert_eq!(line["headers"]["Trackside-Dead-Stage"], name);
            let told = line["reason"].as_str().expect("a reason");
            assert!(told.starts_with(reason), "{name}: {told}");
            assert!(line["payload"] == payload && line["headers"].get("X-Changed").is_none(), "{name} changed it");
        }
    }

    #[test]
    fn a_plugin_that_gets_over_a_limit_goes_on() {
        let names = ["memory-survivor", "memory-creep", "network", "count"];
        let setup = setup(&names, "");
        let lines: Vec<_> =
            names.iter().map(|name| json!({ "subject": format!("orders.{name}") }).to_string()).collect();
        let done = command(&["try", setup.argument(), "--jsonl"], lines.join("\n").as_bytes());
        for (name, line) in names.iter().zip(done.lines()) {
            assert_eq!(line["outcome"], "published", "{name}: {}", line["reason"]);
        }
    }

    /// The reason for which a message of a plugin's rule is dead-lettered.
    fn limit_met(name: &str, with: &str, headers: &serde_json::Value) -> String {
        let line = json!({ "subject": format!("orders.{name}"), "headers": headers, "payload": 1 }).to_string();
        let done = command(&["try", setup(&[name], with).argument(), "--jsonl"], line.as_bytes());
        let line = &done.lines()[0];
        assert_eq!(line["headers"]["Trackside-Dead-Class"], "limit", "{}", line["reason"]);
        line["reason"].as_str().expect("a reason").to_owned()
    }

    #[test]
    fn stages_that_split_what_others_split_do_not_multiply_what_is_kept() {
        let reason = limit_met("split-large", "[[rule.stage]]\nplugin = \"split-large\"", &json!({}));
        assert_eq!(reason, "the message was split into more than 33554432 bytes, 4 times `host-bytes`");
    }

    #[test]
    fn headers_that_go_with_all_that_a_handler_publishes_count_each_time() {
        let reason = limit_met("publish-many", "", &json!({ "Large": "x".repeat(8 << 10) }));
        assert_eq!(reason, "the plugin went over its limit of 8MiB exchanged with the host (`host-bytes`)");
    }

    #[test]
    fn a_trap_costs_the_instance_and_not_the_messages_after_it() {
        let setup = setup(&["trap", "count"], "");
        let line = |name: &str| json!({ "subject": format!("orders.{name}") }).to_string();
        let lines = [line("count"), line("trap"), line("count"), line("trap"), line("count")];
        let done = command(&["try", setup.argument(), "--jsonl"], lines.join("\n").as_bytes());
        let counts: Vec<_> = done.lines().iter().map(|line| line["payload_base64"].clone()).collect();
        // The count is one byte: the counting instance was not disturbed by the one that trapped.
        assert_eq!(counts, ["AQ==", "", "Ag==", "", "Aw=="]);
    }

    #[test]
    fn what_a_plugin_logs_is_limited_in_lines_and_cannot_forge_any() {
        let setup = setup(&["log"], "");
        let done = command(&["try", setup.argument(), "--subject", "orders.log"], b"{}");
        assert_eq!(done.code, 0, "{}", done.stderr);
        let (said, other): (Vec<&str>, Vec<&str>) = done.stderr.lines().partition(|line| line.contains("forged"));
        // A thousand lines were written. Ten may be, and as many for each further second that it took.
        assert!((1..=100).contains(&said.len()), "{}", done.stderr);
        assert!(said.iter().all(|line| line.contains("WARN") && line.contains("one\\r\\n2026")), "{}", done.stderr);
        assert!(other.iter().all(|line| line.contains("log lines dropped")), "{}", done.stderr);
        assert!(!done.stderr.contains('\u{1b}'));
    }

    #[test]
    fn a_plugin_that_puts_its_settings_where_they_are_seen_shows_no_secret() {
        let setup = setup(&["echo-config", "echo-config-as-route"], "with = { key = \"env:HOSTILE_KEY\" }");
        for name in ["echo-config", "echo-config-as-route"] {
            let arguments = ["--log", "trace", "try", setup.argument(), "--subject", &format!("orders.{name}")];
            let done = command_with(&arguments, &[("HOSTILE_KEY", "swordfish")], b"{}");
            let line = &done.lines()[0];
            assert_eq!(line["outcome"], "dead-lettered");
            assert!(line["reason"].as_str().expect("a reason").contains("***"), "{line}");
            assert!(!done.stdout.contains("swordfish") && !done.stderr.contains("swordfish"), "{name}");
        }
    }

    /// Publishes numbered orders of one subject, and hands back when all are stored.
    async fn publish(server: &Server, count: usize) {
        let context = async_nats::jetstream::new(server.client().await);
        for number in 0..count {
            let payload = Bytes::from(format!(r#"{{"number":{number},"card":"4111111111111111"}}"#));
            let sent = context.publish("orders.new", payload).await.expect("the client can publish");
            sent.await.expect("the stream stores it");
        }
    }

    #[tokio::test]
    async fn a_rule_with_a_hostile_plugin_harms_no_rule_beside_it() {
        const MESSAGES: usize = 50;
        let hostile = [
            ("trap", "trap"),
            ("loop", "deadline"),
            ("memory", "limit"),
            ("recursion", "trap"),
            ("table", "limit"),
            ("host-calls", "limit"),
            ("bad-pointer", "trap"),
            ("fatal", "trap"),
        ];
        let server = Server::start().await;
        server.stream("ORDERS", &["orders.>"]).await;
        server.stream("CLEAN", &["clean.good"]).await;
        let (mut config, mut rules) = (format!("{SOURCE}ack-wait = \"5m\"\n"), String::new());
        config += "[plugins.mask]\ndeadline = \"30s\"\n";
        rules += &rule("good", "orders.>", "plugin = \"mask\"\nwith = { fields = [{ path = \"$.card\" }] }");
        for name in hostile.iter().map(|(name, _)| *name).chain(["log"]) {
            config += &plugin(name, deadline(name));
            rules += &rule(name, "orders.*", &format!("plugin = \"{name}\""));
        }
        let setup = Setup::new(&server.url(), &config);
        setup.write("rules/all.toml", rules);
        server.stream("DEAD", &["dead.>"]).await;
        for name in hostile.iter().map(|(name, _)| *name).chain(["log"]) {
            setup.write(&format!("plugins/{name}.wasm"), hostile::component(name));
        }
        let mut trackside = Trackside::start(&setup).await;
        publish(&server, MESSAGES).await;

        let clean = server.stored("CLEAN", MESSAGES).await;
        let mut numbers: Vec<_> =
            clean.iter().map(|order| order.json()["number"].as_u64().expect("a number")).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..MESSAGES as u64).collect::<Vec<_>>());
        assert!(clean.iter().all(|order| order.json()["card"] == "***"));

        let dead = server.stored("DEAD", MESSAGES * hostile.len()).await;
        for (name, class) in hostile {
            let of_rule: Vec<_> = dead.iter().filter(|letter| letter.subject == format!("dead.{name}")).collect();
            assert_eq!(of_rule.len(), MESSAGES, "{name}");
            for letter in of_rule {
                assert_eq!(letter.header("Trackside-Dead-Class"), Some(class), "{name}");
                assert_eq!(letter.json()["card"], "4111111111111111", "a dead letter is the original");
            }
        }
        server.settled("ORDERS", "trackside-orders").await;

        assert!(!trackside.process().has_ended());
        let log = trackside.log();
        let forged = log.lines().filter(|line| line.contains("forged")).count();
        assert!((1..MESSAGES * 1000 / 10).contains(&forged), "{forged} of {} lines", MESSAGES * 1000);
        assert!(log.len() < 1 << 20, "{} bytes of log", log.len());
        assert!(log.contains("log lines dropped"), "what was left out is said");
        assert_eq!(trackside.drain().await, 0);
    }
}

mod payloads {
    use super::*;

    /// What a rule should do with a payload.
    enum Want {
        /// Publish this, by this route.
        Out(&'static str, String),
        /// Dead-letter it with a reason that has this in it.
        Dead(&'static str),
    }
    use Want::{Dead, Out};

    fn setup() -> Setup {
        let mut config = format!("{SOURCE}{STREAMS}");
        for name in ["mask", "validate", "route"] {
            config += &format!("[plugins.{name}]\ndeadline = \"30s\"\n");
        }
        let setup = Setup::new(NO_SERVER, &config);
        setup.write("schemas/order.json", r#"{"type":"object","required":["id"]}"#);
        let mut rules = rule("mask", "orders.mask", "plugin = \"mask\"\nwith = { fields = [{ path = \"$.card\" }] }");
        rules +=
            &rule("validate", "orders.validate", "plugin = \"validate\"\nwith = { schema = \"schemas/order.json\" }");
        let with = "with = { when = [{ if = \"body.n > 5\", to = \"big\" }], else = \"default\" }";
        rules += &rule("route", "orders.route", &format!("plugin = \"route\"\n{with}"));
        setup.write("rules/all.toml", rules.replace("\"clean.route\"", "\"clean.route\"\nbig = \"clean.big\""));
        setup
    }

    /// Runs a payload through `mask`, `validate` and `route`, and compares.
    fn check(cases: Vec<(&str, Vec<u8>, [Want; 3])>) {
        use base64::Engine as _;
        let base64 = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
        let setup = setup();
        let mut lines = String::new();
        for (_, payload, _) in &cases {
            for rule in ["mask", "validate", "route"] {
                let line = json!({ "subject": format!("orders.{rule}"), "payload_base64": base64(payload) });
                writeln!(lines, "{line}").expect("a string takes all");
            }
        }
        let done = command(&["try", setup.argument(), "--jsonl"], lines.as_bytes());
        assert_eq!((done.code, done.stderr.as_str()), (0, ""));
        let mut told = done.stdout.lines();
        for (name, payload, wants) in cases {
            for want in wants {
                let text = told.next().expect("a line for each message");
                let about = format!("{name}: {}", text.chars().take(600).collect::<String>());
                match want {
                    Out(route, payload) => {
                        assert!(text.contains(r#""outcome":"published""#), "{about}");
                        assert!(text.contains(&format!(r#""route":"{route}""#)), "{about}");
                        assert!(text.contains(&format!(r#","payload":{payload},"reason""#)), "{payload} in {about}");
                    }
                    Dead(reason) => {
                        assert!(text.contains(r#""outcome":"dead-lettered""#), "{about}");
                        assert!(text.contains(r#""Trackside-Dead-Class":"rejected""#), "{about}");
                        let (_, told) = text.rsplit_once(r#","reason":"#).expect("a reason");
                        assert!(told.contains(reason), "{reason} in {about}");
                        let kept = |text: &str, payload: &str| text.contains(&format!(r#"":{payload},"reason""#));
                        let json = std::str::from_utf8(&payload).is_ok_and(|payload| kept(text, payload));
                        assert!(json || kept(text, &format!("\"{}\"", base64(&payload))), "{about}");
                    }
                }
            }
        }
    }

    /// The same payload through each, masked by the first.
    fn unharmed(masked: &str, payload: &str, route: &'static str) -> [Want; 3] {
        [Out("default", masked.to_owned()), Out("default", payload.to_owned()), Out(route, payload.to_owned())]
    }

    #[test]
    fn what_is_not_json_is_refused_by_all_that_have_to_read_it() {
        let refused = || [Dead("not JSON"), Dead("not JSON"), Dead("not JSON")];
        check(vec![
            ("a form", b"id=1&card=4111".to_vec(), refused()),
            ("nothing", Vec::new(), refused()),
            ("half of it", br#"{"id":1,"card":"41"#.to_vec(), refused()),
            ("two of it", br#"{"id":1}{"card":"4111"}"#.to_vec(), refused()),
            ("a byte order mark", b"\xef\xbb\xbf{\"id\":1,\"card\":\"4111\"}".to_vec(), refused()),
            ("a NUL in a string", b"{\"id\":1,\"card\":\"41\x0011\"}".to_vec(), refused()),
            ("a NUL at the end", b"{\"id\":1,\"card\":\"4111\"}\0".to_vec(), refused()),
            ("a byte that is not UTF-8", b"{\"id\":1,\"card\":\"41\xff\"}".to_vec(), refused()),
            ("a lone surrogate in a value", br#"{"id":1,"card":"\ud800"}"#.to_vec(), refused()),
            ("a lone surrogate in a key", br#"{"id":1,"\udc00":"4111"}"#.to_vec(), refused()),
            ("not a number", br#"{"id":1,"card":NaN}"#.to_vec(), refused()),
        ]);
    }

    #[test]
    fn nesting_has_a_bound() {
        let deep = |open: &str, close: &str| [open.repeat(100_000), "1".to_owned(), close.repeat(100_000)].concat();
        let refused = || [Dead("128 levels"), Dead("limit"), Dead("128 levels")];
        check(vec![
            ("arrays", deep("[", "]").into_bytes(), refused()),
            ("objects", deep("{\"card\":", "}").into_bytes(), refused()),
            ("never closed", deep("{\"card\":", "").into_bytes(), refused()),
        ]);
    }

    #[test]
    fn a_payload_past_a_mebibyte_is_handled_like_any_other() {
        let pad = "x".repeat(3 << 19);
        let order = |card: &str| format!(r#"{{"id":1,"card":"{card}","n":7,"pad":"{pad}"}}"#);
        check(vec![("1.5 MiB", order("4111").into_bytes(), unharmed(&order("***"), &order("4111"), "big"))]);
    }

    #[test]
    fn keys_that_repeat_or_are_escaped_hide_nothing() {
        let twice = r#"{"id":1,"card":"4111","n":1,"card":"4222","n":7}"#;
        let masked = r#"{"id":1,"card":"***","n":1,"card":"***","n":7}"#;
        let escaped = r#"{"id":1,"c\u0061rd":"4111","\u006e":7}"#;
        let escaped_masked = r#"{"id":1,"c\u0061rd":"***","\u006e":7}"#;
        check(vec![
            (
                "twice",
                twice.into(),
                [Out("default", masked.into()), Dead("the same key twice"), Dead("more than once")],
            ),
            ("escaped", escaped.into(), unharmed(escaped_masked, escaped, "big")),
            ("null", "null".into(), [Out("default", "null".into()), Dead("object"), Out("default", "null".into())]),
        ]);
    }

    #[test]
    fn big_numbers_keep_their_spelling_and_are_masked_like_small_ones() {
        let digits = "1234567890123456789012345678901234567890";
        let number = format!(r#"{{"id":1,"n":{digits}}}"#);
        let card = format!(r#"{{"id":1,"n":7,"card":{digits}}}"#);
        let huge = r#"{"id":1,"n":1e400,"card":1e400}"#;
        let huge_masked = r#"{"id":1,"n":1e400,"card":"***"}"#;
        check(vec![
            ("40 digits", number.clone().into_bytes(), unharmed(&number, &number, "big")),
            ("40 digits masked", card.clone().into_bytes(), unharmed(r#"{"id":1,"n":7,"card":"***"}"#, &card, "big")),
            // A schema cannot compare what no 64-bit float holds; the others need not.
            ("1e400", huge.into(), [Out("default", huge_masked.into()), Dead("out of range"), Out("big", huge.into())]),
        ]);
    }

    #[tokio::test]
    async fn an_output_that_grows_past_what_the_server_takes_is_dead_lettered_and_nothing_stops() {
        let server = Server::start().await;
        server.stream("ORDERS", &["orders.>"]).await;
        server.stream("CLEAN", &["clean.>"]).await;
        server.stream("DEAD", &["dead.>"]).await;
        let setup = Setup::new(&server.url(), SOURCE);
        let text = "x".repeat(100_000);
        let with = format!("plugin = \"mask\"\nwith = {{ fields = [{{ path = \"$.card\", text = \"{text}\" }}] }}");
        setup.write("rules/all.toml", rule("grow", "orders.>", &with));
        let trackside = Trackside::start(&setup).await;
        let context = async_nats::jetstream::new(server.client().await);
        // The default of `max_payload` is 1 MiB, headers included.
        for pad in [(1 << 20) - 10_000, 10] {
            let payload = json!({ "pad": "y".repeat(pad), "card": "4111" }).to_string();
            context.publish("orders.new", payload.into()).await.expect("sent").await.expect("stored");
        }
        assert_eq!(server.stored("CLEAN", 1).await[0].json()["card"], text);
        let dead = server.stored("DEAD", 1).await;
        assert_eq!(dead[0].header("Trackside-Dead-Class"), Some("publish"));
        let reason = dead[0].header("Trackside-Dead-Reason").expect("a reason");
        assert!(reason.contains("max_payload"), "{reason}");
        assert_eq!(dead[0].json()["card"], "4111");
        server.settled("ORDERS", "trackside-orders").await;
        assert_eq!(trackside.drain().await, 0);
    }
}
