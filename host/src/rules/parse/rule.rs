//! `[[rule]]`: which messages, which stages, which routes, what on failure.

use std::collections::BTreeMap;

use serde_json::Value;
use toml::de::DeValue;

use super::nats::{checked_text, secret};
use super::plugins::breaker;
use super::route::{route, template};
use super::sources::priority;
use super::{Known, check_jetstream_name, is_table, name, pattern};
use crate::names::{PluginName, RouteName, RuleName, SourceName};
use crate::rules::error::{Location, Places, Problem, TableLocation};
use crate::rules::model::{DeadLetter, FaultAction, GiveUp, OnFailure, OutputBreaker, Route, Rule, Stage};
use crate::rules::order::OrderBy;
use crate::rules::reference::{self, STANDARD_PLUGINS};
use crate::rules::secret::{SecretRef, visit_references};
use crate::rules::suggest;
use crate::rules::table::{File, Table};
use crate::rules::values::{self, Node};

/// Most stages of one rule.
const MAX_STAGES: usize = 64;

/// Standard plugins without which a message must not go on.
const FAIL_CLOSED: [&str; 2] = ["validate", "mask"];

/// Most waits in a back-off list.
const MAX_BACKOFF: usize = 32;

/// A rule that was read, for checking it against others.
pub(super) struct Parsed {
    pub(super) rule: Rule,
    /// Where its subject is.
    pub(super) subject_location: Location,
    /// Where it says what to keep in order by.
    pub(super) order_location: Location,
    /// Whether it has a dead letter and a route `default`, even if they have errors.
    pub(super) has_dead_letter: bool,
    pub(super) has_default: bool,
}

/// The rules of one file. Names are looked up in what `trackside.toml` has, if that could be read.
pub(super) fn rules(root: &Table<'_>, known: Option<&Known>) -> Vec<Parsed> {
    let tables = root.array("rule", &reference::RULE);
    if root.is_empty("rule") {
        root.error("rule", "there is no rule", "add a table [[rule]]");
    }
    tables.iter().filter_map(|table| rule(table, known)).collect()
}

fn rule(table: &Table<'_>, known: Option<&Known>) -> Option<Parsed> {
    let span = |key: &str| table.node(key).map(Node::span);
    let rule_name = table.text("name").zip(span("name"));
    let rule_name = rule_name.and_then(|(text, span)| name(table.file, "rule", &text, span, RuleName::new));
    let source = source(table, known);
    let subject = table.text("subject").zip(span("subject"));
    let subject = subject.and_then(|(text, span)| pattern(table.file, "subject", &text, span));
    let stages = stages(table, known);
    let routes = routes(table, known);
    let on_failure = on_failure(table);
    let location = table.value_location("name");
    let source = source?;
    let rule = Rule {
        name: rule_name?,
        subject: subject?,
        stages,
        breaker: output_breaker(table, &routes),
        routes,
        order_by: order_by(table),
        concurrency: table.whole("concurrency").and_then(|most| usize::try_from(most).ok()),
        priority: priority(table)
            .unwrap_or_else(|| known.and_then(|known| known.priority(&source)).unwrap_or_default()),
        atomic: table.boolean("atomic"),
        source,
        on_failure,
        location,
    };
    let has = |key: &str, inner: &str| table.node(key).is_some_and(|node| node.get_ref().get(inner).is_some());
    Some(Parsed {
        rule,
        subject_location: table.value_location("subject"),
        order_location: table.value_location("order-by"),
        has_dead_letter: has("on-failure", "dead-letter"),
        has_default: has("routes", "default"),
    })
}

fn source(table: &Table<'_>, known: Option<&Known>) -> Option<SourceName> {
    let text = table.text("source")?;
    if let Some(known) = known
        && !known.sources.is_empty()
        && !known.sources.contains_key(text.as_str())
    {
        let help = suggest::help(&text, known.sources.keys().map(SourceName::as_str), "sources");
        table.error("source", format!("there is no source `{text}` in trackside.toml"), help);
        return None;
    }
    SourceName::new(&text).ok()
}

fn order_by(table: &Table<'_>) -> Option<OrderBy> {
    let text = table.text("order-by")?;
    OrderBy::parse(&text)
        .map_err(|error| table.error("order-by", "`order-by` is not something to keep in order by", error.to_string()))
        .ok()
}

fn output_breaker(rule: &Table<'_>, routes: &BTreeMap<RouteName, Route>) -> OutputBreaker {
    let settings = breaker(rule, &reference::RULE_BREAKER);
    let mut divert = None;
    if let Some(DeValue::Table(entries)) = rule.node("breaker").map(Node::get_ref)
        && let Some(node) = entries.get("divert-to")
        && let DeValue::String(text) = node.get_ref()
    {
        divert = RouteName::new(text).ok().filter(|name| routes.contains_key(name));
        if divert.is_none() && !routes.is_empty() {
            let help = suggest::help(text, routes.keys().map(RouteName::as_str), "routes");
            rule.file.error(node.span(), format!("the rule has no route `{text}`"), help);
        }
    }
    OutputBreaker { settings, divert }
}

fn stages(rule: &Table<'_>, known: Option<&Known>) -> Vec<Stage> {
    let tables = rule.array("stage", &reference::STAGE);
    if tables.len() > MAX_STAGES {
        rule.error("stage", format!("a rule has at most {MAX_STAGES} stages"), "join some of them in one plugin");
    }
    tables.iter().filter_map(|table| stage(table, known)).collect()
}

fn stage(table: &Table<'_>, known: Option<&Known>) -> Option<Stage> {
    let plugin = plugin(table, known);
    let (with, with_location) = with(table);
    let optional = table.boolean("optional");
    if let Some(name) = plugin.as_ref().filter(|name| optional && FAIL_CLOSED.contains(&name.as_str())) {
        let message = format!("a stage with `{name}` cannot be optional: left out, it would let messages by unchecked");
        table.error("optional", message, "take it out");
    }
    Some(Stage { plugin: plugin?, optional, with, plugin_location: table.value_location("plugin"), with_location })
}

fn plugin(table: &Table<'_>, known: Option<&Known>) -> Option<PluginName> {
    let text = table.text("plugin")?;
    if let Some(known) = known {
        let own = known.plugins.iter().map(PluginName::as_str);
        let mut names = STANDARD_PLUGINS.into_iter().chain(own);
        if !names.clone().any(|name| name == text) {
            let help = match suggest::nearest(&text, names.by_ref()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("add a table [plugins.{text}] to trackside.toml, or use one of: {}", list(known)),
            };
            table.error("plugin", format!("there is no plugin `{text}`"), help);
            return None;
        }
    }
    PluginName::new(&text).ok()
}

fn list(known: &Known) -> String {
    STANDARD_PLUGINS
        .into_iter()
        .chain(known.plugins.iter().map(PluginName::as_str))
        .take(20)
        .collect::<Vec<_>>()
        .join(", ")
}

/// The settings of a stage as JSON, and where each of them is.
fn with(table: &Table<'_>) -> (Value, TableLocation) {
    let Some(node) = table.node("with") else {
        return (Value::Object(serde_json::Map::new()), TableLocation::absent(table.value_location("plugin")));
    };
    if !is_table(node) {
        let message = format!("`with` must be a table, not {}", values::kind(node.get_ref()));
        table.error("with", message, "write it as with = { … } or as [rule.stage.with]");
    }
    let (mut value, places) = json(table.file, node);
    let location = TableLocation::new(table.key_location("with"), places);
    visit_references(&mut value, &mut String::new(), &mut |path, text| {
        if let Err(error) = SecretRef::parse(text) {
            let message = format!("`{path}` is not a reference to a secret");
            let problem = Problem::error(message).at(location.find(path)).help(error.to_string());
            table.file.problems.push(problem);
        }
    });
    (value, location)
}

/// A TOML value as JSON, its members in the order of the file, and the places of its parts. As deep as the value,
/// whose depth the TOML parser bounds.
pub(in crate::rules) fn json(file: File<'_>, node: &Node<'_>) -> (Value, Places) {
    let unfit = |what: &str| {
        let message = format!("{what} cannot be handed to a plugin, whose settings are JSON");
        file.error(node.span(), message, "write another number, or text in quotes");
        Value::Null
    };
    let leaf = match node.get_ref() {
        DeValue::String(text) => Value::String(text.clone().into_owned()),
        DeValue::Boolean(boolean) => Value::Bool(*boolean),
        DeValue::Datetime(time) => Value::String(time.to_string()),
        DeValue::Integer(integer) => match i64::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(number) => number.into(),
            Err(_) => match u64::from_str_radix(integer.as_str(), integer.radix()) {
                Ok(number) => number.into(),
                Err(_) => unfit("a number of more than 64 bits"),
            },
        },
        DeValue::Float(float) => match float.as_str().parse().ok().and_then(serde_json::Number::from_f64) {
            Some(number) => Value::Number(number),
            None => unfit("`inf`, `nan` or a number as large"),
        },
        DeValue::Array(elements) => {
            let part = |element: &Node<'_>| {
                let (value, places) = json(file, element);
                (value, (element.span(), places))
            };
            let (values, places) = elements.iter().map(part).unzip();
            return (Value::Array(values), Places::Elements(places));
        }
        DeValue::Table(entries) => {
            let (mut members, mut places) = (serde_json::Map::new(), Vec::with_capacity(entries.len()));
            for (key, member) in values::in_order(entries) {
                let (value, inner) = json(file, member);
                members.insert(key.get_ref().to_string(), value);
                places.push((key.get_ref().to_string(), member.span(), inner));
            }
            return (Value::Object(members), Places::Members(places));
        }
    };
    (leaf, Places::Leaf)
}

fn routes(rule: &Table<'_>, known: Option<&Known>) -> BTreeMap<RouteName, Route> {
    let mut routes = BTreeMap::new();
    let entries = rule.named("routes");
    if rule.is_empty("routes") {
        let help = "add `default = \"…\"` with the subject that messages go to after the last stage";
        rule.error("routes", "a rule needs a route", help);
    }
    for (key, node) in entries {
        let route_name = name(rule.file, "route", key.get_ref(), key.span(), RouteName::new);
        let route = route(rule.file, key.get_ref(), node, known);
        if let (Some(name), Some(to)) = (route_name, route) {
            routes.insert(name, Route { to, location: rule.file.at(node.span()) });
        }
    }
    routes
}

fn on_failure(rule: &Table<'_>) -> OnFailure {
    let empty = toml::de::DeTable::new();
    let table = rule
        .table("on-failure", &reference::ON_FAILURE)
        .unwrap_or_else(|| Table::open(rule.file, &reference::ON_FAILURE, 0..0, &empty));
    let backoff = table.durations("backoff");
    if table.is_empty("backoff") || backoff.len() > MAX_BACKOFF {
        let help = "write for example [\"1s\", \"5s\", \"30s\"]; the last wait repeats";
        table.error("backoff", format!("`backoff` must have 1 to {MAX_BACKOFF} waits"), help);
    }
    OnFailure {
        dead_letter: dead_letter(&table),
        tries: table.number("tries"),
        give_up: if table.word("give-up") == "pause" { GiveUp::Pause } else { GiveUp::DeadLetter },
        backoff,
        on_trap: fault(&table, "trap"),
        on_deadline: fault(&table, "deadline"),
        on_limit: fault(&table, "limit"),
    }
}

fn dead_letter(table: &Table<'_>) -> Option<DeadLetter> {
    let node = table.node("dead-letter")?;
    let (subject, encrypt, stream) = match node.get_ref() {
        DeValue::Table(entries) => {
            let inner = Table::open(table.file, &reference::DEAD_LETTER, node.span(), entries);
            inner.text("subject")?;
            let stream = checked_text(&inner, "stream", check_jetstream_name).map(|(name, _)| name);
            (template(table.file, "subject", inner.node("subject")?)?, secret(&inner, "encrypt"), stream)
        }
        _ => (template(table.file, "dead-letter", node)?, None, None),
    };
    Some(DeadLetter { subject, encrypt, stream, location: table.value_location("dead-letter") })
}

fn fault(table: &Table<'_>, key: &str) -> FaultAction {
    match table.word(key) {
        "retry" => FaultAction::Retry,
        "skip" => FaultAction::Skip,
        _ => FaultAction::DeadLetter,
    }
}
