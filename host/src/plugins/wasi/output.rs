//! Standard output and error: lines of the plugin's log if that was granted, and otherwise nothing.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tracing::Level;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use super::super::stage::Settings;

/// What a guest may write at a time, and how long a line grows before it is logged unfinished.
const MAX_PENDING_BYTES: usize = 8 << 10;

/// One of the two streams. Its handles share the line that is being written.
#[derive(Clone)]
pub(super) struct LogOutput {
    settings: Arc<Settings>,
    level: Level,
    pending: Arc<Mutex<Vec<u8>>>,
}

impl LogOutput {
    pub(super) fn new(settings: Arc<Settings>, level: Level) -> Self {
        Self { settings, level, pending: Arc::default() }
    }

    fn log(&self, line: &[u8]) {
        let line = String::from_utf8_lossy(line);
        self.settings.plugin.log().line(self.level, line.trim_end_matches('\r'), &self.settings.secrets);
    }
}

impl OutputStream for LogOutput {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        if !self.settings.plugin.settings().grants.log {
            self.settings.plugin.log().discard();
            return Ok(());
        }
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        let mut rest: &[u8] = &bytes;
        while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
            pending.extend_from_slice(&rest[..end]);
            self.log(&pending);
            pending.clear();
            rest = &rest[end + 1..];
        }
        pending.extend_from_slice(rest);
        if pending.len() >= MAX_PENDING_BYTES {
            self.log(&pending);
            pending.clear();
        }
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(MAX_PENDING_BYTES)
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for LogOutput {
    async fn ready(&mut self) {}
}

impl IsTerminal for LogOutput {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for LogOutput {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    /// Only WASI 0.3 asks for this, which is not linked.
    fn async_stream(&self) -> Box<dyn tokio::io::AsyncWrite + Send + Sync> {
        Box::new(tokio::io::sink())
    }
}
