//! Looking on while messages pass: `GET /v1/tap` and `trackside tap`, against a real server.

use std::process::Command;
use std::time::Instant;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use trackside_tests::tap::Tap;
use trackside_tests::{Authority, Finished, Identity, Process, Server, Setup, Trackside, command, command_with, until};

/// The most taps at a time.
const MAX_TAPS: usize = 8;

const DURABLE: &str = "trackside-orders";
const CARD: &str = "4111111111111111";

const RULES: &str = r#"
[[rule]]
name = "orders"
source = "orders"
subject = "orders.*"
[[rule.stage]]
plugin = "validate"
with = { schema = "schemas/order.json" }
[[rule.stage]]
plugin = "mask"
with = { fields = [
  { path = "$.card", action = "redact", text = "VERSION" },
  { path = "$.pins", action = "remove" },
  { header = "Authorization", action = "remove" },
] }
[rule.routes]
default = "clean.{subject.2}"
[rule.on-failure]
dead-letter = "dead.orders"

[[rule]]
name = "items"
source = "orders"
subject = "items.*"
[[rule.stage]]
plugin = "transform"
with = { jq = ".[]" }
[rule.routes]
default = "clean.items"
[rule.on-failure]
dead-letter = "dead.items"

[[rule]]
name = "astray"
source = "orders"
subject = "astray.*"
[rule.routes]
default = { subject = "nowhere.{subject.2}", confirm = "stream" }
[rule.on-failure]
dead-letter = "dead.astray"
backoff = ["1h"]
"#;

/// Tokens: one may look on, the other may see what messages were.
const READER: &str = "reader-0123456789-0123456789-0123456789";
const ADMIN: &str = "admin-0123456789-0123456789-0123456789";

struct World {
    server: Server,
    setup: Setup,
}

impl World {
    async fn new() -> Self {
        let token = |role: &str| format!("[admin.tokens.{role}]\nrole = \"{role}\"\ntoken = \"file:{role}.token\"\n");
        let world = Self::with(&format!("{}{}", token("reader"), token("admin"))).await;
        world.setup.write("reader.token", READER);
        world.setup.write("admin.token", ADMIN);
        world
    }

    /// A world with this in its configuration, and no token unless that has one.
    async fn with(more: &str) -> Self {
        let server = Server::start().await;
        server.stream("ORDERS", &["orders.>", "items.>", "astray.>", "other.>"]).await;
        server.stream("CLEAN", &["clean.>"]).await;
        server.stream("DEAD", &["dead.>"]).await;
        let sources = format!("[sources.orders]\nstream = \"ORDERS\"\ndurable = \"{DURABLE}\"\n{more}");
        let setup = Setup::new(&server.url(), &sources);
        setup.write("schemas/order.json", r#"{ "type": "object", "required": ["id"] }"#);
        let world = Self { server, setup };
        world.rules("one");
        world
    }

    fn rules(&self, version: &str) {
        self.setup.write("rules/orders.toml", RULES.replace("VERSION", version));
    }

    /// Starts it; what it is asked has the token of a reader.
    async fn start(&self) -> Trackside {
        Trackside::start(&self.setup).await.with_token(READER)
    }

    async fn tap(&self, query: &str) -> Tap {
        Tap::open(&self.setup.admin, query, &bearer(READER)).await
    }

    async fn publish(&self, subject: &str, headers: &[(&str, &str)], payload: &str) {
        let mut map = async_nats::HeaderMap::new();
        headers.iter().for_each(|(name, value)| map.append(*name, *value));
        let context = async_nats::jetstream::new(self.server.client().await);
        let stored = context.publish_with_headers(subject.to_owned(), map, payload.to_owned().into()).await;
        stored.expect("the client can publish").await.expect("the stream stores it");
    }

    /// An order with a card and a list of pins that is keyed by the card.
    async fn order(&self, subject: &str) {
        let payload = format!(r#"{{ "id": 1.50, "card": "{CARD}", "pins": {{ "{CARD}": "pin-of-the-order" }} }}"#);
        self.publish(subject, &[("Authorization", "Bearer token-of-the-order"), ("Region", "eu")], &payload).await;
    }

    fn url(&self) -> String {
        format!("http://{}", self.setup.admin)
    }

    /// The file with a token.
    fn token(&self, role: &str) -> String {
        self.setup.path().join(role).with_extension("token").display().to_string()
    }

    /// `trackside tap` with these arguments, to its end. It has the token of a reader unless they say otherwise.
    async fn run(&self, arguments: &[&str]) -> Finished {
        self.run_with(&[("TRACKSIDE_TOKEN_FILE", &self.token("reader"))], arguments).await
    }

    async fn run_with(&self, environment: &[(&str, &str)], arguments: &[&str]) -> Finished {
        let url = self.url();
        let all: Vec<String> =
            ["tap", "--url", &url].iter().chain(arguments).map(|argument| (*argument).to_owned()).collect();
        let environment: Vec<(String, String)> =
            environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let run = move || {
            let environment: Vec<_> = environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            command_with(&all.iter().map(String::as_str).collect::<Vec<_>>(), &environment, b"")
        };
        tokio::task::spawn_blocking(run).await.expect("it can be run")
    }

    /// The same, once it looks on.
    async fn looking(&self, arguments: &[&str]) -> Process {
        let mut command = Command::new(std::env::var_os("TRACKSIDE_BIN").expect("the binary"));
        command.args(["tap", "--url", &self.url()]).args(arguments);
        command.env("TRACKSIDE_TOKEN_FILE", self.token("reader"));
        let process = Process::spawn(&mut command, &self.setup.path().with_file_name("tap.log"));
        said(&process, "revision").await;
        process
    }
}

/// The line of a request's headers that has this token.
fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

/// Waits until a process has said this.
async fn said(process: &Process, text: &str) {
    until(&format!("{text:?} to be said"), async || process.output().contains(text).then_some(())).await;
}

/// What changed, as `path change after` or `header change after`.
fn changed(output: &Value) -> Vec<String> {
    let place = |change: &Value| change.get("path").or(change.get("header")).cloned().unwrap_or_default();
    let text = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let one = |change: &Value| {
        format!("{} {} {}", text(place(change)), text(change["change"].clone()), text(change["after"].clone()))
    };
    output["changed"].as_array().expect("a list of changes").iter().map(one).collect()
}

#[tokio::test]
async fn an_outcome_shows_the_way_and_the_changes_and_never_what_was_there_before() {
    let world = World::new().await;
    let trackside = world.start().await;
    let mut tap = world.tap("").await;
    world.order("orders.eu").await;
    let seen = tap.outcome().await;
    let id = seen["message-id"].as_str().expect("an id").to_owned();
    assert!(id.starts_with("ORDERS:1:"), "{id}");
    let facts = ["revision", "source", "subject", "try", "rule", "outcome"].map(|name| seen[name].clone());
    let want = [json!(trackside.revision().await), json!("orders"), json!("orders.eu"), json!(1), json!("orders")];
    assert_eq!(facts[..5], want);
    assert_eq!(facts[5], "published");
    let output = &seen["outputs"][0];
    let stages: Vec<_> = output["stages"].as_array().expect("stages").iter().map(|stage| &stage["plugin"]).collect();
    assert_eq!(stages, ["validate", "mask"]);
    assert_eq!(
        (&output["route"], &output["subject"], &output["message-id"]),
        (&json!("default"), &json!("clean.eu"), &json!(format!("{id}:orders:default:0")))
    );
    assert_eq!(output["headers"], json!({ "Region": "eu" }));
    assert_eq!(changed(output), ["Authorization removed null", "$.card replaced one", "$.pins removed null"]);
    assert!(tap.text().contains(r#""payload":{"id":1.50,"card":"one"}"#), "{}", tap.text());

    // What is refused is shown with who refused it, and not at all what it was.
    world.publish("orders.us", &[], &format!(r#"{{"card":"{CARD}"}}"#)).await;
    let seen = tap.outcome().await;
    let facts = ["outcome", "class", "plugin", "dead-letter", "outputs"].map(|name| seen[name].clone());
    assert_eq!(facts, [json!("dead-lettered"), json!("rejected"), json!("validate"), json!("dead.orders"), json!([])]);
    assert_eq!(seen["stages"][0]["verdict"], "reject");

    // Parts have no counterpart that they could be compared with.
    world.publish("items.eu", &[], "[1,2]").await;
    let seen = tap.outcome().await;
    let parts: Vec<_> = seen["outputs"].as_array().expect("parts").iter().map(|output| &output["part"]).collect();
    assert_eq!(parts, ["0", "1"]);
    assert!(seen["outputs"][0].get("changed").is_none(), "{seen}");

    world.publish("items.eu", &[], "[]").await;
    let seen = tap.outcome().await;
    assert_eq!(
        (&seen["outcome"], &seen["dropped"][0]["stages"][0]["plugin"]),
        (&json!("dropped"), &json!("transform"))
    );
    world.publish("astray.eu", &[], "of nobody").await;
    let seen = tap.outcome().await;
    assert_eq!((&seen["outcome"], &seen["outputs"][0]["subject"]), (&json!("retried"), &json!("nowhere.eu")), "{seen}");
    assert!(seen["again-after-ms"].as_u64() > Some(2_000_000), "{seen}");
    assert!(seen["reason"].as_str().is_some_and(|reason| reason.contains("nowhere.eu")), "{seen}");
    world.publish("other.eu", &[], "of nobody").await;
    let seen = tap.outcome().await;
    assert_eq!((&seen["outcome"], &seen["rule"]), (&json!("unmatched"), &Value::Null));
    for secret in [CARD, "pin-of-the-order", "token-of-the-order"] {
        assert!(!tap.text().contains(secret), "{secret} in {}", tap.text());
        assert!(!trackside.log().contains(secret));
    }
}

#[tokio::test]
async fn what_messages_were_is_shown_to_administrators_alone_and_written_down() {
    let world = World::new().await;
    let trackside = world.start().await;
    let admin = &world.setup.admin;
    for (query, headers, status) in [
        ("", String::new(), 401),
        ("reveal=true", String::new(), 401),
        ("reveal=true", bearer("somebody-0123456789-0123456789-0123456789"), 401),
        ("reveal=true", bearer(READER), 403),
    ] {
        let refused = Tap::try_open(admin, query, &headers).await.expect_err("it needs a token");
        assert_eq!(refused.status, status, "{refused:?}");
    }
    let audited = || {
        let log = trackside.log();
        log.lines().filter(|line| line.contains("action=\"tap\"")).map(str::to_owned).collect::<Vec<_>>()
    };
    let [tried] = &audited()[..] else { panic!("of these the reader alone is known: {:#?}", audited()) };
    assert!(tried.contains("outcome=\"refused\"") && !tried.contains("who=\"admin\""), "{tried}");
    let mut reading = Tap::open(admin, "", &bearer(READER)).await;
    let mut revealing = Tap::open(admin, "reveal=true&subject=orders.*", &bearer(ADMIN)).await;
    let [_, shown] = &audited()[..] else { panic!("it is not written down: {:#?}", audited()) };
    assert!(shown.contains("who=\"admin\"") && shown.contains("{\"subject\":\"orders.*\"}"), "{shown}");
    world.order("orders.eu").await;
    let seen = revealing.outcome().await;
    assert_eq!(seen["before"]["headers"]["Authorization"], "Bearer token-of-the-order");
    assert_eq!(seen["before"]["payload"]["pins"], json!({ CARD: "pin-of-the-order" }));
    assert_eq!(seen["outputs"][0]["changed"][1]["before"], CARD);
    assert!(reading.outcome().await.get("before").is_none());
    world.publish("orders.eu", &[], &format!(r#"{{"card":"{CARD}"}}"#)).await;
    assert_eq!(revealing.outcome().await["before"]["payload"]["card"], CARD);
    assert_eq!(reading.outcome().await["outcome"], "dead-lettered");
    assert!(!reading.text().contains(CARD) && !trackside.log().contains(CARD));

    // A token that is taken away takes what was opened by it along.
    world.setup.write("admin.token", ADMIN.replace("admin", "other"));
    revealing.ended().await;
    world.order("orders.eu").await;
    assert_eq!(reading.outcome().await["outcome"], "published");
    // So does the last one: without any, nobody looks on.
    let all = std::fs::read_to_string(world.setup.path().join("trackside.toml")).expect("the configuration");
    let (without, _) = all.split_once("[admin.tokens.").expect("its tokens");
    world.setup.write("trackside.toml", without);
    reading.ended().await;
}

#[tokio::test]
async fn without_a_token_nothing_is_shown_and_the_command_says_how_to_make_one() {
    let world = World::with("").await;
    let _trackside = Trackside::start(&world.setup).await;
    for (query, headers) in [("", String::new()), ("reveal=true", String::new()), ("", bearer(READER))] {
        let refused = Tap::try_open(&world.setup.admin, query, &headers).await.expect_err("there is no token");
        assert!(refused.problem(403).contains("[admin.tokens.NAME]"), "{refused:?}");
    }
    let refused = world.run_with(&[], &[]).await;
    assert_eq!((refused.code, refused.stdout.as_str()), (1, ""));
    for words in ["403", "`[admin.tokens.NAME]` with `role = \"reader\"` and `token = \"file:PATH\"`", "--token-file"] {
        assert!(refused.stderr.contains(words), "{words} in {}", refused.stderr);
    }

    // One that is made while it runs lets in whoever has it, and nobody else.
    let all = std::fs::read_to_string(world.setup.path().join("trackside.toml")).expect("the configuration");
    world.setup.write("look.token", READER);
    world
        .setup
        .write("trackside.toml", format!("{all}[admin.tokens.look]\nrole = \"reader\"\ntoken = \"file:look.token\"\n"));
    let admin = &world.setup.admin;
    let mut tap = until("the token to be known", async || Tap::try_open(admin, "", &bearer(READER)).await.ok()).await;
    assert_eq!(tap.next().await.0, "revision");
    let refused = world.run_with(&[], &[]).await;
    assert!(refused.stderr.contains("401") && refused.stderr.contains("--token-file"), "{}", refused.stderr);
    world.order("orders.eu").await;
    assert_eq!(tap.outcome().await["outcome"], "published");
}

#[tokio::test]
async fn several_taps_see_what_each_of_them_asked_for() {
    let world = World::new().await;
    let _trackside = world.start().await;
    let mut by_rule = world.tap("rule=items").await;
    let mut by_outcome = world.tap("outcome=dead-lettered").await;
    let mut by_subject = world.tap("subject=*.us").await;
    let mut by_all = world.tap("rule=orders&outcome=published&subject=orders.us").await;
    for subject in ["orders.eu", "items.eu", "orders.us", "items.us", "other.eu"] {
        world.publish(subject, &[], r#"{"id":1}"#).await;
        world.publish(subject, &[], "{}").await;
    }
    // What an object's values are is an item each: 1 of the first, none of the second.
    let facts = |seen: &Value| format!("{} {}", seen["subject"], seen["outcome"]).replace('"', "");
    let mut seen: [Vec<String>; 4] = Default::default();
    for (tap, (seen, count)) in
        [&mut by_rule, &mut by_outcome, &mut by_subject, &mut by_all].into_iter().zip(seen.iter_mut().zip([4, 2, 4, 1]))
    {
        for _ in 0..count {
            seen.push(facts(&tap.outcome().await));
        }
        // Messages go their ways in parallel.
        seen.sort();
    }
    assert_eq!(seen[0], ["items.eu dropped", "items.eu published", "items.us dropped", "items.us published"]);
    assert_eq!(seen[1], ["orders.eu dead-lettered", "orders.us dead-lettered"]);
    assert_eq!(seen[2], ["items.us dropped", "items.us published", "orders.us dead-lettered", "orders.us published"]);
    assert_eq!(seen[3], ["orders.us published"]);
}

#[tokio::test]
async fn a_tap_survives_a_reload_and_is_told_of_it() {
    let world = World::new().await;
    let trackside = world.start().await;
    let mut tap = world.tap("rule=orders").await;
    world.order("orders.eu").await;
    assert_eq!(tap.outcome().await["outputs"][0]["payload"]["card"], "one");
    let old = trackside.revision().await;
    world.rules("two");
    let new = trackside.revision_after(&old).await;
    world.order("orders.eu").await;
    let (name, data) = tap.next().await;
    assert_eq!((name.as_str(), &data), ("revision", &json!({ "revision": new, "rules": 3 })));
    let seen = tap.outcome().await;
    assert_eq!((&seen["revision"], &seen["outputs"][0]["payload"]["card"]), (&json!(new), &json!("two")));
}

#[tokio::test]
async fn a_tap_that_does_not_read_slows_nothing_and_is_told_how_much_it_missed() {
    const MESSAGES: usize = 12_000;
    let world = World::new().await;
    let trackside = world.start().await;
    let mut tap = world.tap("").await;
    let context = async_nats::jetstream::new(world.server.client().await);
    let filling = "x".repeat(2000);
    let mut last = None;
    for number in 0..MESSAGES {
        let payload = Bytes::from(format!(r#"{{"id":{number},"filling":"{filling}"}}"#));
        last = Some(context.publish("orders.eu", payload).await.expect("the client can publish"));
    }
    last.expect("there are some").await.expect("the stream stores it");
    // All of it is done while nothing is read.
    world.server.settled("ORDERS", DURABLE).await;
    let published: f64 =
        trackside.metrics().await.iter().filter(|(name, _)| name.contains("published")).map(|(_, n)| n).sum();
    assert!(published >= f64::from(u32::try_from(MESSAGES).expect("a small number")), "{published}");
    let (mut shown, mut missed) = (0, 0);
    let begun = Instant::now();
    while shown + missed < MESSAGES {
        match tap.next().await {
            (name, _) if name == "outcome" => shown += 1,
            (name, data) => {
                assert_eq!(name, "dropped");
                missed += usize::try_from(data["count"].as_u64().expect("a count")).expect("a small one");
            }
        }
    }
    assert_eq!(shown + missed, MESSAGES, "{shown} shown, {missed} missed, in {:?}", begun.elapsed());
    assert!(shown > 0 && missed > 0, "{shown} shown, {missed} missed");
    let metrics = trackside.metrics().await;
    let read = |name: &str| metrics[name].to_string();
    assert_eq!((read("trackside_taps"), read("trackside_taps_missed_total")), ("1".to_owned(), missed.to_string()));
}

#[tokio::test]
async fn there_are_only_so_many_taps_and_one_that_goes_makes_room() {
    let world = World::new().await;
    let _trackside = world.start().await;
    let admin = &world.setup.admin;
    let mut taps = Vec::new();
    for _ in 0..MAX_TAPS {
        taps.push(world.tap("").await);
    }
    let refused = Tap::try_open(admin, "", &bearer(READER)).await.expect_err("there are too many");
    assert!(refused.problem(429).contains("8 taps"), "{refused:?}");
    assert_eq!(refused.headers["retry-after"], "5");
    drop(taps.pop());
    until("a place for a tap", async || Tap::try_open(admin, "", &bearer(READER)).await.ok()).await;
    // The others look on.
    world.order("orders.eu").await;
    for tap in &mut taps {
        assert_eq!(tap.outcome().await["outcome"], "published");
    }
}

#[tokio::test]
async fn what_cannot_be_looked_at_is_refused_with_what_there_is() {
    let world = World::new().await;
    let trackside = world.start().await;
    let admin = &world.setup.admin;
    for (query, status, detail) in [
        (
            "rule=order",
            404,
            "there is no rule `order` in the revision in force, REVISION; there is orders, items, astray",
        ),
        ("outcome=lost", 400, "`outcome` is one of published, dropped, dead-lettered,"),
        ("subject=a..b", 400, "`subject`: "),
        ("reveal=yes", 400, "`reveal` is `true` or `false`"),
        ("rules=a", 400, "there is no parameter `rules` here: there is `rule`, `outcome`, `subject` and `reveal`"),
    ] {
        let refused = Tap::try_open(admin, query, &bearer(READER)).await.expect_err(query);
        let detail = detail.replace("REVISION", &trackside.revision().await);
        assert!(refused.problem(status).starts_with(&detail), "{refused:?}");
    }
    let page = Tap::try_open(admin, "", "Origin: http://evil.example\r\n").await.expect_err("a web page");
    assert!(page.problem(403).contains("web pages"), "{page:?}");

    let done = world.run(&["--rule", "order"]).await;
    assert_eq!((done.code, done.stdout.as_str()), (1, ""));
    assert!(done.stderr.contains("refuses (404 Not Found): there is no rule `order`"), "{}", done.stderr);
    let wrong = world.run(&["--outcome", "lost"]).await;
    assert_eq!(wrong.code, 2);
    assert!(wrong.stderr.contains("dead-lettered"), "{}", wrong.stderr);
    let missing = world.run(&["--token-file", "/nowhere/token"]).await;
    assert_eq!(missing.code, 1);
    assert!(missing.stderr.starts_with("--token-file /nowhere/token: "), "{}", missing.stderr);
    assert_eq!(trackside.drain().await, 0);
    let nobody = world.run(&[]).await;
    assert_eq!(nobody.code, 1);
    let want = format!("no host is reached at {}: ", world.url());
    assert!(nobody.stderr.starts_with(&want) && nobody.stderr.contains("[admin]"), "{}", nobody.stderr);
}

#[tokio::test]
async fn the_command_shows_outcomes_to_people_and_to_programs_and_ends_after_so_many() {
    let world = World::new().await;
    let _trackside = world.start().await;
    let (reader, admin) = (world.token("reader"), world.token("admin"));
    let mut people = world.looking(&["--token-file", &reader, "--rule", "orders", "--count", "2"]).await;
    let url = world.url();
    let json = tokio::task::spawn_blocking(move || {
        let arguments = ["tap", "--url", &url, "--token-file", &admin, "--json", "--reveal", "--count", "1"];
        command(&arguments, b"")
    });
    // The second one may begin at any time, and ends with the first message that it sees.
    let mut orders = 0;
    until("the second command to end", async || {
        world.order("orders.eu").await;
        orders += 1;
        (json.is_finished() && orders >= 2).then_some(())
    })
    .await;
    assert!(people.ended().await.success());
    let text = people.output();
    let lines: Vec<&str> = text.lines().collect();
    // Either of the first two: two lanes work on them.
    assert!(lines[1].contains("orders  orders.eu  published  ORDERS:"), "{text}");
    assert_eq!(lines[2], "    → clean.eu  route default");
    assert!(lines[3].starts_with("        validate forward ") && lines[3].contains(", mask forward "), "{text}");
    assert_eq!(lines[4..7], ["        - header Authorization", "        ~ $.card  \"one\"", "        - $.pins",]);
    assert!(!text.contains(CARD) && !text.contains("token-of-the-order"), "{text}");
    let done = json.await.expect("it ends");
    assert_eq!(done.code, 0, "{}", done.stderr);
    let lines = done.lines();
    assert_eq!((&lines[0]["event"], &lines[1]["event"]), (&json!("revision"), &json!("outcome")));
    assert_eq!(lines[1]["outputs"][0]["changed"][1]["before"], CARD);
}

#[tokio::test]
async fn the_command_waits_for_a_host_that_restarts_and_ends_by_an_interrupt() {
    let world = World::new().await;
    let trackside = world.start().await;
    let mut looking = world.looking(&[]).await;
    world.order("orders.eu").await;
    said(&looking, "clean.eu").await;
    trackside.kill();
    said(&looking, "looking for it again").await;
    let _trackside = world.start().await;
    said(&looking, "what became of messages meanwhile was not seen").await;
    world.order("orders.us").await;
    said(&looking, "clean.us").await;
    looking.signal("INT");
    assert_eq!(looking.ended().await.code(), Some(0));
}

/// A listener that reads what comes, and closes without a word; its address.
async fn silent() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("there is a free port");
    let address = listener.local_addr().expect("it listens").to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut buffer = [0; 4096];
            // What was not read would make a reset of the end.
            let _ = stream.read(&mut buffer).await;
        }
    });
    address
}

#[tokio::test]
async fn what_is_wrong_with_the_tls_of_a_host_is_told_with_what_to_do_about_it() {
    let (trusted, alike, strange) = (Authority::new(), Authority::new(), Authority::named("strange"));
    let years = 1975..4096;
    let good = trusted.certify();
    let world = World::with("[admin.tls]\ncert = \"cert.pem\"\nkey = \"key.pem\"\n").await;
    let certified = |identity: &Identity| {
        world.setup.write("cert.pem", &identity.certificate);
        world.setup.write("key.pem", &identity.key);
    };
    certified(&good);
    world.setup.write("reader.token", READER);
    let authorities = world.setup.path().with_file_name("ca.pem");
    std::fs::write(&authorities, trusted.pem()).expect("a file in a temporary folder");
    let authorities = authorities.to_str().expect("a name of UTF-8").to_owned();
    let trackside = Trackside::spawn(world.setup.path(), &world.setup.admin, &[]);
    let token = world.token("reader");
    // One that has none, so that it does not matter what the machine says.
    let folder = world.setup.path().with_file_name("no-authorities");
    std::fs::create_dir(&folder).expect("a folder in a temporary one");
    let folder = folder.to_str().expect("a name of UTF-8").to_owned();
    let tap = async |url: &str, authorities: &str| {
        let folder = folder.clone();
        let arguments = ["tap", "--url", url, "--token-file", &token, "--count", "1"].map(str::to_owned);
        let authorities = authorities.to_owned();
        let run = move || {
            let arguments = arguments.each_ref().map(String::as_str);
            command_with(&arguments, &[("SSL_CERT_FILE", &authorities), ("SSL_CERT_DIR", &folder)], b"")
        };
        tokio::task::spawn_blocking(run).await.expect("it can be run")
    };
    let told = async |url: &str, words: &[&str]| {
        until(&format!("{url} to be told with {words:?}"), async || {
            let done = tap(url, &authorities).await;
            assert_eq!((done.code, done.stdout.as_str()), (1, ""), "{}", done.stderr);
            words.iter().all(|word| done.stderr.contains(word)).then_some(())
        })
        .await;
    };
    let (https, http) = (format!("https://{}", world.setup.admin), world.url());
    until("the admin API", async || tokio::net::TcpStream::connect(&world.setup.admin).await.ok()).await;

    // Nothing wrong with it: it refuses by HTTP, since the token is not one of the configuration's.
    told(&https, &["403", "[admin.tokens.NAME]"]).await;
    let untrusted = "its certificate is signed by an authority that is not trusted here: those of SSL_CERT_FILE=";
    for authority in [&alike, &strange] {
        certified(&authority.certify());
        told(
            &https,
            &[&format!("no TLS with {https}: {untrusted}{authorities} and SSL_CERT_DIR={folder} are, and no others")],
        )
        .await;
    }
    certified(&trusted.certify_for(&["other.example", "*.a.example", "10.0.0.1"], years));
    let names = "its certificate is for other.example, *.a.example, 10.0.0.1, and 127.0.0.1 was asked for: ";
    told(&https, &[names, "ask for it by a name that its certificate has"]).await;
    certified(&trusted.certify_for(&["127.0.0.1"], 1975..2020));
    told(&https, &["its certificate expired at 2020-01-01T00:00:00.000Z, and it is 20", "has to be renewed"]).await;
    certified(&trusted.certify_for(&["127.0.0.1"], 4000..4096));
    told(&https, &["its certificate is not valid before 4000-01-01T00:00:00.000Z, and it is 20", "clock"]).await;
    told(&http, &["does not talk HTTP", &format!("with `tls` under [admin] is reached by --url {https}")]).await;
    let none = tap(&https, "/nowhere/ca.pem").await;
    assert_eq!(none.code, 1);
    for words in ["no certificate authority is known here", "/nowhere/ca.pem", "by SSL_CERT_FILE"] {
        assert!(none.stderr.contains(words), "{words} in {}", none.stderr);
    }
    drop(trackside);

    let gone = "Connection refused";
    told(&https, &[&format!("no host is reached at {https}: {gone}"), "is it running, with a table `[admin]`?"]).await;
    let nowhere = "http://nowhere.invalid:9270";
    told(nowhere, &[&format!("--url {nowhere}: this machine finds no address by that name"), "spelled"]).await;

    let plain = World::with("").await;
    let _trackside = plain.start().await;
    let (https, http) = (format!("https://{}", plain.setup.admin), plain.url());
    let by_http = format!("without `tls` under [admin] is reached by --url {http}");
    told(&https, &[&format!("no TLS with {https}: what answers there does not talk TLS"), &by_http]).await;
    let silent = silent().await;
    for (scheme, other) in
        [("https", "A host without `tls` there is reached by --url http://"), ("http", "A host with `tls` ")]
    {
        let words = format!("{scheme}://{silent} took the connection and closed it without a word");
        told(&format!("{scheme}://{silent}"), &[&words, other]).await;
    }
}
