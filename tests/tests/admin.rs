//! The admin API of a real process, over a real server.

use serde_json::{Value, json};
use trackside_tests::http::{Answer, send};
use trackside_tests::{Server, Setup, Trackside, until};

const ADMIN: &str = "admin-0123456789-0123456789-0123456789";
const READER: &str = "reader-0123456789-0123456789-0123456789";

/// Dropped in this order: the log of a process that fails is shown before its folder goes.
struct World {
    trackside: Trackside,
    server: Server,
    setup: Setup,
}

impl World {
    async fn start() -> Self {
        let server = Server::start().await;
        server.stream("OUT", &["out.>", "dead.>"]).await;
        let setup = Setup::new(&server.url(), "[sources.in]\nsubject = \"in.>\"\n");
        let config = std::fs::read_to_string(setup.path().join("trackside.toml")).expect("it is there");
        let tokens = "\naudit = \"../audit.jsonl\"\nrequests-per-second = 1000\n\
                      tokens.ops = { role = \"admin\", token = \"file:../ops.token\" }\n\
                      tokens.grafana = { role = \"reader\", token = \"env:GRAFANA_TOKEN\" }\n[runtime]";
        setup.write("trackside.toml", config.replace("\n[runtime]", tokens));
        std::fs::write(setup.path().with_file_name("ops.token"), ADMIN).expect("a file");
        setup.write("rules/a.toml", rule("first"));
        let trackside = Trackside::start_with(&setup, &[("GRAFANA_TOKEN", READER)]).await;
        Self { server, setup, trackside }
    }

    async fn send(&self, token: &str, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let bearer = format!("Bearer {token}");
        let mut all = vec![("Authorization", bearer.as_str())];
        all.extend(headers);
        send(&self.setup.admin, method, path, &all, body.as_bytes()).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(READER, "GET", path, &[], "").await
    }

    async fn revision(&self) -> Value {
        self.get("/v1/revision").await.json()
    }

    /// Publishes until something comes of it, and says on which subject.
    async fn routed(&self) -> String {
        let mut out = self.server.client().await.subscribe("out.>").await.expect("a subscription");
        let client = self.server.client().await;
        until("an output", async || {
            client.publish("in.x", "{}".into()).await.expect("it is published");
            client.flush().await.expect("it is sent");
            let next = futures::StreamExt::next(&mut out);
            let message = tokio::time::timeout(std::time::Duration::from_secs(1), next).await.ok()??;
            Some(message.subject.to_string())
        })
        .await
    }

    /// What the audit file says was done or refused, without that it began.
    fn audit(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.setup.path().with_file_name("audit.jsonl")).expect("an audit file");
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line of JSON"));
        lines.filter(|line| line["outcome"] != "begun").collect()
    }
}

fn rule(to: &str) -> String {
    format!(
        "[[rule]]\nname = \"a\"\nsource = \"in\"\nsubject = \"in.>\"\nroutes.default = \"out.{to}\"\n\
         on-failure.dead-letter = \"dead.a\"\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_rules_is_put_and_the_revision_before_is_activated_again() {
    let world = World::start().await;
    let first = world.revision().await["revision"].as_str().expect("a revision").to_owned();
    assert_eq!(world.routed().await, "out.first");
    let tag = format!("\"{first}\"");
    assert_eq!(world.get("/v1/rules").await.headers["etag"], tag);

    let put = world.send(ADMIN, "PUT", "/v1/rules/a.toml", &[("If-Match", &tag)], &rule("second")).await;
    assert_eq!((put.status, &put.json()["outcome"]), (200, &json!("activated")), "{put:?}");
    let second = put.json()["revision"].as_str().expect("a revision").to_owned();
    assert_eq!(put.headers["etag"], format!("\"{second}\""));
    assert_eq!(world.routed().await, "out.second");
    assert_eq!(world.get("/v1/rules/a.toml").await.body, rule("second"));
    let status = world.revision().await;
    assert_eq!((&status["basis"], &status["unwritten"]), (&json!("put"), &json!(["a.toml"])));
    let on_disk = || std::fs::read_to_string(world.setup.path().join("rules/a.toml")).expect("it is there");
    assert_eq!(on_disk(), rule("first"));

    let stale = world.send(ADMIN, "PUT", "/v1/rules/a.toml", &[("If-Match", &tag)], &rule("third")).await;
    assert!(stale.problem(412).contains(&second), "{stale:?}");
    let blind = world.send(ADMIN, "PUT", "/v1/rules/a.toml", &[], &rule("third")).await;
    assert!(blind.problem(428).contains("If-Match"));
    let wrong = world.send(ADMIN, "PUT", "/v1/rules/a.toml", &[("If-Match", "*")], "[[rule]]\nnaem = 1\n").await;
    assert_eq!((wrong.status, &wrong.json()["revision"]), (422, &json!(second)));
    assert!(wrong.json()["errors"].as_str().expect("a report").contains("unknown key `naem`"), "{wrong:?}");

    let back = world.send(ADMIN, "POST", &format!("/v1/revisions/{first}/activate"), &[], "").await;
    assert_eq!((back.status, &back.json()["revision"]), (200, &json!(first)), "{back:?}");
    assert_eq!(world.routed().await, "out.first");
    let history = world.get("/v1/revisions").await.json()["revisions"].clone();
    let told: Vec<_> =
        history.as_array().expect("a list").iter().map(|past| (&past["trigger"], &past["who"])).collect();
    let (ops, none) = (json!("ops"), Value::Null);
    assert_eq!(told, [(&json!("activate"), &ops), (&json!("put"), &ops), (&json!("start"), &none)]);
    assert_eq!(history[1]["changes"]["rules"]["changed"], json!(["a"]));
    assert_eq!(history[1]["changes"]["files"]["changed"], json!(["rules/a.toml"]));
    let unknown = world.send(ADMIN, "POST", "/v1/revisions/0123456789ab/activate", &[], "").await;
    assert!(unknown.problem(409).contains("no longer kept"));

    let written = world.send(ADMIN, "PUT", "/v1/rules/a.toml?write=true", &[("If-Match", "*")], &rule("third")).await;
    assert_eq!(written.status, 200, "{written:?}");
    assert_eq!((on_disk(), &world.revision().await["basis"]), (rule("third"), &json!("files")));
    assert_eq!(world.routed().await, "out.third");

    let audit = world.audit();
    let told: Vec<_> = audit.iter().map(|line| (line["action"].as_str().unwrap_or(""), &line["status"])).collect();
    let put = "PUT /v1/rules/a.toml";
    let activate = format!("POST /v1/revisions/{first}/activate");
    let want = [
        (put, 200),
        (put, 412),
        (put, 428),
        (put, 422),
        (activate.as_str(), 200),
        ("POST /v1/revisions/0123456789ab/activate", 409),
        (put, 200),
    ];
    let want: Vec<_> = want.into_iter().map(|(action, status)| (action, json!(status))).collect();
    assert_eq!(told, want.iter().map(|(action, status)| (*action, status)).collect::<Vec<_>>());
    let writes: Vec<_> = audit.iter().map(|line| &line["details"]["write"]).collect();
    assert_eq!((writes[0], writes[6]), (&json!(false), &json!(true)));
    let text = format!("{audit:?}{}", world.trackside.log());
    assert!(!text.contains(ADMIN) && !text.contains(READER), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_put_and_written_is_not_taken_for_an_edit() {
    let world = World::start().await;
    let first = world.revision().await["revision"].as_str().expect("a revision").to_owned();
    let any = [("If-Match", "*")];
    let written = world.send(ADMIN, "PUT", "/v1/rules/a.toml?write=true", &any, &rule("second")).await;
    assert_eq!(written.status, 200, "{written:?}");
    let back = world.send(ADMIN, "POST", &format!("/v1/revisions/{first}/activate"), &[], "").await;
    assert_eq!(back.status, 200, "{back:?}");
    // Three were activated by the above. Whatever the file watch leads to is the next that is counted.
    let loads = until("the file to be seen", async || {
        let metrics = world.get("/metrics").await.body;
        let count = |outcome: &str| {
            let line = format!("trackside_reloads_total{{outcome=\"{outcome}\"}} ");
            metrics.lines().find_map(|sample| sample.strip_prefix(line.as_str())?.parse::<u32>().ok())
        };
        let counts = (count("activated")?, count("unchanged")?);
        (counts.0 + counts.1 > 3).then_some(counts)
    })
    .await;
    assert_eq!(loads, (3, 1));
    let status = world.revision().await;
    assert_eq!((&status["revision"], &status["basis"]), (&json!(first), &json!("activated")));
    // An edit is one all the same.
    world.setup.write("rules/a.toml", rule("third"));
    until("the edit", async || (world.revision().await["basis"] == "files").then_some(())).await;
    assert_eq!(world.routed().await, "out.third");
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_and_plugins_are_shown_with_their_secrets_as_references() {
    let world = World::start().await;
    std::fs::write(world.setup.path().join("key"), "a-key-that-nobody-may-see").expect("a file");
    let masked = "[[rule]]\nname = \"m\"\nsource = \"in\"\nsubject = \"in.m\"\nroutes.default = \"out.m\"\n\
                  on-failure.dead-letter = \"dead.m\"\n[[rule.stage]]\nplugin = \"mask\"\n\
                  with = { fields = [{ path = \"$.card\", action = \"hash\", key = \"file:key\" }] }\n";
    let put = world.send(ADMIN, "PUT", "/v1/rules/m.toml", &[("If-Match", "*")], masked).await;
    assert_eq!(put.status, 200, "{put:?}");
    let rules = world.get("/v1/rules?limit=1&offset=1").await;
    let body = rules.json();
    assert_eq!((&body["total"], body["rules"].as_array().map(Vec::len)), (&json!(2), Some(1)));
    let shown = &body["rules"][0];
    assert_eq!((&shown["name"], &shown["file"], &shown["line"]), (&json!("m"), &json!("rules/m.toml"), &json!(2)));
    assert_eq!(shown["stages"][0]["with"]["fields"][0]["key"], "file:key");
    assert_eq!(shown["routes"], json!({ "default": { "to": "out.m", "kind": "subject" } }));
    let plugins = world.get("/v1/plugins").await;
    let mask = &plugins.json()["plugins"][0];
    assert_eq!(
        (&mask["name"], &mask["origin"]["kind"], &mask["rules"]),
        (&json!("mask"), &json!("standard"), &json!(1))
    );
    assert_eq!(mask["limits"]["deadline-ms"], 100);
    for text in [rules.body, plugins.body, world.get("/v1/rules/m.toml").await.body, world.trackside.log()] {
        assert!(!text.contains("nobody-may-see"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_changes_nothing_and_a_new_token_holds_at_once() {
    let world = World::start().await;
    let before = world.revision().await;
    for (method, path) in
        [("PUT", "/v1/rules/a.toml"), ("POST", "/v1/reload"), ("POST", "/v1/revisions/0123456789ab/activate")]
    {
        let refused = world.send(READER, method, path, &[("If-Match", "*")], &rule("other")).await;
        assert!(refused.problem(403).contains("token `grafana` is of the role `reader`"));
    }
    assert_eq!(world.revision().await, before);
    let audit = world.audit();
    let told: Vec<_> = audit.iter().map(|line| (&line["who"], &line["action"], &line["status"])).collect();
    let (grafana, refused) = (json!("grafana"), json!(403));
    let actions = ["PUT /v1/rules/a.toml", "POST /v1/reload", "POST /v1/revisions/0123456789ab/activate"];
    let actions = actions.map(|action| json!(action));
    assert_eq!(told, actions.iter().map(|action| (&grafana, action, &refused)).collect::<Vec<_>>());
    let newer = "newer-0123456789-0123456789-0123456789";
    std::fs::write(world.setup.path().with_file_name("ops.token"), newer).expect("a file");
    until("the new token to hold", async || {
        (world.send(newer, "POST", "/v1/reload", &[], "").await.status == 200).then_some(())
    })
    .await;
    assert_eq!(world.send(ADMIN, "POST", "/v1/reload", &[], "").await.status, 401);
    assert_eq!(world.revision().await["revision"], before["revision"], "a token is no part of a revision");
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_listed_revealed_replayed_and_discarded() {
    let world = World::start().await;
    let rule = |stage: &str| {
        format!(
            "[[rule]]\nname = \"v\"\nsource = \"in\"\nsubject = \"in.v\"\nroutes.default = \"out.v\"\n\
             on-failure.dead-letter = \"dead.v\"\n{stage}"
        )
    };
    let mask = "[[rule.stage]]\nplugin = \"mask\"\nwith = { fields = [{ path = \"$.amount\", required = true }] }\n";
    let any = [("If-Match", "*")];
    let put = world.send(ADMIN, "PUT", "/v1/rules/v.toml?write=true", &any, &rule(mask)).await;
    assert_eq!(put.status, 200, "{put:?}");
    let client = world.server.client().await;
    for number in 0..3 {
        let payload = format!("{{\"card\":\"4111-{number}\"}}");
        client.publish("in.v", payload.into()).await.expect("it is published");
    }
    client.flush().await.expect("it is sent");
    let letters = until("three letters", async || {
        let list = world.get("/v1/dead-letters?rule=v").await.json();
        (list["letters"].as_array()?.len() == 3).then_some(list)
    })
    .await;
    assert_eq!(letters["complete"], true);
    assert_eq!(world.get("/v1/dead-letters?rule=v&limit=2").await.json()["complete"], false);
    let path = format!("/v1/dead-letters/OUT/{}", letters["letters"][0]["sequence"]);
    let shown = world.get(&path).await;
    assert_eq!((&shown.json()["class"], &shown.json()["subject"]), (&json!("rejected"), &json!("in.v")));
    assert!(!format!("{letters}{}", shown.body).contains("4111"), "{letters}");
    let revealing = format!("{path}?reveal=true");
    assert!(world.get(&revealing).await.problem(403).contains("role `admin` alone"));
    let revealed = world.send(ADMIN, "GET", &revealing, &[], "").await;
    let card = revealed.json()["payload"]["card"].clone();
    assert!(card.as_str().is_some_and(|card| card.starts_with("4111-")), "{revealed:?}");
    let audit = world.audit();
    let line = audit.last().expect("a line");
    assert_eq!((&line["action"], &line["who"]), (&json!(format!("GET {revealing}")), &json!("ops")));
    assert!(!format!("{audit:?}{}", world.trackside.log()).contains("4111"));
    assert_eq!(world.get("/v1/dead-letters/OUT/99999").await.status, 404);

    let replay = async |body: &str| world.send(ADMIN, "POST", "/v1/dead-letters/replay", &[], body).await;
    assert!(replay("{}").await.problem(400).contains("at least one filter"));
    let again = replay(r#"{"rule":"v","limit":1}"#).await.json();
    assert_eq!((&again["failed-again"], &again["complete"]), (&json!(1), &json!(false)), "{again}");
    assert_eq!(world.send(ADMIN, "PUT", "/v1/rules/v.toml", &any, &rule("")).await.status, 200);
    let sequences = |list: &Value| -> Vec<u64> {
        list["letters"].as_array().into_iter().flatten().filter_map(|letter| letter["sequence"].as_u64()).collect()
    };
    let left = sequences(&world.get("/v1/dead-letters?rule=v").await.json());
    let gone = format!(r#"{{"stream":"OUT","sequence":"{}"}}"#, left[0]);
    let discarded = world.send(ADMIN, "POST", "/v1/dead-letters/discard", &[], &gone).await.json();
    assert_eq!((&discarded["discarded"], sequences(&discarded)), (&json!(1), vec![left[0]]), "{discarded}");
    let replayed = replay(r#"{"rule":"v"}"#).await.json();
    assert_eq!((&replayed["replayed"], sequences(&replayed)), (&json!(2), left[1..].to_vec()), "{replayed}");
    assert_eq!(world.get("/v1/dead-letters?rule=v").await.json()["letters"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_is_checked_and_tried_and_nothing_of_it_is_in_force() {
    let world = World::start().await;
    let before = world.revision().await;
    let post = async |path: &str, body: Value| world.send(ADMIN, "POST", path, &[], &body.to_string()).await;
    let same = post("/v1/check", json!({})).await.json();
    assert_eq!((&same["ok"], &same["revision"], &same["rules"]), (&json!(true), &before["revision"], &json!(1)));
    let broken = post("/v1/check", json!({ "files": { "rules/b.toml": "\n[[rule]]\nnaem = 1\n" } })).await.json();
    let problems = broken["problems"].as_array().expect("a list");
    let unknown = |problem: &&Value| problem["message"].as_str().is_some_and(|message| message.contains("naem"));
    let problem = problems.iter().find(unknown).unwrap_or_else(|| panic!("{broken}"));
    assert_eq!((&broken["ok"], &problem["severity"], &problem["line"]), (&json!(false), &json!("error"), &json!(3)));

    let messages = json!([{ "subject": "in.x", "payload": { "a": 1 } }, { "subject": "other" }, { "subject": "in.x", "source": "nowhere" }]);
    let tried =
        post("/v1/try", json!({ "files": { "rules/a.toml": rule("other") }, "messages": messages })).await.json();
    let outcome = |number: usize| (&tried["outcomes"][number]["outcome"], &tried["outcomes"][number]["subject"]);
    assert_eq!(outcome(0), (&json!("published"), &json!("out.other")), "{tried}");
    assert_eq!(outcome(1).0, "unmatched", "{tried}");
    assert_eq!((&tried["errors"][0]["message"], &tried["complete"]), (&json!(3), &json!(true)));
    let unread = post("/v1/try", json!({ "messages": [{ "subject": "in.x" }, { "subject": "in..x" }] })).await;
    assert!(unread.problem(400).starts_with("message 2: subject: "), "{unread:?}");
    let wrong = post("/v1/try", json!({ "files": { "rules/a.toml": "x" }, "messages": [] })).await;
    assert_eq!((wrong.status, &wrong.json()["ok"]), (422, &json!(false)));
    for path in ["../secret.toml", "rules/../a.toml", "schemas/a.json", "rules/a.toml/", "/etc/passwd"] {
        let refused = post("/v1/check", json!({ "files": { path: "" } })).await;
        assert!(refused.problem(400).contains("is no file of a candidate"), "{path}");
    }
    for path in ["/v1/check", "/v1/try"] {
        assert!(world.send(READER, "POST", path, &[], "{}").await.problem(403).contains("grafana"));
    }
    assert_eq!(world.revision().await, before);
}
