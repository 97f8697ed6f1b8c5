//! What `trackside plugin test --json` says, and the table that is made of it.

use std::process::Stdio;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tokio::process::Command;
use trackside_toolchain::human_size;

use super::language::Language;
use crate::cargo::BUILD_LIMIT;
use crate::shell;

/// What came of the cases of one component.
pub(super) struct Outcome(Value);

impl Outcome {
    /// Runs the command. That cases do not hold is no error here.
    pub(super) async fn of(test: &mut Command) -> Result<Self> {
        test.stdin(Stdio::null()).kill_on_drop(true);
        let output =
            tokio::time::timeout(BUILD_LIMIT, test.output()).await.context("plugin test: not done, stopped")?;
        let output = output.context("plugin test: cannot be started")?;
        if !matches!(output.status.code(), Some(0 | 1)) || output.stdout.is_empty() {
            let said = shell::tail(&String::from_utf8_lossy(&output.stderr));
            bail!("plugin test: failed ({})\n{said}", output.status);
        }
        serde_json::from_slice(&output.stdout).map(Self).context("plugin test: its answer is not JSON")
    }

    /// How many cases hold, and how those that do not differ.
    pub(super) fn shown(&self, what: &str) -> String {
        let failed = self.cases().iter().filter(|case| !holds(case));
        let failed = failed.map(|case| format!("failed  {}\n{}", text(case, "name"), text(case, "differences")));
        format!("{}{} cases of {what} hold", failed.collect::<String>(), self.counted())
    }

    fn cases(&self) -> &[Value] {
        self.0["cases"].as_array().map_or(&[], Vec::as_slice)
    }

    /// `84 of 84`
    fn counted(&self) -> String {
        format!("{} of {}", self.cases().iter().filter(|case| holds(case)).count(), self.cases().len())
    }

    fn holds(&self) -> bool {
        !self.cases().is_empty() && self.cases().iter().all(holds)
    }
}

fn holds(case: &Value) -> bool {
    case["ok"].as_bool() == Some(true)
}

fn text<'v>(case: &'v Value, key: &str) -> &'v str {
    case[key].as_str().unwrap_or_default()
}

/// What came of one language.
pub(super) struct Row {
    pub(super) language: Language,
    pub(super) conformance: Outcome,
    pub(super) template: Outcome,
}

impl Row {
    pub(super) fn holds(&self) -> bool {
        self.conformance.holds() && self.template.holds()
    }

    /// The line of the table. Times are those of the template's first case, in which it does most.
    fn line(&self) -> String {
        let template = &self.template.0;
        let case = self.template.cases().first().unwrap_or(&Value::Null);
        let micros = |value: &Value| value.as_f64().unwrap_or_default();
        let compile = micros(&template["compile_us"]);
        let memory = case["memory_bytes"].as_f64().unwrap_or_default() / f64::from(1 << 20);
        let imports = template["imports"].as_array().map_or(&[][..], Vec::as_slice);
        let wasi = imports.iter().any(|import| import.as_str().is_some_and(|name| name.starts_with("wasi:")));
        format!(
            "| {} | {} | {} | {} | {} | {} | {memory:.1} MiB | {} |\n",
            self.language.title(),
            human_size(template["bytes"].as_u64().unwrap_or_default()),
            if wasi { "the contract and WASI" } else { "the contract" },
            shown_time(compile),
            shown_time(micros(&case["configure_us"])),
            shown_time(micros(&case["call_us"])),
            self.conformance.counted(),
        )
    }
}

fn shown_time(micros: f64) -> String {
    match micros {
        0.0..100.0 => format!("{micros:.1} µs"),
        100.0..10_000.0 => format!("{micros:.0} µs"),
        10_000.0..1e6 => format!("{:.0} ms", micros / 1e3),
        _ => format!("{:.1} s", micros / 1e6),
    }
}

/// The table in Markdown.
pub(super) fn table(rows: &[Row]) -> String {
    let mut table = String::from(
        "| language | component | imports | compiled in | instance ready in | a call | memory | conformance cases |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    rows.iter().for_each(|row| table.push_str(&row.line()));
    table
}
