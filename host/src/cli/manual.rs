//! `trackside completions` and `trackside man`: what shells and `man` are told of the commands, made from the commands.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, CommandFactory, ValueEnum};
use clap_complete::aot;
use clap_mangen::Man;

use crate::app::Failure;

use super::{Cli, output};

const NAME: &str = "trackside";

#[derive(Debug, Args)]
pub(super) struct Completions {
    /// The shell that reads them.
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Shell {
    /// For /usr/share/bash-completion/completions/trackside, or to be sourced.
    Bash,
    /// For a file `_trackside` in a folder of `fpath`.
    Zsh,
    /// For ~/.config/fish/completions/trackside.fish.
    Fish,
}

#[derive(Debug, Args)]
pub(super) struct Manual {
    /// Writes a page for each command into this directory, in place of the first page to standard output.
    #[arg(value_name = "DIRECTORY")]
    directory: Option<PathBuf>,
}

/// Prints the completions for a shell.
pub(super) fn completions(arguments: &Completions) -> Result<ExitCode, Failure> {
    let mut script = Vec::new();
    let mut command = shown_commands();
    match arguments.shell {
        Shell::Bash => aot::generate(aot::Bash, &mut command, NAME, &mut script),
        Shell::Zsh => aot::generate(aot::Zsh, &mut command, NAME, &mut script),
        Shell::Fish => aot::generate(aot::Fish, &mut command, NAME, &mut script),
    }
    output::print(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}

/// Prints the page of `trackside`, or writes those of all commands.
pub(super) fn manual(arguments: &Manual) -> Result<ExitCode, Failure> {
    // Help on the help is no page of its own.
    let mut command = shown_commands().disable_help_subcommand(true);
    command.build();
    match &arguments.directory {
        Some(directory) => {
            std::fs::create_dir_all(directory).map_err(|error| cannot_write(directory, &error))?;
            write_pages(&command, directory)?;
        }
        None => output::print(&page(&command))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn write_pages(command: &clap::Command, directory: &Path) -> Result<(), Failure> {
    for subcommand in command.get_subcommands() {
        write_pages(subcommand, directory)?;
    }
    let path = directory.join(Man::new(command.clone()).get_filename());
    std::fs::write(&path, page(command)).map_err(|error| cannot_write(&path, &error))
}

fn page(command: &clap::Command) -> String {
    // A blank date, since an empty argument would make the next one the date.
    let man = Man::new(command.clone()).date(" ").source(concat!("trackside ", env!("CARGO_PKG_VERSION")));
    let mut page = Vec::new();
    man.manual("Trackside").render(&mut page).expect("memory takes all");
    String::from_utf8_lossy(&page).into_owned()
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(format!("cannot write {}: {error}", path.display()))
}

/// The commands without the one that Trackside starts itself: completions would offer it, since they know nothing of
/// hiding.
fn shown_commands() -> clap::Command {
    let all = Cli::command();
    let shown = clap::Command::new(NAME).version(super::VERSION).propagate_version(true).subcommand_required(true);
    let shown = shown.about(all.get_about().cloned().unwrap_or_default()).args(all.get_arguments().cloned());
    shown.subcommands(all.get_subcommands().filter(|command| !command.is_hide_set()).cloned())
}
