//! `wasi:logging`, as another way to the log.

use tracing::Level;

use super::super::bindings::offered::wasi::logging::logging as contract;
use super::super::guest::Guest;

impl contract::Host for Guest {
    fn log(&mut self, level: contract::Level, context: String, message: String) -> wasmtime::Result<()> {
        self.budget.call()?;
        self.budget.bytes(context.len() + message.len())?;
        let level = match level {
            contract::Level::Trace => Level::TRACE,
            contract::Level::Debug => Level::DEBUG,
            contract::Level::Info => Level::INFO,
            contract::Level::Warn => Level::WARN,
            contract::Level::Error | contract::Level::Critical => Level::ERROR,
        };
        let line = if context.is_empty() { message } else { format!("{context}: {message}") };
        self.settings.plugin.log().line(level, &line, &self.settings.secrets);
        Ok(())
    }
}
