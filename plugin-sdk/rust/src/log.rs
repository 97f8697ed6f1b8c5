//! The host's log. Lines past the plugin's rate limit are dropped and counted; control characters are escaped and
//! lines over 8 KiB are cut.

use crate::backend;

/// How severe a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Every step.
    Trace,
    /// For whoever is looking for a fault.
    Debug,
    /// What an operator wants to know.
    Info,
    /// Something is odd, and was dealt with.
    Warn,
    /// Something failed.
    Error,
}

/// Logs a line.
pub fn log(level: Level, line: impl AsRef<str>) {
    backend::log(level, line.as_ref());
}

/// Logs a line at [`Level::Trace`].
pub fn trace(line: impl AsRef<str>) {
    log(Level::Trace, line);
}

/// Logs a line at [`Level::Debug`].
pub fn debug(line: impl AsRef<str>) {
    log(Level::Debug, line);
}

/// Logs a line at [`Level::Info`].
pub fn info(line: impl AsRef<str>) {
    log(Level::Info, line);
}

/// Logs a line at [`Level::Warn`].
pub fn warn(line: impl AsRef<str>) {
    log(Level::Warn, line);
}

/// Logs a line at [`Level::Error`].
pub fn error(line: impl AsRef<str>) {
    log(Level::Error, line);
}
