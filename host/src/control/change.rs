//! What the admin API asks for beyond a load of the files: a file of rules in the place of another, and a revision that was
//! in force before.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::names::{Revision, TokenName};
use crate::rules::RulesFile;

use super::event::{Stopping, Trigger};

/// Most bytes that are in force without being written, in all.
const MAX_OVERLAY_BYTES: usize = 16 << 20;
/// Most files of them.
const MAX_OVERLAY_FILES: usize = 256;

/// Files of rules that are put over those of the directory.
#[derive(Debug, Clone, Default)]
pub struct Overlay(BTreeMap<RulesFile, Bytes>);

/// What a load is to make of the configuration.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// What is put over the files.
    pub over: Overlay,
    /// Which of it is written back, once nothing is wrong with anything.
    pub write: Option<RulesFile>,
}

/// A change that is asked for.
#[derive(Debug, Clone)]
pub struct Change {
    /// Whose token it was.
    pub who: Option<TokenName>,
    /// The revision that has to be in force for it.
    pub only_if: Option<Revision>,
    /// What is to change.
    pub what: What,
}

/// What is to change.
#[derive(Debug, Clone)]
pub enum What {
    /// A file of rules, made or replaced.
    Put {
        /// Which.
        file: RulesFile,
        /// Its new text.
        text: Bytes,
        /// Whether it is written back. The files are taken as they are then, without what was put before.
        write: bool,
    },
    /// The revision in force: one that was before.
    Activate(Revision),
}

/// Why a change was not tried.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Another revision is in force.
    #[error("another revision is in force: {}", .0.as_ref().map_or("none", Revision::as_str))]
    Stale(Option<Revision>),
    /// It is not kept.
    #[error("this revision was never in force, or is no longer kept: `GET /v1/revisions` tells which are")]
    NotKept,
    /// More is put without being written than may be.
    #[error(
        "more than {MAX_OVERLAY_FILES} files or {MAX_OVERLAY_BYTES} bytes would be in force without being written: put them \
         with `write=true`"
    )]
    TooMuch,
    /// The process is stopping.
    #[error(transparent)]
    Stopping(#[from] Stopping),
}

/// What the revision in force comes from.
#[derive(Debug, Clone, Default)]
pub enum Basis {
    /// The files.
    #[default]
    Files,
    /// The files, and what was put over them.
    Put(Overlay),
    /// It was in force before, and was activated anew, whatever the files say.
    Activated,
}

impl Overlay {
    /// The files with their texts.
    pub fn iter(&self) -> impl Iterator<Item = (&RulesFile, &Bytes)> {
        self.0.iter()
    }

    /// The text of a file.
    #[must_use]
    pub fn get(&self, file: &RulesFile) -> Option<&Bytes> {
        self.0.get(file)
    }

    /// The same with another file.
    pub(super) fn with(mut self, file: RulesFile, text: Bytes) -> Result<Self, Refused> {
        self.0.insert(file, text);
        let bytes: usize = self.0.values().map(Bytes::len).sum();
        if self.0.len() > MAX_OVERLAY_FILES || bytes > MAX_OVERLAY_BYTES { Err(Refused::TooMuch) } else { Ok(self) }
    }
}

impl Basis {
    /// What is put over the files.
    pub(super) fn overlay(&self) -> Overlay {
        match self {
            Self::Put(overlay) => overlay.clone(),
            Self::Files | Self::Activated => Overlay::default(),
        }
    }

    /// The basis in one word, as the admin API spells it.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Put(_) => "put",
            Self::Activated => "activated",
        }
    }
}

impl Change {
    pub(super) fn trigger(&self) -> Trigger {
        match &self.what {
            What::Put { file, .. } => Trigger::Put { file: file.clone() },
            What::Activate(_) => Trigger::Activate,
        }
    }
}
