//! `trackside try`: messages through the real rules and plugins, with no NATS at all.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write, stdin, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bytes::Bytes;
use clap::{ArgGroup, Args};

use crate::app::{Failure, Offline, Trial, now_ms};
use crate::message::{Header, Headers, Message, Subject};
use crate::pipeline::{Observation, Runner};
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
            let observed = trial.run(offline.plan(), &mut runner, 1).map_err(Failure::new)?;
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
        let read_on = match Trial::parse(&line).and_then(|trial| trial.run(plan, runner, number)) {
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
