//! What all seeds share: the engine, the compiled plugin and the rules, so that they are made once.

use std::path::PathBuf;

use trackside::plan::Compiler;
use trackside::plugins::{CONTRACT_VERSION, Engine, EngineSettings};
use trackside::rules::{self, FileSet, Rules};
use trackside::telemetry::{Build, Metrics};

use super::ruling::{VARIANTS, config_toml, rules_toml};
use crate::hostile;

/// What the simulation calls itself in the metrics that nobody asks for.
pub(super) const BUILD: Build = Build { version: "simulation", wasmtime: "", contract: CONTRACT_VERSION };

/// Shared by all seeds, on all threads.
pub struct World {
    engine: Engine,
    variants: Vec<Rules>,
    /// Has compiled the plugin and configured the stages.
    compiler: Compiler,
    _folder: tempfile::TempDir,
}

impl World {
    /// Simulations that may run at a time.
    pub const PROCESSES: usize = 16;

    /// Compiles everything.
    ///
    /// # Panics
    /// When something of it is wrong, or there is no temporary folder.
    #[must_use]
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path: PathBuf = folder.path().join("simulated.wasm");
        std::fs::write(&path, hostile::component_of(include_str!("simulated.wat"))).expect("a file");
        let config = config_toml(path.to_str().expect("its path is text"));
        let variants: Vec<Rules> = (0..VARIANTS)
            .map(|variant| {
                let files = FileSet::new(folder.path()).with("trackside.toml", config.as_str());
                let files = files.with("rules/simulated.toml", rules_toml(variant));
                rules::load_from(&files).unwrap_or_else(|report| panic!("{report}")).0
            })
            .collect();
        let engine = Engine::new(EngineSettings::default()).expect("an engine");
        let mut compiler = Compiler::new(engine.clone(), Metrics::new(BUILD));
        for rules in &variants {
            compiler.compile(rules).unwrap_or_else(|report| panic!("{report}"));
        }
        Self { engine, variants, compiler, _folder: folder }
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(super) fn rules(&self, variant: usize) -> &Rules {
        &self.variants[variant]
    }

    /// The compiler of a new process, which need not compile the plugin again.
    pub(super) fn compiler(&self, metrics: Metrics) -> Compiler {
        self.compiler.another(metrics)
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}
