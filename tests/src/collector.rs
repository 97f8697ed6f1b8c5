//! A collector of OpenTelemetry, as a real process: Rotel, which tells on standard output of every span it receives.

use std::collections::BTreeMap;
use std::process::Command;

use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::{Process, free_port, provided, until};

/// A running collector.
#[derive(Debug)]
pub struct Collector {
    process: Process,
    _folder: TempDir,
    port: u16,
}

/// A span that it received.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Received {
    /// `service.name` of the resource.
    pub service: String,
    /// 32 hexadecimal digits.
    pub trace: String,
    /// 16 hexadecimal digits.
    pub id: String,
    /// The same, or nothing.
    pub parent: String,
    /// What it is called.
    pub name: String,
    /// For example `CONSUMER`.
    pub kind: String,
    /// `UNSET`, `OK` or `ERROR`.
    pub status: String,
    /// What is said of the status.
    pub message: String,
    /// Nanoseconds since the Unix epoch.
    pub time: (u64, u64),
    /// Its attributes, as text.
    pub attributes: BTreeMap<String, String>,
    /// Its events with their attributes.
    pub events: Vec<(String, BTreeMap<String, String>)>,
}

impl Received {
    /// An attribute as text; empty if it is not there.
    #[must_use]
    pub fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }
}

impl Collector {
    /// Starts one at a free port.
    pub async fn start() -> Self {
        Self::start_at(free_port()).await
    }

    /// The same at this port.
    ///
    /// # Panics
    /// When it ends instead.
    pub async fn start_at(port: u16) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut command = Command::new(provided("OTLP_COLLECTOR"));
        command.args([
            "start",
            "--exporter",
            "blackhole",
            "--debug-log",
            "traces",
            "--debug-log-verbosity",
            "detailed",
        ]);
        command.args(["--otlp-http-endpoint", &format!("127.0.0.1:{port}")]);
        command.args(["--otlp-grpc-endpoint", &format!("127.0.0.1:{}", free_port())]);
        let mut process = Process::spawn(&mut command, &folder.path().join("collector.log"));
        until("the collector to listen", async || {
            assert!(!process.has_ended(), "the collector ended:\n{}", process.output());
            TcpStream::connect(("127.0.0.1", port)).await.ok()
        })
        .await;
        Self { process, _folder: folder, port }
    }

    /// Where it takes spans by HTTP.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// All that it has told so far.
    #[must_use]
    pub fn output(&self) -> String {
        self.process.output()
    }

    /// The spans that it has received so far.
    #[must_use]
    pub fn spans(&self) -> Vec<Received> {
        spans(&self.output())
    }

    /// Waits until it has received so many spans that `wanted` is true of.
    pub async fn received(&self, count: usize, wanted: impl Fn(&Received) -> bool) -> Vec<Received> {
        until(&format!("{count} spans"), async || {
            let spans: Vec<_> = self.spans().into_iter().filter(&wanted).collect();
            (spans.len() >= count).then_some(spans)
        })
        .await
    }
}

/// What the attributes on a line belong to.
enum Part {
    Resource,
    Span,
    Event,
}

/// Reads spans off what the collector prints.
fn spans(text: &str) -> Vec<Received> {
    let (mut spans, mut service, mut part) = (Vec::<Received>::new(), String::new(), Part::Resource);
    for line in text.lines().map(str::trim) {
        if line == "Resource attributes:" {
            part = Part::Resource;
        } else if line.starts_with("Span #") {
            part = Part::Span;
            spans.push(Received { service: service.clone(), ..Received::default() });
        }
        let attribute = line.strip_prefix("-> ").and_then(|line| line.split_once(": "));
        match (&part, attribute, spans.last_mut()) {
            (Part::Resource, Some(("service.name", value)), _) => service = plain(value),
            (Part::Resource, ..) | (_, _, None) => {}
            (_, Some(("Name", value)), Some(span)) => {
                part = Part::Event;
                span.events.push((value.to_owned(), BTreeMap::new()));
            }
            (Part::Event, Some((name, value)), Some(span)) => {
                let event = span.events.last_mut().expect("its name came first");
                event.1.insert(name.to_owned(), plain(value));
            }
            (Part::Span, Some((name, value)), Some(span)) => {
                span.attributes.insert(name.to_owned(), plain(value));
            }
            (_, None, Some(span)) => about(span, line),
        }
    }
    spans
}

/// Reads one line about a span itself.
fn about(span: &mut Received, line: &str) {
    let Some((name, value)) = line.split_once(':').map(|(name, value)| (name.trim(), value.trim())) else { return };
    let number = || value.parse().unwrap_or_default();
    match name {
        "Trace ID" => span.trace = value.to_owned(),
        "Parent ID" => span.parent = value.to_owned(),
        "ID" => span.id = value.to_owned(),
        "Name" => span.name = value.to_owned(),
        "Kind" => span.kind = value.trim_start_matches("SPAN_KIND_").to_owned(),
        "Start time" => span.time.0 = number(),
        "End time" => span.time.1 = number(),
        "Status code" => span.status = value.trim_start_matches("STATUS_CODE_").to_owned(),
        "Status message" => span.message = value.to_owned(),
        _ => {}
    }
}

/// The value in `Str(value)`.
fn plain(value: &str) -> String {
    let inner = value.split_once('(').and_then(|(_, inner)| inner.strip_suffix(')'));
    inner.unwrap_or(value).to_owned()
}
