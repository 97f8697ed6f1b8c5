//! What is aimed at, what was measured, and whether it is met.

use super::results::{Results, Row};
use super::scenario::{BATCHED, ISOLATED, RELAY, rules_label};
use super::stats::Spread;
use super::tables::{mebibytes, millis};
use super::throughput::Measured;

/// Stages of the pipeline that is run isolated.
const ISOLATED_STAGES: f64 = 3.0;
const MEBIBYTE: u64 = 1 << 20;

/// One row of the table of goals.
pub(crate) struct Goal {
    pub(crate) scenario: &'static str,
    pub(crate) goal: &'static str,
    /// Empty if nothing was.
    pub(crate) measured: String,
    pub(crate) met: Met,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Met {
    Yes,
    No,
    NotMeasured,
}

impl Met {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Yes => "met",
            Self::No => "**not met**",
            Self::NotMeasured => "not measured yet",
        }
    }
}

/// All goals. A goal is met if the median meets it.
pub(crate) fn all(results: &Results) -> Vec<Goal> {
    let mut goals = throughput(results);
    goals.extend(micro(results));
    goals.extend(comparisons(results));
    goals.extend(life(results));
    goals
}

fn throughput(results: &Results) -> Vec<Goal> {
    let compare = |table: &str, label: &str, compare: fn(&Measured, &Measured) -> f64| {
        let table = results.table(table)?;
        table.row(label)?.against(table.row(RELAY)?, compare)
    };
    let above = |one: &Measured, relay: &Measured| one.micros.total() - relay.micros.total();
    let check = "trackside validate+mask+route";
    vec![
        goal(
            "JetStream to JetStream, 1 kB, validate+mask+route, any streams: throughput",
            "\u{2265} 0.9 \u{d7} raw relay",
            compare("jetstream-1kB", check, |one, relay| one.rate / relay.rate),
            |ratio| (format!("{ratio:.2} \u{d7}"), ratio.median >= 0.9),
        ),
        goal(
            "the same: CPU a message",
            "\u{2264} 10 \u{b5}s above the raw relay's",
            compare("jetstream-1kB", check, above),
            |micros| (format!("{micros:.1} \u{b5}s"), micros.median <= 10.0),
        ),
        goal(
            "the same, output stream with `allow_batched` (fast ingest): throughput",
            "\u{2265} 1.2 \u{d7} the plain raw relay",
            compare("jetstream-1kB", &format!("{check}{BATCHED}"), |one, relay| one.rate / relay.rate),
            |ratio| (format!("{ratio:.2} \u{d7}"), ratio.median >= 1.2),
        ),
        goal(
            "core to core, 1 kB, validate+mask+route: CPU a message",
            "\u{2264} 9 \u{b5}s above the raw relay's",
            compare("core-1kB", check, above),
            |micros| (format!("{micros:.1} \u{b5}s"), micros.median <= 9.0),
        ),
        goal(
            "core to core, 1 kB, mask of three fields: CPU a message",
            "\u{2264} 4 \u{b5}s above the raw relay's",
            compare("core-1kB", "trackside mask", above),
            |micros| (format!("{micros:.1} \u{b5}s"), micros.median <= 4.0),
        ),
    ]
}

fn micro(results: &Results) -> [Goal; 2] {
    let micro = results.micro;
    let mask = micro.map(|micro| {
        let times = micro.mask_by_serde_json / micro.mask;
        (format!("{:.2} \u{b5}s, {times:.1} \u{d7}", micro.mask / 1e3), micro.mask <= 1_500.0 && times >= 5.0)
    });
    let call = micro.map(|micro| {
        let above = micro.call - micro.native;
        (format!("{:.2} \u{b5}s", above / 1e3), above <= 1_000.0)
    });
    [
        judged(
            "selection and splice of three fields, 1 kB, native",
            "\u{2264} 1.5 \u{b5}s, \u{2265} 5 \u{d7} faster than serde_json",
            mask,
        ),
        judged(
            "stage call with one select and one replace, above the native cost of the same",
            "\u{2264} 1.0 \u{b5}s",
            call,
        ),
    ]
}

fn comparisons(results: &Results) -> Vec<Goal> {
    let rows = |table: &str, one: &str, other: &str| -> Option<(&Row<Measured>, &Row<Measured>)> {
        let table = results.table(table)?;
        Some((table.row(one)?, table.row(other)?))
    };
    let compare = |rows: Option<(&Row<Measured>, &Row<Measured>)>, compare: fn(&Measured, &Measured) -> f64| {
        rows.and_then(|(one, other)| one.against(other, compare))
    };
    let check = "trackside validate+mask+route";
    let isolated = rows("core-isolated", &format!("{check}{ISOLATED}"), check);
    let rules = rows("core-rules", &rules_label(10_000), &rules_label(10));
    let lanes = rows("jetstream-lanes", "trackside, 2 lanes", "trackside, 1 lane");
    vec![
        goal(
            "`isolation = \"message\"`, validate+mask+route, above the same without it",
            "\u{2264} 20 \u{b5}s a stage",
            compare(isolated, |one, other| (one.micros.total() - other.micros.total()) / ISOLATED_STAGES),
            |micros| (format!("{micros:.1} \u{b5}s"), micros.median <= 20.0),
        ),
        goal(
            "10,000 rules against 10",
            "\u{2264} 1.1 \u{d7} CPU a message",
            compare(rules, |one, other| one.micros.total() / other.micros.total()),
            |ratio| (format!("{ratio:.2} \u{d7}"), ratio.median <= 1.1),
        ),
        goal(
            "two lanes against one, CPU-bound pipeline",
            "\u{2265} 1.7 \u{d7} throughput",
            compare(lanes, |one, other| one.rate / other.rate),
            |ratio| (format!("{ratio:.2} \u{d7}"), ratio.median >= 1.7),
        ),
    ]
}

fn life(results: &Results) -> Vec<Goal> {
    let latency = results.latency.iter().find(|table| table.name == "core-latency");
    let added = latency.and_then(|table| {
        let (ours, relay) = (table.row("trackside validate+mask+route")?, table.row(RELAY)?);
        let p99 = |run: &super::latency::Latency| run.quantile(0.99).as_secs_f64() * 1e3;
        ours.against(relay, |one, relay| p99(one) - p99(relay))
    });
    let warm = results.start.as_ref().and_then(|start| millis(start.warm.iter().copied()));
    let took = millis(results.reloads.iter().map(|reload| reload.took));
    let held_up = millis(results.reloads.iter().map(|reload| reload.worst_during));
    let bytes =
        |bytes: Option<u64>, most: u64| bytes.map(|bytes| (mebibytes(bytes) + " MiB", bytes <= most * MEBIBYTE));
    vec![
        goal("p99 added by Trackside at half load, core, 1 kB", "\u{2264} 1 ms", added, |millis| {
            (format!("{millis:.2} ms"), millis.median <= 1.0)
        }),
        judged(
            "idle memory with the four standard plugins",
            "\u{2264} 64 MiB",
            bytes(results.idle.iter().copied().max(), 64),
        ),
        judged("memory under any load above, at its peak", "\u{2264} 256 MiB", bytes(results.peak(), 256)),
        goal("start to ready, warm cache", "\u{2264} 200 ms", warm, |millis| {
            (format!("{millis:.0} ms"), millis.median <= 200.0)
        }),
        goal("reload of 1,000 rules under load", "\u{2264} 500 ms", took, |millis| {
            (format!("{millis:.0} ms"), millis.median <= 500.0)
        }),
        goal("the longest time of a message during that reload", "\u{2264} 10 ms", held_up, |millis| {
            (format!("{millis:.1} ms"), millis.median <= 10.0)
        }),
    ]
}

fn goal(
    scenario: &'static str,
    goal: &'static str,
    measured: Option<Spread>,
    judge: impl Fn(Spread) -> (String, bool),
) -> Goal {
    judged(scenario, goal, measured.map(judge))
}

fn judged(scenario: &'static str, goal: &'static str, measured: Option<(String, bool)>) -> Goal {
    match measured {
        Some((measured, met)) => Goal { scenario, goal, measured, met: if met { Met::Yes } else { Met::No } },
        None => Goal { scenario, goal, measured: String::new(), met: Met::NotMeasured },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::results::Table;
    use crate::bench::usage::Usage;

    fn row(label: &str, rate: f64, micros: f64) -> Row<Measured> {
        let run = Measured { rate, micros: Usage { user: micros, system: 0.0 }, peak: 7 << 20 };
        Row { label: label.to_owned(), runs: vec![run; 3] }
    }

    #[test]
    fn a_goal_is_met_not_met_or_not_measured() {
        let mut results = Results::default();
        assert!(all(&results).iter().all(|goal| goal.met == Met::NotMeasured));
        let rows = vec![row(RELAY, 100.0, 5.0), row("trackside validate+mask+route", 80.0, 12.0)];
        results.throughput.push(Table { name: "jetstream-1kB".to_owned(), about: String::new(), rows });
        let goals = all(&results);
        assert_eq!((goals[0].measured.as_str(), goals[0].met), ("0.80 \u{d7}", Met::No));
        assert_eq!((goals[1].measured.as_str(), goals[1].met), ("7.0 \u{b5}s", Met::Yes));
        assert_eq!(results.peak(), Some(7 << 20));
    }
}
