//! Rules and plugins without a broker, as `check`, `try` and `test` need them.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::pipeline::Runner;
use crate::plan::{Compiler, Plan};
use crate::plugins::{Engine, EngineSettings, Instances};
use crate::rules::{self, Look, Problem, Report, Rules};
use crate::telemetry::{Build, Metrics};

use super::Failure;

/// The shortest deadline of a plugin in tests.
const PATIENCE: Duration = Duration::from_secs(5);

/// A configuration that was loaded and compiled.
#[derive(Debug)]
pub struct Offline {
    rules: Rules,
    engine: Engine,
    plan: Arc<Plan>,
    warnings: Vec<Problem>,
}

impl Offline {
    /// Loads and compiles a configuration directory.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn open(directory: &Path) -> Result<Self, Failure> {
        Self::open_with(directory, |_| {})
    }

    /// The same with deadlines that only an endless loop misses: what is tested is the rules, and not how busy the
    /// machine is.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn open_patiently(directory: &Path) -> Result<Self, Failure> {
        Self::open_with(directory, |rules| {
            let used = rules.rules.iter().flat_map(|rule| &rule.stages).map(|stage| stage.plugin.clone());
            for plugin in used.collect::<BTreeSet<_>>() {
                let limits = &mut rules.config.plugins.entry(plugin).or_default().limits;
                limits.deadline = limits.deadline.max(PATIENCE);
            }
        })
    }

    fn open_with(directory: &Path, adapt: impl Fn(&mut Rules)) -> Result<Self, Failure> {
        let (mut rules, warnings) = rules::load(directory).map_err(|report| everything_wrong(directory, report))?;
        adapt(&mut rules);
        let engine = engine(&rules)?;
        let mut compiler = Compiler::new(engine.clone(), Metrics::new(BUILD));
        let plan = compiler.compile(&rules).map_err(|report| shown(report, warnings.clone()))?;
        Ok(Self { rules, engine, plan, warnings })
    }

    /// What the configuration says.
    #[must_use]
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The plan.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Runs messages on the calling thread.
    #[must_use]
    pub fn runner(&self, tracing: bool) -> Runner {
        Runner::new(Instances::new(self.engine.instances_per_thread(1)), tracing)
    }

    /// Prints what is odd about the configuration, but not wrong, to standard error.
    pub fn print_warnings(&self) {
        if !self.warnings.is_empty() {
            eprintln!("{}\n", Report(self.warnings.clone()).render(look()).trim_end());
        }
    }
}

/// What this binary was built from.
pub(super) const BUILD: Build = Build {
    version: env!("CARGO_PKG_VERSION"),
    wasmtime: env!("TRACKSIDE_WASMTIME_VERSION"),
    contract: crate::plugins::CONTRACT_VERSION,
};

/// Reads a configuration directory.
///
/// # Errors
/// Everything that is wrong with its files.
pub fn load(directory: &Path) -> Result<(Rules, Vec<Problem>), Failure> {
    rules::load(directory).map_err(|report| shown(report, Vec::new()))
}

/// What is wrong with the files, and with that what the plugins have to say about the rules that are right so far.
fn everything_wrong(directory: &Path, mut report: Report) -> Failure {
    if let Some(sound) = rules::sound_part(directory).filter(|sound| !sound.rules.is_empty()) {
        let compiled = engine(&sound).map(|engine| Compiler::new(engine, Metrics::new(BUILD)).compile(&sound));
        if let Ok(Err(further)) = compiled {
            report.0.extend(further.0);
        }
    }
    shown(Report::sorted(report.0), Vec::new())
}

/// The engine that a configuration asks for.
pub(super) fn engine(rules: &Rules) -> Result<Engine, Failure> {
    let settings = EngineSettings {
        cache: rules.config.runtime.cache.clone().or_else(default_cache),
        json: rules.config.runtime.json_limits(),
        ..EngineSettings::default()
    };
    Engine::new(settings).map_err(|error| Failure::new(error.to_string()))
}

/// A report as a person is shown it, warnings before errors, with a last line that counts them.
fn shown(mut report: Report, warnings: Vec<Problem>) -> Failure {
    report.0.splice(0..0, warnings);
    Failure::new(report.render(look()).trim_end())
}

fn look() -> Look {
    Look::of_stderr()
}

/// `$XDG_CACHE_HOME/trackside`, or `~/.cache/trackside`.
fn default_cache() -> Option<std::path::PathBuf> {
    let base = std::env::var_os("XDG_CACHE_HOME").filter(|path| !path.is_empty()).map(std::path::PathBuf::from);
    base.or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache")))
        .map(|base| base.join("trackside"))
}
