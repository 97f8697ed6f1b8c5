//! `[rule.routes]`: to a subject, to a service, or to who subscribes.

use toml::de::DeValue;

use super::{Known, name};
use crate::names::QueueName;
use crate::rules::error::Problem;
use crate::rules::model::{BatchBounds, CALLER, Confirm, EventMode, SUBSCRIBERS_PREFIX, Target};
use crate::rules::reference;
use crate::rules::suggest;
use crate::rules::table::{File, Table};
use crate::rules::template::{ServiceAddress, Template, UrlTemplate};
use crate::rules::values::{self, Node};

/// The keys of which a route has one, each with those that belong to it alone.
const KINDS: [(&str, &[&str]); 3] =
    [("subject", &["confirm"]), ("url", &["timeout", "batch-events", "batch-bytes"]), ("subscribers", &["ack-wait"])];

/// Where a route leads, written as one text or as a table.
pub(super) fn route(file: File<'_>, key: &str, node: &Node<'_>, known: Option<&Known>) -> Option<Target> {
    // A route that is one text has the defaults of a table in which nothing else is written.
    let empty = toml::de::DeTable::new();
    let short = Table::open(file, &reference::ROUTE, node.span(), &empty);
    match node.get_ref() {
        DeValue::Table(entries) => long(&Table::open(file, &reference::ROUTE, node.span(), entries), known),
        DeValue::String(text) if UrlTemplate::is_meant(text) => service(&short, key, node, known),
        DeValue::String(text) if text == CALLER => Some(Target::Caller),
        DeValue::String(text) if text.starts_with(SUBSCRIBERS_PREFIX) => {
            subscribers(&short, &text[SUBSCRIBERS_PREFIX.len()..], node, known)
        }
        _ => {
            let template = template(file, key, node)?;
            Some(Target::Subject { template, confirm: Confirm::Auto, events: None })
        }
    }
}

fn long(table: &Table<'_>, known: Option<&Known>) -> Option<Target> {
    let given: Vec<_> = KINDS.into_iter().filter(|(key, _)| table.has(key)).collect();
    let [(kind, _)] = given.as_slice() else {
        let message = "a route has one of `subject`, `url` and `subscribers`";
        let help = "write { subject = \"clean.orders\" }, { url = \"http://127.0.0.1:8080/orders\" } or \
                    { subscribers = \"orders\" }";
        table.file.error(table.span.clone(), message, help);
        return None;
    };
    for (other, keys) in KINDS.iter().filter(|(other, _)| other != kind) {
        for key in keys.iter().filter(|key| table.has(key)) {
            let problem = Problem::error(format!("`{key}` belongs to a route with `{other}`"));
            let help = format!("take it out: this route has `{kind}`");
            table.file.problems.push(problem.at(table.key_location(key)).help(help));
        }
    }
    let node = table.node(kind)?;
    match *kind {
        "url" => service(table, kind, node, known),
        "subscribers" => subscribers(table, &table.text(kind)?, node, known),
        _ => {
            let confirm = match table.word("confirm") {
                "stream" => Confirm::Stream,
                "flush" => Confirm::Flush,
                _ => Confirm::Auto,
            };
            let template = template(table.file, kind, node)?;
            Some(Target::Subject { template, confirm, events: events(table) })
        }
    }
}

fn service(table: &Table<'_>, key: &str, node: &Node<'_>, known: Option<&Known>) -> Option<Target> {
    let DeValue::String(text) = node.get_ref() else {
        let message = format!("`{key}` must be a URL, not {}", values::kind(node.get_ref()));
        table.file.error(node.span(), message, "write for example \"http://127.0.0.1:8080/orders\"");
        return None;
    };
    let url = UrlTemplate::parse(text);
    let url = url.map_err(|error| {
        table.file.error(node.span(), format!("`{key}` is not a URL to post to"), error.to_string());
    });
    let url = url.ok()?;
    let allowed = known.map(|known| known.sidecar.as_deref().unwrap_or_default());
    if let Some(allowed) = allowed.filter(|allowed| !allowed.contains(url.address())) {
        let message = format!("`[sidecar] deliver-to` does not allow `{}`", url.address());
        let help = match suggest::nearest(url.address().as_str(), allowed.iter().map(ServiceAddress::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("add it in trackside.toml: deliver-to = [\"{}\"]", url.address()),
        };
        table.file.error(node.span(), message, help);
    }
    let events = events(table);
    for key in ["batch-events", "batch-bytes"].into_iter().filter(|key| table.has(key)) {
        if events != Some(EventMode::Batched) {
            let problem = Problem::error(format!("`{key}` belongs to a route with `events = \"batched\"`"));
            let help = "take it out, or write events = \"batched\"";
            table.file.problems.push(problem.at(table.key_location(key)).help(help));
        }
    }
    let batch =
        BatchBounds { events: table.number("batch-events"), bytes: table.size("batch-bytes").unwrap_or_default() };
    Some(Target::Service { url, timeout: table.duration("timeout"), events, batch })
}

/// How outputs are written as CloudEvents.
fn events(table: &Table<'_>) -> Option<EventMode> {
    match table.word("events") {
        "binary" => Some(EventMode::Binary),
        "structured" => Some(EventMode::Structured),
        "batched" => {
            if !table.has("url") {
                let problem = Problem::error("batches go to services alone: NATS and subscribers have single events");
                let help = "write events = \"structured\" or events = \"binary\"";
                table.file.problems.push(problem.at(table.key_location("events")).help(help));
            }
            Some(EventMode::Batched)
        }
        _ => None,
    }
}

fn subscribers(table: &Table<'_>, text: &str, node: &Node<'_>, known: Option<&Known>) -> Option<Target> {
    if known.is_some_and(|known| known.sidecar.is_none()) {
        let help = "add a table [sidecar] to trackside.toml; `listen` says where";
        table.file.error(node.span(), "nobody can subscribe: there is no sidecar", help);
    }
    let queue = name(table.file, "subscription", text, node.span(), QueueName::new)?;
    Some(Target::Subscribers { queue, ack_wait: table.duration("ack-wait"), events: events(table) })
}

/// A subject template.
pub(super) fn template(file: File<'_>, key: &str, node: &Node<'_>) -> Option<Template> {
    let DeValue::String(text) = node.get_ref() else {
        let message = format!("`{key}` must be a subject template, not {}", values::kind(node.get_ref()));
        file.error(node.span(), message, "write for example \"clean.orders\" or { subject = \"clean.orders\" }");
        return None;
    };
    Template::parse(text)
        .map_err(|error| file.error(node.span(), format!("`{key}` is not a subject template"), error.to_string()))
        .ok()
}
