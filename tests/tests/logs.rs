//! What the log shows and what it does not: no payload, no header, no secret, whatever fails.

use std::collections::BTreeSet;

use async_nats::jetstream::{self, stream};
use serde_json::Value;
use trackside_tests::app::App;
use trackside_tests::http::{post, send};
use trackside_tests::{Authority, Server, Setup, Trackside, command_with, free_port, hostile, until};

/// Part of every secret. No line may show it.
const SECRET: &str = "4111planted";

/// Part of every payload and header. It has nothing of a secret, or it would be hidden as one is.
const CARRIED: &str = "carried5500";

/// What the secrets of the configuration refer to.
fn secrets() -> [(&'static str, String); 5] {
    [
        ("NATS_PASSWORD", format!("{SECRET}-password")),
        ("OPS_TOKEN", format!("{SECRET}-token-of-the-admin-api-000000000000")),
        // 32 bytes in Base64.
        ("MASK_KEY", format!("{SECRET}{:A<32}=", "")),
        ("OTLP_AUTHORIZATION", format!("Bearer {SECRET}-of-the-collector")),
        ("GEO_KEY", format!("{SECRET}-key-of-a-plugin")),
    ]
}

fn environment<'a>(secrets: &'a [(&'static str, String)]) -> Vec<(&'static str, &'a str)> {
    secrets.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

/// Rules by the name that is also the second token of their subject: what they have beside `default = "clean.NAME"`, and
/// what is published to them. None keeps dead letters unless it says so, so that the log is what tells of failures.
fn rules(service: &str) -> Vec<(&'static str, String, String)> {
    let json = format!("{{\"card\":\"{CARRIED} 1\",\"{CARRIED}-name\":1,\"region\":\"eu\"}}");
    let stage = |plugin: &str, with: &str| format!("stage = [{{ plugin = {plugin:?}, with = {with} }}]\n");
    let quote = "stage = [{ plugin = \"quote\" }]\n";
    let validate = stage("validate", "{ schema = \"schemas/order.json\" }");
    let mask = stage(
        "mask",
        "{ fields = [{ path = \"$.card\", action = \"encrypt\", key-id = \"k1\", key = \"file:secrets/mask.key\" }] }",
    );
    let mut rules = vec![
        ("invalid", validate.clone(), json.clone()),
        ("unparsed", validate, format!("{{\"card\":{CARRIED}}}")),
        ("masked", mask.clone(), format!("[{CARRIED}")),
        ("jq", stage("transform", "{ jq = \".card | error\" }"), json.clone()),
        ("jq-type", stage("transform", "{ jq = \".card.number\" }"), json.clone()),
        ("jq-json", stage("transform", "{ jq = \".\" }"), format!("{{\"card\":{CARRIED}")),
        ("cel", stage("route", "{ when = [{ if = \"body.card > 5\", to = \"default\" }] }"), json.clone()),
        ("reject", quote.to_owned(), format!("x{CARRIED}")),
        ("give-up", quote.to_owned(), format!("f{CARRIED}")),
        ("retry", quote.to_owned(), format!("r{CARRIED}")),
        ("stray", quote.to_owned(), format!("o{CARRIED}")),
        ("trap", quote.to_owned(), format!("t{CARRIED}")),
        ("deadline", quote.to_owned(), format!("e{CARRIED}")),
        ("untemplated", "routes.default = \"clean.{json:$.card}\"\n".to_owned(), json.clone()),
        ("unstored", "routes.default = { subject = \"gone.orders\", confirm = \"stream\" }\n".to_owned(), json.clone()),
        ("refused", format!("routes.default = \"{service}/400\"\n"), json.clone()),
        ("unavailable", format!("routes.default = \"{service}/503\"\n"), json.clone()),
        ("letter", format!("{quote}on-failure.dead-letter = \"full.orders\"\n"), format!("x{CARRIED}")),
        ("buried", format!("{quote}on-failure.dead-letter = \"dead.orders\"\n"), format!("x{CARRIED}")),
    ];
    for (name, rest, _) in &mut rules {
        let route = if rest.contains("routes.default") {
            String::new()
        } else {
            format!("routes.default = \"clean.{name}\"\n")
        };
        let tries = "on-failure.tries = 2\non-failure.backoff = [\"10ms\"]\non-failure.deadline = \"dead-letter\"\n";
        *rest = format!(
            "[[rule]]\nname = {name:?}\nsource = \"orders\"\nsubject = \"orders.{name}\"\n{rest}{route}{tries}"
        );
    }
    rules
}

/// A server with its streams, of which one has no room for dead letters.
async fn server() -> Server {
    let server = Server::start().await;
    for (name, subjects) in [("ORDERS", "orders.>"), ("CLEAN", "clean.>"), ("DEAD", "dead.>")] {
        server.stream(name, &[subjects]).await;
    }
    let full = stream::Config { max_message_size: 1, ..stream::Config::default() };
    let full = stream::Config { name: "FULL".to_owned(), subjects: vec!["full.>".to_owned()], ..full };
    jetstream::new(server.client().await).create_stream(full).await.expect("the stream can be made");
    server
}

fn configuration(server: &Server, sidecar: &str, service: &str) -> Setup {
    let collector = free_port();
    let rest = format!(
        "[sources.orders]\nstream = \"ORDERS\"\ndurable = \"trackside\"\nack-wait = \"5s\"\n\
         [sidecar]\nlisten = {sidecar:?}\ndeliver-to = [{service:?}]\n\
         [admin.tokens.ops]\nrole = \"admin\"\ntoken = \"env:OPS_TOKEN\"\n\
         [telemetry.traces]\nendpoint = \"http://127.0.0.1:{collector}\"\ntimeout = \"100ms\"\n\
         [telemetry.traces.secret-headers]\nAuthorization = \"env:OTLP_AUTHORIZATION\"\n\
         [secrets]\ngeo-key = \"env:GEO_KEY\"\n\
         [plugins.quote]\npath = \"plugins/quote.wasm\"\ndeadline = \"200ms\"\nbreaker = {{ failures = 1000 }}\n\
         grants = [\"secret:geo-key\"]\n"
    );
    let setup = Setup::new(&server.url(), &rest);
    let config = std::fs::read_to_string(setup.path().join("trackside.toml")).expect("it was written");
    setup.write(
        "trackside.toml",
        config.replace("[nats]\n", "[nats]\nuser = \"trackside\"\npassword = \"env:NATS_PASSWORD\"\n"),
    );
    let schema = "{\"type\":\"object\",\"required\":[\"id\"],\"additionalProperties\":false,\
                  \"properties\":{\"card\":{\"enum\":[\"none\"]},\"region\":{\"const\":\"de\"}}}";
    setup.write("schemas/order.json", schema);
    setup.write("secrets/mask.key", &secrets()[2].1);
    setup.write("plugins/quote.wasm", hostile::component("quote"));
    let of_sidecar = "[[rule]]\nname = \"posted\"\nsource = \"sidecar\"\nsubject = \"posted.>\"\n\
                      stage = [{ plugin = \"validate\", with = { schema = \"schemas/order.json\" } }]\n\
                      routes.default = \"clean.posted\"\n";
    let texts = rules(service).into_iter().map(|(_, rule, _)| rule);
    setup.write("rules/all.toml", texts.collect::<String>() + of_sidecar);
    setup
}

/// Lets everything fail that can, and gives the log.
async fn log_of_all_failures(format: &str) -> String {
    let service = App::start(0, async |seen: trackside_tests::app::Seen| {
        (seen.path.trim_start_matches('/').parse().unwrap_or(500), None)
    })
    .await;
    let (server, sidecar) = (server().await, format!("127.0.0.1:{}", free_port()));
    let setup = configuration(&server, &sidecar, &service.url());
    let secrets = secrets();
    // Whoever looks for a fault asks for everything, and of the NATS client by name.
    let arguments = ["--log-format", format, "--log", "trace,async_nats=trace", "run"];
    let mut trackside = Trackside::spawn_with(&arguments, setup.path(), &setup.admin, &environment(&secrets));
    trackside.ready().await;

    let context = jetstream::new(server.client().await);
    for (name, _, payload) in rules(&service.url()) {
        let mut headers = async_nats::HeaderMap::new();
        headers.insert("Card", format!("{CARRIED}-header").as_str());
        let sent = context.publish_with_headers(format!("orders.{name}"), headers, payload.into()).await;
        sent.expect("the client can publish").await.expect("the stream stores it");
    }
    let card = format!("{{\"card\":\"{CARRIED}\"}}");
    let planted = [("Authorization", SECRET), ("Card", CARRIED), ("Content-Type", "application/json")];
    for (path, body, status) in [
        ("/v1/publish/posted.order", card.as_str(), 422),
        ("/v1/publish/nowhere", &card, 404),
        ("/v1/publish/posted.order?timeout=carried5500", &card, 400),
        ("/v1/request/nowhere", &card, 404),
        ("/v1/publish", &card, 400),
    ] {
        assert_eq!(post(&sidecar, path, &planted, body).await.status, status, "{path}");
    }
    let event = [("Content-Type", "application/cloudevents+json")];
    assert_eq!(post(&sidecar, "/v1/publish/posted.order", &event, &card).await.status, 400);
    let stranger = format!("Bearer {SECRET}-of-a-stranger-00000000000000000000000");
    assert_eq!(send(&setup.admin, "GET", "/v1/rules", &[("Authorization", &stranger)], b"").await.status, 401);
    let operator = format!("Bearer {}", secrets[1].1);
    let wrong = format!("[[rule]]\nname = \"{SECRET}\"\n");
    let change = [("Authorization", operator.as_str()), ("If-Match", "*")];
    let put = send(&setup.admin, "PUT", "/v1/rules/other.toml", &change, b"no TOML").await;
    assert_eq!(put.status, 422, "{put:?}");
    let checked = send(&setup.admin, "POST", "/v1/check", &[("Authorization", &operator)], wrong.as_bytes()).await;
    assert_eq!(checked.status, 400, "{checked:?}");
    // A key that the plugin does not take: the reload is rejected.
    setup.write("secrets/mask.key", SECRET);
    assert_eq!(send(&setup.admin, "POST", "/v1/reload", &[("Authorization", &operator)], b"").await.status, 422);

    // The log tells of each by the end.
    for (name, line) in reached() {
        until(&format!("{line:?} of {name}"), async || {
            trackside.log().lines().any(|said| said.contains(line) && said.contains(name)).then_some(())
        })
        .await;
    }
    assert!(service.kill().iter().filter(|seen| seen.body.contains(CARRIED)).count() > 1, "both routes were posted to");
    // It is missed by what is posted to it next.
    let card = card.clone().into();
    context.publish("orders.refused", card).await.expect("the client can publish").await.expect("the stream stores it");
    until("it to miss the service", async || trackside.log().contains("the service is not there").then_some(())).await;
    trackside.log()
}

/// Parts of lines that have to be there, or what is proved is that nothing happened.
fn reached() -> Vec<(&'static str, &'static str)> {
    let terminated = "a message failed for good";
    let mut lines: Vec<_> = [
        "invalid",
        "unparsed",
        "masked",
        "jq",
        "jq-type",
        "jq-json",
        "cel",
        "reject",
        "give-up",
        "retry",
        "stray",
        "trap",
        "deadline",
        "untemplated",
    ]
    .map(|rule| (rule, terminated))
    .into();
    lines.extend([
        ("unstored", "an output could not be published"),
        ("refused", "an output could not be published"),
        ("unavailable", "an output could not be published"),
        ("retry", "to be tried again"),
        ("letter", "a dead letter could not be stored"),
        ("secrets/mask.key", "is not accepted"),
        ("/v1/rules", "a request without a good token was refused"),
        ("PUT /v1/rules/other.toml", "refused"),
        ("spans", "cannot be exported"),
    ]);
    lines
}

#[track_caller]
fn assert_shows_nothing(log: &str) {
    let lines: Vec<_> = log.lines().filter(|line| [SECRET, CARRIED].iter().any(|part| line.contains(part))).collect();
    assert!(lines.is_empty(), "{lines:#?}");
    assert!(!log.contains("secret-body"), "nor what a service answers");
}

#[tokio::test]
async fn whatever_fails_no_line_shows_a_payload_a_header_or_a_secret_and_each_is_a_line_of_json() {
    let log = log_of_all_failures("json").await;
    assert_shows_nothing(&log);
    let parse = |line: &str| serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    let lines: Vec<_> = log.lines().map(parse).collect();
    for line in &lines {
        for key in ["timestamp", "level", "target", "message"] {
            assert!(line[key].is_string(), "no {key}: {line}");
        }
    }
    // What was decided about a message names it, the rule and the revision.
    let decided: Vec<_> = lines.iter().filter(|line| line["target"] == "trackside::pipeline::settle").collect();
    assert!(decided.len() > 20, "{decided:#?}");
    for line in decided {
        for key in ["id", "rule", "revision"] {
            assert!(line[key].as_str().is_some_and(|value| !value.is_empty()), "no {key}: {line}");
        }
    }
    let reasons: BTreeSet<_> = lines
        .iter()
        .filter(|line| ["reject", "give-up", "retry", "stray"].iter().any(|rule| line["rule"] == *rule))
        .filter_map(|line| line["reason"].as_str())
        .collect();
    assert_eq!(reasons, BTreeSet::from(["in words of the plugin, which has no grant `log`"]));
    let of = |rule: &str| lines.iter().find(|line| line["rule"] == rule && line["class"].is_string()).expect("a line");
    assert!(of("trap")["reason"].as_str().is_some_and(|reason| reason.contains("unreachable")), "{}", of("trap"));
    assert!(of("invalid")["reason"].as_str().is_some_and(|reason| reason.contains("/card")), "{}", of("invalid"));
}

#[tokio::test]
async fn whatever_fails_no_line_for_people_shows_a_payload_a_header_or_a_secret() {
    assert_shows_nothing(&log_of_all_failures("human").await);
}

#[tokio::test]
async fn a_plugin_that_may_log_may_say_why_there() {
    let server = server().await;
    let setup = Setup::new(
        &server.url(),
        "[sources.orders]\nstream = \"ORDERS\"\ndurable = \"trackside\"\n[plugins.quote]\npath = \"quote.wasm\"\ngrants = [\"log\"]\n",
    );
    setup.write("quote.wasm", hostile::component("quote"));
    setup.write(
        "rules/all.toml",
        "[[rule]]\nname = \"all\"\nsource = \"orders\"\nsubject = \"orders.>\"\nstage = [{ plugin = \"quote\" }]\n\
         routes.default = \"clean.orders\"\n",
    );
    let trackside = Trackside::start(&setup).await;
    let context = jetstream::new(server.client().await);
    context.publish("orders.new", "xmy own words".into()).await.expect("sent").await.expect("stored");
    until("its words", async || trackside.log().contains("reason=\"xmy own words\"").then_some(())).await;
}

#[tokio::test]
async fn a_start_that_fails_says_why_in_a_line_of_json_and_shows_no_secret() {
    let server = server().await;
    let setup = configuration(&server, &format!("127.0.0.1:{}", free_port()), "http://127.0.0.1:1");
    let config = std::fs::read_to_string(setup.path().join("trackside.toml")).expect("it was written");
    let secrets = secrets();
    let fails = |text: &str, says: &str| {
        setup.write("trackside.toml", text);
        let done = command_with(&["run", "--log-format", "json", setup.argument()], &environment(&secrets), b"");
        assert_eq!(done.code, 1, "{}", done.stderr);
        assert_shows_nothing(&done.stderr);
        assert_eq!(done.stdout, "");
        let parse = |line: &str| serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let lines: Vec<_> = done.stderr.lines().map(parse).collect();
        // Beside it, what was started already may still say something, as that its service is not there, and so may the
        // NATS client.
        let reports: Vec<_> = lines.iter().filter(|line| line["target"] == "trackside::cli").collect();
        let [error] = reports[..] else { panic!("not one report: {lines:#?}") };
        assert_eq!(error["level"], "ERROR");
        assert!(error["message"].as_str().is_some_and(|message| message.contains(says)), "{error}");
    };
    fails(&format!("{config}[plugins.quoet]\npth = 1\n"), "`pth`");
    fails(&config.replace("env:OPS_TOKEN", &format!("{SECRET}-written-out-0000000000000000")), "env:NAME");
    fails(&config.replace("env:NATS_PASSWORD", &format!("{SECRET}-written-out")), "env:NAME");
    fails(&config.replace("env:OTLP_AUTHORIZATION", &format!("Bearer {SECRET}")), "env:NAME");
    fails(&config.replace("env:GEO_KEY", "env:NOBODY_SET_THIS"), "NOBODY_SET_THIS");
    fails(&config.replace("stream = \"ORDERS\"", "stream = \"NOWHERE\""), "NOWHERE");
    fails(&config.replace("nats://", &format!("nats://trackside:{SECRET}@")), "servers");
    setup.write("key.pem", format!("-----BEGIN PRIVATE KEY-----\n{SECRET}\n-----END PRIVATE KEY-----\n"));
    setup.write("cert.pem", Authority::new().certify().certificate);
    let files = "cert = \"cert.pem\"\nkey = \"key.pem\"\n";
    fails(&format!("{config}[admin.tls]\n{files}"), "do not go together");
    fails(&format!("{config}[nats.tls]\nca = \"key.pem\"\n"), "cannot use the TLS file");
    let strict = Server::start_with(&["--user", "trackside", "--pass", "another"]).await;
    fails(&config.replace(&server.url(), &strict.url()), "refused the connection");
    setup.write("secrets/mask.key", SECRET);
    fails(&config, "secrets/mask.key");
}

#[tokio::test]
async fn a_secret_that_is_missing_is_told_before_anything_listens() {
    let server = server().await;
    let setup = configuration(&server, &format!("127.0.0.1:{}", free_port()), "http://127.0.0.1:1");
    let config = std::fs::read_to_string(setup.path().join("trackside.toml")).expect("it was written");
    let secrets = secrets();
    for reference in ["env:NATS_PASSWORD", "env:OTLP_AUTHORIZATION", "env:OPS_TOKEN", "env:GEO_KEY"] {
        setup.write("trackside.toml", config.replace(reference, "env:NOBODY_SET_THIS"));
        let done = command_with(&["run", setup.argument()], &environment(&secrets), b"");
        assert_eq!(done.code, 1, "{}", done.stderr);
        assert!(done.stderr.contains("NOBODY_SET_THIS"), "{}", done.stderr);
        assert!(!done.stderr.contains("listens"), "{reference}: {}", done.stderr);
    }
}
