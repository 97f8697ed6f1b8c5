//! What has to fit together: names that are unique, subjects that can be matched, outputs that do not come back in.

use std::collections::{HashMap, HashSet};

use super::ParsedConfig;
use super::circles;
use super::rule::Parsed;
use crate::message::SubjectPattern;
use crate::names::{RuleName, SourceName};
use crate::rules::error::{Location, Problem};
use crate::rules::model::{
    CALLER, Config, Confirm, FaultAction, GiveUp, REPLIES_SOURCE, Rule, SIDECAR_SOURCE, SourceKind, Target,
};
use crate::rules::order::OrderBy;
use crate::rules::table::Problems;
use crate::rules::template::Template;

/// Most rules of a configuration directory.
const MAX_RULES: usize = 100_000;

/// Checks the rules against each other and against their sources; hands back what can be used.
pub(super) fn check(parsed: Vec<Parsed>, config: Option<&ParsedConfig>, problems: &Problems) -> Vec<Rule> {
    if parsed.len() > MAX_RULES {
        problems.push(Problem::error(format!("there are {} rules, more than {MAX_RULES}", parsed.len())));
    }
    for parsed in &parsed {
        let rule = &parsed.rule;
        check_positions(parsed, problems);
        check_outcomes(parsed, problems);
        check_skips(rule, problems);
        if let Some(config) = config.and_then(|config| config.config.as_ref()) {
            check_order(parsed, config, problems);
            check_sidecar(parsed, config, problems);
        }
        if let Some(reach) = config.and_then(|config| config.known.sources.get(&rule.source)) {
            check_reach(rule, &parsed.subject_location, reach, problems);
            // What goes to NATS does not come back by HTTP.
            if !matches!(rule.source.as_str(), SIDECAR_SOURCE | REPLIES_SOURCE) {
                check_loops(rule, reach, problems);
            }
        }
    }
    let rules: Vec<Rule> = parsed.into_iter().map(|parsed| parsed.rule).collect();
    check_names(&rules, problems);
    if let Some(config) = config.and_then(|config| config.config.as_ref()) {
        circles::check(&rules, config, problems);
    }
    // What is not there may be what an error took out.
    if !problems.has_errors()
        && let Some(config) = config.and_then(|config| config.config.as_ref())
    {
        check_sources(&rules, config, problems);
        check_stored(&rules, config, problems);
    }
    rules
}

/// Sources whose messages no rule takes.
fn check_sources(rules: &[Rule], config: &Config, problems: &Problems) {
    let used: HashSet<&SourceName> = rules.iter().map(|rule| &rule.source).collect();
    // What is there for its table's sake need not be used.
    let unused = config.sources.iter().filter(|(name, source)| !used.contains(name) && !source.kind.is_sidecar());
    for (name, source) in unused {
        let message = format!("no rule takes messages from source `{name}`: all of them will go nowhere");
        let problem = Problem::warning(message).at(source.location.clone());
        problems.push(problem.help("add a rule for it, or take the source out"));
    }
}

/// Routes that lead messages out of a stream to where none is known to store them. It may be a slip of the pen: such an
/// output is published, its message acknowledged, and nothing left of either.
fn check_stored(rules: &[Rule], config: &Config, problems: &Problems) {
    // What a source reads is stored too, even if its stream is not described.
    let read = config.sources.values().filter_map(|source| match &source.kind {
        SourceKind::JetStream { filter_subjects, .. } => Some(filter_subjects),
        SourceKind::Core { .. } | SourceKind::Sidecar | SourceKind::Replies => None,
    });
    let stored: Vec<&SubjectPattern> =
        config.streams.values().map(|stream| &stream.subjects).chain(read).flatten().collect();
    let kept = |rule: &Rule| {
        let source = config.sources.get(&rule.source);
        source.is_some_and(|source| matches!(source.kind, SourceKind::JetStream { .. }))
    };
    for rule in rules.iter().filter(|rule| kept(rule)) {
        for (name, route) in &rule.routes {
            let Target::Subject { template, confirm: Confirm::Auto, .. } = &route.to else { continue };
            if stored.iter().any(|pattern| template.may_match(pattern)) {
                continue;
            }
            let message = format!(
                "route `{name}` of rule `{}` publishes to `{template}`, which no stream of trackside.toml stores: what is \
                 published there and read by nobody is gone",
                rule.name
            );
            let help = "declare its stream in [streams.NAME], or write `confirm = \"stream\"` if a stream that is not \
                        declared here stores it, or `confirm = \"flush\"` if nobody has to keep it";
            problems.push(Problem::warning(message).at(route.location.clone()).help(help));
        }
    }
}

/// `skip` without a stage that may be skipped, and the other way round.
fn check_skips(rule: &Rule, problems: &Problems) {
    let on_failure = &rule.on_failure;
    let skips = [on_failure.on_trap, on_failure.on_deadline, on_failure.on_limit].contains(&FaultAction::Skip);
    let optional = rule.stages.iter().find(|stage| stage.optional);
    let problem = match optional {
        None if skips => {
            Problem::error(format!("rule `{}` skips stages that fail, and none may be skipped", rule.name))
                .at(rule.location.clone())
                .help("mark the stage with `optional = true`, or write \"retry\" or \"dead-letter\"")
        }
        Some(stage) if !skips => {
            let message = format!("the stage is optional, and nothing in rule `{}` skips it", rule.name);
            Problem::error(message)
                .at(stage.plugin_location.clone())
                .help("write `trap = \"skip\"`, `deadline = \"skip\"` or `limit = \"skip\"` under [rule.on-failure]")
        }
        _ => return,
    };
    problems.push(problem);
}

/// Order that a source does not keep.
fn check_order(parsed: &Parsed, config: &Config, problems: &Problems) {
    let rule = &parsed.rule;
    let source = config.sources.get(&rule.source).map(|source| (source, &source.kind));
    if let (Some(_), Some((source, SourceKind::JetStream { partitions: None, .. }))) = (&rule.order_by, source) {
        let message = format!("rule `{}` keeps order, and source `{}` does not", rule.name, rule.source);
        let problem = Problem::error(message)
            .at(parsed.order_location.clone())
            .also(source.location.clone(), "add `partitions = 1` here")
            .help("without `partitions` instances share the messages one by one, so two could be at the same key");
        problems.push(problem);
    }
}

/// What makes sense where somebody waits for an answer, and what makes sense only there.
fn check_sidecar(parsed: &Parsed, config: &Config, problems: &Problems) {
    let rule = &parsed.rule;
    let Some(source) = config.sources.get(&rule.source) else { return };
    if source.kind.is_sidecar() && rule.on_failure.give_up == GiveUp::Pause {
        let message =
            format!("rule `{}` pauses its source, and the sidecar cannot be paused: services wait for it", rule.name);
        let problem = Problem::error(message).at(rule.location.clone());
        problems.push(problem.help("take `give-up` out: a service is told that its message could not be taken"));
    }
    let mut back = rule.routes.iter().filter(|(_, route)| matches!(route.to, Target::Caller));
    match (back.next(), source.kind == SourceKind::Replies) {
        (Some((name, route)), false) => {
            let message = format!("route `{name}` leads back to a caller, and rule `{}` takes no replies", rule.name);
            let help = format!("write `source = \"{REPLIES_SOURCE}\"`, or a subject in place of \"{CALLER}\"");
            problems.push(Problem::error(message).at(route.location.clone()).help(help));
        }
        (None, true) => {
            let message = format!("rule `{}` takes replies, and has no route that leads them back", rule.name);
            let problem = Problem::error(message).at(rule.location.clone());
            problems.push(problem.help(format!("add `default = \"{CALLER}\"` under [rule.routes]")));
        }
        _ => {}
    }
}

fn check_names(rules: &[Rule], problems: &Problems) {
    let mut seen: HashMap<&RuleName, &Location> = HashMap::with_capacity(rules.len());
    for rule in rules {
        if let Some(first) = seen.get(&rule.name) {
            let problem = Problem::error(format!("there are two rules with the name `{}`", rule.name))
                .at(rule.location.clone())
                .also((*first).clone(), "the first one is here")
                .help("rename one of them: metrics, headers and message ids go by the name");
            problems.push(problem);
        } else {
            seen.insert(&rule.name, &rule.location);
        }
    }
}

/// All subject templates of a rule, with what they are called.
pub(super) fn outputs(rule: &Rule) -> impl Iterator<Item = (String, &Template, &Location)> {
    let routes = rule.routes.iter();
    let routes =
        routes.filter_map(|(name, route)| Some((format!("route `{name}`"), route.to.subject()?, &route.location)));
    let dead = rule.on_failure.dead_letter.as_ref();
    routes.chain(dead.map(|dead| ("the dead letter".to_owned(), &dead.subject, &dead.location)))
}

/// `{subject.4}` where the rule's subjects have three tokens.
fn check_positions(parsed: &Parsed, problems: &Problems) {
    let rule = &parsed.rule;
    if rule.subject.as_str().ends_with('>') {
        return;
    }
    let tokens = rule.subject.as_str().split('.').count();
    let help = format!("write a position from 1 to {tokens}; the first token is 1");
    if let Some(position) = rule.order_by.as_ref().and_then(OrderBy::position).filter(|position| *position > tokens) {
        let message =
            format!("`order-by` asks for token {position} of the subject, but `{}` has only {tokens}", rule.subject);
        problems.push(Problem::error(message).at(parsed.order_location.clone()).help(help.clone()));
    }
    let subjects = outputs(rule).map(|(what, template, location)| (what, template.last_position(), location));
    let urls = rule.routes.iter().filter_map(|(name, route)| match &route.to {
        Target::Service { url, .. } => Some((format!("route `{name}`"), url.last_position(), &route.location)),
        Target::Subject { .. } | Target::Subscribers { .. } | Target::Caller => None,
    });
    for (what, position, location) in subjects.chain(urls).filter(|(_, position, _)| *position > tokens) {
        let message =
            format!("{what} asks for token {position} of the subject, but `{}` has only {tokens}", rule.subject);
        problems.push(Problem::error(message).at(location.clone()).help(help.clone()));
    }
}

/// Messages that would have nowhere to go.
fn check_outcomes(parsed: &Parsed, problems: &Problems) {
    let rule = &parsed.rule;
    if !parsed.has_dead_letter {
        let message = format!("rule `{}` has no dead letter: messages that fail are lost", rule.name);
        let problem = Problem::warning(message).at(rule.location.clone());
        problems.push(problem.help("add `dead-letter = \"…\"` under [rule.on-failure]"));
    }
    // A last stage that routes decides for every message; whether it does so with each is its own business.
    let routes_last = rule.stages.last().is_some_and(|stage| stage.plugin.as_str() == "route");
    if !rule.routes.is_empty() && !parsed.has_default && !routes_last {
        let message =
            format!("rule `{}` has no route `default`: what passes its last stage has nowhere to go", rule.name);
        let problem = Problem::warning(message).at(rule.location.clone());
        problems
            .push(problem.help("add `default = \"…\"` under [rule.routes], unless its plugins choose a route always"));
    }
}

/// A rule that can never match, since its source never delivers such a subject.
fn check_reach(rule: &Rule, location: &Location, reach: &[SubjectPattern], problems: &Problems) {
    if reach.is_empty() || reach.iter().any(|pattern| pattern.overlaps(&rule.subject)) {
        return;
    }
    let delivers = reach.iter().take(5).map(|pattern| format!("`{pattern}`")).collect::<Vec<_>>().join(", ");
    let message =
        format!("rule `{}` can never match: source `{}` does not deliver `{}`", rule.name, rule.source, rule.subject);
    let help = format!("the source delivers {delivers}: correct the rule's subject, or widen the source");
    problems.push(Problem::error(message).at(location.clone()).help(help));
}

/// An output that the same rule would take in again. What the source delivers, the rule matches and the template makes
/// are compared two by two, which is exact: of each token at most one text can satisfy all three, or none.
fn check_loops(rule: &Rule, reach: &[SubjectPattern], problems: &Problems) {
    for (what, template, location) in outputs(rule) {
        let delivered = reach.is_empty() || reach.iter().any(|pattern| template.may_match(pattern));
        if delivered && template.may_match(&rule.subject) {
            let message = format!(
                "{what} of rule `{}` publishes what the rule itself takes in: messages would go round for ever",
                rule.name
            );
            let help = format!(
                "publish to a subject that source `{}` does not deliver, or narrow the rule's subject `{}`",
                rule.source, rule.subject
            );
            problems.push(Problem::error(message).at(location.clone()).help(help));
        }
    }
}
