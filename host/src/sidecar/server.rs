//! Accepts connections and bounds what each may cost: how many there are, how long a head may take to arrive and how large
//! it may be. A connection may live for long, since a subscription does.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::{Router, middleware};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::admin::{Problem, Reach, guard};

use super::{Sidecar, subscribe};

/// Connections at a time; others wait in the listener's backlog.
const MAX_CONNECTIONS: usize = 1024;
/// How long a request's head may take, and how long a connection may be idle.
const HEAD_WAIT: Duration = Duration::from_secs(10);
const MAX_HEAD_BYTES: usize = 16 * 1024;
/// Nothing here takes a body; this much of one is read and ignored.
const MAX_BODY_BYTES: usize = 4096;
/// What to wait for after the system refused a connection, as it does when there are too many open files.
const REFUSED_PAUSE: Duration = Duration::from_secs(1);

/// Serves until it is dropped, and all its connections with it.
pub async fn serve(listener: TcpListener, sidecar: Sidecar) {
    let router = router(sidecar);
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let (stream, place) = accept(&listener, &places).await;
        let router = router.clone();
        connections.spawn(async move {
            connection(stream, router).await;
            drop(place);
        });
        while connections.try_join_next().is_some() {}
    }
}

fn router(sidecar: Sidecar) -> Router {
    subscribe::routes()
        .fallback(async || Problem::new(StatusCode::NOT_FOUND, "there is nothing at this path"))
        .method_not_allowed_fallback(async || {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "this path has another method, see the Allow header")
        })
        .with_state(sidecar)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(middleware::from_fn_with_state(Reach::Loopback, guard))
}

async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> (TcpStream, OwnedSemaphorePermit) {
    let place = Arc::clone(places).acquire_owned().await.expect("the semaphore is never closed");
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, place),
            // The client's own doing.
            Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) => {
            }
            Err(error) => {
                tracing::warn!(%error, "the sidecar cannot accept a connection");
                sleep(REFUSED_PAUSE).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, router: Router) {
    // An event is worth nothing in a buffer; where the system does not take this, it still gets there.
    let _ = stream.set_nodelay(true);
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_WAIT).max_buf_size(MAX_HEAD_BYTES);
    // How a connection ends is the client's business.
    let _ = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router)).await;
}
