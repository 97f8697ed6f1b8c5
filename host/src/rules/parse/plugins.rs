//! `[plugins.NAME]`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use toml::de::DeTable;

use super::name;
use super::nats::path;
use super::supply::{Keys, origin};
use crate::names::{PluginName, SecretName};
use crate::rules::error::{Problem, SourceText};
use crate::rules::grant::{Grant, Grants};
use crate::rules::model::{BreakerSettings, Isolation, PluginLimits, PluginSettings};
use crate::rules::reference::{self, STANDARD_PLUGINS, Section};
use crate::rules::suggest;
use crate::rules::table::{File, Problems, Table};

/// What is in the binary is nobody's bomb, and a slow machine may take its time.
const STANDARD_COMPILE_TIMEOUT: Duration = Duration::from_secs(600);

/// The plugins with a table, and the names of all of them, those with errors included. `secrets` are the names that
/// grants can refer to.
pub(super) fn plugins(
    root: &Table<'_>,
    directory: &Path,
    keys: &Keys,
    secrets: &[SecretName],
) -> (BTreeMap<PluginName, PluginSettings>, Vec<PluginName>) {
    let (mut plugins, mut names) = (BTreeMap::new(), Vec::new());
    for (key, node) in root.named("plugins") {
        let Some(name) = name(root.file, "plugin", key.get_ref(), key.span(), PluginName::new) else { continue };
        if let Some(table) = Table::open_node(root.file, &reference::PLUGIN, key.get_ref(), node) {
            if !table.has("path") && !table.has("oci") && !STANDARD_PLUGINS.contains(&name.as_str()) {
                table.missing("path");
            }
            let part_of_the_binary = !table.has("path") && !table.has("oci");
            plugins.insert(name.clone(), settings(&table, part_of_the_binary, directory, keys, secrets));
        }
        names.push(name);
    }
    (plugins, names)
}

impl Default for PluginSettings {
    /// What holds for a standard plugin without a table of its own.
    fn default() -> Self {
        static DEFAULTS: LazyLock<PluginSettings> = LazyLock::new(|| {
            let (source, problems, entries) = (SourceText::new("", ""), Problems::default(), DeTable::new());
            let file = File { source: &source, problems: &problems };
            let table = Table::open(file, &reference::PLUGIN, 0..0, &entries);
            PluginSettings { location: None, ..settings(&table, true, Path::new(""), &Keys::default(), &[]) }
        });
        DEFAULTS.clone()
    }
}

/// What its table says about a plugin that comes from somewhere else: its limits.
pub(in crate::rules) fn limits(table: &Table<'_>, directory: &Path) -> PluginSettings {
    settings(table, false, directory, &Keys::default(), &[])
}

fn settings(
    table: &Table<'_>,
    part_of_the_binary: bool,
    directory: &Path,
    keys: &Keys,
    secrets: &[SecretName],
) -> PluginSettings {
    let memory_bytes = table.size("memory").unwrap_or_default();
    let recycle_above_bytes = table.size("recycle-above").unwrap_or(memory_bytes / 4 * 3);
    if recycle_above_bytes > memory_bytes {
        let help = "write at most the plugin's `memory`, past which it cannot grow";
        table.error("recycle-above", "`recycle-above` is more than `memory`", help);
    }
    let (path, oci, signed_by) = origin(table, path(table, "path", directory), keys);
    PluginSettings {
        path,
        oci,
        sha256: sha256(table),
        signed_by,
        grants: grants(table, secrets),
        limits: PluginLimits {
            memory_bytes,
            deadline: table.duration("deadline"),
            configure_deadline: table.duration("configure-deadline"),
            compile_timeout: if part_of_the_binary && !table.has("compile-timeout") {
                STANDARD_COMPILE_TIMEOUT
            } else {
                table.duration("compile-timeout")
            },
            compile_memory_bytes: table.size("compile-memory").unwrap_or_default(),
            table_elements: table.number("table-elements"),
            host_calls: table.number("host-calls"),
            host_bytes: table.size("host-bytes").unwrap_or_default(),
            log_lines_per_second: table.number("log-lines-per-second"),
            recycle_after_messages: table.number("recycle-after-messages"),
            recycle_above_bytes,
        },
        isolation: if table.word("isolation") == "message" { Isolation::Message } else { Isolation::Instance },
        breaker: breaker(table, &reference::PLUGIN_BREAKER),
        files: files(table),
        location: Some(table.location()),
    }
}

/// The breaker below a table; the defaults of its section where nothing is written.
pub(super) fn breaker(table: &Table<'_>, section: &'static Section) -> BreakerSettings {
    let empty = DeTable::new();
    let table = table.table("breaker", section).unwrap_or_else(|| Table::open(table.file, section, 0..0, &empty));
    let (open_for, open_for_most) = (table.duration("open-for"), table.duration("open-for-most"));
    if open_for > open_for_most {
        table.error("open-for", "`open-for` is more than `open-for-most`", "write at most that, or raise it");
    }
    BreakerSettings {
        failures: table.number("failures"),
        failures_of_100: table.whole("failure-rate").and_then(|rate| u32::try_from(rate).ok()),
        open_for,
        open_for_most,
    }
}

fn sha256(table: &Table<'_>) -> Option<[u8; 32]> {
    let text = table.text("sha256")?;
    let mut digest = [0; 32];
    if hex::decode_to_slice(&text, &mut digest).is_err() {
        let help = "write the 64 hexadecimal digits that `sha256sum` prints for the component";
        table.error("sha256", "`sha256` is not a SHA-256", help);
        return None;
    }
    Some(digest)
}

/// What the plugin is given; each grant once.
fn grants(table: &Table<'_>, secrets: &[SecretName]) -> Grants {
    let mut grants = Grants::default();
    let mut places: BTreeMap<String, _> = BTreeMap::new();
    for (text, span) in table.texts("grants") {
        let grant = match Grant::parse(&text) {
            Ok(grant) => grant,
            Err(error) => {
                table.file.error(span, format!("`{text}` is not a grant"), error.to_string());
                continue;
            }
        };
        if let Grant::Secret(name) = &grant
            && !secrets.contains(name)
        {
            let known = secrets.iter().map(SecretName::as_str);
            let help = suggest::help(name.as_str(), known, "secrets");
            let help = if secrets.is_empty() { format!("add it: [secrets] {name} = \"env:NAME\"") } else { help };
            table.file.error(span, format!("[secrets] has no `{name}`"), help);
            continue;
        }
        let place = table.file.at(span);
        if let Some(first) = places.insert(grant.object(), place.clone()) {
            let message = format!("`{}` is granted twice", grant.object());
            let problem = Problem::error(message).at(place).also(first, "here already").help("keep one of them");
            table.file.problems.push(problem);
        }
        grants.add(grant);
    }
    grants
}

/// Folders below the configuration directory, each ending in `/`.
fn files(table: &Table<'_>) -> Vec<String> {
    let mut folders = Vec::new();
    for (text, span) in table.texts("files") {
        let folder = text.strip_prefix("./").unwrap_or(&text).trim_end_matches('/');
        let fits = !folder.contains('\\')
            && folder.split('/').all(|part| !matches!(part, "" | "." | "..") && !part.contains(char::is_control));
        if fits {
            folders.push(format!("{folder}/"));
        } else {
            let help = "write a path from there with `/` between the parts, without `..`, for example \"schemas/\"";
            table.file.error(span, "`files` has a folder that is not below the configuration directory", help);
        }
    }
    folders
}
