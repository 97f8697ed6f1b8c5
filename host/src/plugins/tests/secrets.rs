//! What a plugin says, and what of it is shown.

use std::io::Write;
use std::sync::{Mutex, PoisonError};

use super::*;

/// A place for log lines, as `tracing` writes them.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The log lines that something writes on this thread.
pub(super) fn logged(work: impl FnOnce()) -> Vec<String> {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(move || writer.clone())
        .with_max_level(tracing::Level::INFO)
        .with_ansi(false)
        .without_time()
        .finish();
    tracing::subscriber::with_default(subscriber, work);
    let bytes = lines.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    String::from_utf8(bytes).expect("text").lines().filter(|line| line.contains("plugin")).map(str::to_owned).collect()
}

const CONFIG: &str = r#"{"key":"hunter2 \"quoted\""}"#;

fn secrets() -> StageSecrets {
    StageSecrets { of_settings: vec!["hunter2 \"quoted\"".to_owned()], ..StageSecrets::default() }
}

#[test]
fn no_log_line_and_no_reason_shows_a_secret() {
    let plugin = load_with_log("echo-config");
    let mut stage = None;
    let lines = logged(|| {
        stage = plugin.configure(CONFIG.to_owned(), Vec::new(), Path::new("."), secrets()).ok();
    });
    assert_eq!(lines, [r#" INFO plugin: {"key":"***"} plugin="test""#.to_owned()].map(|l| l.replace("INFO", "WARN")));
    let verdict = call(&stage.expect("it takes the settings"), &mut work("{}"));
    assert_eq!(verdict, Ok(Verdict::Reject(r#"{"key":"***"}"#.to_owned())));
}

#[test]
fn no_name_of_a_route_shows_a_secret() {
    let plugin = load("echo-config-as-route");
    let stage = plugin.configure(CONFIG.to_owned(), Vec::new(), Path::new("."), secrets()).expect("it takes them");
    let verdict = call(&stage, &mut work("{}"));
    assert_eq!(verdict, Ok(Verdict::Route(vec![r#"{"key":"***"}"#.to_owned()])));
}

#[test]
fn no_error_of_configure_shows_a_secret() {
    let plugin = load("refuse-config");
    let error = plugin.configure(CONFIG.to_owned(), Vec::new(), Path::new("."), secrets()).expect_err("it refuses");
    assert_eq!(error.to_string(), r#"{"key":"***"}"#);
}

#[test]
fn a_stage_s_debug_output_shows_no_settings() {
    let plugin = load_with_log("echo-config");
    let stage = plugin.configure(CONFIG.to_owned(), Vec::new(), Path::new("."), secrets()).expect("it takes them");
    let debug = format!("{stage:?} {plugin:?} {:?}", Instances::new(1));
    assert!(!debug.contains("hunter2"), "{debug}");
}

#[test]
fn a_flood_of_log_lines_is_cut_to_the_rate_and_cannot_forge_lines() {
    let plugin = load_with("log", |s| {
        s.grants.log = true;
        s.limits.log_lines_per_second = 5;
    });
    let stage = configure(&plugin).expect("it takes the settings");
    let lines = logged(|| assert_eq!(call(&stage, &mut work("{}")), Ok(Verdict::Forward)));
    let (notices, lines): (Vec<_>, Vec<_>) = lines.iter().partition(|line| line.contains("log lines dropped"));
    assert!((5..50).contains(&lines.len()), "{} lines", lines.len());
    assert!(lines.iter().all(|line| line.contains(r"one\r\n2026-11-22T00:00:00Z ERROR forged\u{1b}[31m")), "{lines:?}");
    assert!(!notices.is_empty());
    assert_eq!(plugin.log_lines_dropped(), 1000 - lines.len() as u64);
}
