//! What a plugin logs while it is called, caught on its way to the host's log.

use std::sync::{Arc, Mutex, PoisonError};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt as _};

/// A line that a plugin has logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// How severe, in lower case.
    pub(super) level: String,
    pub(super) text: String,
}

/// What a call gave, and the lines that were logged meanwhile.
pub(super) struct Captured<T> {
    pub(super) value: T,
    pub(super) lines: Vec<Line>,
}

/// Runs something, and catches what plugins log on this thread meanwhile. It is not logged otherwise.
pub(super) fn log_of<T>(run: impl FnOnce() -> T) -> Captured<T> {
    let lines = Lines::default();
    let subscriber = tracing_subscriber::registry().with(lines.clone());
    let value = tracing::subscriber::with_default(subscriber, run);
    let lines = std::mem::take(&mut *lines.0.lock().unwrap_or_else(PoisonError::into_inner));
    Captured { value, lines }
}

/// Runs something without any log.
pub(super) fn silently<T>(run: impl FnOnce() -> T) -> T {
    tracing::subscriber::with_default(tracing::subscriber::NoSubscriber::default(), run)
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<Line>>>);

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() != "plugin" {
            return;
        }
        let mut text = Text(String::new());
        event.record(&mut text);
        let level = event.metadata().level().as_str().to_ascii_lowercase();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Line { level, text: text.0 });
    }
}

/// The message of an event.
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugins_lines_are_caught_with_their_levels_and_others_are_not() {
        let captured = log_of(|| {
            tracing::trace!(target: "plugin", plugin = "a", "first");
            tracing::error!(target: "plugin", plugin = "a", "second");
            tracing::error!("the host's own");
            7
        });
        let line = |level: &str, text: &str| Line { level: level.to_owned(), text: text.to_owned() };
        assert_eq!((captured.value, captured.lines), (7, vec![line("trace", "first"), line("error", "second")]));
    }
}
