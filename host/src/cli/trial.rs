//! `trackside try`: messages through the real rules and plugins, with no NATS at all.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write, stdin, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use bytes::Bytes;
use clap::{ArgGroup, Args};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::app::{Failure, Offline};
use crate::message::{Header, Headers, Message, Origin, OriginKind, Subject};
use crate::names::SourceName;
use crate::pipeline::{Observation, Runner, observations};
use crate::plan::Plan;

use super::output;

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("input").args(["subject", "jsonl"]).required(true)))]
pub(super) struct Arguments {
    /// The directory with trackside.toml and rules/.
    #[arg(value_name = "CONFIG_DIR")]
    directory: PathBuf,

    /// The message's subject.
    #[arg(long, value_parser = Subject::new)]
    subject: Option<Subject>,

    /// The source that it comes from; without it, every source whose subjects include this one.
    #[arg(long, value_name = "NAME", conflicts_with = "jsonl")]
    source: Option<String>,

    /// A header of the message; may be repeated.
    #[arg(long = "header", value_name = "K=V", conflicts_with = "jsonl", value_parser = header)]
    headers: Vec<Header>,

    /// Reads one message a line: {"subject":…,"source":…,"headers":{…},"payload":…}, with `payload_base64` or
    /// `payload_text` in place of `payload` for what is not JSON.
    #[arg(long)]
    jsonl: bool,

    /// Where the payload, or with --jsonl the messages, are read from; `-` is standard input.
    #[arg(value_name = "FILE", default_value = "-")]
    file: PathBuf,
}

/// A line of the input.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with a `subject`")]
struct Line {
    subject: String,
    source: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, OneOrMany>,
    #[serde(default, deserialize_with = "present")]
    payload: Option<Box<RawValue>>,
    payload_base64: Option<String>,
    payload_text: Option<String>,
    /// Milliseconds since the Unix epoch; now, if it is not given.
    timestamp: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "a header's value is a text or a list of texts")]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

/// A message to try.
struct Trial {
    message: Message,
    source: Option<String>,
    timestamp_ms: u64,
}

/// Keeps `"payload": null` apart from no payload at all.
fn present<'de, D: serde::Deserializer<'de>>(input: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(input).map(Some)
}

/// Runs the command.
pub(super) fn trial(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let offline = Offline::open(&arguments.directory)?;
    offline.print_warnings();
    offline.print_buckets();
    let mut runner = offline.runner(true);
    let mut out = std::io::BufWriter::new(stdout().lock());
    let well = match &arguments.subject {
        Some(subject) => {
            let trial = single(arguments, subject)?;
            let observed = run(offline.plan(), &mut runner, &trial, 1).map_err(Failure::new)?;
            print(&mut out, observed)?;
            true
        }
        None => lines(arguments, offline.plan(), &mut runner, &mut out)?,
    };
    output::flush(&mut out)?;
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs a message a line, for as long as somebody reads what becomes of them; whether every line was one.
fn lines(arguments: &Arguments, plan: &Plan, runner: &mut Runner, out: &mut impl Write) -> Result<bool, Failure> {
    let mut well = true;
    for (line, number) in BufReader::new(open(&arguments.file)?).split(b'\n').zip(1..) {
        let line = line.map_err(|error| unreadable(&arguments.file, &error))?;
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let read_on = match parse(&line).and_then(|trial| run(plan, runner, &trial, number)) {
            Ok(observed) => print(out, observed)?,
            Err(wrong) => {
                well = false;
                let read_on = output::flush(out)?;
                eprintln!("line {number}: {wrong}");
                read_on
            }
        };
        if !read_on {
            break;
        }
    }
    Ok(well)
}

fn run(plan: &Plan, runner: &mut Runner, trial: &Trial, number: u64) -> Result<Vec<Observation>, String> {
    let subject = trial.message.subject.as_str();
    let origin = Arc::new(Origin {
        kind: OriginKind::Trial,
        id: Arc::from(format!("trial:{number}")),
        timestamp_ms: trial.timestamp_ms,
        delivery: 1,
    });
    let takers = takers(plan, trial)?;
    let nobody = match (&trial.source, takers.is_empty()) {
        (None, _) => "no rule takes this subject".to_owned(),
        (Some(name), false) => format!("no rule of source `{name}` takes this subject"),
        (Some(name), true) => format!("source `{name}` does not deliver this subject"),
    };
    let mut all = Vec::new();
    for (source, rules) in takers.into_iter().filter(|(_, rules)| !rules.is_empty()) {
        let run = |rule| (rule, runner.run(plan, &plan.rules[rule], &trial.message, &origin, &[]));
        let outcomes: Vec<_> = rules.into_iter().map(run).collect();
        all.extend(observations(plan, source, &trial.message, &origin, &outcomes));
    }
    if all.is_empty() {
        all.push(Observation::unmatched(subject, nobody));
    }
    for observation in &mut all {
        observation.message = Some(number);
    }
    Ok(all)
}

/// The sources that the message may have come from, with their rules that take it.
fn takers<'p>(plan: &'p Plan, trial: &Trial) -> Result<Vec<(&'p SourceName, Vec<usize>)>, String> {
    if let Some(name) = &trial.source
        && !plan.sources.contains_key(name.as_str())
    {
        let known: Vec<_> = plan.sources.keys().map(SourceName::as_str).collect();
        return Err(format!(
            "there is no source `{}`; the configuration has {}",
            name.escape_debug(),
            known.join(", ")
        ));
    }
    Ok(plan.takers(trial.message.subject.as_str(), trial.source.as_deref()))
}

fn single(arguments: &Arguments, subject: &Subject) -> Result<Trial, Failure> {
    let mut payload = Vec::new();
    open(&arguments.file)?.read_to_end(&mut payload).map_err(|error| unreadable(&arguments.file, &error))?;
    let headers = arguments.headers.iter().cloned().collect();
    let message = Message { subject: subject.clone(), headers, payload: Bytes::from(payload) };
    Ok(Trial { message, source: arguments.source.clone(), timestamp_ms: now_ms() })
}

/// A header as an argument spells it.
fn header(argument: &str) -> Result<Header, String> {
    let (name, value) = argument.split_once('=').ok_or("write it as NAME=VALUE")?;
    let mut one = Headers::default();
    one.append_by_producer(name, value).map_err(|error| error.to_string())?;
    Ok(Header { name: name.to_owned().into(), value: value.to_owned() })
}

fn parse(line: &[u8]) -> Result<Trial, String> {
    // Serde would take a list for an object, its elements for the members in their order.
    if !line.trim_ascii_start().starts_with(b"{") {
        return Err("not a message: expected a JSON object with a `subject`".to_owned());
    }
    let line: Line = serde_json::from_slice(line).map_err(|error| format!("not a message: {error}"))?;
    let payload = match (line.payload, line.payload_base64, line.payload_text) {
        (Some(json), None, None) => Bytes::from(Box::<str>::from(json).into_string()),
        (None, Some(base64), None) => base64::engine::general_purpose::STANDARD
            .decode(base64)
            .map(Bytes::from)
            .map_err(|error| format!("payload_base64: not Base64 ({error})"))?,
        (None, None, Some(text)) => Bytes::from(text),
        (None, None, None) => Bytes::new(),
        _ => return Err("give one of payload, payload_base64 and payload_text".to_owned()),
    };
    let mut headers = Headers::default();
    for (name, values) in line.headers {
        let values = match values {
            OneOrMany::One(value) => vec![value],
            OneOrMany::Many(values) => values,
        };
        for value in values {
            let appended = headers.append_by_producer(&name, &value);
            appended.map_err(|error| format!("header `{}`: {error}", name.escape_debug()))?;
        }
    }
    let subject = Subject::new(&line.subject).map_err(|error| format!("subject: {error}"))?;
    let message = Message { subject, headers, payload };
    Ok(Trial { message, source: line.source, timestamp_ms: line.timestamp.unwrap_or_else(now_ms) })
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Prints what became of a message; whether anybody still reads.
fn print(out: &mut impl Write, observed: Vec<Observation>) -> Result<bool, Failure> {
    let mut text = String::new();
    for observation in observed {
        text += &serde_json::to_string(&observation).map_err(|error| Failure::new(error.to_string()))?;
        text.push('\n');
    }
    output::write(out, &text)
}

fn open(file: &Path) -> Result<Box<dyn Read>, Failure> {
    if file == Path::new("-") {
        return Ok(Box::new(stdin().lock()));
    }
    File::open(file).map(|file| Box::new(file) as Box<dyn Read>).map_err(|error| unreadable(file, &error))
}

fn unreadable(file: &Path, error: &std::io::Error) -> Failure {
    Failure::new(format!("cannot read {}: {error}", file.display()))
}
