//! Bugs that the oracle has to find, to be believed when it finds none.

use std::fmt;
use std::str::FromStr;

use trackside::backbone::memory::{Sabotage, Server};

/// A bug that is played. All of them are outside the pipeline, which is the real one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// Messages are acknowledged before anything is published.
    EarlyAck,
    /// Publishes that failed count as confirmed.
    EarlyConfirm,
    /// What is handed back never comes again.
    DroppedNak,
    /// Lanes are taken by something else than the key.
    MixedLanes,
    /// Streams store what they have stored already.
    IgnoredIds,
    /// An ordered source hands newer messages over before what was lost has come again.
    NoBarrier,
    /// Outputs that belong together are stored one by one.
    HalfBatches,
}

impl Bug {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::EarlyAck,
        Self::EarlyConfirm,
        Self::DroppedNak,
        Self::MixedLanes,
        Self::IgnoredIds,
        Self::NoBarrier,
        Self::HalfBatches,
    ];

    /// Plays it on a server, unless it is played elsewhere.
    pub(super) fn play(self, server: &Server) {
        server.sabotage(match self {
            Self::EarlyAck => Sabotage::AckEarly,
            Self::EarlyConfirm => Sabotage::ConfirmUnstored,
            Self::DroppedNak => Sabotage::DropNaks,
            Self::IgnoredIds => Sabotage::IgnoreIds,
            Self::NoBarrier => Sabotage::SkipBarriers,
            Self::HalfBatches => Sabotage::SplitBatches,
            // The messages are made so.
            Self::MixedLanes => return,
        });
    }
}

impl fmt::Display for Bug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EarlyAck => "early-ack",
            Self::EarlyConfirm => "early-confirm",
            Self::DroppedNak => "dropped-nak",
            Self::MixedLanes => "mixed-lanes",
            Self::IgnoredIds => "ignored-ids",
            Self::NoBarrier => "no-barrier",
            Self::HalfBatches => "half-batches",
        })
    }
}

impl FromStr for Bug {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = Self::ALL.map(|bug| bug.to_string()).join(", ");
        Self::ALL.into_iter().find(|bug| bug.to_string() == text).ok_or_else(|| format!("the bugs are {all}"))
    }
}
