//! The tests of rules, run: each test's message goes through the real rules and plugins, offline, and what comes out is
//! compared with what its author expects. `rules::testing` reads the tests; nothing here knows TOML but `update`.
//!
//! [`run`] -> [`Done`] (`happened.rs`, `compare.rs`, `never.rs`) -> `report.rs`, `junit.rs`, `update.rs`; beside that
//! `coverage.rs` notes which rules, stages and routes were used.

mod compare;
mod coverage;
mod diff;
mod happened;
mod junit;
mod never;
mod report;
mod update;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::message::{Origin, OriginKind};
use crate::pipeline::Runner;
use crate::plan::Plan;
use crate::rules::testing::{Test, TestFile};

pub use compare::{Comparison, Difference, Pair};
pub use coverage::Coverage;
pub use happened::Happened;
pub use junit::junit;
pub use never::{Leak, Place};
pub use report::{failure, summary};
pub use update::update;

/// The id of every message of a test. Ids of outputs and the randomness of plugins are made of it, so it must not depend
/// on how many tests there are.
const ID: &str = "test:1";

/// A test that was run.
#[derive(Debug)]
pub struct Done<'t> {
    /// The file that it is in.
    pub file: &'t TestFile,
    /// Its position in the file.
    pub position: usize,
    /// Everything that happened, rule by rule.
    pub happened: Vec<Happened>,
    /// How that compares with what was expected.
    pub comparison: Comparison,
    /// What came out and never must.
    pub leaks: Vec<Leak>,
    /// How long it took.
    pub took: Duration,
}

impl<'t> Done<'t> {
    /// The test.
    #[must_use]
    pub fn test(&self) -> &'t Test {
        &self.file.tests[self.position]
    }

    /// Whether everything was as expected.
    #[must_use]
    pub fn passed(&self) -> bool {
        // A test that expects nothing is not written yet.
        self.comparison.is_met() && self.leaks.is_empty() && !self.test().expect.is_empty()
    }
}

/// Runs the tests whose names have this text in them, in the order of their files.
pub fn run<'t>(
    plan: &Plan,
    runner: &mut Runner,
    files: &'t [TestFile],
    name: Option<&str>,
    coverage: &mut Coverage,
) -> Vec<Done<'t>> {
    let positions = |file: &'t TestFile| (0..file.tests.len()).map(move |position| (file, position));
    let wanted = files.iter().flat_map(positions);
    let wanted = wanted.filter(|(file, position)| name.is_none_or(|name| file.tests[*position].name.contains(name)));
    wanted.map(|(file, position)| run_one(plan, runner, file, position, coverage)).collect()
}

fn run_one<'t>(
    plan: &Plan,
    runner: &mut Runner,
    file: &'t TestFile,
    position: usize,
    coverage: &mut Coverage,
) -> Done<'t> {
    let begun = Instant::now();
    let test = &file.tests[position];
    let origin =
        Arc::new(Origin { kind: OriginKind::Trial, id: Arc::from(ID), timestamp_ms: test.timestamp_ms, delivery: 1 });
    let source = test.source.as_ref().map(crate::names::SourceName::as_str);
    let mut happened = Vec::new();
    for (source, rules) in plan.takers(test.message.subject.as_str(), source) {
        for rule in rules {
            let outcome = runner.run(plan, &plan.rules[rule], &test.message, &origin, &[]);
            coverage.note(rule, &outcome);
            happened.extend(happened::of_outcome(plan, rule, source, &test.message, &origin, outcome));
        }
    }
    if happened.is_empty() {
        happened.push(Happened::unmatched());
    }
    let comparison = compare::compare(&test.expect, &happened, &plan.json);
    let leaks = never::leaks(&test.never, &happened);
    Done { file, position, happened, comparison, leaks, took: begun.elapsed() }
}
