//! What single steps of the hot path cost: a call of a plugin, a new instance, the lookup of a subject, a template:
//! `cargo bench -p trackside-tests --bench calls`.

#![allow(missing_docs, reason = "criterion's macro makes public functions without any")]

#[path = "../hostile/mod.rs"]
#[allow(dead_code, unreachable_pub)]
mod hostile;

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use trackside::message::{Headers, Message, Origin, OriginKind, Subject, SubjectPattern};
use trackside::names::PluginName;
use trackside::plan::SubjectIndex;
use trackside::plugins::{ConfiguredStage, Engine, EngineSettings, Instances, PluginSource, StageSecrets, Work};
use trackside::rules::{Isolation, PluginSettings, Template};
use trackside_json::{Limits, Match, Replacement, Selector, replace};

/// A call that does nothing, one with a `select` and a `replace`, and the native cost of the latter's work.
fn calls(criterion: &mut Criterion) {
    let engine = Engine::new(EngineSettings::default()).expect("an engine");
    let mut group = criterion.benchmark_group("stage call");
    for (name, plugin, isolation) in [
        ("nothing", "forward", Isolation::Instance),
        ("one select and one replace", "redact", Isolation::Instance),
        ("nothing, fresh instance", "forward", Isolation::Message),
        ("one select and one replace, fresh instance", "redact", Isolation::Message),
    ] {
        let stage = stage(&engine, plugin, isolation);
        let mut instances = Instances::new(16);
        let mut work = work();
        let payload = work.message.payload.clone();
        group.bench_function(name, |bench| {
            bench.iter(|| {
                work.message.payload = payload.clone();
                instances.call(&stage, &mut work).expect("a verdict")
            });
        });
    }
    let (selector, limits) = (Selector::compile(&["$.secret"]).expect("a path"), Limits::default());
    let mut matches: Vec<Match> = Vec::new();
    let payload = payload();
    group.bench_function("native cost of one select and one replace", |bench| {
        bench.iter(|| {
            selector.select_into(black_box(&payload), &limits, &mut matches).expect("the order is JSON");
            let values = [Some(Replacement::Text("***"))];
            Bytes::from(replace(&payload, &matches, &values, &limits).expect("the value is JSON"))
        });
    });
    group.finish();
}

/// Which rule takes a message, of few and of many.
fn subjects(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("subject lookup");
    for rules in [10_u32, 10_000] {
        let pattern = |rule| SubjectPattern::new(&format!("orders.r{rule}.*.created")).expect("a pattern");
        let patterns: Vec<_> = (0..rules).map(|rule| (pattern(rule), rule)).collect();
        let index = SubjectIndex::new(patterns.iter().map(|(pattern, rule)| (pattern, *rule)));
        let mut found = Vec::new();
        group.bench_function(format!("{rules} rules"), |bench| {
            bench.iter(|| index.find(black_box("orders.r7.eu.created"), &mut found));
        });
    }
    group.finish();
}

/// The subject of an output.
fn templates(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("template");
    let (message, limits) = (work().message, Limits::default());
    for text in ["clean.orders", "clean.{subject.2}", "clean.{json:$.region}"] {
        let template = Template::parse(text).expect("a template");
        group.bench_function(text, |bench| {
            bench.iter(|| template.render(black_box(&message), &limits).expect("a subject"));
        });
    }
    group.finish();
}

fn stage(engine: &Engine, plugin: &str, isolation: Isolation) -> Arc<ConfiguredStage> {
    let settings = PluginSettings { isolation, ..PluginSettings::default() };
    let name = PluginName::new(plugin).expect("a name");
    let source = PluginSource { name, bytes: hostile::component(plugin).into(), settings };
    let plugin = engine.load(source).expect("a plugin");
    plugin.configure("{}".to_owned(), Vec::new(), Path::new("."), StageSecrets::default()).expect("a stage")
}

fn work() -> Work {
    let (kind, id) = (OriginKind::Core, Arc::from("core:bench:1"));
    let origin = Origin { kind, id, timestamp_ms: 1_700_000_000_000, delivery: 1 };
    let subject = Subject::new("orders.eu.created").expect("a subject");
    Work { message: Message { subject, headers: Headers::default(), payload: payload() }, origin: Arc::new(origin) }
}

/// An order of 1 kB.
fn payload() -> Bytes {
    let line = |number: u32| {
        format!(r#"{{"sku":"T-{number:04}","count":2,"price":19.90,"title":"gear wheel, brass, large"}}"#)
    };
    let lines: Vec<String> = (0..11).map(line).collect();
    let lines = lines.join(",");
    format!(r#"{{"id":"EU-1000001","region":"eu","secret":"4111111111111111","lines":[{lines}],"gift":false}}"#).into()
}

criterion_group!(benches, calls, subjects, templates);
criterion_main!(benches);
