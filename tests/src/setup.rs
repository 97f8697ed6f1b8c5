//! A configuration directory for a test.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::{free_port, provided};

/// A configuration directory, and a free port for the admin API.
#[derive(Debug)]
pub struct Setup {
    _folder: TempDir,
    /// Apart from the folder itself, so that log files beside it are no change of the configuration.
    directory: PathBuf,
    /// Where the admin API is to listen.
    pub admin: String,
}

impl Setup {
    /// A directory whose `trackside.toml` has `[nats]`, `[admin]`, `[runtime]` and what is given.
    ///
    /// # Panics
    /// When the temporary folder cannot be written.
    #[must_use]
    pub fn new(server: &str, rest: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let admin = format!("127.0.0.1:{}", free_port());
        let setup = Self { directory: folder.path().join("config"), _folder: folder, admin };
        let cache = cache_folder();
        let servers = server.split(',').map(|server| format!("\"{server}\"")).collect::<Vec<_>>().join(", ");
        setup.write(
            "trackside.toml",
            format!(
                "[nats]\nservers = [{servers}]\n[admin]\nlisten = \"{}\"\n[runtime]\ncache = {:?}\n{rest}\n",
                setup.admin,
                cache.display().to_string(),
            ),
        );
        setup
    }

    /// Writes a file the way editors do: to another name first, then over the old one.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a file has a folder")).expect("a folder in a temporary folder");
        let draft = path.with_extension("draft~");
        std::fs::write(&draft, text).expect("a file in a temporary folder");
        std::fs::rename(&draft, &path).expect("a rename in a temporary folder");
    }

    /// The directory, as an argument of a command.
    ///
    /// # Panics
    /// When the name of the temporary folder is not UTF-8.
    #[must_use]
    pub fn argument(&self) -> &str {
        self.path().to_str().expect("the temporary folder has a name of UTF-8")
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.directory
    }
}

/// Compiled components are shared by all tests, so that each compiles only once.
#[must_use]
pub fn cache_folder() -> PathBuf {
    provided("TRACKSIDE_BIN").parent().expect("a binary is in a folder").join("test-component-cache")
}
