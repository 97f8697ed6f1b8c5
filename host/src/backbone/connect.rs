//! Connecting for the first time, and what is said about it.

use std::hash::{BuildHasher as _, RandomState};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, ConnectErrorKind, ConnectOptions, ServerAddr};

use super::connection::{Connection, Tasks};
use super::echo::Echo;
use super::link::{Failures, Link};
use super::publish::{NatsPublisher, Parts};
use super::streams::StreamIndex;
use super::tls;
use super::wire::{MIN_SERVER, Wire};
use crate::https;
use crate::rules::{Auth, NatsSettings, Secret, SecretError, SecretRef};

/// How often the client asks the server whether it is still there; two answers may be missing.
const PING_INTERVAL: Duration = Duration::from_secs(10);
/// Longest wait between two attempts to connect.
const MAX_BACKOFF: Duration = Duration::from_secs(4);
/// How long one attempt to connect may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Publishes that may wait for their confirmation at once.
const MAX_UNCONFIRMED: usize = 65_536;
/// Messages that a subscription holds in the client: more than a pull asks for.
const SUBSCRIPTION_CAPACITY: usize = 65_536;
/// How often it is asked whether the client is still at work.
const CLIENT_CHECK: Duration = Duration::from_secs(5);
/// How long it takes at most until the client has said that it was closed.
const CLOSING: Duration = Duration::from_secs(5);

/// Why there is no connection, and will not be one before somebody does something.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// A server's address cannot be read.
    #[error("`{server}` is not the address of a NATS server: {reason}")]
    Address {
        /// As written.
        server: String,
        /// What is wrong.
        reason: String,
    },
    /// A secret cannot be had.
    #[error("[nats] {what}: {error}")]
    Secret {
        /// Which setting.
        what: &'static str,
        /// Why not; it does not show the secret.
        error: SecretError,
    },
    /// A secret is not what it should be.
    #[error("[nats] {what} is not {expected}")]
    Malformed {
        /// Which setting.
        what: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// A file of `[nats.tls]` cannot be used.
    #[error("cannot use the TLS file {}: {reason}", .path.display())]
    TlsFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// TLS was not agreed on.
    #[error("no TLS with the NATS servers {servers}: {reason}")]
    Tls {
        /// The servers.
        servers: String,
        /// What went wrong.
        reason: String,
    },
    /// The server does not know us.
    #[error("the NATS servers {servers} refused the connection, which was made {with}")]
    Refused {
        /// The servers.
        servers: String,
        /// The way of authentication.
        with: &'static str,
    },
    /// The server lacks what Trackside needs.
    #[error("the NATS server is version {version}; Trackside needs {}.{} or newer", MIN_SERVER.0, MIN_SERVER.1)]
    TooOld {
        /// The server's version.
        version: String,
    },
    /// The server closed the connection at once.
    #[error("the connection to the NATS servers {servers} was closed: {reason}")]
    Closed {
        /// The servers.
        servers: String,
        /// What happened.
        reason: String,
    },
}

/// Whether these settings could be used to connect: addresses, secrets and files are there, and what they should be.
///
/// # Errors
/// When one is not. No error shows a secret.
pub fn check(settings: &NatsSettings, directory: &Path) -> Result<(), ConnectError> {
    install_provider();
    addresses(settings)?;
    options(settings, directory, &Arc::default()).map(drop)
}

/// Connects, and waits for as long as no server can be reached, which is logged. From then on the connection is kept
/// up for ever, with jittered waits between attempts.
///
/// `directory` is the one that references to secrets are relative to.
///
/// # Errors
/// When waiting does not help: settings that cannot be used, credentials that are refused, TLS that fails, a server
/// that is too old. No error shows a secret.
pub async fn connect(settings: &NatsSettings, directory: &Path) -> Result<Connection, ConnectError> {
    install_provider();
    let servers = addresses(settings)?;
    let link = Arc::new(Link::new(settings.servers.join(", ")));
    let options = options(settings, directory, &link)?;
    let client = first_connection(settings, &servers, &options).await?;
    // The event comes by another task. Sources take a later one for a reconnect, so this one has to be counted.
    let _ = link.watch().wait_for(|state| state.made > 0).await;

    announce(&client)?;
    assemble(settings, client, link).await
}

/// How long to wait before this attempt, the first being 1: doubling, capped, and jittered over its upper half, so
/// that many clients of one server do not come back at the same moment.
pub(super) fn backoff(attempt: usize) -> Duration {
    let doublings = u32::try_from(attempt.saturating_sub(1)).unwrap_or(u32::MAX).min(16);
    let longest = Duration::from_millis(50).saturating_mul(1 << doublings).min(MAX_BACKOFF);
    // A fresh `RandomState` hashes with random keys: randomness enough for this.
    let dice = RandomState::new().hash_one(attempt) % 1024;
    longest / 2 + longest / 2 * u32::try_from(dice).unwrap_or(0) / 1024
}

fn install_provider() {
    // Already installed is fine: any provider will do.
    let _ = async_nats::rustls::crypto::ring::default_provider().install_default();
}

fn addresses(settings: &NatsSettings) -> Result<Vec<ServerAddr>, ConnectError> {
    let parse = |server: &String| {
        let wrong = |error: std::io::Error| ConnectError::Address { server: server.clone(), reason: error.to_string() };
        server.parse::<ServerAddr>().map_err(wrong)
    };
    settings.servers.iter().map(parse).collect()
}

fn options(settings: &NatsSettings, directory: &Path, link: &Arc<Link>) -> Result<ConnectOptions, ConnectError> {
    let events = Arc::clone(link);
    let options = ConnectOptions::new()
        .name(&settings.name)
        .ping_interval(PING_INTERVAL)
        .connection_timeout(CONNECT_TIMEOUT)
        .request_timeout(Some(settings.request_timeout))
        .subscription_capacity(SUBSCRIPTION_CAPACITY)
        .max_reconnects(None)
        .reconnect_delay_callback(backoff)
        .event_callback(move |event| {
            let link = Arc::clone(&events);
            async move { link.note(event) }
        });
    let options = authenticate(options, &settings.auth, directory)?;
    match &settings.tls {
        Some(settings) => tls::apply(options, settings),
        None => Ok(options),
    }
}

fn authenticate(options: ConnectOptions, auth: &Auth, directory: &Path) -> Result<ConnectOptions, ConnectError> {
    let resolve = |what: &'static str, secret: &SecretRef| -> Result<Secret, ConnectError> {
        secret.resolve(directory).map_err(|error| ConnectError::Secret { what, error })
    };
    Ok(match auth {
        Auth::None => options,
        Auth::UserPassword { user, password } => {
            let (user, password) = (resolve("user", user)?, resolve("password", password)?);
            options.user_and_password(user.expose().to_owned(), password.expose().to_owned())
        }
        Auth::Token(token) => options.token(resolve("token", token)?.expose().to_owned()),
        Auth::NKey(seed) => options.nkey(resolve("nkey", seed)?.expose().trim().to_owned()),
        Auth::Credentials(text) => {
            // The client wants a line end after the last line, which resolving has taken away.
            let text = format!("{}\n", resolve("creds", text)?.expose());
            let expected = "the text of a credentials file, with a user JWT and an nkey seed";
            // The client's own error is dropped, since it may quote what it could not read.
            options.credentials(&text).map_err(|_| ConnectError::Malformed { what: "creds", expected })?
        }
    })
}

/// Tries until a server takes the connection or refuses it for good.
async fn first_connection(
    settings: &NatsSettings,
    servers: &[ServerAddr],
    options: &ConnectOptions,
) -> Result<Client, ConnectError> {
    let mut attempt = 0;
    let mut failures = Failures::default();
    loop {
        let reason = match Box::pin(options.clone().connect(servers)).await {
            Ok(client) => return Ok(client),
            Err(error) => classify(settings, &error)?,
        };
        attempt += 1;
        if failures.note(&reason).is_some() {
            let servers = settings.servers.join(", ");
            tracing::warn!(servers, reason, attempt, "no NATS server can be reached; trying on");
        }
        tokio::time::sleep(backoff(attempt)).await;
    }
}

/// What may pass by itself is a reason to go on; what may not is an error.
fn classify(settings: &NatsSettings, error: &async_nats::ConnectError) -> Result<String, ConnectError> {
    let servers = settings.servers.join(", ");
    if let Some(error) = https::tls::find_error(error) {
        let ca = settings.tls.as_ref().and_then(|tls| tls.ca.as_deref());
        let authorities = match ca {
            Some(ca) => format!("those of {} are, the `ca` of [nats.tls]", ca.display()),
            None => "those of the system are, and in their place those of a PEM file that `ca` of [nats.tls] names"
                .to_owned(),
        };
        return Err(ConnectError::Tls { servers, reason: https::tls::told(error, &authorities) });
    }
    match error.kind() {
        ConnectErrorKind::AuthorizationViolation => Err(ConnectError::Refused { servers, with: way(&settings.auth) }),
        ConnectErrorKind::Authentication => {
            Err(ConnectError::Malformed { what: "nkey", expected: "the seed of a user's nkey, which begins with `SU`" })
        }
        ConnectErrorKind::Tls => Err(ConnectError::Tls { servers, reason: error.to_string() }),
        ConnectErrorKind::TimedOut => {
            Ok("no answer in time; if the server has `handshake_first`, [nats.tls] needs `handshake-first = true`"
                .to_owned())
        }
        _ => Ok(error.to_string()),
    }
}

fn way(auth: &Auth) -> &'static str {
    match auth {
        Auth::None => "without credentials: add `user` and `password`, `token`, `nkey` or `creds` to [nats]",
        Auth::UserPassword { .. } => "with the `user` and `password` of [nats]",
        Auth::Token(_) => "with the `token` of [nats]",
        Auth::NKey(_) => "with the `nkey` of [nats]",
        Auth::Credentials(_) => "with the `creds` of [nats]",
    }
}

/// Says in the log which server it is, and whether it will do.
fn announce(client: &Client) -> Result<(), ConnectError> {
    let info = client.server_info();
    tracing::info!(server = info.server_name, version = info.version, "connected to NATS");
    let (major, minor) = MIN_SERVER;
    match client.is_server_compatible(major, minor, 0) {
        true => Ok(()),
        false => Err(ConnectError::TooOld { version: info.version }),
    }
}

/// Does the same after every reconnect.
async fn announce_reconnects(wire: Arc<Wire>) {
    let mut link = wire.link.watch();
    let mut made = link.borrow_and_update().made;
    while let Ok(state) = link.wait_for(|state| state.made > made || state.closed).await.map(|state| *state) {
        // The client learns who the server is after it has said that it is connected; it answers this after both.
        if state.closed || wire.client.server_pool().await.is_err() {
            return;
        }
        made = state.made;
        if let Err(error) = announce(&wire.client) {
            tracing::error!(%error, "this NATS server may not do all that is asked of it");
        }
    }
}

/// Notices that the client has broken off without having been closed, which nothing but a restart mends. It panics over a
/// message with a carriage return in the value of a header, and would seem connected from then on.
async fn notice_the_end(wire: Arc<Wire>) {
    let mut link = wire.link.watch();
    while wire.client.server_pool().await.is_ok() {
        if tokio::time::timeout(CLIENT_CHECK, link.wait_for(|state| state.closed)).await.is_ok() {
            return;
        }
    }
    if tokio::time::timeout(CLOSING, link.wait_for(|state| state.closed)).await.is_err() {
        wire.link.broke_off();
    }
}

async fn assemble(settings: &NatsSettings, client: Client, link: Arc<Link>) -> Result<Connection, ConnectError> {
    let jetstream = async_nats::jetstream::context::ContextBuilder::new()
        .timeout(settings.request_timeout)
        .ack_timeout(settings.request_timeout)
        .max_ack_inflight(MAX_UNCONFIRMED)
        .build(client.clone());
    let statistics = client.statistics();
    let wire = Arc::new(Wire { client, jetstream, statistics, link, request_timeout: settings.request_timeout });
    let closed = |error: async_nats::SubscribeError| ConnectError::Closed {
        servers: settings.servers.join(", "),
        reason: error.to_string(),
    };
    let echo = Echo::start(Arc::clone(&wire)).await.map_err(closed)?;
    let index = Arc::new(StreamIndex::load(&wire).await);
    let refresh = tokio::spawn(Arc::clone(&index).keep_fresh(Arc::clone(&wire)));
    let reconnects = tokio::spawn(announce_reconnects(Arc::clone(&wire)));
    let end = tokio::spawn(notice_the_end(Arc::clone(&wire)));
    let tasks = Tasks([refresh, reconnects, end]);
    Ok(Connection::new(NatsPublisher {
        parts: Arc::new(Parts { wire, index, echo, batches: tokio::sync::Mutex::default(), _tasks: tasks }),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_between_attempts_grow_to_a_cap_and_are_never_the_same_twice_in_a_row() {
        for (attempt, longest) in [(1, 50), (2, 100), (5, 800), (8, 4000), (1_000_000, 4000)] {
            let longest = Duration::from_millis(longest);
            let waits: Vec<_> = (0..32).map(|_| backoff(attempt)).collect();
            assert!(waits.iter().all(|wait| *wait >= longest / 2 && *wait <= longest), "{attempt}: {waits:?}");
            assert!(waits.iter().any(|wait| *wait != waits[0]), "{attempt}: no jitter");
        }
    }
}
