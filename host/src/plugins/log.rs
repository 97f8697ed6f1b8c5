//! A plugin's log: a line a time, so many a second, through `tracing`.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tracing::Level;

use crate::names::PluginName;

use super::text::Secrets;

/// Longest line; the rest is cut.
const MAX_LINE_BYTES: usize = 8 << 10;

/// How often it is said that lines were dropped.
const NOTICE_EVERY: Duration = Duration::from_secs(1);

/// Lines that are kept of one call, beside being logged.
const MAX_KEPT_LINES: usize = 32;

thread_local! {
    /// The lines of the call that this thread is in, if they are to be kept. A call runs on one thread from beginning to
    /// end, and its lines come by ways of which not all have the call at hand: two interfaces, and standard output.
    static KEPT: RefCell<Option<KeptLines>> = const { RefCell::new(None) };
}

/// What a plugin has logged in one call.
#[derive(Debug, Default)]
pub struct KeptLines {
    /// The lines, as far as they were logged and there was room for them.
    pub lines: Vec<LogLine>,
    /// How many more there were.
    pub more: u32,
}

/// A line that a plugin has logged.
#[derive(Debug)]
pub struct LogLine {
    /// When.
    pub at: SystemTime,
    /// How grave it is.
    pub level: Level,
    /// What it says, without the secrets that the plugin knows.
    pub text: String,
}

/// Makes a call, and keeps what the plugin logs meanwhile on this thread.
pub fn keeping_lines<T>(call: impl FnOnce() -> T) -> (T, KeptLines) {
    KEPT.set(Some(KeptLines::default()));
    let result = call();
    (result, KEPT.take().unwrap_or_default())
}

/// Where the lines of all instances of a plugin go.
#[derive(Debug)]
pub(super) struct PluginLog {
    plugin: PluginName,
    bucket: Mutex<Bucket>,
    discarded: AtomicBool,
}

/// A token bucket: it holds one second's lines and fills evenly.
#[derive(Debug)]
struct Bucket {
    lines_per_second: u32,
    tokens: f64,
    filled: Instant,
    dropped: u64,
    /// Those of them that no notice has counted.
    uncounted: u64,
    noticed: Option<Instant>,
}

/// What becomes of a line.
#[derive(Debug, PartialEq, Eq)]
struct Admission {
    admitted: bool,
    notice: Option<Notice>,
}

/// What is said of dropped lines, once a second.
#[derive(Debug, PartialEq, Eq)]
enum Notice {
    /// This is the first; nobody knows how many there will be.
    First,
    /// There were so many since the last count.
    Count(u64),
}

impl PluginLog {
    pub(super) fn new(plugin: PluginName, lines_per_second: u32) -> Self {
        let bucket = Mutex::new(Bucket::new(lines_per_second, Instant::now()));
        Self { plugin, bucket, discarded: AtomicBool::new(false) }
    }

    /// Says once that something was written which goes nowhere.
    pub(super) fn discard(&self) {
        if !self.discarded.swap(true, Ordering::Relaxed) {
            let plugin = self.plugin.as_str();
            tracing::info!(target: "plugin", plugin, "what it writes to standard output or error goes nowhere: it has no grant `log`");
        }
    }

    /// Logs a line, or counts it as dropped.
    pub(super) fn line(&self, level: Level, text: &str, secrets: &Secrets) {
        if !enabled(level) {
            return;
        }
        let admission = self.bucket().admit(Instant::now());
        let plugin = self.plugin.as_str();
        match admission.notice {
            Some(Notice::First) => tracing::warn!(target: "plugin", plugin,
                "log lines dropped from here on: more than the plugin may write a second; how many is said when it writes again"),
            Some(Notice::Count(lines)) => tracing::warn!(target: "plugin", plugin, lines,
                "log lines dropped: more than the plugin may write a second"),
            None => {}
        }
        if admission.admitted {
            let text = secrets.clean(text, MAX_LINE_BYTES);
            match level {
                Level::TRACE => tracing::trace!(target: "plugin", plugin, "{text}"),
                Level::DEBUG => tracing::debug!(target: "plugin", plugin, "{text}"),
                Level::INFO => tracing::info!(target: "plugin", plugin, "{text}"),
                Level::WARN => tracing::warn!(target: "plugin", plugin, "{text}"),
                Level::ERROR => tracing::error!(target: "plugin", plugin, "{text}"),
            }
            keep(level, text);
        }
    }

    /// Lines dropped since the plugin was loaded.
    pub(super) fn dropped(&self) -> u64 {
        self.bucket().dropped
    }

    fn bucket(&self) -> std::sync::MutexGuard<'_, Bucket> {
        self.bucket.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn keep(level: Level, text: String) {
    KEPT.with_borrow_mut(|kept| match kept {
        Some(kept) if kept.lines.len() < MAX_KEPT_LINES => {
            kept.lines.push(LogLine { at: SystemTime::now(), level, text });
        }
        Some(kept) => kept.more += 1,
        None => {}
    });
}

impl Bucket {
    fn new(lines_per_second: u32, now: Instant) -> Self {
        let tokens = f64::from(lines_per_second);
        Self { lines_per_second, tokens, filled: now, dropped: 0, uncounted: 0, noticed: None }
    }

    fn admit(&mut self, now: Instant) -> Admission {
        let capacity = f64::from(self.lines_per_second);
        let earned = now.saturating_duration_since(self.filled).as_secs_f64() * capacity;
        self.tokens = (self.tokens + earned).min(capacity);
        self.filled = now;
        let admitted = self.tokens >= 1.0;
        if admitted {
            self.tokens -= 1.0;
        } else {
            self.dropped += 1;
            self.uncounted += 1;
        }
        let due = self.noticed.is_none_or(|at| now.saturating_duration_since(at) >= NOTICE_EVERY);
        let notice = match self.uncounted {
            0 => None,
            _ if !due => None,
            // It is counted with those that follow it.
            1 if !admitted => Some(Notice::First),
            count => {
                self.uncounted = 0;
                Some(Notice::Count(count))
            }
        };
        if notice.is_some() {
            self.noticed = Some(now);
        }
        Admission { admitted, notice }
    }
}

fn enabled(level: Level) -> bool {
    match level {
        Level::TRACE => tracing::enabled!(target: "plugin", Level::TRACE),
        Level::DEBUG => tracing::enabled!(target: "plugin", Level::DEBUG),
        Level::INFO => tracing::enabled!(target: "plugin", Level::INFO),
        Level::WARN => tracing::enabled!(target: "plugin", Level::WARN),
        Level::ERROR => tracing::enabled!(target: "plugin", Level::ERROR),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_past_the_rate_are_dropped_counted_and_said_once_a_second() {
        let begin = Instant::now();
        let mut bucket = Bucket::new(2, begin);
        let mut at = |millis| bucket.admit(begin + Duration::from_millis(millis));
        assert_eq!(at(0), Admission { admitted: true, notice: None });
        assert_eq!(at(1), Admission { admitted: true, notice: None });
        assert_eq!(at(2), Admission { admitted: false, notice: Some(Notice::First) });
        assert_eq!(at(3), Admission { admitted: false, notice: None });
        assert_eq!(at(600), Admission { admitted: true, notice: None }, "half a second earns one line");
        assert_eq!(at(601), Admission { admitted: false, notice: None });
        assert_eq!(at(1003), Admission { admitted: true, notice: Some(Notice::Count(3)) }, "the first one among them");
        assert_eq!(at(1004), Admission { admitted: false, notice: None });
        assert_eq!(at(2004), Admission { admitted: true, notice: Some(Notice::Count(1)) });
        assert_eq!(bucket.dropped, 4);
    }
}
