//! `trackside explain`: which rules take a subject, and why the others do not.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::app::{self, Failure};
use crate::flow::Explanation;
use crate::message::Subject;
use crate::names::SourceName;

use super::output;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The directory with trackside.toml and rules/.
    #[arg(value_name = "CONFIG_DIR")]
    directory: PathBuf,

    /// The subject of a message.
    #[arg(long, value_parser = Subject::new)]
    subject: Subject,

    /// The source that it comes from; without it, every source that delivers the subject.
    #[arg(long, value_name = "NAME")]
    source: Option<String>,

    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(super) fn explain(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let (rules, _) = app::load(&arguments.directory)?;
    let known = &rules.config.sources;
    let source = arguments.source.as_deref().map(|name| {
        let names = || known.keys().map(SourceName::as_str).collect::<Vec<_>>().join(", ");
        let found = known.keys().find(|known| known.as_str() == name);
        found.ok_or_else(|| Failure::new(format!("there is no source {name:?}; the configuration has {}", names())))
    });
    let explanation = Explanation::of(&rules, &arguments.subject, source.transpose()?);
    let text = if arguments.json {
        serde_json::to_string_pretty(&explanation).map_err(|error| Failure::new(error.to_string()))? + "\n"
    } else {
        explanation.to_string()
    };
    output::print(&text)?;
    Ok(ExitCode::SUCCESS)
}
