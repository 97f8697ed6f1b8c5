//! Dead letters: what they say, and what is done with them. The work itself is in [`letters`](crate::letters), which the
//! command line shares.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, Uri};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use crate::backbone::Connection;
use crate::letters::{Fate, Filter, Keys, Letter, LetterJson, Replayer, Scan, Sequences, Store, StoreError, time};
use crate::pipeline::Runner;
use crate::plugins::Instances;
use crate::rules::Rules;

use super::Admin;
use super::access::{Caller, Details};
use super::input::{bad, body, boolean, given, json_of, number, query};
use super::problem::Problem;
use super::rules::in_force;

/// Most letters that one request is about.
const MAX_LETTERS: usize = 1000;
const USUAL_LETTERS: usize = 100;
/// How long a request may look for letters; what is left is told.
const LOOK_WAIT: Duration = Duration::from_secs(20);
/// How long a request may work on letters.
const WORK_WAIT: Duration = Duration::from_secs(60);
const MAX_BODY_BYTES: usize = 64 * 1024;
/// Longest name of a stream, in bytes.
const MAX_STREAM_BYTES: usize = 255;
const FILTERS: [&str; 7] = ["stream", "rule", "class", "reason", "since", "until", "sequence"];

/// What work on letters needs of the host.
#[derive(Debug, Clone, Default)]
pub struct Desk {
    /// The servers, once they are reached.
    pub servers: Arc<OnceLock<Connection>>,
    /// How many instances may be alive for it.
    pub instances: usize,
}

/// Which letters a request means; at least one of them is given, or `all`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Selection {
    #[serde(default, deserialize_with = "given")]
    stream: Option<String>,
    #[serde(default, deserialize_with = "given")]
    rule: Option<String>,
    #[serde(default, deserialize_with = "given")]
    class: Option<String>,
    #[serde(default, deserialize_with = "given")]
    reason: Option<String>,
    #[serde(default, deserialize_with = "given")]
    since: Option<String>,
    #[serde(default, deserialize_with = "given")]
    until: Option<String>,
    #[serde(default, deserialize_with = "given")]
    sequence: Option<String>,
    #[serde(default)]
    all: bool,
    #[serde(default, deserialize_with = "given")]
    limit: Option<usize>,
}

#[derive(Debug, Serialize)]
pub(super) struct Letters {
    letters: Vec<Box<RawValue>>,
    /// Whether there are no more.
    complete: bool,
}

/// A selection that was read.
struct Meant {
    stream: Option<String>,
    filter: Filter,
    limit: usize,
}

pub(super) async fn list(State(admin): State<Admin>, uri: Uri) -> Result<Json<Letters>, Problem> {
    let known: Vec<&'static str> = FILTERS.into_iter().chain(["limit"]).collect();
    let values = query(&uri, &known)?;
    let limit = number(&values, "limit", 1..=MAX_LETTERS, USUAL_LETTERS)?;
    let meant = meant(&values, limit)?;
    let (_, rules) = in_force(&admin).await?;
    let store = store(&admin, &rules, meant.stream.as_deref()).await?;
    let (mut scan, until, mut letters) = (store.scan(&meant.filter), Instant::now() + LOOK_WAIT, Vec::new());
    let complete = loop {
        if letters.len() == meant.limit {
            break false;
        }
        match next(&mut scan, until).await? {
            Next::Letter(letter) => letters.push(shown(&letter)?),
            Next::End => break true,
            Next::Late => break false,
        }
    };
    Ok(Json(Letters { letters, complete }))
}

pub(super) async fn show(
    State(admin): State<Admin>,
    Extension(caller): Extension<Caller>,
    path: Result<Path<(String, String)>, PathRejection>,
    uri: Uri,
) -> Result<Json<Box<RawValue>>, Problem> {
    let reveal = boolean(&query(&uri, &["reveal"])?, "reveal")?;
    let Path((stream, sequence)) = path.map_err(|_| bad("a part of the path is not UTF-8"))?;
    let gone = || Problem::new(StatusCode::NOT_FOUND, "there is no such dead letter");
    let sequence: u64 = sequence.parse().map_err(|_| gone())?;
    let stream = stream_name(&stream)?;
    let (_, rules) = in_force(&admin).await?;
    let store = store(&admin, &rules, Some(&stream)).await?;
    let filter = Filter { sequences: Sequences { first: sequence, last: sequence }, ..Filter::default() };
    let mut scan = store.scan(&filter);
    let Next::Letter(letter) = next(&mut scan, Instant::now() + LOOK_WAIT).await? else { return Err(gone()) };
    if !reveal {
        return shown(&letter).map(Json);
    }
    admin.access.reveal(&caller, &format!("GET {}?reveal=true", uri.path()), &Details::default()).await?;
    let original = letter
        .original(&Keys::of(&rules))
        .map_err(|error| Problem::new(StatusCode::CONFLICT, format!("the original cannot be shown: {error}")))?;
    to_raw_value(&LetterJson::new(&letter, Some(&original))).map(Json).map_err(|error| failed(&error))
}

pub(super) async fn replay(
    State(admin): State<Admin>,
    request: Request,
) -> Result<(Extension<Details>, Json<Value>), Problem> {
    let meant = selected(request).await?;
    let place = admin.access.workshop()?;
    let (loaded, rules) = in_force(&admin).await?;
    let store = store(&admin, &rules, meant.stream.as_deref()).await?;
    store.check_deletable().await.map_err(|error| unavailable(&error))?;
    let (keys, runner) = (Keys::of(&rules), Runner::new(Instances::new(admin.desk.instances), false));
    let mut replayer = Replayer::new(&loaded.plan, runner, &store, &keys);
    let (mut scan, until, mut told) = (store.scan(&meant.filter), Instant::now() + WORK_WAIT, Vec::new());
    let mut counts = [0_u64; 3];
    let complete = loop {
        if told.len() == meant.limit {
            break false;
        }
        let letter = match next(&mut scan, until).await? {
            Next::Letter(letter) => letter,
            Next::End => break true,
            Next::Late => break false,
        };
        let (fate, place, more) = match replayer.replay(&letter).await {
            Fate::Sent { published, dropped } => ("replayed", 0, json!({ "published": published, "dropped": dropped })),
            Fate::FailedAgain { reason } => ("failed-again", 1, json!({ "reason": reason })),
            Fate::Stays { reason } => ("stays", 2, json!({ "reason": reason })),
        };
        counts[place] += 1;
        let mut line = json!({ "stream": letter.stream, "sequence": letter.sequence, "fate": fate });
        if let (Value::Object(line), Value::Object(more)) = (&mut line, more) {
            line.extend(more);
        }
        told.push(line);
    };
    drop(place);
    let [replayed, again, stay] = counts;
    let details = Details::default().with("replayed", replayed).with("failed-again", again).with("stay", stay);
    let body = json!({
        "replayed": replayed, "failed-again": again, "stay": stay, "letters": told, "complete": complete,
    });
    Ok((Extension(details), Json(body)))
}

pub(super) async fn discard(
    State(admin): State<Admin>,
    request: Request,
) -> Result<(Extension<Details>, Json<Value>), Problem> {
    let meant = selected(request).await?;
    let (_, rules) = in_force(&admin).await?;
    let store = store(&admin, &rules, meant.stream.as_deref()).await?;
    store.check_deletable().await.map_err(|error| unavailable(&error))?;
    let (mut scan, until, mut gone) = (store.scan(&meant.filter), Instant::now() + WORK_WAIT, Vec::new());
    let complete = loop {
        if gone.len() == meant.limit {
            break false;
        }
        let letter = match next(&mut scan, until).await? {
            Next::Letter(letter) => letter,
            Next::End => break true,
            Next::Late => break false,
        };
        // One that is gone already was dealt with by somebody else.
        if store.delete(&letter).await.map_err(|error| unavailable(&error))? {
            gone.push(json!({ "stream": letter.stream, "sequence": letter.sequence }));
        }
    };
    let details = Details::default().with("discarded", gone.len());
    Ok((Extension(details), Json(json!({ "discarded": gone.len(), "letters": gone, "complete": complete }))))
}

/// What a scan comes to.
enum Next {
    Letter(Box<Letter>),
    End,
    Late,
}

async fn next(scan: &mut Scan<'_>, until: Instant) -> Result<Next, Problem> {
    match timeout_at(until, scan.next()).await {
        Ok(Ok(Some(letter))) => Ok(Next::Letter(Box::new(letter))),
        Ok(Ok(None)) => Ok(Next::End),
        Ok(Err(error)) => Err(unavailable(&error)),
        Err(_) => Ok(Next::Late),
    }
}

/// A letter without its original.
fn shown(letter: &Letter) -> Result<Box<RawValue>, Problem> {
    to_raw_value(&LetterJson::new(letter, None)).map_err(|error| failed(&error))
}

async fn selected(request: Request) -> Result<Meant, Problem> {
    query(request.uri(), &[])?;
    let selection: Selection = json_of(&body(request, MAX_BODY_BYTES).await?)?;
    let Selection { stream, rule, class, reason, since, until, sequence, all, limit } = selection;
    let given = [stream, rule, class, reason, since, until, sequence];
    let values: BTreeMap<&'static str, String> =
        FILTERS.into_iter().zip(given).filter_map(|(name, value)| Some((name, value?))).collect();
    if all != values.is_empty() {
        return Err(bad("say which letters are meant, by at least one filter; or, without any, `\"all\": true`"));
    }
    let limit = limit.unwrap_or(USUAL_LETTERS);
    if !(1..=MAX_LETTERS).contains(&limit) {
        return Err(bad(format!("`limit` is a number from 1 to {MAX_LETTERS}")));
    }
    meant(&values, limit)
}

fn meant(values: &BTreeMap<&'static str, String>, limit: usize) -> Result<Meant, Problem> {
    let now = SystemTime::now();
    let when = |name| {
        let value = values.get(name).map(|value| time(value, now));
        value.transpose().map_err(|error| bad(format!("`{name}`: {error}")))
    };
    let sequences = values.get("sequence").map(|value| value.parse::<Sequences>()).transpose();
    let filter = Filter {
        rule: values.get("rule").cloned(),
        class: values.get("class").cloned(),
        reason: values.get("reason").cloned(),
        since: when("since")?,
        until: when("until")?,
        sequences: sequences.map_err(|error| bad(format!("`sequence`: {error}")))?.unwrap_or_default(),
    };
    let stream = values.get("stream").map(|stream| stream_name(stream)).transpose()?;
    Ok(Meant { stream, filter, limit })
}

/// A name that a stream can have, as it goes into a subject of JetStream's own.
fn stream_name(text: &str) -> Result<String, Problem> {
    let fits = |c: char| !c.is_whitespace() && !c.is_control() && !matches!(c, '.' | '*' | '>' | '/' | '\\');
    if (1..=MAX_STREAM_BYTES).contains(&text.len()) && text.chars().all(fits) {
        Ok(text.to_owned())
    } else {
        Err(bad("a stream has a name without dots, wildcards, slashes and white space"))
    }
}

async fn store(admin: &Admin, rules: &Rules, only: Option<&str>) -> Result<Store, Problem> {
    let Some(connection) = admin.desk.servers.get() else {
        let detail = "no NATS server has been reached yet";
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(1));
    };
    Store::open(connection.clone(), rules, only).await.map_err(|error| unavailable(&error))
}

fn unavailable(error: &StoreError) -> Problem {
    let problem = |status| Problem::new(status, error.to_string());
    match error {
        StoreError::NoStream(_) => problem(StatusCode::NOT_FOUND),
        StoreError::NoLetters | StoreError::NotTaken(_) | StoreError::NotDeletable(_) => problem(StatusCode::CONFLICT),
        StoreError::JetStream { .. } => problem(StatusCode::SERVICE_UNAVAILABLE).retry_after(1),
    }
}

fn failed(error: &serde_json::Error) -> Problem {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, format!("the letter cannot be written as JSON: {error}"))
}
