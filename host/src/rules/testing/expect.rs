//! `[[test.expect]]`: one thing that has to come out.

use toml::de::DeValue;
use trackside_json::Selector;

use super::message::subject;
use super::model::{CLASSES, Check, Ending, Expectation, FieldPath, Phrase};
use super::parse::Context;
use super::payload::{self, headers};
use crate::names::{PluginName, RouteName, RuleName};
use crate::rules::error::Problem;
use crate::rules::model::Rule;
use crate::rules::suggest;
use crate::rules::table::Table;
use crate::rules::template::is_singular;
use crate::rules::values::{self, Node, Wrong};

/// The keys that have a meaning for each ending, besides `outcome`.
const PUBLISHED: &[&str] =
    &["rule", "route", "subject", "headers", "fields", "null", "absent", "text", "json", "base64", "file"];
const DEAD_LETTERED: &[&str] = &[
    "rule", "subject", "headers", "fields", "null", "absent", "text", "json", "base64", "file", "class", "stage",
    "reason",
];
const DROPPED: &[&str] = &["rule", "reason"];
const UNMATCHED: &[&str] = &[];

pub(super) fn expectation(table: &Table<'_>, context: Context<'_>) -> Option<Expectation> {
    let ending = Ending::of_word(table.word("outcome"));
    check_keys(table, ending);
    let rule = if ending == Ending::Unmatched { None } else { Some(rule(table, context)) };
    let known = rule.flatten();
    let mut checks = Vec::new();
    if let Some(route) = table.text("route") {
        checks.extend(known.and_then(|known| route_of(table, known, &route)).map(Check::Route));
    }
    checks.extend(subject_of(table).map(Check::Subject));
    checks.extend(headers(table).into_iter().map(|(name, _, values)| Check::Header { name, values }));
    fields(table, &mut checks);
    for (text, span) in table.texts("null") {
        checks.extend(path(table, &text, span).map(Check::Null));
    }
    for (text, span) in table.texts("absent") {
        checks.extend(path(table, &text, span).map(Check::NoField));
    }
    checks.extend(payload::payload(table, context).map(Check::Payload));
    if table.has("class") {
        let class = table.word("class");
        checks.extend(CLASSES.into_iter().find(|known| *known == class).map(Check::Class));
    }
    if let Some(stage) = table.text("stage") {
        checks.extend(known.and_then(|known| stage_of(table, known, &stage)).map(Check::Stage));
    }
    if table.has("reason") {
        checks.extend(table.read("reason", phrase).map(Check::Reason));
    }
    let rule = match rule {
        Some(known) => Some(known?.name.clone()),
        None => None,
    };
    Some(Expectation { rule, ending, checks, location: table.location() })
}

/// Keys that say nothing about such an outcome.
fn check_keys(table: &Table<'_>, ending: Ending) {
    let fitting = match ending {
        Ending::Published => PUBLISHED,
        Ending::DeadLettered => DEAD_LETTERED,
        Ending::Dropped => DROPPED,
        Ending::Unmatched => UNMATCHED,
    };
    let all = DEAD_LETTERED.iter().chain(["route"].iter());
    for key in all.filter(|key| table.has(key) && !fitting.contains(key)) {
        let message = format!("`{key}` says nothing about what is {}", ending.as_str());
        let help = match fitting {
            [] => "take it out: such a message meets no rule".to_owned(),
            keys => format!("take it out, or write another `outcome`; here can be {}", quoted(keys)),
        };
        table.file.problems.push(Problem::error(message).at(table.key_location(key)).help(help));
    }
}

fn quoted(keys: &[&str]) -> String {
    keys.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ")
}

fn rule<'c>(table: &Table<'_>, context: Context<'c>) -> Option<&'c Rule> {
    if !table.has("rule") {
        table.missing("rule");
        return None;
    }
    let text = table.text("rule")?;
    let rules = &context.rules.rules;
    let found = rules.iter().find(|rule| rule.name.as_str() == text);
    if found.is_none() {
        let help = suggest::help(&text, rules.iter().map(|rule| RuleName::as_str(&rule.name)), "rules");
        table.error("rule", format!("there is no rule `{text}`"), help);
    }
    found
}

fn route_of(table: &Table<'_>, rule: &Rule, text: &str) -> Option<RouteName> {
    let found = rule.routes.keys().find(|name| name.as_str() == text);
    if found.is_none() {
        let help = suggest::help(text, rule.routes.keys().map(RouteName::as_str), "routes");
        table.error("route", format!("rule `{}` has no route `{text}`", rule.name), help);
    }
    found.cloned()
}

fn stage_of(table: &Table<'_>, rule: &Rule, text: &str) -> Option<PluginName> {
    let mut plugins = rule.stages.iter().map(|stage| &stage.plugin);
    let found = plugins.clone().find(|name| name.as_str() == text);
    if found.is_none() {
        let help = suggest::help(text, plugins.by_ref().map(PluginName::as_str).collect::<Vec<_>>(), "stages");
        table.error("stage", format!("rule `{}` has no stage with the plugin `{text}`", rule.name), help);
    }
    found.cloned()
}

fn phrase(node: &Node<'_>) -> Result<Phrase, Wrong> {
    let help = "write a text, or { contains = \"…\" }";
    match node.get_ref() {
        DeValue::String(text) => Ok(Phrase::Exact(text.clone().into_owned())),
        DeValue::Table(entries) => match (entries.get("contains").map(values::text), entries.len()) {
            (Some(Ok(text)), 1) => Ok(Phrase::Contains(text)),
            _ => Err(Wrong::new("must be a text, or a table with `contains` alone", help)),
        },
        other => Err(Wrong::new(format!("must be text, not {}", values::kind(other)), help)),
    }
}

fn subject_of(table: &Table<'_>) -> Option<crate::message::Subject> {
    if table.has("subject") { subject(table) } else { None }
}

fn fields(table: &Table<'_>, checks: &mut Vec<Check>) {
    let Some(node) = table.node("fields") else { return };
    let DeValue::Table(entries) = node.get_ref() else {
        let message = format!("`fields` must be a table, not {}", values::kind(node.get_ref()));
        table.error("fields", message, "write it as fields = { \"$.payment.card\" = \"1111\" }");
        return;
    };
    for (key, node) in values::in_order(entries) {
        let path = path(table, key.get_ref(), key.span());
        match payload::value(node) {
            Ok(value) => checks.extend(path.map(|path| Check::Field { path, value })),
            Err(wrong) => table.file.error(node.span(), format!("`{}` {}", key.get_ref(), wrong.message), wrong.help),
        }
    }
}

fn path(table: &Table<'_>, text: &str, span: std::ops::Range<usize>) -> Option<FieldPath> {
    match Selector::compile(&[text]) {
        Ok(selector) => Some(FieldPath { text: text.to_owned(), selector, singular: is_singular(text) }),
        Err(error) => {
            table.file.error(span, format!("`{text}` is not a JSONPath"), error.to_string());
            None
        }
    }
}
