//! What the commands that work with dead letters begin with: the rules, and a connection that is there soon or not at
//! all.

use std::path::Path;
use std::time::Duration;

use crate::backbone::{self, Connection};
use crate::rules::Rules;

use super::Failure;
use super::offline::load;

/// How long a command waits for a server; a running host waits for ever.
const CONNECT_WAIT: Duration = Duration::from_secs(10);

/// What a configuration directory says, its plugins left alone.
///
/// # Errors
/// Everything that is wrong with the files.
pub fn configured(directory: &Path) -> Result<Rules, Failure> {
    load(directory).map(|(rules, _)| rules)
}

/// Connects to the servers of a configuration.
///
/// # Errors
/// When none can be reached in time, or they refuse.
pub async fn reach(rules: &Rules) -> Result<Connection, Failure> {
    let nats = &rules.config.nats;
    match tokio::time::timeout(CONNECT_WAIT, backbone::connect(nats, &rules.directory)).await {
        Ok(connected) => connected.map_err(|error| Failure::new(error.to_string())),
        Err(_) => {
            let servers = nats.servers.join(", ");
            Err(Failure::new(format!("none of the NATS servers {servers} could be reached within {CONNECT_WAIT:?}")))
        }
    }
}
