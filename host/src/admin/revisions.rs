//! The revision in force, those that were, and what brings another one.

use std::time::Duration;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::header::{ETAG, HeaderMap, HeaderValue};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Serialize;
use serde_json::{Map, Value};
use tokio::time::timeout;

use crate::control::{
    Basis, Change, Changes, Difference, Outcome, Past, Refused, ReloadRecord, Stopping, Trigger, What,
};
use crate::names::Revision;
use crate::rules::{MAX_FILE_BYTES, RulesFile};
use crate::times::rfc3339;

use super::Admin;
use super::access::{Caller, Details};
use super::input::{IfMatch, bad, body, boolean, if_match, query, segment};
use super::problem::Problem;

/// How long an answer to a load may take: cold compilation of many plugins takes seconds.
pub(super) const RELOAD_WAIT: Duration = Duration::from_secs(120);
/// What is read and ignored of a body where there is none to send.
const MAX_NO_BODY_BYTES: usize = 4096;

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct RevisionBody {
    revision: Option<String>,
    since: Option<String>,
    /// `files`, `put` or `activated`.
    basis: &'static str,
    /// Files of rules that are in force and were not written.
    unwritten: Vec<String>,
    rules: usize,
    /// SHA-256 of the component, by the plugin's name.
    plugins: Map<String, Value>,
    last_reload: Option<ReloadBody>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct ReloadBody {
    at: String,
    trigger: &'static str,
    who: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    files: Vec<String>,
    outcome: &'static str,
    took_ms: u64,
    errors: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct Outcomes {
    outcome: &'static str,
    revision: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct PastBody {
    revision: String,
    since: String,
    trigger: &'static str,
    who: Option<String>,
    /// Whether it can be activated.
    kept: bool,
    changes: ChangesBody,
}

#[derive(Serialize)]
struct ChangesBody {
    files: DifferenceBody,
    rules: DifferenceBody,
    plugins: DifferenceBody,
}

#[derive(Serialize)]
struct DifferenceBody {
    added: Vec<String>,
    removed: Vec<String>,
    changed: Vec<String>,
    more: usize,
}

pub(super) async fn revision(State(admin): State<Admin>, uri: Uri) -> Result<Response, Problem> {
    query(&uri, &[])?;
    let status = admin.control.status();
    let last_reload = status.last_reload.map(ReloadBody::from);
    let body = match &status.active {
        Some(active) => RevisionBody {
            revision: Some(active.revision.to_string()),
            since: Some(rfc3339(active.since)),
            basis: active.basis.as_str(),
            unwritten: unwritten(&active.basis),
            rules: active.rules,
            plugins: active.plugins.iter().map(|(name, sha256)| (name.to_string(), sha256.clone().into())).collect(),
            last_reload,
        },
        None => RevisionBody {
            revision: None,
            since: None,
            basis: Basis::Files.as_str(),
            unwritten: Vec::new(),
            rules: 0,
            plugins: Map::new(),
            last_reload,
        },
    };
    Ok((etag(status.active.as_ref().map(|active| &active.revision)), Json(body)).into_response())
}

fn unwritten(basis: &Basis) -> Vec<String> {
    match basis {
        Basis::Put(overlay) => overlay.iter().map(|(file, _)| file.as_str().to_owned()).collect(),
        Basis::Files | Basis::Activated => Vec::new(),
    }
}

/// The revision as an `ETag`, for `If-Match`.
pub(super) fn etag(revision: Option<&Revision>) -> HeaderMap {
    let tag = revision.and_then(|revision| HeaderValue::try_from(format!("\"{revision}\"")).ok());
    tag.map(|tag| (ETAG, tag)).into_iter().collect()
}

pub(super) async fn history(State(admin): State<Admin>, uri: Uri) -> Result<Json<Value>, Problem> {
    query(&uri, &[])?;
    let history: Vec<PastBody> = admin.control.status().history.iter().map(PastBody::from).collect();
    Ok(Json(serde_json::json!({ "revisions": history })))
}

pub(super) async fn reload(
    State(admin): State<Admin>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Problem> {
    query(request.uri(), &[])?;
    body(request, MAX_NO_BODY_BYTES).await?;
    running(&admin)?;
    let asked = admin.control.reload_by(caller.name().cloned());
    in_time(Details::default(), async { Ok(asked.await?) }).await
}

pub(super) async fn put(
    State(admin): State<Admin>,
    Extension(caller): Extension<Caller>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Problem> {
    let write = boolean(&query(request.uri(), &["write"])?, "write")?;
    let file = RulesFile::new(&segment(path)?).map_err(|error| bad(error.to_string()))?;
    let only_if = match if_match(request.headers())? {
        IfMatch::Absent => {
            let detail = "say by `If-Match` which revision this change is made to, or `*` for whichever is in force";
            return Err(Problem::new(StatusCode::PRECONDITION_REQUIRED, detail));
        }
        IfMatch::Any => None,
        IfMatch::Only(revision) => Some(revision),
    };
    let text = body(request, MAX_FILE_BYTES).await?;
    if std::str::from_utf8(&text).is_err() {
        return Err(bad("the body is not UTF-8 text, which TOML requires"));
    }
    running(&admin)?;
    let change = Change { who: caller.name().cloned(), only_if, what: What::Put { file, text, write } };
    in_time(Details::default().with("write", write), admin.control.change(change)).await
}

pub(super) async fn activate(
    State(admin): State<Admin>,
    Extension(caller): Extension<Caller>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Problem> {
    query(request.uri(), &[])?;
    let only_if = match if_match(request.headers())? {
        IfMatch::Absent | IfMatch::Any => None,
        IfMatch::Only(revision) => Some(revision),
    };
    body(request, MAX_NO_BODY_BYTES).await?;
    let Some(revision) = Revision::parse(&segment(path)?) else {
        return Err(Problem::new(StatusCode::NOT_FOUND, "a revision is 12 hexadecimal digits, in lower case"));
    };
    running(&admin)?;
    let change = Change { who: caller.name().cloned(), only_if, what: What::Activate(revision) };
    in_time(Details::default(), admin.control.change(change)).await
}

fn running(admin: &Admin) -> Result<(), Problem> {
    if admin.readiness.now().is_draining() { Err(refused(Refused::Stopping(Stopping))) } else { Ok(()) }
}

/// What comes of a load, with what the audit log says of it beside that.
async fn in_time(
    details: Details,
    asked: impl Future<Output = Result<ReloadRecord, Refused>>,
) -> Result<Response, Problem> {
    let record = match timeout(RELOAD_WAIT, asked).await {
        Ok(answered) => answered.map_err(refused)?,
        Err(_) => {
            let detail = "the load is still under way; `GET /v1/revision` will tell what comes of it";
            return Err(Problem::new(StatusCode::GATEWAY_TIMEOUT, detail));
        }
    };
    let status = match record.outcome {
        Outcome::Activated | Outcome::Unchanged => StatusCode::OK,
        Outcome::Rejected => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let tag = etag(record.revision.as_ref());
    let answer = Outcomes {
        outcome: record.outcome.as_str(),
        revision: record.revision.as_ref().map(Revision::to_string),
        errors: record.errors,
        warnings: record.warnings,
    };
    let details = details.with("outcome", answer.outcome).with("revision", answer.revision.clone());
    Ok((status, tag, Extension(details), Json(answer)).into_response())
}

#[expect(clippy::needless_pass_by_value, reason = "it is handed to `map_err`")]
fn refused(refused: Refused) -> Problem {
    let status = match &refused {
        Refused::Stale(_) => StatusCode::PRECONDITION_FAILED,
        Refused::NotKept | Refused::TooMuch => StatusCode::CONFLICT,
        Refused::Stopping(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    Problem::new(status, refused.to_string())
}

impl From<ReloadRecord> for ReloadBody {
    fn from(record: ReloadRecord) -> Self {
        let files = match &record.trigger {
            Trigger::File { paths } => paths.iter().map(|path| path.display().to_string()).collect(),
            Trigger::Put { file } => vec![file.path()],
            _ => Vec::new(),
        };
        Self {
            at: rfc3339(record.at),
            trigger: record.trigger.as_str(),
            who: record.who.as_ref().map(ToString::to_string),
            files,
            outcome: record.outcome.as_str(),
            took_ms: u64::try_from(record.took.as_millis()).unwrap_or(u64::MAX),
            errors: record.errors,
            warnings: record.warnings,
        }
    }
}

impl From<&Past> for PastBody {
    fn from(past: &Past) -> Self {
        let Changes { files, rules, plugins } = &past.changes;
        Self {
            revision: past.revision.to_string(),
            since: rfc3339(past.since),
            trigger: past.trigger.as_str(),
            who: past.who.as_ref().map(ToString::to_string),
            kept: past.kept,
            changes: ChangesBody { files: files.into(), rules: rules.into(), plugins: plugins.into() },
        }
    }
}

impl From<&Difference> for DifferenceBody {
    fn from(difference: &Difference) -> Self {
        let Difference { added, removed, changed, more } = difference.clone();
        Self { added, removed, changed, more }
    }
}
