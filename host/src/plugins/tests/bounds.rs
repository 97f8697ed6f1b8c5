//! What a guest may not do to the host.

use std::time::{Duration, Instant};

use super::super::Limit;
use super::*;

#[test]
fn an_endless_loop_ends_at_the_deadline() {
    let limit = Duration::from_millis(20);
    let plugin = load_with("loop", |s| s.limits.deadline = limit);
    let begun = Instant::now();
    assert_eq!(fault_of(&configure(&plugin).expect("it takes the settings")), Fault::Deadline { limit });
    assert!(begun.elapsed() >= limit, "ended early: {:?}", begun.elapsed());
}

#[test]
fn the_deadline_holds_inside_of_host_calls() {
    let limit = Duration::from_millis(1);
    let plugin = load_with("redact", |s| s.limits.deadline = limit);
    let stage = configure(&plugin).expect("it takes the settings");
    let mut work = work(&format!("[{}1]", "1,".repeat(2_000_000)));
    assert_eq!(call(&stage, &mut work), Err(Fault::Deadline { limit }.into()));
}

#[test]
fn an_endless_configure_or_start_ends_at_its_own_deadline() {
    let limit = Duration::from_millis(20);
    for name in ["loop-in-configure", "loop-in-start"] {
        let plugin = load_with(name, |s| s.limits.configure_deadline = limit);
        assert_eq!(configure(&plugin).err(), Some(Fault::Deadline { limit }.into()), "{name}");
    }
}

#[test]
fn memory_past_the_limit_is_a_memory_fault() {
    assert_eq!(fault_of(&stage("memory")), Fault::Memory { limit_bytes: 16 << 20 });
}

#[test]
fn a_guest_that_gets_over_a_refused_growth_goes_on() {
    assert_eq!(call(&stage("memory-survivor"), &mut work("{}")), Ok(Verdict::Forward));
}

#[test]
fn memory_that_begins_past_the_limit_is_a_memory_fault_of_configure() {
    let fault = Fault::Memory { limit_bytes: 16 << 20 };
    assert_eq!(configure(&load("memory-at-start")).err(), Some(fault.into()));
}

#[test]
fn endless_recursion_is_a_trap_that_names_the_stack() {
    let Fault::Trap { message } = fault_of(&stage("recursion")) else { panic!("not a trap") };
    assert_eq!(message, "it used up its call stack in `deeper`");
}

#[test]
fn tables_past_the_limit_are_a_fault_of_that_limit() {
    assert_eq!(fault_of(&stage("table")), Fault::Limit { which: Limit::TableElements(20_000) });
}

#[test]
fn host_calls_past_the_limit_are_a_fault_of_that_limit() {
    assert_eq!(fault_of(&stage("host-calls")), Fault::Limit { which: Limit::HostCalls(10_000) });
}

#[test]
fn bytes_to_the_guest_past_the_limit_are_a_fault_of_that_limit() {
    let stage = stage("host-bytes");
    let mut work = work(&"x".repeat(1 << 20));
    assert_eq!(call(&stage, &mut work), Err(Fault::Limit { which: Limit::HostBytes(8 << 20) }.into()));
}

#[test]
fn bytes_from_the_guest_cannot_be_multiplied_by_naming_them_often() {
    assert_eq!(fault_of(&stage("aliased-strings")), Fault::Limit { which: Limit::HostBytes(8 << 20) });
}

#[test]
fn selectors_that_are_never_dropped_come_to_an_end() {
    let stage = stage("selector-leak");
    let mut instances = Instances::new(1);
    for _ in 0..3 {
        assert_eq!(instances.call(&stage, &mut work("{}")), Ok(Verdict::Forward));
    }
    let Ok(Verdict::Reject(reason)) = instances.call(&stage, &mut work("{}")) else { panic!("not rejected") };
    assert!(reason.starts_with("an instance has at most 1024 selectors at a time"), "{reason}");
}

#[test]
fn selectors_that_are_never_dropped_take_so_much_memory_and_no_more() {
    let plugin = load_with("selector-memory", |s| s.limits.deadline = Duration::from_secs(60));
    let stage = configure(&plugin).expect("it takes the settings");
    let mut instances = Instances::new(1);
    // Each takes four mebibytes, and may come to five times that as it is used.
    for _ in 0..3 {
        assert_eq!(instances.call(&stage, &mut work("{}")), Ok(Verdict::Forward));
    }
    let Ok(Verdict::Reject(reason)) = instances.call(&stage, &mut work("{}")) else { panic!("not rejected") };
    assert!(reason.starts_with("an instance's selectors have at most 64 MiB together"), "{reason}");
}

#[test]
fn regular_expressions_are_not_compiled_past_the_deadline() {
    let limit = Duration::from_millis(1);
    let plugin = load_with("selector-large", |s| s.limits.deadline = limit);
    let begun = Instant::now();
    assert_eq!(fault_of(&configure(&plugin).expect("it takes the settings")), Fault::Deadline { limit });
    let one = begun.elapsed();
    let plugin = load_with("selector-large", |s| s.limits.deadline = Duration::from_secs(60));
    let stage = configure(&plugin).expect("it takes the settings");
    let begun = Instant::now();
    assert!(matches!(call(&stage, &mut work("{}")), Ok(Verdict::Reject(_))));
    // The first is compiled before the deadline, the other eight are not.
    assert!(one < begun.elapsed() / 2, "{one:?}, and all of them {:?}", begun.elapsed());
}

#[test]
fn handles_that_are_never_dropped_come_to_an_end() {
    // The message is one of them, so that they come to their end before the host calls do.
    assert_eq!(fault_of(&stage("client-flood")), Fault::Limit { which: Limit::Handles(10_000) });
}

#[test]
fn message_functions_are_in_force_during_handle_alone() {
    for (name, function) in [("message-in-configure", "subject"), ("message-in-start", "timestamp")] {
        let message = format!("it called `message.{function}` outside of `handle`");
        assert_eq!(configure(&load(name)).err(), Some(Fault::Trap { message }.into()), "{name}");
    }
}

#[test]
fn setup_functions_are_in_force_during_configure_alone() {
    let message = "it called `setup.read-file` outside of `configure`".to_owned();
    assert_eq!(fault_of(&stage("setup-in-handle")), Fault::Trap { message });
}

#[test]
fn results_that_are_not_the_contract_s_are_traps() {
    for name in ["bad-pointer", "bad-text"] {
        assert!(matches!(fault_of(&stage(name)), Fault::Trap { .. }), "{name}");
    }
}

#[test]
fn an_exhausted_pool_is_an_error_that_names_the_limit() {
    let engine = Engine::new(EngineSettings { max_instances: 4, ..EngineSettings::default() }).expect("an engine");
    let plugin = engine.load(source(hostile::component("forward"), settings())).expect("it loads");
    let mut lanes = Vec::new();
    let fault = (0..100).find_map(|_| {
        let stage = match configure(&plugin) {
            Ok(stage) => stage,
            Err(ConfigureError::Fault(fault)) => return Some(fault),
            Err(other) => panic!("{other}"),
        };
        let mut instances = Instances::new(1);
        let fault = instances.call(&stage, &mut work("{}")).err();
        lanes.push(instances);
        fault.map(|error| match error {
            CallError::Fault(fault) => fault,
            CallError::Refused(refusal) => panic!("{refusal:?}"),
        })
    });
    let Some(Fault::Instantiate { reason }) = fault else { panic!("{fault:?}") };
    assert!(reason.contains("limit of 4"), "{reason}");
}
