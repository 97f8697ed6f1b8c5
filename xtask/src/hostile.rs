//! Hostile components: what a neighbour and the host's memory have to bear while each attacks. What becomes of the attacks
//! themselves is a test like any other (`tests/tests/attacks.rs`).

use anyhow::Result;

use crate::cargo::{BUILD_LIMIT, Workspace};
use crate::{nats, release, shell};

/// Measures the release build, or only the attacks whose names contain `name`, and puts the table into docs/security.md.
pub(crate) async fn hostile(workspace: &Workspace, name: Option<&str>) -> Result<()> {
    let server = nats::provision(workspace).await?;
    let binary = release::build(workspace).await?;
    let mut cargo = workspace.cargo();
    cargo.args(["test", "--quiet", "--workspace", "--test", "neighbours", "--", "--ignored", "--nocapture"]);
    cargo.env("NATS_SERVER", &server.path).env("TRACKSIDE_BIN", binary);
    cargo.env("TRACKSIDE_HOSTILE_ONLY", name.unwrap_or_default());
    cargo.env("TRACKSIDE_HOSTILE_DOCUMENT", workspace.root.join("docs").join("security.md"));
    shell::run("the hostile components", &mut cargo, BUILD_LIMIT).await
}
