//! `cargo xtask instructions`: steps of the hot path counted in instructions, and held against what was counted before.
//! A machine that does something else meanwhile changes a time, but not a count.
//!
//! Valgrind counts, and shows the program a processor of its own, so that counts are the same on all that have AVX2. They
//! differ with the compiler, so each has counts of its own in `tests/benches/instructions/baseline.toml`.

mod baseline;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use futures::StreamExt as _;
use tokio::process::Command;
use trackside_toolchain::Version;

use self::baseline::{Baseline, Counts, GROWTH_PERCENT};
use crate::cargo::{BUILD_LIMIT, Workspace};
use crate::{apt, shell};

/// The benchmark that has the steps.
const BENCH: &str = "instructions";
/// The function of the benchmark whose instructions are counted, with those of all that it calls.
const COUNTED: &str = "*counted_work*";
/// How often the benchmark does a step within it.
const TIMES: u64 = 16;
/// Longest time that one step may take, and asking for a version.
const STEP_LIMIT: Duration = Duration::from_secs(180);
/// Steps that are counted at a time.
const AT_A_TIME: usize = 2;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Count a release build, which takes minutes to make, in place of the one that tests use
    #[arg(long)]
    release: bool,
    /// Write what was counted to the baseline
    #[arg(long)]
    update: bool,
}

/// Counts, and compares or writes.
///
/// # Errors
/// Also when a step takes more instructions than before.
pub(crate) async fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let compiler = provision().await?;
    let build = format!("rustc {compiler}, {}", if args.release { "release" } else { "dev" });
    let program = build_program(workspace, args.release).await?;
    let counts = count_all(workspace, &program).await?;
    let path = workspace.root.join("tests/benches/instructions/baseline.toml");
    let mut baseline = Baseline::read(&path)?;
    let Some(before) = baseline.of(&build).filter(|_| !args.update) else {
        print!("{}", baseline::table(&counts, None));
        if !args.update {
            bail!("there are no counts for {build} in {}: `--update` writes them", workspace.shown(&path));
        }
        baseline.put(&build, &counts);
        baseline.write(&path)?;
        println!("\nwritten to {}", workspace.shown(&path));
        return Ok(());
    };
    println!("{build}, against {}\n", workspace.shown(&path));
    print!("{}", baseline::table(&counts, Some(&before)));
    let changed = baseline::compare(&before, &counts);
    for less in &changed.less {
        println!("\nless than before, which `--update` would keep: {less}");
    }
    if !changed.wrong.is_empty() {
        bail!(
            "more than {GROWTH_PERCENT} % above the baseline, or not in it; if that is meant, `cargo xtask instructions \
             --update` writes what it is now:\n  {}",
            changed.wrong.join("\n  ")
        );
    }
    Ok(())
}

/// As one of the tests: with a compiler that has no counts of its own there is nothing to hold against.
pub(crate) async fn as_test(workspace: &Workspace) -> Result<()> {
    let compiler = provision().await?;
    let path = workspace.root.join("tests/benches/instructions/baseline.toml");
    if Baseline::read(&path)?.of(&format!("rustc {compiler}, dev")).is_none() {
        println!("not counted: {} knows nothing of rustc {compiler}", workspace.shown(&path));
        return Ok(());
    }
    run(workspace, &Args { release: false, update: false }).await
}

/// Installs valgrind where there is none and that can be done, and says which compiler it is.
async fn provision() -> Result<Version> {
    if cfg!(target_arch = "x86_64") && !fs::read_to_string("/proc/cpuinfo").unwrap_or_default().contains(" avx2 ") {
        bail!("this processor has no AVX2: other code would be counted than that of the baseline");
    }
    let ask = async |program: &str| {
        shell::capture(&format!("{program} --version"), Command::new(program).arg("--version"), STEP_LIMIT).await
    };
    if ask("valgrind").await.is_err() {
        apt::install(&["valgrind"]).await.context("there is no valgrind, which counts instructions: install it")?;
    }
    let said = ask("rustc").await?;
    Version::find(&said).with_context(|| format!("rustc --version printed no version, but {said:?}"))
}

/// Builds the benchmark with the features that the tests are built with, and says where it is.
async fn build_program(workspace: &Workspace, release: bool) -> Result<PathBuf> {
    let mut cargo = workspace.cargo();
    cargo.args(["build", "--workspace", "--bench", BENCH, "--message-format", "json-render-diagnostics"]);
    if release {
        cargo.arg("--release");
    }
    let said = shell::capture("building the steps", &mut cargo, BUILD_LIMIT).await?;
    executable(&said).context("cargo does not say where it put the steps")
}

/// The benchmark's file, in what cargo says with `--message-format json`.
fn executable(said: &str) -> Option<PathBuf> {
    said.lines().rev().find_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        let is_it = message["target"]["name"] == BENCH;
        message["executable"].as_str().filter(|_| is_it).map(PathBuf::from)
    })
}

async fn count_all(workspace: &Workspace, program: &Path) -> Result<Counts> {
    let folder = workspace.target.join("instructions");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let names = shell::capture("listing the steps", Command::new(program).arg("--list"), STEP_LIMIT).await?;
    let folder = &folder;
    let counting = names.lines().map(|name| async move { Ok((name.to_owned(), count(folder, program, name).await?)) });
    let counted: Vec<Result<(String, u64)>> = futures::stream::iter(counting).buffered(AT_A_TIME).collect().await;
    counted.into_iter().collect()
}

/// The instructions of a step done once. The profile stays, for `callgrind_annotate`.
async fn count(folder: &Path, program: &Path, name: &str) -> Result<u64> {
    let file: String = name.chars().map(|char| if char.is_ascii_alphanumeric() { char } else { '-' }).collect();
    let profile = folder.join(file).with_extension("out");
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", &format!("--toggle-collect={COUNTED}")]);
    valgrind.arg(format!("--callgrind-out-file={}", profile.display())).arg(program).arg(name);
    shell::capture(&format!("counting `{name}`"), &mut valgrind, STEP_LIMIT).await?;
    let text = fs::read_to_string(&profile).with_context(|| format!("cannot read {}", profile.display()))?;
    let total = total(&text).with_context(|| format!("{} counts nothing", profile.display()))?;
    Ok(total / TIMES)
}

/// What a profile of callgrind counts in all.
fn total(profile: &str) -> Option<u64> {
    let total = profile.lines().find_map(|line| line.strip_prefix("totals: "))?;
    total.trim().parse().ok().filter(|total| *total > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_that_counts_nothing_is_no_count_of_nothing() {
        assert_eq!(total("events: Ir\nfn=(1) x\n1 5\ntotals: 4816\n"), Some(4816));
        for nothing in ["totals: 0\n", "events: Ir\n", "totals: many\n"] {
            assert_eq!(total(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn the_program_is_found_in_what_cargo_says() {
        let line = |name: &str, path: &str| format!(r#"{{"target":{{"name":"{name}"}},"executable":{path}}}"#);
        let said = [line("other", "\"/t/other\""), line(BENCH, "\"/t/it\""), r#"{"reason":"build-finished"}"#.into()];
        assert_eq!(executable(&said.join("\n")), Some(PathBuf::from("/t/it")));
        assert_eq!(executable(&line(BENCH, "null")), None);
    }
}
