//! The arrival check of the benchmarks is believed because it has been seen to fail: relays that do one thing wrong with
//! one message of a hundred run under the real harness, on a real nats-server, beside one that does nothing wrong.

use std::process::{Command, Output};

const XTASK: &str = env!("CARGO_BIN_EXE_xtask");

/// Measures relays as peers, and returns what was said.
fn measure(scenario: &str, messages: u32, faults: &[&str]) -> Output {
    let server = std::env::var("NATS_SERVER").expect("NATS_SERVER names a nats-server: `cargo xtask test` sets it");
    let mut command = Command::new(XTASK);
    command.args(["measure", "--nats-server", &server, "--only", scenario]);
    command.args(["--rounds", "1", "--messages", &messages.to_string()]);
    command.args(["--peer", &format!("sound='{XTASK}' relay --by-hand")]);
    for fault in faults {
        command.args(["--peer", &format!("{fault}='{XTASK}' relay --by-hand --fault {fault}")]);
    }
    command.output().expect("the harness runs")
}

/// Checks that each relay is told of with its mistake, that the sound one has a row, and that no other has.
fn check(scenario: &str, messages: u32, caught: &[(&str, &str)]) {
    let faults: Vec<&str> = caught.iter().map(|(fault, _)| *fault).collect();
    let output = measure(scenario, messages, &faults);
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    let all = format!("{said}\n{complained}");
    assert!(!output.status.success(), "{all}");
    assert!(complained.contains(&format!("{} runs are no results", caught.len())), "{all}");
    let rows: Vec<&str> = said.lines().filter(|line| line.starts_with("| ")).collect();
    for sound in ["raw relay", "sound validate+mask+route"] {
        assert!(rows.iter().any(|row| row.contains(sound)), "{sound} has a result: {all}");
    }
    for (fault, mistake) in caught {
        let line = complained.lines().find(|line| line.contains(&format!(", {fault} validate+mask+route, ")));
        assert!(line.is_some_and(|line| line.contains(mistake)), "{fault}: {mistake}: {all}");
        assert!(!rows.iter().any(|row| row.contains(&format!("| {fault} "))), "{fault} has no result: {all}");
    }
}

#[test]
fn jetstream_relays_that_drop_repeat_reorder_reroute_alter_or_unmask_are_caught() {
    check(
        "jetstream-ordered-100",
        1_000,
        &[
            ("drop", "never arrived"),
            ("duplicate", "arrived again"),
            ("reorder", "came after a later one of their key"),
            ("misroute", "went where they do not belong"),
            ("alter", "are not what they have to be"),
            ("unmask", "show a secret"),
        ],
    );
}

#[test]
fn core_relays_that_drop_repeat_or_unmask_are_caught() {
    check(
        "core-latency",
        1_000,
        &[("drop", "never arrived"), ("duplicate", "arrived again"), ("unmask", "show a secret")],
    );
}
