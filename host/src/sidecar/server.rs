//! Accepts connections and bounds what each may cost: how many there are, how long a head may take to arrive and how large
//! it may be. A connection may live for long, since a subscription does.

use std::time::Duration;

use axum::extract::{DefaultBodyLimit, Request};
use axum::http::StatusCode;
use axum::http::header::ORIGIN;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::{Router, middleware};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::task::JoinSet;

use crate::admin::{Places, Problem, Reach, guard};

use super::listener::Stream;
use super::{Listener, Sidecar, publish, subscribe};

/// Connections at a time; others wait in the listener's backlog.
const MAX_CONNECTIONS: usize = 1024;
/// How long a request's head may take, and how long a connection may be idle.
const HEAD_WAIT: Duration = Duration::from_secs(10);
const MAX_HEAD_BYTES: usize = 16 * 1024;
/// What subscribers send has no body to speak of; what publishes reads its own, see `call.rs`.
const MAX_BODY_BYTES: usize = 4096;

/// Serves until it is dropped, and all its connections with it.
pub async fn serve(listener: Listener, sidecar: Sidecar) {
    let router = router(sidecar, listener.is_loopback());
    let places = Places::new(MAX_CONNECTIONS, "the sidecar");
    let mut connections = JoinSet::new();
    loop {
        let (stream, place) = places.next(&listener).await;
        let router = router.clone();
        connections.spawn(async move {
            connection(stream, router).await;
            drop(place);
        });
        while connections.try_join_next().is_some() {}
    }
}

fn router(sidecar: Sidecar, loopback: bool) -> Router {
    let router = subscribe::routes()
        .merge(publish::routes(&sidecar))
        .fallback(async || Problem::new(StatusCode::NOT_FOUND, "there is nothing at this path"))
        .method_not_allowed_fallback(async || {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "this path has another method, see the Allow header")
        })
        .with_state(sidecar)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES));
    if loopback {
        router.layer(middleware::from_fn_with_state(Reach::Loopback, guard))
    } else {
        router.layer(middleware::from_fn(no_web_pages))
    }
}

/// Where others reach it, or by a Unix socket, the Host says nothing; web pages are refused all the same.
async fn no_web_pages(request: Request, next: Next) -> Response {
    if request.headers().contains_key(ORIGIN) {
        let detail = "requests of web pages, which have an Origin, are refused";
        return Problem::new(StatusCode::FORBIDDEN, detail).into_response();
    }
    next.run(request).await
}

async fn connection(stream: Box<dyn Stream>, router: Router) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_WAIT).max_buf_size(MAX_HEAD_BYTES);
    // How a connection ends is the client's business.
    let _ = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router)).await;
}
