//! What every part of a connection shares: the client, the JetStream API, and the connection's history.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::Statistics;
use async_nats::jetstream::context::{Context, RequestErrorKind};
use async_nats::jetstream::response::Response;
use async_nats::jetstream::{self, ErrorCode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::link::Link;

/// The oldest server that has what Trackside needs: major and minor version.
pub(super) const MIN_SERVER: (i64, i64) = (2, 11);

/// Why a call of the JetStream API failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JetStreamError {
    /// The server has no JetStream.
    #[error("JetStream is not enabled on the NATS server: start it with `-js`, or add `jetstream {{}}` to its file")]
    Off,
    /// The account has no JetStream.
    #[error("JetStream is not enabled for this NATS account: give the account JetStream limits, or use another user")]
    OffForAccount,
    /// Nothing answered; it may later.
    #[error("JetStream did not answer `{request}`: {reason}")]
    Unavailable {
        /// The API call.
        request: String,
        /// What happened instead.
        reason: String,
    },
    /// The server said no.
    #[error("{text} (JetStream error {code})")]
    Api {
        /// The error's number, from the table in the server's `errors.json`.
        code: u64,
        /// The server's words.
        text: String,
        /// Whether the server's state is the reason, which may change.
        retryable: bool,
    },
}

impl JetStreamError {
    /// Whether the same call may succeed later.
    #[must_use]
    pub fn retryable(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Api { retryable: true, .. })
    }

    pub(super) fn is(&self, wanted: ErrorCode) -> bool {
        matches!(self, Self::Api { code, .. } if *code == wanted.0)
    }
}

impl From<&jetstream::Error> for JetStreamError {
    fn from(error: &jetstream::Error) -> Self {
        match error.error_code() {
            ErrorCode::JETSTREAM_NOT_ENABLED => Self::Off,
            ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT => Self::OffForAccount,
            code => Self::Api { code: code.0, text: describe(error), retryable: error.code() >= 500 },
        }
    }
}

/// The server's words without the numbers that the client prints after them.
pub(super) fn describe(error: &jetstream::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" (code ").map_or(text.as_str(), |(words, _)| words).to_owned()
}

/// What every part of a connection shares.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) client: async_nats::Client,
    pub(super) jetstream: Context,
    pub(super) statistics: Arc<Statistics>,
    pub(super) link: Arc<Link>,
    /// How long a publish may wait for its confirmation and an API call for its answer.
    pub(super) request_timeout: Duration,
}

impl Wire {
    pub(super) fn is_connected(&self) -> bool {
        self.client.connection_state() == async_nats::connection::State::Connected
    }

    /// How many connections there have been. The client counts one before it uses it, so when an answer has come by a
    /// connection, this includes it; the events that [`Link`] counts may come later.
    pub(super) fn connects(&self) -> u64 {
        self.statistics.connects.load(Ordering::Acquire)
    }

    /// Calls the JetStream API, `request` being the subject after `$JS.API.`.
    pub(super) async fn api<T: DeserializeOwned>(
        &self,
        request: String,
        payload: &(impl Serialize + ?Sized),
    ) -> Result<T, JetStreamError> {
        match self.jetstream.request::<_, _, Response<T>>(request.clone(), payload).await {
            Ok(Response::Ok(answer)) => Ok(answer),
            Ok(Response::Err { error }) => Err(JetStreamError::from(&error)),
            Err(error) => Err(match error.kind() {
                RequestErrorKind::NoResponders if !self.client.server_info().jetstream => JetStreamError::Off,
                RequestErrorKind::NoResponders => {
                    JetStreamError::Unavailable { request, reason: "no server takes the call".to_owned() }
                }
                RequestErrorKind::TimedOut => {
                    let reason = format!("no answer within {:?}; is the user permitted to ask?", self.request_timeout);
                    JetStreamError::Unavailable { request, reason }
                }
                _ => JetStreamError::Unavailable { request, reason: error.to_string() },
            }),
        }
    }

    /// Calls the JetStream API with nothing to say but the subject.
    pub(super) async fn ask<T: DeserializeOwned>(&self, request: String) -> Result<T, JetStreamError> {
        self.api(request, &serde_json::json!({})).await
    }

    /// Waits until the connection is there, at most as long as a request may take.
    pub(super) async fn connected(&self) -> bool {
        if self.is_connected() {
            return true;
        }
        let mut watch = self.link.watch();
        let up = watch.wait_for(|state| state.closed || state.made > state.lost);
        matches!(tokio::time::timeout(self.request_timeout, up).await, Ok(Ok(state)) if !state.closed)
    }
}
