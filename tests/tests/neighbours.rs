//! `cargo xtask hostile`: each attack in a loop in a rule of its own, with the limits that hold unless something else is
//! said, and how long a neighbour's messages take meanwhile, and how much memory the host.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use async_nats::jetstream::{self, stream};
use trackside_tests::attacks::measure::{Neighbour, resident_bytes};
use trackside_tests::attacks::{ATTACKS, Attack, PAYLOAD};
use trackside_tests::{Server, Setup, Trackside, until};

/// How long the neighbour is left alone before each attack, and how long the attack goes on.
const QUIET: Duration = Duration::from_secs(2);
const ATTACK: Duration = Duration::from_secs(3);

/// Messages a second for the attack.
const FLOOD: u64 = 400;

/// What a neighbour has to bear: its p99 is at most so many times what it was before, or so long where that is more.
const MOST_TIMES: u32 = 10;
const MOST: Duration = Duration::from_millis(100);

/// What the host's memory is never past, with two lanes: an idle host, and for each lane and the spare one an instance and
/// what it exchanges with the host, three times over.
const MOST_BYTES: usize = 1 << 30;

const SOURCES: &str = "lanes = 2\n[sources.attacks]\nsubject = \"attack.>\"\nmax-in-flight-messages = 20\n\
                       [sources.orders]\nstream = \"ORDERS\"\ndurable = \"trackside\"\n";

const NEIGHBOUR: &str = "[[rule]]\nname = \"neighbour\"\nsource = \"orders\"\nsubject = \"orders.>\"\n[[rule.stage]]\n\
                         plugin = \"mask\"\nwith = { fields = [{ path = \"$.card\" }] }\n[rule.routes]\n\
                         default = \"clean.neighbour\"\n[rule.on-failure]\ndead-letter = \"dead.neighbour\"\n";

/// The limits are those of a plugin that nothing is said about; its breaker never opens, so that it never lets up.
fn plugin(attack: &Attack) -> String {
    let name = attack.name;
    let own = attack.settings.lines().filter(|line| line.starts_with("isolation") || line.starts_with("grants"));
    let mut own: String = own.map(|line| format!("{line}\n")).collect();
    if !own.contains("grants") {
        // The log is attacked as well.
        own.push_str("grants = [\"log\"]\n");
    }
    let compile = if attack.runs() { "" } else { "compile-timeout = \"2s\"\nconfigure-deadline = \"2s\"\n" };
    format!("[plugins.{name}]\npath = \"plugins/{name}.wasm\"\nbreaker = {{ failures = 1000000 }}\n{compile}{own}")
}

async fn streams(server: &Server) {
    let context = jetstream::new(server.client().await);
    for (name, subject) in [("ORDERS", "orders.>"), ("CLEAN", "clean.neighbour"), ("DEAD", "dead.>")] {
        let config = stream::Config {
            name: name.to_owned(),
            subjects: vec![subject.to_owned()],
            max_messages: 2000,
            storage: stream::StorageType::Memory,
            ..stream::Config::default()
        };
        context.create_stream(config).await.expect("the stream can be made");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes, and only a release build is measured: cargo xtask hostile"]
async fn a_neighbour_and_the_host_bear_every_attack() {
    let only = std::env::var("TRACKSIDE_HOSTILE_ONLY").unwrap_or_default();
    let attacks: Vec<&Attack> = ATTACKS.iter().filter(|attack| attack.name.contains(&only)).collect();
    let server = Server::start().await;
    streams(&server).await;
    let (mut config, mut rules) = (SOURCES.to_owned(), NEIGHBOUR.to_owned());
    for attack in attacks.iter().filter(|attack| attack.runs()) {
        config.push_str(&plugin(attack));
        rules.push_str(&attack.rule("attacks"));
    }
    let setup = Setup::new(&server.url(), &config);
    for attack in &attacks {
        setup.write(&format!("plugins/{}.wasm", attack.name), attack.component());
    }
    setup.write("rules/all.toml", rules);
    let config = std::fs::read_to_string(setup.path().join("trackside.toml")).expect("it was written");
    let config = config.replace("[runtime]\n", "[runtime]\nwatch = false\n");
    // Attacks on those who load are made by reloads, as fast as they are answered.
    let config = config.replace("[admin]\n", "[admin]\nrequests-per-second = 1000000\n");
    setup.write("trackside.toml", &config);
    let mut trackside = Trackside::start(&setup).await;
    let process = trackside.process().id();
    let client = server.client().await;
    let neighbour = Neighbour::start(&client, "orders.new", "clean.neighbour").await;
    tokio::time::sleep(QUIET).await;

    let mut table = String::from(
        "| attack | how often | p99 before | p99 meanwhile | host's memory |\n| --- | --- | --- | --- | --- |\n",
    );
    println!("{}", table.trim_end());
    let (mut wrong, mut worst, mut most) = (String::new(), Duration::ZERO, 0);
    for attack in attacks {
        let quiet = Instant::now();
        tokio::time::sleep(QUIET).await;
        let begun = Instant::now();
        let (times, bytes) = if attack.runs() {
            flood(&client, &trackside, attack, process).await
        } else {
            reload(&setup, &config, &trackside, attack, process).await
        };
        let ended = Instant::now();
        // The next one has to find the lanes as this one did.
        until("the attack to be over", async || {
            let metrics = trackside.metrics().await;
            let left = metrics.get("trackside_source_in_flight_messages{source=\"attacks\"}").copied();
            (left == Some(0.0)).then_some(())
        })
        .await;
        let ((before, _), (meanwhile, count)) = (neighbour.p99(quiet, begun), neighbour.p99(begun, ended));
        let row = format!(
            "| `{}` | {times} | {} | {} | {} MiB |",
            attack.name,
            millis(before),
            millis(meanwhile),
            bytes >> 20
        );
        println!("{row}");
        writeln!(table, "{row}").expect("a string takes all");
        (worst, most) = (worst.max(meanwhile), most.max(bytes));
        if meanwhile > MOST.max(before * MOST_TIMES) || bytes > MOST_BYTES || count == 0 {
            writeln!(wrong, "{row}").expect("a string takes all");
        }
    }
    let summary = format!("\nThe worst p99 was {}, the most memory {} MiB.\n", millis(worst), most >> 20);
    println!("{summary}");
    assert!(wrong.is_empty(), "more than a neighbour or the host may have to bear:\n{wrong}");
    assert!(!trackside.process().has_ended());
    if let Some(document) = std::env::var_os("TRACKSIDE_HOSTILE_DOCUMENT").filter(|_| only.is_empty()) {
        put_into(Path::new(&document), &format!("{table}{summary}"));
    }
    assert_eq!(trackside.drain().await, 0);
}

/// Sends messages for the attack, and says how many its plugin was called for and how much memory the host had at most.
async fn flood(client: &async_nats::Client, trackside: &Trackside, attack: &Attack, process: u32) -> (u64, usize) {
    let calls = format!("trackside_plugin_calls_total{{plugin=\"{}\"}}", attack.name);
    let called = async || trackside.metrics().await.get(&calls).copied().unwrap_or_default();
    let before = called().await;
    let (end, mut most) = (Instant::now() + ATTACK, 0);
    let mut pace = tokio::time::interval(Duration::from_secs(1) / u32::try_from(FLOOD).expect("a few"));
    while Instant::now() < end {
        pace.tick().await;
        client.publish(format!("attack.{}", attack.name), PAYLOAD.into()).await.expect("sent");
        most = most.max(resident_bytes(process));
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
    ((called().await - before) as u64, most)
}

/// Reloads with the attack in the configuration again and again, and then without it.
async fn reload(setup: &Setup, config: &str, trackside: &Trackside, attack: &Attack, process: u32) -> (u64, usize) {
    setup.write("rules/attack.toml", attack.rule("attacks"));
    setup.write("trackside.toml", format!("{config}{}", plugin(attack)));
    let (end, mut times, mut most) = (Instant::now() + ATTACK, 0, 0);
    let mut poll = tokio::time::interval(Duration::from_millis(20));
    while Instant::now() < end {
        let answer = trackside.admin("POST", "/v1/reload");
        tokio::pin!(answer);
        let (status, body) = loop {
            tokio::select! {
                answer = &mut answer => break answer,
                _ = poll.tick() => most = most.max(resident_bytes(process)),
            }
        };
        assert!(status != 200 && body.contains(attack.name), "{}: {status} {body}", attack.name);
        times += 1;
    }
    std::fs::remove_file(setup.path().join("rules/attack.toml")).expect("it is there");
    setup.write("trackside.toml", config);
    let (status, body) = trackside.admin("POST", "/v1/reload").await;
    assert_eq!(status, 200, "{body}");
    (times, most)
}

fn millis(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

/// Puts the table where the document has the one of the last time.
fn put_into(document: &Path, table: &str) {
    const BEGIN: &str = "<!-- measured by `cargo xtask hostile` -->\n";
    const END: &str = "<!-- end of what was measured -->";
    let text = std::fs::read_to_string(document).expect("the document");
    let (before, rest) = text.split_once(BEGIN).expect("where the table begins");
    let (_, after) = rest.split_once(END).expect("where the table ends");
    std::fs::write(document, format!("{before}{BEGIN}\n{table}\n{END}{after}")).expect("the document can be written");
}
