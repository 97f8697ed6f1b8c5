//! Snapshots of configured instances.

use std::fs;

use super::super::snapshot::detach;
use super::*;

/// A plugin whose every message gets an instance.
fn isolated(module: &str) -> Arc<Plugin> {
    let settings = PluginSettings { isolation: Isolation::Message, ..settings() };
    ENGINE.load(source(hostile::component_of(module), settings)).expect("it loads")
}

/// Another one, of `tests/hostile`, that may write to the log.
fn isolated_with_log(name: &str) -> Arc<Plugin> {
    load_with(name, |settings| {
        settings.isolation = Isolation::Message;
        settings.grants.log = true;
    })
}

/// What a stage puts into the payload for each of three messages.
fn answers(stage: &Arc<ConfiguredStage>, payload: &str) -> [String; 3] {
    let mut instances = Instances::new(1);
    std::array::from_fn(|_| {
        let mut work = work(payload);
        assert_eq!(instances.call(stage, &mut work), Ok(Verdict::Forward));
        String::from_utf8_lossy(&work.message.payload).into_owned()
    })
}

/// A module of a plugin, with what is special about it in the places for it.
fn module(beside: &str, configure: &str, handle: &str) -> String {
    let text = r#"(module
      (import "trackside:plugin/message@0.1.0" "[static]selector.compile" (func $compile (param i32 i32 i32)))
      (import "trackside:plugin/message@0.1.0" "[resource-drop]selector" (func $drop (param i32)))
      (import "trackside:plugin/message@0.1.0" "select" (func $select (param i32 i32)))
      (import "trackside:plugin/message@0.1.0" "set-payload" (func $set_payload (param i32 i32)))
      (memory (export "memory") 1 8)
      (global $next (mut i32) (i32.const 2048))
      (func $realloc (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
        (global.set $next (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
        (global.get $next)
        (global.set $next (i32.add (global.get $next) (local.get 3))))
      BESIDE
      (func (export "trackside:plugin/stage@0.1.0#configure") (param $at i32) (param $length i32) (result i32)
        CONFIGURE (i32.const 16))
      (func (export "trackside:plugin/stage@0.1.0#handle") (result i32)
        HANDLE (i32.const 16)))"#;
    text.replace("BESIDE", beside).replace("CONFIGURE", configure).replace("HANDLE", handle)
}

/// Counts the messages that an instance was given in a global and in a page that `configure` has grown.
const COUNTS: [&str; 3] = [
    "(global $count (mut i64) (i64.const 48))",
    "(drop (memory.grow (i32.const 2))) (global.set $count (i64.const 50))
     (i32.store8 (i32.const 131072) (i32.const 65))",
    "(global.set $count (i64.add (global.get $count) (i64.const 1)))
     (i32.store8 (i32.const 131072) (i32.add (i32.load8_u (i32.const 131072)) (i32.const 1)))
     (i32.store8 (i32.const 512) (i32.load8_u (i32.const 131072)))
     (i64.store8 (i32.const 513) (global.get $count))
     (call $set_payload (i32.const 512) (i32.const 2))",
];

#[test]
fn each_message_finds_what_configure_has_left_and_nothing_else() {
    let [beside, configured, handled] = COUNTS;
    let stage = configure(&isolated(&module(beside, configured, handled))).expect("it takes the settings");
    assert!(stage.has_snapshot());
    assert_eq!(answers(&stage, "{}"), ["B3", "B3", "B3"]);
}

#[test]
fn every_kind_of_global_is_as_configure_has_left_it() {
    let globals = "(global $a (mut i32) (i32.const 1)) (global $fixed i32 (i32.const 700))
        (global $b (mut i64) (i64.const 2)) (global $c (mut f32) (f32.const 3)) (global $d (mut f64) (f64.const 4))";
    let configured = "(global.set $a (i32.const -11)) (global.set $b (i64.const -12))
        (global.set $c (f32.const -13.5)) (global.set $d (f64.const -14.25))";
    let handled = "(i32.store (global.get $fixed) (global.get $a)) (i64.store (i32.const 704) (global.get $b))
        (f32.store (i32.const 712) (global.get $c)) (f64.store (i32.const 716) (global.get $d))
        (call $set_payload (global.get $fixed) (i32.const 24))";
    let stage = configure(&isolated(&module(globals, configured, handled))).expect("it takes the settings");
    assert!(stage.has_snapshot());
    let mut work = work("{}");
    assert_eq!(call(&stage, &mut work), Ok(Verdict::Forward));
    let want = [
        (-11_i32).to_le_bytes().to_vec(),
        (-12_i64).to_le_bytes().to_vec(),
        (-13.5_f32).to_le_bytes().to_vec(),
        (-14.25_f64).to_le_bytes().to_vec(),
    ];
    assert_eq!(work.message.payload, want.concat());
}

/// Compiles `$.a`, `$.b` and `$.c`, and keeps their handles in memory.
const SELECTORS: [&str; 2] = [
    r#"(data (i32.const 256) "$.a$.b$.c") (data (i32.const 272) "\00\01\00\00\03\00\00\00\03\01\00\00\03\00\00\00")
       (data (i32.const 288) "\06\01\00\00\03\00\00\00")
       (func $first (param i32)
         (call $select (i32.load (local.get 0)) (i32.const 512))
         (if (i32.load8_u (i32.const 512)) (then (unreachable)))
         (call $set_payload
           (i32.load (i32.add (i32.load (i32.const 516)) (i32.const 8)))
           (i32.load (i32.add (i32.load (i32.const 516)) (i32.const 12)))))"#,
    "(call $compile (i32.const 272) (i32.const 1) (i32.const 512)) (i32.store (i32.const 320) (i32.load (i32.const 516)))
     (call $compile (i32.const 280) (i32.const 1) (i32.const 512)) (i32.store (i32.const 324) (i32.load (i32.const 516)))
     (call $compile (i32.const 288) (i32.const 1) (i32.const 512)) (i32.store (i32.const 328) (i32.load (i32.const 516)))",
];

const PAYLOAD: &str = r#"{"a":"one","b":"two","c":"three"}"#;

#[test]
fn handles_of_selectors_mean_what_they_meant() {
    for (at, found) in [(320, "one"), (324, "two"), (328, "three")] {
        let handled = format!("(call $first (i32.const {at}))");
        let stage = configure(&isolated(&module(SELECTORS[0], SELECTORS[1], &handled))).expect("it takes the settings");
        assert!(stage.has_snapshot());
        assert_eq!(answers(&stage, PAYLOAD), [found; 3]);
    }
}

#[test]
fn a_trap_names_its_function_and_the_next_message_finds_what_configure_has_left() {
    let [beside, configured, handled] = COUNTS;
    let broken = "(func $broken_on_purpose (if (i64.eq (global.get $count) (i64.const 51)) (then (unreachable))))";
    let text = module(&(beside.to_owned() + broken), configured, &(handled.to_owned() + "(call $broken_on_purpose)"));
    let stage = configure(&isolated(&text)).expect("it takes the settings");
    assert!(stage.has_snapshot());
    for _ in 0..2 {
        let message = "it aborted (wasm `unreachable`) in `broken_on_purpose`".to_owned();
        assert_eq!(fault_of(&stage), Fault::Trap { message });
    }
}

#[test]
fn the_state_of_the_standard_plugins_can_be_taken_out() {
    let mut plugins: Vec<Vec<u8>> = Vec::new();
    for name in crate::plan::STANDARD_PLUGINS {
        let name = PluginName::new(name).expect("a name");
        plugins.extend(crate::plan::standard_plugin(&name).map(<[u8]>::to_vec));
    }
    plugins.push(hostile::component("redact"));
    for bytes in plugins {
        detach(&bytes).expect("its state can be taken out");
    }
}

#[test]
fn a_plugin_whose_state_cannot_be_told_is_configured_for_each_message() {
    let count = |beside: &str, configured: &str| {
        let [more, also, handled] = COUNTS;
        module(&(beside.to_owned() + more), &(configured.to_owned() + also), handled)
    };
    let table = "(table $t 4 funcref) (elem declare func $realloc)";
    for (why, text) in [
        ("tables", count(table, "(table.set $t (i32.const 1) (ref.func $realloc))")),
        ("segments", count(r#"(data $gone "x")"#, "(data.drop $gone)")),
        ("start", count("(func $begin (i32.store (i32.const 512) (i32.const 7))) (start $begin)", "")),
        ("computed data", count(r#"(global $o i32 (i32.const 64)) (data (global.get $o) "x")"#, "")),
        ("dropped handle", count(SELECTORS[0], &format!("{} (call $drop (i32.load (i32.const 320)))", SELECTORS[1]))),
    ] {
        let stage = configure(&isolated(&text)).unwrap_or_else(|error| panic!("{why}: {error}"));
        assert!(!stage.has_snapshot(), "{why}");
        assert_eq!(answers(&stage, "{}"), ["B3"; 3], "{why}");
    }
}

#[test]
fn after_a_dropped_handle_the_others_still_mean_what_they_meant() {
    let configured = format!("{} (call $drop (i32.load (i32.const 320)))", SELECTORS[1]);
    let stage = configure(&isolated(&module(SELECTORS[0], &configured, "(call $first (i32.const 328))")));
    assert_eq!(answers(&stage.expect("it takes the settings"), PAYLOAD), ["three"; 3]);
}

#[test]
fn configure_is_called_once_for_all_messages() {
    let plugin = isolated_with_log("echo-config");
    let lines = super::secrets::logged(|| {
        let stage = configure(&plugin).expect("it takes the settings");
        let mut instances = Instances::new(1);
        for _ in 0..3 {
            assert_eq!(instances.call(&stage, &mut work("{}")), Ok(Verdict::Reject("{}".to_owned())));
        }
    });
    assert_eq!(lines.len(), 1, "{lines:?}");
}

#[test]
fn stages_of_one_plugin_have_their_own_settings() {
    let plugin = isolated_with_log("echo-config");
    let configs = [r#"{"a":1}"#, r#"{"b":22}"#];
    let stages = configs.map(|config| {
        let none = StageSecrets::default();
        plugin.configure(config.to_owned(), Vec::new(), Path::new("."), none).expect("it takes the settings")
    });
    for _ in 0..2 {
        for (stage, config) in stages.iter().zip(configs) {
            assert!(stage.has_snapshot());
            assert_eq!(call(stage, &mut work("{}")), Ok(Verdict::Reject(config.to_owned())));
        }
    }
}

#[test]
fn memory_that_configure_has_grown_counts_for_the_limit() {
    let [beside, configured, _] = COUNTS;
    let handled = "(i32.store8 (i32.const 512) (i32.add (i32.const 66) (memory.grow (i32.const 1))))
        (call $set_payload (i32.const 512) (i32.const 1))";
    let settings = |pages: usize| {
        let mut settings = PluginSettings { isolation: Isolation::Message, ..settings() };
        settings.limits.memory_bytes = pages << 16;
        ENGINE.load(source(hostile::component_of(&module(beside, configured, handled)), settings)).expect("it loads")
    };
    let answers = |pages| answers(&configure(&settings(pages)).expect("it takes the settings"), "{}");
    assert_eq!((answers(4), answers(3)), (["E"; 3].map(String::from), ["A"; 3].map(String::from)));
}

#[test]
fn snapshots_are_not_on_disk_and_the_component_without_state_is() {
    let folder = tempfile::tempdir().expect("a directory");
    let engine = || {
        let cache = Some(folder.path().to_owned());
        Engine::new(EngineSettings { cache, max_instances: 4, ..EngineSettings::default() }).expect("an engine")
    };
    let run = |engine: &Engine| {
        let grants = Grants { log: true, ..Grants::default() };
        let settings = PluginSettings { isolation: Isolation::Message, grants, ..settings() };
        let plugin = engine.load(source(hostile::component("echo-config"), settings)).expect("it loads");
        let secrets = StageSecrets { of_settings: vec!["hunter2hunter2".to_owned()], ..StageSecrets::default() };
        let stage = plugin.configure(r#"{"key":"hunter2hunter2"}"#.to_owned(), Vec::new(), Path::new("."), secrets);
        assert!(stage.expect("it takes the settings").has_snapshot());
    };
    run(&engine());
    let files = || {
        let files = fs::read_dir(folder.path()).expect("the folder").map(|entry| entry.expect("an entry").path());
        files.collect::<Vec<_>>()
    };
    let kept = files();
    assert_eq!(kept.len(), 1, "{kept:?}");
    let bytes = fs::read(&kept[0]).expect("an entry");
    assert!(!bytes.windows(14).any(|window| window == b"hunter2hunter2"));
    run(&engine());
    assert_eq!(files(), kept);
}
