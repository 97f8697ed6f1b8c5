//! Accepts connections and bounds what each may cost: how many there are, how long a head may take to arrive, how
//! large it may be, how long a connection may live.

use std::pin::pin;
use std::time::Duration;

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::Admin;
use super::accept::Places;
use super::access::Peer;
use super::guard::Reach;
use super::input::BODY_WAIT;
use super::line::Line;
use super::revisions::RELOAD_WAIT;
use super::routes::router;

/// Connections at a time; others wait in the listener's backlog.
pub(super) const MAX_CONNECTIONS: usize = 64;
/// How long a request's head may take, and how long a connection may be idle.
pub(super) const HEAD_WAIT: Duration = Duration::from_secs(3);
const MAX_HEAD_BYTES: usize = 16 * 1024;
/// After this a connection is closed once its request is answered, unless that is a tap which is being read ...
const CONNECTION_LIFE: Duration = Duration::from_secs(600);
/// ... or not: a client that does not read its answer cannot keep its place.
const LAST_ANSWER: Duration = RELOAD_WAIT.saturating_add(BODY_WAIT);

/// Serves the admin API until it is dropped, and all its connections with it.
pub async fn serve(listener: TcpListener, admin: Admin) {
    // Without an address to look at, the stricter rule is the safe one.
    let network = listener.local_addr().is_ok_and(|address| !address.ip().is_loopback());
    let reach = match admin.access.credentials().tls() {
        Some(_) => Reach::Encrypted,
        None if network => Reach::Network,
        None => Reach::Loopback,
    };
    let credentials = admin.access.credentials().clone();
    let router = router(admin, reach);
    let places = Places::new(MAX_CONNECTIONS, "the admin API");
    let mut connections = JoinSet::new();
    loop {
        let ((stream, peer), place) = places.next(&listener).await;
        // The one that is in force now: certificates are renewed while it runs.
        let tls = credentials.tls();
        let router = router.clone().layer(Extension(Peer(peer)));
        connections.spawn(async move {
            match tls {
                None => connection(stream, router).await,
                Some(config) => {
                    // One that does not get as far as that is the client's business as well.
                    if let Ok(Ok(stream)) = timeout(HEAD_WAIT, TlsAcceptor::from(config).accept(stream)).await {
                        connection(stream, router).await;
                    }
                }
            }
            drop(place);
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, router: Router) {
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
