//! A running `trackside`.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::{Process, Setup, provided, until};

/// A running `trackside`.
#[derive(Debug)]
pub struct Trackside {
    process: Process,
    admin: String,
    token: Option<String>,
}

/// A `trackside` that has ended.
#[derive(Debug)]
pub struct Finished {
    /// Its exit code; -1 if a signal ended it.
    pub code: i32,
    /// What it printed.
    pub stdout: String,
    /// What it complained about.
    pub stderr: String,
}

/// Runs `trackside` with these arguments and this input to its end.
///
/// # Panics
/// When it cannot be run.
#[must_use]
pub fn command(arguments: &[&str], input: &[u8]) -> Finished {
    command_with(arguments, &[], input)
}

/// The same, with these variables in its environment.
///
/// # Panics
/// When it cannot be run.
#[must_use]
pub fn command_with(arguments: &[&str], environment: &[(&str, &str)], input: &[u8]) -> Finished {
    run(arguments, environment, input, true)
}

/// The same with a standard output that nobody reads and that is closed at once.
///
/// # Panics
/// When it cannot be run.
#[must_use]
pub fn command_unread(arguments: &[&str], input: &[u8]) -> Finished {
    run(arguments, &[], input, false)
}

fn run(arguments: &[&str], environment: &[(&str, &str)], input: &[u8], read: bool) -> Finished {
    let mut child = Command::new(provided("TRACKSIDE_BIN"))
        .args(arguments)
        .envs(environment.iter().copied())
        .env("NO_COLOR", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("trackside can be started");
    if !read {
        drop(child.stdout.take());
    }
    let mut stdin = child.stdin.take().expect("it was piped");
    let input = input.to_owned();
    // From another thread, or both sides could wait for the other to read. It may also end without reading.
    let writer = std::thread::spawn(move || stdin.write_all(&input).ok());
    let output = child.wait_with_output().expect("it can be waited for");
    writer.join().expect("the writer does not panic");
    Finished {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

impl Finished {
    /// Each line that it printed, as JSON.
    ///
    /// # Panics
    /// When a line is not JSON.
    #[must_use]
    pub fn lines(&self) -> Vec<serde_json::Value> {
        let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        self.stdout.lines().map(parse).collect()
    }
}

impl Trackside {
    /// Starts `trackside run` and waits until it is ready.
    pub async fn start(setup: &Setup) -> Self {
        Self::start_with(setup, &[]).await
    }

    /// The same, with these variables in its environment.
    pub async fn start_with(setup: &Setup, environment: &[(&str, &str)]) -> Self {
        let mut started = Self::spawn(setup.path(), &setup.admin, environment);
        started.ready().await;
        started
    }

    /// Starts `trackside run` and does not wait.
    #[must_use]
    pub fn spawn(directory: &Path, admin: &str, environment: &[(&str, &str)]) -> Self {
        Self::spawn_with(&["run"], directory, admin, environment)
    }

    /// The same with other arguments before the directory, such as `dev`.
    #[must_use]
    pub fn spawn_with(arguments: &[&str], directory: &Path, admin: &str, environment: &[(&str, &str)]) -> Self {
        Self::spawn_under(&[], arguments, directory, admin, environment)
    }

    /// The same by a command that runs the command after its arguments, such as one that confines it. It has to become
    /// that, since it gets the signals.
    #[must_use]
    pub fn spawn_under(
        wrapper: &[&str],
        arguments: &[&str],
        directory: &Path,
        admin: &str,
        environment: &[(&str, &str)],
    ) -> Self {
        let mut command = Command::new(wrapper.first().map_or_else(|| provided("TRACKSIDE_BIN"), PathBuf::from));
        if let [_, further @ ..] = wrapper {
            command.args(further).arg(provided("TRACKSIDE_BIN"));
        }
        command.args(arguments).arg(directory).envs(environment.iter().copied()).env("NO_COLOR", "1");
        let log = directory.with_file_name("trackside.log");
        let process = Process::spawn(&mut command, &log);
        Self { process, admin: admin.to_owned(), token: None }
    }

    /// From now on, the admin API is asked with this token.
    #[must_use]
    pub fn with_token(self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self }
    }

    /// Waits until it is ready.
    ///
    /// # Panics
    /// When it ends instead.
    pub async fn ready(&mut self) {
        let admin = self.admin.clone();
        until("trackside to be ready", async || {
            assert!(!self.process.has_ended(), "trackside ended:\n{}", self.process.output());
            (http(&admin, "GET", "/readyz", None).await?.0 == 200).then_some(())
        })
        .await;
    }

    /// Status and body of a request to the admin API.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn admin(&self, method: &str, path: &str) -> (u16, String) {
        let answer = http(&self.admin, method, path, self.token.as_deref()).await;
        answer.unwrap_or_else(|| panic!("no answer to {method} {path}"))
    }

    /// The revision in force.
    pub async fn revision(&self) -> String {
        let (_, body) = self.admin("GET", "/v1/revision").await;
        let body: serde_json::Value = serde_json::from_str(&body).expect("it answers in JSON");
        body["revision"].as_str().expect("there is a revision").to_owned()
    }

    /// Waits until a revision other than this is in force.
    pub async fn revision_after(&self, old: &str) -> String {
        until("another revision", async || Some(self.revision().await).filter(|new| new != old)).await
    }

    /// The samples of `/metrics`: name with labels, and value.
    pub async fn metrics(&self) -> BTreeMap<String, f64> {
        let (_, body) = self.admin("GET", "/metrics").await;
        let samples = body.lines().filter(|line| !line.starts_with('#'));
        samples
            .filter_map(|line| line.rsplit_once(' '))
            .map(|(k, v)| (k.to_owned(), v.parse().unwrap_or(0.0)))
            .collect()
    }

    /// Waits until `/metrics` has these values of these series.
    pub async fn shows(&self, wanted: &[(&str, f64)]) {
        until(&format!("{wanted:?} in /metrics"), async || {
            let metrics = self.metrics().await;
            let is_so = |(series, value): &(&str, f64)| metrics.get(*series).is_some_and(|got| got == value);
            wanted.iter().all(is_so).then_some(())
        })
        .await;
    }

    /// Asks it to drain, waits for its end, and returns its exit code.
    pub async fn drain(mut self) -> i32 {
        self.process.signal("TERM");
        self.process.ended().await.code().unwrap_or(-1)
    }

    /// Ends it as a power failure would.
    pub fn kill(mut self) {
        self.process.kill();
    }

    /// The process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// What it has logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.output()
    }
}

/// A request of HTTP/1.1; `None` while nobody answers.
async fn http(address: &str, method: &str, path: &str, token: Option<&str>) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    let token = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    let request =
        format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: 0\r\nConnection: close\r\n{token}\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut response = String::new();
    stream.read_to_string(&mut response).await.ok()?;
    let (head, body) = response.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, body.to_owned()))
}
