//! Single steps, which messages on a wire cannot show: measured by criterion, and read from what it leaves behind.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::cargo::{BUILD_LIMIT, Workspace};
use crate::shell;

/// The name by which `--only` asks for them.
pub(super) const NAME: &str = "micro";
/// Seconds of warming up and of measuring, for each step.
const SECONDS: [&str; 2] = ["1", "3"];

/// What the goals are about, in nanoseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Micro {
    /// Three fields of an order of 1 kB found and replaced.
    pub(crate) mask: f64,
    /// The same by parsing, editing and printing with serde_json.
    pub(crate) mask_by_serde_json: f64,
    /// A call of a plugin that makes one `select` and one `replace`.
    pub(crate) call: f64,
    /// The same work without a plugin.
    pub(crate) native: f64,
}

/// Has criterion measure them. A later [`Micro::read`] finds the results below the target directory.
pub(super) async fn run(workspace: &Workspace) -> Result<()> {
    let mut cargo = workspace.cargo();
    cargo.args(["bench", "--package", "trackside-tests", "--bench", "selection", "--bench", "calls", "--"]);
    cargo.args(["--warm-up-time", SECONDS[0], "--measurement-time", SECONDS[1]]);
    shell::run("the benchmarks of single steps", &mut cargo, BUILD_LIMIT).await
}

impl Micro {
    /// Reads the results in the target directory.
    pub(crate) fn read(target: &Path) -> Result<Self> {
        let median = |group: &str, step: &str| -> Result<f64> {
            let path = target.join("criterion").join(group).join(step).join("new").join("estimates.json");
            let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let estimates: Value = serde_json::from_str(&text)?;
            let median = estimates["median"]["point_estimate"].as_f64();
            median.with_context(|| format!("{} has no median", path.display()))
        };
        Ok(Self {
            mask: median("mask three fields", "trackside-json")?,
            mask_by_serde_json: median("mask three fields", "serde_json, parse, edit, print")?,
            call: median("stage call", "one select and one replace")?,
            native: median("stage call", "native cost of one select and one replace")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_are_read_from_what_criterion_leaves_behind() {
        let target = tempfile::tempdir().expect("a folder");
        assert!(Micro::read(target.path()).is_err());
        for (group, step, nanos) in [
            ("mask three fields", "trackside-json", "1400.5"),
            ("mask three fields", "serde_json, parse, edit, print", "9500.0"),
            ("stage call", "one select and one replace", "2000.0"),
            ("stage call", "native cost of one select and one replace", "1300.0"),
        ] {
            let folder = target.path().join("criterion").join(group).join(step).join("new");
            fs::create_dir_all(&folder).expect("folders");
            let text = format!(r#"{{"mean":{{}},"median":{{"point_estimate":{nanos},"standard_error":1.0}}}}"#);
            fs::write(folder.join("estimates.json"), text).expect("written");
        }
        let micro = Micro::read(target.path()).expect("all of them");
        assert_eq!([micro.mask, micro.call].map(f64::to_bits), [1400.5, 2000.0].map(f64::to_bits));
    }
}
