//! What was done, by whom, when and with what outcome: a line of the log, and one of a file.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use axum::http::StatusCode;
use serde_json::json;
use tokio::sync::Mutex;

use crate::times::rfc3339;

use super::act::Details;
use super::{Caller, Role};

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

    /// Writes something down.
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
        let (who, role) = match &caller.token {
            Some((name, role)) => (Some(name.as_str()), Some(role)),
            None => (None, None),
        };
        let outcome = match status.as_u16() {
            ..400 => "done",
            400..500 => "refused",
            _ => "failed",
        };
        let (from, code) = (caller.from, status.as_u16());
        let details = &details.0;
        let told = serde_json::Value::Object(details.clone());
        tracing::info!(target: "audit", who, %from, action, outcome, status = code, details = %told, "admin");
        let Some(file) = &self.file else { return Ok(()) };
        let mut line = json!({
            "at": rfc3339(SystemTime::now()), "who": who, "role": role.map(|role| Role::as_str(*role)),
            "from": from.to_string(), "action": action, "outcome": outcome, "status": code,
        });
        if !details.is_empty() {
            line["details"] = told;
        }
        let bytes = format!("{line}\n").into_bytes();
        let file = Arc::clone(file).lock_owned().await;
        let written = tokio::task::spawn_blocking(move || {
            append(&file, &bytes).map_err(|error| AuditError { path: file.clone(), error })
        });
        written.await.unwrap_or_else(|error| Err(AuditError { path: PathBuf::new(), error: io::Error::other(error) }))
    }
}

/// Opens the file anew, so that it can be moved away at any time.
fn append(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().append(true).create(true).mode(FILE_MODE).open(path)?;
    file.write_all(bytes)
}
