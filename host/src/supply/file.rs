//! Files read whole, once and within a bound: what is checked is what was read, whatever becomes of the file.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The bytes of a plain file. Links are followed, since that is how Kubernetes mounts files.
///
/// # Errors
/// When it cannot be read, is no plain file, or has more than `max_bytes`.
pub(crate) fn read(path: &Path, max_bytes: usize) -> io::Result<Vec<u8>> {
    // Without waiting: to open a pipe that nobody writes to would take for ever. What was opened is then asked what it
    // is, so that nothing can be put in its place in between.
    let flags = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).map_err(io::Error::other)?;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a plain file"));
    }
    let too_large = || io::Error::new(io::ErrorKind::FileTooLarge, format!("it has more than {max_bytes} bytes"));
    let length = usize::try_from(metadata.len()).ok().filter(|length| *length <= max_bytes).ok_or_else(too_large)?;
    let mut bytes = Vec::with_capacity(length);
    file.take(max_bytes as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > max_bytes { Err(too_large()) } else { Ok(bytes) }
}

/// The path of a file's detached signatures: its own with `.sig` at the end.
#[must_use]
pub fn signature_path(component: &Path) -> PathBuf {
    let mut path = component.as_os_str().to_owned();
    path.push(".sig");
    PathBuf::from(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_files_within_the_bound_are_read_and_nothing_is_waited_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("file"), "12345").expect("is written");
        std::os::unix::fs::symlink("file", at("link")).expect("is linked");
        let made = std::process::Command::new("mkfifo").arg(at("pipe")).status().expect("mkfifo runs");
        assert!(made.success());
        assert_eq!(read(&at("file"), 5).expect("fits"), b"12345");
        assert_eq!(read(&at("link"), 5).expect("is followed"), b"12345");
        for (name, want) in [
            ("file", "it has more than 4 bytes"),
            ("pipe", "it is not a plain file"),
            ("", "it is not a plain file"),
            ("gone", "No such file or directory (os error 2)"),
        ] {
            assert_eq!(read(&at(name), 4).expect_err(name).to_string(), want);
        }
        assert_eq!(read(Path::new("/dev/zero"), 4).expect_err("endless").to_string(), "it is not a plain file");
    }
}
