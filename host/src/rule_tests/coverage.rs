//! Which rules, stages and routes the tests have used.

use std::fmt::Write as _;

use crate::pipeline::Outcome;
use crate::rules::{Location, Rules};

/// Which rules, stages and routes were used.
#[derive(Debug)]
pub struct Coverage(Vec<OfRule>);

/// What was used of one rule.
#[derive(Debug)]
struct OfRule {
    used: bool,
    /// Stages are used from the first one on.
    stages: usize,
    routes: Vec<bool>,
}

/// How many of all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Count {
    used: usize,
    all: usize,
}

impl Coverage {
    /// Nothing was used yet.
    #[must_use]
    pub fn new(rules: &Rules) -> Self {
        let unused =
            rules.rules.iter().map(|rule| OfRule { used: false, stages: 0, routes: vec![false; rule.routes.len()] });
        Self(unused.collect())
    }

    /// Notes what a message used of the rule at this position. The outcome has to be traced.
    pub(super) fn note(&mut self, rule: usize, outcome: &Outcome) {
        let of_rule = &mut self.0[rule];
        of_rule.used = true;
        let traces = outcome.outputs.iter().map(|output| &output.stages);
        let traces = traces.chain(outcome.dropped.iter().map(|dropped| &dropped.stages));
        let traces = traces.chain(outcome.failure.iter().map(|failure| &failure.stages));
        of_rule.stages = traces.map(Vec::len).fold(of_rule.stages, usize::max);
        for output in &outcome.outputs {
            of_rule.routes[output.route] = true;
        }
    }

    /// Whether at least so many of a hundred rules, stages and routes were used.
    #[must_use]
    pub fn reaches(&self, rules: &Rules, percent: u8) -> bool {
        let Count { used, all } = self.total(rules);
        used * 100 >= all * usize::from(percent)
    }

    /// A line of how much was used, and one for everything that was not.
    #[must_use]
    pub fn summary(&self, rules: &Rules) -> String {
        let [of_rules, stages, routes] = self.counts(rules);
        let mut text =
            format!("coverage {}: rules {of_rules}, stages {stages}, routes {routes}\n", self.percent(rules));
        for (what, location) in self.unused(rules) {
            // Writing to a `String` cannot fail.
            let _ = writeln!(text, "  not used: {what} ({location})");
        }
        text
    }

    fn counts(&self, rules: &Rules) -> [Count; 3] {
        let mut counts = [Count::default(); 3];
        for (of_rule, rule) in self.0.iter().zip(&rules.rules) {
            let used = [usize::from(of_rule.used), of_rule.stages, of_rule.routes.iter().filter(|used| **used).count()];
            for ((count, used), all) in counts.iter_mut().zip(used).zip([1, rule.stages.len(), rule.routes.len()]) {
                count.used += used;
                count.all += all;
            }
        }
        counts
    }

    fn total(&self, rules: &Rules) -> Count {
        let sum = |sum: Count, count: &Count| Count { used: sum.used + count.used, all: sum.all + count.all };
        self.counts(rules).iter().fold(Count::default(), sum)
    }

    /// With one digit after the point, cut off: only all of it is 100 %.
    fn percent(&self, rules: &Rules) -> String {
        let Count { used, all } = self.total(rules);
        let per_mille = used * 1000 / all.max(1);
        format!("{}.{} %", per_mille / 10, per_mille % 10)
    }

    fn unused<'r>(&self, rules: &'r Rules) -> Vec<(String, &'r Location)> {
        let mut unused = Vec::new();
        for (of_rule, rule) in self.0.iter().zip(&rules.rules) {
            if !of_rule.used {
                // With it, its stages and routes are unused as well.
                unused.push((format!("rule `{}`", rule.name), &rule.location));
                continue;
            }
            for (stage, number) in rule.stages.iter().zip(1..).skip(of_rule.stages) {
                let what = format!("stage {number} of rule `{}`, `{}`", rule.name, stage.plugin);
                unused.push((what, &stage.plugin_location));
            }
            for ((name, route), used) in rule.routes.iter().zip(&of_rule.routes) {
                if !used {
                    unused.push((format!("route `{name}` of rule `{}`", rule.name), &route.location));
                }
            }
        }
        unused
    }
}

impl std::fmt::Display for Count {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {}", self.used, self.all)
    }
}
