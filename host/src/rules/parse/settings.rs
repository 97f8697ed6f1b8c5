//! `[streams.NAME]`, `[runtime]` and `[json]`.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use toml::de::DeTable;

use super::nats::path;
use super::{check_disjoint, check_jetstream_name, pattern, patterns};
use crate::message::SubjectPattern;
use crate::rules::SubjectTransform;
use crate::rules::model::{RuntimeSettings, Stream};
use crate::rules::reference::{self, Section};
use crate::rules::table::Table;

pub(super) fn streams(root: &Table<'_>) -> BTreeMap<String, Stream> {
    let mut streams = BTreeMap::new();
    let mut all: Vec<(SubjectPattern, Range<usize>)> = Vec::new();
    for (key, node) in root.named("streams") {
        if let Err(reason) = check_jetstream_name(key.get_ref()) {
            root.file.error(key.span(), format!("`{}` cannot be the name of a stream", key.get_ref()), reason);
        }
        let Some(table) = Table::open_node(root.file, &reference::STREAM, key.get_ref(), node) else { continue };
        let subjects = patterns(&table, "subjects");
        if table.is_empty("subjects") {
            table.error("subjects", "`subjects` has no subject", "write for example [\"orders.>\"]");
        }
        all.extend(subjects.iter().cloned());
        let subjects: Vec<_> = subjects.into_iter().map(|(pattern, _)| pattern).collect();
        let transform = table.table("transform", &reference::TRANSFORM).and_then(|table| transform(&table, &subjects));
        let (allow_batched, location) = (table.boolean("allow-batched"), table.location());
        streams.insert(key.get_ref().to_string(), Stream { subjects, transform, allow_batched, location });
    }
    check_disjoint(root.file, &all, "the subjects of streams");
    streams
}

/// The transform of a stream with these subjects.
fn transform(table: &Table<'_>, subjects: &[SubjectPattern]) -> Option<SubjectTransform> {
    let (from, to) = (table.text("from"), table.text("to"));
    let from = pattern(table.file, "from", &from?, table.node("from")?.span())?;
    if !subjects.iter().any(|subject| subject.overlaps(&from)) {
        let help = "write one of its `subjects`, or a part of one";
        table.error("from", format!("the stream takes nothing that `{from}` matches"), help);
    }
    let read = SubjectTransform::new(from, to?);
    let help = "write for example \"orders.{{partition(8,1)}}.{{wildcard(1)}}\"";
    read.map_err(|why| table.error("to", "`to` makes no subject", format!("{why}; {help}"))).ok()
}

pub(super) fn runtime(root: &Table<'_>, directory: &Path) -> RuntimeSettings {
    // A table that is not there is one in which nothing is written.
    let empty = DeTable::new();
    let open = |name: &str, section: &'static Section| root.table(name, section);
    let absent = |section: &'static Section| Table::open(root.file, section, 0..0, &empty);
    let (runtime, json) = (open("runtime", &reference::RUNTIME), open("json", &reference::JSON));
    let runtime = runtime.unwrap_or_else(|| absent(&reference::RUNTIME));
    let json = json.unwrap_or_else(|| absent(&reference::JSON));
    RuntimeSettings {
        lanes: runtime.whole("lanes").and_then(|lanes| usize::try_from(lanes).ok()),
        drain_timeout: runtime.duration("drain-timeout"),
        cache: path(&runtime, "cache", directory),
        watch: runtime.boolean("watch"),
        json_max_depth: json.number("max-depth"),
        json_max_matches: json.number("max-matches"),
        json_max_bytes: json.size("max-bytes").unwrap_or_default(),
    }
}
