//! The demo's world: a nats-server on a free port with a temporary store, its streams, a copy of the configuration,
//! and Trackside running on it.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use async_nats::jetstream::{self, stream};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;
use toml_edit::{DocumentMut, value};

use super::process::Process;
use crate::nats::Server;

/// The streams, each with the subjects it stores.
pub(crate) const SOURCE: (&str, &str) = ("ORDERS", "orders.>");
pub(crate) const OUTCOMES: [(&str, &str); 3] = [("CLEAN", "clean.>"), ("REVIEW", "review.>"), ("DEAD", "dead.>")];
/// What the audit trail is stored in; the demo does not watch it.
const AUDIT: (&str, &str) = ("AUDIT", "audit.>");

/// Key for the rule's `env:MASK_KEY`. The demo's secrets are made up, so that this one may be known.
const MASK_KEY: &str = "a key for the demo and nothing else";

const START_LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(30);
const HTTP_LIMIT: Duration = Duration::from_secs(5);

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
        let (nats, nats_url) = start_nats(server, folder.path()).await?;
        let client = async_nats::connect(&nats_url).await.with_context(|| format!("cannot connect to {nats_url}"))?;
        let jetstream = jetstream::new(client);
        make_streams(&jetstream).await?;

        let copy = folder.path().join("config");
        copy_folder(config, &copy)?;
        let admin = free_address()?;
        point_at(&copy.join("trackside.toml"), &nats_url, &admin)?;

        let admin_url = format!("http://{admin}");
        let mut command = Command::new(binary);
        command.arg("run").arg(&copy).env("MASK_KEY", MASK_KEY);
        let mut trackside = Process::start("trackside", &mut command, folder.path())?;
        let ready = async || get(&format!("{admin_url}/readyz")).await.ok();
        trackside.wait_for("Trackside to be ready", START_LIMIT, ready).await?;
        Ok(Self { trackside, nats, nats_url, admin_url, jetstream, config: copy, folder })
    }

    /// Asks for the revision in force.
    pub(crate) async fn revision(&self) -> Result<String> {
        revision(&self.admin_url).await
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

/// Asks an admin API for the revision in force.
pub(crate) async fn revision(admin_url: &str) -> Result<String> {
    let status = status(admin_url).await?;
    Ok(status["revision"].as_str().with_context(|| format!("{admin_url} named no revision: {status}"))?.to_owned())
}

/// All that an admin API tells of the revision in force and of the last load of the configuration.
pub(crate) async fn status(admin_url: &str) -> Result<Value> {
    let url = format!("{admin_url}/v1/revision");
    let answer = get(&url).await?;
    serde_json::from_str(&answer).with_context(|| format!("{url} did not answer with JSON"))
}

/// The body of a URL that answers 200.
pub(crate) async fn get(url: &str) -> Result<String> {
    let url = url.to_owned();
    let request = move || -> Result<String> {
        let agent =
            ureq::Agent::new_with_config(ureq::Agent::config_builder().timeout_global(Some(HTTP_LIMIT)).build());
        Ok(agent.get(&url).call().with_context(|| format!("cannot get {url}"))?.body_mut().read_to_string()?)
    };
    tokio::task::spawn_blocking(request).await?
}

/// Starts a server that picks its port itself and tells it in a file, so that nobody can take it in between.
async fn start_nats(server: &Server, folder: &Path) -> Result<(Process, String)> {
    let mut command = Command::new(&server.path);
    command.args(["--addr", "127.0.0.1", "--port", "-1", "--jetstream", "--store_dir"]).arg(folder.join("store"));
    command.arg("--ports_file_dir").arg(folder);
    let mut nats = Process::start("nats-server", &mut command, folder)?;
    let ports = format!("nats-server_{}.ports", nats.id().unwrap_or_default());
    let url = async || -> Option<String> {
        let json: Value = serde_json::from_slice(&fs::read(folder.join(&ports)).ok()?).ok()?;
        Some(json["nats"][0].as_str()?.to_owned())
    };
    let url = nats.wait_for("nats-server to listen", START_LIMIT, url).await?;
    Ok((nats, url))
}

async fn make_streams(jetstream: &jetstream::Context) -> Result<()> {
    for (name, subjects) in OUTCOMES.into_iter().chain([SOURCE, AUDIT]) {
        let config =
            stream::Config { name: name.to_owned(), subjects: vec![subjects.to_owned()], ..stream::Config::default() };
        jetstream.create_stream(config).await.with_context(|| format!("cannot create the stream {name}"))?;
    }
    Ok(())
}

/// An address that nobody listens at just now.
fn free_address() -> Result<String> {
    Ok(TcpListener::bind("127.0.0.1:0").context("no free port")?.local_addr()?.to_string())
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
