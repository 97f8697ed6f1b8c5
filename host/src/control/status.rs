//! What the control path has done: the revision in force, and how the last load of the configuration went.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::names::{PluginName, Revision, TokenName};

use super::change::Basis;
use super::event::Trigger;
use super::history::Past;

/// The revision in force and the last load of the configuration.
#[derive(Debug, Clone, Default)]
pub struct Status {
    /// The revision in force; none before the first one.
    pub active: Option<Active>,
    /// The last load of the configuration, whatever came of it.
    pub last_reload: Option<ReloadRecord>,
    /// The revisions that were in force, the newest first.
    pub history: Arc<[Past]>,
}

/// A revision in force.
#[derive(Debug, Clone)]
pub struct Active {
    /// Which one.
    pub revision: Revision,
    /// Since when.
    pub since: SystemTime,
    /// How many rules it has.
    pub rules: usize,
    /// The plugins it uses, each with the SHA-256 of its component in hexadecimal.
    pub plugins: Vec<(PluginName, String)>,
    /// What it comes from.
    pub basis: Basis,
}

/// One load of the configuration.
#[derive(Debug, Clone)]
pub struct ReloadRecord {
    /// When it began.
    pub at: SystemTime,
    /// What asked for it; the most deliberate one if there were several.
    pub trigger: Trigger,
    /// Whose token it was, if the admin API asked for it.
    pub who: Option<TokenName>,
    /// What came of it.
    pub outcome: Outcome,
    /// The revision in force afterwards; none if the first one was rejected.
    pub revision: Option<Revision>,
    /// How long it took, compilation included.
    pub took: Duration,
    /// Everything that is wrong, if it was rejected, ready to be shown.
    pub errors: Option<String>,
    /// What is not wrong but was probably not meant.
    pub warnings: Vec<String>,
}

/// What came of a load of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// A new revision is in force.
    Activated,
    /// There was nothing new; the revision in force stays.
    Unchanged,
    /// Something is wrong; the revision in force stays.
    Rejected,
}

impl Outcome {
    /// The outcome as the admin API and the metrics spell it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Activated => "activated",
            Self::Unchanged => "unchanged",
            Self::Rejected => "rejected",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
