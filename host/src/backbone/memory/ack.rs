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
    resolved: bool,
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
        Self { client, place, resolved: false }
    }

    pub(in crate::backbone) async fn resolve(mut self, resolution: Resolution) -> Result<(), AckError> {
        // What is put off gives up its place; what is handed back at once goes before what is newer.
        self.resolved = !matches!(resolution, Resolution::Nak(Duration::ZERO));
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
        let Self { client, place, resolved } = self;
        client.server.change(|state| {
            if let Some(consumer) = state.consumers.get_mut(&place.key()) {
                consumer.let_go(place.sequence, client.number);
            }
            if !*resolved {
                state.given_up(client.number, place);
            }
        });
    }
}

impl Resolution {
    pub(super) fn lost(self, client: usize, place: Place) -> Happened {
        match self {
            Self::Ack | Self::Nak(_) | Self::Term => Happened::AnswerLost { client, place },
            Self::InProgress => Happened::ProgressLost(place),
        }
    }
}
