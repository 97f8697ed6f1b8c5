//! Python: componentize-py puts the modules into CPython. What CPython asks of WASI is left to the host: with the stubs
//! that componentize-py has for it, `time`, `uuid` and `os.urandom` would trap, and what is printed would be lost.

use std::path::Path;
use std::process::Command;

use super::super::project::Project;
use super::tools::{self, Log};
use crate::app::Failure;

/// What is installed if nothing is there.
const PACKAGE: &str = "componentize-py==0.25.1";

pub(super) fn component(project: &Project) -> Result<Vec<u8>, Failure> {
    let environment = project.folder.join(".venv");
    let own = environment.join("bin/componentize-py");
    let mut python = if own.is_file() {
        let mut python = Command::new(own);
        // Where it looks for the packages that the plugin imports.
        python.env("VIRTUAL_ENV", environment);
        python
    } else {
        Command::new(tools::on_path("componentize-py").ok_or_else(|| missing(project))?)
    };
    let log = Log::used_if(mentions_log(&project.folder.join("src"))?);
    let folder = project.build_folder()?;
    let component = folder.join(format!("{}.wasm", project.name));
    python.arg("--wit-path").arg(tools::contract(project, log)?).args(["--world", "plugin", "componentize"]);
    for part in ["src", "sdk"] {
        // CPython leaves its caches beside what it reads, in which they are for a Python that nobody else has.
        let copy = folder.join("python").join(part);
        copy_modules(&project.folder.join(part), &copy)?;
        python.arg("--python-path").arg(copy);
    }
    tools::run(project, python.args(["trackside_main", "--output"]).arg(&component))?;
    tools::read(&component)
}

fn missing(project: &Project) -> Failure {
    let folder = project.folder.display();
    let venv = format!("python3 -m venv {folder}/.venv && {folder}/.venv/bin/pip install {PACKAGE}");
    tools::missing("componentize-py", &[&venv, &format!("python3 -m pip install {PACKAGE}")])
}

/// Copies a folder to one that is made anew, so that nothing is left there of what the project has no more.
fn copy_modules(from: &Path, to: &Path) -> Result<(), Failure> {
    let failed = |error| Failure::new(format!("{} cannot be copied to {}: {error}", from.display(), to.display()));
    if to.exists() {
        std::fs::remove_dir_all(to).map_err(failed)?;
    }
    std::fs::create_dir_all(to).map_err(failed)?;
    for entry in std::fs::read_dir(from).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let (path, copy) = (entry.path(), to.join(entry.file_name()));
        if !path.is_dir() {
            std::fs::copy(&path, &copy).map_err(failed)?;
        } else if entry.file_name() != "__pycache__" {
            copy_modules(&path, &copy)?;
        }
    }
    Ok(())
}

/// Whether a module has the word `log` in it. One that does not cannot use the SDK's module of that name, and then the
/// component has no need to import the host's log; where the word means something else, it imports it in vain.
fn mentions_log(folder: &Path) -> Result<bool, Failure> {
    let failed = |error| Failure::new(format!("{} cannot be read: {error}", folder.display()));
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let mentions = match path.extension() {
            _ if path.is_dir() => mentions_log(&path)?,
            Some(extension) if extension == "py" => has_word_log(&tools::read(&path)?),
            _ => false,
        };
        if mentions {
            return Ok(true);
        }
    }
    Ok(false)
}

fn has_word_log(source: &[u8]) -> bool {
    source.split(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_').any(|word| word == b"log")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_uses_the_log_if_a_module_of_it_has_the_word() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            std::fs::write(path, text).expect("written");
        };
        write("plugin.py", "from trackside_plugin import export\nlogin = catalog_log = dialog()\n");
        write("notes.txt", "log");
        assert!(!mentions_log(folder.path()).expect("read"));
        write("deep/er.py", "from trackside_plugin import (\n    export,\n    log,\n)\n");
        assert!(mentions_log(folder.path()).expect("read"));
    }
}
