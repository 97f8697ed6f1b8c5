//! The example configuration in `config/`, for tests.

use std::path::{Path, PathBuf};

use crate::Setup;

/// A copy of `config/`, with a cache that tests share and deadlines that a busy machine keeps.
#[derive(Debug)]
pub struct Example(Setup);

impl Example {
    /// What has to be in the environment: any values will do.
    pub const SECRETS: &[(&str, &str)] = &[("MASK_KEY", "a key of the test")];

    /// Makes the copy.
    ///
    /// # Panics
    /// When the example cannot be read or the temporary folder cannot be written.
    #[must_use]
    pub fn new() -> Self {
        let setup = Setup::new("nats://127.0.0.1:1", "");
        let ours = std::fs::read_to_string(setup.path().join("trackside.toml")).expect("the configuration");
        let (_, runtime) = ours.split_once("[runtime]").expect("a table for the cache");
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config");
        for file in files(&from) {
            let name = file.strip_prefix(&from).expect("it is in the folder").to_str().expect("a name of UTF-8");
            let mut text = std::fs::read(&file).expect("a file of the example");
            if name == "trackside.toml" {
                let plugins = ["validate", "transform", "mask", "route"];
                let patient = plugins
                    .map(|plugin| format!("[plugins.{plugin}]\ndeadline = \"10s\"\ncompile-timeout = \"10m\"\n"))
                    .concat();
                text.extend_from_slice(format!("\n[runtime]{runtime}\n{patient}").as_bytes());
            }
            setup.write(name, text);
        }
        Self(setup)
    }
}

impl Default for Example {
    fn default() -> Self {
        Self::new()
    }
}

impl std::ops::Deref for Example {
    type Target = Setup;

    fn deref(&self) -> &Setup {
        &self.0
    }
}

/// All files of a folder and the folders in it.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder of the example");
    let entries = entries.map(|entry| entry.expect("an entry of it").path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}
