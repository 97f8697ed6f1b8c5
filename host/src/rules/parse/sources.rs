//! `[sources.NAME]`.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use toml::de::DeValue;
use toml::value::Datetime;

use super::nats::checked_text;
use super::{check_disjoint, check_jetstream_name, check_word, name, pattern};
use crate::message::SubjectPattern;
use crate::names::SourceName;
use crate::rules::error::{Location, Problem};
use crate::rules::model::{
    Deliver, Partitions, Priority, REPLIES_SOURCE, Rules, SIDECAR_SOURCE, Source, SourceKind, Stream,
};
use crate::rules::reference;
use crate::rules::table::{File, Table};
use crate::rules::values::{self, Node};

/// What the sidecar's HTTP is called as a source.
const RESERVED_NAMES: [&str; 2] = [SIDECAR_SOURCE, REPLIES_SOURCE];

/// Most filters of one source.
const MAX_FILTERS: usize = 256;

/// The sources, and the names of all of them, those with errors included.
pub(super) fn sources(root: &Table<'_>) -> (BTreeMap<SourceName, Source>, Vec<SourceName>) {
    let (mut sources, mut names) = (BTreeMap::new(), Vec::new());
    let entries = root.named("sources");
    if !root.has("sources") && !root.has("sidecar") {
        root.require("sources");
    } else if root.is_empty("sources") {
        root.error("sources", "there is no source", "add a table such as [sources.orders]");
    }
    for (key, node) in entries {
        let Some(name) = name(root.file, "source", key.get_ref(), key.span(), SourceName::new) else { continue };
        if RESERVED_NAMES.contains(&name.as_str()) {
            let message = format!("`{name}` cannot be the name of a source: it is reserved");
            root.file.error(key.span(), message, "choose another name; a table [sidecar] makes a source of this name");
        }
        let table = Table::open_node(root.file, &reference::SOURCE, key.get_ref(), node);
        if let Some(source) = table.and_then(|table| source(&table)) {
            sources.insert(name.clone(), source);
        }
        names.push(name);
    }
    check_shared(&sources, root.file);
    (sources, names)
}

fn source(table: &Table<'_>) -> Option<Source> {
    let (max_in_flight_messages, max_in_flight_bytes) =
        (table.number("max-in-flight-messages"), table.size("max-in-flight-bytes").unwrap_or_default());
    let kind = match (table.has("stream"), table.has("subject")) {
        (true, false) => jetstream(table),
        (false, true) => core(table),
        (true, true) => {
            let problem = Problem::error("a source has `stream` or `subject`, not both")
                .at(table.key_location("subject"))
                .also(table.key_location("stream"), "the other one")
                .help("to read some subjects of a stream, write `filter-subjects`");
            table.file.problems.push(problem);
            None
        }
        (false, false) => {
            let help = "add `stream = …` to read a JetStream stream, or `subject = …` to subscribe with core NATS";
            table.file.error(table.span.clone(), "a source needs `stream` or `subject`", help);
            None
        }
    }?;
    let priority = priority(table).unwrap_or_default();
    Some(Source { kind, max_in_flight_messages, max_in_flight_bytes, priority, location: table.location() })
}

/// The priority that a table gives, if it gives one.
pub(super) fn priority(table: &Table<'_>) -> Option<Priority> {
    match table.word("priority") {
        "high" => Some(Priority::High),
        "normal" => Some(Priority::Normal),
        "low" => Some(Priority::Low),
        _ => None,
    }
}

fn jetstream(table: &Table<'_>) -> Option<SourceKind> {
    if table.has("queue-group") {
        let help = "take it out: instances that share the `durable` consumer share its messages";
        table.error("queue-group", "`queue-group` belongs to a source with `subject`", help);
    }
    let count = table.whole("partitions").and_then(|count| u32::try_from(count).ok());
    let (filters, templates) = filters(table, count);
    if filters.len() > MAX_FILTERS {
        let message = format!("`filter-subjects` has more than {MAX_FILTERS} subjects");
        table.error("filter-subjects", message, "use wildcards, or several sources");
    } else {
        check_disjoint(table.file, &filters, "the filters of one consumer");
    }
    let stream = checked_text(table, "stream", check_jetstream_name);
    let durable = checked_text(table, "durable", check_jetstream_name);
    if !table.has("durable") {
        table.missing("durable");
    }
    Some(SourceKind::JetStream {
        stream: stream?.0,
        filter_subjects: filters.into_iter().map(|(pattern, _)| pattern).collect(),
        durable: durable?.0,
        deliver: deliver(table)?,
        ack_wait: table.duration("ack-wait"),
        double_ack: table.boolean("double-ack"),
        partitions: count.map(|count| Partitions { count, filters: templates }),
    })
}

/// The token of a filter that stands for the partition.
const PARTITION: &str = "{partition}";

/// The filters as patterns, a `*` for the partition, and as they are written.
fn filters(table: &Table<'_>, count: Option<u32>) -> (Vec<(SubjectPattern, Range<usize>)>, Vec<String>) {
    let partitioned = count.is_some_and(|count| count > 1);
    let (mut filters, mut templates) = (Vec::new(), Vec::new());
    for (text, span) in table.texts("filter-subjects") {
        let places = text.split('.').filter(|token| *token == PARTITION).count();
        if partitioned && places != 1 {
            let help = "write for example \"orders.{partition}.>\", where the stream puts the partition by its `transform`, \
                        such as `orders.{{partition(8,1)}}.{{wildcard(1)}}`, see [streams.NAME]";
            let message =
                format!("`{text}` does not have `{PARTITION}` as one of its tokens, and `partitions` is more than 1");
            table.file.error(span, message, help);
            continue;
        }
        let tokens: Vec<&str> =
            text.split('.').map(|token| if partitioned && token == PARTITION { "*" } else { token }).collect();
        if let Some(pattern) = pattern(table.file, "filter-subjects", &tokens.join("."), span.clone()) {
            filters.push((pattern, span));
            templates.push(text);
        }
    }
    if partitioned && !table.has("filter-subjects") {
        let help = "add for example `filter-subjects = [\"orders.{partition}.>\"]`";
        table.error("partitions", "a source with several partitions needs `filter-subjects`", help);
    }
    (filters, templates)
}

fn core(table: &Table<'_>) -> Option<SourceKind> {
    for key in ["durable", "filter-subjects", "deliver", "ack-wait", "partitions", "double-ack"] {
        if table.has(key) {
            let message = format!("`{key}` belongs to a source with `stream`");
            let problem = Problem::error(message)
                .at(table.key_location(key))
                .help("take it out, or read a stream: core NATS keeps nothing that could be read again");
            table.file.problems.push(problem);
        }
    }
    let queue_group = checked_text(table, "queue-group", check_word).map(|(text, _)| text);
    let text = table.text("subject")?;
    let subject = pattern(table.file, "subject", &text, table.node("subject")?.span())?;
    Some(SourceKind::Core { subject, queue_group })
}

const DELIVER_HELP: &str = "write \"all\", \"new\", { from-sequence = 7 } or { from-time = \"2026-11-22T10:00:00Z\" }";

fn deliver(table: &Table<'_>) -> Option<Deliver> {
    let Some(node) = table.node("deliver") else { return Some(Deliver::All) };
    match node.get_ref() {
        DeValue::String(text) if text.as_ref() == "all" => return Some(Deliver::All),
        DeValue::String(text) if text.as_ref() == "new" => return Some(Deliver::New),
        DeValue::Table(entries) => {
            let inner = Table::open(table.file, &reference::DELIVER, node.span(), entries);
            match (inner.has("from-sequence"), inner.has("from-time")) {
                (true, false) => return inner.whole("from-sequence").map(Deliver::FromSequence),
                (false, true) => return inner.read("from-time", time).map(Deliver::FromTime),
                _ => {}
            }
        }
        _ => {}
    }
    table.error("deliver", "`deliver` is not a place where a consumer can begin", DELIVER_HELP);
    None
}

/// A date and time with an offset, RFC 3339, as text or as TOML has it.
fn time(node: &Node<'_>) -> Result<String, values::Wrong> {
    let wrong = || values::Wrong::new("must be a date and time with an offset (RFC 3339)", DELIVER_HELP);
    let time = match node.get_ref() {
        DeValue::String(text) => text.parse::<Datetime>().map_err(|_| wrong())?,
        DeValue::Datetime(time) => *time,
        _ => return Err(wrong()),
    };
    let complete = time.date.is_some() && time.offset.is_some() && time.time.is_some_and(|time| time.second.is_some());
    if complete { Ok(time.to_string()) } else { Err(wrong()) }
}

/// The subjects that a source delivers; empty if that is not known, because its stream is not described.
pub(super) fn reach(source: &Source, streams: &BTreeMap<String, Stream>) -> Vec<SubjectPattern> {
    match &source.kind {
        SourceKind::Core { subject, .. } => vec![subject.clone()],
        SourceKind::JetStream { filter_subjects, stream, .. } if filter_subjects.is_empty() => {
            streams.get(stream).map(|stream| stream.stores().cloned().collect()).unwrap_or_default()
        }
        SourceKind::JetStream { filter_subjects, .. } => filter_subjects.clone(),
        SourceKind::Sidecar | SourceKind::Replies => Vec::new(),
    }
}

impl Rules {
    /// The subjects that a source delivers; none where that is not known.
    #[must_use]
    pub fn reach(&self, source: &SourceName) -> Vec<SubjectPattern> {
        self.config.sources.get(source).map(|source| reach(source, &self.config.streams)).unwrap_or_default()
    }
}

/// Filters that the stream, where it is described, can never satisfy.
pub(super) fn check_streams(
    sources: &BTreeMap<SourceName, Source>,
    streams: &BTreeMap<String, Stream>,
    file: File<'_>,
) {
    for (name, source) in sources {
        let SourceKind::JetStream { stream, filter_subjects, partitions, .. } = &source.kind else { continue };
        let Some(described) = streams.get(stream) else { continue };
        let made = described.transform.as_ref().and_then(|transform| transform.partitions);
        let read = partitions.as_ref().map(|partitions| partitions.count).filter(|count| *count > 1);
        if let (Some(made), Some(read)) = (made, read)
            && made != read
        {
            let message = format!("source `{name}` reads {read} partitions, and `{stream}` makes {made}");
            let problem = Problem::error(message)
                .at(source.location.clone())
                .also(described.location.clone(), "makes the partitions")
                .help("write the same number in `partitions` and in `{{partition(…)}}`");
            file.problems.push(problem);
        }
        let dead = |filter: &&SubjectPattern| !described.stores().any(|subject| subject.overlaps(filter));
        if let Some(filter) = filter_subjects.iter().find(dead) {
            let message = format!("the filter `{filter}` of source `{name}` matches nothing that `{stream}` stores");
            let problem = Problem::error(message)
                .at(source.location.clone())
                .also(described.location.clone(), "stores these subjects")
                .help("correct the filter, or add its subjects to the stream");
            file.problems.push(problem);
        }
    }
}

/// Two sources that would take each other's messages away.
fn check_shared(sources: &BTreeMap<SourceName, Source>, file: File<'_>) {
    let mut seen: HashMap<(&str, &str), (&SourceName, &Location)> = HashMap::new();
    for (name, source) in sources {
        let (key, what, help) = match &source.kind {
            SourceKind::JetStream { stream, durable, .. } => {
                ((stream.as_str(), durable.as_str()), "the same durable consumer", "give each its own `durable`")
            }
            SourceKind::Core { subject, queue_group: Some(group) } => (
                (subject.as_str(), group.as_str()),
                "the same subject and queue group",
                "give each its own `queue-group`",
            ),
            SourceKind::Core { queue_group: None, .. } | SourceKind::Sidecar | SourceKind::Replies => continue,
        };
        if let Some((first, place)) = seen.insert(key, (name, &source.location)) {
            let message = format!("sources `{first}` and `{name}` have {what}, so each would get only some messages");
            let problem = Problem::error(message)
                .at(source.location.clone())
                .also(place.clone(), "the other one")
                .help(format!("{help}, or use one source for both"));
            file.problems.push(problem);
        }
    }
}
