//! What every load of the configuration does: gather, parse, refuse what needs a restart, compile.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::control::{Compiled, Rejection};
use crate::plan::{Compiler, Plan};
use crate::plugins::Engine;
use crate::rules::{self, Config, Problem, Report, Rules};
use crate::telemetry::{InUse, Metrics};

/// Loads the configuration; cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Loader(Arc<State>);

#[derive(Debug)]
struct State {
    directory: PathBuf,
    /// What the process was started with, for what cannot change without a restart.
    config: Config,
    metrics: Metrics,
    /// Locked while it compiles; loads come one at a time anyway.
    compiler: Mutex<Compiler>,
}

impl Loader {
    pub(super) fn new(directory: &Path, config: &Config, engine: &Engine, metrics: &Metrics) -> Self {
        Self(Arc::new(State {
            directory: directory.to_owned(),
            config: config.clone(),
            metrics: metrics.clone(),
            compiler: Mutex::new(Compiler::new(engine.clone(), metrics.clone())),
        }))
    }

    /// Loads everything anew.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub(super) fn load(&self) -> Result<Compiled<Arc<Plan>>, Rejection> {
        let (rules, warnings) = rules::load(&self.0.directory).map_err(|report| rejection(&report, Vec::new()))?;
        let files: Vec<PathBuf> =
            rules.config.plugins.values().filter_map(|plugin| plugin.path.clone()).chain(references(&rules)).collect();
        let problems = self.fixed(&rules.config);
        if !problems.is_empty() {
            return Err(rejection(&Report(problems), files));
        }
        let mut compiler = self.0.compiler.lock().unwrap_or_else(PoisonError::into_inner);
        let plan = compiler.compile(&rules).map_err(|report| rejection(&report, files.clone()))?;
        Ok(Compiled {
            revision: plan.revision.clone(),
            rules: plan.rules.len(),
            plugins: plan.plugins.iter().map(|(name, digest)| (name.clone(), hex::encode(digest))).collect(),
            watch: files,
            warnings: warnings.into_iter().map(|warning| Report(vec![warning]).to_string()).collect(),
            plan,
        })
    }

    /// Forgets the counters of what the plan in force no longer has.
    pub(super) fn activated(&self, plan: &Plan) {
        self.0.metrics.retain(&InUse {
            rules: plan.rules.iter().map(|rule| rule.name.clone()).collect(),
            sources: plan.sources.keys().cloned().collect(),
            plugins: plan.plugins.iter().map(|(name, _)| name.clone()).collect(),
        });
    }

    /// What has changed and cannot change in a running process.
    fn fixed(&self, new: &Config) -> Vec<Problem> {
        let old = &self.0.config;
        let mut changed = Vec::new();
        let mut compare = |same: bool, what: String| {
            if !same {
                let message =
                    format!("{what} cannot change while trackside runs, and nothing else of this change is taken over");
                changed.push(Problem::error(message).help("restart trackside, or undo this part of the change"));
            }
        };
        compare(old.nats == new.nats, "`[nats]`".to_owned());
        compare(old.admin == new.admin, "`[admin]`".to_owned());
        compare(old.runtime == new.runtime, "`[runtime]` or `[json]`".to_owned());
        let names = old.sources.keys().chain(new.sources.keys().filter(|name| !old.sources.contains_key(*name)));
        for name in names {
            compare(old.sources.get(name) == new.sources.get(name), format!("`[sources.{name}]`"));
        }
        changed
    }
}

/// Files that secrets are read from.
fn references(rules: &Rules) -> Vec<PathBuf> {
    let stages = rules.rules.iter().flat_map(|rule| &rule.stages);
    stages.flat_map(|stage| rules::secret_files(&stage.with, &rules.directory)).collect()
}

fn rejection(report: &Report, watch: Vec<PathBuf>) -> Rejection {
    Rejection { report: report.to_string(), watch }
}
