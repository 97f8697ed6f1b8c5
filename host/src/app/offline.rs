//! Rules and plugins without a broker, as `check`, `try` and `test` need them.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::names::PluginName;
use crate::pipeline::Runner;
use crate::plan::{Compiler, Plan};
use crate::plugins::{CompileIn, Engine, EngineSettings, Instances, KeyValue, MemoryStore};
use crate::rules::{self, Config, FileSet, Grant, Look, Problem, Report, Rules};
use crate::supply;
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
    /// Loads and compiles a configuration directory. Buckets are in memory, and empty at first.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn open(directory: &Path) -> Result<Self, Failure> {
        Self::open_with(directory, Arc::new(MemoryStore::default()))
    }

    /// The same with this store for buckets.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn open_with(directory: &Path, store: Arc<dyn KeyValue>) -> Result<Self, Failure> {
        Self::open_adapted(directory, store, |_| {})
    }

    /// The same with deadlines that only an endless loop misses: what is tested is the rules, and not how busy the
    /// machine is.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn open_patiently(directory: &Path) -> Result<Self, Failure> {
        Self::open_adapted(directory, Arc::new(MemoryStore::default()), |rules| {
            let used = rules.rules.iter().flat_map(|rule| &rule.stages).map(|stage| stage.plugin.clone());
            for plugin in used.collect::<BTreeSet<_>>() {
                let limits = &mut rules.config.plugins.entry(plugin).or_default().limits;
                limits.deadline = limits.deadline.max(PATIENCE);
            }
        })
    }

    fn open_adapted(directory: &Path, store: Arc<dyn KeyValue>, adapt: impl Fn(&mut Rules)) -> Result<Self, Failure> {
        let files = FileSet::read(directory).map_err(|report| shown(&report))?;
        Self::compile(&files, store, adapt).map_err(|report| shown(&report))
    }

    /// The same of files that are in memory; what they refer to is in their directory.
    ///
    /// # Errors
    /// Everything that is wrong with them, warnings included.
    pub fn of(files: &FileSet) -> Result<Self, Report> {
        Self::compile(files, Arc::new(MemoryStore::default()), |_| {})
    }

    fn compile(files: &FileSet, store: Arc<dyn KeyValue>, adapt: impl Fn(&mut Rules)) -> Result<Self, Report> {
        let (mut rules, warnings) = rules::load_from(files).map_err(|report| everything_wrong(files, report))?;
        adapt(&mut rules);
        let failed = |failure: Failure| Report(vec![Problem::error(failure.to_string())]);
        let engine = engine(&rules.config, store).map_err(failed)?;
        let mut compiler = Compiler::new(engine.clone(), Metrics::new(BUILD));
        let plan = compiler.compile(&rules).map_err(|mut report| {
            report.0.splice(0..0, warnings.iter().cloned());
            report
        })?;
        Ok(Self { rules, engine, plan, warnings })
    }

    /// What is odd about the configuration, but not wrong.
    #[must_use]
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
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

    /// The plugins that make replays inexact, each with the grants by which it does.
    pub fn inexact(&self) -> impl Iterator<Item = (&PluginName, Vec<Grant>)> {
        let settings = |(name, _): &'_ (PluginName, [u8; 32])| self.rules.config.plugins.get(name);
        let inexact = self.plan.plugins.iter().filter_map(move |plugin| {
            let grants: Vec<Grant> = settings(plugin)?.grants.inexact().collect();
            Some((&plugin.0, grants))
        });
        inexact.filter(|(_, grants)| !grants.is_empty())
    }

    /// Prints which buckets are in memory here, to standard error.
    pub fn print_buckets(&self) {
        for (plugin, grants) in self.inexact() {
            let buckets = grants.iter().filter_map(|grant| match grant {
                Grant::Bucket(bucket, _) => Some(format!("`{bucket}`")),
                _ => None,
            });
            let buckets: Vec<String> = buckets.collect();
            if !buckets.is_empty() {
                eprintln!("note: plugin `{plugin}` finds {} in memory here, empty at first", buckets.join(" and "));
            }
        }
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
    rules::load(directory).map_err(|report| shown(&report))
}

/// What is wrong with the files, and with that what the plugins have to say about the rules that are right so far.
fn everything_wrong(files: &FileSet, mut report: Report) -> Report {
    if let Some(sound) = rules::sound_part(files).filter(|sound| !sound.rules.is_empty()) {
        let compiled = engine(&sound.config, Arc::new(MemoryStore::default()))
            .map(|engine| Compiler::new(engine, Metrics::new(BUILD)).compile(&sound));
        if let Ok(Err(further)) = compiled {
            report.0.extend(further.0);
        }
    }
    Report::sorted(report.0)
}

/// The engine that a configuration asks for.
pub(super) fn engine(config: &Config, store: Arc<dyn KeyValue>) -> Result<Engine, Failure> {
    start(EngineSettings {
        cache: supply::cache_folder(&config.runtime),
        compile_in: CompileIn::child_of_this_program(),
        json: config.runtime.json_limits(),
        store,
        ..EngineSettings::default()
    })
}

/// The engine of a configuration that says nothing about it.
///
/// # Errors
/// When the machine does not give what it needs.
pub fn default_engine() -> Result<Engine, Failure> {
    start(EngineSettings {
        cache: supply::default_cache_folder(),
        compile_in: CompileIn::child_of_this_program(),
        ..EngineSettings::default()
    })
}

fn start(settings: EngineSettings) -> Result<Engine, Failure> {
    Engine::new(settings).map_err(|error| Failure::new(error.to_string()))
}

/// A report as a person is shown it, with a last line that counts what is in it.
fn shown(report: &Report) -> Failure {
    Failure::new(report.render(look()).trim_end())
}

fn look() -> Look {
    Look::of_stderr()
}
