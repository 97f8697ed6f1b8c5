//! Who may do what. A request goes through [`authorise`] with what its path needs ([`Need`]), and comes out with its
//! [`Caller`]; what changes something goes through [`act`] as well, which sees it through and writes it down.
//!
//! `credentials.rs` (tokens and TLS, read by every load) -> `rate.rs` (how many requests) -> `audit.rs` (what was done).

mod act;
mod audit;
mod credentials;
mod rate;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::names::TokenName;
use crate::rules::{AdminSettings, Role};
use crate::telemetry::Throttle;

use super::problem::Problem;

pub(super) use act::{Details, act};
use audit::Audit;
pub use audit::AuditError;
pub use credentials::{Credentials, Fresh};
use rate::Rate;

/// Changes, checks and trials that may be under way at once.
const MAX_ACTING: usize = 4;

/// What decides about requests: cheap to clone, and the same for all connections.
#[derive(Debug, Clone)]
pub struct Access(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    credentials: Credentials,
    /// Whether only this machine reaches the listener.
    local: bool,
    /// What good tokens, or everybody where there are none, have to share.
    callers: Rate,
    /// What is left for requests without a good token, so that they cannot use up what is there for the others.
    strangers: Rate,
    /// Bounds what is logged about them ...
    throttle: Throttle,
    /// ... and what the audit log has of what they tried.
    tried: Throttle,
    audit: Audit,
    acting: Arc<Semaphore>,
    reading: Arc<Semaphore>,
    workshop: Arc<Semaphore>,
}

/// What a request needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Need {
    /// The least role.
    pub(super) role: Role,
    /// To whom it is open for as long as there is no token at all.
    pub(super) open: Open,
}

/// To whom something is open without any token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Open {
    /// To whoever reaches the listener.
    Everybody,
    /// To programs on this machine, if only they reach the listener.
    ThisMachine,
    /// To nobody.
    Nobody,
}

/// Who sent a request.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// The token, where there are any.
    token: Option<(TokenName, Role)>,
    from: SocketAddr,
}

/// Why a request is not let through.
struct Refusal {
    problem: Problem,
    /// Who sent it, if the audit log is to have it. What is too much would be too much there as well.
    by: Option<Caller>,
}

/// The other end of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) SocketAddr);

impl Access {
    /// What decides for a listener with these settings.
    ///
    /// # Errors
    /// When the audit file cannot be written.
    pub fn new(settings: &AdminSettings, credentials: Credentials) -> Result<Self, AuditError> {
        Ok(Self(Arc::new(Shared {
            credentials,
            local: settings.listen.ip().is_loopback(),
            callers: Rate::new(settings.requests_per_second),
            strangers: Rate::new(settings.requests_per_second),
            throttle: Throttle::default(),
            tried: Throttle::default(),
            audit: Audit::open(settings.audit.clone())?,
            acting: Arc::new(Semaphore::new(MAX_ACTING)),
            reading: Arc::new(Semaphore::new(1)),
            workshop: Arc::new(Semaphore::new(1)),
        })))
    }

    pub(super) fn credentials(&self) -> &Credentials {
        &self.0.credentials
    }

    /// Writes down that something is shown that readers are not shown, before it is.
    ///
    /// # Errors
    /// When the caller is no administrator, or it cannot be written down.
    pub(super) async fn reveal(&self, caller: &Caller, action: &str, details: &Details) -> Result<(), Problem> {
        if caller.token.as_ref().is_none_or(|(_, role)| *role < Role::Admin) {
            self.write_down(caller, action, StatusCode::FORBIDDEN, details).await;
            let detail = "originals are shown to tokens of the role `admin` alone: see `[admin.tokens.NAME]`";
            return Err(Problem::new(StatusCode::FORBIDDEN, detail));
        }
        self.0.audit.record(caller, action, StatusCode::OK, details).await.map_err(|error| {
            let detail = format!("nothing is revealed that cannot be written down: {error}");
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(10)
        })
    }

    /// Writes down what is over.
    async fn write_down(&self, caller: &Caller, action: &str, status: StatusCode, details: &Details) {
        if let Err(error) = self.0.audit.record(caller, action, status, details).await {
            // It cannot be undone, and the log has it.
            tracing::error!("{error}");
        }
    }

    /// Writes down that a change was refused. Requests without a good token have one line a second, which says how many
    /// more there were: whoever reaches the listener could fill the disk otherwise.
    async fn write_down_refusal(&self, caller: &Caller, action: &str, status: StatusCode) {
        let more = match &caller.token {
            Some(_) => 0,
            None => match self.0.tried.pass() {
                Some(more) => more,
                None => return,
            },
        };
        let details = Details::default();
        let details = if more > 0 { details.with("more", more) } else { details };
        self.write_down(caller, action, status, &details).await;
    }

    /// A place for what takes a while and changes nothing; there is one.
    pub(super) async fn reading(&self) -> OwnedSemaphorePermit {
        Arc::clone(&self.0.reading).acquire_owned().await.expect("the semaphore is never closed")
    }

    /// The place for what runs plugins; there is one.
    ///
    /// # Errors
    /// When it is taken.
    pub(super) fn workshop(&self) -> Result<OwnedSemaphorePermit, Problem> {
        Arc::clone(&self.0.workshop).try_acquire_owned().map_err(|_| {
            let detail = "another check, trial or replay is under way: come again";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(1)
        })
    }

    /// Whether these headers have a good token, or none is needed.
    pub(super) fn may_read(&self, headers: &HeaderMap) -> bool {
        let tokens = self.0.credentials.tokens();
        tokens.is_empty() || bearer(headers).is_some_and(|token| tokens.find(token).is_some())
    }

    /// Whether whoever sent these headers may still do what needs this role, for what goes on for long.
    pub(super) fn still_lets(&self, headers: &HeaderMap, role: Role) -> bool {
        let tokens = self.0.credentials.tokens();
        bearer(headers).and_then(|token| tokens.find(token)).is_some_and(|(_, has)| has >= role)
    }

    fn admit(&self, need: Need, request: &Request) -> Result<Caller, Box<Refusal>> {
        let from = request.extensions().get::<Peer>().map_or_else(|| SocketAddr::from(([0; 4], 0)), |peer| peer.0);
        let stranger = || Caller { token: None, from };
        let tokens = self.0.credentials.tokens();
        if tokens.is_empty() {
            self.0.callers.take().map_err(too_many)?;
            return match need.open {
                Open::Everybody => Ok(stranger()),
                Open::ThisMachine if self.0.local => Ok(stranger()),
                Open::ThisMachine | Open::Nobody => {
                    let detail = format!(
                        "this needs a token, and the configuration has none: make one by a table \
                         `[admin.tokens.NAME]` with `role = \"{}\"` and `token = \"file:PATH\"`",
                        need.role.as_str()
                    );
                    Err(refusal(Problem::new(StatusCode::FORBIDDEN, detail), stranger()))
                }
            };
        }
        let presented = bearer(request.headers());
        let Some((name, role)) = presented.and_then(|token| tokens.find(token)) else {
            self.0.strangers.take().map_err(too_many)?;
            if let Some(held_back) = self.0.throttle.pass() {
                let (method, path) = (request.method(), request.uri().path());
                tracing::warn!(%from, %method, path, held_back, "a request without a good token was refused");
            }
            let said = if presented.is_some() { "this token is not a good one" } else { "this needs a token" };
            let detail = format!("{said}: send `Authorization: Bearer TOKEN`");
            return Err(refusal(Problem::new(StatusCode::UNAUTHORIZED, detail).challenge(), stranger()));
        };
        self.0.callers.take().map_err(too_many)?;
        let too_low = (role < need.role).then(|| {
            let detail = format!("token `{name}` is of the role `{}`, and this needs `admin`", role.as_str());
            Problem::new(StatusCode::FORBIDDEN, detail)
        });
        let caller = Caller { token: Some((name, role)), from };
        match too_low {
            Some(problem) => Err(refusal(problem, caller)),
            None => Ok(caller),
        }
    }
}

impl Caller {
    /// The token's name, if there is any token.
    pub(super) fn name(&self) -> Option<&TokenName> {
        self.token.as_ref().map(|(name, _)| name)
    }
}

/// Lets a request through that has what its path needs, with its caller.
pub(super) async fn authorise(
    State((access, need)): State<(Access, Need)>,
    mut request: Request,
    next: Next,
) -> Response {
    let action = act::action(&request);
    match access.admit(need, &request) {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(refusal) => {
            let Refusal { problem, by } = *refusal;
            // Only administrators change anything.
            if let Some(caller) = by.filter(|_| need.role == Role::Admin) {
                access.write_down_refusal(&caller, &action, problem.status()).await;
            }
            problem.into_response()
        }
    }
}

fn refusal(problem: Problem, by: Caller) -> Box<Refusal> {
    Box::new(Refusal { problem, by: Some(by) })
}

fn too_many(seconds: u64) -> Box<Refusal> {
    let detail = "there were more requests than `[admin] requests-per-second` allows";
    let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, detail).retry_after(seconds);
    Box::new(Refusal { problem, by: None })
}

/// The token of a request that has exactly one (RFC 6750, 2.1).
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_matches(' '))
}
