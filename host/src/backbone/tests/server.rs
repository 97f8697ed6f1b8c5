//! A nats-server of one's own: a free port, a temporary store, and the end with the test.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::port::free_port;

pub(super) struct Server {
    child: Child,
    port: u16,
    directory: TempDir,
}

impl Server {
    /// Starts a server with JetStream.
    pub(super) fn start() -> Self {
        Self::with("jetstream { store_dir: \"DIRECTORY/store\" }")
    }

    /// Starts a server with this configuration, in which `DIRECTORY` stands for its own folder.
    pub(super) fn with(config: &str) -> Self {
        Self::with_files(config, |_| {})
    }

    /// The same, with files of its own that are written before.
    pub(super) fn with_files(config: &str, write: impl FnOnce(&Path)) -> Self {
        let directory = tempfile::tempdir().expect("a folder");
        write(directory.path());
        let config = config.replace("DIRECTORY", directory.path().to_str().expect("text"));
        std::fs::write(directory.path().join("server.conf"), config).expect("is written");
        let (child, port) = spawn(directory.path(), free_port());
        Self { child, port, directory }
    }

    pub(super) fn start_at(port: u16) -> Self {
        let directory = tempfile::tempdir().expect("a folder");
        std::fs::write(directory.path().join("server.conf"), "").expect("is written");
        let (child, port) = spawn(directory.path(), port);
        Self { child, port, directory }
    }

    pub(super) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Ends the server the hard way, as a power cut would.
    pub(super) fn kill(&mut self) {
        self.child.kill().expect("is killed");
        self.child.wait().expect("has ended");
    }

    /// Starts it again where it was, with what it had stored.
    pub(super) fn start_again(&mut self) {
        (self.child, _) = spawn(self.directory.path(), self.port);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(directory: &Path, port: u16) -> (Child, u16) {
    let binary = std::env::var_os("NATS_SERVER")
        .expect("set NATS_SERVER to the path of a nats-server; `cargo xtask test` does that");
    let mut child = Command::new(&binary)
        .args(["-a", "127.0.0.1", "-p", &port.to_string(), "-c"])
        .arg(directory.join("server.conf"))
        .stderr(Stdio::piped())
        .spawn()
        .expect("NATS_SERVER names a program that can be run");
    let mut log = BufReader::new(child.stderr.take().expect("is piped"));
    let (mut line, mut whole) = (String::new(), String::new());
    while !line.contains("Server is ready") {
        line.clear();
        assert_ne!(log.read_line(&mut line).expect("can be read"), 0, "nats-server did not start:\n{whole}");
        whole.push_str(&line);
    }
    // Whoever fills the pipe without a reader is stopped by it.
    std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
    (child, port)
}
