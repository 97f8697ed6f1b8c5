//! What can be wrong with a path, and with a payload.

use thiserror::Error;

/// Why a set of paths does not compile.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CompileError {
    /// More paths than a selector holds.
    #[error("{count} paths are too many for one selector: give at most {max}", max = crate::Selector::MAX_PATHS)]
    TooMany {
        /// How many were given.
        count: usize,
    },
    /// A path is longer than a selector takes.
    #[error("path {index} has {bytes} bytes: write it in at most {max}", max = crate::Selector::MAX_PATH_BYTES)]
    TooLong {
        /// Which path, counted from 0.
        index: usize,
        /// Its length in bytes.
        bytes: usize,
    },
    /// A path is not a well-formed and valid JSONPath of RFC 9535.
    #[error("path {index} (`{path}`), column {column}: {problem}")]
    Syntax {
        /// Which path, counted from 0.
        index: usize,
        /// Its text.
        path: String,
        /// Where, in characters, counted from 1.
        column: usize,
        /// What was expected there.
        problem: String,
    },
}

/// Why a payload could not be selected from or edited.
///
/// The text never quotes the payload, since what is wrong in it may be the secret.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PayloadError {
    /// The payload, or what an edit would make of it, is not well-formed JSON (RFC 8259).
    #[error("{0}")]
    NotJson(String),
    /// A limit was met: which one.
    #[error("{0}")]
    Limit(String),
}

/// An error on its way out of a hot loop: boxed, so that a result fits in registers.
#[derive(Debug)]
pub(crate) struct Fault(Box<PayloadError>);

impl Fault {
    /// The payload breaks the grammar of JSON at byte `at`.
    #[cold]
    pub(crate) fn syntax(at: usize, problem: &str) -> Self {
        PayloadError::NotJson(format!("at byte {at}: {problem}")).into()
    }

    /// A limit was met.
    #[cold]
    pub(crate) fn limit(what: String) -> Self {
        PayloadError::Limit(what).into()
    }
}

impl From<PayloadError> for Fault {
    fn from(error: PayloadError) -> Self {
        Self(Box::new(error))
    }
}

impl From<Fault> for PayloadError {
    fn from(fault: Fault) -> Self {
        *fault.0
    }
}
