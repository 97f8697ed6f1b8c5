//! Which rules take a subject, and the subject of an output.

use std::hint::black_box;

use trackside::message::SubjectIndex;
use trackside::message::SubjectPattern;
use trackside::rules::Template;
use trackside_json::Limits;

use crate::common::work;
use crate::{Step, count};

pub(crate) const STEPS: [Step; 6] = [
    ("subject: one of 10 rules", || find(10)),
    ("subject: one of 1,000 rules", || find(1_000)),
    ("subject: one of 10,000 rules", || find(10_000)),
    ("template: literal", || render("clean.orders")),
    ("template: from the subject", || render("clean.{subject.2}")),
    ("template: from the payload", || render("clean.{json:$.region}")),
];

fn find(rules: u32) {
    let pattern = |rule| SubjectPattern::new(&format!("orders.r{rule}.*.created")).expect("a pattern");
    let patterns: Vec<_> = (0..rules).map(|rule| (pattern(rule), rule)).collect();
    let index = SubjectIndex::new(patterns.iter().map(|(pattern, rule)| (pattern, *rule)));
    let mut found = Vec::new();
    count(|| index.find(black_box("orders.r7.eu.created"), &mut found));
}

fn render(text: &str) {
    let (message, limits) = (work().message, Limits::default());
    let template = Template::parse(text).expect("a template");
    count(|| template.render(black_box(&message), &limits).expect("a subject"));
}
