//! `trackside plugin test`: cases run through the real sandbox, each compared with what it expects and measured.

mod capture;
mod compare;
mod measure;
mod report;

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;

use super::super::output;
use crate::app::{self, Failure};
use crate::names::PluginName;
use crate::plugins::{
    ConfigureError, ConfiguredStage, Engine, Inspection, Instances, Plugin, PluginSource, StageSecrets, Work,
};
use crate::rules::{Case, Look, PluginSettings, load_cases};
use capture::Captured;
use report::{CaseReport, Report};

/// What the command line says of the format, the long way.
pub(super) const ABOUT: &str = "\
Runs cases through the sandbox, and says of each whether what became of its message is what it expects.

A case is a table of a TOML file:

  [[case]]
  name = \"a large order takes the route\"
  with = { limit = 1000, to = \"review\" }
  routes = [\"default\", \"review\"]
  message = { subject = \"orders.eu\", text = '{\"amount\":2500}' }
  expect = { verdict = \"route\", to = [\"review\"] }

docs/plugin-development.md has all its keys. A case that holds is followed by the time of a call (the median of many), and \
the linear memory that its instance has come to.

The exit code is 0 if all cases hold, 1 if one does not or the file is no plugin, and 2 if the cases themselves are wrong.";

#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// The component.
    #[arg(value_name = "FILE.wasm")]
    file: PathBuf,

    /// The cases.
    #[arg(value_name = "CASES.toml")]
    cases: PathBuf,

    /// Only cases whose names contain this.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,

    /// Prints one JSON object in place of the lines for people.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(super) fn test(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let mut cases = match load_cases(&arguments.cases) {
        Ok(cases) => cases,
        Err(report) => {
            eprintln!("{}", report.render(Look::of_stderr()).trim_end());
            return Ok(ExitCode::from(2));
        }
    };
    if let Some(only) = &arguments.only {
        cases.retain(|case| case.name.contains(only.as_str()));
    }
    let mut bench = Bench::open(&arguments.file, &arguments.cases)?;
    let mut report = Report::new(&arguments.file, &bench.inspection);
    for case in &cases {
        let case = bench.run(case)?;
        if !arguments.json && !output::write(&mut std::io::stdout(), &case.to_string())? {
            return Ok(ExitCode::FAILURE);
        }
        report.cases.push(case);
    }
    report.compiled = bench.compiled;
    let text = if arguments.json { report.json()? } else { report.summary() };
    output::print(&text)?;
    Ok(if report.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The plugin under test.
struct Bench {
    engine: Engine,
    bytes: Vec<u8>,
    inspection: Inspection,
    /// The folder of the cases file, which stands in for the configuration directory.
    directory: PathBuf,
    /// Compiled once for each set of limits that some case has.
    loaded: Vec<(PluginSettings, Arc<Plugin>)>,
    /// How long that took the first time.
    compiled: Duration,
}

impl Bench {
    fn open(file: &Path, cases: &Path) -> Result<Self, Failure> {
        let named = |error: &dyn std::fmt::Display| Failure::new(format!("{}: {error}", file.display()));
        let bytes = std::fs::read(file).map_err(|error| named(&format!("cannot be read: {error}")))?;
        let inspection = Inspection::of(&bytes).map_err(|error| named(&error))?;
        inspection.contract().map_err(|error| named(&error))?;
        let directory = cases.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let (directory, engine) = (directory.to_owned(), app::default_engine()?);
        Ok(Self { engine, bytes, inspection, directory, loaded: Vec::new(), compiled: Duration::ZERO })
    }

    fn run(&mut self, case: &Case) -> Result<CaseReport, Failure> {
        let plugin = self.plugin(&case.settings)?;
        let configure =
            || plugin.configure(case.with.to_string(), case.routes.clone(), &self.directory, StageSecrets::default());
        let mut report = CaseReport::new(&case.name);
        let stage = match (configure(), &case.refused) {
            (Ok(stage), None) => stage,
            (Err(ConfigureError::Refused { reason }), Some(phrase)) if phrase.fits(&reason) => return Ok(report),
            (got, refused) => {
                let got = got.map_or_else(|error| error.to_string(), |_| "it takes the settings".to_owned());
                let expected = refused.as_ref().map_or("it takes the settings".to_owned(), ToString::to_string);
                report.differs("configure", &expected, &got);
                return Ok(report);
            }
        };
        run_handings(case, &stage, &mut report);
        if report.holds() {
            report.configure = Some(measure::fastest(|| configure().is_ok()));
            report.call = measure::call(&stage, case);
        }
        Ok(report)
    }

    /// The plugin with these limits.
    fn plugin(&mut self, settings: &PluginSettings) -> Result<Arc<Plugin>, Failure> {
        if let Some((_, plugin)) = self.loaded.iter().find(|(loaded, _)| loaded == settings) {
            return Ok(Arc::clone(plugin));
        }
        let name = PluginName::new("test").map_err(|error| Failure::new(error.to_string()))?;
        let source = PluginSource { name, bytes: Cow::Owned(self.bytes.clone()), settings: settings.clone() };
        let start = Instant::now();
        let plugin = self.engine.load(source).map_err(|error| Failure::new(error.to_string()))?;
        if self.loaded.is_empty() {
            self.compiled = start.elapsed();
        }
        self.loaded.push((settings.clone(), Arc::clone(&plugin)));
        Ok(plugin)
    }
}

/// Hands a stage the messages of a case, one after another, up to the first that does not come to what is expected.
fn run_handings(case: &Case, stage: &Arc<ConfiguredStage>, report: &mut CaseReport) {
    let mut instances = Instances::new(1);
    for (handing, number) in case.handings.iter().zip(1..) {
        let mut work = Work::new(handing.message.clone(), Arc::clone(&handing.origin));
        let Captured { value: result, lines } = capture::log_of(|| instances.call(stage, &mut work));
        report.memory_bytes = report.memory_bytes.max(instances.peak_memory_bytes());
        compare::compare(&handing.expected, &result, &work.message, &lines, report);
        if !report.holds() {
            if case.handings.len() > 1 {
                report.message = Some(number);
            }
            break;
        }
    }
}
