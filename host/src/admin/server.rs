//! Accepts connections and bounds what each may cost: how many there are, how long a head may take to arrive, how
//! large it may be, how long a connection may live.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::Admin;
use super::guard::Reach;
use super::line::Line;
use super::routes::{BODY_WAIT, RELOAD_WAIT, router};

/// Connections at a time; others wait in the listener's backlog.
pub(super) const MAX_CONNECTIONS: usize = 64;
/// How long a request's head may take, and how long a connection may be idle.
pub(super) const HEAD_WAIT: Duration = Duration::from_secs(3);
const MAX_HEAD_BYTES: usize = 16 * 1024;
/// After this a connection is closed once its request is answered, unless that is a tap which is being read ...
const CONNECTION_LIFE: Duration = Duration::from_secs(600);
/// ... or not: a client that does not read its answer cannot keep its place.
const LAST_ANSWER: Duration = RELOAD_WAIT.saturating_add(BODY_WAIT);
/// What to wait for after the system refused a connection, as it does when there are too many open files.
const REFUSED_PAUSE: Duration = Duration::from_secs(1);

/// Serves the admin API until it is dropped, and all its connections with it.
pub async fn serve(listener: TcpListener, admin: Admin) {
    // Without an address to look at, the stricter rule is the safe one.
    let network = listener.local_addr().is_ok_and(|address| !address.ip().is_loopback());
    let router = router(admin, if network { Reach::Network } else { Reach::Loopback });
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

async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> (TcpStream, OwnedSemaphorePermit) {
    let place = Arc::clone(places).acquire_owned().await.expect("the semaphore is never closed");
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, place),
            // The client's own doing.
            Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) => {
            }
            Err(error) => {
                tracing::warn!(%error, "the admin API cannot accept a connection");
                sleep(REFUSED_PAUSE).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, router: Router) {
    let line = Line::new(CONNECTION_LIFE);
    let router = router.layer(Extension(line.clone()));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_WAIT).max_buf_size(MAX_HEAD_BYTES);
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router)));
    // How a connection ends is the client's business.
    tokio::select! {
        _ = connection.as_mut() => return,
        () = line.over() => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = timeout(LAST_ANSWER, connection).await;
}
