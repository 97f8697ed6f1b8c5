//! Trackside's configuration for a scenario.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::guests::Guest;
use super::orders::SCHEMA;
use super::task::{NUMBER, Task, Transport, WINDOW};
use super::work::Place;
use super::world::OUT;

/// Messages that a subscription of async-nats holds until it drops.
const CORE_WINDOW: usize = 65_536;
/// Rules of one file: a file has at most 4 MiB.
const RULES_OF_A_FILE: usize = 500;

/// In what one Trackside differs from another that does the same work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    /// One rule takes every message; of more, each takes those of one key.
    pub(crate) rules: usize,
    /// Whether the messages of a key are kept in order.
    pub(crate) ordered: bool,
    /// Whether every message gets fresh instances.
    pub(crate) isolated: bool,
    /// Threads that run stages; one for each core unless it is said.
    pub(crate) lanes: Option<usize>,
    /// Whether the stream of its outputs allows fast ingest.
    pub(crate) batched: bool,
    /// Whose stage it has in place of the standard plugin `mask`.
    pub(crate) guest: Option<Guest>,
    /// Whether messages come by the sidecar.
    pub(crate) sidecar: bool,
}

impl Shape {
    /// With one rule, and outputs by fast ingest.
    pub(crate) const BATCHED: Self = Self { batched: true, ..Self::PLAIN };
    /// As the defaults have it, with one rule.
    pub(crate) const PLAIN: Self =
        Self { rules: 1, ordered: false, isolated: false, lanes: None, batched: false, guest: None, sidecar: false };
}

/// Where a configuration is, and what it uses.
pub(crate) struct Places<'a> {
    /// The folder to write, which is made.
    pub(crate) folder: &'a Path,
    /// The address of the admin API.
    pub(crate) admin: &'a str,
    /// The address of the sidecar.
    pub(crate) sidecar: &'a str,
    /// The folder of compiled plugins.
    pub(crate) cache: &'a Path,
    /// The folder of the stages in other languages.
    pub(crate) guests: Option<&'a Path>,
}

/// Writes a configuration.
pub(crate) fn write(places: &Places<'_>, task: &Task, shape: Shape) -> Result<()> {
    let rules = places.folder.join("rules");
    let schemas = places.folder.join("schemas");
    for folder in [&rules, &schemas] {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    fs::write(schemas.join("order.json"), SCHEMA)?;
    fs::write(places.folder.join("trackside.toml"), main_file(places, task, shape))?;
    write_rules(places.folder, task, shape, 1000)
}

/// Writes the rules. Orders from so large an amount on go to review.
pub(crate) fn write_rules(folder: &Path, task: &Task, shape: Shape, review_from: u32) -> Result<()> {
    let numbers: Vec<usize> = (0..shape.rules).collect();
    for (file, numbers) in numbers.chunks(RULES_OF_A_FILE).enumerate() {
        let text: String = numbers.iter().map(|number| rule(*number, task, shape, review_from)).collect();
        let path = folder.join("rules").join(format!("{file:03}.toml"));
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

fn main_file(places: &Places<'_>, task: &Task, shape: Shape) -> String {
    let mut text = format!("[nats]\nservers = [\"{}\"]\n\n", task.url);
    if shape.sidecar {
        let _ = write!(text, "[sidecar]\nlisten = \"{}\"\ncarry-headers = [\"{NUMBER}\"]\n", places.sidecar);
    } else {
        source(&mut text, task, shape);
    }
    if task.transport == Transport::JetStream {
        let batched = shape.batched;
        let _ = write!(text, "\n[streams.{OUT}]\nsubjects = [\"stored.out.>\"]\nallow-batched = {batched}\n");
    }
    let _ = write!(text, "\n[admin]\nlisten = \"{}\"\n", places.admin);
    let _ = write!(text, "\n[runtime]\ncache = \"{}\"\nwatch = false\n", places.cache.display());
    if let Some(lanes) = shape.lanes {
        let _ = writeln!(text, "lanes = {lanes}");
    }
    if shape.isolated {
        for plugin in ["validate", "mask", "route", "transform"] {
            let _ = write!(text, "\n[plugins.{plugin}]\nisolation = \"message\"\n");
        }
    }
    if let Some((guest, folder)) = shape.guest.zip(places.guests) {
        // A slow language's first call may take longer than a deadline that is meant for others.
        let path = guest.component(folder);
        let _ = write!(text, "\n[plugins.guest]\npath = \"{}\"\ndeadline = \"1s\"\n", path.display());
    }
    text
}

fn source(text: &mut String, task: &Task, shape: Shape) {
    text.push_str("[sources.bench]\n");
    let _ = match task.transport {
        Transport::Core => write!(text, "subject = \"live.in.*\"\nqueue-group = \"{}\"\n", task.durable),
        Transport::JetStream => write!(text, "stream = \"{}\"\ndurable = \"{}\"\n", task.stream, task.durable),
    };
    if shape.ordered && task.transport == Transport::JetStream {
        text.push_str("partitions = 1\n");
    }
    // A core source drops what it has no room for. The load keeps the window where it waits for anything; where it does
    // not, there is as much room as the relay's client library has by default.
    let window = if task.transport == Transport::Core { CORE_WINDOW } else { WINDOW };
    let _ = write!(text, "max-in-flight-messages = {window}\nmax-in-flight-bytes = \"256MiB\"\n");
}

fn rule(number: usize, task: &Task, shape: Shape, review_from: u32) -> String {
    let prefix = task.transport.prefix();
    let key = if shape.rules == 1 { "*".to_owned() } else { format!("k{number}") };
    let order = if shape.ordered { "order-by = \"subject.3\"\n" } else { "" };
    let stages = match shape.guest {
        Some(_) => "[[rule.stage]]\nplugin = \"guest\"\n".to_owned(),
        None => task.work.toml().replace("1000.0", &format!("{review_from}.0")),
    };
    let source = if shape.sidecar { "sidecar" } else { "bench" };
    let [default, review, dead] = [Place::Default, Place::Review, Place::Dead].map(|place| task.transport.out(place));
    format!(
        "[[rule]]\nname = \"r{number}\"\nsource = \"{source}\"\nsubject = \"{prefix}.in.{key}\"\n{order}{stages}\
         [rule.routes]\ndefault = \"{default}\"\nreview = \"{review}\"\n[rule.on-failure]\ndead-letter = \"{dead}\"\n\n"
    )
}
