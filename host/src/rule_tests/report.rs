//! What became of the tests, for people.

use std::fmt::Write as _;

use super::compare::{Difference, Pair};
use super::never::Place;
use super::{Done, diff};
use crate::flow::refusal;
use crate::rules::Rules;
use crate::rules::testing::{Ending, Expectation};

/// Why a test failed, over several lines.
#[must_use]
pub fn failure(done: &Done<'_>, rules: &Rules) -> String {
    let mut text = String::new();
    if done.test().expect.is_empty() {
        text.push_str("the test expects nothing: write [[test.expect]], or let `--update` write what happens\n");
    }
    for (expectation, pair) in done.test().expect.iter().zip(&done.comparison.pairs) {
        let at = &expectation.location;
        match pair {
            Pair::Met => {}
            Pair::Missing => {
                line(&mut text, &format!("did not happen: {} ({at})", wanted(expectation)));
                if let Some(why) = why_not(expectation, done, rules) {
                    line(&mut text, &format!("  {why}"));
                }
            }
            Pair::Differs(happened, differences) => {
                line(&mut text, &format!("differs from {at}: {}", done.happened[*happened].summary()));
                differences.iter().for_each(|difference| show(&mut text, difference));
            }
        }
    }
    for (happened, _) in &done.comparison.unexpected {
        line(&mut text, &format!("not expected: {}", done.happened[*happened].summary()));
    }
    for leak in &done.leaks {
        let happened = &done.happened[leak.happened];
        line(
            &mut text,
            &format!("must never come out: {:?} is in {} of {}", leak.text, leak.place, happened.summary()),
        );
        line(&mut text, &format!("  {}", leak.excerpt));
        if happened.ending == Ending::DeadLettered && leak.place == Place::Payload {
            line(
                &mut text,
                "  a dead letter keeps the message as it came, unless `encrypt` is set: docs/dead-letters.md",
            );
        }
    }
    text
}

/// How many tests there were, and how many of them passed.
#[must_use]
pub fn summary(done: &[Done<'_>]) -> String {
    let passed = done.iter().filter(|done| done.passed()).count();
    let tests = if done.len() == 1 { "test" } else { "tests" };
    format!("{} {tests}: {passed} passed, {} failed\n", done.len(), done.len() - passed)
}

fn line(text: &mut String, line: &str) {
    let printable: String = line.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    text.push_str(&printable);
    text.push('\n');
}

fn show(text: &mut String, difference: &Difference) {
    line(text, &format!("  {}", difference.what));
    for shown in diff::lines(&difference.want, &difference.got) {
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "    {shown}");
    }
}

fn wanted(expectation: &Expectation) -> String {
    match &expectation.rule {
        Some(rule) => format!("rule `{rule}`, {}", expectation.ending.as_str()),
        None => expectation.ending.as_str().to_owned(),
    }
}

/// Why the rule of an expectation has not taken the message at all.
fn why_not(expectation: &Expectation, done: &Done<'_>, rules: &Rules) -> Option<String> {
    let test = done.test();
    let rule = rules.rules.iter().find(|rule| Some(&rule.name) == expectation.rule.as_ref())?;
    let why = refusal(rules, rule, test.message.subject.as_str(), test.source.as_ref())?;
    Some(format!("the rule does not take `{}`: {why}", test.message.subject))
}
