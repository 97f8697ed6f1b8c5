//! Dead letters from the first try to the last: kept, encrypted, listed, shown, replayed, discarded.

use async_nats::jetstream::{self, stream};
use serde_json::json;
use trackside_tests::{Finished, Server, Setup, Stored, Trackside, command, command_with, hostile, until};

const SOURCE: &str = "[sources.orders]\nstream = \"ORDERS\"\ndurable = \"trackside\"\n";

/// 32 bytes, and the id that letters name them by.
const KEY: (&str, &str) = ("DEAD_KEY", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
const KEY_ID: &str = "630dcd29";
const OTHER_KEY: (&str, &str) = ("DEAD_KEY", "1111111111111111111111111111111111111111111111111111111111111111");

/// The rule `orders`: the card is masked in a way that shows when it is done twice, then the order is checked.
fn rule(dead_letter: &str) -> String {
    format!(
        r#"
[[rule]]
name = "orders"
source = "orders"
subject = "orders.>"
[[rule.stage]]
plugin = "mask"
with = {{ fields = [{{ path = "$.card", action = "hash", key = "file:mask-key" }}] }}
[[rule.stage]]
plugin = "validate"
with = {{ schema = "schemas/order.json" }}
[rule.routes]
default = "clean.orders"
[rule.on-failure]
dead-letter = {dead_letter}
"#
    )
}

/// A configuration whose rule takes orders that have these fields.
fn configure(setup: &Setup, dead_letter: &str, required: &[&str]) {
    setup.write("mask-key", "a key for masking");
    setup.write("schemas/order.json", json!({ "type": "object", "required": required }).to_string());
    setup.write("rules/orders.toml", rule(dead_letter));
}

/// A server with all streams, and the configuration of the rule `orders`.
async fn world(dead_letter: &str, required: &[&str]) -> (Server, Setup) {
    let server = Server::start().await;
    server.stream("ORDERS", &["orders.>"]).await;
    server.stream("CLEAN", &["clean.>"]).await;
    server.stream("DEAD", &["dead.>"]).await;
    let setup = Setup::new(&server.url(), SOURCE);
    configure(&setup, dead_letter, required);
    (server, setup)
}

/// Publishes a message and waits until it is stored.
async fn publish(server: &Server, subject: &str, headers: &[(&str, &str)], payload: impl Into<bytes::Bytes>) {
    let mut map = async_nats::HeaderMap::new();
    headers.iter().for_each(|(name, value)| map.append(*name, *value));
    let context = jetstream::new(server.client().await);
    let stored = context.publish_with_headers(subject.to_owned(), map, payload.into()).await;
    stored.expect("the client can publish").await.expect("the stream stores it");
}

/// Lets `trackside run` make dead letters of what is in the stream, this many in all.
async fn let_die(server: &Server, setup: &Setup, letters: usize, environment: &[(&str, &str)]) -> Vec<Stored> {
    let trackside = Trackside::start_with(setup, environment).await;
    let stored = server.stored("DEAD", letters).await;
    server.settled("ORDERS", "trackside").await;
    assert_eq!(trackside.drain().await, 0);
    stored
}

/// The sequences that a stream holds.
async fn sequences(server: &Server, stream: &str) -> Vec<u64> {
    let context = jetstream::new(server.client().await);
    let stream = context.get_stream(stream).await.expect("the stream is there");
    let state = &stream.cached_info().state;
    let mut held = Vec::new();
    for sequence in state.first_sequence..=state.last_sequence {
        if stream.get_raw_message(sequence).await.is_ok() {
            held.push(sequence);
        }
    }
    held
}

/// Runs `trackside dead` with a directory.
fn dead(command_name: &str, setup: &Setup, arguments: &[&str]) -> Finished {
    dead_with(command_name, setup, arguments, &[])
}

fn dead_with(name: &str, setup: &Setup, arguments: &[&str], environment: &[(&str, &str)]) -> Finished {
    command_with(&[&["dead", name, setup.argument()], arguments].concat(), environment, b"")
}

fn ok(finished: &Finished) -> &Finished {
    assert_eq!(finished.code, 0, "{}{}", finished.stdout, finished.stderr);
    finished
}

#[tokio::test]
async fn what_a_rule_rejects_is_listed_shown_and_replayed_once_the_rule_is_mended() {
    let (server, setup) = world("\"dead.orders\"", &["id"]).await;
    let headers = [("Region", "eu"), ("Region", "de"), ("Nats-Msg-Id", "mine")];
    publish(&server, "orders.eu", &headers, r#"{ "card":"4111111111111111","n": 1.50 }"#).await;
    let letter = &let_die(&server, &setup, 1, &[]).await[0];
    for name in ["Trackside-Dead-First-Time", "Trackside-Dead-Last-Time", "Trackside-Dead-Time"] {
        assert!(letter.header(name).is_some_and(|time| time.ends_with('Z')), "{name}: {:?}", letter.header(name));
    }

    let listed = dead("list", &setup, &["--json"]).lines();
    assert_eq!(listed.len(), 1);
    for (name, want) in [
        ("stream", json!("DEAD")),
        ("sequence", json!(1)),
        ("rule", json!("orders")),
        ("class", json!("rejected")),
        ("stage", json!("validate")),
        ("subject", json!("orders.eu")),
        ("tries", json!(1)),
        ("encrypted", json!(false)),
    ] {
        assert_eq!(listed[0][name], want, "{name}");
    }
    let table = dead("list", &setup, &[]).stdout;
    assert!(table.starts_with("STREAM") && table.contains(" orders           rejected     1 orders.eu "), "{table}");
    let shown = &dead("show", &setup, &["1", "--json"]).lines()[0];
    assert_eq!(shown["headers"], json!({ "Nats-Msg-Id": "mine", "Region": ["eu", "de"] }));
    assert_eq!(shown["payload"], json!({ "card": "4111111111111111", "n": 1.5 }));
    let page = dead("show", &setup, &["1"]).stdout;
    assert!(page.contains("\n  Region: eu\n  Region: de\n"), "{page}");
    assert!(page.ends_with("bytes\n{ \"card\":\"4111111111111111\",\"n\": 1.50 }\n"), "{page}");

    let stored = server.stored("DEAD", 1).await;
    let failing = dead("replay", &setup, &["--dry-run"]).lines();
    let first = "Trackside-Dead-First-Time";
    assert_eq!(failing[0]["headers"][first].as_str(), stored[0].header(first), "{failing:?}");

    setup.write("schemas/order.json", json!({ "type": "object" }).to_string());
    let previewed = dead("replay", &setup, &["--dry-run"]).lines();
    assert_eq!((previewed.len(), &previewed[0]["outcome"]), (1, &json!("published")));
    assert_eq!(previewed[0]["headers"]["Trackside-Replayed"], json!("1"));
    assert_eq!(sequences(&server, "DEAD").await, [1], "nothing was changed");
    let replayed = dead("replay", &setup, &[]);
    let want = "DEAD 1 replayed: 1 published, 0 dropped\n1 replayed, 0 failed again, 0 stay\n";
    assert_eq!(ok(&replayed).stdout, want);
    assert!(sequences(&server, "DEAD").await.is_empty());
    assert_eq!(dead("list", &setup, &[]).stderr.trim(), "there is no such dead letter");

    // The same order once more, which goes through at once: masked as often as the one that was dead.
    publish(&server, "orders.eu", &headers[..2], r#"{ "card":"4111111111111111","n": 1.50 }"#).await;
    let trackside = Trackside::start(&setup).await;
    let clean = server.stored("CLEAN", 2).await;
    assert_eq!(clean[0].payload, clean[1].payload);
    assert!(!clean[0].text().contains("4111"), "{}", clean[0].text());
    assert_eq!(clean[0].headers["Region"], ["eu", "de"]);
    assert_eq!((clean[0].header("Trackside-Replayed"), clean[1].header("Trackside-Replayed")), (Some("1"), None));
    let id = letter.header("Trackside-Dead-Id").expect("an id");
    assert_eq!(clean[0].header("Nats-Msg-Id"), Some(format!("{id}:orders:default:0").as_str()));
    assert!(clean[1].header("Nats-Msg-Id").expect("an id").starts_with("ORDERS:2:"));
    assert_eq!(trackside.drain().await, 0);
}

#[tokio::test]
async fn a_letter_that_is_replayed_twice_is_stored_once() {
    let (server, setup) = world("\"dead.orders\"", &["id"]).await;
    publish(&server, "orders.eu", &[], "{}").await;
    let letter = let_die(&server, &setup, 1, &[]).await.remove(0);
    // A crash between publishing and deleting leaves the letter behind. A copy of it is as good.
    let mut headers: Vec<(&str, &str)> = Vec::new();
    for (name, values) in &letter.headers {
        headers.extend(values.iter().filter(|_| name != "Nats-Msg-Id").map(|value| (name.as_str(), value.as_str())));
    }
    publish(&server, "dead.orders", &headers, letter.payload.clone()).await;
    configure(&setup, "\"dead.orders\"", &[]);
    assert!(ok(&dead("replay", &setup, &[])).stdout.ends_with("2 replayed, 0 failed again, 0 stay\n"));
    assert_eq!(server.stored("CLEAN", 1).await.len(), 1);
    assert!(sequences(&server, "DEAD").await.is_empty());
}

#[tokio::test]
async fn a_letter_that_fails_again_into_another_stream_is_tried_once() {
    let (server, setup) = world("\"dead.orders\"", &["id"]).await;
    publish(&server, "orders.eu", &[], "{}").await;
    let_die(&server, &setup, 1, &[]).await;
    // From now on the rule's letters go to a stream that is read after the first one, which another rule's still go to.
    server.stream("LATER", &["later.>"]).await;
    let other = rule("\"dead.orders\"").replace("name = \"orders\"", "name = \"others\"");
    setup.write("rules/orders.toml", rule("\"later.orders\"") + &other);
    let replayed = dead("replay", &setup, &[]);
    assert!(replayed.stdout.ends_with("\n0 replayed, 1 failed again, 0 stay\n"), "{}", replayed.stdout);
    assert_eq!(sequences(&server, "LATER").await, [1]);
    assert!(sequences(&server, "DEAD").await.is_empty());
}

#[tokio::test]
async fn a_replay_that_is_killed_again_and_again_loses_and_repeats_nothing() {
    const COUNT: usize = 150;
    let (server, setup) = world("\"dead.orders\"", &["id"]).await;
    let context = jetstream::new(server.client().await);
    for number in 0..COUNT {
        let good = if number % 3 == 0 { "" } else { r#","good":true"# };
        let stored = context.publish("orders.eu", format!(r#"{{"n":{number}{good}}}"#).into()).await;
        stored.expect("the client can publish").await.expect("the stream stores it");
    }
    let_die(&server, &setup, COUNT, &[]).await;
    configure(&setup, "\"dead.orders\"", &["good"]);

    let told = |replaying: &Trackside| replaying.log().lines().filter(|line| line.starts_with("DEAD ")).count();
    for kill in 1..=5 {
        let replaying = Trackside::spawn_with(&["dead", "replay"], setup.path(), &setup.admin, &[]);
        until("the replay to get on", async || (told(&replaying) >= kill * 20).then_some(())).await;
        replaying.kill();
    }
    // The last third never succeeds: those are letters in the end, each once.
    assert_eq!(dead("replay", &setup, &[]).code, 1);
    let numbers = |stored: Vec<Stored>| -> Vec<u64> {
        let mut numbers: Vec<_> = stored.iter().map(|one| one.json()["n"].as_u64().expect("a number")).collect();
        numbers.sort_unstable();
        numbers
    };
    let (again, good): (Vec<u64>, Vec<u64>) = (0..COUNT as u64).partition(|number| number % 3 == 0);
    assert_eq!(numbers(server.stored("CLEAN", good.len()).await), good);
    assert_eq!(numbers(server.stored("DEAD", again.len()).await), again);
}

#[tokio::test]
async fn what_fails_again_is_a_new_letter_and_what_may_pass_later_stays() {
    let (server, setup) = world("\"dead.orders\"", &["id"]).await;
    publish(&server, "orders.eu", &[], r#"{"n":1}"#).await;
    let first = let_die(&server, &setup, 1, &[]).await.remove(0);
    let replayed = dead("replay", &setup, &[]);
    assert_eq!(replayed.code, 1, "{}", replayed.stdout);
    assert!(
        replayed.stdout.starts_with("DEAD 1 failed again, and is a new letter: rule `orders`, rejected: "),
        "{}",
        replayed.stdout
    );
    assert_eq!(sequences(&server, "DEAD").await, [2]);
    let second = server.stored("DEAD", 1).await.remove(0);
    assert_eq!(second.payload, first.payload);
    for (name, same) in [
        ("Trackside-Dead-Id", true),
        ("Trackside-Dead-First-Time", true),
        ("Trackside-Dead-Last-Time", false),
        ("Trackside-Dead-Sequence", true),
    ] {
        assert_eq!(first.header(name) == second.header(name), same, "{name}: {:?}", second.header(name));
    }
    assert_eq!((second.header("Trackside-Dead-Tries"), second.header("Trackside-Replayed")), (Some("2"), Some("1")));
    assert!(second.header("Nats-Msg-Id").expect("an id").ends_with(":orders:dead:replay-1"));

    // A plugin that wants another try says nothing for good.
    setup.write("plugins/retry.wasm", hostile::component("retry"));
    setup.write(
        "rules/orders.toml",
        rule("\"dead.orders\"").replace("\"mask\"", "\"retry\"").replace("with = { fields", "#"),
    );
    let config = std::fs::read_to_string(setup.path().join("trackside.toml")).expect("is there");
    setup.write("trackside.toml", config + "[plugins.retry]\npath = \"plugins/retry.wasm\"\ndeadline = \"30s\"\n");
    let replayed = dead("replay", &setup, &[]);
    assert_eq!(replayed.code, 1);
    let want = "DEAD 2 stays: rule `orders`, retry: later; that may pass, so replay it again later\n\
                0 replayed, 0 failed again, 1 stay\n";
    assert_eq!(replayed.stdout, want);
    assert_eq!(sequences(&server, "DEAD").await, [2]);
}

#[tokio::test]
async fn a_rule_that_is_gone_is_stood_in_for_by_those_of_its_source() {
    let (server, setup) = world("\"dead.orders\"", &["id"]).await;
    publish(&server, "orders.eu", &[], "{}").await;
    let_die(&server, &setup, 1, &[]).await;
    let stays = |want: &str| {
        let replayed = dead("replay", &setup, &[]);
        assert!(replayed.code == 1 && replayed.stdout.contains(want), "{want}\n{}", replayed.stdout);
    };
    let named = |name: &str, subject: &str| {
        format!(
            "[[rule]]\nname = \"{name}\"\nsource = \"orders\"\nsubject = \"{subject}\"\nroutes = {{ default = \"clean.{name}\" }}\n\
             on-failure = {{ dead-letter = \"dead.orders\" }}\n"
        )
    };
    setup.write("rules/orders.toml", named("orders", "orders.us"));
    stays("its subject is `orders.eu`, and rule `orders` takes `orders.us` now");
    setup.write("rules/orders.toml", named("other", "orders.us"));
    stays("there is no rule `orders` any more, and none of source `orders` takes `orders.eu`");
    setup.write("rules/orders.toml", [named("one", "orders.eu"), named("two", "orders.>")].concat());
    assert!(ok(&dead("replay", &setup, &[])).stdout.starts_with("DEAD 1 replayed: 2 published"));
    let clean = server.stored("CLEAN", 2).await;
    assert_eq!(clean.iter().map(|stored| stored.subject.as_str()).collect::<Vec<_>>(), ["clean.one", "clean.two"]);
}

#[tokio::test]
async fn an_encrypted_letter_holds_no_secret_and_is_shown_and_replayed_with_its_key_alone() {
    let letters = "{ subject = \"dead.orders\", encrypt = \"env:DEAD_KEY\" }";
    let (server, setup) = world(letters, &["id"]).await;
    publish(&server, "orders.eu", &[("Api-Key", "s3cret"), ("Nats-Msg-Id", "s3cret-id")], r#"{"card":"s3cret"}"#).await;
    let letter = let_die(&server, &setup, 1, &[KEY]).await.remove(0);
    let whole = format!("{:?} {}", letter.headers, String::from_utf8_lossy(&letter.payload));
    assert!(!whole.contains("s3cret") && !whole.contains("Api-Key"), "{whole}");
    assert_eq!(letter.header("Trackside-Dead-Key"), Some(KEY_ID));
    assert_eq!(letter.header("Trackside-Dead-Subject"), Some("orders.eu"));

    // Listing needs no key.
    assert_eq!(ok(&dead("list", &setup, &["--json"])).lines()[0]["encrypted"], json!(true));
    let shown = dead_with("show", &setup, &["1", "--json"], &[KEY]);
    assert_eq!(ok(&shown).lines()[0]["payload"], json!({ "card": "s3cret" }));
    assert_eq!(shown.lines()[0]["headers"], json!({ "Api-Key": "s3cret", "Nats-Msg-Id": "s3cret-id" }));
    let wrong = dead_with("show", &setup, &["1"], &[OTHER_KEY]);
    let want = "letter 1 of stream DEAD: it is encrypted with the key 630dcd29, which is not at hand: give it by ";
    assert!(wrong.code == 1 && wrong.stderr.starts_with(want), "{}", wrong.stderr);
    assert!(wrong.stdout.contains("Trackside-Dead-Subject: orders.eu\n"), "{}", wrong.stdout);
    assert!(!format!("{}{}", wrong.stdout, wrong.stderr).contains(OTHER_KEY.1));
    let wrong = dead_with("replay", &setup, &[], &[OTHER_KEY]);
    assert!(
        wrong.code == 1 && wrong.stdout.contains("stays: it is encrypted with the key 630dcd29"),
        "{}",
        wrong.stdout
    );

    // The key was changed meanwhile: the old one is given beside it. What fails again has the new one.
    let environment = [OTHER_KEY, ("OLD_KEY", KEY.1)];
    let again = dead_with("replay", &setup, &["--key", "env:OLD_KEY"], &environment);
    assert!(again.stdout.ends_with("0 replayed, 1 failed again, 0 stay\n"), "{}", again.stdout);
    let letter = server.stored("DEAD", 1).await.remove(0);
    assert_ne!(letter.header("Trackside-Dead-Key"), Some(KEY_ID));
    assert!(!String::from_utf8_lossy(&letter.payload).contains("s3cret"));
    configure(&setup, letters, &[]);
    ok(&dead_with("replay", &setup, &[], &[OTHER_KEY]));
    let clean = server.stored("CLEAN", 1).await.remove(0);
    assert_eq!(clean.header("Api-Key"), Some("s3cret"));
    assert!(!clean.text().contains("s3cret"), "it is masked: {}", clean.text());
    assert!(sequences(&server, "DEAD").await.is_empty());
}

#[tokio::test]
async fn a_key_that_is_none_is_found_by_check_and_not_shown() {
    let setup = Setup::new("nats://127.0.0.1:1", SOURCE);
    configure(&setup, "{ subject = \"dead.orders\", encrypt = \"env:DEAD_KEY\" }", &[]);
    let checked = command_with(&["check", setup.argument()], &[("DEAD_KEY", "hunter2")], b"");
    assert_eq!(checked.code, 1);
    let want = "rule `orders`: dead letters cannot be encrypted: `env:DEAD_KEY` is not a key of 32 bytes";
    assert!(checked.stderr.contains(want) && checked.stderr.contains("orders.toml:15:15"), "{}", checked.stderr);
    assert!(!checked.stderr.contains("hunter2"));
    let revision = |key: &str| command_with(&["check", setup.argument()], &[("DEAD_KEY", key)], b"").stdout;
    assert_ne!(revision(KEY.1), revision(OTHER_KEY.1), "another key is another revision");
}

#[tokio::test]
async fn filters_say_which_letters_are_meant_and_discarding_asks_to_be_meant() {
    let (server, setup) = world("\"dead.orders\"", &["id"]).await;
    for number in 0..4 {
        publish(&server, "orders.eu", &[], format!("{{\"n\":{number}}}")).await;
    }
    publish(&server, "orders.us", &[], "not JSON").await;
    let_die(&server, &setup, 5, &[]).await;
    publish(&server, "dead.orders", &[], "no letter").await;
    let listed = |arguments: &[&str]| {
        let lines = ok(&dead("list", &setup, &[arguments, &["--json"]].concat())).lines();
        lines.iter().map(|line| line["sequence"].as_u64().expect("a number")).collect::<Vec<_>>()
    };
    assert_eq!(listed(&[]), [1, 2, 3, 4, 5]);
    assert_eq!(listed(&["--sequence", "2..3"]), [2, 3]);
    assert_eq!(listed(&["--sequence", "4.."]), [4, 5]);
    assert_eq!(listed(&["--limit", "2"]), [1, 2]);
    assert_eq!(listed(&["--rule", "orders", "--class", "rejected", "--since", "1h"]), [1, 2, 3, 4, 5]);
    let json = listed(&["--reason", "JSON"]);
    assert_eq!(json.len(), 1, "{json:?}");
    assert!(listed(&["--rule", "other"]).is_empty() && listed(&["--until", "1h"]).is_empty());
    assert!(dead("list", &setup, &[]).stderr.contains("messages on the subjects of dead letters that are none: 1"));

    for (arguments, want) in [
        (&["--yes"][..], "--all"),
        (&["--all"][..], "--yes"),
        (&["--all", "--rule", "orders", "--yes"][..], "--rule"),
        (&["--since", "yesterday", "--yes"][..], "or how long ago"),
        (&["--sequence", "3..1", "--yes"][..], "or a range such as `7..12`"),
        (&["--sequence", "1", "--limit", "0", "--yes"][..], "--limit"),
    ] {
        let refused = dead("discard", &setup, arguments);
        assert!(refused.code == 2 && refused.stderr.contains(want), "{arguments:?}: {}", refused.stderr);
    }
    let dry = dead("discard", &setup, &["--sequence", "2..3", "--dry-run"]);
    assert!(ok(&dry).stdout.ends_with("2 would be discarded\n"), "{}", dry.stdout);
    assert_eq!(sequences(&server, "DEAD").await, [1, 2, 3, 4, 5, 6]);
    let discarded = dead("discard", &setup, &["--sequence", "2..3", "--yes"]);
    assert!(ok(&discarded).stdout.starts_with("DEAD 2 of rule `orders`: "), "{}", discarded.stdout);
    assert!(discarded.stdout.ends_with("2 discarded\n"));
    assert_eq!(sequences(&server, "DEAD").await, [1, 4, 5, 6]);
    ok(&dead("discard", &setup, &["--all", "--yes"]));
    assert_eq!(sequences(&server, "DEAD").await, [6], "what is no letter is left alone");
}

#[tokio::test]
async fn what_cannot_be_found_or_deleted_is_said_before_anything_is_done() {
    let server = Server::start().await;
    server.stream("ORDERS", &["orders.>"]).await;
    let setup = Setup::new(&server.url(), SOURCE);
    configure(&setup, "\"dead.orders\"", &["id"]);
    let refused = |name: &str, arguments: &[&str], want: &str| {
        let refused = dead(name, &setup, arguments);
        assert!(refused.code == 1 && refused.stderr.contains(want), "{name} {arguments:?}: {}", refused.stderr);
    };
    refused("list", &[], "no stream takes the dead letters of the rules (`dead.orders`)");
    refused("list", &["--stream", "NONE"], "stream `NONE` does not exist");
    let config = stream::Config {
        name: "DEAD".to_owned(),
        subjects: vec!["dead.>".to_owned()],
        deny_delete: true,
        ..stream::Config::default()
    };
    jetstream::new(server.client().await).create_stream(config).await.expect("the stream can be made");
    publish(&server, "orders.eu", &[], "{}").await;
    let_die(&server, &setup, 1, &[]).await;
    refused("show", &["7"], "there is no dead letter 7");
    refused("replay", &[], "stream `DEAD` does not let its messages be deleted");
    refused("discard", &["--all", "--yes"], "stream `DEAD` does not let its messages be deleted");
    refused("show", &["1", "--key", "hunter2"], "--key: not a reference to a secret");
    setup.write("rules/orders.toml", rule("\"dead.orders\"").replace("dead-letter = \"dead.orders\"", ""));
    refused("list", &[], "no rule keeps dead letters");
    assert_eq!(ok(&dead("list", &setup, &["--stream", "DEAD", "--json"])).lines().len(), 1);
}

#[tokio::test]
async fn a_payload_too_large_for_its_letter_is_replayed_from_the_stream_that_it_came_from() {
    for letters in ["\"dead.orders\"", "{ subject = \"dead.orders\", encrypt = \"env:DEAD_KEY\" }"] {
        let (server, setup) = world(letters, &["id"]).await;
        // Room for its own few headers, and not for those of a letter.
        let filling = "x".repeat((1 << 20) - 200);
        publish(&server, "orders.eu", &[("Region", "eu")], format!("{{\"f\":\"{filling}\"}}")).await;
        let letter = let_die(&server, &setup, 1, &[KEY]).await.remove(0);
        let bytes = format!("{} bytes", filling.len() + 8);
        assert_eq!(letter.header("Trackside-Dead-Payload-Omitted"), Some(bytes.as_str()));
        let shown = dead_with("show", &setup, &["1"], &[KEY]);
        assert!(ok(&shown).stdout.contains("the original payload is not in the letter"), "{}", shown.stdout);
        assert!(shown.stdout.contains("  Region: eu\n"), "{}", shown.stdout);

        // With few enough stamps the output fits.
        setup.write(
            "rules/orders.toml",
            format!(
                "[[rule]]\nname = \"orders\"\nsource = \"orders\"\nsubject = \"orders.>\"\n\
             [[rule.stage]]\nplugin = \"transform\"\nwith = {{ jq = \"{{ n: (.f | length) }}\" }}\n\
             [rule.routes]\ndefault = \"clean.orders\"\n[rule.on-failure]\ndead-letter = {letters}\n"
            ),
        );
        let context = jetstream::new(server.client().await);
        ok(&dead_with("replay", &setup, &["--dry-run"], &[KEY]));
        ok(&dead_with("replay", &setup, &[], &[KEY]));
        let clean = server.stored("CLEAN", 1).await.remove(0);
        assert_eq!((clean.json(), clean.header("Region")), (json!({ "n": filling.len() }), Some("eu")));

        // Without the original there is nothing to replay.
        setup.write("rules/orders.toml", rule(letters));
        publish(&server, "orders.eu", &[], format!("{{\"f\":\"{filling}\"}}")).await;
        let_die(&server, &setup, 1, &[KEY]).await;
        context.delete_stream("ORDERS").await.expect("is deleted");
        server.stream("ORDERS", &["orders.>"]).await;
        for other in 1..=2 {
            publish(&server, "orders.eu", &[], format!("{{\"f\":\"another message {other}\"}}")).await;
        }
        let replayed = dead_with("replay", &setup, &[], &[KEY]);
        assert_eq!(replayed.code, 1);
        assert!(replayed.stdout.contains("and stream `ORDERS` no longer holds message 2"), "{}", replayed.stdout);
    }
}

#[tokio::test]
async fn a_stream_for_letters_is_made_when_the_rule_names_one() {
    let server = Server::start().await;
    server.stream("ORDERS", &["orders.>"]).await;
    let setup = Setup::new(&server.url(), SOURCE);
    configure(&setup, "{ subject = \"dead.orders.{subject.2}\", stream = \"DEAD\" }", &["id"]);
    publish(&server, "orders.eu", &[], "{}").await;
    let trackside = Trackside::start(&setup).await;
    assert_eq!(server.stored("DEAD", 1).await[0].subject, "dead.orders.eu");
    assert!(trackside.log().contains("made a stream"), "{}", trackside.log());
    let context = jetstream::new(server.client().await);
    let made = context.get_stream("DEAD").await.expect("is there").cached_info().config.clone();
    assert_eq!((made.subjects, made.storage), (vec!["dead.orders.*".to_owned()], stream::StorageType::File));

    // A reload that has letters go where no stream takes them is refused; one that names a stream has it made.
    let before = trackside.revision().await;
    setup.write("rules/orders.toml", rule("\"late.orders\""));
    let (status, body) = trackside.admin("POST", "/v1/reload").await;
    assert!(status != 200 && body.contains("new dead letters have no place"), "{status} {body}");
    assert!(body.contains("nats stream add LATE_ORDERS"), "{body}");
    assert_eq!(trackside.revision().await, before);
    setup.write("rules/orders.toml", rule("{ subject = \"late.orders\", stream = \"LATE\" }"));
    trackside.revision_after(&before).await;
    publish(&server, "orders.eu", &[], "{}").await;
    assert_eq!(server.stored("LATE", 1).await[0].subject, "late.orders");
    // A stream of that name that takes something else is the owner's to change.
    let before = trackside.revision().await;
    setup.write("rules/orders.toml", rule("{ subject = \"later.orders\", stream = \"LATE\" }"));
    let (status, body) = trackside.admin("POST", "/v1/reload").await;
    assert!(
        status != 200 && body.contains("stream `LATE` of the dead letters of rule `orders` does not take"),
        "{body}"
    );
    assert_eq!(trackside.revision().await, before);
    assert_eq!(trackside.drain().await, 0);
}

#[test]
fn the_command_says_what_it_can_do() {
    let help = command(&["dead", "--help"], b"");
    for name in ["list", "show", "replay", "discard"] {
        assert!(help.stdout.contains(name), "{}", help.stdout);
    }
}
