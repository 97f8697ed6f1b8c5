//! What single steps of the hot path cost: a call of a plugin, a new instance, the lookup of a subject, a template:
//! `cargo bench -p trackside-tests --bench calls`.

#![allow(missing_docs, reason = "criterion's macro makes public functions without any")]

#[path = "common/mod.rs"]
mod common;

use std::hint::black_box;

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use trackside::message::SubjectIndex;
use trackside::message::SubjectPattern;
use trackside::plugins::{Engine, EngineSettings, Instances};
use trackside::rules::{Isolation, Template};
use trackside_json::{Limits, Match, Replacement, Selector, replace};

use common::{STANDARD, order_work, payload, stage, standard_stage, work};

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

/// Messages that have an instance of a standard plugin each, and messages that share one.
fn isolated(criterion: &mut Criterion) {
    let engine = Engine::new(EngineSettings::default()).expect("an engine");
    let mut group = criterion.benchmark_group("standard plugins");
    for (plugin, config) in STANDARD {
        for (name, isolation) in [("instance", Isolation::Instance), ("message", Isolation::Message)] {
            let stage = standard_stage(&engine, plugin, config, isolation);
            let mut instances = Instances::new(16);
            let mut work = order_work();
            let payload = work.message.payload.clone();
            group.bench_function(format!("{plugin}, isolation = {name:?}"), |bench| {
                bench.iter(|| {
                    work.message.payload = payload.clone();
                    instances.call(&stage, &mut work).expect("a verdict")
                });
            });
        }
    }
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

criterion_group!(benches, calls, isolated, subjects, templates);
criterion_main!(benches);
