//! A service that outputs are posted to, by HTTP/1.1 with connections that are kept.
//!
//! A service that cannot be connected to is not there, which says nothing about any message: whoever has something for it
//! waits, and [`Service::keep_watch`] tries until it is. One that answers `Retry-After` is left alone for that long.

mod answer;
mod batch;
mod request;
mod watch;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::{Semaphore, SemaphorePermit, watch as latest};
use tokio::time::Instant;

use crate::https;
use crate::rules::ServiceAddress;
use crate::telemetry::ServiceReadings;

pub use answer::PostError;
pub use batch::Posted;
pub use request::Post;

use batch::Together;

/// How long a connection is kept that nobody uses.
const IDLE: Duration = Duration::from_secs(30);

/// How long making a connection may take, if the request's own time-out is not shorter.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

type Connector = HttpsConnector<HttpConnector>;
type HttpClient = Client<Connector, Full<Bytes>>;

/// A service.
#[derive(Debug)]
pub struct Service {
    address: ServiceAddress,
    /// Requests that may be under way.
    permits: Semaphore,
    /// What is to go together.
    together: Together,
    client: HttpClient,
    /// Of the same kind as those that the client makes.
    connector: Connector,
    state: latest::Sender<Presence>,
    /// Until when it asked to be left alone.
    rests: Mutex<Option<Instant>>,
    /// What became of what was posted.
    counts: Counts,
}

/// Outputs by what became of them.
#[derive(Debug, Default)]
struct Counts {
    delivered: AtomicU64,
    refused: AtomicU64,
    retried: AtomicU64,
}

/// Whether a service is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presence {
    /// Nobody has tried yet.
    Unknown,
    /// It takes connections.
    There,
    /// It does not, and why.
    Missing(String),
}

impl Service {
    pub(super) fn new(address: ServiceAddress, concurrency: usize) -> Self {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let connector = https::connector(http, address.is_secure());
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(concurrency)
            .build(connector.clone());
        let state = latest::Sender::new(Presence::Unknown);
        Self {
            address,
            permits: Semaphore::new(concurrency),
            together: Together::default(),
            client,
            connector,
            state,
            rests: Mutex::default(),
            counts: Counts::default(),
        }
    }

    /// Where it is.
    #[must_use]
    pub fn address(&self) -> &ServiceAddress {
        &self.address
    }

    /// Posts, and waits for the answer.
    ///
    /// # Errors
    /// When it did not take the message, or it is not known whether it did.
    pub async fn post(&self, post: Post) -> Result<(), PostError> {
        let permit = self.permit().await;
        self.post_with(permit, post).await
    }

    async fn permit(&self) -> SemaphorePermit<'_> {
        self.permits.acquire().await.expect("the permits are never taken away")
    }

    async fn post_with(&self, permit: SemaphorePermit<'_>, post: Post) -> Result<(), PostError> {
        if let Some(until) = self.rests_until() {
            return Err(PostError::Resting { address: self.address.clone(), until });
        }
        let result = request::exchange(&self.client, &self.address, post).await;
        drop(permit);
        let counter = match &result {
            Ok(()) => &self.counts.delivered,
            Err(error) if error.retryable() => &self.counts.retried,
            Err(_) => &self.counts.refused,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        match &result {
            Err(PostError::Missing { reason, .. }) => self.is_missing(reason),
            Err(PostError::Status { after: Some(after), .. }) => self.rest(*after),
            _ => {}
        }
        result
    }

    /// Whether it is there, and what became of what was posted to it.
    #[must_use]
    pub fn readings(&self) -> ServiceReadings {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let Counts { delivered, refused, retried } = &self.counts;
        let up = matches!(*self.state.borrow(), Presence::There);
        ServiceReadings { up, delivered: count(delivered), refused: count(refused), retried: count(retried) }
    }

    /// Until when whoever has something for it waits; `None` if it may come.
    #[must_use]
    pub fn closed_until(&self) -> Option<Instant> {
        /// How often it is asked again meanwhile.
        const AGAIN: Duration = Duration::from_millis(100);
        if !matches!(*self.state.borrow(), Presence::There) {
            return Some(Instant::now() + AGAIN);
        }
        self.rests_until()
    }

    fn rests_until(&self) -> Option<Instant> {
        let mut rests = self.rests.lock().unwrap_or_else(PoisonError::into_inner);
        *rests = rests.filter(|until| *until > Instant::now());
        *rests
    }

    fn rest(&self, after: Duration) {
        let until = Instant::now() + after;
        let mut rests = self.rests.lock().unwrap_or_else(PoisonError::into_inner);
        if rests.is_none_or(|known| known < until) {
            tracing::warn!(service = %self.address, ?after, "the service asks to be left alone");
            *rests = Some(until);
        }
    }
}
