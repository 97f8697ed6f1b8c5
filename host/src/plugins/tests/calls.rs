//! What a call gives.

use std::time::Duration;

use super::super::{Part, Refusal};
use super::*;

#[test]
fn the_smallest_plugin_forwards_and_changes_nothing() {
    let mut work = work("{}");
    let before = work.message.clone();
    assert_eq!(call(&stage("forward"), &mut work), Ok(Verdict::Forward));
    assert_eq!(work.message, before);
}

#[test]
fn a_trap_names_its_function_and_leaves_the_message_as_it_was() {
    let stage = stage("trap");
    let mut work = work("{}");
    let before = work.message.clone();
    let message = "it aborted (wasm `unreachable`) in `broken_on_purpose`".to_owned();
    assert_eq!(call(&stage, &mut work), Err(Fault::Trap { message }.into()));
    assert_eq!(work.message, before);
}

#[test]
fn a_trap_in_configure_is_an_error_of_the_stage() {
    let error = configure(&load("trap-in-configure")).expect_err("it traps");
    assert!(error.to_string().starts_with("the plugin trapped: it aborted"), "{error}");
}

#[test]
fn giving_up_is_a_fault_on_one_line() {
    assert_eq!(fault_of(&stage("fatal")), Fault::Fatal { reason: "cannot\\non!".to_owned() });
}

#[test]
fn a_retry_is_no_fault_and_keeps_the_instance() {
    let stage = stage("retry");
    let mut instances = Instances::new(1);
    let after = Some(Duration::from_millis(1500));
    let refused = CallError::Refused(Refusal { reason: "later".to_owned(), after });
    assert_eq!(instances.call(&stage, &mut work("{}")), Err(refused));
    assert_eq!(instances.len(), 1);
}

#[test]
fn a_part_carries_no_reserved_header() {
    let Ok(Verdict::Split(parts)) = call(&stage("split"), &mut work("{}")) else { panic!("not split") };
    let headers =
        [("A", "b")].map(|(name, value)| crate::message::Header { name: name.into(), value: value.to_owned() });
    let part = Part { payload: "{}".into(), headers: headers.into_iter().collect(), route: Some("x".to_owned()) };
    assert_eq!(parts, [part]);
}

#[test]
fn a_part_with_a_header_that_cannot_be_sent_is_a_fault() {
    let Fault::Verdict { reason } = fault_of(&stage("split-bad-header")) else { panic!("not a verdict's fault") };
    assert!(reason.contains("control characters"), "{reason}");
}

#[test]
fn what_select_finds_replace_puts_in_and_every_other_byte_stays() {
    let stage = stage("redact");
    let mut instances = Instances::new(1);
    for (payload, want) in [
        (r#"{ "a": 1.0e2, "secret" : "x", "b":[ ] }"#, r#"{ "a": 1.0e2, "secret" : "***", "b":[ ] }"#),
        (r#"{"secret":{"deep":1}}"#, r#"{"secret":"***"}"#),
        (r#"{"s\u0065cret":null}"#, r#"{"s\u0065cret":"***"}"#),
        (r#"{"other":1}"#, r#"{"other":1}"#),
    ] {
        let mut work = work(payload);
        assert_eq!(instances.call(&stage, &mut work), Ok(Verdict::Forward), "{payload}");
        assert_eq!(work.message.payload, want);
    }
    assert_eq!(instances.len(), 1, "one instance served all");
}

#[test]
fn a_payload_that_is_not_json_is_the_plugin_s_to_judge() {
    let fault = fault_with_payload("not json");
    assert!(matches!(fault, Fault::Trap { .. }), "the plugin aborts on `payload-error`: {fault}");
}

fn fault_with_payload(payload: &str) -> Fault {
    match call(&stage("redact"), &mut work(payload)) {
        Err(CallError::Fault(fault)) => fault,
        other => panic!("not a fault: {other:?}"),
    }
}
