//! What was done, by whom, when and with what outcome: a line of the log, and one of a file.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use axum::http::StatusCode;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::names::TokenName;
use crate::times::rfc3339;

use super::Caller;
use super::act::Details;

/// Who may read the file: its owner and group.
const FILE_MODE: u32 = 0o640;

/// Why something cannot be written down.
#[derive(Debug, thiserror::Error)]
#[error("the audit file `{path}` cannot be written: {error}", path = .path.display())]
pub struct AuditError {
    path: PathBuf,
    error: io::Error,
}

/// Where it is written down.
#[derive(Debug)]
pub(super) struct Audit {
    /// Locked while a line is written, so that lines do not mix.
    file: Option<Arc<Mutex<PathBuf>>>,
}

impl Audit {
    /// Checks that the file can be written, which makes it if it is not there.
    pub(super) fn open(path: Option<PathBuf>) -> Result<Self, AuditError> {
        if let Some(path) = &path {
            append(path, b"").map_err(|error| AuditError { path: path.clone(), error })?;
        }
        Ok(Self { file: path.map(|path| Arc::new(Mutex::new(path))) })
    }

    /// Writes down in the file that something begins, so that nothing is done that it does not know of.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(super) async fn begin(&self, caller: &Caller, action: &str) -> Result<(), AuditError> {
        self.append(entry(caller, action, "begun")).await
    }

    /// Writes down what came of something.
    ///
    /// # Errors
    /// When the file cannot be written; the log has it in any case.
    pub(super) async fn record(
        &self,
        caller: &Caller,
        action: &str,
        status: StatusCode,
        details: &Details,
    ) -> Result<(), AuditError> {
        let outcome = match status.as_u16() {
            ..400 => "done",
            400..500 => "refused",
            _ => "failed",
        };
        let (who, from, code) = (caller.name().map(TokenName::as_str), caller.from, status.as_u16());
        let told = Value::Object(details.0.clone());
        tracing::info!(target: "audit", who, %from, action, outcome, status = code, details = %told, "admin");
        let mut line = entry(caller, action, outcome);
        line["status"] = code.into();
        if !details.0.is_empty() {
            line["details"] = told;
        }
        self.append(line).await
    }

    async fn append(&self, line: Value) -> Result<(), AuditError> {
        let Some(file) = &self.file else { return Ok(()) };
        let bytes = format!("{line}\n").into_bytes();
        let file = Arc::clone(file).lock_owned().await;
        let written = tokio::task::spawn_blocking(move || {
            append(&file, &bytes).map_err(|error| AuditError { path: file.clone(), error })
        });
        written.await.unwrap_or_else(|error| Err(AuditError { path: PathBuf::new(), error: io::Error::other(error) }))
    }
}

/// A line of the file, but for what came of it.
fn entry(caller: &Caller, action: &str, outcome: &str) -> Value {
    let (who, role) = match &caller.token {
        Some((name, role)) => (Some(name.as_str()), Some(role.as_str())),
        None => (None, None),
    };
    json!({
        "at": rfc3339(SystemTime::now()), "who": who, "role": role, "from": caller.from.to_string(), "action": action,
        "outcome": outcome,
    })
}

/// Opens the file anew, so that it can be moved away at any time.
fn append(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().append(true).create(true).mode(FILE_MODE).open(path)?;
    file.write_all(bytes)
}
