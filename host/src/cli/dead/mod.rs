//! `trackside dead`: what is done with dead letters.

mod show;
mod work;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;

use clap::{Args, Subcommand};

use crate::app::{self, Failure};
use crate::letters::{Filter, Keys, Sequences, Store, StoreError, time};
use crate::rules::{Rules, SecretRef};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Lists letters, one a line.
    List(List),
    /// Shows one letter: what it says, and the original's headers and payload, decrypted.
    Show(Show),
    /// Sends originals through the rules as they are now, and deletes the letters whose messages are out.
    Replay(Replay),
    /// Deletes letters.
    Discard(Discard),
}

#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    selection: Selection,

    /// Prints a JSON object a line.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Show {
    #[command(flatten)]
    place: Place,

    /// The letter's sequence in its stream, as `list` tells it.
    #[arg(value_name = "SEQUENCE", value_parser = clap::value_parser!(u64).range(1..))]
    sequence: u64,

    #[command(flatten)]
    keys: KeyArguments,

    /// Prints a JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Replay {
    #[command(flatten)]
    selection: Selection,

    #[command(flatten)]
    keys: KeyArguments,

    /// Prints what would become of the messages, as `trackside try` does, and changes nothing.
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Args)]
pub(super) struct Discard {
    #[command(flatten)]
    selection: Selection,

    /// Means every letter, where no filter says which.
    #[arg(
        long,
        required_unless_present_any = ["rule", "class", "reason", "since", "until", "sequence"],
        conflicts_with_all = ["rule", "class", "reason", "since", "until", "sequence"],
    )]
    all: bool,

    /// Says that you mean it.
    #[arg(long, required_unless_present = "dry_run")]
    yes: bool,

    /// Prints what would be deleted, and deletes nothing.
    #[arg(long)]
    dry_run: bool,
}

/// Where letters are looked for.
#[derive(Debug, Args)]
struct Place {
    /// The directory with trackside.toml and rules/.
    #[arg(value_name = "CONFIG_DIR")]
    directory: PathBuf,

    /// The stream that holds them; without it, every stream that takes the dead letters of the rules.
    #[arg(long, value_name = "NAME")]
    stream: Option<String>,
}

/// Which letters are meant: those for which all that is given holds.
#[derive(Debug, Args)]
struct Selection {
    #[command(flatten)]
    place: Place,

    /// The rule that gave them up.
    #[arg(long, value_name = "NAME")]
    rule: Option<String>,

    /// The class of the failure: rejected, retry, trap, deadline, limit, route, publish, host.
    #[arg(long, value_name = "CLASS")]
    class: Option<String>,

    /// A text that the reason contains.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,

    /// Stored at this time or later: of RFC 3339, or how long ago, such as 2h.
    #[arg(long, value_name = "TIME", value_parser = when)]
    since: Option<SystemTime>,

    /// Stored at this time or earlier.
    #[arg(long, value_name = "TIME", value_parser = when)]
    until: Option<SystemTime>,

    /// Their sequences: 7, 7..12, 7.. or ..12.
    #[arg(long, value_name = "RANGE")]
    sequence: Option<Sequences>,

    /// How many at most, the oldest first.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
}

#[derive(Debug, Args)]
struct KeyArguments {
    /// A key besides those of the rules, for letters that were encrypted with an earlier one: env:NAME or file:PATH. May
    /// be repeated.
    #[arg(long = "key", value_name = "REFERENCE")]
    keys: Vec<String>,
}

/// Runs the command.
pub(super) fn dead(command: &Command) -> Result<ExitCode, Failure> {
    match command {
        Command::List(arguments) => show::list(arguments),
        Command::Show(arguments) => show::show(arguments),
        Command::Replay(arguments) => work::replay(arguments),
        Command::Discard(arguments) => work::discard(arguments),
    }
}

impl Selection {
    fn filter(&self) -> Filter {
        Filter {
            rule: self.rule.clone(),
            class: self.class.clone(),
            reason: self.reason.clone(),
            since: self.since,
            until: self.until,
            sequences: self.sequence.unwrap_or_default(),
        }
    }

    /// How many letters at most.
    fn limit(&self) -> u64 {
        self.limit.unwrap_or(u64::MAX)
    }
}

impl KeyArguments {
    /// The keys of the rules and those that were given. Relative paths of the latter begin where the command is run.
    fn with(&self, rules: &Rules) -> Result<Keys, Failure> {
        let mut keys = Keys::of(rules);
        for text in &self.keys {
            let reference = SecretRef::parse(text).map_err(|error| Failure::new(format!("--key: {error}")))?;
            keys.add(&reference, Path::new("")).map_err(|error| Failure::new(format!("--key: {error}")))?;
        }
        Ok(keys)
    }
}

/// Connects, and finds the streams that hold letters.
async fn open(rules: &Rules, place: &Place) -> Result<Store, Failure> {
    let connection = app::reach(rules).await?;
    Store::open(connection, rules, place.stream.as_deref()).await.map_err(failed)
}

#[expect(clippy::needless_pass_by_value, reason = "it is handed to `map_err`")]
fn failed(error: StoreError) -> Failure {
    Failure::new(error.to_string())
}

fn when(text: &str) -> Result<SystemTime, String> {
    time(text, SystemTime::now()).map_err(|error| error.to_string())
}
