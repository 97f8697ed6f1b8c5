//! Three fields of an order of 1 kB, found and replaced, beside what others take for the same.

use std::hint::black_box;

use sonic_rs::{JsonValueMutTrait as _, Value};
use trackside_json::{Limits, Match, Replacement, Selector, replace, validate};

use crate::common::order;
use crate::{Step, count};

const PATHS: [&str; 3] = ["$.customer.email", "$.customer.phone", "$.payment.card"];
const POINTERS: [[&str; 2]; 3] = [["customer", "email"], ["customer", "phone"], ["payment", "card"]];

/// The steps; those of others begin with `others: `.
pub(crate) const STEPS: [Step; 8] = [
    ("json: validate", check),
    ("json: select three fields", || find(&PATHS)),
    ("json: select three descendants", || find(&["$..email", "$..phone", "$..card"])),
    ("json: select with a filter", || find(&["$.items[?@.quantity > 2].price"])),
    ("json: select and replace three fields", mask),
    ("others: serde_json, parse, edit and print", by_serde_json),
    ("others: sonic-rs, parse, edit and print", by_sonic_rs),
    ("others: serde_json_path, parse and select", by_serde_json_path),
];

fn check() {
    let (order, limits) = (order(), Limits::default());
    count(|| validate(black_box(order.as_bytes()), &limits).expect("the order is JSON"));
}

fn find(paths: &[&str]) {
    let (order, limits) = (order(), Limits::default());
    let selector = Selector::compile(paths).expect("the paths are right");
    let mut matches: Vec<Match> = Vec::new();
    count(|| selector.select_into(black_box(order.as_bytes()), &limits, &mut matches).expect("the order is JSON"));
}

fn mask() {
    let (order, limits) = (order(), Limits::default());
    let selector = Selector::compile(&PATHS).expect("the paths are right");
    let mut matches: Vec<Match> = Vec::new();
    let values = [Some(Replacement::Text("***")); 3];
    count(|| {
        let bytes = black_box(order.as_bytes());
        selector.select_into(bytes, &limits, &mut matches).expect("the order is JSON");
        replace(bytes, &matches, &values, &limits).expect("the values are JSON")
    });
}

fn by_serde_json() {
    let order = order();
    count(|| {
        let bytes = black_box(order.as_bytes());
        let mut order: serde_json::Value = serde_json::from_slice(bytes).expect("the order is JSON");
        for [outer, inner] in POINTERS {
            order[outer][inner] = "***".into();
        }
        serde_json::to_vec(&order).expect("it can be printed")
    });
}

fn by_sonic_rs() {
    let order = order();
    count(|| {
        let mut order: Value = sonic_rs::from_slice(black_box(order.as_bytes())).expect("the order is JSON");
        for pointer in &POINTERS {
            *order.pointer_mut(pointer).expect("it is there") = Value::from("***");
        }
        sonic_rs::to_vec(&order).expect("it can be printed")
    });
}

fn by_serde_json_path() {
    let order = order();
    let paths = PATHS.map(|path| serde_json_path::JsonPath::parse(path).expect("the path is right"));
    count(|| {
        let bytes = black_box(order.as_bytes());
        let order: serde_json::Value = serde_json::from_slice(bytes).expect("the order is JSON");
        paths.iter().map(|path| path.query(&order).len()).sum::<usize>()
    });
}
