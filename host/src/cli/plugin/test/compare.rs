//! What became of a message, compared with what a case expects.

use crate::message::{Headers, Message};
use crate::plugins::{CallError, Fault, Part, Verdict};
use crate::rules::{Content, Expected, ExpectedPart, LogLine, Outcome, Payload};

use super::capture::Line;
use super::report::CaseReport;

/// Longest payload that is shown whole.
const MAX_SHOWN_BYTES: usize = 400;

/// Compares, and reports each difference.
pub(super) fn compare(
    expected: &Expected,
    result: &Result<Verdict, CallError>,
    message: &Message,
    lines: &[Line],
    report: &mut CaseReport,
) {
    let (outcome, reason) = outcome(result);
    if outcome != expected.outcome {
        let why = if reason.is_empty() { String::new() } else { format!(": {reason}") };
        report.differs("outcome", expected.outcome.name(), &format!("{}{why}", outcome.name()));
    } else if let Some(phrase) = expected.reason.as_ref().filter(|phrase| !phrase.fits(&reason)) {
        report.differs("reason", &phrase.to_string(), &reason);
    }
    match result {
        Ok(Verdict::Route(routes)) => compare_places(expected, routes, report),
        Ok(Verdict::Publish(published)) => {
            let subjects: Vec<String> = published.iter().map(|one| one.shown.clone()).collect();
            compare_places(expected, &subjects, report);
        }
        Ok(Verdict::Split(parts)) => compare_parts(expected.parts.as_deref(), parts, report),
        Err(CallError::Refused(refusal)) => {
            if let Some(wanted) = expected.after.filter(|wanted| *wanted != refusal.after) {
                let show = |after: Option<std::time::Duration>| after.map_or("unset".to_owned(), |a| format!("{a:?}"));
                report.differs("after", &show(wanted), &show(refusal.after));
            }
        }
        _ => {}
    }
    compare_content("", &expected.content, &message.payload, &message.headers, report);
    compare_log(expected.log.as_deref(), lines, report);
}

/// Where it goes: routes, or the subjects that a handler named.
fn compare_places(expected: &Expected, places: &[String], report: &mut CaseReport) {
    if let Some(wanted) = expected.routes.as_ref().filter(|wanted| *wanted != places) {
        report.differs("to", &wanted.join(", "), &places.join(", "));
    }
}

/// What a result is called, and the reason that goes with it.
fn outcome(result: &Result<Verdict, CallError>) -> (Outcome, String) {
    match result {
        Ok(Verdict::Forward) => (Outcome::Forward, String::new()),
        Ok(Verdict::Route(_)) => (Outcome::Route, String::new()),
        Ok(Verdict::Split(_)) => (Outcome::Split, String::new()),
        Ok(Verdict::Publish(_)) => (Outcome::Publish, String::new()),
        Ok(Verdict::Drop(reason)) => (Outcome::Drop, reason.clone()),
        Ok(Verdict::Reject(reason)) => (Outcome::Reject, reason.clone()),
        Err(CallError::Refused(refusal)) => (Outcome::Retry, refusal.reason.clone()),
        // The plugin's own words, without the host's.
        Err(CallError::Fault(Fault::Fatal { reason })) => (Outcome::Fatal, reason.clone()),
        Err(CallError::Fault(fault)) => (outcome_of(fault), fault.to_string()),
    }
}

fn outcome_of(fault: &Fault) -> Outcome {
    match fault {
        Fault::Fatal { .. } => Outcome::Fatal,
        // An instance that cannot be made or configured again has broken as well.
        Fault::Trap { .. } | Fault::Instantiate { .. } | Fault::Configure { .. } => Outcome::Trap,
        Fault::Deadline { .. } => Outcome::Deadline,
        Fault::Memory { .. } => Outcome::Memory,
        Fault::Limit { .. } => Outcome::Limit,
        Fault::Verdict { .. } => Outcome::Verdict,
        // A rule tries again what failed because of the store.
        Fault::Store { .. } => Outcome::Retry,
    }
}

fn compare_parts(expected: Option<&[ExpectedPart]>, parts: &[Part], report: &mut CaseReport) {
    let Some(expected) = expected else { return };
    if expected.len() != parts.len() {
        return report.differs("parts", &expected.len().to_string(), &parts.len().to_string());
    }
    for ((expected, part), number) in expected.iter().zip(parts).zip(1..) {
        let place = format!("part {number} ");
        if expected.route != part.route {
            let show = |route: &Option<String>| route.clone().unwrap_or_else(|| "the next stage".to_owned());
            report.differs(&format!("{place}to"), &show(&expected.route), &show(&part.route));
        }
        compare_content(&place, &expected.content, &part.payload, &part.headers, report);
    }
}

fn compare_content(place: &str, expected: &Content, payload: &[u8], headers: &Headers, report: &mut CaseReport) {
    let fits = match &expected.payload {
        None => true,
        Some(Payload::Bytes(bytes)) => bytes == payload,
        Some(Payload::Json(value)) => serde_json::from_slice::<serde_json::Value>(payload).is_ok_and(|is| is == *value),
        Some(Payload::Size(size)) => payload.len() == *size,
    };
    if let Some(wanted) = expected.payload.as_ref().filter(|_| !fits) {
        let wanted = match wanted {
            Payload::Bytes(bytes) => shown(bytes),
            Payload::Json(value) => value.to_string(),
            Payload::Size(size) => {
                return report.differs(&format!("{place}size"), &size.to_string(), &payload.len().to_string());
            }
        };
        report.differs(&format!("{place}payload"), &wanted, &shown(payload));
    }
    for (name, wanted) in &expected.headers {
        let same_name = |header: &&crate::message::Header| header.name.eq_ignore_ascii_case(name);
        let values: Vec<_> = headers.iter().filter(same_name).map(|header| header.value.clone()).collect();
        if values != *wanted {
            let show = |values: &[String]| if values.is_empty() { "none".to_owned() } else { values.join(", ") };
            report.differs(&format!("{place}header {name}"), &show(wanted), &show(&values));
        }
    }
}

fn compare_log(expected: Option<&[LogLine]>, lines: &[Line], report: &mut CaseReport) {
    let Some(expected) = expected else { return };
    let fits = |(wanted, line): (&LogLine, &Line)| {
        wanted.level.is_none_or(|level| level == line.level) && wanted.text.fits(&line.text)
    };
    if expected.len() != lines.len() || !expected.iter().zip(lines).all(fits) {
        let wanted = expected.iter().map(|line| format!("{} {}", line.level.unwrap_or("any"), line.text));
        let got = lines.iter().map(|line| format!("{} {}", line.level, line.text));
        let join = |lines: Vec<String>| if lines.is_empty() { "no lines".to_owned() } else { lines.join("\n") };
        report.differs("log", &join(wanted.collect()), &join(got.collect()));
    }
}

/// A payload for people: its beginning, if it is long.
fn shown(payload: &[u8]) -> String {
    let start = &payload[..payload.len().min(MAX_SHOWN_BYTES)];
    let text = match std::str::from_utf8(start) {
        Ok(text) => text.to_owned(),
        Err(error) if error.error_len().is_none() => {
            String::from_utf8_lossy(&start[..error.valid_up_to()]).into_owned()
        }
        Err(_) => hex::encode(start),
    };
    let more = if start.len() < payload.len() { format!("… ({} bytes)", payload.len()) } else { String::new() };
    if payload.is_empty() { "nothing".to_owned() } else { text + &more }
}
