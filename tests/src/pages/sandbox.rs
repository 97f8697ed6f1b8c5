//! Where a page's commands are run: a checkout with a copy of `config/`, and a nats-server with its streams.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use regex::{Captures, Regex};

use super::repository;
use crate::{Example, Server, free_port, hostile, provided};

/// What is not in the checkout of a page: what its commands may change, and what is of no use to them.
const NOT_LINKED: [&str; 4] = ["config", "target", ".git", "fuzz"];
/// The port of a nats-server that is told nothing else.
const NATS: u16 = 4222;
/// Publishes a payload to a subject, in the protocol of NATS: what a page's producers do before its commands.
const PUBLISH: &str = r#"#!/usr/bin/env bash
# publish SUBJECT PAYLOAD
exec 3<> "/dev/tcp/127.0.0.1/${NATS_PORT:?}"
LC_ALL=C
printf 'CONNECT {"verbose":false}\r\nPUB %s %d\r\n%s\r\nPING\r\n' "$1" "${#2}" "$2" >&3
while read -r line <&3; do
  case "$line" in PONG*) exit 0 ;; -ERR*) echo "$line" >&2; exit 1 ;; esac
done
exit 1
"#;

/// Runs a command until it succeeds, but not for ever: how a page's hidden commands wait for something.
const EVENTUALLY: &str = r#"#!/usr/bin/env bash
# eventually COMMAND…
for (( n = 0; n < 1200; n++ )); do
  "$@" > /dev/null 2>&1 && exit 0
  sleep 0.1
done
exec "$@"
"#;

/// A checkout for one page, with addresses of its own in place of those that the page names.
#[derive(Debug)]
pub(super) struct Sandbox {
    example: Example,
    server: Server,
    ports: BTreeMap<u16, u16>,
}

impl Sandbox {
    /// Makes one, with an address for each that is in these texts.
    pub(super) async fn new(page: &str) -> Self {
        let (example, server) = (Example::new(), Server::start().await);
        let mut sandbox = Self { example, server, ports: BTreeMap::new() };
        sandbox.ports.insert(NATS, sandbox.server.port());
        let config = sandbox.folder().join("config/trackside.toml");
        let text = std::fs::read_to_string(&config).expect("the configuration");
        for found in addresses().captures_iter(&format!("{page}\n{text}")) {
            let port = found[2].parse().unwrap_or(NATS);
            sandbox.ports.entry(port).or_insert_with(free_port);
        }
        sandbox.add("config/trackside.toml", &text).await;
        sandbox.check_out();
        sandbox
    }

    /// The folder that commands begin in.
    pub(super) fn folder(&self) -> &Path {
        self.example.path().parent().expect("it is in a temporary folder")
    }

    /// Where the outputs of commands are kept.
    pub(super) fn outputs(&self) -> PathBuf {
        self.folder().join("target/outputs")
    }

    /// The variables that commands find, with a value for each secret that a text refers to.
    pub(super) fn environment(&self, text: &str) -> Vec<(String, String)> {
        let path = std::env::var("PATH").unwrap_or_default();
        let bin = self.folder().join("target/bin");
        let cache = provided("TRACKSIDE_BIN").with_file_name("test-component-cache");
        let mut environment = vec![
            ("PATH".to_owned(), format!("{}:{path}", bin.display())),
            ("NO_COLOR".to_owned(), "1".to_owned()),
            ("NATS_PORT".to_owned(), self.server.port().to_string()),
            // Components, and what plugins are built with, are compiled once for all pages.
            ("XDG_CACHE_HOME".to_owned(), cache.display().to_string()),
            ("CARGO_TARGET_DIR".to_owned(), self.built().display().to_string()),
            ("PYTHONDONTWRITEBYTECODE".to_owned(), "1".to_owned()),
        ];
        environment.extend(secrets(text));
        environment
    }

    /// Where plugins are built, by the conformance suite as well.
    fn built(&self) -> PathBuf {
        let target = provided("TRACKSIDE_BIN");
        target.ancestors().nth(2).expect("a binary is in a folder of the target folder").join("wasm")
    }

    /// Writes a file of a page, with the sandbox's addresses, and makes the streams that it declares.
    pub(super) async fn add(&self, name: &str, text: &str) {
        let path = self.folder().join(name);
        std::fs::create_dir_all(path.parent().expect("a file has a folder")).expect("a folder in a temporary folder");
        std::fs::write(&path, self.here(text)).expect("a file in a temporary folder");
        let table: toml::Table = text.parse().unwrap_or_default();
        for (name, stream) in table.get("streams").and_then(toml::Value::as_table).into_iter().flatten() {
            let subjects = stream.get("subjects").and_then(toml::Value::as_array).into_iter().flatten();
            let subjects: Vec<_> = subjects.filter_map(toml::Value::as_str).collect();
            self.server.stream(name, &subjects).await;
        }
    }

    /// A text of the page with the sandbox's addresses.
    pub(super) fn here(&self, text: &str) -> String {
        replace(text, |port| self.ports.get(&port).copied())
    }

    /// What was printed, with the page's addresses.
    pub(super) fn there(&self, text: &str) -> String {
        let text = text.replace(&format!("{}/", self.folder().display()), "");
        replace(&text, |port| self.ports.iter().find(|(_, here)| **here == port).map(|(there, _)| *there))
    }

    /// What a checkout has, and what is on the `PATH`.
    fn check_out(&self) {
        let link = |from: &Path, name: &Path| {
            std::os::unix::fs::symlink(from, self.folder().join(name)).expect("a link in a temporary folder");
        };
        for entry in std::fs::read_dir(repository()).expect("the repository").flatten() {
            let name = entry.file_name();
            if !NOT_LINKED.iter().any(|not| name == *not) {
                link(&entry.path(), Path::new(&name));
            }
        }
        let bin = self.folder().join("target/bin");
        std::fs::create_dir_all(&bin).expect("a folder in a temporary folder");
        link(&provided("TRACKSIDE_BIN"), &bin.join("trackside"));
        link(&provided("NATS_SERVER"), &bin.join("nats-server"));
        // A component, for pages that tell what can be done with one.
        std::fs::write(self.folder().join("vip.wasm"), hostile::component("forward")).expect("a temporary file");
        for (name, script) in [("publish", PUBLISH), ("eventually", EVENTUALLY)] {
            let path = bin.join(name);
            std::fs::write(&path, script).expect("a file in a temporary folder");
            let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            std::fs::set_permissions(&path, executable).expect("its mode can be set");
        }
    }
}

/// A value for each secret that a text refers to, which will do as a key of 32 bytes too.
pub(super) fn secrets(text: &str) -> Vec<(String, String)> {
    let references = Regex::new("env:([A-Z][A-Z0-9_]*)").expect("a pattern");
    let names = references.captures_iter(text).map(|found| found[1].to_owned());
    names.map(|name| (name, "0123456789abcdef".repeat(4))).collect()
}

/// The addresses of this machine that a text names.
fn addresses() -> Regex {
    Regex::new(r"\b(127\.0\.0\.1|localhost|0\.0\.0\.0):([0-9]{2,5})\b").expect("a pattern")
}

fn replace(text: &str, other: impl Fn(u16) -> Option<u16>) -> String {
    let replaced = addresses().replace_all(text, |found: &Captures<'_>| {
        let port = found[2].parse().ok().and_then(&other);
        port.map_or(found[0].to_owned(), |port| format!("{}:{port}", &found[1]))
    });
    replaced.into_owned()
}
