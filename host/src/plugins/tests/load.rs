//! What is refused before it runs, and in which words.

use super::super::{Inspection, Kind, LoadError};
use super::*;

fn error_of(bytes: Vec<u8>) -> LoadError {
    ENGINE.load(source(bytes, settings())).expect_err("it does not load")
}

#[test]
fn what_is_not_webassembly_is_told_apart() {
    assert_eq!(error_of(b"#!/bin/sh".to_vec()), LoadError::NotWasm);
    assert_eq!(error_of(Vec::new()), LoadError::NotWasm);
    assert_eq!(error_of(hostile::text("forward").into_bytes()), LoadError::Text);
    assert!(matches!(error_of(b"\0asm".to_vec()), LoadError::Damaged { .. }));
}

#[test]
fn a_core_module_is_told_how_to_become_a_component() {
    let error = error_of(wat::parse_str(r#"(module (memory (export "m") 1))"#).expect("a module"));
    assert_eq!(error, LoadError::CoreModule { exports: "`m`".to_owned(), wasi_preview1: false });
    assert!(error.to_string().contains("exports `trackside:plugin/stage@0.1.0`"), "{error}");
    assert!(error.to_string().contains("wasm-tools component new"), "{error}");
}

#[test]
fn a_component_of_another_world_is_told_what_it_exports() {
    let foreign = wat::parse_str(r#"(component (component $c) (export "run" (component $c)))"#).expect("a component");
    let error = error_of(foreign).to_string();
    assert_eq!(
        error,
        "this component is not a plugin: it exports `run`, and a plugin exports `trackside:plugin/stage@0.1.0`, or else \
         `wasmcloud:messaging/handler@0.2.0` or `wasi:messaging/incoming-handler@0.2.0-draft`"
    );
}

#[test]
fn another_version_of_the_contract_is_refused() {
    let text = hostile::text("forward");
    let error = error_of(hostile::component_of_version(&text, "0.2.0"));
    assert_eq!(error, LoadError::Contract { found: "0.2.0".to_owned() });
}

#[test]
fn a_later_patch_of_the_contract_runs() {
    for name in ["forward", "redact"] {
        let bytes = hostile::component_of_version(&hostile::text(name), "0.1.7");
        let plugin = ENGINE.load(source(bytes, settings())).expect("it loads");
        assert_eq!(plugin.contract(), "0.1.7");
        let stage = configure(&plugin).expect("it takes the settings");
        assert_eq!(call(&stage, &mut work(r#"{"secret":1}"#)), Ok(Verdict::Forward));
    }
}

#[test]
fn an_import_that_no_plugin_is_given_is_named() {
    let error = error_of(hostile::component("foreign-import"));
    assert_eq!(error, LoadError::Import { names: "`wasi:http/outgoing-handler@0.2.0`".to_owned() });
}

#[test]
fn a_stage_with_other_types_is_refused() {
    let contract = r#"
        package trackside:plugin@0.1.0;
        interface stage {
            configure: func(config: string) -> result<_, string>;
            handle: func() -> bool;
        }
        world plugin { export stage; }
    "#;
    let error = error_of(hostile::component_of_contract(&hostile::text("forward"), contract, "0.1.0"));
    let LoadError::Link { reason } = error else { panic!("{error}") };
    assert!(reason.contains("handle"), "{reason}");
}

#[test]
fn code_that_does_not_validate_is_refused() {
    // The export is a stage by its name alone, which is enough to get as far as the compiler.
    let component = r#"(component
        (core module $m (func (export "f") (result i32)))
        (instance $i)
        (export "trackside:plugin/stage@0.1.0" (instance $i)))"#;
    let error = error_of(wat::parse_str(component).expect("a component"));
    let LoadError::Compile { reason } = error else { panic!("{error}") };
    assert!(reason.contains("type mismatch"), "{reason}");
}

#[test]
fn a_pin_that_does_not_fit_shows_both_digests() {
    let mut settings = settings();
    settings.sha256 = Some([0xab; 32]);
    let bytes = hostile::component("forward");
    let found = hex::encode(Inspection::of(&bytes).expect("a component").sha256);
    let error = ENGINE.load(source(bytes, settings)).expect_err("the pin does not fit");
    assert_eq!(error, LoadError::Pin { pinned: "ab".repeat(32), found });
}

#[test]
fn settings_past_what_the_host_has_are_refused() {
    let mut settings = settings();
    settings.limits.memory_bytes = 2 << 30;
    let error = ENGINE.load(source(hostile::component("forward"), settings)).expect_err("too much memory");
    assert_eq!(error.to_string(), "`memory` asks for 2048MiB, but an instance can have at most 1024MiB");
}

#[test]
fn a_file_past_the_bound_is_refused_unread() {
    assert!(matches!(error_of(vec![0; (64 << 20) + 1]), LoadError::Large { .. }));
}

#[test]
fn an_inspection_tells_what_a_file_is() {
    let inspection = Inspection::of(&hostile::component("redact")).expect("a component");
    assert_eq!(inspection.kind, Kind::Plugin { contract: "0.1.0".to_owned() });
    assert_eq!(inspection.imports, ["trackside:plugin/message@0.1.0"]);
    assert_eq!(inspection.exports, ["trackside:plugin/stage@0.1.0"]);
    let module = wat::parse_str(r#"(module (import "env" "f" (func)) (memory (export "m") 1))"#).expect("a module");
    let inspection = Inspection::of(&module).expect("a module");
    assert_eq!(inspection.kind, Kind::CoreModule);
    assert_eq!((&*inspection.imports, &*inspection.exports), (&["env f".to_owned()][..], &["m".to_owned()][..]));
}
