//! The contract's boundary: a guest that makes whatever host calls the input says, with whatever pointers, and returns
//! whatever it likes (`tests/hostile/interpreter.wat`). What comes out has to be fit for those who get it, a fault has to
//! leave the message as it was, and a second time has to give the same.

use std::borrow::Cow;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use trackside::message::{Headers, Message, Origin, OriginKind, Subject, is_reserved};
use trackside::names::PluginName;
use trackside::plugins::{
    CallError, ConfiguredStage, Engine, EngineSettings, Fault, Instances, PluginSource, StageSecrets, Verdict, Work,
};
use trackside::rules::PluginSettings;

const DEADLINE: Duration = Duration::from_secs(2);

static STAGE: OnceLock<Arc<ConfiguredStage>> = OnceLock::new();

/// The interpreter, ready to be called.
fn stage(component: fn(&str) -> Vec<u8>) -> Arc<ConfiguredStage> {
    let engine = Engine::new(EngineSettings { max_instances: 1, ..EngineSettings::default() }).expect("an engine");
    let mut settings = PluginSettings::default();
    settings.limits.memory_bytes = 4 << 20;
    settings.limits.deadline = DEADLINE;
    settings.grants.log = true;
    settings.limits.host_calls = 500;
    settings.limits.host_bytes = 2 << 20;
    let bytes = Cow::Owned(component("interpreter"));
    let name = PluginName::new("interpreter").expect("a name");
    let plugin = engine.load(PluginSource { name, bytes, settings }).expect("it loads");
    plugin
        .configure("{}".to_owned(), vec!["default".to_owned()], Path::new("."), StageSecrets::default())
        .expect("it takes them")
}

/// Runs a script. `component` makes a component of a file in `tests/hostile`.
pub(crate) fn check(component: fn(&str) -> Vec<u8>, script: &[u8]) {
    let stage = STAGE.get_or_init(|| stage(component));
    let before = work(script);
    let (first, after) = run(stage, &before);
    fit(&first, &after.message.headers);
    if first.is_err() {
        assert_eq!(after.message, before.message, "after {first:?}");
    }
    if !matches!(first, Err(CallError::Fault(Fault::Deadline { .. }))) {
        let (second, again) = run(stage, &before);
        assert_eq!((second, again.message), (first, after.message), "the same message through the same stage");
    }
}

fn work(script: &[u8]) -> Work {
    let mut message = Message {
        subject: Subject::new("orders.eu").expect("a subject"),
        payload: script.to_vec().into(),
        headers: Headers::default(),
    };
    message.headers.push("Region", "eu");
    message.headers.push("Nats-Msg-Id", "7");
    let origin = Origin { kind: OriginKind::Trial, id: "ORDERS:1:0".into(), timestamp_ms: 1, delivery: 1 };
    Work::new(message, Arc::new(origin))
}

fn run(stage: &Arc<ConfiguredStage>, before: &Work) -> (Result<Verdict, CallError>, Work) {
    let mut work = before.clone();
    let result = Instances::new(1).call(stage, &mut work);
    (result, work)
}

/// Whether what comes out can be published, logged and shown.
fn fit(result: &Result<Verdict, CallError>, headers: &Headers) {
    carried(headers, true);
    let reason = match result {
        Ok(Verdict::Drop(reason) | Verdict::Reject(reason)) => reason.clone(),
        Ok(Verdict::Route(routes)) => {
            assert!(routes.iter().all(|route| shown(route, 128)), "{routes:?}");
            return;
        }
        Ok(Verdict::Split(parts)) => {
            for part in parts {
                carried(&part.headers, false);
                assert!(part.route.as_ref().is_none_or(|route| shown(route, 128)), "{part:?}");
            }
            return;
        }
        Ok(Verdict::Publish(published)) => {
            assert!(published.iter().all(|one| shown(&one.shown, 128)), "{published:?}");
            return;
        }
        Ok(Verdict::Forward) => return,
        Err(error) => error.to_string(),
    };
    assert!(shown(&reason, 8192), "{reason:?}");
}

fn shown(text: &str, max_bytes: usize) -> bool {
    text.len() <= max_bytes + '…'.len_utf8() && !text.contains(char::is_control)
}

fn carried(headers: &Headers, may_be_reserved: bool) {
    for header in headers {
        let name = !header.name.is_empty() && header.name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':');
        assert!(name && !header.value.contains(['\r', '\n', '\0']), "{header:?}");
        assert!(may_be_reserved || !is_reserved(&header.name), "{header:?}");
    }
    if may_be_reserved {
        let reserved: Vec<_> = headers.iter().filter(|header| is_reserved(&header.name)).collect();
        assert!(reserved.iter().all(|header| header.name == "Nats-Msg-Id" && header.value == "7"), "{reserved:?}");
    }
}
