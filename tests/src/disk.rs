//! A disk that is soon full.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// A small file system in memory, gone when it is dropped.
#[derive(Debug)]
pub struct SmallDisk(TempDir);

impl SmallDisk {
    /// Mounts one of this size, such as `64m`; `None` where that is not allowed.
    #[must_use]
    pub fn mount(size: &str) -> Option<Self> {
        let folder = tempfile::tempdir().ok()?;
        let options = format!("size={size}");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &options, "trackside-test"]).arg(folder.path());
        mount.output().ok()?.status.success().then(|| Self(folder))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Fills all of it but so many bytes.
    ///
    /// # Panics
    /// When it cannot be written to.
    pub fn fill(&self, left: usize) {
        let ballast = File::create(self.ballast()).expect("a file on the small disk");
        let mut ballast = std::io::BufWriter::with_capacity(4096, ballast);
        // Written until there is no room at all, then cut.
        while ballast.write_all(&[1; 4096]).is_ok() {}
        let ballast = ballast.into_parts().0;
        let held = ballast.metadata().expect("its length").len();
        ballast.set_len(held.saturating_sub(left as u64)).expect("it can be cut");
    }

    /// Gives the room back.
    ///
    /// # Panics
    /// When it was not filled.
    pub fn free(&self) {
        std::fs::remove_file(self.ballast()).expect("the disk was filled");
    }

    fn ballast(&self) -> PathBuf {
        self.path().join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a server that is being killed may still have files open.
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}
