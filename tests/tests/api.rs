//! The admin API fuzzed from its own document, by schemathesis: nothing that is not documented is answered, nothing fails, and
//! without a token nothing changes and nothing is revealed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use trackside_tests::http::send;
use trackside_tests::{Server, Setup, Trackside, provided};

const ADMIN: &str = "admin-0123456789-0123456789-0123456789";

/// What is looked at in every answer.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,\
                      response_schema_conformance,negative_data_rejection,unsupported_method,allow_header_conformance,ignored_auth";

/// Requests of each kind and path.
const EXAMPLES: &str = "25";

/// What names things in the configuration, and what is open to everybody has no business with.
const NAMES: [&str; 3] = ["a-rule-of-ours", "in-our-source", "out.of-ours"];

struct World {
    _server: Server,
    setup: Setup,
    trackside: Trackside,
}

impl World {
    async fn start() -> Self {
        let server = Server::start().await;
        server.stream("OUT", &["out.>", "dead.>"]).await;
        let setup = Setup::new(&server.url(), "[sources.in-our-source]\nsubject = \"in.>\"\n");
        let config = std::fs::read_to_string(setup.path().join("trackside.toml")).expect("it is there");
        let tokens = "\naudit = \"../audit.jsonl\"\nrequests-per-second = 100000\n\
                      tokens.ops = { role = \"admin\", token = \"env:OPS_TOKEN\" }\n[runtime]";
        setup.write("trackside.toml", config.replace("\n[runtime]", tokens));
        setup.write(
            "rules/a.toml",
            "[[rule]]\nname = \"a-rule-of-ours\"\nsource = \"in-our-source\"\nsubject = \"in.>\"\n\
             stage = [{ plugin = \"mask\", with = { fields = [{ path = \"$.card\" }] } }]\n\
             routes.default = \"out.of-ours\"\non-failure.dead-letter = \"dead.a\"\n",
        );
        let trackside = Trackside::start_with(&setup, &[("OPS_TOKEN", ADMIN)]).await;
        Self { _server: server, setup, trackside }
    }

    /// Fuzzes the API, with further arguments; what was sent and answered, as an HTTP archive.
    fn fuzz(&self, checks: &str, arguments: &[&str]) -> Vec<Value> {
        let folder = provided("SCHEMATHESIS");
        let archive = self.setup.path().with_file_name("fuzz.har");
        let url = format!("http://{}", self.setup.admin);
        let mut command = Command::new(folder.join("bin").join("schemathesis"));
        command.args(["run", &format!("{url}/v1/openapi.json"), "--url", &url, "--checks", checks]);
        command.args(["--max-examples", EXAMPLES, "--seed", "1", "--phases", "examples,coverage,fuzzing"]);
        command.args(["--continue-on-failure", "--no-color", "--no-shrink", "--warnings", "off"]);
        command.args(["--report", "har", "--report-har-path"]).arg(&archive).args(arguments);
        command.env("PYTHONPATH", &folder).env("PYTHONDONTWRITEBYTECODE", "1");
        // It keeps what it has found in the folder that it is run in.
        let output = command.current_dir(self.beside()).output().expect("schemathesis can be started");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
        let archive = std::fs::read(&archive).expect("an archive");
        let mut archive: Value = serde_json::from_slice(&archive).expect("an archive of JSON");
        match archive["log"]["entries"].take() {
            Value::Array(entries) => entries,
            other => panic!("no entries: {other}"),
        }
    }

    fn beside(&self) -> PathBuf {
        self.setup.path().parent().map(Path::to_owned).expect("it is in a folder")
    }

    async fn revision(&self) -> Value {
        let bearer = format!("Bearer {ADMIN}");
        let answer = send(&self.setup.admin, "GET", "/v1/revision", &[("Authorization", &bearer)], b"").await;
        answer.json()
    }
}

/// The operations that were answered with success, as method and path.
fn answered(entries: &[Value]) -> BTreeSet<String> {
    let good = entries.iter().filter(|entry| entry["response"]["status"].as_u64().is_some_and(|status| status < 300));
    let name = |entry: &Value| {
        let url = entry["request"]["url"].as_str().unwrap_or_default();
        let path = url.splitn(4, '/').nth(3).unwrap_or_default();
        let path = path.split('?').next().unwrap_or_default();
        format!("{} /{path}", entry["request"]["method"].as_str().unwrap_or_default())
    };
    good.map(name).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_is_answered_is_documented() {
    let world = World::start().await;
    let bearer = format!("Authorization: Bearer {ADMIN}");
    // A tap never ends, and its answers are tested by themselves.
    let entries = world.fuzz(CHECKS, &["--header", &bearer, "--exclude-path", "/v1/tap"]);
    let answered = answered(&entries);
    for operation in [
        "GET /healthz",
        "GET /metrics",
        "GET /v1/revision",
        "GET /v1/revisions",
        "GET /v1/rules",
        "GET /v1/plugins",
        "POST /v1/reload",
    ] {
        assert!(answered.contains(operation), "{operation} was never answered with success: {answered:?}");
    }
    assert!(!world.trackside.log().contains("by a fault of trackside itself"), "{}", world.trackside.log());
    assert!(!world.trackside.log().contains(ADMIN));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_nothing_changes_and_nothing_is_revealed() {
    let world = World::start().await;
    let before = world.revision().await;
    let checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance";
    let entries = world.fuzz(checks, &[]);
    assert!(entries.len() > 100, "{} requests are too few to say anything", entries.len());
    let open = ["GET /healthz", "GET /readyz", "GET /v1/openapi.json"].map(str::to_owned);
    let answered = answered(&entries);
    assert!(answered.iter().all(|operation| open.contains(operation)), "{answered:?}");
    let revision = before["revision"].as_str().expect("a revision");
    for entry in &entries {
        let text = entry["response"].to_string();
        let told = NAMES.iter().chain([&revision]).find(|name| text.contains(**name));
        assert_eq!(told, None, "{text}");
    }
    assert_eq!(world.revision().await, before);
    let audit = std::fs::read_to_string(world.beside().join("audit.jsonl")).expect("an audit file");
    let tried: Vec<Value> = audit.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    let refused = |line: &Value| line["outcome"] == "refused" && line["status"] == 401 && line["who"].is_null();
    assert!(!tried.is_empty() && tried.iter().all(refused), "what has no token is not begun: {tried:#?}");
}
