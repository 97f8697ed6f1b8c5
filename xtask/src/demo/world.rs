//! The demo's world: a nats-server on a free port with a temporary store, its streams, a copy of the configuration,
//! and Trackside running on it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use async_nats::jetstream::{self, stream};
use tempfile::TempDir;
use tokio::process::Command;
use toml_edit::{DocumentMut, value};

use crate::admin::{self, free_address};
use crate::nats::{self, Server};
use crate::process::Process;

/// The streams, each with the subjects it stores.
pub(crate) const SOURCE: (&str, &str) = ("ORDERS", "orders.>");
pub(crate) const OUTCOMES: [(&str, &str); 3] = [("CLEAN", "clean.>"), ("REVIEW", "review.>"), ("DEAD", "dead.>")];
/// What the audit trail is stored in; the demo does not watch it.
const AUDIT: (&str, &str) = ("AUDIT", "audit.>");

/// Key for the rule's `env:MASK_KEY`. The demo's secrets are made up, so that this one may be known.
const MASK_KEY: &str = "a key for the demo and nothing else";

const STOP_LIMIT: Duration = Duration::from_secs(30);

/// Everything that runs. Dropping it ends the processes and removes the folder.
pub(crate) struct World {
    // Fields are dropped in this order: Trackside goes before the server it talks to, the folder last.
    pub(crate) trackside: Process,
    pub(crate) nats: Process,
    /// Where to reach the server, as a NATS URL.
    pub(crate) nats_url: String,
    /// Where Trackside's admin API is, without a slash at the end.
    pub(crate) admin_url: String,
    /// A client's JetStream context.
    pub(crate) jetstream: jetstream::Context,
    /// The copy of `config/` that Trackside runs.
    pub(crate) config: PathBuf,
    folder: TempDir,
}

impl World {
    /// Starts everything, and waits until Trackside says that it is ready.
    pub(crate) async fn start(server: &Server, binary: &Path, config: &Path) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("trackside-demo-").tempdir()?;
        let (nats, nats_url) = nats::start(server, folder.path()).await?;
        let client = async_nats::connect(&nats_url).await.with_context(|| format!("cannot connect to {nats_url}"))?;
        let jetstream = jetstream::new(client);
        make_streams(&jetstream).await?;

        let copy = folder.path().join("config");
        copy_folder(config, &copy)?;
        let admin = free_address();
        point_at(&copy.join("trackside.toml"), &nats_url, &admin)?;

        let admin_url = format!("http://{admin}");
        let mut command = Command::new(binary);
        command.arg("run").arg(&copy).env("MASK_KEY", MASK_KEY);
        let mut trackside = Process::start("trackside", &mut command, folder.path())?;
        admin::wait_until_ready(&mut trackside, &admin_url).await?;
        Ok(Self { trackside, nats, nats_url, admin_url, jetstream, config: copy, folder })
    }

    /// Asks for the revision in force.
    pub(crate) async fn revision(&self) -> Result<String> {
        admin::revision(&self.admin_url).await
    }

    /// The folder that holds configuration, store and logs.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Ends Trackside, then the server, and returns how long Trackside took to drain.
    ///
    /// # Errors
    /// When one of them does not end as it should.
    pub(crate) async fn stop(self) -> Result<Duration> {
        let drained = self.trackside.stop(STOP_LIMIT).await?;
        self.nats.stop(STOP_LIMIT).await?;
        Ok(drained)
    }
}

async fn make_streams(jetstream: &jetstream::Context) -> Result<()> {
    for (name, subjects) in OUTCOMES.into_iter().chain([SOURCE, AUDIT]) {
        let config =
            stream::Config { name: name.to_owned(), subjects: vec![subjects.to_owned()], ..stream::Config::default() };
        jetstream.create_stream(config).await.with_context(|| format!("cannot create the stream {name}"))?;
    }
    Ok(())
}

/// Writes the demo's addresses into a copy of `trackside.toml`, and leaves the rest as it is.
fn point_at(file: &Path, nats_url: &str, admin: &str) -> Result<()> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let mut config: DocumentMut = text.parse().with_context(|| format!("{} is not TOML", file.display()))?;
    for table in ["nats", "admin"] {
        if !config.get(table).is_some_and(toml_edit::Item::is_table_like) {
            bail!("{} has no [{table}]", file.display());
        }
    }
    config["nats"]["servers"] = value(toml_edit::Array::from_iter([nats_url]));
    config["admin"]["listen"] = value(admin);
    fs::write(file, config.to_string()).with_context(|| format!("cannot write {}", file.display()))
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("cannot make {}", to.display()))?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target).with_context(|| format!("cannot copy {}", entry.path().display()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_copy_is_pointed_at_the_demos_addresses_and_keeps_its_comments() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("trackside.toml");
        let text =
            "# top\n[nats]\nservers = [\"nats://127.0.0.1:4222\"] # here\n[admin]\nlisten = \"127.0.0.1:9270\"\n";
        fs::write(&file, text).expect("written");
        point_at(&file, "nats://127.0.0.1:7", "127.0.0.1:8").expect("pointed");
        let text = fs::read_to_string(&file).expect("there");
        assert!(text.starts_with("# top\n") && text.contains("\"nats://127.0.0.1:7\""), "{text}");
        assert!(
            text.contains("listen = \"127.0.0.1:8\"") && !text.contains("4222") && !text.contains("9270"),
            "{text}"
        );
        fs::write(&file, "[nats]\n").expect("written");
        let error = point_at(&file, "", "").expect_err("no [admin]").to_string();
        assert!(error.ends_with("has no [admin]"), "{error}");
    }

    #[test]
    fn a_folder_is_copied_with_what_lies_deeper() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir_all(folder.path().join("a/b")).expect("folders");
        fs::write(folder.path().join("a/b/c.toml"), "x = 1").expect("written");
        copy_folder(&folder.path().join("a"), &folder.path().join("z")).expect("copied");
        assert_eq!(fs::read_to_string(folder.path().join("z/b/c.toml")).expect("there"), "x = 1");
    }
}
