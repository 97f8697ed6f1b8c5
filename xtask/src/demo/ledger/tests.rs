use async_nats::HeaderMap;

use super::*;

const SEED: u64 = 11;

fn ledger() -> Ledger {
    Ledger::new(SEED, 100, Revision { name: "old".to_owned(), threshold: 1000.0 })
}

/// The first order of this kind.
fn number(kind: Kind) -> u32 {
    (0..100).find(|number| Order::new(SEED, *number).kind == kind).expect("every kind is in a hundred")
}

fn arrival(number: u32, outcome: Outcome, revision: &str, payload: &str) -> Arrival {
    let mut headers = HeaderMap::new();
    headers.insert("Trackside-Revision", revision);
    Arrival {
        outcome,
        subject: "clean.orders.created".to_owned(),
        number: Some(number),
        latency: Duration::from_millis(u64::from(number) + 1),
        headers,
        payload: payload.as_bytes().to_vec(),
    }
}

fn mistakes(ledger: &Ledger) -> String {
    ledger.mistakes().0.join("\n")
}

#[test]
fn an_order_that_arrives_where_it_belongs_is_no_mistake() {
    let mut ledger = ledger();
    ledger.arrive(arrival(number(Kind::Ordinary), Outcome::Clean, "old", "{}"));
    ledger.arrive(arrival(number(Kind::Large), Outcome::Review, "old", "{}"));
    ledger.arrive(arrival(number(Kind::Empty), Outcome::Dead, "old", ""));
    assert_eq!(mistakes(&ledger), "");
    assert_eq!((ledger.distinct(), ledger.totals()), (3, [1, 1, 1]));
}

#[test]
fn a_second_arrival_is_a_mistake_and_counts_once() {
    let mut ledger = ledger();
    let number = number(Kind::Ordinary);
    ledger.arrive(arrival(number, Outcome::Clean, "old", "{}"));
    ledger.arrive(arrival(number, Outcome::Dead, "old", "{}"));
    assert!(mistakes(&ledger).contains("arrived again"), "{}", mistakes(&ledger));
    assert_eq!(ledger.totals(), [1, 0, 0]);
}

#[test]
fn a_message_that_is_no_order_is_a_mistake() {
    let mut ledger = ledger();
    ledger.arrive(arrival(100, Outcome::Clean, "old", "{}"));
    assert!(mistakes(&ledger).contains("none of the orders"));
    assert_eq!(ledger.distinct(), 0);
}

#[test]
fn an_order_in_the_wrong_place_is_a_mistake() {
    let mut ledger = ledger();
    ledger.arrive(arrival(number(Kind::NotJson), Outcome::Clean, "old", "{}"));
    assert!(mistakes(&ledger).contains("should be dead letter and is clean"), "{}", mistakes(&ledger));
}

#[test]
fn a_secret_is_a_mistake_in_a_clean_payload_and_in_a_dead_letters_headers_but_not_in_its_payload() {
    let clean = number(Kind::Ordinary);
    let secret = Order::new(SEED, clean).secrets[1].clone();
    let mut books = ledger();
    books.arrive(arrival(clean, Outcome::Clean, "old", &format!("{{\"x\":\"{secret}\"}}")));
    assert!(mistakes(&books).contains("shows a secret"), "{}", mistakes(&books));

    let dead = number(Kind::NotJson);
    let secret = Order::new(SEED, dead).secrets[1].clone();
    let mut books = ledger();
    books.arrive(arrival(dead, Outcome::Dead, "old", &secret));
    assert_eq!(mistakes(&books), "");
    let mut books = ledger();
    let mut letter = arrival(dead, Outcome::Dead, "old", "");
    letter.headers.insert("Trackside-Dead-Reason", format!("{secret} is bad").as_str());
    books.arrive(letter);
    assert!(mistakes(&books).contains("shows a secret"));
}

#[test]
fn each_order_is_judged_by_the_revision_it_bears() {
    let mut ledger = ledger();
    let middling = number(Kind::Middling);
    let other = (middling + 1..100).find(|n| Order::new(SEED, *n).kind == Kind::Middling).expect("several");
    ledger.arrive(arrival(middling, Outcome::Clean, "old", "{}"));
    ledger.expect_revision(250.0);
    ledger.arrive(arrival(other, Outcome::Review, "new", "{}"));
    ledger.revised("new", 100);
    assert_eq!(mistakes(&ledger), "");
    let rows: Vec<_> = ledger.by_revision().map(|(revision, counts)| (revision.name.as_str(), *counts)).collect();
    assert_eq!(rows, [("old", [1, 0, 0]), ("new", [0, 1, 0])]);
}

#[test]
fn a_third_revision_and_a_stale_one_are_mistakes() {
    let mut ledger = ledger();
    ledger.expect_revision(250.0);
    ledger.revised("new", 0);
    ledger.arrive(arrival(number(Kind::Ordinary), Outcome::Clean, "old", "{}"));
    assert!(mistakes(&ledger).contains("went by the old one"), "{}", mistakes(&ledger));
    ledger.arrive(arrival(number(Kind::Large), Outcome::Review, "third", "{}"));
    assert!(mistakes(&ledger).contains("which never was"), "{}", mistakes(&ledger));
}

#[test]
fn percentiles_are_those_of_the_nearest_rank() {
    let mut ledger = ledger();
    assert_eq!(ledger.percentile(50), Duration::ZERO);
    for number in 0..100 {
        ledger.arrive(arrival(number, Outcome::Clean, "old", "{}"));
    }
    assert_eq!(ledger.percentile(50), Duration::from_millis(50));
    assert_eq!(ledger.percentile(99), Duration::from_millis(99));
}

#[test]
fn mistakes_are_told_up_to_a_bound_and_counted_beyond() {
    let mut ledger = ledger();
    for number in 0..50 {
        ledger.mistake(number.to_string());
    }
    assert_eq!((ledger.mistakes().0.len(), ledger.mistakes().1), (TOLD_MISTAKES, 50));
}
