//! What Trackside's admin API tells, and where to put one.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::process::Process;

#[path = "../../tests/src/port.rs"]
#[expect(unreachable_pub, reason = "it is public in the tests' library, whose file this is")]
mod port;

const HTTP_LIMIT: Duration = Duration::from_secs(5);
const RELOAD_LIMIT: Duration = Duration::from_secs(60);
/// Plugins are compiled at a low priority, and a machine that is busy with others leaves them little.
const START_LIMIT: Duration = Duration::from_secs(300);

/// Waits until a Trackside that was just started says that it is ready.
pub(crate) async fn wait_until_ready(trackside: &mut Process, admin_url: &str) -> Result<()> {
    let ready = async || get(&format!("{admin_url}/readyz")).await.ok();
    trackside.wait_for("Trackside to be ready", START_LIMIT, ready).await.map(drop)
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

/// Has the configuration loaded anew, and returns when it is in force.
pub(crate) async fn reload(admin_url: &str) -> Result<()> {
    let url = format!("{admin_url}/v1/reload");
    let request = move || -> Result<String> {
        let mut answer = agent(RELOAD_LIMIT).post(&url).send_empty().with_context(|| format!("cannot post {url}"))?;
        Ok(answer.body_mut().read_to_string()?)
    };
    let answer: Value = serde_json::from_str(&tokio::task::spawn_blocking(request).await??)?;
    match answer["outcome"].as_str() {
        Some("activated") => Ok(()),
        _ => bail!("the configuration was not loaded anew: {answer}"),
    }
}

/// The body of a URL that answers 200.
pub(crate) async fn get(url: &str) -> Result<String> {
    let url = url.to_owned();
    let request = move || -> Result<String> {
        let mut answer = agent(HTTP_LIMIT).get(&url).call().with_context(|| format!("cannot get {url}"))?;
        Ok(answer.body_mut().read_to_string()?)
    };
    tokio::task::spawn_blocking(request).await?
}

fn agent(limit: Duration) -> ureq::Agent {
    ureq::Agent::new_with_config(ureq::Agent::config_builder().timeout_global(Some(limit)).build())
}

/// An address that nobody listens at just now.
pub(crate) fn free_address() -> String {
    format!("127.0.0.1:{}", port::free_port())
}
