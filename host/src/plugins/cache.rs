//! Compiled components on disk. Compiling a language runtime takes seconds, reading it back some milliseconds. Entries are
//! mapped, so only what is used of them takes memory, and instances of several processes share it.
//!
//! The cache is a convenience: whatever goes wrong with it costs a compilation and a warning, never a start.

use std::fs::{self, DirBuilder, Permissions};
use std::hash::{Hash, Hasher};
use std::io::{self, BufRead as _, Read as _, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

/// How much the folder may hold; the entries that were not used for longest go first.
const MAX_CACHE_BYTES: u64 = 512 << 20;

const EXTENSION: &str = "cwasm";

/// Bytes of the SHA-256 that an entry ends with.
const DIGEST_BYTES: u64 = 32;

/// A file that is being written for longer than this belongs to nobody.
const ABANDONED_AFTER: Duration = Duration::from_secs(3600);

/// A folder of compiled components that only this user can write to.
#[derive(Debug)]
pub(super) struct Cache {
    folder: PathBuf,
    /// What the engine is set to, and its version: entries of another do not fit.
    engine: [u8; 32],
}

impl Cache {
    /// Opens the folder, making it if it is not there; `None`, with a warning, if it cannot be used.
    pub(super) fn open(folder: &Path, engine: &Engine) -> Option<Self> {
        let cache = Self { folder: folder.to_owned(), engine: fingerprint(engine) };
        match prepare(folder) {
            Ok(()) => Some(cache),
            Err(error) => {
                let folder = folder.display();
                tracing::warn!(%folder, %error, "compiled plugins cannot be cached here: every start compiles them again");
                None
            }
        }
    }

    /// The compiled form of the component with this digest, if it is there and undamaged.
    pub(super) fn get(&self, engine: &Engine, digest: &[u8; 32]) -> Option<Component> {
        let path = self.path(digest);
        let whole = match is_whole(&path) {
            Ok(whole) => whole,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "a cache entry cannot be read");
                return None;
            }
        };
        if !whole {
            tracing::warn!(path = %path.display(), "a damaged cache entry is replaced");
            return None;
        }
        // SAFETY: `deserialize_file` asks for a file that the compiler of a compatible engine made, since it runs
        // the machine code in it, and that does not change while it is mapped. The file's name is a hash over the
        // engine's settings and version, so another engine's bytes are under another name (and wasmtime checks again).
        // Its folder belongs to this user and nobody else can write to it, which `prepare` checked, so only this program,
        // or somebody who could replace this program, put it there; and this program replaces entries as a whole, under
        // new inodes. What a disk or a crash does to it, the digest shows.
        #[allow(unsafe_code, reason = "argued above")]
        let component = unsafe { Component::deserialize_file(engine, &path) };
        match component {
            Ok(component) => {
                touch(&path);
                Some(component)
            }
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "a cache entry that does not fit is replaced");
                None
            }
        }
    }

    /// Keeps the compiled form of the component with this digest.
    pub(super) fn put(&self, compiled: &[u8], digest: &[u8; 32]) {
        if let Err(error) = self.write(compiled, digest) {
            let folder = self.folder.display();
            tracing::warn!(%folder, %error, "a compiled plugin could not be cached: the next start compiles it again");
        }
    }

    fn write(&self, body: &[u8], digest: &[u8; 32]) -> io::Result<()> {
        // A file of the folder, private from its making on, that goes away unless it is renamed.
        let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(&self.folder)?;
        file.write_all(body)?;
        file.write_all(&Sha256::digest(body))?;
        file.persist(self.path(digest)).map_err(|error| error.error)?;
        evict(&self.folder, MAX_CACHE_BYTES)
    }

    fn path(&self, digest: &[u8; 32]) -> PathBuf {
        let key = Sha256::new_with_prefix(self.engine).chain_update(digest).finalize();
        self.folder.join(hex::encode(key)).with_extension(EXTENSION)
    }
}

/// Whether an entry ends with the digest of what is before it.
fn is_whole(path: &Path) -> io::Result<bool> {
    let mut file = fs::File::open(path)?;
    let Some(body) = file.metadata()?.len().checked_sub(DIGEST_BYTES) else { return Ok(false) };
    let mut hash = Sha256::new();
    let mut reader = io::BufReader::with_capacity(1 << 16, (&mut file).take(body));
    loop {
        let chunk = reader.fill_buf()?;
        if chunk.is_empty() {
            break;
        }
        hash.update(chunk);
        let length = chunk.len();
        reader.consume(length);
    }
    let mut trailer = Vec::new();
    file.take(DIGEST_BYTES).read_to_end(&mut trailer)?;
    Ok(hash.finalize()[..] == trailer[..])
}

/// Makes the folder if need be and checks that nobody else can put files there.
fn prepare(folder: &Path) -> io::Result<()> {
    if !folder.exists() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let metadata = fs::metadata(folder)?;
    // Who this user is, a file tells that was just made; that it can be made is worth knowing too.
    let own = tempfile::Builder::new().prefix(".probe-").tempfile_in(folder)?.as_file().metadata()?.uid();
    if metadata.uid() != own {
        return Err(io::Error::other("the folder belongs to another user"));
    }
    if metadata.mode() & 0o022 != 0 {
        return Err(io::Error::other("the folder can be written to by other users: `chmod go-w` it"));
    }
    fs::set_permissions(folder, Permissions::from_mode(metadata.mode() & 0o700))
}

/// Removes the entries that were not used for longest until the folder is within its bound, and what a crash has left
/// half written.
fn evict(folder: &Path, max_bytes: u64) -> io::Result<()> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        // Another process may be evicting too, so an entry that is gone is no error.
        let Ok(metadata) = fs::metadata(&path) else { continue };
        let used = metadata.modified()?;
        if path.extension().is_some_and(|extension| extension == EXTENSION) {
            entries.push((used, metadata.len(), path));
        } else if used.elapsed().is_ok_and(|age| age > ABANDONED_AFTER) {
            let _ = fs::remove_file(path);
        }
    }
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

/// Marks an entry as used; if that fails it is evicted earlier than need be.
fn touch(path: &Path) {
    let now = fs::FileTimes::new().set_modified(SystemTime::now());
    let _ = fs::File::options().write(true).open(path).and_then(|file| file.set_times(now));
}

/// What decides whether an engine can run what another has compiled: wasmtime's version, target and settings.
fn fingerprint(engine: &Engine) -> [u8; 32] {
    struct Sha(Sha256);
    impl Hasher for Sha {
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }
        fn finish(&self) -> u64 {
            0
        }
    }
    let mut hasher = Sha(Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher.0.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_used_for_longest_goes_first_and_half_written_files_after_an_hour() {
        let folder = tempfile::tempdir().expect("a directory");
        let make = |name: &str, bytes: usize, age_seconds: u64| {
            let path = folder.path().join(name);
            fs::write(&path, vec![0; bytes]).expect("a file");
            let used = SystemTime::now() - Duration::from_secs(age_seconds);
            let file = fs::File::options().write(true).open(path).expect("the file");
            file.set_times(fs::FileTimes::new().set_modified(used)).expect("a time");
        };
        make("old.cwasm", 10, 300);
        make("older.cwasm", 10, 400);
        make("new.cwasm", 25, 0);
        make(".new-abandoned", 10, 4000);
        make(".new-being-written", 10, 1);
        evict(folder.path(), 35).expect("the folder is there");
        let mut left: Vec<_> = fs::read_dir(folder.path())
            .expect("the folder is there")
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("text"))
            .collect();
        left.sort();
        assert_eq!(left, [".new-being-written", "new.cwasm", "old.cwasm"]);
        evict(folder.path(), 0).expect("the folder is there");
        assert!(folder.path().join("new.cwasm").exists(), "the newest stays even if it is too large alone");
    }
}
