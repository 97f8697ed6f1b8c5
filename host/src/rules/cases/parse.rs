//! From TOML tables to cases.

use std::path::{Component, Path};
use std::sync::Arc;

use base64::Engine as _;
use bytes::Bytes;
use serde_json::Value;
use toml::de::{DeTable, DeValue};

use super::model::{Case, Content, Expected, ExpectedPart, Handing, LogLine, Outcome, Payload, Phrase};
use super::sections;
use crate::message::{Headers, Message, Origin, OriginKind, Subject};
use crate::rules::model::PluginSettings;
use crate::rules::parse::{json, plugin_limits};
use crate::rules::raw::RawFile;
use crate::rules::reference;
use crate::rules::table::{File, Problems, Table};
use crate::rules::units;
use crate::rules::values::{self, Node, Wrong};

/// All cases of a file.
pub(super) fn cases(raw: &RawFile<'_>, folder: &Path, problems: &Problems) -> Vec<Case> {
    let file = File { source: raw.source, problems };
    let root = Table::open(file, &sections::FILE, 0..0, raw.table.get_ref());
    let empty = DeTable::new();
    let none = Table::open(file, &sections::DEFAULTS, 0..0, &empty);
    let defaults = root.table("defaults", &sections::DEFAULTS).unwrap_or(none);
    let reader = Reader { defaults, folder };
    root.array("case", &sections::CASE).iter().map(|table| reader.case(table)).collect()
}

/// What the cases of a file have in common.
struct Reader<'a> {
    defaults: Table<'a>,
    folder: &'a Path,
}

impl Reader<'_> {
    fn case(&self, table: &Table<'_>) -> Case {
        let pick = |key: &str| if table.has(key) { table } else { &self.defaults };
        let first = self.handing(table);
        let further = table.array("then", &sections::THEN);
        let refused = expect(table).and_then(|expect| phrase(&expect, "configure"));
        if refused.is_some() {
            for key in ["message", "then"].into_iter().filter(|key| table.has(key)) {
                table.error(key, format!("`{key}` cannot be where `configure` is expected to fail"), "take it out");
            }
        }
        Case {
            name: table.text("name").unwrap_or_default(),
            with: with(pick("with")),
            routes: pick("routes").texts("routes").into_iter().map(|(route, _)| route).collect(),
            settings: self.limits(table),
            refused,
            handings: std::iter::once(first).chain(further.iter().map(|table| self.handing(table))).collect(),
            location: table.location(),
        }
    }

    /// What holds for every case, with what this one says in its place, key by key.
    fn limits(&self, table: &Table<'_>) -> PluginSettings {
        let mut entries = DeTable::new();
        for table in [&self.defaults, table] {
            match table.node("limits").map(Node::get_ref) {
                Some(DeValue::Table(own)) => entries.extend(own.clone()),
                Some(other) => {
                    let message = format!("`limits` must be a table, not {}", values::kind(other));
                    table.error("limits", message, "write it as limits = { … }");
                }
                None => {}
            }
        }
        let limits = Table::open(table.file, &reference::PLUGIN, table.span.clone(), &entries);
        for key in ["path", "oci", "sha256", "require-signature"].into_iter().filter(|key| limits.has(key)) {
            limits.error(key, format!("`{key}` is no limit"), "take it out: the command line names the plugin");
        }
        // Where it is written makes no difference to what a plugin may use.
        PluginSettings { location: None, ..plugin_limits(&limits, self.folder) }
    }

    fn handing(&self, table: &Table<'_>) -> Handing {
        let (message, origin) = self.message(table);
        let expected = expect(table).map(|expect| self.expected(&expect)).unwrap_or(Expected {
            outcome: Outcome::Forward,
            reason: None,
            after: None,
            routes: None,
            parts: None,
            content: Content::default(),
            log: None,
        });
        Handing { message, origin: Arc::new(origin), expected }
    }

    fn message(&self, table: &Table<'_>) -> (Message, Origin) {
        let empty = DeTable::new();
        let none = || Table::open(table.file, &sections::MESSAGE, 0..0, &empty);
        let table = table.table("message", &sections::MESSAGE).unwrap_or_else(none);
        let subject = table.read("subject", |node| {
            let text = values::text(node)?;
            Subject::new(&text).map_err(|error| Wrong::new("is not a subject", error.to_string()))
        });
        let payload = match self.payload(&table) {
            Some(Payload::Bytes(bytes)) => bytes,
            Some(Payload::Json(value)) => Bytes::from(value.to_string()),
            Some(Payload::Size(size)) => Bytes::from(vec![b'x'; size]),
            None => Bytes::new(),
        };
        let mut headers = Headers::default();
        for (name, values) in read_headers(&table) {
            for value in values {
                if let Err(error) = headers.append_by_producer(&name, &value) {
                    table.error("headers", format!("`{}` cannot be a header", name.escape_debug()), error.to_string());
                }
            }
        }
        let kind = match table.word("origin") {
            "jetstream" => OriginKind::JetStream,
            "core" => OriginKind::Core,
            "sidecar" => OriginKind::Sidecar,
            _ => OriginKind::Trial,
        };
        let origin = Origin {
            kind,
            id: table.text("id").unwrap_or_default().into(),
            timestamp_ms: table.number("timestamp"),
            delivery: table.number("delivery"),
        };
        (Message { subject: subject.unwrap_or_default(), headers, payload }, origin)
    }

    fn expected(&self, table: &Table<'_>) -> Expected {
        let given = |key: &str| table.has(key).then(|| table.word(key));
        let outcomes = ["verdict", "failure", "configure"];
        if outcomes.iter().filter(|key| table.has(key)).count() > 1 {
            let problem = "a message can come to one of `verdict`, `failure` and `configure`";
            table.file.error(table.span.clone(), problem, "take the others out");
        }
        let outcome = given("verdict").or_else(|| given("failure")).and_then(Outcome::named);
        let outcome = outcome.unwrap_or(Outcome::Forward);
        for (key, fits) in [
            ("after", outcome == Outcome::Retry),
            ("to", matches!(outcome, Outcome::Route | Outcome::Publish)),
            ("parts", outcome == Outcome::Split),
            ("reason", !matches!(outcome, Outcome::Forward | Outcome::Route | Outcome::Split | Outcome::Publish)),
        ] {
            if table.has(key) && !fits {
                let message = format!("`{key}` does not go with the outcome `{}`", outcome.name());
                table.error(key, message, "take it out, or expect another outcome");
            }
        }
        let part = |table: &Table<'_>| ExpectedPart { content: self.content(table), route: table.text("to") };
        Expected {
            outcome,
            reason: phrase(table, "reason"),
            after: table.has("after").then(|| table.read("after", after).flatten()),
            routes: table.has("to").then(|| table.texts("to").into_iter().map(|(route, _)| route).collect()),
            parts: table.has("parts").then(|| table.array("parts", &sections::PART).iter().map(part).collect()),
            content: self.content(table),
            log: table.has("log").then(|| table.array("log", &sections::LINE).iter().map(line).collect()),
        }
    }

    fn content(&self, table: &Table<'_>) -> Content {
        Content { payload: self.payload(table), headers: read_headers(table) }
    }

    /// The payload that one of five keys gives.
    fn payload(&self, table: &Table<'_>) -> Option<Payload> {
        let keys = ["text", "json", "base64", "file", "size"];
        let mut given = keys.into_iter().filter(|key| table.has(key));
        let key = given.next()?;
        if let Some(second) = given.next() {
            let message = format!("a payload is given by one key, and here are `{key}` and `{second}`");
            table.error(second, message, "take one of them out");
        }
        match key {
            "text" => table.text(key).map(|text| Payload::Bytes(text.into())),
            "json" => table.node(key).map(|node| Payload::Json(json(table.file, node).0)),
            "base64" => table.read(key, base64).map(Payload::Bytes),
            "file" => table.read(key, |node| self.read_file(node)).map(Payload::Bytes),
            _ => table.size(key).map(Payload::Size),
        }
    }

    fn read_file(&self, node: &Node<'_>) -> Result<Bytes, Wrong> {
        let name = values::text(node)?;
        let path = Path::new(&name);
        if !path.components().all(|part| matches!(part, Component::Normal(_))) {
            return Err(Wrong::new(
                "is not a path from the cases file",
                "write it without `..`, for example \"a.json\"",
            ));
        }
        let read = std::fs::read(self.folder.join(path));
        read.map(Bytes::from).map_err(|error| Wrong::new("cannot be read", error.to_string()))
    }
}

fn expect<'a>(table: &Table<'a>) -> Option<Table<'a>> {
    table.table("expect", &sections::EXPECT)
}

fn with(table: &Table<'_>) -> Value {
    match table.node("with") {
        None => Value::Object(serde_json::Map::new()),
        Some(node) if matches!(node.get_ref(), DeValue::Table(_)) => json(table.file, node).0,
        Some(node) => {
            let message = format!("`with` must be a table, not {}", values::kind(node.get_ref()));
            table.error("with", message, "write it as with = { … }");
            Value::Null
        }
    }
}

fn line(table: &Table<'_>) -> LogLine {
    let level = table.has("level").then(|| table.word("level"));
    LogLine { level, text: phrase(table, "text").unwrap_or(Phrase::Is(String::new())) }
}

/// Text, or a table that says what it contains.
fn phrase(table: &Table<'_>, key: &str) -> Option<Phrase> {
    table.read(key, |node| match node.get_ref() {
        DeValue::String(text) => Ok(Phrase::Is(text.clone().into_owned())),
        DeValue::Table(entries) => match (entries.get("contains").map(Node::get_ref), entries.len()) {
            (Some(DeValue::String(part)), 1) => Ok(Phrase::Contains(part.clone().into_owned())),
            _ => Err(Wrong::new("is a table without `contains` alone", "write { contains = \"…\" }")),
        },
        other => {
            let message = format!("must be text, not {}", values::kind(other));
            Err(Wrong::new(message, "write it in quotes, or as { contains = \"…\" }"))
        }
    })
}

fn after(node: &Node<'_>) -> Result<Option<std::time::Duration>, Wrong> {
    let text = values::text(node)?;
    if text == "unset" {
        return Ok(None);
    }
    units::duration(&text).map(Some).map_err(|error| Wrong::new("must be a duration or \"unset\"", error.to_string()))
}

fn base64(node: &Node<'_>) -> Result<Bytes, Wrong> {
    let decoded = base64::engine::general_purpose::STANDARD.decode(values::text(node)?);
    decoded.map(Bytes::from).map_err(|error| Wrong::new("is not Base64", error.to_string()))
}

/// Names with their values, in the order of the file.
fn read_headers(table: &Table<'_>) -> Vec<(String, Vec<String>)> {
    let read = |node: &Node<'_>| match node.get_ref() {
        DeValue::String(text) => Ok(vec![text.clone().into_owned()]),
        DeValue::Array(_) => values::list(node, values::text),
        other => Err(Wrong::new(format!("must be text or a list of texts, not {}", values::kind(other)), "quote it")),
    };
    let mut headers = Vec::new();
    if !table.has("headers") {
        return headers;
    }
    for (name, node) in table.named("headers") {
        match read(node) {
            Ok(values) => headers.push((name.get_ref().to_string(), values)),
            Err(wrong) => {
                let span = wrong.span.unwrap_or_else(|| node.span());
                table.file.error(span, format!("the header `{}` {}", name.get_ref(), wrong.message), wrong.help);
            }
        }
    }
    headers
}
