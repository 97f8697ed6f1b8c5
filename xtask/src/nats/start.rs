//! A nats-server of our own, for as long as its process is kept.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use serde_json::Value;
use tokio::process::Command;

use super::Server;
use crate::process::Process;

const START_LIMIT: Duration = Duration::from_secs(60);

/// Starts a server with its store and its log in the folder, and returns it with its URL. It picks its port itself and
/// tells it in a file, so that nobody can take it in between.
pub(crate) async fn start(server: &Server, folder: &Path) -> Result<(Process, String)> {
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
