//! Files of wrong configurations beside the reports that they lead to, and the configuration that is shipped.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::*;

/// What stands in for a file that a case does not have.
const GOOD_CONFIG: &str = r#"
[nats]
servers = ["nats://127.0.0.1:4222"]
[sources.orders]
stream = "ORDERS"
filter-subjects = ["orders.>"]
durable = "trackside"
[streams.CLEAN]
subjects = ["clean.>"]
"#;
const GOOD_RULES: &str = r#"
[[rule]]
name = "orders"
source = "orders"
subject = "orders.*.created"
routes = { default = "clean.orders" }
on-failure = { dead-letter = "dead.orders" }
"#;

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The files of a case: each begins at a line `#: PATH`. `#: none` leaves the usual ones out.
fn files(case: &str) -> FileSet {
    let mut set = FileSet::new("");
    let parts: Vec<(&str, &str)> = case.split("#: ").skip(1).filter_map(|part| part.split_once('\n')).collect();
    for (path, text) in parts.iter().filter(|(path, _)| *path != "none") {
        set = set.with(*path, *text);
    }
    let has = |test: &dyn Fn(&str) -> bool| parts.iter().any(|(path, _)| test(path) || *path == "none");
    if !has(&|path| path == "trackside.toml") {
        set = set.with("trackside.toml", GOOD_CONFIG);
    }
    if !has(&|path| path.starts_with("rules/")) {
        set = set.with("rules/orders.toml", GOOD_RULES);
    }
    set
}

fn outcome(set: &FileSet) -> String {
    match load_from(set) {
        Ok((_, warnings)) if warnings.is_empty() => "fine\n".to_owned(),
        Ok((_, warnings)) => Report(warnings).to_string(),
        Err(report) => report.to_string(),
    }
}

/// Compares with what is in a file, or writes it there when `UPDATE` is set.
fn compare(path: &Path, got: &str) -> Result<(), String> {
    if std::env::var_os("UPDATE").is_some() {
        fs::write(path, got).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    let want = fs::read_to_string(path).unwrap_or_default();
    if got == want {
        return Ok(());
    }
    Err(format!("{} differs; run with UPDATE=1 to rewrite it. What was made:\n{got}", path.display()))
}

#[test]
fn every_wrong_configuration_gets_the_report_beside_it() {
    let mut cases: Vec<PathBuf> = fs::read_dir(here("src/rules/tests"))
        .expect("the folder of cases")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    cases.sort();
    assert!(cases.len() > 10, "the cases were found");
    let mut failures = String::new();
    for path in cases {
        let case = fs::read_to_string(&path).expect("is read");
        if let Err(failure) = compare(&path.with_extension("err"), &outcome(&files(&case))) {
            let _ = writeln!(failures, "{failure}");
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

#[test]
fn no_report_shows_a_secret() {
    for entry in fs::read_dir(here("src/rules/tests")).expect("the folder of cases") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "err") {
            let report = fs::read_to_string(&path).expect("is read");
            assert!(!report.contains("hunter2"), "{}", path.display());
        }
    }
}

#[test]
fn the_shipped_configuration_is_fine() {
    let (rules, warnings) = load(&here("../config")).unwrap_or_else(|report| panic!("{report}"));
    assert!(warnings.is_empty(), "{}", Report(warnings));
    assert!(rules.rules.len() >= 2);
    let orders = rules.rules.iter().find(|rule| rule.name.as_str() == "orders").expect("the rule `orders`");
    let plugins: Vec<_> = orders.stages.iter().map(|stage| stage.plugin.as_str()).collect();
    assert_eq!(plugins, ["validate", "mask", "route"]);
}

#[test]
fn the_reference_is_the_one_in_the_documents() {
    compare(&here("../docs/config.md"), &document()).unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn every_default_of_the_reference_is_one_that_the_parser_takes() {
    for section in reference::ALL {
        for key in section.keys {
            if let reference::Fallback::Value(toml) = key.default {
                toml::de::DeValue::parse(toml).unwrap_or_else(|error| panic!("{}: {error}", key.name));
            }
        }
    }
    let (rules, _) = load_from(&files("")).unwrap_or_else(|report| panic!("{report}"));
    let Config { nats, sources, runtime, .. } = rules.config;
    assert_eq!((nats.name.as_str(), nats.request_timeout), ("trackside", Duration::from_secs(5)));
    let source = sources.get("orders").expect("the source");
    assert_eq!((source.max_in_flight_messages, source.max_in_flight_bytes), (1000, 64 << 20));
    assert!(matches!(&source.kind, SourceKind::JetStream { deliver: Deliver::All, ack_wait, .. }
        if *ack_wait == Duration::from_secs(30)));
    assert_eq!((runtime.drain_timeout, runtime.watch), (Duration::from_secs(10), true));
    assert_eq!((runtime.json_max_depth, runtime.json_max_matches, runtime.json_max_bytes), (128, 100_000, 8 << 20));
    let failure = &rules.rules[0].on_failure;
    assert_eq!((failure.tries, failure.backoff.len()), (5, 3));
    assert_eq!((failure.on_trap, failure.on_deadline), (FaultAction::DeadLetter, FaultAction::Retry));
    assert_eq!(failure.on_limit, FaultAction::DeadLetter);

    let PluginSettings { limits, files, isolation, .. } = PluginSettings::default();
    let want = PluginLimits {
        memory_bytes: 64 << 20,
        deadline: Duration::from_millis(100),
        configure_deadline: Duration::from_secs(5),
        compile_timeout: Duration::from_secs(600),
        compile_memory_bytes: 2 << 30,
        table_elements: 20_000,
        host_calls: 100_000,
        host_bytes: 64 << 20,
        log_lines_per_second: 100,
        recycle_after_messages: 1_000_000,
        recycle_above_bytes: 48 << 20,
    };
    assert_eq!((limits, files, isolation), (want, vec!["schemas/".to_owned()], Isolation::Instance));
}

#[test]
fn everything_that_can_be_written_arrives() {
    let case = fs::read_to_string(here("src/rules/tests/everything.toml")).expect("is read");
    let (rules, warnings) = load_from(&files(&case)).unwrap_or_else(|report| panic!("{report}"));
    assert!(warnings.is_empty());
    let Config { nats, sources, plugins, trust, registries, secrets, streams, admin, sidecar, traces, runtime } =
        &rules.config;
    assert_eq!(nats.servers.len(), 2);
    let password = SecretRef::Env("NATS_PASSWORD".to_owned());
    assert_eq!(nats.auth, Auth::UserPassword { user: SecretRef::Plain("me".to_owned()), password });
    let tls = nats.tls.as_ref().expect("TLS");
    assert!(
        tls.handshake_first && tls.ca.as_ref().is_some_and(|path| path.is_absolute() && path.ends_with("tls/ca.pem"))
    );
    assert!(matches!(&sources["late"].kind, SourceKind::JetStream { deliver: Deliver::FromTime(time), .. }
        if time == "2026-11-22T10:00:00Z"));
    assert!(matches!(&sources["core"].kind, SourceKind::Core { queue_group: Some(group), .. } if group == "trackside"));
    let geo = &plugins["geo"];
    assert_eq!((geo.limits.memory_bytes, geo.limits.recycle_above_bytes), (16 << 20, 12 << 20));
    assert_eq!((geo.limits.compile_timeout, geo.limits.compile_memory_bytes), (Duration::from_secs(30), 1 << 30));
    assert_eq!((geo.isolation, geo.sha256), (Isolation::Message, Some([0xab; 32])));
    assert_eq!(geo.files, ["schemas/", "lists/eu/"]);
    assert!(trust.require_lock);
    let names = |plugin: &str| plugins[plugin].signed_by.iter().map(|key| key.name.to_string()).collect::<Vec<_>>();
    assert_eq!(
        (names("geo"), names("far"), names("mask")),
        (vec!["vendor".to_owned()], vec!["release".to_owned()], Vec::new())
    );
    let far = plugins["far"].oci.as_ref().expect("a reference");
    assert_eq!(
        (far.registry().as_str(), far.repository(), far.tag()),
        ("registry.example:5000", "team/far", Some("1.0"))
    );
    let (_, registry) = registries.iter().next().expect("a registry");
    assert_eq!((registry.plain_http, registry.timeout), (true, Duration::from_secs(5)));
    assert!(registry.login.as_ref().is_some_and(|(user, _)| *user == SecretRef::Plain("me".to_owned())));
    let Grants { log, clock, random, buckets, secrets: granted } = &geo.grants;
    assert!(*log && *clock && *random && granted.contains("geo-key"));
    let buckets: Vec<_> = buckets.iter().map(|(bucket, access)| (bucket.as_str(), *access)).collect();
    assert_eq!(buckets, [("seen", BucketAccess::ReadWrite), ("zones", BucketAccess::Read)]);
    assert_eq!(plugins["mask"].grants, Grants::default());
    assert_eq!(secrets["geo-key"].reference, SecretRef::Env("GEO_KEY".to_owned()));
    assert_eq!(streams["CLEAN"].subjects.len(), 2);
    let admin = admin.as_ref().expect("admin");
    assert_eq!((admin.listen.port(), admin.requests_per_second), (9271, 7));
    let (cert, key) = admin.tls.as_ref().expect("TLS");
    assert!(cert.ends_with("cert.pem") && cert.is_absolute() && key == Path::new("/etc/key.pem"), "{cert:?} {key:?}");
    assert!(admin.audit.as_ref().is_some_and(|audit| audit.ends_with("audit.jsonl")));
    let tokens: Vec<_> = admin.tokens.iter().map(|(name, token)| (name.as_str(), token.role)).collect();
    assert_eq!(tokens, [("grafana", Role::Reader), ("ops", Role::Admin)]);
    assert_eq!(admin.tokens["ops"].token, SecretRef::File("ops.token".into()));
    let newer = AdminSettings { tokens: BTreeMap::new(), ..admin.clone() };
    assert!(admin.differs_in_tokens_alone(&newer));
    assert!(!admin.differs_in_tokens_alone(&AdminSettings { audit: None, ..admin.clone() }));
    let sidecar = sidecar.as_ref().expect("a sidecar");
    let allowed: Vec<_> = sidecar.deliver_to.iter().map(ServiceAddress::as_str).collect();
    assert_eq!((sidecar.listen.to_string().as_str(), sidecar.deliver_concurrency), ("0.0.0.0:9281", 4));
    assert_eq!((sidecar.max_body_bytes, sidecar.max_batch_messages), (64 << 10, 10));
    assert_eq!((sidecar.timeout, sidecar.max_timeout), (Duration::from_secs(1), Duration::from_secs(30)));
    assert_eq!(sidecar.carry_headers, ["X-Tenant"]);
    let made = [SIDECAR_SOURCE, REPLIES_SOURCE].map(|name| &sources[name]);
    assert_eq!(
        made.map(|source| (&source.kind, source.max_in_flight_messages, source.max_in_flight_bytes)),
        [(&SourceKind::Sidecar, 5, 1 << 20), (&SourceKind::Replies, 5, 1 << 20),]
    );
    assert_eq!(made[0].priority, Priority::High);
    assert_eq!(allowed, ["http://127.0.0.1:8080", "https://app.example"]);
    let traces = traces.as_ref().expect("traces");
    assert_eq!((traces.endpoint.as_str(), traces.path.as_str()), ("https://collector.example", "/otlp"));
    let secret =
        |name: &str| traces.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.to_string());
    assert_eq!(secret("Authorization").as_deref(), Some("env:OTLP_AUTHORIZATION"));
    assert_eq!(secret("X-Scope-OrgID").as_deref(), Some("file:tenant"));
    assert_eq!((traces.service_name.as_str(), traces.sample_ratio), ("orders-router", 0.01));
    assert_eq!((traces.timeout, traces.max_waiting_spans), (Duration::from_secs(2), 100));
    assert_eq!((runtime.lanes, runtime.watch), (Some(3), false));

    let rule = &rules.rules[0];
    assert_eq!(rule.stages.len(), 2);
    let want = r#"{"z":1,"a":{"b":[1.5,true,"x"]},"key":"env:K","at":"2026-01-02T03:04:05Z"}"#;
    assert_eq!(rule.stages[0].with.to_string(), want);
    assert_eq!(rule.stages[0].with_location.find("a.b[1]").to_string(), "rules/all.toml:11:26");
    assert_eq!(rule.stages[1].with.to_string(), r#"{"deep":{"er":1}}"#);
    let to = |name: &str| &rule.routes[name].to;
    assert!(matches!(to("held"), Target::Subject { confirm: Confirm::Stream, .. }));
    assert_eq!(to("default").subject().map(ToString::to_string).as_deref(), Some("clean.orders"));
    assert!(matches!(to("app"), Target::Service { timeout, events: None, .. }
        if *timeout == Duration::from_secs(10)));
    assert!(matches!(to("events"), Target::Service { timeout, events: Some(EventMode::Structured), .. }
        if *timeout == Duration::from_secs(2)));
    assert!(matches!(to("pulled"), Target::Subscribers { ack_wait, .. } if *ack_wait == Duration::from_secs(30)));
    assert!(matches!(to("slow"), Target::Subscribers { ack_wait, .. } if *ack_wait == Duration::from_secs(300)));
    let written: Vec<_> = ["app", "pulled"].map(|name| to(name).to_string()).into();
    assert_eq!(written, ["http://127.0.0.1:8080/orders/{subject.2}", "sidecar:orders"]);
    assert_eq!(rule.on_failure.backoff, [Duration::from_millis(250), Duration::from_secs(60)]);
    assert_eq!((rule.on_failure.tries, rule.on_failure.on_trap), (3, FaultAction::Retry));
    assert!(rule.on_failure.dead_letter.is_some());
}

#[test]
fn two_configurations_that_differ_in_nothing_but_lines_and_comments_have_equal_settings() {
    let moved = format!("# moved\n\n{GOOD_CONFIG}");
    let load = |config: &str| {
        let set = FileSet::new("").with("trackside.toml", config).with("rules/a.toml", GOOD_RULES);
        load_from(&set).unwrap_or_else(|report| panic!("{report}")).0
    };
    let (one, two) = (load(GOOD_CONFIG), load(&moved));
    assert_eq!(one.config.sources, two.config.sources);
    assert_eq!(one.config.nats, two.config.nats);
    assert_ne!(one.digest, two.digest);
}

#[test]
fn a_file_that_is_not_text_is_told_and_the_others_are_still_checked() {
    let set = FileSet::new("")
        .with("trackside.toml", GOOD_CONFIG)
        .with("rules/a.toml", b"# fine\nname = \"\xff\"".as_slice())
        .with("rules/b.toml", "rules = 1");
    let report = outcome(&set);
    assert!(report.contains("`rules/a.toml` is not UTF-8 text: see line 2"), "{report}");
    assert!(report.contains("did you mean `rule`?"), "{report}");
}

#[test]
fn no_slip_of_the_pen_makes_the_parser_or_the_report_panic() {
    let mut reports = 0;
    for entry in fs::read_dir(here("src/rules/tests")).expect("the folder of cases") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let case = fs::read_to_string(&path).expect("is read");
        for (number, (at, c)) in case.char_indices().enumerate().step_by(11) {
            let slip = ["", "\"", "é", "[", "\n", "=", "\u{85}", "}}"][number / 11 % 8];
            let changed = format!("{}{slip}{}", &case[..at], &case[at + c.len_utf8()..]);
            reports += usize::from(outcome(&files(&changed)).len() > "fine\n".len());
        }
    }
    assert!(reports > 500, "most of the changes are errors: {reports}");
}

#[test]
fn ten_thousand_rules_load_in_a_moment_and_so_does_the_report_of_ten_thousand_errors() {
    let rules = |count: usize, source: &str| {
        (0..count).fold(String::new(), |mut text, index| {
            let _ = write!(
                text,
                "[[rule]]\nname = \"rule-{index}\"\nsource = \"{source}\"\nsubject = \"orders.t{index}.*\"\n\
                 [[rule.stage]]\nplugin = \"mask\"\nwith = {{ fields = [{{ path = \"$.a\", action = \"redact\" }}] }}\n\
                 [rule.routes]\ndefault = \"clean.t{index}.{{subject.3}}\"\n\
                 [rule.on-failure]\ndead-letter = \"dead.orders\"\n"
            );
            text
        })
    };
    let set = FileSet::new("").with("trackside.toml", GOOD_CONFIG).with("rules/a.toml", rules(10_000, "orders"));
    let started = Instant::now();
    let (loaded, warnings) = load_from(&set).unwrap_or_else(|report| panic!("{}", report.summary()));
    eprintln!("10,000 rules in {:?}", started.elapsed());
    assert_eq!((loaded.rules.len(), warnings.len()), (10_000, 0));

    let set = FileSet::new("").with("trackside.toml", GOOD_CONFIG).with("rules/a.toml", rules(10_000, "ordres"));
    let report = load_from(&set).expect_err("has errors");
    let text = report.to_string();
    eprintln!("and 10,000 errors in {:?} altogether", started.elapsed());
    assert_eq!(report.0.len(), 10_000);
    assert!(text.ends_with("  and 9500 more\n\n10000 errors\n"), "{}", &text[text.len() - 100..]);
    // Without optimisation, on a busy machine: a quadratic step would take minutes.
    assert!(started.elapsed() < Duration::from_secs(20));
}
