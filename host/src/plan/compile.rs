//! `Rules x plugins -> Plan`: the one place where rules and plugins meet. Compiles components and configures stages
//! in parallel, takes over what has not changed from the plan in force, and reports everything that is wrong.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sha2::{Digest, Sha256};

use crate::message::SubjectIndex;
use crate::names::{PluginName, Revision, SecretName};
use crate::outlets::Outlets;
use crate::plugins::{ConfiguredStage, Engine, Plugin, PluginSource, StageSecrets};
use crate::rules::{
    Location, PluginSettings, Problem, Report, Rule, Rules, Secret, SecretRef, SourceKind, Stage, resolve_secrets,
};
use crate::sealing::LetterKey;
use crate::supply::{self, Supply};
use crate::telemetry::{Metrics, Throttle};

use super::granted::granted_secrets;
use super::keys::letter_keys;
use super::standard::standard_plugin;
use super::standing::Standing;
use super::{Plan, RoutePlan, RouteTo, RulePlan, SourcePlan, StagePlan};

/// Compiles plans, and remembers plugins and stages of the last one so that what has not changed is taken over.
#[derive(Debug)]
pub struct Compiler {
    engine: Engine,
    metrics: Metrics,
    plugins: HashMap<PluginName, Arc<Plugin>>,
    stages: HashMap<StageKey, Known>,
    standing: Standing,
}

/// What makes a stage the stage it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct StageKey {
    plugin: PluginName,
    component: [u8; 32],
    /// The settings as JSON, secrets resolved, and the secrets that were granted; kept as a digest so that no secret
    /// stays around longer than it must.
    settings: [u8; 32],
    routes: Vec<String>,
}

#[derive(Debug, Clone)]
struct Known {
    plugin: Arc<Plugin>,
    stage: Arc<ConfiguredStage>,
}

/// A stage that has to be configured, and where it is used first.
struct Wanted<'r> {
    rule: &'r Rule,
    stage: &'r Stage,
    config: String,
    secrets: Vec<Secret>,
    granted: BTreeMap<SecretName, Secret>,
}

impl Compiler {
    /// Compiles for this engine.
    #[must_use]
    pub fn new(engine: Engine, metrics: Metrics) -> Self {
        Self { engine, metrics, plugins: HashMap::new(), stages: HashMap::new(), standing: Standing::default() }
    }

    /// One that knows the same plugins and stages, and shares no breaker and no counter with this one: as another process
    /// would begin that need not compile them again.
    #[must_use]
    pub fn another(&self, metrics: Metrics) -> Self {
        let Self { engine, plugins, stages, .. } = self;
        let (engine, plugins, stages) = (engine.clone(), plugins.clone(), stages.clone());
        Self { engine, metrics, plugins, stages, standing: Standing::default() }
    }

    /// The services and queues that its plans have handles to.
    #[must_use]
    pub fn outlets(&self) -> Outlets {
        self.standing.outlets.clone()
    }

    /// Compiles a plan. Takes as long as compiling the plugins takes: call it off the hot path.
    ///
    /// # Errors
    /// Everything that is wrong with the plugins and the stages' settings, each with its place. What was compiled
    /// before stays remembered.
    pub fn compile(&mut self, rules: &Rules) -> Result<Arc<Plan>, Report> {
        let mut problems = Vec::new();
        let plugins = self.load(rules, &mut problems);
        let stages = self.configure(rules, &plugins, &mut problems);
        let keys = letter_keys(rules, &mut problems);
        if !problems.is_empty() {
            return Err(Report::sorted(problems));
        }
        let plan = Arc::new(self.assemble(rules, &plugins, &stages, &keys));
        self.plugins = plugins.into_iter().collect();
        self.stages = stages.known;
        Ok(plan)
    }

    /// Loads every plugin that a rule uses or the configuration names.
    fn load(&self, rules: &Rules, problems: &mut Vec<Problem>) -> BTreeMap<PluginName, Arc<Plugin>> {
        let mut wanted: BTreeMap<&PluginName, Location> = BTreeMap::new();
        for (name, settings) in &rules.config.plugins {
            // A standard plugin that only has its limits changed is loaded where a rule uses it.
            if let (true, Some(location)) = (settings.path.is_some() || settings.oci.is_some(), &settings.location) {
                wanted.insert(name, location.clone());
            }
        }
        for stage in rules.rules.iter().flat_map(|rule| &rule.stages) {
            wanted.entry(&stage.plugin).or_insert_with(|| stage.plugin_location.clone());
        }
        let supply = match Supply::open(rules) {
            Ok(supply) => supply,
            Err(problem) => {
                problems.push(*problem);
                return BTreeMap::new();
            }
        };
        let wanted: Vec<_> = wanted.into_iter().collect();
        let loaded = parallel(&wanted, |(name, location)| {
            let settings = rules.config.plugins.get(*name).cloned().unwrap_or_default();
            self.load_one(name, settings, &supply, &rules.directory)
                .map_err(|problem| Box::new((*problem).at(location.clone())))
        });
        let mut plugins = BTreeMap::new();
        for ((name, _), result) in wanted.into_iter().zip(loaded) {
            match result {
                Ok(plugin) => {
                    plugins.insert(name.clone(), plugin);
                }
                Err(problem) => problems.push(*problem),
            }
        }
        plugins
    }

    fn load_one(
        &self,
        name: &PluginName,
        settings: PluginSettings,
        supply: &Supply<'_>,
        directory: &Path,
    ) -> Result<Arc<Plugin>, Box<Problem>> {
        let (bytes, digest) = if !settings.is_standard() {
            let component = supply.component(name, &settings);
            let component = component.map_err(|error| supply::problem(name, &settings, &error, directory))?;
            (Cow::Owned(component.bytes), component.sha256)
        } else {
            let bytes = standard_plugin(name).ok_or_else(|| {
                Problem::error(format!("plugin `{name}`: this binary was built without its standard plugins"))
                    .help("build it by `cargo xtask build`, or give `path` in `[plugins.…]`")
            })?;
            (Cow::Borrowed(bytes), Sha256::digest(bytes).into())
        };
        let unchanged = |known: &&Arc<Plugin>| *known.digest() == digest && *known.settings() == settings;
        if let Some(known) = self.plugins.get(name).filter(unchanged) {
            return Ok(Arc::clone(known));
        }
        let source = PluginSource { name: name.clone(), bytes, settings };
        self.engine.load(source).map_err(|error| Box::new(Problem::error(format!("plugin `{name}`: {error}"))))
    }

    /// Configures every distinct stage once, however many rules use it.
    fn configure(
        &self,
        rules: &Rules,
        plugins: &BTreeMap<PluginName, Arc<Plugin>>,
        problems: &mut Vec<Problem>,
    ) -> Stages {
        let mut stages = Stages::default();
        let known = granted_secrets(rules, plugins, problems);
        let mut wanted: HashMap<StageKey, Wanted<'_>> = HashMap::new();
        for rule in &rules.rules {
            let routes: Vec<String> = rule.routes.keys().map(ToString::to_string).collect();
            let mut keys = Vec::with_capacity(rule.stages.len());
            for stage in &rule.stages {
                let (with, secrets) =
                    match resolve_secrets(&stage.with, &rules.directory) {
                        Ok(resolved) => resolved,
                        Err(errors) => {
                            problems.extend(errors.into_iter().map(|(key, error)| {
                                Problem::error(error.to_string()).at(stage.with_location.find(&key))
                            }));
                            continue;
                        }
                    };
                let Some(plugin) = plugins.get(&stage.plugin) else { continue };
                let names = plugin.settings().grants.secrets.iter();
                let granted: BTreeMap<_, _> =
                    names.filter_map(|name| Some((name.clone(), known.get(name)?.clone()))).collect();
                if granted.len() < plugin.settings().grants.secrets.len() {
                    continue;
                }
                let config = with.to_string();
                let key = StageKey {
                    plugin: stage.plugin.clone(),
                    component: *plugin.digest(),
                    settings: settings_digest(&config, &granted),
                    routes: routes.clone(),
                };
                wanted.entry(key.clone()).or_insert(Wanted { rule, stage, config, secrets, granted });
                keys.push(key);
            }
            stages.of_rules.push(keys);
        }
        let wanted: Vec<_> = wanted.into_iter().collect();
        let configured = parallel(&wanted, |(key, wanted)| self.configure_one(key, wanted, plugins, rules));
        for ((key, _), result) in wanted.into_iter().zip(configured) {
            match result {
                Ok(known) => {
                    stages.known.insert(key, known);
                }
                Err(problem) => problems.push(*problem),
            }
        }
        stages
    }

    fn configure_one(
        &self,
        key: &StageKey,
        wanted: &Wanted<'_>,
        plugins: &BTreeMap<PluginName, Arc<Plugin>>,
        rules: &Rules,
    ) -> Result<Known, Box<Problem>> {
        let plugin = &plugins[&key.plugin];
        let known = self.stages.get(key).filter(|known| Arc::ptr_eq(&known.plugin, plugin));
        if let Some(known) = known.filter(|known| known.stage.files().is_empty()) {
            return Ok(known.clone());
        }
        let config = wanted.config.clone();
        let secrets = StageSecrets {
            of_settings: wanted.secrets.iter().map(|secret| secret.expose().to_owned()).collect(),
            granted: wanted.granted.iter().map(|(name, secret)| (name.clone(), secret.expose().to_owned())).collect(),
        };
        match plugin.configure(config, key.routes.clone(), &rules.directory, secrets) {
            Ok(stage) => Ok(match known {
                // It has read the same files: its instances may as well live on.
                Some(known) if known.stage.digest() == stage.digest() => known.clone(),
                _ => Known { plugin: Arc::clone(plugin), stage },
            }),
            Err(error) => {
                let mut text = error.to_string();
                if let Some((path, reference)) = refused_reference(&wanted.stage.with, &text) {
                    // Whatever the plugin says about a secret may show some of it.
                    text = format!("{path}: the value of `{reference}` is not accepted");
                }
                let (location, reason) = wanted.stage.with_location.find_in(&text);
                let message = format!("rule `{}`, plugin `{}`: {text}", wanted.rule.name, key.plugin);
                let label = reason.lines().next().unwrap_or_default();
                Err(Box::new(Problem::error(message).at(location).label(label)))
            }
        }
    }

    fn assemble(
        &mut self,
        rules: &Rules,
        plugins: &BTreeMap<PluginName, Arc<Plugin>>,
        stages: &Stages,
        letter_keys: &[Option<Arc<LetterKey>>],
    ) -> Plan {
        let mut plans = Vec::with_capacity(rules.rules.len());
        let concurrency = rules.config.sidecar.as_ref().map_or(1, |sidecar| sidecar.deliver_concurrency);
        for ((rule, keys), letter_key) in rules.rules.iter().zip(&stages.of_rules).zip(letter_keys) {
            let standing = &mut self.standing;
            let numbered = rule.stages.iter().zip(1..).zip(keys);
            let stages = numbered.map(|((stage, number), key)| StagePlan {
                plugin: stage.plugin.clone(),
                optional: stage.optional,
                breaker: standing.plugin(&stage.plugin, plugins[&stage.plugin].settings().breaker),
                stage: Arc::clone(&stages.known[key].stage),
                metrics: self.metrics.plugin(&stage.plugin),
                seconds: self.metrics.stage((rule.name.clone(), number, stage.plugin.clone())),
            });
            let stages = stages.collect();
            let routes = rule.routes.iter().map(|(name, route)| RoutePlan {
                name: name.clone(),
                to: RouteTo::of(&route.to, &standing.outlets, concurrency),
                breaker: standing.route(&rule.name, name, rule.breaker.settings),
                metrics: self.metrics.route(&rule.name, name),
            });
            let routes: Vec<_> = routes.collect();
            plans.push(RulePlan {
                name: rule.name.clone(),
                number: self.standing.rule(&rule.name),
                source: rule.source.clone(),
                subject: rule.subject.clone(),
                stages,
                default_route: routes.iter().position(|route| route.name.as_str() == "default"),
                routes,
                order_by: rule.order_by.clone(),
                concurrency: rule.concurrency,
                priority: rule.priority,
                atomic: rule.atomic,
                gate: self.standing.gate(&rule.name),
                divert: rule
                    .breaker
                    .divert
                    .as_ref()
                    .and_then(|name| rule.routes.keys().position(|route| route == name)),
                on_failure: rule.on_failure.clone(),
                dead_letter_key: letter_key.clone(),
                metrics: self.metrics.rule(&rule.name),
                throttle: Throttle::counting(self.metrics.held_back()),
            });
        }
        let plugins: Vec<_> = plugins.iter().map(|(name, plugin)| (name.clone(), *plugin.digest())).collect();
        Plan {
            revision: revision(rules, &plugins, stages, letter_keys),
            sources: self.sources(rules, &plans),
            rules: plans,
            plugins,
            json: rules.config.runtime.json_limits(),
        }
    }

    fn sources(&self, rules: &Rules, plans: &[RulePlan]) -> BTreeMap<crate::names::SourceName, SourcePlan> {
        let plan = |(name, source): (&crate::names::SourceName, &crate::rules::Source)| {
            let taking = plans.iter().zip(0u32..).filter(|(rule, _)| rule.source == *name);
            let filter = match &source.kind {
                SourceKind::JetStream { filter_subjects, .. } => filter_subjects.clone(),
                SourceKind::Core { subject, .. } => vec![subject.clone()],
                SourceKind::Sidecar | SourceKind::Replies => Vec::new(),
            };
            let index = SubjectIndex::new(taking.map(|(rule, position)| (&rule.subject, position)));
            (name.clone(), SourcePlan { index, filter, metrics: self.metrics.source(name) })
        };
        rules.config.sources.iter().map(plan).collect()
    }
}

/// Lengths go in with the texts, so that no two lists of texts give the same bytes.
fn settings_digest(config: &str, granted: &BTreeMap<SecretName, Secret>) -> [u8; 32] {
    let mut hasher = Sha256::new();
    let granted = granted.iter().flat_map(|(name, secret)| [name.as_str(), secret.expose()]);
    for text in std::iter::once(config).chain(granted) {
        hasher.update((text.len() as u64).to_le_bytes());
        hasher.update(text);
    }
    hasher.finalize().into()
}

/// The key that an error of the form `fields[0].key: reason` is about, and the reference to a secret that is its value.
fn refused_reference<'e>(with: &'e serde_json::Value, error: &'e str) -> Option<(&'e str, &'e str)> {
    let (path, _) = error.split_once(": ")?;
    let mut value = with;
    for step in path.split(['.', '[', ']']).filter(|step| !step.is_empty()) {
        value = match value {
            serde_json::Value::Array(elements) => elements.get(step.parse::<usize>().ok()?)?,
            other => other.get(step)?,
        };
    }
    let reference = value.as_str().filter(|text| SecretRef::is_reference(text))?;
    Some((path, reference))
}

/// The stages of a plan: which each rule has, and what they are.
#[derive(Default)]
struct Stages {
    of_rules: Vec<Vec<StageKey>>,
    known: HashMap<StageKey, Known>,
}

/// The digest of everything that decides what becomes of a message, secrets included: a changed key is another
/// revision.
fn revision(
    rules: &Rules,
    plugins: &[(PluginName, [u8; 32])],
    stages: &Stages,
    letter_keys: &[Option<Arc<LetterKey>>],
) -> Revision {
    let mut hasher = Sha256::new();
    hasher.update(rules.digest);
    for (name, digest) in plugins {
        hasher.update(name.as_str());
        hasher.update(digest);
    }
    for key in stages.of_rules.iter().flatten() {
        hasher.update(stages.known[key].stage.digest());
    }
    for key in letter_keys.iter().flatten() {
        hasher.update(key.digest());
    }
    Revision::from_digest(&hasher.finalize().into())
}

/// Maps in parallel, on as many threads as there are cores; results are in the order of the items.
fn parallel<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(items.len());
    if threads <= 1 {
        return items.iter().map(work).collect();
    }
    let next = AtomicUsize::new(0);
    let mut done: Vec<(usize, R)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    let mut mine = Vec::new();
                    while let Some((position, item)) = {
                        let position = next.fetch_add(1, Ordering::Relaxed);
                        items.get(position).map(|item| (position, item))
                    } {
                        mine.push((position, work(item)));
                    }
                    mine
                })
            })
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    done.sort_by_key(|(position, _)| *position);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_about_a_secret_is_told_by_its_reference_alone() {
        let with = serde_json::json!({ "detect": [{ "regex": "env:PATTERN" }], "plain": "text" });
        let told = refused_reference(&with, "detect[0].regex: 1: (?x)hunter2 is wrong");
        assert_eq!(told, Some(("detect[0].regex", "env:PATTERN")));
        assert_eq!(refused_reference(&with, "plain: wrong"), None);
        assert_eq!(refused_reference(&with, "detect[7].regex: wrong"), None);
        assert_eq!(refused_reference(&with, "wrong"), None);
    }

    #[test]
    fn parallel_work_keeps_the_order_of_its_items() {
        let items: Vec<u32> = (0..1000).collect();
        assert_eq!(parallel(&items, |item| item * 2), items.iter().map(|item| item * 2).collect::<Vec<_>>());
        assert!(parallel(&[] as &[u32], |item| *item).is_empty());
    }
}
