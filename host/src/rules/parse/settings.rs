//! `[streams.NAME]`, `[runtime]` and `[json]`.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use toml::de::DeTable;

use super::nats::path;
use super::{check_disjoint, check_jetstream_name, patterns};
use crate::message::SubjectPattern;
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
        let subjects = subjects.into_iter().map(|(pattern, _)| pattern).collect();
        let allow_batched = table.boolean("allow-batched");
        streams.insert(key.get_ref().to_string(), Stream { subjects, allow_batched, location: table.location() });
    }
    check_disjoint(root.file, &all, "the subjects of streams");
    streams
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
