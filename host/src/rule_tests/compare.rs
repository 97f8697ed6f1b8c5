//! What happened beside what was expected. The order of what one rule publishes is part of what it does, so that the two
//! lists of a rule are compared as they stand; what different rules do is independent.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use trackside_json::Limits;

use super::happened::Happened;
use crate::names::RuleName;
use crate::rules::testing::{Check, Expectation, FieldPath, Payload, json};

/// What stands in a difference for something that is not there.
const NOTHING: &str = "(nothing)";

/// How everything that happened compares with everything that was expected.
#[derive(Debug, Default)]
pub struct Comparison {
    /// For each expectation, in order, what became of it.
    pub pairs: Vec<Pair>,
    /// What happened and was not expected: its position, and that of the expectation it would come before.
    pub unexpected: Vec<(usize, Option<usize>)>,
}

/// What became of an expectation.
#[derive(Debug)]
pub enum Pair {
    /// It was met.
    Met,
    /// Something else happened in its place: its position, and what differs.
    Differs(usize, Vec<Difference>),
    /// Nothing happened in its place.
    Missing,
}

/// Something that is not as it was expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The check that it is about, by its position in the expectation; `None` for the outcome itself.
    pub check: Option<usize>,
    /// What it is about, such as `subject` or a path.
    pub what: String,
    /// What was expected, as text of one line or several.
    pub want: String,
    /// What there was.
    pub got: String,
}

impl Comparison {
    /// Whether nothing differs.
    #[must_use]
    pub fn is_met(&self) -> bool {
        self.unexpected.is_empty() && self.pairs.iter().all(|pair| matches!(pair, Pair::Met))
    }
}

/// Compares rule by rule.
pub(super) fn compare(expected: &[Expectation], happened: &[Happened], limits: &Limits) -> Comparison {
    let mut comparison = Comparison::default();
    comparison.pairs.extend(expected.iter().map(|_| Pair::Missing));
    let rules = expected.iter().map(|e| &e.rule).chain(happened.iter().map(|h| &h.rule));
    for rule in rules.collect::<BTreeSet<&Option<RuleName>>>() {
        let of_rule = |other: &Option<RuleName>| other == rule;
        let expects: Vec<usize> = (0..expected.len()).filter(|&at| of_rule(&expected[at].rule)).collect();
        let happens: Vec<usize> = (0..happened.len()).filter(|&at| of_rule(&happened[at].rule)).collect();
        let differ = |e: usize, h: usize| differences(&expected[e], &happened[h], limits);
        align(&expects, &happens, differ, &mut comparison);
    }
    comparison.unexpected.sort_unstable();
    comparison
}

/// Puts two lists side by side: what agrees at their beginnings and ends, and what is between that in turn.
fn align(
    expects: &[usize],
    happens: &[usize],
    differ: impl Fn(usize, usize) -> Vec<Difference>,
    comparison: &mut Comparison,
) {
    let agree = |(e, h): &(&usize, &usize)| differ(**e, **h).is_empty();
    let start = expects.iter().zip(happens).take_while(agree).count();
    let (left_expects, left_happens) = (&expects[start..], &happens[start..]);
    let end = left_expects.iter().rev().zip(left_happens.iter().rev()).take_while(agree).count();
    let (middle_expects, last) = left_expects.split_at(left_expects.len() - end);
    let middle_happens = &left_happens[..left_happens.len() - end];
    for &met in expects[..start].iter().chain(last) {
        comparison.pairs[met] = Pair::Met;
    }
    for (&e, &h) in middle_expects.iter().zip(middle_happens) {
        let differences = differ(e, h);
        comparison.pairs[e] = if differences.is_empty() { Pair::Met } else { Pair::Differs(h, differences) };
    }
    let next = last.first().copied();
    comparison.unexpected.extend(middle_happens.iter().skip(middle_expects.len()).map(|&h| (h, next)));
}

/// What differs between an expectation and something that happened.
fn differences(expected: &Expectation, happened: &Happened, limits: &Limits) -> Vec<Difference> {
    if expected.ending != happened.ending {
        let mut got = happened.ending.as_str().to_owned();
        if let Some(reason) = &happened.reason {
            got += &format!(": {reason}");
        }
        return vec![Difference {
            check: None,
            what: "outcome".to_owned(),
            want: expected.ending.as_str().to_owned(),
            got,
        }];
    }
    let checks = expected.checks.iter().enumerate();
    let judged = checks.filter_map(|(position, check)| {
        let (what, want, got) = judge(check, happened, limits)?;
        Some(Difference { check: Some(position), what, want, got })
    });
    judged.collect()
}

/// What a check is about, what it wants and what there is instead; `None` if it holds.
fn judge(check: &Check, happened: &Happened, limits: &Limits) -> Option<(String, String, String)> {
    match check {
        Check::Route(want) => unequal("route", want.as_str(), happened.route.as_ref().map(ToString::to_string)),
        Check::Subject(want) => unequal("subject", want.as_str(), happened.subject.clone()),
        Check::Class(want) => unequal("class", want, happened.class.map(str::to_owned)),
        Check::Stage(want) => unequal("stage", want.as_str(), happened.stage.as_ref().map(ToString::to_string)),
        Check::Reason(want) => {
            let got = happened.reason.clone().unwrap_or_default();
            (!want.fits(&got)).then(|| ("reason".to_owned(), want.to_string(), got))
        }
        Check::Header { name, values } => {
            let got = header_values(happened, name);
            (got != *values).then(|| (format!("header {name}"), list(values), list(&got)))
        }
        Check::Field { path, value } => {
            let got = select(path, happened, limits);
            let as_expected = matches!(&got, Ok(Some(got)) if json::same(value, got));
            (!as_expected).then(|| (path.text.clone(), value.to_string(), told(got)))
        }
        Check::Null(path) => {
            let got = select(path, happened, limits);
            let is_null = |got: &Value| match got {
                Value::Array(all) if !path.singular => !all.is_empty() && all.iter().all(Value::is_null),
                got => got.is_null(),
            };
            let as_expected = matches!(&got, Ok(Some(got)) if is_null(got));
            (!as_expected).then(|| (path.text.clone(), "null".to_owned(), told(got)))
        }
        Check::NoField(path) => {
            let got = select(path, happened, limits);
            let as_expected = match &got {
                Ok(None) => true,
                Ok(Some(Value::Array(all))) => !path.singular && all.is_empty(),
                _ => false,
            };
            (!as_expected).then(|| (path.text.clone(), NOTHING.to_owned(), told(got)))
        }
        Check::Payload(Payload::Exact(want, _)) => {
            let different = *want != happened.payload;
            different.then(|| ("payload".to_owned(), shown(want), shown(&happened.payload)))
        }
        Check::Payload(Payload::Json(want)) => {
            let got = json::read(&happened.payload);
            let as_expected = got.as_ref().is_ok_and(|got| json::same(want, got));
            let got = || match &got {
                Ok(got) => format!("{got:#}"),
                Err(error) => format!("{}\n(not JSON: {error})", shown(&happened.payload)),
            };
            (!as_expected).then(|| ("payload".to_owned(), format!("{want:#}"), got()))
        }
    }
}

/// What a path stands for in the payload: a value or nothing if it is singular, else the list of all that it matches.
pub(super) fn select(path: &FieldPath, happened: &Happened, limits: &Limits) -> Result<Option<Value>, String> {
    let found = path.selector.select(&happened.payload, limits).map_err(|error| format!("not JSON: {error}"))?;
    let mut values = Vec::with_capacity(found.len());
    for found in &found {
        values.push(json::read(found.raw(&happened.payload))?);
    }
    match (path.singular, values.len()) {
        (false, _) => Ok(Some(Value::Array(values))),
        (true, 0) => Ok(None),
        (true, 1) => Ok(values.pop()),
        (true, several) => Err(format!("a key of the path is there {several} times: {}", Value::Array(values))),
    }
}

pub(super) fn header_values(happened: &Happened, name: &str) -> Vec<String> {
    let same = happened.headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
    same.map(|header| header.value.clone()).collect()
}

fn unequal(what: &str, want: &str, got: Option<String>) -> Option<(String, String, String)> {
    (got.as_deref() != Some(want))
        .then(|| (what.to_owned(), want.to_owned(), got.unwrap_or_else(|| NOTHING.to_owned())))
}

fn list(values: &[String]) -> String {
    if values.is_empty() { NOTHING.to_owned() } else { values.join("\n") }
}

fn told(got: Result<Option<Value>, String>) -> String {
    match got {
        Ok(Some(value)) => value.to_string(),
        Ok(None) => NOTHING.to_owned(),
        Err(error) => format!("({error})"),
    }
}

/// A payload for people.
fn shown(payload: &[u8]) -> String {
    match std::str::from_utf8(payload) {
        Ok("") => "(empty)".to_owned(),
        Ok(text) => text.to_owned(),
        Err(_) => format!("base64 {}", STANDARD.encode(payload)),
    }
}

#[cfg(test)]
mod tests;
