//! The virtual WASI.

use super::*;

fn payload(stage: &Arc<ConfiguredStage>, origin: Arc<Origin>) -> Vec<u8> {
    let mut work = Work { origin, ..work("{}") };
    assert_eq!(call(stage, &mut work), Ok(Verdict::Forward));
    work.message.payload.to_vec()
}

fn number(payload: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(payload[at..at + 8].try_into().expect("eight bytes"))
}

#[test]
fn the_same_message_finds_the_same_world_and_another_message_another_one() {
    let (one, other) = (stage("virtual-wasi"), stage("virtual-wasi"));
    let first = payload(&one, origin("S:1", 1_763_800_000_123));
    assert_eq!(first, payload(&one, origin("S:1", 1_763_800_000_123)), "in another instance");
    assert_eq!(first, payload(&other, origin("S:1", 1_763_800_000_123)), "in another stage with the same settings");
    let second = payload(&one, origin("S:2", 1_763_800_000_123));
    assert_ne!(first[24..40], second[24..40], "random bytes");
    assert_eq!(first[..24], second[..24], "clocks");
    assert_ne!(number(&first, 24), number(&first, 32), "random numbers differ from each other");
}

#[test]
fn an_instance_that_has_served_others_gives_a_message_the_same_world() {
    let stage = stage("virtual-wasi");
    let mut instances = Instances::new(1);
    let mut payload = |id| {
        let mut work = Work { origin: origin(id, 5), ..work("{}") };
        assert_eq!(instances.call(&stage, &mut work), Ok(Verdict::Forward));
        work.message.payload
    };
    assert_eq!([payload("a"), payload("b"), payload("a")], [payload("a"), payload("b"), payload("a")]);
}

#[test]
fn the_clocks_read_the_message_s_timestamp_and_sleeping_takes_no_time() {
    let payload = payload(&stage("virtual-wasi"), origin("S:1", 1_763_800_000_123));
    assert_eq!(number(&payload, 0), 1_763_800_000);
    assert_eq!(u32::from_le_bytes(payload[8..12].try_into().expect("four bytes")), 123_000_000);
    assert_eq!(number(&payload, 16), 1_763_800_000_123_001_000);
    assert_eq!(number(&payload, 40) - number(&payload, 16), 3_600_000_000_000 + 1_000, "an hour and a look");
}

#[test]
fn a_message_without_a_time_has_a_monotonic_clock_above_zero() {
    assert!(number(&payload(&stage("virtual-wasi"), origin("S:1", 0)), 16) > 0);
}

#[test]
fn standard_output_goes_to_the_log_by_lines_if_that_was_granted() {
    let stage = configure(&load_with_log("virtual-wasi")).expect("it takes the settings");
    let mut instances = Instances::new(1);
    let lines = super::secrets::logged(|| {
        for _ in 0..2 {
            assert_eq!(instances.call(&stage, &mut work("{}")), Ok(Verdict::Forward));
        }
    });
    let texts = ["to standard output", "and half ato standard output"];
    assert_eq!(lines, texts.map(|text| format!(r#" INFO plugin: {text} plugin="test""#)));
}

#[test]
fn standard_output_goes_nowhere_without_the_grant_which_is_said_once() {
    let stage = stage("virtual-wasi");
    let mut instances = Instances::new(1);
    let lines = super::secrets::logged(|| {
        for _ in 0..3 {
            assert_eq!(instances.call(&stage, &mut work("{}")), Ok(Verdict::Forward));
        }
    });
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("goes nowhere: it has no grant `log`"), "{lines:?}");
}

#[test]
fn a_plugin_that_was_granted_the_real_clock_reads_it_and_waits_no_longer_than_its_call_may_take() {
    let stage = configure(&load_with("virtual-wasi", |s| {
        s.grants.clock = true;
        s.limits.deadline = Duration::from_millis(100);
    }));
    let (begun, mut work) = (std::time::Instant::now(), work("{}"));
    // It wants to sleep for an hour. What it does when it is woken is cut off, unless it is very quick.
    match call(&stage.expect("it takes the settings"), &mut work) {
        Ok(Verdict::Forward) => assert!(number(&work.message.payload, 0) > 1_750_000_000, "seconds since the epoch"),
        other => assert!(matches!(other, Err(CallError::Fault(Fault::Deadline { .. }))), "{other:?}"),
    }
    assert!((Duration::from_millis(100)..Duration::from_secs(30)).contains(&begun.elapsed()), "{:?}", begun.elapsed());
}

#[test]
fn a_plugin_that_was_granted_randomness_gets_other_numbers_each_time() {
    let stage = configure(&load_with("virtual-wasi", |s| s.grants.random = true)).expect("it takes the settings");
    let numbers = || payload(&stage, origin("S:1", 5))[24..40].to_vec();
    assert_ne!(numbers(), numbers());
}

#[test]
fn there_is_no_network() {
    const ACCESS_DENIED: u8 = 1;
    assert_eq!(payload(&stage("network"), origin("S:1", 0)), [1, ACCESS_DENIED]);
}

#[test]
fn wasi_works_on_a_plain_thread_that_has_entered_a_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let handle = runtime.handle().clone();
    let thread = std::thread::spawn(move || {
        let _entered = handle.enter();
        payload(&stage("virtual-wasi"), origin("S:1", 5))
    });
    assert_eq!(thread.join().expect("it does not panic"), payload(&stage("virtual-wasi"), origin("S:1", 5)));
}
