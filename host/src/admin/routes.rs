//! All paths, by what they need.

use axum::extract::{DefaultBodyLimit, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router, middleware};
use serde::Serialize;

use crate::rules::Role;
use crate::telemetry::OPEN_METRICS;

use super::access::{Need, Open, act, authorise};
use super::guard::{Reach, guard};
use super::problem::Problem;
use super::tap::tap;
use super::{Admin, letters, openapi, revisions, rules, trial};

/// Handlers that take a body read it within a bound of their own.
const MAX_BODY_BYTES: usize = 4096;

/// What monitoring asks for, by whatever program it is.
const MONITORING: Need = Need { role: Role::Reader, open: Open::Everybody };
/// What was there before there were tokens.
const STATUS: Need = Need { role: Role::Reader, open: Open::ThisMachine };
/// What rules have made of messages; what these were before needs more, see `tap`.
const TAP: Need = Need { role: Role::Reader, open: Open::ThisMachine };
const RELOAD: Need = Need { role: Role::Admin, open: Open::ThisMachine };
/// What there is.
const LOOK: Need = Need { role: Role::Reader, open: Open::Nobody };
/// What changes something.
const CHANGE: Need = Need { role: Role::Admin, open: Open::Nobody };

#[derive(Serialize)]
struct Ready {
    ready: bool,
    reasons: Vec<String>,
}

pub(super) fn router(admin: Admin, reach: Reach) -> Router {
    let need = |need| middleware::from_fn_with_state((admin.access.clone(), need), authorise);
    let acting = || middleware::from_fn_with_state(admin.access.clone(), act);
    let open = Router::new()
        .route("/healthz", get(async || "ok"))
        .route("/readyz", get(ready))
        .route("/v1/openapi.json", get(openapi::document));
    let monitoring = Router::new().route("/metrics", get(metrics)).route_layer(need(MONITORING));
    let status = Router::new().route("/v1/revision", get(revisions::revision)).route_layer(need(STATUS));
    let tap = Router::new().route("/v1/tap", get(tap)).route_layer(need(TAP));
    let reload =
        Router::new().route("/v1/reload", post(revisions::reload)).route_layer(acting()).route_layer(need(RELOAD));
    let looking = Router::new()
        .route("/v1/revisions", get(revisions::history))
        .route("/v1/rules", get(rules::rules))
        .route("/v1/rules/{file}", get(rules::file))
        .route("/v1/plugins", get(rules::plugins))
        .route("/v1/dead-letters", get(letters::list))
        .route("/v1/dead-letters/{stream}/{sequence}", get(letters::show))
        .route_layer(need(LOOK));
    let changing = Router::new()
        .route("/v1/rules/{file}", put(revisions::put))
        .route("/v1/revisions/{revision}/activate", post(revisions::activate))
        .route("/v1/dead-letters/replay", post(letters::replay))
        .route("/v1/dead-letters/discard", post(letters::discard))
        .route("/v1/check", post(trial::check))
        .route("/v1/try", post(trial::run))
        .route_layer(acting())
        .route_layer(need(CHANGE));
    let router = open.merge(monitoring).merge(status).merge(reload).merge(tap).merge(looking).merge(changing);
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
