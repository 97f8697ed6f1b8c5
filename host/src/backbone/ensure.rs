//! The streams that a configuration needs: checked by `run`, which makes those it is told to; made by `dev`.

use std::borrow::Cow;
use std::fmt;

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::stream::{Config, RetentionPolicy, StorageType, SubjectTransform as WireTransform};
use serde::Deserialize;

use super::wire::{JetStreamError, Wire};
use crate::message::SubjectPattern;
use crate::rules::SubjectTransform;

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

/// A stream that is not there, or is not as it has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingStream {
    /// Its name.
    pub name: String,
    /// What needs it.
    pub why: String,
    /// What the stream lacks, if it exists; `None` if it does not.
    pub lacks: Option<Lacking>,
    /// The command that puts it right.
    pub command: String,
}

/// What a stream that exists has to have and has not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lacking {
    /// Subjects that it does not take.
    pub subjects: Vec<SubjectPattern>,
    /// The transform that it does not have, or has another one in place of.
    pub transform: Option<SubjectTransform>,
}

/// Why not all streams are there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnsureError {
    /// These are missing, or lack subjects or a transform.
    #[error("{}", Listing(.0))]
    Missing(Vec<MissingStream>),
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
}

struct Listing<'a>(&'a [MissingStream]);

impl fmt::Display for Listing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, missing) in self.0.iter().enumerate() {
            let line = if position == 0 { "" } else { "\n" };
            write!(f, "{line}stream `{}` of {} ", missing.name, missing.why)?;
            match &missing.lacks {
                None => f.write_str("does not exist; make it with:")?,
                Some(lacking) => write!(f, "{lacking}; change it with:")?,
            }
            write!(f, "\n    {}", missing.command)?;
        }
        Ok(())
    }
}

impl fmt::Display for Lacking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.subjects.is_empty() {
            write!(f, "does not take `{}`", join(&self.subjects, "`, `"))?;
        }
        let Some(SubjectTransform { from, to, .. }) = &self.transform else { return Ok(()) };
        let and = if self.subjects.is_empty() { "" } else { ", and " };
        write!(f, "{and}does not store `{from}` as `{to}`")
    }
}

/// The line that makes a stream. Where the configuration does not say which subjects, it suggests some.
pub(super) fn add_command(name: &str, subjects: &[SubjectPattern]) -> String {
    if subjects.is_empty() {
        return format!("nats stream add {name} --subjects \"{}.>\" --defaults", name.to_lowercase());
    }
    format!("nats stream add {name} --subjects \"{}\" --defaults", join(subjects, ","))
}

/// What else the line has to say of a stream with this transform.
fn transform_flags(transform: Option<&SubjectTransform>) -> String {
    let Some(SubjectTransform { from, to, .. }) = transform else { return String::new() };
    format!(" --transform-source \"{from}\" --transform-destination \"{to}\"")
}

/// What is asked about a stream that exists.
#[derive(Debug, Deserialize)]
pub(super) struct Found {
    config: FoundConfig,
}

impl Found {
    /// What it lacks of what it has to have, with the command that keeps what it has already.
    fn lacking(&self, stream: &RequiredStream) -> Option<MissingStream> {
        let has = &self.config.subjects;
        let taken = |wanted: &&SubjectPattern| !has.iter().any(|have| covers(have, wanted.as_str()));
        let subjects: Vec<_> = stream.subjects.iter().filter(taken).cloned().collect();
        let same = |wanted: &&SubjectTransform| self.config.subject_transform.as_ref() != Some(&as_sent(wanted));
        let transform = stream.transform.as_ref().filter(same).cloned();
        if subjects.is_empty() && transform.is_none() {
            return None;
        }
        let mut command = format!("nats stream edit {}", stream.name);
        if !subjects.is_empty() {
            let all = has.iter().map(String::as_str).chain(subjects.iter().map(SubjectPattern::as_str));
            command.push_str(&format!(" --subjects \"{}\"", all.collect::<Vec<_>>().join(",")));
        }
        command.push_str(&transform_flags(transform.as_ref()));
        let lacks = Some(Lacking { subjects, transform });
        Some(MissingStream { name: stream.name.clone(), why: stream.why.clone(), lacks, command })
    }
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
        match find(wire, &stream.name).await.map_err(failed)? {
            None if create || stream.make => make(wire, stream).await.map_err(failed)?,
            None => missing.push(MissingStream {
                name: stream.name.clone(),
                why: stream.why.clone(),
                lacks: None,
                command: add_command(&stream.name, &stream.subjects) + &transform_flags(stream.transform.as_ref()),
            }),
            Some(_) if stream.need == Need::Exists => {}
            Some(found) => missing.extend(found.lacking(stream)),
        }
    }
    if missing.is_empty() { Ok(()) } else { Err(EnsureError::Missing(missing)) }
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
