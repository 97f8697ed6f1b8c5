//! What is printed of the cases.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use crate::app::Failure;
use crate::plugins::Inspection;
use trackside_toolchain::human_size;

/// What came of one case.
#[derive(Debug)]
pub(super) struct CaseReport {
    name: String,
    /// Which of several messages came to something else than expected.
    pub(super) message: Option<usize>,
    differences: Vec<Difference>,
    /// Instantiating and configuring, the fastest of several times.
    pub(super) configure: Option<Duration>,
    /// One call, the median of many.
    pub(super) call: Option<Duration>,
    /// Linear memory that an instance has come to.
    pub(super) memory_bytes: usize,
}

#[derive(Debug)]
struct Difference {
    what: String,
    expected: String,
    got: String,
}

impl CaseReport {
    pub(super) fn new(name: &str) -> Self {
        let (differences, name) = (Vec::new(), name.to_owned());
        Self { name, message: None, differences, configure: None, call: None, memory_bytes: 0 }
    }

    pub(super) fn differs(&mut self, what: &str, expected: &str, got: &str) {
        let (expected, got) = (expected.to_owned(), got.to_owned());
        self.differences.push(Difference { what: what.to_owned(), expected, got });
    }

    pub(super) fn holds(&self) -> bool {
        self.differences.is_empty()
    }
}

impl fmt::Display for CaseReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.holds() {
            let message = self.message.map_or(String::new(), |number| format!(", message {number}"));
            writeln!(f, "failed                       {}{message}", self.name)?;
            return self.differences.iter().try_for_each(|difference| difference.fmt(f));
        }
        let call = self.call.map_or(String::new(), |call| format!("{:.1} µs", micros(call)));
        let memory = if self.memory_bytes == 0 { String::new() } else { mebibytes(self.memory_bytes) };
        writeln!(f, "ok      {call:>11} {memory:>9}  {}", self.name)
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "        {}", self.what)?;
        for (sign, text) in [("-", &self.expected), ("+", &self.got)] {
            text.lines().try_for_each(|line| writeln!(f, "          {sign} {line}"))?;
        }
        Ok(())
    }
}

/// What came of all of them.
#[derive(Debug)]
pub(super) struct Report {
    file: String,
    bytes: usize,
    imports: Vec<String>,
    pub(super) cases: Vec<CaseReport>,
    /// How long it took to load the component, compiling it unless the cache had it.
    pub(super) compiled: Duration,
}

/// The report for programs. Times are in microseconds.
#[derive(Debug, Serialize)]
struct Json<'r> {
    file: &'r str,
    bytes: usize,
    imports: &'r [String],
    compile_us: f64,
    cases: Vec<JsonCase<'r>>,
}

#[derive(Debug, Serialize)]
struct JsonCase<'r> {
    name: &'r str,
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    configure_us: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    call_us: Option<f64>,
    memory_bytes: usize,
    /// As people are shown them.
    #[serde(skip_serializing_if = "String::is_empty")]
    differences: String,
}

impl Report {
    pub(super) fn new(file: &Path, inspection: &Inspection) -> Self {
        let (file, imports) = (file.display().to_string(), inspection.imports.clone());
        Self { file, bytes: inspection.bytes, imports, cases: Vec::new(), compiled: Duration::ZERO }
    }

    /// Whether all cases do, and there is one.
    pub(super) fn holds(&self) -> bool {
        !self.cases.is_empty() && self.cases.iter().all(CaseReport::holds)
    }

    /// The last lines.
    pub(super) fn summary(&self) -> String {
        let holding = self.cases.iter().filter(|case| case.holds()).count();
        let configure = self.cases.iter().filter_map(|case| case.configure).min();
        let configure =
            configure.map_or(String::new(), |time| format!("; an instance is ready in {:.0} µs", micros(time)));
        let imports = if self.imports.is_empty() { "nothing".to_owned() } else { self.imports.join(", ") };
        format!(
            "\n{}: {}, loaded in {:.0} ms{configure}\nit imports {imports}\n{holding} of {} cases hold\n",
            self.file,
            human_size(self.bytes as u64),
            micros(self.compiled) / 1000.0,
            self.cases.len()
        )
    }

    /// The report as one line of JSON.
    pub(super) fn json(&self) -> Result<String, Failure> {
        let case = |case: &'_ CaseReport| -> String { case.differences.iter().map(ToString::to_string).collect() };
        let cases = self.cases.iter().map(|report| JsonCase {
            name: &report.name,
            ok: report.holds(),
            configure_us: report.configure.map(micros),
            call_us: report.call.map(micros),
            memory_bytes: report.memory_bytes,
            differences: case(report),
        });
        let json = Json {
            file: &self.file,
            bytes: self.bytes,
            imports: &self.imports,
            compile_us: micros(self.compiled),
            cases: cases.collect(),
        };
        serde_json::to_string(&json).map(|text| text + "\n").map_err(|error| Failure::new(error.to_string()))
    }
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn mebibytes(bytes: usize) -> String {
    let tenths = bytes * 10 / (1 << 20);
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}
