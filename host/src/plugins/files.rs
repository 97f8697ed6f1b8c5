//! The files that a stage reads while it is configured: read from disk once, the same bytes for every instance after.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest, Sha256};

/// Bounds of what one stage may read.
const MAX_FILE_BYTES: u64 = 16 << 20;
const MAX_STAGE_BYTES: usize = 64 << 20;
const MAX_FILES: usize = 1024;

/// What a stage has read, by path from the configuration directory. A file that could not be read is remembered too:
/// it may be there the next time, and the stage would be another.
#[derive(Debug, Default)]
pub struct FileSnapshot(BTreeMap<String, Outcome>);

/// The outcome of reading one file: its bytes and their SHA-256, or why there are none.
type Outcome = Result<(Bytes, [u8; 32]), String>;

impl FileSnapshot {
    /// The paths that were read or tried, from the configuration directory with `/` between the parts, and the
    /// SHA-256 of what was read.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&[u8; 32]>)> {
        self.0.iter().map(|(path, read)| (path.as_str(), read.as_ref().ok().map(|(_, digest)| digest)))
    }

    /// Whether nothing was read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What an instance may read.
#[derive(Debug)]
pub(super) enum Files {
    /// The first instance of a stage reads the disk.
    Disk(Recorder),
    /// Later ones see what the first one saw.
    Snapshot(Arc<FileSnapshot>),
}

/// Reads files below a directory, and remembers them.
#[derive(Debug)]
pub(super) struct Recorder {
    root: PathBuf,
    folders: Vec<String>,
    read: FileSnapshot,
    bytes: usize,
}

impl Files {
    /// What an instance finds at a path; the error is a sentence.
    pub(super) fn read(&mut self, path: &str) -> Result<Bytes, String> {
        match self {
            Files::Disk(recorder) => recorder.read(path),
            Files::Snapshot(snapshot) => match snapshot.0.get(path) {
                Some(read) => read.clone().map(|(bytes, _)| bytes),
                None => Err(format!(
                    "`{path}` was not read when the stage was configured first: read the same files every time"
                )),
            },
        }
    }

    /// What was read.
    pub(super) fn into_snapshot(self) -> Arc<FileSnapshot> {
        match self {
            Files::Disk(recorder) => Arc::new(recorder.read),
            Files::Snapshot(snapshot) => snapshot,
        }
    }
}

impl Recorder {
    /// Reads below `root`, in these folders, which end in `/`.
    pub(super) fn new(root: &Path, folders: &[String]) -> Self {
        Self { root: root.to_owned(), folders: folders.to_vec(), read: FileSnapshot::default(), bytes: 0 }
    }

    fn read(&mut self, path: &str) -> Result<Bytes, String> {
        if let Some(read) = self.read.0.get(path) {
            return read.clone().map(|(bytes, _)| bytes);
        }
        // What is wrong with the path itself does not change with the disk, and so is not remembered.
        self.check(path)?;
        let read = self.read_disk(path).map(|bytes| {
            let digest = Sha256::digest(&bytes).into();
            (bytes, digest)
        });
        if let Ok((bytes, _)) = &read {
            self.bytes += bytes.len();
        }
        self.read.0.insert(path.to_owned(), read.clone());
        read.map(|(bytes, _)| bytes)
    }

    fn check(&self, path: &str) -> Result<(), String> {
        if self.read.0.len() >= MAX_FILES {
            return Err(format!("a stage reads at most {MAX_FILES} files"));
        }
        let plain = |part: &str| !matches!(part, "" | "." | "..") && !part.contains(['\\', '\0', ':']);
        if path.len() > 1024 || !path.split('/').all(plain) {
            return Err(format!(
                "`{path}` is not a path from the configuration directory: write names joined by `/`, without `.` and `..`"
            ));
        }
        if !self.folders.iter().any(|folder| path.starts_with(folder.as_str())) {
            let allowed = self.folders.iter().map(|folder| format!("`{folder}`")).collect::<Vec<_>>().join(", ");
            return Err(format!(
                "`{path}` is outside of what the plugin may read ({}): see `files` of its `[plugins.NAME]` table",
                if allowed.is_empty() { "nothing" } else { &allowed }
            ));
        }
        Ok(())
    }

    fn read_disk(&self, path: &str) -> Result<Bytes, String> {
        let failed = |error: std::io::Error| format!("`{path}` cannot be read: {error}");
        let root = self.root.canonicalize().map_err(failed)?;
        // Links are followed, since that is how Kubernetes mounts files, but not out of the directory.
        let file = root.join(path).canonicalize().map_err(failed)?;
        if !file.starts_with(&root) {
            return Err(format!("`{path}` is a link out of the configuration directory"));
        }
        // A pipe or device would make the read wait, or never end.
        if !file.metadata().map_err(failed)?.is_file() {
            return Err(format!("`{path}` is not a plain file"));
        }
        let mut bytes = Vec::new();
        File::open(&file).and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)).map_err(failed)?;
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(format!("`{path}` is larger than {} MiB", MAX_FILE_BYTES >> 20));
        }
        if self.bytes + bytes.len() > MAX_STAGE_BYTES {
            return Err(format!("the files of one stage have more than {} MiB together", MAX_STAGE_BYTES >> 20));
        }
        Ok(Bytes::from(bytes))
    }
}
