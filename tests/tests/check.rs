//! `trackside check` and `trackside plugin inspect`: what is wrong, where it is, and what to write instead.

use trackside_tests::{Finished, Setup, command, command_with, hostile};

const CONFIG: &str = "[sources.orders]\nstream = \"ORDERS\"\nfilter-subjects = [\"orders.>\"]\ndurable = \"trackside-orders\"\n\
     [streams.CLEAN]\nsubjects = [\"clean.>\"]\n";

/// The lines of `CONFIG` begin here, after what every test configuration begins with.
const FIRST_LINE: usize = 7;

const RULE: &str = r#"[[rule]]
name = "orders"
source = "orders"
subject = "orders.*"
[[rule.stage]]
plugin = "PLUGIN"
with = { WITH }
[rule.routes]
default = "clean.orders"
[rule.on-failure]
dead-letter = "dead.orders"
"#;

/// The line of `plugin = …` in a rule, and the one of `with = …`.
const PLUGIN_LINE: usize = 6;
const WITH_LINE: usize = 7;

fn rule(plugin: &str, with: &str) -> String {
    RULE.replace("PLUGIN", plugin).replace("WITH", with)
}

/// A configuration with one rule of one stage.
fn setup(plugin: &str, with: &str) -> Setup {
    let setup = Setup::new("nats://127.0.0.1:1", CONFIG);
    setup.write("rules/orders.toml", rule(plugin, with));
    setup
}

/// A configuration with a plugin of one's own.
fn with_plugin(bytes: &[u8], more: &str) -> Setup {
    let setup =
        Setup::new("nats://127.0.0.1:1", &format!("{CONFIG}[plugins.own]\npath = \"plugins/own.wasm\"\n{more}"));
    setup.write("rules/orders.toml", rule("own", ""));
    setup.write("plugins/own.wasm", bytes);
    setup
}

fn check(setup: &Setup) -> Finished {
    command(&["check", setup.argument()], b"")
}

/// The problems of a configuration that has some, without the folder in the names of its files.
fn report(setup: &Setup) -> String {
    let done = check(setup);
    assert_eq!((done.code, done.stdout.as_str()), (1, ""), "{}", done.stderr);
    done.stderr.replace(&format!("{}/", setup.argument()), "")
}

/// That there is exactly one problem, at this place, and that it says all of this.
fn one_problem(setup: &Setup, place: &str, says: &[&str]) {
    let report = report(setup);
    assert!(report.ends_with("\n1 error\n"), "{report}");
    assert!(report.contains(&format!("[{place}")), "{place} in\n{report}");
    // Lines are wrapped where a terminal would.
    let flat = report.split_whitespace().collect::<Vec<_>>().join(" ");
    for say in says {
        assert!(flat.contains(say), "{say} in\n{report}");
    }
}

/// What stands above the carets of the only problem's last excerpt.
fn under_carets(report: &str) -> String {
    let lines: Vec<_> = report.lines().collect();
    let carets = lines.iter().rposition(|line| line.contains('^')).expect("there is a caret");
    let marked = |(column, c): (usize, char)| matches!(c, '^' | '|').then_some(column).filter(|column| *column > 4);
    let columns: Vec<_> = lines[carets].chars().enumerate().filter_map(marked).collect();
    let (from, to) = (columns[0], columns[columns.len() - 1]);
    lines[carets - 1].chars().skip(from).take(to - from + 1).collect()
}

#[test]
fn a_configuration_without_problems_is_summed_up_and_exits_with_0() {
    let done = check(&setup("mask", "fields = [{ path = \"$.a\" }]"));
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
    assert!(done.stdout.starts_with("ok: 1 source, 1 rule, 1 plugin, revision "), "{}", done.stdout);
}

#[test]
fn what_is_odd_but_not_wrong_is_a_warning_and_exits_with_0() {
    let setup = setup("mask", "fields = [{ path = \"$.a\" }]");
    let text = rule("mask", "fields = [{ path = \"$.a\" }]");
    setup.write("rules/orders.toml", text.replace("[rule.on-failure]\ndead-letter = \"dead.orders\"\n", ""));
    let done = check(&setup);
    assert_eq!(done.code, 0);
    assert!(done.stdout.starts_with("ok: "), "{}", done.stdout);
    assert!(done.stderr.contains("rule `orders` has no dead letter") && done.stderr.contains("1 warning"));
}

#[test]
fn a_slip_in_the_subject_of_a_route_is_told_before_it_loses_messages() {
    let setup = setup("mask", "fields = [{ path = \"$.a\" }]");
    setup.write(
        "rules/orders.toml",
        rule("mask", "fields = [{ path = \"$.a\" }]").replace("clean.orders", "claen.orders"),
    );
    let done = check(&setup);
    assert_eq!(done.code, 0);
    let told = done.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(told.contains("rule `orders` publishes to `claen.orders`, which no stream of trackside.toml"), "{told}");
    assert_eq!(under_carets(&done.stderr), "\"claen.orders\"");
}

#[test]
fn everything_that_is_wrong_is_said_at_once_with_its_place_and_what_to_write_instead() {
    let setup = Setup::new("nats://127.0.0.1:1", &CONFIG.replace("durable", "durabel"));
    setup.write("rules/a.toml", "[[rule]\nname = \"a\"\n");
    setup.write("rules/b.toml", rule("mosk", "").replace("source = \"orders\"", "source = \"oders\""));
    setup.write("rules/c.toml", rule("mask", "").replace("name = \"orders\"", "name = \"c\"\nretries = 3"));
    let report = report(&setup);
    let config = |line: usize| format!("trackside.toml:{}", FIRST_LINE + line);
    for (place, say, help) in [
        (config(3), "unknown key `durabel`", "did you mean `durable`?"),
        ("rules/a.toml:1:8".to_owned(), "not well-formed TOML", ""),
        (format!("rules/b.toml:3:{}", 10), "there is no source `oders`", "did you mean `orders`?"),
        (format!("rules/b.toml:{PLUGIN_LINE}:10"), "there is no plugin `mosk`", "did you mean `mask`?"),
        ("rules/c.toml:3:1".to_owned(), "unknown key `retries`", "the keys here are"),
    ] {
        let block = report.split("error: ").find(|block| block.contains(&format!("[{place}")));
        let block = block.unwrap_or_else(|| panic!("nothing at {place} in\n{report}"));
        assert!(block.starts_with(say) && block.contains(help) && block.contains('^'), "{say}, {help}:\n{block}");
    }
    assert!(report.trim_end().ends_with("errors"), "they are counted:\n{report}");
}

#[test]
fn mistakes_in_files_and_in_settings_that_only_a_plugin_can_judge_are_told_together_and_none_twice() {
    let setup = setup("mask", r#"fields = [{ path = "$.a", action = "eat" }]"#);
    let broken = rule("mask", r#"fields = [{ path = "$.b", action = "devour" }]"#);
    setup.write("rules/typo.toml", broken.replace("name = \"orders\"", "name = \"typo\"\nsubjekt = \"x\""));
    setup.write("rules/unknown.toml", rule("mosk", "").replace("name = \"orders\"", "name = \"unknown\""));
    let report = report(&setup);
    for says in ["action = \"eat\"", "`subjekt`", "mosk", "3 errors"] {
        assert!(report.contains(says), "{says} in {report}");
    }
    assert!(!report.contains("devour"), "a rule with mistakes of its own is not judged any further: {report}");
}

#[test]
fn several_stages_that_refuse_their_settings_are_all_reported() {
    let setup = setup("mask", "feilds = []");
    setup.write("rules/more.toml", rule("route", "else = \"nowhere\"").replace("name = \"orders\"", "name = \"more\""));
    setup.write(
        "rules/unset.toml",
        rule("mask", "x = \"env:CHECK_UNSET\"").replace("name = \"orders\"", "name = \"unset\""),
    );
    let report = report(&setup);
    assert!(report.ends_with("\n3 errors\n"), "{report}");
    for say in ["rules/orders.toml:7", "feilds", "rules/more.toml:7", "nowhere", "rules/unset.toml:7", "CHECK_UNSET"] {
        assert!(report.contains(say), "{say} in\n{report}");
    }
}

#[test]
fn a_directory_that_is_not_there_or_is_a_file_is_named() {
    let setup = setup("mask", "");
    let file = setup.path().join("trackside.toml");
    for (path, say) in [("/no/such/directory", "is not there"), (file.to_str().expect("UTF-8"), "is a file")] {
        let done = command(&["check", path], b"");
        assert_eq!((done.code, done.stdout.as_str()), (1, ""));
        assert!(done.stderr.contains(path) && done.stderr.contains(say), "{}", done.stderr);
    }
}

mod plugin_files {
    use super::*;

    /// Where `path` of the plugin's table is, or the table where there is no better place.
    fn in_config() -> String {
        "trackside.toml:".to_owned()
    }

    #[test]
    fn each_kind_of_file_that_is_no_plugin_is_refused_with_what_it_is() {
        let module = wat::parse_str("(module)").expect("a module");
        let foreign =
            wat::parse_str("(component (import \"x\" (func)) (export \"run\" (func 0)))").expect("a component");
        let cases: [(&str, Vec<u8>, &str); 9] = [
            ("a core module", module.clone(), "this is a core module, not a component"),
            ("another world", foreign, "this component is not a plugin: it exports `run`"),
            (
                "another contract",
                hostile::component_of_version(&hostile::text("forward"), "0.2.0"),
                "version 0.2.0 of the contract",
            ),
            ("text", b"(component)".to_vec(), "WebAssembly in text form"),
            ("a picture", b"\x89PNG\r\n\x1a\n".to_vec(), "not a WebAssembly file"),
            ("nothing", Vec::new(), "not a WebAssembly file"),
            ("half of it", hostile::component("forward")[..200].to_vec(), "damaged"),
            (
                "an import that is not offered",
                hostile::component("foreign-import"),
                "it imports `wasi:http/outgoing-handler@0.2.0`",
            ),
            (
                "an import that was not granted",
                hostile::component("log"),
                "`trackside:plugin/log@0.1.0`, which takes the grant `log`",
            ),
        ];
        for (name, bytes, say) in cases {
            eprintln!("{name}");
            one_problem(&with_plugin(&bytes, ""), &in_config(), &["plugin `own`: ", say]);
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let setup = with_plugin(b"", "");
        std::fs::remove_file(setup.path().join("plugins/own.wasm")).expect("it was there");
        one_problem(&setup, &in_config(), &["plugins/own.wasm", "`path` is taken from the configuration directory"]);
    }

    #[test]
    fn a_file_with_another_digest_than_its_pin_is_refused_with_both() {
        let pin = "0".repeat(64);
        let setup = with_plugin(&hostile::component("forward"), &format!("sha256 = \"{pin}\"\n"));
        one_problem(&setup, &in_config(), &["its SHA-256 is ", &pin]);
        let done = command(&["plugin", "inspect", &format!("{}/plugins/own.wasm", setup.argument())], b"");
        let digest = done.stdout.lines().find_map(|line| line.strip_prefix("sha256    ")).expect("it tells the digest");
        assert!(report(&setup).contains(digest), "the error tells what to pin");
        let setup = with_plugin(&hostile::component("forward"), &format!("sha256 = \"{digest}\"\n"));
        assert_eq!(check(&setup).code, 0);
    }

    #[test]
    fn a_plugin_that_breaks_while_it_takes_its_settings_in_is_refused_with_how() {
        let limits = "memory = \"16MiB\"\nconfigure-deadline = \"50ms\"\n";
        for (name, say) in [
            ("trap-in-configure", "aborted (wasm `unreachable`)"),
            ("loop-in-configure", "did not finish within its deadline of 50ms"),
            ("loop-in-start", "did not finish within its deadline of 50ms"),
            ("memory-at-start", "ran out of its 16MiB of memory"),
            ("message-in-configure", "it called `message.subject` outside of `handle`"),
            ("refuse-config", "{}"),
        ] {
            eprintln!("{name}");
            let limits = if name.starts_with("loop") { limits } else { "memory = \"16MiB\"\n" };
            let setup = with_plugin(&hostile::component(name), limits);
            one_problem(&setup, "rules/orders.toml:", &["rule `orders`, plugin `own`: ", say]);
        }
    }

    #[test]
    fn a_plugin_that_quotes_its_settings_in_an_error_shows_no_secret() {
        let setup = with_plugin(&hostile::component("refuse-config"), "");
        setup.write("rules/orders.toml", rule("own", "key = \"env:CHECK_KEY\", plain = \"shown\""));
        let done = command_with(&["--log", "trace", "check", setup.argument()], &[("CHECK_KEY", "swordfish")], b"");
        assert_eq!(done.code, 1);
        assert!(done.stderr.contains("shown") && !done.stderr.contains("swordfish"), "{}", done.stderr);
    }
}

mod settings {
    use super::*;

    fn refused(plugin: &str, with: &str, marked: &str, says: &[&str]) {
        let setup = setup(plugin, with);
        one_problem(&setup, &format!("rules/orders.toml:{WITH_LINE}:"), says);
        let report = report(&setup);
        assert_eq!(under_carets(&report), marked, "{report}");
    }

    #[test]
    fn the_caret_is_at_the_value_that_a_standard_plugin_refuses() {
        refused("mask", r#"fields = [{ path = "$.a", action = "eat" }]"#, r#""eat""#, &["fields[0].action", "eat"]);
        refused("mask", r#"fields = [{ path = "$[" }]"#, r#""$[""#, &["fields[0].path"]);
        refused("route", r#"else = "nowhere""#, r#""nowhere""#, &["else", "nowhere", "default"]);
        refused("route", r#"when = [{ if = "body.a >", to = "default" }]"#, r#""body.a >""#, &["when[0].if"]);
        refused("validate", r#"schema = "schemas/none.json""#, r#""schemas/none.json""#, &["schema", "none.json"]);
    }

    #[test]
    fn a_key_that_a_standard_plugin_does_not_know_is_named() {
        for (plugin, with) in [("mask", "feilds = []"), ("route", "els = \"x\""), ("validate", "shcema = \"x\"")] {
            let key = with.split(' ').next().expect("a key");
            one_problem(&setup(plugin, with), &format!("rules/orders.toml:{WITH_LINE}:"), &["unknown field", key]);
        }
    }

    #[test]
    fn a_schema_out_of_the_folders_that_may_be_read_is_refused() {
        let setup = setup("validate", r#"schema = "../secret.json""#);
        std::fs::write(setup.path().with_file_name("secret.json"), "{\"const\": \"swordfish\"}").expect("a file");
        one_problem(&setup, "rules/orders.toml:7:", &["../secret.json"]);
        assert!(!report(&setup).contains("swordfish"));
    }

    #[test]
    fn a_secret_that_is_not_there_is_named_at_its_place() {
        let with = |key: &str| format!("fields = [{{ path = \"$.a\", action = \"hash\", key = \"{key}\" }}]");
        for (key, say) in [("env:CHECK_UNSET", "CHECK_UNSET"), ("file:secrets/none", "secrets/none")] {
            let setup = setup("mask", &with(key));
            one_problem(&setup, "rules/orders.toml:7:", &[say]);
            assert_eq!(under_carets(&report(&setup)), format!("\"{key}\""));
        }
    }
}

mod inspect {
    use super::*;

    fn inspect(bytes: &[u8]) -> Finished {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("some.wasm");
        std::fs::write(&file, bytes).expect("a file in a temporary folder");
        command(&["plugin", "inspect", file.to_str().expect("UTF-8")], b"")
    }

    #[test]
    fn a_plugin_is_described() {
        let bytes = hostile::component("trap");
        let done = inspect(&bytes);
        assert_eq!((done.code, done.stderr.as_str()), (0, ""));
        let lines: Vec<_> = done.stdout.lines().collect();
        assert_eq!(lines[0], "kind      plugin");
        assert_eq!(lines[1], "contract  trackside:plugin@0.1.0");
        assert_eq!(lines[2], format!("size      {} bytes", bytes.len()));
        assert!(lines[3].starts_with("sha256    ") && lines[3].len() == "sha256    ".len() + 64, "{}", lines[3]);
        assert_eq!(lines[4], "imports   trackside:plugin/message@0.1.0");
        assert_eq!(lines[5], "exports   trackside:plugin/stage@0.1.0");
        assert_eq!(lines[6], "grants    none");
        assert_eq!(lines.len(), 7);
        let done = inspect(&hostile::component("log"));
        assert!(done.stdout.ends_with("grants    log (for trackside:plugin/log@0.1.0)\n"), "{}", done.stdout);
    }

    #[test]
    fn what_is_no_plugin_is_described_too_and_exits_with_1() {
        let module = wat::parse_str("(module (import \"a\" \"b\" (func)) (export \"c\" (func 0)))").expect("a module");
        let foreign =
            wat::parse_str("(component (import \"x\" (func)) (export \"run\" (func 0)))").expect("a component");
        for (bytes, tells, why) in [
            (module, &["kind      core module", "imports   a b", "exports   c"] as &[&str], "component new"),
            (foreign, &["kind      component of another world", "imports   x", "exports   run"], "is not a plugin"),
            (hostile::component_of_version(&hostile::text("forward"), "0.2.0"), &["trackside:plugin@0.2.0"], "0.2.0"),
            (hostile::component("foreign-import"), &["wasi:http/outgoing-handler@0.2.0"], "not given"),
        ] {
            let done = inspect(&bytes);
            assert_eq!(done.code, 1, "{}", done.stdout);
            for tell in tells {
                assert!(done.stdout.contains(tell), "{tell} in {}", done.stdout);
            }
            assert!(done.stderr.contains("some.wasm: ") && done.stderr.contains(why), "{}", done.stderr);
        }
    }

    #[test]
    fn a_core_module_is_told_what_would_make_a_plugin_of_it() {
        let module = "(module (import \"wasi_snapshot_preview1\" \"fd_write\" (func)) (export \"c\" (func 0)))";
        let done = inspect(&wat::parse_str(module).expect("a module"));
        assert!(done.code == 1 && !done.stdout.contains("grants"), "{}", done.stdout);
        for part in ["exports `c`", "`trackside:plugin/stage@0.1.0`", "--adapt wasi_snapshot_preview1=ADAPTER.wasm -o"]
        {
            assert!(done.stderr.contains(part), "{part} in {}", done.stderr);
        }
        let done = inspect(&wat::parse_str("(module)").expect("a module"));
        assert!(!done.stderr.contains("adapt"), "{}", done.stderr);
    }

    #[test]
    fn what_is_no_webassembly_is_refused() {
        for (bytes, why) in [
            (b"hello".as_slice(), "not a WebAssembly file"),
            (b"(module)", "text form"),
            (b"\0asm\x0d\0\x01\0\xff\xff", "damaged"),
        ] {
            let done = inspect(bytes);
            assert_eq!((done.code, done.stdout.as_str()), (1, ""));
            assert!(done.stderr.contains(why), "{}", done.stderr);
        }
        let done = command(&["plugin", "inspect", "/no/such/file.wasm"], b"");
        assert_eq!(done.code, 1);
        assert!(done.stderr.contains("/no/such/file.wasm: cannot be read: "), "{}", done.stderr);
    }
}

mod usage {
    use super::*;

    #[test]
    fn the_version_tells_those_of_wasmtime_and_of_the_contract_too() {
        let done = command(&["--version"], b"");
        assert_eq!((done.code, done.stderr.as_str()), (0, ""));
        let expected = format!("trackside {} (wasmtime 48.", env!("CARGO_PKG_VERSION"));
        assert!(done.stdout.starts_with(&expected), "{}", done.stdout);
        assert!(done.stdout.ends_with(", contract trackside:plugin@0.1.0)\n"), "{}", done.stdout);
    }

    #[test]
    fn wrong_usage_exits_with_2_and_says_what_is_right() {
        for arguments in [
            &[] as &[&str],
            &["chekc", "x"],
            &["check"],
            &["check", "a", "b"],
            &["run"],
            &["plugin"],
            &["plugin", "inspect"],
            &["--log-format", "xml", "check", "x"],
            &["--log", "nonsense=nonsense", "check", "x"],
        ] {
            let done = command(arguments, b"");
            assert_eq!((done.code, done.stdout.as_str()), (2, ""), "{arguments:?}");
            assert!(!done.stderr.is_empty(), "{arguments:?}");
        }
    }

    #[test]
    fn help_is_no_failure() {
        for arguments in [&["--help"] as &[&str], &["try", "--help"], &["plugin", "inspect", "--help"]] {
            let done = command(arguments, b"");
            assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{arguments:?}");
            assert!(done.stdout.contains("Usage: trackside"), "{}", done.stdout);
        }
    }
}
