//! `trackside test`: the tests of the rules, through the real rules and plugins, offline.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use crate::app::{Failure, Offline};
use crate::rule_tests::{self, Coverage, Done};
use crate::rules::testing::{self, TestFile};
use crate::rules::{Look, Report};

use super::output;

/// What a wrong usage exits with; tests that cannot be run are one, so that they are not taken for tests that failed.
const USAGE: u8 = 2;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The directory with trackside.toml, rules/ and tests/.
    #[arg(value_name = "CONFIG_DIR")]
    directory: PathBuf,

    /// Runs only the tests whose names have this text in them.
    #[arg(value_name = "NAME")]
    name: Option<String>,

    /// Rewrites the expectations of tests that fail to what happens; comments and format stay.
    #[arg(long)]
    update: bool,

    /// Writes a JUnit report, for build servers.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,

    /// Fails if fewer of a hundred rules, stages and routes are used by the tests.
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100), conflicts_with = "name")]
    min_coverage: Option<u8>,
}

/// Runs the command.
pub(super) fn test(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let offline = Offline::open_patiently(&arguments.directory)?;
    let Some(mut files) = load(&arguments.directory, &offline) else { return Ok(ExitCode::from(USAGE)) };
    let mut coverage = Coverage::new(offline.rules());
    let mut done = run(arguments, &offline, &files, &mut coverage);
    if done.is_empty() {
        eprintln!("{}", nothing_to_run(arguments, &files));
        return Ok(ExitCode::from(USAGE));
    }
    let mut updated = 0;
    if arguments.update && done.iter().any(|done| !done.passed()) {
        updated = rule_tests::update(&done, &offline.plan().json)
            .map_err(|error| Failure::new(format!("the tests cannot be rewritten: {error}")))?;
        drop(done);
        // What is in the files now is what counts.
        let Some(rewritten) = load(&arguments.directory, &offline) else { return Ok(ExitCode::from(USAGE)) };
        files = rewritten;
        done = run(arguments, &offline, &files, &mut coverage);
    }
    print(arguments, &offline, &done, &coverage, updated)?;
    if let Some(file) = &arguments.junit {
        let report = rule_tests::junit(&done, offline.rules()).map_err(|error| error.to_string());
        report
            .and_then(|report| std::fs::write(file, report).map_err(|error| error.to_string()))
            .map_err(|error| Failure::new(format!("cannot write {}: {error}", file.display())))?;
    }
    let covered = arguments.min_coverage.is_none_or(|percent| coverage.reaches(offline.rules(), percent));
    Ok(if covered && done.iter().all(Done::passed) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The tests, or everything that is wrong with them on standard error.
fn load(directory: &Path, offline: &Offline) -> Option<Vec<TestFile>> {
    let wrong = |report: Report| eprintln!("{}", report.render(Look::of_stderr()).trim_end());
    testing::load(directory, offline.rules()).map_err(wrong).ok()
}

fn run<'t>(arguments: &Arguments, offline: &Offline, files: &'t [TestFile], coverage: &mut Coverage) -> Vec<Done<'t>> {
    rule_tests::run(offline.plan(), &mut offline.runner(true), files, arguments.name.as_deref(), coverage)
}

fn nothing_to_run(arguments: &Arguments, files: &[TestFile]) -> String {
    let folder = arguments.directory.join("tests");
    match &arguments.name {
        Some(name) if !files.is_empty() => format!("no test in {} has {name:?} in its name", folder.display()),
        _ => format!(
            "there are no tests in {}: write one as docs/rule-tests.md tells, for example {}",
            folder.display(),
            folder.join("orders.toml").display()
        ),
    }
}

fn print(
    arguments: &Arguments,
    offline: &Offline,
    done: &[Done<'_>],
    coverage: &Coverage,
    updated: usize,
) -> Result<(), Failure> {
    let mut text = String::new();
    for done in done {
        let (file, name) = (done.file.path.display(), &done.test().name);
        if done.passed() {
            text += &format!("ok    {file}: {name}\n");
            continue;
        }
        text += &format!("FAIL  {}: {name}\n", done.test().location);
        for line in rule_tests::failure(done, offline.rules()).lines() {
            text += format!("      {line}").trim_end();
            text.push('\n');
        }
    }
    if updated > 0 {
        text += &format!("\nrewrote the expectations of {updated} {}", if updated == 1 { "test" } else { "tests" });
    }
    text += &format!("\n{}", rule_tests::summary(done));
    if arguments.name.is_none() {
        text += &coverage.summary(offline.rules());
    }
    if let Some(percent) = arguments.min_coverage.filter(|percent| !coverage.reaches(offline.rules(), *percent)) {
        text += &format!("coverage is below the {percent} % that --min-coverage asks for\n");
    }
    output::print(&text)
}
