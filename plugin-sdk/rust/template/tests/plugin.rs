//! The plugin in native tests, with no WebAssembly: `cargo test`.

use my_plugin::Large;
use serde_json::json;
use trackside_plugin::Verdict;
use trackside_plugin::testing::{Configured, Host};

fn large() -> Configured<Large> {
    let host = Host::new().route("default").route("review");
    host.configure(json!({ "limit": 1000, "to": "review" })).expect("the settings are right")
}

#[test]
fn a_large_order_takes_the_route_and_loses_its_coupon() {
    let outcome = large().handle(r#"{ "amount": 2500.00, "coupon": "XMAS" }"#);
    assert_eq!(outcome.verdict, Ok(Verdict::Route(vec!["review".into()])));
    assert_eq!(outcome.text(), r#"{ "amount": 2500.00 }"#);
}

#[test]
fn a_small_order_goes_on() {
    let outcome = large().handle(r#"{"amount":999.99}"#);
    assert_eq!(outcome.verdict, Ok(Verdict::Forward));
}

#[test]
fn an_order_without_an_amount_is_rejected() {
    let outcome = large().handle(r#"{"amount":"1000"}"#);
    assert_eq!(outcome.rejection(), Some("`$.amount` is not a number"));
}

#[test]
fn a_route_that_the_rule_does_not_have_is_an_error_of_the_settings() {
    let error = Host::new().route("default").configure::<Large>(json!({ "limit": 1000, "to": "review" })).err();
    assert_eq!(error.expect("it is refused").key(), "to");
}
