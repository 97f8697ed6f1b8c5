//! From TOML tables to [`Rules`]. Nothing stops at the first thing that is wrong: it is reported, a default stands in,
//! and reading goes on, so that one report has it all.

mod admin;
mod check;
mod circles;
mod nats;
mod plugins;
mod route;
mod rule;
mod secrets;
mod settings;
mod sidecar;
mod sources;
mod supply;
mod telemetry;

use std::collections::BTreeMap;
use std::ops::Range;

use toml::de::DeValue;

use super::error::{Problem, Report};
use super::files::{CONFIG_FILE, FileSet, RULES_FOLDER};
use super::model::{Config, Priority, Rules};
use super::raw::{RawFile, Texts};
use super::reference;
use super::table::{File, Problems, Table};
use super::template::ServiceAddress;
use super::values::Node;
use crate::message::SubjectPattern;
use crate::names::{PluginName, SourceName};

pub(super) use plugins::limits as plugin_limits;
pub(super) use rule::json;

/// Reads all files: what could be read, and everything that is wrong or odd.
pub(super) fn parse(files: &FileSet) -> (Option<Rules>, Report) {
    let problems = Problems::default();
    files.problems().cloned().for_each(|problem| problems.push(problem));
    let parsed = parse_into(files, &problems);
    (parsed, Report::sorted(problems.into_vec()))
}

fn parse_into(files: &FileSet, problems: &Problems) -> Option<Rules> {
    let texts = Texts::new(files, problems);
    check_presence(files, problems);
    let config = texts.config(problems).map(|file| config(&file, files, problems));
    let known = config.as_ref().map(|config| &config.known);
    let rules = texts.rules(problems).flat_map(|file| rule::rules(&root(&file, problems), known)).collect();
    let rules = check::check(rules, config.as_ref(), problems);
    let config = config?.config?;
    Some(Rules { directory: files.directory().to_owned(), config, rules, digest: files.digest() })
}

/// What is missing altogether.
fn check_presence(files: &FileSet, problems: &Problems) {
    if !files.has(CONFIG_FILE) {
        problems.push(
            Problem::error(format!("there is no `{}`", files.shown(CONFIG_FILE)))
                .help("make it, with at least a [nats] table and one [sources.NAME] table"),
        );
    }
    if !files.has(RULES_FOLDER) {
        problems.push(
            Problem::error(format!("there are no rules in `{}`", files.shown(RULES_FOLDER)))
                .help("make that folder, and in it a file such as `orders.toml` with a [[rule]] table"),
        );
    }
}

/// `trackside.toml`, as far as it could be read.
struct ParsedConfig {
    /// Nothing if what has to be there is not.
    config: Option<Config>,
    known: Known,
}

/// What rules may refer to. Sources and plugins whose tables have errors are known too: those were reported already.
#[derive(Default)]
struct Known {
    /// Each source, with the subjects it delivers; an empty list if that is not known.
    sources: BTreeMap<SourceName, Vec<SubjectPattern>>,
    plugins: Vec<PluginName>,
    priorities: BTreeMap<SourceName, Priority>,
    /// The services that the sidecar may post to, if there is a sidecar.
    sidecar: Option<Vec<ServiceAddress>>,
}

impl Known {
    fn priority(&self, source: &SourceName) -> Option<Priority> {
        self.priorities.get(source).copied()
    }
}

fn config(raw: &RawFile<'_>, files: &FileSet, problems: &Problems) -> ParsedConfig {
    let file = File { source: raw.source, problems };
    let root = Table::open(file, &reference::FILE, 0..0, raw.table.get_ref());
    let nats = root.table("nats", &reference::NATS).and_then(|table| nats::nats(&table, files.directory()));
    let streams = settings::streams(&root);
    let (mut sources, mut source_names) = sources::sources(&root);
    let keys = supply::trust(&root);
    let registries = supply::registries(&root, files.directory());
    let (secrets, secret_names) = secrets::secrets(&root);
    let (plugins, plugin_names) = plugins::plugins(&root, files.directory(), &keys, &secret_names);
    let admin = admin::admin(&root, files.directory());
    let (sidecar, made) = sidecar::sidecar(&root, files.directory(), admin.as_ref());
    for (name, source) in made {
        // A table of that name was told of already.
        if let std::collections::btree_map::Entry::Vacant(place) = sources.entry(name) {
            source_names.push(place.key().clone());
            place.insert(source);
        }
    }
    let traces = telemetry::traces(&root);
    let runtime = settings::runtime(&root, files.directory());
    sources::check_streams(&sources, &streams, file);
    let reach = |name: &SourceName| sources.get(name).map(|source| sources::reach(source, &streams));
    let known = Known {
        sources: source_names.into_iter().map(|name| (name.clone(), reach(&name).unwrap_or_default())).collect(),
        plugins: plugin_names,
        priorities: sources.iter().map(|(name, source)| (name.clone(), source.priority)).collect(),
        sidecar: sidecar.as_ref().map(|sidecar| sidecar.deliver_to.clone()),
    };
    let trust = keys.trust;
    let config = nats.map(|nats| Config {
        nats,
        sources,
        plugins,
        trust,
        registries,
        secrets,
        streams,
        admin,
        sidecar,
        traces,
        runtime,
    });
    ParsedConfig { config, known }
}

fn root<'a>(raw: &'a RawFile<'a>, problems: &'a Problems) -> Table<'a> {
    let file = File { source: raw.source, problems };
    Table::open(file, &reference::RULES_FILE, 0..0, raw.table.get_ref())
}

/// A name of a table, checked.
fn name<T, E: std::fmt::Display>(
    file: File<'_>,
    what: &str,
    text: &str,
    span: Range<usize>,
    make: impl Fn(&str) -> Result<T, E>,
) -> Option<T> {
    make(text)
        .map_err(|error| file.error(span, format!("`{text}` cannot be the name of a {what}"), error.to_string()))
        .ok()
}

/// Subject patterns in a list, checked one by one.
fn patterns(table: &Table<'_>, key: &str) -> Vec<(SubjectPattern, Range<usize>)> {
    let texts = table.texts(key).into_iter();
    let pattern =
        |(text, span): (String, Range<usize>)| pattern(table.file, key, &text, span.clone()).map(|p| (p, span));
    texts.filter_map(pattern).collect()
}

/// A subject pattern, checked.
fn pattern(file: File<'_>, key: &str, text: &str, span: Range<usize>) -> Option<SubjectPattern> {
    let help =
        |error: &dyn std::fmt::Display| format!("{error}; write for example \"orders.*.created\" or \"orders.>\"");
    SubjectPattern::new(text)
        .map_err(|error| file.error(span, format!("`{key}` is not a subject pattern"), help(&error)))
        .ok()
}

/// Reports the first two of the patterns that overlap, which the server refuses.
fn check_disjoint(file: File<'_>, patterns: &[(SubjectPattern, Range<usize>)], what: &str) {
    for (index, (right, span)) in patterns.iter().enumerate() {
        if let Some((left, first)) = patterns[..index].iter().find(|(left, _)| left.overlaps(right)) {
            let problem =
                Problem::error(format!("`{left}` and `{right}` overlap, which the server refuses for {what}"))
                    .at(file.at(span.clone()))
                    .also(file.at(first.clone()), "overlaps this one")
                    .help("write patterns of which no subject matches two");
            return file.problems.push(problem);
        }
    }
}

/// A name that JetStream takes for a stream or consumer.
fn check_jetstream_name(text: &str) -> Result<(), String> {
    match text.chars().find(|c| c.is_whitespace() || c.is_control() || matches!(c, '.' | '*' | '>' | '/' | '\\')) {
        _ if text.is_empty() => Err("it is empty".to_owned()),
        _ if text.len() > 255 => Err("it has more than 255 bytes".to_owned()),
        Some(c) => Err(format!("it has {c:?}: dots, wildcards, slashes and white space are not allowed")),
        None => Ok(()),
    }
}

/// A text that goes to the server as one word, such as a queue group.
fn check_word(text: &str) -> Result<(), String> {
    match text.chars().find(|c| c.is_whitespace() || c.is_control()) {
        _ if text.is_empty() => Err("it is empty".to_owned()),
        Some(c) => Err(format!("it has {c:?}: white space and control characters are not allowed")),
        None => Ok(()),
    }
}

/// Whether a node is a table.
fn is_table(node: &Node<'_>) -> bool {
    matches!(node.get_ref(), DeValue::Table(_))
}
