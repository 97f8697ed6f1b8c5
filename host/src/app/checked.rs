//! What a check of a configuration found, as JSON: `trackside check --json` and `POST /v1/check`.

use serde_json::{Value, json};

use crate::rules::{Location, Problem, Report, Severity};

use super::Offline;

/// What was found: whether it can be used, what it comes to, and everything that is wrong or odd.
#[must_use]
pub fn checked(found: &Result<Offline, Report>) -> Value {
    match found {
        Ok(offline) => {
            let plan = offline.plan();
            let inexact = offline.inexact().map(|(plugin, grants)| {
                let grants: Vec<String> = grants.iter().map(ToString::to_string).collect();
                json!({ "plugin": plugin.as_str(), "grants": grants })
            });
            json!({
                "ok": true,
                "revision": plan.revision.as_str(),
                "sources": plan.sources.len(),
                "rules": plan.rules.len(),
                "plugins": plan.plugins.len(),
                "inexact": inexact.collect::<Vec<_>>(),
                "problems": problems(offline.warnings()),
            })
        }
        Err(report) => json!({ "ok": false, "problems": problems(&report.0) }),
    }
}

fn problems(problems: &[Problem]) -> Vec<Value> {
    problems.iter().map(problem).collect()
}

fn problem(problem: &Problem) -> Value {
    let severity = match problem.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let place = problem.location.as_ref();
    json!({
        "severity": severity,
        "message": problem.message,
        "file": place.map(Location::file),
        "line": place.map(Location::line),
        "column": place.map(Location::column),
        "help": problem.help,
    })
}
