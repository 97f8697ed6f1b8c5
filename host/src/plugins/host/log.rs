//! Interface `log`.

use tracing::Level;

use super::super::bindings::trackside::plugin::log as contract;
use super::super::guest::Guest;

impl contract::Host for Guest {
    fn log(&mut self, level: contract::Level, message: String) -> wasmtime::Result<()> {
        self.budget.call()?;
        self.budget.bytes(message.len())?;
        let level = match level {
            contract::Level::Trace => Level::TRACE,
            contract::Level::Debug => Level::DEBUG,
            contract::Level::Info => Level::INFO,
            contract::Level::Warn => Level::WARN,
            contract::Level::Error => Level::ERROR,
        };
        self.settings.plugin.log().line(level, &message, &self.settings.secrets);
        Ok(())
    }
}
