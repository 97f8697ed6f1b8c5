//! Rules that feed each other: what one publishes the next one takes, and the last one leads back to the first.
//!
//! Followed by example and not by what could be: each rule is given a message that it takes, with `*` for what any token may
//! be, and so is every rule that takes what comes of it. Where a message comes back to a rule that it has been at, there is a
//! circle. That is never wrong about one, may overlook one that only certain tokens or headers close, and takes a walk along
//! an index for each output where a comparison of all rules with each other would take their square. Rules that feed
//! themselves are told of by `check.rs`, which is stricter: there what could come back is enough.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::check::outputs;
use super::sources;
use crate::message::{Subject, SubjectIndex, SubjectPattern};
use crate::names::SourceName;
use crate::rules::error::Problem;
use crate::rules::model::{Config, Rule};
use crate::rules::table::Problems;

/// Messages that are followed, for each rule and altogether: templates that exchange tokens make new subjects for a while.
const MAX_EACH: usize = 16;
const MAX_ADDED: usize = 10_000;
/// Circles that are told of: more of them are the same mistake.
const MAX_TOLD: usize = 20;

/// A rule with a message that it takes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Visit {
    rule: usize,
    subject: String,
}

/// One step of a way: a message, and which of its rule's outputs are looked at next.
struct Step {
    visit: Visit,
    /// Where its outputs lead, with the position of the output in [`outputs`].
    ways: Vec<(usize, Visit)>,
    next: usize,
}

/// What a source delivers, and to which rules.
struct Delivery {
    reach: Vec<SubjectPattern>,
    rules: SubjectIndex,
}

/// What becomes of messages that are published.
struct Follower<'r> {
    rules: &'r [Rule],
    deliveries: Vec<Delivery>,
}

/// Reports the circles of more than one rule.
pub(super) fn check(rules: &[Rule], config: &Config, problems: &Problems) {
    let follower = Follower::new(rules, config);
    let mut told: BTreeSet<BTreeSet<usize>> = BTreeSet::new();
    let most = rules.len().saturating_mul(MAX_EACH).saturating_add(MAX_ADDED);
    // Whether a message is on the way that is being followed; those that are done lead to no new circle.
    let mut seen: HashMap<Visit, bool> = HashMap::new();
    for start in 0..rules.len() {
        let first = Visit { rule: start, subject: follower.example(start) };
        if seen.contains_key(&first) {
            continue;
        }
        seen.insert(first.clone(), true);
        let mut way = vec![follower.step(first)];
        while let Some(step) = way.last_mut() {
            let Some((_, visit)) = step.ways.get(step.next).cloned() else {
                seen.insert(step.visit.clone(), false);
                way.pop();
                continue;
            };
            step.next += 1;
            match seen.get(&visit) {
                Some(true) => {
                    let begin = way.iter().position(|step| step.visit == visit).unwrap_or_default();
                    let members: BTreeSet<usize> = way[begin..].iter().map(|step| step.visit.rule).collect();
                    if members.len() > 1 && told.len() < MAX_TOLD && told.insert(members) {
                        problems.push(follower.problem(&way[begin..]));
                    }
                }
                None if seen.len() < most => {
                    seen.insert(visit.clone(), true);
                    way.push(follower.step(visit));
                }
                Some(false) | None => {}
            }
        }
    }
}

impl<'r> Follower<'r> {
    fn new(rules: &'r [Rule], config: &Config) -> Self {
        let mut of_sources: BTreeMap<&SourceName, Vec<(&SubjectPattern, u32)>> = BTreeMap::new();
        for (rule, position) in rules.iter().zip(0..) {
            of_sources.entry(&rule.source).or_default().push((&rule.subject, position));
        }
        let delivery = |(name, patterns)| {
            let source = config.sources.get(name)?;
            // A source whose stream is not described delivers what nobody here knows.
            let reach = sources::reach(source, &config.streams);
            Some(Delivery { reach, rules: SubjectIndex::new(patterns) })
        };
        Self { rules, deliveries: of_sources.into_iter().filter_map(delivery).collect() }
    }

    /// A subject that a rule takes, long enough for all that its outputs take of it.
    fn example(&self, rule: usize) -> String {
        let rule = &self.rules[rule];
        let longest = outputs(rule).map(|(_, template, _)| template.last_position()).max().unwrap_or_default();
        let mut tokens: Vec<&str> = rule.subject.as_str().split('.').collect();
        if tokens.last() == Some(&">") {
            tokens.pop();
            tokens.resize(longest.max(tokens.len() + 1), "*");
        }
        tokens.join(".")
    }

    /// Gives a rule its message.
    fn step(&self, visit: Visit) -> Step {
        let subject = Subject::delivered(&visit.subject);
        let (mut ways, mut found) = (Vec::new(), Vec::new());
        for (position, (_, template, _)) in outputs(&self.rules[visit.rule]).enumerate() {
            let published = template.pattern_from(&subject);
            // As a subject, `*` is a token that only wildcards match: whatever it stands for, they do.
            let reaches = |delivery: &&Delivery| delivery.reach.iter().any(|pattern| pattern.matches(&published));
            for delivery in self.deliveries.iter().filter(reaches) {
                delivery.rules.find(&published, &mut found);
                let visit = |&rule: &u32| (position, Visit { rule: rule as usize, subject: published.clone() });
                ways.extend(found.iter().map(visit));
            }
        }
        Step { visit, ways, next: 0 }
    }

    /// What to say about a circle: an error if there is no way out of it.
    fn problem(&self, circle: &[Step]) -> Problem {
        let names: Vec<String> = circle.iter().map(|step| format!("`{}`", self.rules[step.visit.rule].name)).collect();
        let way = names.join(", ");
        let first = &circle[0].visit.subject;
        let message = format!("rules {way} lead in a circle: what the first one takes from `{first}` comes back to it");
        let is_only_way = |step: &Step| {
            let rule = &self.rules[step.visit.rule];
            let on_circle = step.ways[step.next - 1].0;
            // Dead letters come after the routes.
            rule.routes.len() == 1 && on_circle == 0
        };
        let no_way_out = circle.iter().all(is_only_way);
        let problem = if no_way_out {
            Problem::error(format!("{message}, for ever"))
        } else {
            Problem::warning(format!("{message}, for ever if it takes the same routes again"))
        };
        let published = circle.iter().filter_map(|step| {
            let rule = &self.rules[step.visit.rule];
            let (position, next) = &step.ways[step.next - 1];
            let (what, _, location) = outputs(rule).nth(*position)?;
            let taker = &self.rules[next.rule].name;
            Some((location.clone(), format!("{what} of `{}`, which rule `{taker}` takes", rule.name)))
        });
        let mut published = published.collect::<Vec<_>>().into_iter();
        let problem = published
            .next_back()
            .into_iter()
            .fold(problem, |problem, (location, what)| problem.at(location).label(what));
        let problem = published.fold(problem, |problem, (location, what)| problem.also(location, what));
        problem.help(
            "publish to a subject that none of them takes, or narrow the subject of a rule or the reach of its source",
        )
    }
}
