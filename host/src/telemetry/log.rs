//! Where log lines go and what they look like: one line an event on standard error, so that standard output stays
//! free for what a command prints.

use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::env;
use std::io::{self, IsTerminal};

use tokio::task::JoinError;
use tracing::{Dispatch, Level, Metadata};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

const DEFAULT_FILTER: &str = "info,async_nats=error";

/// What Trackside's own lines begin their target with: its crate, what plugins log, and the audit log.
const OWN: [&str; 3] = ["trackside", "plugin", "audit"];

/// The most talkative level of other crates. Below it they log what they work with, as is right for a library: the NATS
/// client prints messages with payload and headers, HTTP and WASI print what passes through them, and the file watcher
/// prints each change that it sees, which its own line makes in a log file that is watched.
const OTHERS: Level = Level::INFO;

/// What a log line looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum LogFormat {
    /// Text for people, with colour on a terminal unless `NO_COLOR` is set.
    #[default]
    Human,
    /// One JSON object a line.
    Json,
}

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter cannot be read.
    #[error("the log filter {text:?} cannot be read: {source}; write it like `info` or `warn,trackside=debug`")]
    Filter {
        /// The filter.
        text: String,
        /// What is wrong with it.
        source: tracing_subscriber::filter::ParseError,
    },
    /// It has been set up before.
    #[error("logging is set up already: {0}")]
    Installed(#[from] tracing_subscriber::util::TryInitError),
}

/// Sets logging up for the whole process. The filter has the syntax of tracing-subscriber's `EnvFilter`; without one
/// it is `info`, and of the NATS client only errors, since the backbone tells of its events in words of its own. Other
/// crates show nothing below `info`, whatever it asks for: no payload is logged.
///
/// # Errors
/// When the filter cannot be read, or logging is set up already.
pub fn init_log(format: LogFormat, filter: Option<&str>) -> Result<(), LogError> {
    let filter = filter.unwrap_or(DEFAULT_FILTER);
    let refused = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let colour = io::stderr().is_terminal() && !refused;
    dispatch(format, filter, colour, io::stderr)?.try_init()?;
    Ok(())
}

/// From now on, panics are lines of the log like all else, with where they happened and as much of their text as may be
/// shown.
pub fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let thread = std::thread::current().name().unwrap_or("unnamed").to_owned();
        let text = panic_text(panic.payload());
        let backtrace = Some(Backtrace::capture()).filter(|trace| trace.status() == BacktraceStatus::Captured);
        let backtrace = backtrace.map(tracing::field::display);
        tracing::error!(place, thread, text, backtrace, "a thread panicked; this is a bug in Trackside");
    }));
}

/// What a panic said, if the program's own text has it so. One that was made while it ran may quote what it was made of: a
/// message, or a secret.
#[must_use]
pub fn panic_text(panic: &(dyn Any + Send)) -> &'static str {
    panic.downcast_ref::<&'static str>().copied().unwrap_or("its text is left out, since it may show data")
}

/// The same of a task that broke off.
#[must_use]
pub fn task_panic(error: JoinError) -> &'static str {
    error.try_into_panic().map_or("it was cancelled", |panic| panic_text(&*panic))
}

fn dispatch<W>(format: LogFormat, filter: &str, colour: bool, writer: W) -> Result<Dispatch, LogError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(filter).map_err(|source| LogError::Filter { text: filter.to_owned(), source })?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_ansi(colour);
    Ok(match format {
        LogFormat::Human => Dispatch::new(lines.finish().with(filter_fn(may_be_shown))),
        LogFormat::Json => Dispatch::new(lines.json().flatten_event(true).finish().with(filter_fn(may_be_shown))),
    })
}

/// Whether a line can show no payload, whoever asks for it.
fn may_be_shown(line: &Metadata<'_>) -> bool {
    let root = line.target().split("::").next().unwrap_or_default();
    *line.level() <= OTHERS || OWN.contains(&root)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, filter: &str, colour: bool) -> String {
        logged_by(format, filter, colour, || {
            tracing::info!(rule = "orders", "a \x1b[31mline");
            tracing::debug!("detail");
        })
    }

    fn logged_by(format: LogFormat, filter: &str, colour: bool, logs: impl FnOnce()) -> String {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let dispatch = dispatch(format, filter, colour, move || writer.clone()).unwrap();
        tracing::dispatcher::with_default(&dispatch, logs);
        let bytes = buffer.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_human_line_has_its_fields_and_no_escape_of_a_stranger() {
        let text = logged(LogFormat::Human, "info", false);
        assert!(text.contains("INFO") && text.contains("rule=\"orders\""), "{text}");
        assert!(!text.contains('\x1b'), "{text:?}");
        assert!(!text.contains("detail"));
        assert!(logged(LogFormat::Human, "info", true).contains('\x1b'), "colour was asked for");
    }

    #[test]
    fn a_json_line_is_one_flat_object() {
        let text = logged(LogFormat::Json, "debug", false);
        let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!((&lines[0]["rule"], &lines[0]["level"]), (&"orders".into(), &"INFO".into()));
        assert_eq!(lines[1]["message"], "detail");
    }

    #[test]
    fn no_filter_shows_what_other_crates_say_below_info() {
        let logs = || {
            tracing::trace!(target: "async_nats::connection", "an operation with its payload");
            tracing::debug!(target: "async_nats::jetstream::consumer::pull", "a message with its payload");
            tracing::trace!(target: "notify::inotify", "a change of the log itself");
            tracing::debug!(target: "trackside_of_another", "no name that only begins like ours");
            tracing::info!(target: "async_nats", "an event");
            tracing::trace!(target: "trackside::backbone::link", "our own");
            tracing::trace!(target: "plugin", "a plugin's");
            tracing::debug!(target: "audit", "a change");
        };
        let by_name = ["async_nats", "notify", "trackside_of_another", "trackside", "plugin", "audit"];
        let by_name = by_name.map(|target| format!("{target}=trace")).join(",");
        for filter in ["trace", &by_name] {
            let text = logged_by(LogFormat::Json, filter, false, logs);
            let lines =
                text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("a line of JSON"));
            let said: Vec<_> = lines.map(|line| line["message"].as_str().unwrap_or_default().to_owned()).collect();
            assert_eq!(said, ["an event", "our own", "a plugin's", "a change"], "{filter}");
        }
    }

    #[test]
    fn a_panic_tells_what_the_program_says_and_nothing_that_it_met() {
        let said = |payload: &str| {
            let panic = std::panic::catch_unwind(|| match payload {
                "" => panic!("there is no payload"),
                payload => panic!("there is {payload}"),
            });
            panic_text(&*panic.unwrap_err())
        };
        assert_eq!(said(""), "there is no payload");
        assert_eq!(said("4111"), "its text is left out, since it may show data");
    }

    #[test]
    fn a_filter_that_cannot_be_read_is_named() {
        let error = dispatch(LogFormat::Human, "trackside=loud", false, io::sink).unwrap_err();
        assert!(error.to_string().starts_with("the log filter \"trackside=loud\" cannot be read"), "{error}");
    }
}
