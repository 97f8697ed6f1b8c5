//! Whether a service is there, found out by connecting to it.

use std::future::poll_fn;
use std::time::Duration;

use hyper::Uri;
use tokio::sync::watch::Receiver;
use tower_service::Service as _;

use crate::https::reasons;

use super::{CONNECT_TIMEOUT, Presence, Service};

/// Waits between attempts to connect: a service that starts is noticed soon, one that is gone for long is not bothered.
const FIRST: Duration = Duration::from_millis(100);
const MOST: Duration = Duration::from_secs(2);

impl Service {
    /// Whether it is there, now and after every change.
    #[must_use]
    pub fn presence(&self) -> Receiver<Presence> {
        self.state.subscribe()
    }

    /// Tries to connect for as long as it is not there, whenever that is. Runs until it is dropped; for one caller.
    pub async fn keep_watch(&self) {
        let mut state = self.state.subscribe();
        loop {
            // It fails only when the sender is gone, and that is ourselves.
            let _ = state.wait_for(|presence| *presence != Presence::There).await;
            self.wait_for_it().await;
        }
    }

    async fn wait_for_it(&self) {
        let mut wait = FIRST;
        loop {
            match self.connect().await {
                Ok(()) => {
                    tracing::info!(service = %self.address, "the service is there");
                    self.state.send_replace(Presence::There);
                    return;
                }
                Err(reason) => self.is_missing(&reason),
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(MOST);
        }
    }

    /// Connects as a request would, TLS included, and hangs up: a service whose certificate is not trusted is not there
    /// either.
    async fn connect(&self) -> Result<(), String> {
        let address: Uri = self.address.to_string().parse().map_err(|error| format!("its address: {error}"))?;
        let mut connector = self.connector.clone();
        let connecting = async {
            poll_fn(|context| connector.poll_ready(context)).await?;
            connector.call(address).await
        };
        match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
            Ok(connected) => connected.map(drop).map_err(|error| reasons(&*error)),
            Err(_) => Err(format!("no connection within {CONNECT_TIMEOUT:?}")),
        }
    }

    /// It takes no connection. Said once, until it does again.
    pub(super) fn is_missing(&self, reason: &str) {
        let new = Presence::Missing(reason.to_owned());
        self.state.send_if_modified(|state| {
            let was_missing = matches!(state, Presence::Missing(_));
            if !was_missing {
                tracing::warn!(service = %self.address, reason, "the service is not there; its messages wait for it");
            }
            let changed = *state != new;
            *state = new.clone();
            changed
        });
    }
}
