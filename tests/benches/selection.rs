//! Selects and replaces three fields of an order of 1 kB, beside what others take for the same:
//! `cargo bench -p trackside-tests --bench selection`.

#![allow(missing_docs, reason = "criterion's macro makes public functions without any")]

#[path = "common/mod.rs"]
mod common;

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sonic_rs::{JsonValueMutTrait as _, Value};
use trackside_json::{Limits, Match, Replacement, Selector, replace, validate};

use common::order;

const PATHS: [&str; 3] = ["$.customer.email", "$.customer.phone", "$.payment.card"];
const POINTERS: [[&str; 2]; 3] = [["customer", "email"], ["customer", "phone"], ["payment", "card"]];

/// The whole of a mask: find three fields and replace them, with everything else as it was.
fn mask(criterion: &mut Criterion) {
    let order = order();
    let bytes = order.as_bytes();
    let limits = Limits::default();
    let mut group = criterion.benchmark_group("mask three fields");
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    let selector = Selector::compile(&PATHS).expect("the paths are right");
    let mut matches: Vec<Match> = Vec::new();
    let values = [Some(Replacement::Text("***")); 3];
    group.bench_function("trackside-json", |bench| {
        bench.iter(|| {
            selector.select_into(black_box(bytes), &limits, &mut matches).expect("the order is JSON");
            replace(bytes, &matches, &values, &limits).expect("the values are JSON")
        });
    });
    group.bench_function("serde_json, parse, edit, print", |bench| {
        bench.iter(|| {
            let mut order: serde_json::Value = serde_json::from_slice(black_box(bytes)).expect("the order is JSON");
            for [outer, inner] in POINTERS {
                order[outer][inner] = "***".into();
            }
            serde_json::to_vec(&order).expect("it can be printed")
        });
    });
    group.bench_function("sonic-rs DOM, parse, edit, print", |bench| {
        bench.iter(|| {
            let mut order: Value = sonic_rs::from_slice(black_box(bytes)).expect("the order is JSON");
            for pointer in &POINTERS {
                *order.pointer_mut(pointer).expect("it is there") = Value::from("***");
            }
            sonic_rs::to_vec(&order).expect("it can be printed")
        });
    });
    group.finish();
}

/// The first half: find, or find and count.
fn select(criterion: &mut Criterion) {
    let order = order();
    let bytes = order.as_bytes();
    let limits = Limits::default();
    let mut group = criterion.benchmark_group("select");
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("validate only", |bench| bench.iter(|| validate(black_box(bytes), &limits)));
    let mut matches: Vec<Match> = Vec::new();
    for (name, paths) in [
        ("three fields", &PATHS[..]),
        ("three descendants", &["$..email", "$..phone", "$..card"]),
        ("a filter", &["$.items[?@.quantity > 2].price"]),
    ] {
        let selector = Selector::compile(paths).expect("the paths are right");
        group.bench_function(name, |bench| {
            bench.iter(|| selector.select_into(black_box(bytes), &limits, &mut matches).expect("the order is JSON"));
        });
    }
    let selector = Selector::compile(&PATHS).expect("the paths are right");
    group.bench_function("three fields, read before", |bench| {
        bench.iter(|| selector.select_again_into(black_box(bytes), &limits, &mut matches).expect("the order is JSON"));
    });
    let paths = PATHS.map(|path| serde_json_path::JsonPath::parse(path).expect("the path is right"));
    group.bench_function("three fields, serde_json_path", |bench| {
        bench.iter(|| {
            let order: serde_json::Value = serde_json::from_slice(black_box(bytes)).expect("the order is JSON");
            paths.iter().map(|path| path.query(&order).len()).sum::<usize>()
        });
    });
    group.finish();
}

criterion_group!(benches, mask, select);
criterion_main!(benches);
