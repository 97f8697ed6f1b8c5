//! A shell that runs a page's commands one after another, as its reader would.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// How long a command may take. The first build of a plugin compiles its SDK.
const LONGEST: Duration = Duration::from_secs(600);
/// How long what was told to end may take.
const ENDING: Duration = Duration::from_secs(30);

/// A running shell with what it has started.
#[derive(Debug)]
pub(super) struct Session {
    shell: Child,
    input: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    /// Where the outputs of commands go.
    outputs: PathBuf,
    commands: usize,
    /// The outputs of what goes on.
    going_on: Vec<PathBuf>,
}

/// A command that ended.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) code: i32,
    pub(super) printed: String,
}

impl Session {
    /// Starts a shell in this folder, in whose parent the outputs go.
    pub(super) fn start(folder: &Path, outputs: &Path, environment: &[(String, String)]) -> Self {
        std::fs::create_dir_all(outputs).expect("a folder in a temporary folder");
        let mut shell = Command::new("bash")
            .args(["--noprofile", "--norc"])
            .current_dir(folder)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // So that whatever it has started can be ended with it.
            .process_group(0)
            .spawn()
            .expect("bash can be started");
        let input = shell.stdin.take().expect("it is piped");
        let answers = BufReader::new(shell.stdout.take().expect("it is piped")).lines();
        Self { shell, input, answers, outputs: outputs.to_owned(), commands: 0, going_on: Vec::new() }
    }

    /// Runs a command to its end; what it exports, and the folder that it changes to, stay.
    pub(super) async fn run(&mut self, command: &str) -> Result<Done, String> {
        let (script, output) = self.script(command);
        // `eval` and not a shell of its own, so that exports stay; its end is told on the shell's own output.
        let line = format!("set -o pipefail; eval \"$(< {script})\" > {output} 2>&1 < /dev/null; echo $?\n");
        let answer = tokio::time::timeout(LONGEST, self.ask(&line)).await;
        let printed = std::fs::read_to_string(&output).unwrap_or_default();
        let code = answer.map_err(|_| format!("it did not end in {LONGEST:?} and printed\n{printed}"))??;
        let code = code.parse().map_err(|_| format!("the shell answered {code:?}"))?;
        Ok(Done { code, printed })
    }

    /// Starts a command that does not end by itself, and waits until it has printed this text.
    pub(super) async fn run_on(&mut self, command: &str, text: &str) -> Result<Going, String> {
        let (script, output) = self.script(command);
        let line = format!("( eval \"exec $(< {script})\" ) > {output} 2>&1 < /dev/null & echo $!\n");
        let process = self.ask(&line).await?;
        let output = PathBuf::from(output);
        let printed = || std::fs::read_to_string(&output).unwrap_or_default();
        let found = wait(crate::PATIENCE, || {
            let ended = !is_there(&process);
            let printed = printed();
            if printed.contains(text) { Some(true) } else { ended.then_some(false) }
        });
        if found.await != Some(true) {
            return Err(format!("it was to print {text:?}, and printed\n{}", printed()));
        }
        self.going_on.push(output.clone());
        Ok(Going { process, output })
    }

    /// Tells a command to end, and waits for that.
    pub(super) async fn end_one(&mut self, going: &Going) -> Result<Done, String> {
        let line = format!("kill -s TERM {0}; wait {0}; echo $?\n", going.process);
        let answer = tokio::time::timeout(ENDING, self.ask(&line)).await;
        let printed = std::fs::read_to_string(&going.output).unwrap_or_default();
        let code = answer.map_err(|_| format!("it did not end in {ENDING:?} and printed\n{printed}"))??;
        Ok(Done { code: code.parse().map_err(|_| format!("the shell answered {code:?}"))?, printed })
    }

    /// Waits until something that goes on has printed what satisfies `is_it`.
    pub(super) async fn printed(&self, is_it: impl Fn(&str) -> bool) -> Result<(), String> {
        let all = || -> Vec<String> {
            self.going_on.iter().map(|output| std::fs::read_to_string(output).unwrap_or_default()).collect()
        };
        let found = wait(crate::PATIENCE, || all().iter().any(|printed| is_it(printed)).then_some(())).await;
        found.ok_or_else(|| format!("nothing that goes on has printed it; there is\n{}", all().join("---\n")))
    }

    async fn ask(&mut self, line: &str) -> Result<String, String> {
        self.input.write_all(line.as_bytes()).await.map_err(|error| format!("the shell is gone: {error}"))?;
        let answer = self.answers.next_line().await.map_err(|error| format!("the shell is gone: {error}"))?;
        answer.ok_or_else(|| "the shell ended".to_owned())
    }

    /// A file with the command, and one for what it prints.
    fn script(&mut self, command: &str) -> (String, String) {
        self.commands += 1;
        let path = |kind: &str| self.outputs.join(format!("{}.{kind}", self.commands)).display().to_string();
        let (script, output) = (path("sh"), path("out"));
        std::fs::write(&script, command).expect("a file in a temporary folder");
        (script, output)
    }

    /// Ends everything that it has started.
    pub(super) async fn end(mut self) {
        // By the shell itself, which waits for its children and so leaves none behind.
        let line = "kill -s TERM $(jobs -p) 2> /dev/null; wait; echo over\n";
        let _ = tokio::time::timeout(ENDING, self.ask(line)).await;
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Where a proof was given up, what it has started must not go on.
        if let Some(group) = self.shell.id() {
            let mut kill = std::process::Command::new("kill");
            let _ = kill.args(["-s", "KILL", "--", &format!("-{group}")]).status();
        }
    }
}

/// A command that goes on.
#[derive(Debug)]
pub(super) struct Going {
    process: String,
    output: PathBuf,
}

impl Going {
    /// What it has printed so far.
    pub(super) fn printed(&self) -> String {
        std::fs::read_to_string(&self.output).unwrap_or_default()
    }
}

/// Waits until `probe` gives something, but not for ever.
async fn wait<T>(longest: Duration, mut probe: impl FnMut() -> Option<T>) -> Option<T> {
    let mut poll = tokio::time::interval(Duration::from_millis(20));
    let found = async {
        loop {
            poll.tick().await;
            if let Some(found) = probe() {
                return found;
            }
        }
    };
    tokio::time::timeout(longest, found).await.ok()
}

/// Whether there is a process of this number.
fn is_there(process: &str) -> bool {
    let mut kill = std::process::Command::new("kill");
    let signalled = kill.args(["-s", "0", process]).stderr(Stdio::null()).status();
    signalled.is_ok_and(|status| status.success())
}
