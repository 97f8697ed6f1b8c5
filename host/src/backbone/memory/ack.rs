//! What a client says about a delivery.

use std::time::Duration;

use super::client::Client;
use super::event::{Happened, Place};
use super::state::Link;
use crate::backbone::AckError;

/// Resolves one delivery of the server in memory. Dropped, it resolves nothing.
#[derive(Debug)]
pub struct MemoryAcker {
    client: Client,
    place: Place,
}

/// What became of a delivery.
#[derive(Debug, Clone, Copy)]
pub(in crate::backbone) enum Resolution {
    Ack,
    Nak(Duration),
    Term,
    InProgress,
}

impl MemoryAcker {
    pub(super) fn new(client: Client, place: Place) -> Self {
        Self { client, place }
    }

    pub(in crate::backbone) async fn resolve(self, resolution: Resolution) -> Result<(), AckError> {
        self.send(resolution).await
    }

    pub(in crate::backbone) async fn in_progress(&self) -> Result<(), AckError> {
        self.send(Resolution::InProgress).await
    }

    async fn send(&self, resolution: Resolution) -> Result<(), AckError> {
        let number = self.client.number;
        let link = self.client.server.change(|state| {
            state.resolve(number, &self.place, resolution);
            state.link(number)
        });
        if link == Link::Gone {
            return std::future::pending().await;
        }
        Ok(())
    }
}

impl Drop for MemoryAcker {
    fn drop(&mut self) {
        let Self { client, place } = self;
        client.server.change(|state| {
            if let Some(consumer) = state.consumers.get_mut(&place.key()) {
                consumer.let_go(place.sequence, client.number);
            }
        });
    }
}

impl Resolution {
    pub(super) fn lost(self, place: Place) -> Happened {
        match self {
            Self::Ack | Self::Nak(_) | Self::Term => Happened::AnswerLost(place),
            Self::InProgress => Happened::ProgressLost(place),
        }
    }
}
