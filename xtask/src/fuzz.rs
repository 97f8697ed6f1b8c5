//! Fuzzing, with the compiler and libFuzzer alone: the coverage that it needs are flags that a stable compiler has. No
//! sanitizer: the host's own code is safe Rust, and wasmtime is fuzzed with them by those who make it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::process::Command;

use crate::cargo::{BUILD_LIMIT, Workspace};
use crate::{apt, shell};

/// The targets, and whether they need the whole host, which takes minutes to compile with these flags.
const TARGETS: [(&str, bool); 6] = [
    ("selection", false),
    ("headers", false),
    ("subjects", false),
    ("rules", false),
    ("inspection", true),
    ("contract", true),
];

const FLAGS: [&str; 7] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "--cfg fuzzing",
    "-Cdebug-assertions",
];

/// What a target may take beyond its time, for the input it is at.
const GRACE: Duration = Duration::from_secs(60);

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only this target: selection, headers, subjects, rules, inspection or contract
    target: Option<String>,
    /// For how long each
    #[arg(long, default_value_t = 600)]
    seconds: u64,
    /// Leave out those that need the whole host
    #[arg(long, conflicts_with = "target")]
    light: bool,
}

/// Builds the targets and runs them one after another.
pub(crate) async fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let wanted = |name: &str, heavy: bool| match &args.target {
        Some(target) => target == name,
        None => !(args.light && heavy),
    };
    let targets: Vec<_> = TARGETS.into_iter().filter(|(name, heavy)| wanted(name, *heavy)).collect();
    if targets.is_empty() {
        let names = TARGETS.map(|(name, _)| name).join(", ");
        bail!("there is no such target: there are {names}");
    }
    compiler().await?;
    let folder = workspace.root.join("fuzz");
    let binaries = build(workspace, &folder, &targets).await?;
    for (name, _) in targets {
        fuzz(&folder, &binaries, name, args.seconds).await?;
    }
    Ok(())
}

/// libFuzzer is C++.
async fn compiler() -> Result<()> {
    let ask = async || shell::capture("c++ --version", Command::new("c++").arg("--version"), GRACE).await;
    if ask().await.is_ok() {
        return Ok(());
    }
    apt::install(&["g++"]).await.context("there is no C++ compiler, which libFuzzer needs: install g++ or clang")
}

async fn build(workspace: &Workspace, folder: &Path, targets: &[(&str, bool)]) -> Result<PathBuf> {
    let target = host_triple().await?;
    let mut cargo = workspace.cargo();
    cargo.args(["build", "--release", "--target", &target, "--manifest-path"]).arg(folder.join("Cargo.toml"));
    cargo.arg("--target-dir").arg(folder.join("target")).env("RUSTFLAGS", FLAGS.join(" "));
    targets.iter().for_each(|(name, _)| {
        cargo.args(["--bin", name]);
    });
    if targets.iter().any(|(_, heavy)| *heavy) {
        cargo.args(["--features", "host"]);
    }
    shell::run("building the fuzz targets", &mut cargo, BUILD_LIMIT).await?;
    Ok(folder.join("target").join(target).join("release"))
}

async fn fuzz(folder: &Path, binaries: &Path, name: &str, seconds: u64) -> Result<()> {
    let [corpus, artifacts] = ["corpus", "artifacts"].map(|part| folder.join(part).join(name));
    for made in [&corpus, &artifacts] {
        std::fs::create_dir_all(made).with_context(|| format!("cannot make {}", made.display()))?;
    }
    println!("{name}, for {seconds} s; what is found goes to {}", workspace_path(folder, &artifacts));
    let mut command = Command::new(binaries.join(name));
    command.current_dir(folder).arg(&corpus).arg(folder.join("seeds").join(name));
    command.arg(format!("-max_total_time={seconds}")).args([
        "-print_final_stats=1",
        "-verbosity=0",
        "-rss_limit_mb=4096",
    ]);
    command.arg(format!("-artifact_prefix={}/", artifacts.display()));
    shell::run(&format!("fuzzing {name}"), &mut command, Duration::from_secs(seconds) + GRACE).await
}

fn workspace_path(folder: &Path, path: &Path) -> String {
    path.strip_prefix(folder.parent().unwrap_or(folder)).unwrap_or(path).display().to_string()
}

/// Named, so that cargo does not compile what runs at build time, such as macros, with the flags.
async fn host_triple() -> Result<String> {
    let said = shell::capture("rustc -vV", Command::new("rustc").arg("-vV"), Duration::from_secs(60)).await?;
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("`rustc -vV` names no host")
}
