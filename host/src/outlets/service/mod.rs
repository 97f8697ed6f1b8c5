//! A service that outputs are posted to, by HTTP/1.1 with connections that are kept.
//!
//! A service that cannot be connected to is not there, which says nothing about any message: whoever has something for it
//! waits, and [`Service::keep_watch`] tries until it is. One that answers `Retry-After` is left alone for that long.

mod answer;
mod request;
mod watch;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::{Semaphore, watch as latest};
use tokio::time::Instant;

use crate::https;
use crate::rules::ServiceAddress;

pub use answer::PostError;
pub use request::Post;

/// How long a connection is kept that nobody uses.
const IDLE: Duration = Duration::from_secs(30);

/// How long making a connection may take, if the request's own time-out is not shorter.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

type HttpClient = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// A service.
#[derive(Debug)]
pub struct Service {
    address: ServiceAddress,
    /// Requests that may be under way.
    permits: Semaphore,
    client: HttpClient,
    state: latest::Sender<Presence>,
    /// Until when it asked to be left alone.
    rests: Mutex<Option<Instant>>,
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
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(concurrency)
            .build(https::connector(http, address.is_secure()));
        let state = latest::Sender::new(Presence::Unknown);
        Self { address, permits: Semaphore::new(concurrency), client, state, rests: Mutex::default() }
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
        let permit = self.permits.acquire().await.expect("the permits are never taken away");
        if let Some(until) = self.rests_until() {
            return Err(PostError::Resting { address: self.address.clone(), until });
        }
        let result = request::exchange(&self.client, &self.address, post).await;
        drop(permit);
        match &result {
            Err(PostError::Missing { reason, .. }) => self.is_missing(reason),
            Err(PostError::Status { after: Some(after), .. }) => self.rest(*after),
            _ => {}
        }
        result
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
