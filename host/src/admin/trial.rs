//! Candidates: a configuration that is checked, and messages that are tried on it, without anything being in force.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::app::{Offline, Trial, checked};
use crate::pipeline::Observation;
use crate::rules::{CONFIG_FILE, FileSet, RulesFile};
use crate::telemetry::task_panic;

use super::Admin;
use super::input::{bad, body, json_of, query};
use super::problem::Problem;
use super::revisions::RELOAD_WAIT;
use super::rules::loaded;

/// Longest body: files, and messages.
const MAX_BODY_BYTES: usize = 8 << 20;
/// Most messages of one trial.
const MAX_MESSAGES: usize = 1000;
/// How long messages may take, all together; what is left is told.
const TRIAL_WAIT: Duration = Duration::from_secs(30);
/// Most outcomes of one trial: a plugin may split a message into thousands.
const MAX_OUTCOMES: usize = 10_000;

/// Files that are put over those in force, by their paths; null leaves one out.
type Candidate = BTreeMap<String, Option<String>>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Check {
    #[serde(default)]
    files: Candidate,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Try {
    #[serde(default)]
    files: Candidate,
    messages: Vec<Box<RawValue>>,
}

/// What became of the messages.
#[derive(Debug, Serialize)]
struct Tried {
    revision: String,
    outcomes: Vec<Observation>,
    errors: Vec<Value>,
    /// Whether all of them were tried.
    complete: bool,
}

pub(super) async fn check(State(admin): State<Admin>, request: Request) -> Result<Json<Value>, Problem> {
    query(request.uri(), &[])?;
    let Check { files } = json_of(&body(request, MAX_BODY_BYTES).await?)?;
    let files = candidate(&admin, files)?;
    in_workshop(&admin, move || checked(&Offline::of(&files))).await.map(Json)
}

pub(super) async fn run(State(admin): State<Admin>, request: Request) -> Result<Response, Problem> {
    query(request.uri(), &[])?;
    let Try { files, messages } = json_of(&body(request, MAX_BODY_BYTES).await?)?;
    if messages.len() > MAX_MESSAGES {
        return Err(bad(format!("there are more than {MAX_MESSAGES} messages")));
    }
    let mut trials = Vec::with_capacity(messages.len());
    for (message, number) in messages.iter().zip(1..) {
        let trial = Trial::parse(message.get().as_bytes());
        trials.push(trial.map_err(|error| bad(format!("message {number}: {error}")))?);
    }
    let files = candidate(&admin, files)?;
    let tried = in_workshop(&admin, move || match Offline::of(&files) {
        Ok(offline) => Ok(tried(&offline, &trials)),
        Err(report) => Err(checked(&Err(report))),
    });
    Ok(match tried.await? {
        Ok(tried) => Json(tried).into_response(),
        Err(checked) => (StatusCode::UNPROCESSABLE_ENTITY, Json(checked)).into_response(),
    })
}

fn tried(offline: &Offline, trials: &[Trial]) -> Tried {
    let (mut runner, until) = (offline.runner(true), Instant::now() + TRIAL_WAIT);
    let revision = offline.plan().revision.to_string();
    let mut tried = Tried { revision, outcomes: Vec::new(), errors: Vec::new(), complete: true };
    for (trial, number) in trials.iter().zip(1..) {
        if Instant::now() >= until || tried.outcomes.len() >= MAX_OUTCOMES {
            tried.complete = false;
            break;
        }
        match trial.run(offline.plan(), &mut runner, number) {
            Ok(outcomes) => tried.outcomes.extend(outcomes),
            Err(error) => tried.errors.push(json!({ "message": number, "error": error })),
        }
    }
    tried
}

/// The files in force, with others put over them.
fn candidate(admin: &Admin, files: Candidate) -> Result<FileSet, Problem> {
    let mut set = FileSet::clone(&loaded(admin)?.files);
    for (path, text) in files {
        let is_rules = path.strip_prefix("rules/").is_some_and(|name| RulesFile::new(name).is_ok());
        if path != CONFIG_FILE && !is_rules {
            let path: String = path.escape_debug().take(64).collect();
            let detail = format!("`{path}` is no file of a candidate: those are `{CONFIG_FILE}` and `rules/NAME.toml`");
            return Err(bad(detail));
        }
        set = match text {
            Some(text) => set.with(path, text),
            None => set.without(&path),
        };
    }
    Ok(set)
}

/// Runs what takes long on a thread where it may; one at a time.
async fn in_workshop<T: Send + 'static>(
    admin: &Admin,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    let place = admin.access.workshop()?;
    let task = tokio::task::spawn_blocking(move || {
        let done = work();
        drop(place);
        done
    });
    match timeout(RELOAD_WAIT, task).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => {
            tracing::error!(panic = task_panic(error), "a check failed by a fault of trackside itself");
            let detail = "this failed by a fault of trackside itself, please report it with the log";
            Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail))
        }
        Err(_) => Err(Problem::new(StatusCode::GATEWAY_TIMEOUT, "this takes more than two minutes")),
    }
}
