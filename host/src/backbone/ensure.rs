//! The streams that a configuration needs: checked by `run`, which makes those it is told to; made by `dev`.

use std::borrow::Cow;
use std::fmt;

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::stream::{Config, RetentionPolicy, StorageType, SubjectTransform as WireTransform};
use serde::Deserialize;

use super::wire::{JetStreamError, Wire};
use crate::message::SubjectPattern;
use crate::rules::SubjectTransform;

/// The oldest server that knows fast ingest: major and minor version.
const MIN_FAST_INGEST: (i64, i64) = (2, 14);
/// What the `nats` tool is told to have a stream allow it.
const ALLOW: &str = " --allow-fast";

/// A stream that has to be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequiredStream {
    /// Its name.
    pub name: String,
    /// Its subjects; none if any will do.
    pub subjects: Vec<SubjectPattern>,
    /// What it has to store messages under.
    pub transform: Option<SubjectTransform>,
    /// What has to be so.
    pub need: Need,
    /// Whether it has to allow fast ingest.
    pub allow_batched: bool,
    /// Whether it is made if it does not exist, also by who does not make all of them.
    pub make: bool,
    /// What needs it, for the error, such as `source "orders"`.
    pub why: String,
}

/// What has to be so about a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// That it exists. Its subjects matter only if it is made.
    Exists,
    /// That it exists and takes its subjects.
    Takes,
    /// That some stream takes its subjects, whatever its name is.
    TakenByAny,
}

/// What a stream lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lack {
    /// It does not exist.
    Everything,
    /// It does not take these subjects.
    Subjects(Vec<SubjectPattern>),
    /// It does not have this transform, or has another one in place of it.
    Transform(SubjectTransform),
    /// It does not allow fast ingest.
    FastIngest,
}

/// A stream that is not there, or is not as it has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingStream {
    /// Its name.
    pub name: String,
    /// What needs it.
    pub why: String,
    /// What it lacks.
    pub lacks: Lack,
    /// The command that puts it right.
    pub command: String,
}

/// Why not all streams are there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnsureError {
    /// These are missing or lack something.
    #[error("{}", Listing(.0))]
    Missing(Vec<MissingStream>),
    /// The server cannot do what is asked of a stream.
    #[error(
        "stream `{stream}` of {why} cannot allow fast ingest: the NATS server is {version}, and can do so from \
         {}.{} on; update it, or take `allow-batched` out", MIN_FAST_INGEST.0, MIN_FAST_INGEST.1
    )]
    TooOld {
        /// The stream.
        stream: String,
        /// What needs it.
        why: String,
        /// The server's version.
        version: String,
    },
    /// The server could not be asked, or refused to make one.
    #[error("stream `{stream}` of {why}: {error}")]
    JetStream {
        /// The stream it was about.
        stream: String,
        /// What needs it.
        why: String,
        /// What happened.
        error: JetStreamError,
    },
}

impl RequiredStream {
    /// Whether it has to take every subject of this pattern.
    #[must_use]
    pub fn takes(&self, pattern: &SubjectPattern) -> bool {
        self.subjects.iter().any(|subjects| subjects.covers(pattern))
    }

    fn lacks(&self, lacks: Lack, command: String) -> MissingStream {
        MissingStream { name: self.name.clone(), why: self.why.clone(), lacks, command }
    }

    /// The line that makes all of it.
    fn add_command(&self) -> String {
        let mut command = add_command(&self.name, &self.subjects);
        if let Some(transform) = &self.transform {
            command.push_str(&transform_flags(transform));
        }
        if self.allow_batched {
            command.push_str(ALLOW);
        }
        command
    }
}

struct Listing<'a>(&'a [MissingStream]);

impl fmt::Display for Listing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, missing) in self.0.iter().enumerate() {
            let line = if position == 0 { "" } else { "\n" };
            write!(f, "{line}stream `{}` of {} ", missing.name, missing.why)?;
            match &missing.lacks {
                Lack::Everything => f.write_str("does not exist; make it with:")?,
                Lack::Subjects(subjects) => write!(f, "does not take `{}`; change it with:", join(subjects, "`, `"))?,
                Lack::Transform(SubjectTransform { from, to, .. }) => {
                    write!(f, "does not store `{from}` as `{to}`; change it with:")?;
                }
                Lack::FastIngest => f.write_str("does not allow fast ingest; change it with:")?,
            }
            write!(f, "\n    {}", missing.command)?;
        }
        Ok(())
    }
}

/// The line that makes a stream. Where the configuration does not say which subjects, it suggests some.
pub(super) fn add_command(name: &str, subjects: &[SubjectPattern]) -> String {
    if subjects.is_empty() {
        return format!("nats stream add {name} --subjects \"{}.>\" --defaults", name.to_lowercase());
    }
    format!("nats stream add {name} --subjects \"{}\" --defaults", join(subjects, ","))
}

/// What else the line says of a stream with this transform.
fn transform_flags(SubjectTransform { from, to, .. }: &SubjectTransform) -> String {
    format!(" --transform-source \"{from}\" --transform-destination \"{to}\"")
}

/// What is asked about a stream that exists.
#[derive(Debug, Deserialize)]
pub(super) struct Found {
    config: FoundConfig,
}

/// Names of streams that have to do with a subject.
#[derive(Debug, Deserialize)]
struct Names {
    streams: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
struct FoundConfig {
    #[serde(default)]
    subjects: Vec<String>,
    subject_transform: Option<WireTransform>,
    #[serde(default)]
    allow_batched: bool,
}

/// The stream, or `None` if it does not exist.
pub(super) async fn find(wire: &Wire, name: &str) -> Result<Option<Found>, JetStreamError> {
    match wire.ask(format!("STREAM.INFO.{name}")).await {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.is(ErrorCode::STREAM_NOT_FOUND) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Checks every stream and reports all that is wrong at once; with `create`, those that do not exist are made first.
pub(super) async fn ensure(wire: &Wire, required: &[RequiredStream], create: bool) -> Result<(), EnsureError> {
    let mut missing = Vec::new();
    for stream in required {
        let failed = |error| EnsureError::JetStream { stream: stream.name.clone(), why: stream.why.clone(), error };
        let mut stream = Cow::Borrowed(stream);
        if stream.need == Need::TakenByAny {
            let untaken = untaken(wire, &stream.subjects).await.map_err(failed)?;
            if untaken.is_empty() {
                continue;
            }
            // The server refuses a stream that takes what another one takes already.
            stream.to_mut().subjects = untaken;
        }
        let stream = &*stream;
        if stream.allow_batched {
            can_ingest(wire, stream)?;
        }
        match find(wire, &stream.name).await.map_err(failed)? {
            None if create || stream.make => make(wire, stream).await.map_err(failed)?,
            None => missing.push(stream.lacks(Lack::Everything, stream.add_command())),
            Some(_) if stream.need == Need::Exists => {}
            Some(found) => missing.extend(lacking(stream, &found.config)),
        }
    }
    if missing.is_empty() { Ok(()) } else { Err(EnsureError::Missing(missing)) }
}

fn can_ingest(wire: &Wire, stream: &RequiredStream) -> Result<(), EnsureError> {
    let (major, minor) = MIN_FAST_INGEST;
    if wire.client.is_server_compatible(major, minor, 0) {
        return Ok(());
    }
    let version = wire.client.server_info().version;
    Err(EnsureError::TooOld { stream: stream.name.clone(), why: stream.why.clone(), version })
}

/// The names of the streams that take some subject of this pattern.
pub(super) async fn streams_of(wire: &Wire, pattern: &SubjectPattern) -> Result<Vec<String>, JetStreamError> {
    let wanted = serde_json::json!({ "subject": pattern.as_str() });
    let found: Names = wire.api("STREAM.NAMES".to_owned(), &wanted).await?;
    Ok(found.streams.unwrap_or_default())
}

/// Those of the subjects that no stream takes as a whole.
async fn untaken(wire: &Wire, subjects: &[SubjectPattern]) -> Result<Vec<SubjectPattern>, JetStreamError> {
    let mut untaken = Vec::new();
    for subject in subjects {
        let mut taken = false;
        for name in streams_of(wire, subject).await? {
            let has = find(wire, &name).await?.map(|found| found.config.subjects).unwrap_or_default();
            taken |= has.iter().any(|have| covers(have, subject.as_str()));
        }
        if !taken {
            untaken.push(subject.clone());
        }
    }
    Ok(untaken)
}

/// What a stream that exists lacks, each with the command that keeps what it has already.
fn lacking(stream: &RequiredStream, has: &FoundConfig) -> Vec<MissingStream> {
    let mut lacking = Vec::new();
    let edit = |flags: &str| format!("nats stream edit {}{flags}", stream.name);
    let taken = |wanted: &&SubjectPattern| !has.subjects.iter().any(|have| covers(have, wanted.as_str()));
    let not_taken: Vec<_> = stream.subjects.iter().filter(taken).cloned().collect();
    if !not_taken.is_empty() {
        let all = has.subjects.iter().map(String::as_str).chain(not_taken.iter().map(SubjectPattern::as_str));
        let command = edit(&format!(" --subjects \"{}\"", all.collect::<Vec<_>>().join(",")));
        lacking.push(stream.lacks(Lack::Subjects(not_taken), command));
    }
    if let Some(wanted) = &stream.transform
        && has.subject_transform.as_ref() != Some(&as_sent(wanted))
    {
        lacking.push(stream.lacks(Lack::Transform(wanted.clone()), edit(&transform_flags(wanted))));
    }
    if stream.allow_batched && !has.allow_batched {
        lacking.push(stream.lacks(Lack::FastIngest, edit(ALLOW)));
    }
    lacking
}

/// Makes a stream in files, without limits. Somebody else making the same one meanwhile is fine.
async fn make(wire: &Wire, stream: &RequiredStream) -> Result<(), JetStreamError> {
    let subjects = match stream.subjects.as_slice() {
        [] => vec![format!("{}.>", stream.name.to_lowercase())],
        subjects => subjects.iter().map(|subject| subject.as_str().to_owned()).collect(),
    };
    let config = Config {
        name: stream.name.clone(),
        subjects: subjects.clone(),
        storage: StorageType::File,
        retention: RetentionPolicy::Limits,
        subject_transform: stream.transform.as_ref().map(as_sent),
        allow_batch_publish: stream.allow_batched,
        ..Config::default()
    };
    wire.api::<serde::de::IgnoredAny>(format!("STREAM.CREATE.{}", stream.name), &config).await?;
    tracing::info!(stream = stream.name, subjects = subjects.join(","), "made a stream");
    Ok(())
}

/// A transform as the server has it.
fn as_sent(transform: &SubjectTransform) -> WireTransform {
    WireTransform { source: transform.from.to_string(), destination: transform.to.clone() }
}

/// Whether every subject that `narrow` stands for is one that `wide` stands for.
fn covers(wide: &str, narrow: &str) -> bool {
    let mut narrow = narrow.split('.');
    for token in wide.split('.') {
        match (token, narrow.next()) {
            (">", Some(_)) => return true,
            (_, Some(">") | None) => return false,
            ("*", Some(_)) => {}
            (have, Some(want)) if have == want => {}
            _ => return false,
        }
    }
    narrow.next().is_none()
}

fn join(subjects: &[SubjectPattern], separator: &str) -> String {
    subjects.iter().map(SubjectPattern::as_str).collect::<Vec<_>>().join(separator)
}

#[cfg(test)]
mod tests {
    use super::covers;

    #[test]
    fn a_pattern_covers_another_when_it_leaves_nothing_of_it_out() {
        for (wide, narrow, want) in [
            ("orders.>", "orders.eu", true),
            ("orders.>", "orders.>", true),
            ("orders.>", "orders.*.created", true),
            ("orders.*", "orders.>", false),
            ("orders.*", "orders.eu", true),
            ("orders.eu", "orders.*", false),
            ("orders.*", "orders.eu.de", false),
            (">", "a.b", true),
            ("a.b", "a", false),
        ] {
            assert_eq!(covers(wide, narrow), want, "{wide} over {narrow}");
        }
    }
}
