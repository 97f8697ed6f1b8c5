//! What became of a message, in words and numbers of HTTP.

use std::time::Duration;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::admin::Problem;
use crate::pipeline::{Ended, FailureClass, Kept, Part, Report};

use super::seconds;

/// What became of one message in all its rules.
#[derive(Debug)]
pub(super) struct Judged {
    pub(super) status: StatusCode,
    id: String,
    detail: String,
    outcomes: Vec<Value>,
    violations: Vec<Value>,
    after: Option<Duration>,
}

impl Judged {
    /// The worst of what became of it decides about the status: what can be tried again first, since that helps.
    pub(super) fn new(id: &str, reports: &[Report]) -> Self {
        let mut judged = Self {
            status: StatusCode::OK,
            id: id.to_owned(),
            detail: String::new(),
            outcomes: Vec::new(),
            violations: Vec::new(),
            after: None,
        };
        reports.iter().for_each(|report| judged.add(report));
        judged
    }

    fn add(&mut self, report: &Report) {
        let rule = report.rule.as_str();
        match &report.ended {
            Ended::Done(parts) => self.outcomes.extend(parts.iter().map(|part| outcome(rule, part))),
            Ended::Failed { class, reason, plugin, letter } => {
                let plugin = plugin.as_ref().map(crate::names::PluginName::as_str);
                let letter =
                    letter.as_ref().map(|(stream, sequence)| json!({ "stream": stream, "sequence": sequence }));
                let status = failed(*class);
                let outcome = if status == StatusCode::UNPROCESSABLE_ENTITY { "rejected" } else { "failed" };
                self.outcomes.push(json!({
                    "rule": rule, "outcome": outcome, "class": class.as_str(), "plugin": plugin, "reason": reason,
                    "dead-letter": letter,
                }));
                if status == StatusCode::UNPROCESSABLE_ENTITY {
                    self.violations.push(json!({ "rule": rule, "plugin": plugin, "reason": reason }));
                }
                self.worsen(status, || format!("rule `{rule}` did not let it through: {reason}"));
            }
            Ended::Unavailable { reason, after } => {
                self.outcomes.push(json!({ "rule": rule, "outcome": "unavailable", "reason": reason }));
                self.after = self.after.max(Some(*after));
                self.worsen(StatusCode::SERVICE_UNAVAILABLE, || {
                    format!("rule `{rule}` could not be done now: {reason}")
                });
            }
            Ended::Late => {
                self.outcomes.push(json!({ "rule": rule, "outcome": "late" }));
                self.worsen(StatusCode::GATEWAY_TIMEOUT, || format!("rule `{rule}` did not come to it in time"));
            }
        }
    }

    fn worsen(&mut self, status: StatusCode, detail: impl Fn() -> String) {
        if rank(status) > rank(self.status) {
            self.status = status;
            self.detail = detail();
        }
    }

    /// The same as an error of its own making.
    pub(super) fn problem(self, status: StatusCode, detail: impl Into<String>) -> Problem {
        let problem = Problem::new(status, detail).with("id", self.id.into()).with("outcomes", self.outcomes.into());
        match self.violations.is_empty() {
            true => problem,
            false => problem.with("violations", self.violations.into()),
        }
    }

    /// The same as an element of a batch's answer.
    pub(super) fn element(self) -> Value {
        let mut element = json!({ "status": self.status.as_u16(), "id": self.id, "outcomes": self.outcomes });
        if self.status != StatusCode::OK {
            element["detail"] = self.detail.into();
        }
        if let Some(after) = self.after.filter(|_| self.status == StatusCode::SERVICE_UNAVAILABLE) {
            element["retry-after"] = seconds(after).into();
        }
        if !self.violations.is_empty() {
            element["violations"] = self.violations.into();
        }
        element
    }
}

impl IntoResponse for Judged {
    fn into_response(mut self) -> Response {
        if self.status == StatusCode::OK {
            return Json(json!({ "id": self.id, "outcomes": self.outcomes })).into_response();
        }
        let (status, detail, after) = (self.status, std::mem::take(&mut self.detail), self.after);
        let problem = self.problem(status, detail);
        match after {
            Some(after) if status == StatusCode::SERVICE_UNAVAILABLE => problem.retry_after(seconds(after)),
            _ => problem,
        }
        .into_response()
    }
}

/// The call's time was over before it was known what becomes of the message.
pub(super) fn late(id: &str) -> Problem {
    let detail =
        "it is not known yet what becomes of the message; sent again with the same Idempotency-Key, it is stored once";
    Problem::new(StatusCode::GATEWAY_TIMEOUT, detail).with("id", id.into())
}

/// Nobody waits for what becomes of the message.
pub(super) fn accepted(id: &str) -> Value {
    json!({ "status": StatusCode::ACCEPTED.as_u16(), "id": id })
}

fn outcome(rule: &str, part: &Part) -> Value {
    match part {
        Part::Sent { route, to, kept } => {
            let mut outcome =
                json!({ "rule": rule, "outcome": "published", "route": route.as_str(), "subject": to, "stream": null });
            if let Kept::Stored { stream, sequence, duplicate } = kept {
                outcome["stream"] = stream.as_str().into();
                outcome["sequence"] = (*sequence).into();
                outcome["duplicate"] = (*duplicate).into();
            }
            outcome
        }
        Part::Dropped(reason) => json!({ "rule": rule, "outcome": "dropped", "reason": reason }),
        Part::Answer(_) => json!({ "rule": rule, "outcome": "answered" }),
    }
}

/// Whose fault a failure is: the message's, or that of what handles it.
fn failed(class: FailureClass) -> StatusCode {
    match class {
        FailureClass::Rejected | FailureClass::Route | FailureClass::Publish => StatusCode::UNPROCESSABLE_ENTITY,
        FailureClass::Retry
        | FailureClass::Trap
        | FailureClass::Deadline
        | FailureClass::Limit
        | FailureClass::Host => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn rank(status: StatusCode) -> u8 {
    match status {
        StatusCode::OK => 0,
        StatusCode::UNPROCESSABLE_ENTITY => 1,
        StatusCode::INTERNAL_SERVER_ERROR => 2,
        StatusCode::GATEWAY_TIMEOUT => 3,
        _ => 4,
    }
}
