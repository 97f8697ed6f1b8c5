//! The command line: argv in, exit code out. 0 is success, 1 a failure, 2 wrong usage.

mod check;
mod dead;
mod dev;
mod explain;
mod graph;
mod manual;
mod output;
mod plugin;
mod run;
mod tap;
mod test;
mod trial;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::plugins::{COMPILE_COMMAND, compile_component};
use crate::telemetry::{LogFormat, init_log, log_panics};

/// What `--version` prints after the name.
const VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    " (wasmtime ",
    env!("TRACKSIDE_WASMTIME_VERSION"),
    ", contract trackside:plugin@0.1.0)"
);

/// A message router for NATS that runs sandboxed WebAssembly plugins, as TOML rules say.
#[derive(Debug, Parser)]
#[command(name = "trackside", version = VERSION, propagate_version = true)]
pub struct Cli {
    /// How log lines look; they go to standard error.
    #[arg(long, value_enum, default_value = "human", global = true, env = "TRACKSIDE_LOG_FORMAT")]
    log_format: LogFormat,

    /// What is logged, for example `info`, `debug` or `warn,plugin=info`.
    #[arg(long, global = true, env = "TRACKSIDE_LOG", value_name = "FILTER")]
    log: Option<String>,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Routes messages until SIGTERM or SIGINT, then drains.
    Run(Directory),
    /// Runs a configuration with a private nats-server, and prints one JSON line an outcome.
    ///
    /// The server has a temporary store, which goes when it goes, and the streams that the configuration needs.
    /// A payload is shown without the white space between its tokens, which what is published keeps.
    Dev(dev::Arguments),
    /// Says everything that is wrong with a configuration, each with file, line and what to write instead.
    ///
    /// The plugins are configured as for a start, so every secret that a rule refers to has to be set.
    Check(check::Arguments),
    /// Runs messages through the real rules and plugins with no NATS at all, and prints one JSON line an outcome.
    ///
    /// A payload is shown without the white space between its tokens, which what is published keeps. The plugins are
    /// configured as for a start, so every secret that a rule refers to has to be set.
    Try(trial::Arguments),
    /// Runs the tests of tests/*.toml through the real rules and plugins with no NATS at all.
    ///
    /// The exit code is 0 if all pass, 1 if one fails, and 2 if they cannot be run. docs/rule-tests.md tells how to write
    /// them. The plugins are configured as for a start, but no deadline is shorter than five seconds.
    Test(test::Arguments),
    /// Says which rules take a subject, and why each of the others does not.
    Explain(explain::Arguments),
    /// Prints the flow of messages: sources, rules, subjects and streams.
    Graph(graph::Arguments),
    /// Shows what becomes of messages in a running host, live: outcomes, and what the rules changed.
    ///
    /// It never slows them: what comes faster than it can be shown is left out, and counted. It outlives reloads, and waits
    /// for a host that restarts.
    Tap(tap::Arguments),
    /// Works with dead letters: what the rules could not deliver.
    #[command(subcommand)]
    Dead(dead::Command),
    /// Makes, builds and looks at plugins.
    #[command(subcommand)]
    Plugin(plugin::Command),
    /// Prints completions for a shell.
    Completions(manual::Completions),
    /// Prints the manual page, or writes one for each command.
    Man(manual::Manual),
    /// Compiles a component from standard input to standard output: what Trackside starts for it.
    #[command(name = COMPILE_COMMAND, hide = true)]
    CompileComponent { memory_bytes: u64, seconds: u64 },
}

#[derive(Debug, Args)]
struct Directory {
    /// The directory with trackside.toml and rules/.
    #[arg(value_name = "CONFIG_DIR")]
    directory: PathBuf,
}

/// Runs the command that argv names.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Asked-for help and version come this way too, and are no failure.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    let runs = matches!(cli.command, Command::Run(_) | Command::Dev(_));
    let quiet = (!runs).then_some("warn");
    if let Err(error) = init_log(cli.log_format, cli.log.as_deref().or(quiet)) {
        eprintln!("{error}");
        return ExitCode::from(2);
    }
    if runs {
        log_panics();
    }
    let done = match cli.command {
        Command::Run(arguments) => run::run(&arguments.directory),
        Command::Dev(arguments) => dev::dev(&arguments),
        Command::Check(arguments) => check::check(&arguments),
        Command::Try(arguments) => trial::trial(&arguments),
        Command::Test(arguments) => test::test(&arguments),
        Command::Explain(arguments) => explain::explain(&arguments),
        Command::Tap(arguments) => tap::tap(&arguments),
        Command::Graph(arguments) => graph::graph(&arguments),
        Command::Dead(command) => dead::dead(&command),
        Command::Plugin(command) => plugin::plugin(&command),
        Command::Completions(arguments) => manual::completions(&arguments),
        Command::Man(arguments) => manual::manual(&arguments),
        Command::CompileComponent { memory_bytes, seconds } => {
            return ExitCode::from(compile_component(memory_bytes, seconds));
        }
    };
    match done {
        Ok(code) => code,
        Err(failure) => {
            // Whoever collects lines of JSON from a host can read this one too.
            if runs && cli.log_format == LogFormat::Json && tracing::enabled!(tracing::Level::ERROR) {
                tracing::error!("{failure}");
            } else {
                eprintln!("{failure}");
            }
            ExitCode::FAILURE
        }
    }
}
