//! What was fetched from registries, on disk by its digest, so that a start needs no registry. Nothing in the folder is
//! trusted: what is read is hashed, and what has another digest than its name is as good as not there.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use crate::supply::file;

/// How much the folder may hold; what was not used for longest goes first.
const MAX_STORE_BYTES: u64 = 1 << 30;

/// The folder; none where the system has no place for one, so that everything is fetched at every load.
#[derive(Debug, Clone)]
pub(in crate::supply) struct Store(Option<PathBuf>);

impl Store {
    /// The folder `oci` in a cache folder.
    pub(in crate::supply) fn below(cache: Option<&Path>) -> Self {
        Self(cache.map(|cache| cache.join("oci")))
    }

    /// What has this digest.
    pub(super) fn get(&self, digest: &[u8; 32], max_bytes: usize) -> Option<Vec<u8>> {
        let path = self.path(digest)?;
        let bytes = file::read(&path, max_bytes).ok()?;
        if Sha256::digest(&bytes)[..] != digest[..] {
            tracing::warn!(path = %path.display(), "what is here was changed or damaged, and is fetched again");
            return None;
        }
        // Marked as used; if that fails it goes earlier than need be.
        let now = fs::FileTimes::new().set_modified(SystemTime::now());
        let _ = fs::File::options().write(true).open(&path).and_then(|file| file.set_times(now));
        Some(bytes)
    }

    /// Keeps what has this digest. What cannot be kept is fetched again.
    pub(super) fn put(&self, digest: &[u8; 32], bytes: &[u8]) {
        if let (Some(folder), Some(path)) = (&self.0, self.path(digest))
            && let Err(error) = write(folder, &path, bytes)
        {
            tracing::warn!(folder = %folder.display(), %error, "a plugin could not be kept: it is fetched again next time");
        }
    }

    fn path(&self, digest: &[u8; 32]) -> Option<PathBuf> {
        self.0.as_ref().map(|folder| folder.join(hex::encode(digest)))
    }
}

fn write(folder: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.persist(path).map_err(|error| error.error)?;
    evict(folder, MAX_STORE_BYTES)
}

/// Removes what was not used for longest until the folder is within its bound. Other processes may be at it too, so what
/// is gone is no error.
fn evict(folder: &Path, max_bytes: u64) -> io::Result<()> {
    let entries = fs::read_dir(folder)?.filter_map(|entry| {
        let entry = entry.ok()?;
        let metadata = entry.metadata().ok().filter(fs::Metadata::is_file)?;
        Some((metadata.modified().ok()?, metadata.len(), entry.path()))
    });
    let mut entries: Vec<_> = entries.collect();
    entries.sort();
    let mut total: u64 = entries.iter().map(|(_, bytes, _)| bytes).sum();
    // The last one used is the one that was just written.
    entries.pop();
    for (_, bytes, path) in entries {
        if total <= max_bytes {
            break;
        }
        if fs::remove_file(path).is_ok() {
            total -= bytes;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_was_changed_on_disk_is_not_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::below(Some(folder.path()));
        let digest = Sha256::digest(b"component").into();
        assert_eq!(store.get(&digest, 100), None);
        store.put(&digest, b"component");
        assert_eq!(store.get(&digest, 100).as_deref(), Some(b"component".as_slice()));
        assert_eq!(store.get(&digest, 8), None, "more than may be");
        fs::write(store.path(&digest).expect("a path"), "componenT").expect("is written");
        assert_eq!(store.get(&digest, 100), None);
    }

    #[test]
    fn what_was_not_used_for_longest_goes_first() {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, age) in [("a", 30), ("b", 20), ("c", 10)] {
            let file = fs::File::create(folder.path().join(name)).expect("a file");
            file.set_len(10).expect("a length");
            let used = SystemTime::now() - Duration::from_secs(age);
            file.set_times(fs::FileTimes::new().set_modified(used)).expect("a time");
        }
        evict(folder.path(), 20).expect("the folder is there");
        assert!(!folder.path().join("a").exists() && folder.path().join("b").exists());
        evict(folder.path(), 0).expect("the folder is there");
        assert!(!folder.path().join("b").exists() && folder.path().join("c").exists(), "the newest stays");
    }
}
