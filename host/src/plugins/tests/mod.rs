//! Tests of whole plugins: components made of the modules in `tests/hostile`, run by the real engine.

#[path = "../../../../tests/hostile/mod.rs"]
#[allow(unreachable_pub, reason = "shared with other crates")]
mod hostile;

mod bounds;
mod cache;
mod calls;
mod contract;
mod files;
mod golden;
mod grants;
mod life;
mod load;
mod secrets;
mod snapshot;
mod wasi;

use std::borrow::Cow;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use crate::message::{Message, Origin, OriginKind, Subject};
use crate::names::PluginName;
use crate::rules::{BucketAccess, Grants, Isolation, PluginLimits, PluginSettings};

use super::{
    CallError, ConfigureError, ConfiguredStage, Engine, EngineSettings, Fault, Instances, Plugin, PluginSource,
    StageSecrets, Verdict, Work,
};

static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    let settings = EngineSettings { max_instances: 100, ..EngineSettings::default() };
    Engine::new(settings).expect("an engine")
});

fn settings() -> PluginSettings {
    PluginSettings {
        path: None,
        oci: None,
        sha256: None,
        signed_by: Vec::new(),
        grants: Grants::default(),
        limits: PluginLimits {
            memory_bytes: 16 << 20,
            deadline: Duration::from_millis(500),
            configure_deadline: Duration::from_secs(2),
            compile_timeout: Duration::from_secs(60),
            compile_memory_bytes: 2 << 30,
            table_elements: 20_000,
            host_calls: 10_000,
            host_bytes: 8 << 20,
            log_lines_per_second: 100,
            recycle_after_messages: 1_000_000,
            recycle_above_bytes: 12 << 20,
        },
        breaker: PluginSettings::default().breaker,
        isolation: Isolation::Instance,
        files: vec!["schemas/".to_owned()],
        location: None,
    }
}

fn source(bytes: Vec<u8>, settings: PluginSettings) -> PluginSource {
    PluginSource { name: PluginName::new("test").expect("a name"), bytes: Cow::Owned(bytes), settings }
}

fn load_with(name: &str, change: impl FnOnce(&mut PluginSettings)) -> Arc<Plugin> {
    let mut settings = settings();
    change(&mut settings);
    ENGINE.load(source(hostile::component(name), settings)).expect("it loads")
}

fn load(name: &str) -> Arc<Plugin> {
    load_with(name, |_| {})
}

fn configure(plugin: &Arc<Plugin>) -> Result<Arc<ConfiguredStage>, ConfigureError> {
    plugin.configure("{}".to_owned(), vec!["default".to_owned()], Path::new("."), StageSecrets::default())
}

/// A plugin that may write to the log.
fn load_with_log(name: &str) -> Arc<Plugin> {
    load_with(name, |settings| settings.grants.log = true)
}

fn stage(name: &str) -> Arc<ConfiguredStage> {
    configure(&load(name)).expect("it takes the settings")
}

fn work(payload: &str) -> Work {
    let mut message = Message {
        subject: Subject::new("orders.eu").expect("a subject"),
        payload: payload.to_owned().into(),
        ..Message::default()
    };
    message.headers.push("Region", "eu");
    Work::new(message, origin("ORDERS:1:0", 1_763_800_000_123))
}

fn origin(id: &str, timestamp_ms: u64) -> Arc<Origin> {
    Arc::new(Origin { kind: OriginKind::Trial, id: id.into(), timestamp_ms, delivery: 1 })
}

fn call(stage: &Arc<ConfiguredStage>, work: &mut Work) -> Result<Verdict, CallError> {
    Instances::new(1).call(stage, work)
}

/// Calls a plugin once and gives the fault that it must end with.
fn fault_of(stage: &Arc<ConfiguredStage>) -> Fault {
    let mut work = work("{}");
    match call(stage, &mut work) {
        Err(CallError::Fault(fault)) => fault,
        other => panic!("not a fault: {other:?}"),
    }
}
