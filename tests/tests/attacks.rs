//! What becomes of each of the attacks, and that a rule beside them goes on meanwhile, with one lane and with several.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::json;
use trackside_tests::attacks::{self, ATTACKS, Attack, Made, Outcome, PAYLOAD};
use trackside_tests::{Server, Setup, Trackside, command, until};

/// Nobody listens there.
const NO_SERVER: &str = "nats://127.0.0.1:1";

/// Where attacks come from, and a neighbour's messages.
const SOURCES: &str = "[sources.attacks]\nstream = \"ATTACKS\"\ndurable = \"trackside\"\n\
                       [sources.orders]\nstream = \"ORDERS\"\ndurable = \"trackside\"\n\
                       [streams.CLEAN]\nsubjects = [\"clean.neighbour\"]\n";

/// The neighbour: a rule of another source that masks.
const NEIGHBOUR: &str = "[[rule]]\nname = \"neighbour\"\nsource = \"orders\"\nsubject = \"orders.>\"\n[[rule.stage]]\n\
                         plugin = \"mask\"\nwith = { fields = [{ path = \"$.card\" }] }\n[rule.routes]\n\
                         default = \"clean.neighbour\"\n[rule.on-failure]\ndead-letter = \"dead.neighbour\"\n";

fn running() -> impl Iterator<Item = &'static Attack> {
    ATTACKS.iter().filter(|attack| attack.runs())
}

#[test]
fn every_attack_on_messages_ends_as_the_list_says_and_leaves_the_message_as_it_was() {
    let setup = attacks::setup(NO_SERVER, SOURCES, "attacks", running());
    let (mut lines, mut wanted) = (String::new(), Vec::new());
    // Twice, since some attack what the message before has left behind.
    for attack in running().flat_map(|attack| [attack; 2]) {
        let payload = serde_json::value::RawValue::from_string(PAYLOAD.to_owned()).expect("JSON");
        let line = json!({ "subject": format!("attack.{}", attack.name), "source": "attacks", "payload": payload });
        writeln!(lines, "{line}").expect("a string takes all");
        wanted.push(attack);
    }
    let done = command(&["try", setup.argument(), "--jsonl"], lines.as_bytes());
    assert_eq!(done.code, 0, "{}", done.stderr);
    let mut wrong = String::new();
    let told = done.lines();
    assert_eq!(told.len(), wanted.len());
    for (attack, line) in wanted.into_iter().zip(told) {
        if let Err(what) = as_expected(attack, &line) {
            writeln!(wrong, "{}: {what}", attack.name).expect("a string takes all");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(!done.stderr.contains('\u{1b}'), "no escape reaches the terminal");
}

/// Compares a line of `try` with what has to become of an attack.
fn as_expected(attack: &Attack, line: &serde_json::Value) -> Result<(), String> {
    let shown = || line.to_string().chars().take(600).collect::<String>();
    match attack.outcome {
        Outcome::Refused(_) => return Err("it was not refused".to_owned()),
        Outcome::InVain(payload) => {
            if line["outcome"] != "published" || line["subject"] != "clean.attack" {
                return Err(format!("not published: {}", shown()));
            }
            let text = line["payload"].as_str().map_or_else(|| line["payload"].to_string(), str::to_owned);
            let bytes = line["payload_base64"].as_str().map_or(text, unbase64);
            if payload.is_some_and(|payload| payload != bytes) {
                return Err(format!("another payload: {}", shown()));
            }
        }
        Outcome::Dead(class, reason) => {
            if line["outcome"] != "dead-lettered" || line["headers"]["Trackside-Dead-Class"] != class {
                return Err(format!("not dead of {class}: {}", shown()));
            }
            let told = line["reason"].as_str().unwrap_or_default();
            if !told.starts_with(reason) || told.len() > 5000 || told.contains(char::is_control) {
                return Err(format!("another reason: {}", told.chars().take(600).collect::<String>()));
            }
            if line["payload"] != json!({ "order": 1 }) {
                return Err(format!("the message was changed: {}", shown()));
            }
        }
    }
    Ok(())
}

fn unbase64(text: &str) -> String {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::STANDARD.decode(text).expect("base64");
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn every_attack_on_those_who_load_it_is_refused_with_a_sentence() {
    let refused: Vec<_> = ATTACKS.iter().filter(|attack| !attack.runs()).collect();
    let setup = attacks::setup(NO_SERVER, SOURCES, "attacks", refused.iter().copied());
    let done = command(&["check", setup.argument()], b"");
    assert_eq!(done.code, 1);
    // By plugin: the whole of what is said about it.
    let mut said: BTreeMap<&str, &str> = BTreeMap::new();
    for problem in done.stderr.split("\n\n") {
        let name = problem.split('`').find(|part| refused.iter().any(|attack| attack.name == *part));
        if let Some(name) = name {
            said.insert(name, problem);
        }
    }
    let mut wrong = String::new();
    for attack in refused {
        let Outcome::Refused(sentence) = attack.outcome else { continue };
        let problem = said.get(attack.name).copied().unwrap_or("nothing is said about it");
        if !problem.contains(sentence) {
            writeln!(wrong, "{}: not {sentence:?}: {problem}", attack.name).expect("a string takes all");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(done.stderr.lines().all(|line| line.len() < 3000), "{}", done.stderr);
}

/// A server with the streams of the tests below.
async fn server() -> Server {
    let server = Server::start().await;
    for (name, subjects) in
        [("ATTACKS", "attack.>"), ("ORDERS", "orders.>"), ("CLEAN", "clean.neighbour"), ("DEAD", "dead.>")]
    {
        server.stream(name, &[subjects]).await;
    }
    server
}

async fn orders(server: &Server, count: usize) {
    let context = async_nats::jetstream::new(server.client().await);
    for number in 0..count {
        let payload = format!(r#"{{"number":{number},"card":"4111111111111111"}}"#);
        context.publish("orders.new", payload.into()).await.expect("sent").await.expect("stored");
    }
}

#[tokio::test]
async fn a_neighbour_goes_on_while_all_attacks_run_at_once_and_the_log_stays_short() {
    const ROUNDS: usize = 3;
    let server = server().await;
    let rest = format!("{SOURCES}[plugins.mask]\ndeadline = \"30s\"\n");
    let setup = attacks::setup(&server.url(), &rest, "attacks", running());
    setup.write("rules/neighbour.toml", NEIGHBOUR);
    let mut trackside = Trackside::start(&setup).await;
    let client = server.client().await;
    for _ in 0..ROUNDS {
        for attack in running() {
            client.publish(format!("attack.{}", attack.name), PAYLOAD.into()).await.expect("sent");
        }
        orders(&server, 20).await;
    }
    let clean = server.stored("CLEAN", ROUNDS * 20).await;
    assert_eq!(clean.len(), ROUNDS * 20);
    assert!(clean.iter().all(|order| order.json()["card"] == "***"));
    // Everything that has to be dead is, each as often as it was sent: nothing was lost over the others.
    let fatal = running().filter(|attack| matches!(attack.outcome, Outcome::Dead(..))).count();
    let dead = server.stored("DEAD", fatal * ROUNDS).await;
    assert_eq!(dead.len(), fatal * ROUNDS);
    assert!(dead.iter().all(|letter| letter.subject != "dead.neighbour"));
    server.settled("ATTACKS", "trackside").await;
    assert!(!trackside.process().has_ended());
    let log = trackside.log();
    assert!(log.len() < 4 << 20, "{} bytes of log", log.len());
    assert!(!log.contains('\u{1b}'));
    assert_eq!(trackside.drain().await, 0);
}

#[tokio::test]
async fn a_plugin_that_computes_up_to_its_deadline_holds_up_its_own_lanes_alone() {
    for lanes in [1, 2] {
        let server = server().await;
        // As long as anything is waited for here: whatever comes out meanwhile came out beside it.
        let hog = Attack { settings: "deadline = \"60s\"", ..copy(named("loop")) };
        let rest = format!("{SOURCES}[plugins.mask]\ndeadline = \"30s\"\n");
        let setup = attacks::setup(&server.url(), &rest, "attacks", std::iter::once(&hog));
        let config = std::fs::read_to_string(setup.path().join("trackside.toml")).expect("it was written");
        setup.write("trackside.toml", config.replace("[runtime]\n", &format!("[runtime]\nlanes = {lanes}\n")));
        setup.write("rules/neighbour.toml", NEIGHBOUR);
        let trackside = Trackside::start(&setup).await;
        // It proves to be quick before anybody is in its way.
        orders(&server, 1).await;
        server.stored("CLEAN", 1).await;

        let client = server.client().await;
        for _ in 0..3 * lanes {
            client.publish("attack.loop", PAYLOAD.into()).await.expect("sent");
        }
        let metric = async |name: &str| trackside.metrics().await.get(name).copied().unwrap_or_default();
        until("the lanes to be full", async || {
            let taken = metric("trackside_source_in_flight_messages{source=\"attacks\"}").await;
            (taken >= f64::from(3 * lanes)).then_some(())
        })
        .await;
        orders(&server, 100).await;
        server.stored("CLEAN", 101).await;
        let ended = metric("trackside_plugin_calls_total{plugin=\"loop\"}").await;
        assert!(ended == 0.0, "{lanes} lanes: the neighbour waited for {ended} of the others");
        trackside.kill();
    }
}

#[tokio::test]
async fn a_bomb_in_a_reload_is_refused_while_messages_flow_and_a_better_reload_follows() {
    let server = server().await;
    let setup = Setup::new(&server.url(), SOURCES);
    setup.write("rules/neighbour.toml", NEIGHBOUR);
    let trackside = Trackside::start(&setup).await;
    let revision = trackside.revision().await;
    let bomb = named("huge-function");
    let config = std::fs::read_to_string(setup.path().join("trackside.toml")).expect("it was written");
    setup.write("plugins/huge-function.wasm", bomb.component());
    setup.write("rules/bomb.toml", bomb.rule("attacks"));
    setup.write("trackside.toml", format!("{config}{}", bomb.plugin().replace("500ms", "1s")));
    let reload = trackside.admin("POST", "/v1/reload");
    let (answer, ()) = tokio::join!(reload, async {
        orders(&server, 50).await;
        server.stored("CLEAN", 50).await;
    });
    assert!(answer.1.contains("it is not compiled after 1s"), "{answer:?}");
    assert_eq!(trackside.revision().await, revision);
    std::fs::remove_file(setup.path().join("rules/bomb.toml")).expect("it is there");
    setup.write("trackside.toml", format!("{config}# without it\n"));
    trackside.revision_after(&revision).await;
    assert_eq!(trackside.drain().await, 0);
}

fn named(name: &str) -> &'static Attack {
    ATTACKS.iter().find(|attack| attack.name == name).unwrap_or_else(|| panic!("no attack {name}"))
}

fn copy(attack: &Attack) -> Attack {
    let Attack { name, group, settings, route, outcome, .. } = *attack;
    Attack { name, group, made: Made::File, settings, route, outcome }
}
