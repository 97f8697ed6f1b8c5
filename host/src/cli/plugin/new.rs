//! `trackside plugin new`: a project from the template of a language, which this binary carries together with the SDK.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::super::output;
use super::project::{Language, ProjectName};
use crate::app::Failure;

/// Paths in a project, and what is there.
type Files = &'static [(&'static str, &'static [u8])];

// What `host/build.rs` has put in: `TEMPLATES`, for each language the files of a new project with their paths in it.
include!(concat!(env!("OUT_DIR"), "/templates.rs"));

/// What the templates are called, in both spellings, which the project's own name takes the place of.
const TEMPLATE_NAME: &str = "my-plugin";
const TEMPLATE_NAME_IN_SNAKE_CASE: &str = "my_plugin";

/// How the template for Rust depends on the SDK.
const RUST_SDK_BY_GIT: &str = concat!("{ git = \"", env!("CARGO_PKG_REPOSITORY"), "\" }");

#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// What the plugin is called: lower-case letters, digits and hyphens.
    #[arg(value_parser = ProjectName::new)]
    name: ProjectName,

    /// What it is written in.
    #[arg(long = "lang", value_enum, value_name = "LANGUAGE")]
    language: Language,

    /// The folder to make; without it, one of the plugin's name.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,

    /// For Rust: a copy of Trackside's folder `plugin-sdk/rust` to depend on, in place of its git repository.
    #[arg(long, value_name = "DIR")]
    sdk: Option<PathBuf>,
}

/// Runs the command.
pub(super) fn new(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let Arguments { name, language, .. } = arguments;
    let folder = arguments.dir.clone().unwrap_or_else(|| name.as_str().into());
    let sdk = arguments.sdk.as_deref().map(|sdk| rust_sdk(*language, sdk)).transpose()?;
    let files = TEMPLATES.iter().find(|(carried, _)| *carried == language.name()).map_or(&[][..], |(_, files)| *files);
    if files.is_empty() {
        return Err(Failure::new(format!("this binary was built without the template for {}", language.name())));
    }
    if folder.exists() && !folder.is_dir() {
        return Err(Failure::new(format!("{} is there already, and is no folder", folder.display())));
    }
    // Before anything is written: half a project on top of somebody's work would be worse than none.
    if folder.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(Failure::new(format!("{} is there already, and is not empty", folder.display())));
    }
    for (path, bytes) in files {
        write(&folder.join(filled(path, name)), &content(bytes, name, sdk.as_deref()))?;
    }
    let shown = folder.display();
    output::print(&format!(
        "{shown} is a plugin in {}; its README.md says how to test it. Build and try it:\n\n  \
         trackside plugin build {shown}\n  trackside plugin test {shown}/{name}.wasm {shown}/cases.toml\n",
        language.name()
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// How a project depends on a copy of the SDK for Rust.
fn rust_sdk(language: Language, sdk: &Path) -> Result<String, Failure> {
    if language != Language::Rust {
        let message = format!("--sdk is for Rust only: a project in {} carries the SDK itself", language.name());
        return Err(Failure::new(message));
    }
    let sdk = sdk.canonicalize().map_err(|error| Failure::new(format!("{}: {error}", sdk.display())))?;
    if !sdk.join("Cargo.toml").is_file() {
        let message = format!("{} has no Cargo.toml: name the folder `plugin-sdk/rust` of Trackside", sdk.display());
        return Err(Failure::new(message));
    }
    Ok(format!("{{ path = {} }}", toml::Value::String(sdk.display().to_string())))
}

/// A file of a template, with the project's name in it. What is not text is left as it is.
fn content(bytes: &[u8], name: &ProjectName, sdk: Option<&str>) -> Vec<u8> {
    let Ok(text) = std::str::from_utf8(bytes) else { return bytes.to_vec() };
    let text = filled(text, name);
    sdk.map_or(text.clone(), |sdk| text.replace(RUST_SDK_BY_GIT, sdk)).into_bytes()
}

fn filled(text: &str, name: &ProjectName) -> String {
    text.replace(TEMPLATE_NAME, name.as_str()).replace(TEMPLATE_NAME_IN_SNAKE_CASE, &name.in_snake_case())
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let failed = |error| Failure::new(format!("{} cannot be written: {error}", path.display()));
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    std::fs::write(path, bytes).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(dir: &Path, language: Language, sdk: Option<PathBuf>) -> Arguments {
        Arguments { name: ProjectName::new("vip-orders").expect("a name"), language, dir: Some(dir.to_owned()), sdk }
    }

    #[test]
    fn a_projects_files_have_its_name_and_no_trace_of_the_templates() {
        let folder = tempfile::tempdir().expect("a folder");
        let dir = folder.path().join("vip");
        let sdk = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugin-sdk/rust");
        new(&arguments(&dir, Language::Rust, Some(sdk))).expect("written");
        let manifest = std::fs::read_to_string(dir.join("Cargo.toml")).expect("it is there");
        assert!(manifest.contains("name = \"vip-orders\""), "{manifest}");
        assert!(manifest.contains("plugin-sdk/rust\" }") && !manifest.contains("git ="), "{manifest}");
        let test = std::fs::read_to_string(dir.join("tests/plugin.rs")).expect("it is there");
        assert!(test.contains("vip_orders::") && !test.contains(TEMPLATE_NAME_IN_SNAKE_CASE), "{test}");
        assert!(dir.join("cases.toml").is_file());
    }

    #[test]
    fn a_folder_with_something_in_it_is_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("mine"), "").expect("written");
        let error = new(&arguments(folder.path(), Language::C, None)).expect_err("refused").to_string();
        assert!(error.ends_with("is there already, and is not empty"), "{error}");
        assert!(!folder.path().join("plugin.toml").exists());
    }

    #[test]
    fn what_is_no_folder_and_what_is_no_sdk_is_said() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("vip.wasm");
        std::fs::write(&file, "").expect("written");
        let error = new(&arguments(&file, Language::C, None)).expect_err("refused").to_string();
        assert!(error.ends_with("vip.wasm is there already, and is no folder"), "{error}");
        let to = folder.path().join("vip");
        let error =
            new(&arguments(&to, Language::Rust, Some(folder.path().to_owned()))).expect_err("refused").to_string();
        assert!(error.ends_with("has no Cargo.toml: name the folder `plugin-sdk/rust` of Trackside"), "{error}");
        assert!(!to.exists());
    }

    #[test]
    fn only_rust_takes_an_sdk_from_elsewhere() {
        let folder = tempfile::tempdir().expect("a folder");
        let error = new(&arguments(folder.path(), Language::C, Some(".".into()))).expect_err("refused").to_string();
        assert!(error.starts_with("--sdk is for Rust only"), "{error}");
    }
}
