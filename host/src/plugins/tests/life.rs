//! How long instances live.

use std::collections::BTreeSet;

use super::*;

/// What the `count` plugin counted: how many messages its instance was given.
fn counted(instances: &mut Instances, stage: &Arc<ConfiguredStage>) -> u8 {
    let mut work = work("{}");
    assert_eq!(instances.call(stage, &mut work), Ok(Verdict::Forward));
    work.message.payload[0]
}

fn counts(change: impl FnOnce(&mut PluginSettings)) -> [u8; 5] {
    let stage = configure(&load_with("count", change)).expect("it takes the settings");
    let mut instances = Instances::new(1);
    std::array::from_fn(|_| counted(&mut instances, &stage))
}

#[test]
fn instances_can_be_handed_to_a_thread_and_stages_shared_between_threads() {
    fn handed<T: Send>() {}
    fn shared<T: Send + Sync>() {}
    handed::<Instances>();
    shared::<(Engine, Plugin, ConfiguredStage)>();
}

#[test]
fn an_instance_serves_many_messages() {
    assert_eq!(counts(|_| {}), [1, 2, 3, 4, 5]);
}

#[test]
fn an_instance_is_replaced_after_so_many_messages() {
    assert_eq!(counts(|s| s.limits.recycle_after_messages = 2), [1, 2, 1, 2, 1]);
}

#[test]
fn with_isolation_by_message_no_instance_sees_two() {
    assert_eq!(counts(|s| s.isolation = Isolation::Message), [1; 5]);
}

#[test]
fn an_instance_whose_memory_has_grown_is_replaced() {
    let plugin = load_with("memory-creep", |s| s.limits.recycle_above_bytes = 3 << 16);
    let stage = configure(&plugin).expect("it takes the settings");
    let mut instances = Instances::new(1);
    let mut alive = || {
        assert_eq!(instances.call(&stage, &mut work("{}")), Ok(Verdict::Forward));
        instances.len()
    };
    assert_eq!([alive(), alive(), alive(), alive()], [1, 1, 0, 1], "it begins with one page and may keep three");
}

#[test]
fn a_fault_throws_the_instance_away() {
    let stage = stage("trap");
    let mut instances = Instances::new(1);
    assert!(instances.call(&stage, &mut work("{}")).is_err());
    assert!(instances.is_empty());
}

#[test]
fn past_the_limit_the_instance_that_was_not_called_for_longest_goes() {
    let plugin = load("count");
    let [a, b, c] = std::array::from_fn(|_| configure(&plugin).expect("it takes the settings"));
    let mut instances = Instances::new(2);
    let counts = [&a, &b, &a, &c, &a, &b].map(|stage| counted(&mut instances, stage));
    assert_eq!(counts, [1, 1, 2, 1, 3, 1], "`b` went when `c` came, and came back new");
    assert_eq!(instances.len(), 2);
}

#[test]
fn instances_of_stages_that_are_gone_are_given_up() {
    let plugin = load("count");
    let [a, b] = std::array::from_fn(|_| configure(&plugin).expect("it takes the settings"));
    let mut instances = Instances::new(2);
    counted(&mut instances, &a);
    counted(&mut instances, &b);
    instances.keep_only(&BTreeSet::from([b.id()]));
    assert_eq!(instances.len(), 1);
    assert_eq!(counted(&mut instances, &b), 2);
}

#[test]
fn deadlines_hold_after_the_engine_itself_was_dropped() {
    let engine = Engine::new(EngineSettings { max_instances: 1, ..EngineSettings::default() }).expect("an engine");
    let mut settings = settings();
    settings.limits.deadline = Duration::from_millis(20);
    let plugin = engine.load(source(hostile::component("loop"), settings)).expect("it loads");
    drop(engine);
    assert!(matches!(fault_of(&configure(&plugin).expect("it takes the settings")), Fault::Deadline { .. }));
}
