//! What each path answers.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, FromRequest, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router, middleware};
use serde::Serialize;
use serde_json::{Map, Value};
use tokio::time::timeout;

use crate::control::{Outcome, ReloadRecord, Stopping, Trigger};
use crate::names::Revision;
use crate::rules::Role;
use crate::telemetry::OPEN_METRICS;
use crate::times::rfc3339;

use super::Admin;
use super::access::{Details, Need, Open, act, authorise};
use super::guard::{Reach, guard};
use super::problem::Problem;
use super::tap::tap;

/// How long an answer to `POST /v1/reload` may take: cold compilation of many plugins takes seconds.
pub(super) const RELOAD_WAIT: Duration = Duration::from_secs(120);
/// Nothing here takes a body; this much of one is read and ignored.
const MAX_BODY_BYTES: usize = 4096;
/// How long a request's body may take to arrive.
pub(super) const BODY_WAIT: Duration = Duration::from_secs(10);

#[derive(Serialize)]
struct Ready {
    ready: bool,
    reasons: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct RevisionBody {
    revision: Option<String>,
    since: Option<String>,
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
    #[serde(skip_serializing_if = "Vec::is_empty")]
    files: Vec<String>,
    outcome: &'static str,
    took_ms: u64,
    errors: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct ReloadAnswer {
    outcome: &'static str,
    revision: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

/// What monitoring asks for, by whatever program it is.
const MONITORING: Need = Need { role: Role::Reader, open: Open::Everybody };
/// What was there before there were tokens.
const STATUS: Need = Need { role: Role::Reader, open: Open::ThisMachine };
/// What rules have made of messages; what these were before needs more, see `tap`.
const TAP: Need = Need { role: Role::Reader, open: Open::ThisMachine };
const RELOAD: Need = Need { role: Role::Admin, open: Open::ThisMachine };

/// All paths, by what they need.
pub(super) fn router(admin: Admin, reach: Reach) -> Router {
    let need = |need| middleware::from_fn_with_state((admin.access.clone(), need), authorise);
    let acting = || middleware::from_fn_with_state(admin.access.clone(), act);
    let open = Router::new().route("/healthz", get(async || "ok")).route("/readyz", get(ready));
    let monitoring = Router::new().route("/metrics", get(metrics)).route_layer(need(MONITORING));
    let status = Router::new().route("/v1/revision", get(revision)).route_layer(need(STATUS));
    let tap = Router::new().route("/v1/tap", get(tap)).route_layer(need(TAP));
    let reload = Router::new().route("/v1/reload", post(reload)).route_layer(acting()).route_layer(need(RELOAD));
    let router = open.merge(monitoring).merge(status).merge(reload).merge(tap);
    router
        .fallback(async || Problem::new(StatusCode::NOT_FOUND, "there is nothing at this path"))
        .method_not_allowed_fallback(async || {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "this path has another method, see the Allow header")
        })
        .with_state(admin)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(middleware::from_fn_with_state(reach, guard))
}

async fn ready(State(admin): State<Admin>, headers: HeaderMap) -> Response {
    let conditions = admin.readiness.now();
    let ready = conditions.is_ready();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    // Reasons have names in them, and what the server said.
    let reasons = if admin.access.may_read(&headers) { conditions.reasons() } else { Vec::new() };
    (status, Json(Ready { ready, reasons })).into_response()
}

async fn metrics(State(admin): State<Admin>) -> Response {
    ([(CONTENT_TYPE, OPEN_METRICS)], admin.metrics.encode()).into_response()
}

async fn revision(State(admin): State<Admin>) -> Json<RevisionBody> {
    let status = admin.control.status();
    let last_reload = status.last_reload.map(ReloadBody::from);
    Json(match status.active {
        Some(active) => RevisionBody {
            revision: Some(active.revision.to_string()),
            since: Some(rfc3339(active.since)),
            rules: active.rules,
            plugins: active.plugins.into_iter().map(|(name, sha256)| (name.to_string(), sha256.into())).collect(),
            last_reload,
        },
        None => RevisionBody { revision: None, since: None, rules: 0, plugins: Map::new(), last_reload },
    })
}

async fn reload(State(admin): State<Admin>, request: Request) -> Result<Response, Problem> {
    match timeout(BODY_WAIT, Bytes::from_request(request, &())).await {
        Ok(Ok(_)) => {}
        Ok(Err(rejection)) => return Err(Problem::new(rejection.status(), "a reload takes no body")),
        Err(_) => return Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "the body did not arrive")),
    }
    if admin.readiness.now().is_draining() {
        return Err(stopping(Stopping));
    }
    let record = match timeout(RELOAD_WAIT, admin.control.reload()).await {
        Ok(answered) => answered.map_err(stopping)?,
        Err(_) => {
            let detail = "the reload is still under way; `GET /v1/revision` will tell what comes of it";
            return Err(Problem::new(StatusCode::GATEWAY_TIMEOUT, detail));
        }
    };
    let status = match record.outcome {
        Outcome::Activated | Outcome::Unchanged => StatusCode::OK,
        Outcome::Rejected => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let answer = ReloadAnswer::from(record);
    let details = Details::default().with("outcome", answer.outcome).with("revision", answer.revision.clone());
    Ok((status, Extension(details), Json(answer)).into_response())
}

fn stopping(reason: Stopping) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, reason.to_string())
}

impl From<ReloadRecord> for ReloadAnswer {
    fn from(record: ReloadRecord) -> Self {
        Self {
            outcome: record.outcome.as_str(),
            revision: record.revision.as_ref().map(Revision::to_string),
            errors: record.errors,
            warnings: record.warnings,
        }
    }
}

impl From<ReloadRecord> for ReloadBody {
    fn from(record: ReloadRecord) -> Self {
        let files = match &record.trigger {
            Trigger::File { paths } => paths.iter().map(|path| path.display().to_string()).collect(),
            _ => Vec::new(),
        };
        Self {
            at: rfc3339(record.at),
            trigger: record.trigger.as_str(),
            files,
            outcome: record.outcome.as_str(),
            took_ms: u64::try_from(record.took.as_millis()).unwrap_or(u64::MAX),
            errors: record.errors,
            warnings: record.warnings,
        }
    }
}
