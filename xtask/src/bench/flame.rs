//! Where the time goes: flame graphs of Trackside under a scenario's load, from samples that Linux's `perf` takes.

use std::fs::{self, File};
use std::io::{BufReader, Cursor};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use inferno::collapse::Collapse as _;
use inferno::collapse::perf::Folder;
use inferno::flamegraph::{Options, from_lines};
use tokio::process::Command;

use super::perf;
use crate::process::Process;
use crate::shell;

/// Samples a second of each thread, away from the beat of anything that happens every millisecond.
const SAMPLES: &str = "397";
/// How stacks are read: by frame pointers, which this build has, as compiled guests do.
const STACKS: &str = "fp";
const END_LIMIT: Duration = Duration::from_secs(60);
const SCRIPT_LIMIT: Duration = Duration::from_secs(300);

/// A process that is being watched.
pub(crate) struct Recording {
    perf: Process,
    pid: u32,
    samples: PathBuf,
    /// Where the process says how guests' functions are called.
    names: PathBuf,
}

impl Recording {
    /// Begins to watch the process of this id.
    pub(crate) async fn start(pid: u32, folder: &Path) -> Result<Self> {
        let samples = folder.join("perf.data");
        let how = ["--freq", SAMPLES, "--call-graph", STACKS];
        let perf = perf::record("perf", &how, &samples, pid, folder).await?;
        Ok(Self { perf, pid, samples, names: PathBuf::from(format!("/tmp/perf-{pid}.map")) })
    }

    /// Draws what was seen, once the process has ended.
    pub(crate) async fn draw(self, title: &str, file: &Path) -> Result<()> {
        self.perf.ended(END_LIMIT).await?;
        let mut script = Command::new("perf");
        // Looking up what was inlined takes minutes, and the frames around it say enough.
        script.args(["script", "--no-inline", "--pid", &self.pid.to_string(), "--input"]).arg(&self.samples);
        let stacks = shell::capture("perf script", &mut script, SCRIPT_LIMIT).await?;
        // Nobody else takes it away; without guests there is none.
        let _ = fs::remove_file(&self.names);
        let mut folded = Vec::new();
        Folder::default().collapse(BufReader::new(Cursor::new(stacks)), &mut folded)?;
        let folded = String::from_utf8(folded).context("perf wrote names that are no text")?;
        let mut options = Options::default();
        options.title = title.to_owned();
        options.count_name = "samples".to_owned();
        // Narrower frames cannot be read, and would be most of the file.
        options.min_width = 0.2;
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        }
        let picture = File::create(file).with_context(|| format!("cannot write {}", file.display()))?;
        from_lines(&mut options, folded.lines(), picture).with_context(|| format!("cannot draw {}", file.display()))?;
        println!("{:<12} {}", "written", file.display());
        Ok(())
    }
}

/// The name of the picture of a contestant.
pub(crate) fn file_name(transport: super::task::Transport, label: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let label: String = label.chars().map(plain).collect();
    let words: Vec<&str> = label.split('-').filter(|word| !word.is_empty() && *word != "trackside").collect();
    format!("flame-{transport}-{}.svg", words.join("-"))
}

#[cfg(test)]
mod tests {
    use super::file_name;
    use crate::bench::task::Transport;

    #[test]
    fn pictures_are_named_after_what_they_show() {
        let name = file_name(Transport::JetStream, "trackside validate+mask+route, fast ingest");
        assert_eq!(name, "flame-jetstream-validate-mask-route-fast-ingest.svg");
    }
}
