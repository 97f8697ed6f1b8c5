//! `trackside graph`: the flow of messages as a picture.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use crate::app::{self, Failure};
use crate::flow::{self, Graph};

use super::output;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The directory with trackside.toml and rules/.
    #[arg(value_name = "CONFIG_DIR")]
    directory: PathBuf,

    /// What to write.
    #[arg(long, value_enum, default_value = "mermaid")]
    format: Format,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// A Mermaid flowchart, for Markdown.
    Mermaid,
    /// The language of Graphviz.
    Dot,
    /// A picture.
    Svg,
}

/// Runs the command.
pub(super) fn graph(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let (rules, _) = app::load(&arguments.directory)?;
    let graph = Graph::of(&rules);
    output::print(&match arguments.format {
        Format::Mermaid => flow::mermaid(&graph),
        Format::Dot => flow::dot(&graph),
        Format::Svg => flow::svg(&graph),
    })?;
    for rules in &graph.loops {
        eprintln!("a message can go round for ever: {} -> {}", rules.join(" -> "), rules[0]);
    }
    Ok(ExitCode::SUCCESS)
}
