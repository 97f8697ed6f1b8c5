//! The proof of a page.

use std::path::Path;

use super::mark::{How, Stays};
use super::sandbox::{Sandbox, secrets};
use super::session::Session;
use super::shown::Known;
use super::{Block, Page, frame};

/// What became of the blocks of a page.
#[derive(Debug, Default)]
pub struct Proof {
    /// How many were proved here.
    pub here: usize,
    /// How many a test proves that they name.
    pub elsewhere: usize,
    /// Those that are not, each with its place and the reason.
    pub not: Vec<String>,
    /// What is wrong, each with its place.
    pub wrong: Vec<String>,
}

/// What the blocks of a page share.
struct World {
    sandbox: Sandbox,
    session: Session,
    known: Known,
    /// Folders with configurations that the page has written.
    configurations: Vec<String>,
}

/// Proves every block of a page, in order.
pub async fn prove(root: &Path, page: &Page) -> Proof {
    let mut proof = Proof::default();
    let mut world = None;
    for block in &page.blocks {
        let place = format!("{}:{}", page.name, block.line);
        match &block.marks.how {
            How::Not(why) => proof.not.push(format!("{place}: {why}")),
            How::Elsewhere(file, text) => match holds(root, file, text) {
                Ok(()) => proof.elsewhere += 1,
                Err(error) => proof.wrong.push(format!("{place}: {error}")),
            },
            How::From(file) => match holds(root, file, block.text.trim_end()) {
                Ok(()) => proof.elsewhere += 1,
                Err(error) => proof.wrong.push(format!("{place}: {error}")),
            },
            How::ByLanguage | How::Parsed(_) | How::Printed => {
                if let Some(missing) = block.marks.needs.iter().find(|program| !is_on_path(program)) {
                    proof.not.push(format!("{place}: there is no `{missing}` on the PATH"));
                    continue;
                }
                match prove_here(page, block, &mut world).await {
                    Ok(()) => proof.here += 1,
                    Err(error) => proof.wrong.push(format!("{place}: {error}")),
                }
            }
        }
    }
    if let Some(world) = world {
        world.session.end().await;
        for folder in world.configurations {
            let environment = secrets(&page.text);
            if let Err(report) = frame::trackside(&["check"], &world.sandbox.folder().join(&folder), &environment).await
            {
                proof.wrong.push(format!("{}: {folder}: {report}", page.name));
            }
        }
    }
    proof
}

async fn prove_here(page: &Page, block: &Block, world: &mut Option<World>) -> Result<(), String> {
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).map_err(|error| error.to_string());
    match block.language.as_str() {
        "json" => json(&block.text).map(drop),
        "toml" if frame::file(block).is_none() => {
            let text = world.as_ref().map_or(block.text.clone(), |world| world.known.fill(&block.text));
            frame::check(page, block, &text).await
        }
        "toml" | "console" | "sh" | "bash" => {
            if world.is_none() {
                *world = Some(World::new(page).await);
            }
            world.as_mut().expect("it was made").run(block).await
        }
        _ if block.marks.how == How::Printed => {
            let world = world.as_ref().ok_or("nothing goes on that could have printed it")?;
            let is_it = |printed: &str| world.known.contains(&block.text, &world.sandbox.there(printed));
            world.session.printed(is_it).await
        }
        language => Err(format!("nobody knows how to prove a block of {language:?}; mark it, see CONTRIBUTING.md")),
    }
}

impl World {
    async fn new(page: &Page) -> Self {
        let config = std::fs::read_to_string(super::repository().join("config/rules/orders.toml")).unwrap_or_default();
        let sandbox = Sandbox::new(&page.text).await;
        let environment = sandbox.environment(&format!("{}{config}", page.text));
        let session = Session::start(sandbox.folder(), &sandbox.outputs(), &environment);
        Self { sandbox, session, known: Known::default(), configurations: Vec::new() }
    }

    async fn run(&mut self, block: &Block) -> Result<(), String> {
        for hidden in &block.marks.before {
            self.succeed(&self.here(hidden), 0).await.map_err(|error| format!("before it, `{hidden}`: {error}"))?;
        }
        if let Some(name) = frame::file(block) {
            let mut text = self.known.fill(&block.text);
            if name.ends_with("/trackside.toml") {
                let folder = name.trim_end_matches("/trackside.toml").to_owned();
                self.configurations.push(folder);
                for plugin in ["validate", "transform", "mask", "route"] {
                    let table = format!("[plugins.{plugin}]");
                    if !text.contains(&table) {
                        // A busy machine keeps no deadline of milliseconds.
                        text.push_str(&format!("\n{table}\ndeadline = \"10s\"\ncompile-timeout = \"10m\"\n"));
                    }
                }
            }
            self.sandbox.add(name, &text).await;
            return Ok(());
        }
        if block.language != "console" {
            return self
                .succeed(&format!("( set -e\n{}\n)", self.here(&block.text)), block.marks.exits)
                .await
                .map(drop);
        }
        let commands = block.commands()?;
        if let Some(command) = commands.iter().find(|command| reaches_out(&command.text)) {
            return Err(format!("`{}` would change this machine; say `not run: …`", command.text));
        }
        for (number, command) in commands.iter().enumerate() {
            let last = number + 1 == commands.len();
            let text = self.here(&command.text);
            let printed = match &block.marks.stays {
                Some(stays) if last => self.stay(&text, stays).await,
                _ => self.succeed(&text, if last { block.marks.exits } else { 0 }).await,
            }
            .map_err(|error| format!("`{}`: {error}", command.text))?;
            let printed = self.sandbox.there(&printed);
            if !command.shown.trim().is_empty() && !self.known.compare(&command.shown, &printed) {
                return Err(format!("`{}` prints\n{printed}", command.text));
            }
        }
        Ok(())
    }

    /// A text of the page as it is meant here.
    fn here(&self, text: &str) -> String {
        self.sandbox.here(&self.known.fill(text))
    }

    /// Runs a command; what it printed, if it exits with this code.
    async fn succeed(&mut self, command: &str, code: i32) -> Result<String, String> {
        let done = self.session.run(command).await?;
        if done.code == code {
            Ok(done.printed)
        } else {
            Err(format!("it exits with {} and prints\n{}", done.code, done.printed))
        }
    }

    /// Runs a command that does not end by itself; what it has printed until then.
    async fn stay(&mut self, command: &str, stays: &Stays) -> Result<String, String> {
        let (Stays::GoesOn(text) | Stays::Ends(text)) = stays;
        let going = self.session.run_on(command, &self.here(text)).await?;
        if matches!(stays, Stays::GoesOn(_)) {
            return Ok(going.printed());
        }
        let done = self.session.end_one(&going).await?;
        if done.code == 0 {
            Ok(done.printed)
        } else {
            Err(format!("it exits with {} and prints\n{}", done.code, done.printed))
        }
    }
}

/// Whether a file of the repository has this text in it.
fn holds(root: &Path, file: &str, text: &str) -> Result<(), String> {
    let there = std::fs::read_to_string(root.join(file)).map_err(|error| format!("{file}: {error}"))?;
    there.contains(text).then_some(()).ok_or_else(|| format!("this is not in {file}:\n{text}"))
}

/// Whether a command is one that changes the machine itself, or names a place outside of the checkout.
fn reaches_out(command: &str) -> bool {
    const CHANGING: [&str; 12] = [
        "sudo",
        "apt",
        "apt-get",
        "systemctl",
        "docker",
        "podman",
        "kubectl",
        "helm",
        "install",
        "rustup",
        "pip",
        "brew",
    ];
    let words = || command.split(|c: char| c.is_whitespace() || "<>=;|&()'\"".contains(c));
    let outside = |word: &str| word.starts_with('~') || word.starts_with('/') && !word.starts_with("/dev/");
    words().any(|word| CHANGING.contains(&word) || outside(word))
}

fn is_on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_that_would_change_the_machine_are_not_run() {
        for command in [
            "apt-get install x",
            "a && sudo b",
            "cp -r config /etc/trackside",
            "trackside man > /usr/share/x",
            "trackside completions fish > ~/.config/x",
            "python3 -m pip install x",
            "docker run x",
        ] {
            assert!(reaches_out(command), "{command}");
        }
        for command in [
            "curl http://127.0.0.1:9270/readyz",
            "sed -i 's/count = 4/count = 2/' first/rules/orders.toml",
            "trackside check config > /dev/null",
            "trackside dead discard config --until 30d",
        ] {
            assert!(!reaches_out(command), "{command}");
        }
    }
}
