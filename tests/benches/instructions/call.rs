//! A call of a stage, with an instance that lives on and with a fresh one for each message.

use trackside::plugins::Instances;
use trackside::rules::Isolation;

use crate::common::{stage, work};
use crate::{Step, count, engine};

pub(crate) const STEPS: [Step; 3] = [
    ("call: nothing", || call("forward", Isolation::Instance)),
    ("call: one select and one replace", || call("redact", Isolation::Instance)),
    ("call: a fresh instance", || call("forward", Isolation::Message)),
];

fn call(plugin: &str, isolation: Isolation) {
    let engine = engine();
    let stage = stage(&engine, plugin, isolation);
    let mut instances = Instances::new(16);
    let mut work = work();
    let payload = work.message.payload.clone();
    count(|| {
        work.message.payload = payload.clone();
        instances.call(&stage, &mut work).expect("a verdict")
    });
}
