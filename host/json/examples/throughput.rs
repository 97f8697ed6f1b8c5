//! Selects and replaces three fields of an order of 1 kB, beside what serde_json takes to parse, edit and print it:
//! `cargo run --release --example throughput`.

use std::hint::black_box;
use std::time::{Duration, Instant};

use trackside_json::{Limits, Match, Replacement, Selector, replace, validate};

const PATHS: [&str; 3] = ["$.customer.email", "$.customer.phone", "$.payment.card"];

fn main() {
    let order = order();
    let bytes = order.as_bytes();
    let limits = Limits::default();
    println!("an order of {} bytes", bytes.len());

    let selector = Selector::compile(&PATHS).expect("the paths are right");
    let mut matches: Vec<Match> = Vec::new();
    let values = [Some(Replacement::Text("***")); 3];
    measure("validate", bytes.len(), || drop(black_box(validate(black_box(bytes), &limits))));
    measure("select 3 fields", bytes.len(), || {
        selector.select_into(black_box(bytes), &limits, &mut matches).expect("the order is JSON");
        black_box(&matches);
    });
    measure("select and replace 3 fields", bytes.len(), || {
        selector.select_into(black_box(bytes), &limits, &mut matches).expect("the order is JSON");
        drop(black_box(replace(bytes, &matches, &values, &limits).expect("the values are JSON")));
    });
    let descendants = Selector::compile(&["$..email", "$..phone", "$..card"]).expect("the paths are right");
    measure("select 3 descendants", bytes.len(), || {
        descendants.select_into(black_box(bytes), &limits, &mut matches).expect("the order is JSON");
        black_box(&matches);
    });
    let filter = Selector::compile(&["$.items[?@.quantity > 2].price"]).expect("the path is right");
    measure("select by a filter", bytes.len(), || {
        filter.select_into(black_box(bytes), &limits, &mut matches).expect("the order is JSON");
        black_box(&matches);
    });
    measure("serde_json: parse, edit, print", bytes.len(), || {
        let mut order: serde_json::Value = serde_json::from_slice(black_box(bytes)).expect("the order is JSON");
        for place in ["/customer/email", "/customer/phone", "/payment/card"] {
            if let Some(value) = order.pointer_mut(place) {
                *value = "***".into();
            }
        }
        drop(black_box(serde_json::to_vec(&order)));
    });
}

/// Prints the fastest of many rounds and their median, which differ on a machine that has other work as well.
fn measure(what: &str, bytes: usize, mut run: impl FnMut()) {
    const CALLS: u32 = 1_000;
    let mut rounds: Vec<Duration> = (0..400)
        .map(|_| {
            let start = Instant::now();
            (0..CALLS).for_each(|_| run());
            start.elapsed() / CALLS
        })
        .collect();
    rounds.sort_unstable();
    let (best, median) = (rounds[0].as_secs_f64(), rounds[rounds.len() / 2].as_secs_f64());
    let rate = bytes as f64 / best / 1e6;
    println!("{what:32} best {:6.0} ns ({rate:5.0} MB/s), median {:6.0} ns", best * 1e9, median * 1e9);
}

fn order() -> String {
    let item = |number: u32| {
        format!(
            r#"{{"sku":"TRK-{number:05}","title":"Signal lamp, type {number}","quantity":{number},"price":{{"amount":"{number}9.90","currency":"EUR"}},"tags":["lamp","signal"]}}"#
        )
    };
    let items: Vec<String> = (1..=4).map(item).collect();
    format!(
        r#"{{"id":"ord-000017","created":"2026-11-22T10:00:00Z","region":"eu-central","customer":{{"id":4711,"name":"Ada Lovelace","email":"ada@example.org","phone":"+49 30 1234567","address":{{"street":"Invalidenstraße 43","zip":"10115","city":"Berlin","country":"DE"}}}},"payment":{{"method":"card","card":"4111 1111 1111 1111","expires":"2029-07","holder":"A. Lovelace"}},"items":[{}],"total":{{"amount":"238.60","currency":"EUR"}},"notes":null,"gift":false}}"#,
        items.join(",")
    )
}
