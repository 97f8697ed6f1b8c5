//! An OCI registry of the test's own: a real process on loopback.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::authority::{Authority, Identity};
use crate::{Process, free_port, provided, until};

/// The user and the password that a registry with a login takes.
pub const LOGIN: (&str, &str) = ("me", "hunter2");

/// The same as a line of an htpasswd file, which the registry takes with bcrypt alone.
const HTPASSWD: &str = "me:$2y$05$abcdefghijklmnopqrstuuoXuKqgZXLiJqzfmMXDDhSFPIvxV7t8.\n";

/// A registry with a temporary store.
#[derive(Debug)]
pub struct Registry {
    process: Process,
    folder: TempDir,
    /// Its host and port, as references begin.
    pub host: String,
}

impl Registry {
    /// Starts one that anybody may read from and write to, by HTTP.
    pub async fn start() -> Self {
        Self::launch(false).await
    }

    /// Starts one that asks for [`LOGIN`], by HTTPS with a certificate that [`Registry::ca`] has signed.
    pub async fn start_guarded() -> Self {
        Self::launch(true).await
    }

    /// The file of the authority that has signed its certificate.
    ///
    /// # Panics
    /// When the name of the temporary folder is not UTF-8.
    #[must_use]
    pub fn ca(&self) -> String {
        self.file("ca.pem")
    }

    /// The file of an authority that has not.
    ///
    /// # Panics
    /// When the name of the temporary folder is not UTF-8.
    #[must_use]
    pub fn strange_ca(&self) -> String {
        self.file("strange.pem")
    }

    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().expect("the temporary folder has a name of UTF-8").to_owned()
    }

    /// Ends it.
    pub fn stop(&mut self) {
        self.process.kill();
    }

    async fn launch(guarded: bool) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path();
        let host = format!("127.0.0.1:{}", free_port());
        let mut config = format!(
            "version: 0.1\nlog: {{ level: warn }}\nstorage: {{ filesystem: {{ rootdirectory: {:?} }} }}\n\
             http:\n  addr: {host:?}\n",
            path.join("store"),
        );
        if guarded {
            certify(path);
            std::fs::write(path.join("htpasswd"), HTPASSWD).expect("a file in a temporary folder");
            let (cert, key, users) = (path.join("cert.pem"), path.join("key.pem"), path.join("htpasswd"));
            config += &format!("  tls: {{ certificate: {cert:?}, key: {key:?} }}\n");
            config += &format!("auth: {{ htpasswd: {{ realm: test, path: {users:?} }} }}\n");
        }
        let file = path.join("config.yml");
        std::fs::write(&file, config).expect("a file in a temporary folder");
        let mut command = Command::new(provided("DOCKER_REGISTRY"));
        let mut process = Process::spawn(command.arg("serve").arg(file), &path.join("registry.log"));
        until("the registry to listen", async || {
            assert!(!process.has_ended(), "the registry ended:\n{}", process.output());
            TcpStream::connect(&host).await.ok()
        })
        .await;
        Self { process, folder, host }
    }
}

/// Writes a certificate for loopback and its key, and the authority that signed it.
fn certify(folder: &Path) {
    let authority = Authority::new();
    let Identity { certificate, key } = authority.certify();
    for (name, text) in [
        ("ca.pem", authority.pem()),
        ("strange.pem", Authority::new().pem()),
        ("cert.pem", certificate),
        ("key.pem", key),
    ] {
        std::fs::write(folder.join(name), text).expect("a file in a temporary folder");
    }
}
