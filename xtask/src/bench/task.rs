//! What a process under test is told, by its environment: where the server is, what to read, what to do, where to
//! write.

use std::env;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Context, Result, bail};
use tokio::process::Command;

use super::work::{Place, Work};

/// Carries the number of a message. Whoever relays a message has to carry its headers along.
pub(crate) const NUMBER: &str = "Bench-Number";
/// Messages between intake and acknowledgement, for everybody; for core NATS, those that may be on their way.
pub(crate) const WINDOW: usize = 1000;

/// How messages come and go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Transport {
    /// Core NATS on both sides.
    Core,
    /// JetStream with file stores on both sides: acknowledged once the output is confirmed.
    JetStream,
}

impl Transport {
    /// The first tokens of its subjects.
    pub(crate) fn prefix(self) -> &'static str {
        match self {
            Self::Core => "live",
            Self::JetStream => "stored",
        }
    }

    /// The subject that the message of this number comes by, if there are so many keys.
    pub(crate) fn source(self, number: usize, keys: usize) -> String {
        format!("{}.in.k{}", self.prefix(), number % keys)
    }

    /// The subject of a place.
    pub(crate) fn out(self, place: Place) -> String {
        format!("{}.out.{}", self.prefix(), place.token())
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Core => "core",
            Self::JetStream => "jetstream",
        })
    }
}

impl FromStr for Transport {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "core" => Ok(Self::Core),
            "jetstream" => Ok(Self::JetStream),
            _ => bail!("{text:?} is neither core nor jetstream"),
        }
    }
}

/// All of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Task {
    pub(crate) url: String,
    pub(crate) transport: Transport,
    pub(crate) work: Work,
    /// With JetStream, the stream to read.
    pub(crate) stream: String,
    /// With JetStream, the consumer to make and read it by; with core NATS, the queue group.
    pub(crate) durable: String,
    /// The JSON Schema to validate by.
    pub(crate) schema: PathBuf,
}

impl Task {
    /// Every variable with its value. `docs/benchmarks.md` explains them.
    pub(crate) fn variables(&self) -> [(&'static str, String); 10] {
        let out = |place| self.transport.out(place);
        [
            ("BENCH_URL", self.url.clone()),
            ("BENCH_TRANSPORT", self.transport.to_string()),
            ("BENCH_SOURCE", format!("{}.in.*", self.transport.prefix())),
            ("BENCH_STREAM", self.stream.clone()),
            ("BENCH_DURABLE", self.durable.clone()),
            ("BENCH_WINDOW", WINDOW.to_string()),
            ("BENCH_STAGES", self.work.stages().to_owned()),
            ("BENCH_SCHEMA", self.schema.display().to_string()),
            ("BENCH_DEFAULT", out(Place::Default)),
            ("BENCH_OTHERS", format!("{} {}", out(Place::Review), out(Place::Dead))),
        ]
    }

    /// Tells a program.
    pub(crate) fn tell(&self, command: &mut Command) {
        command.envs(self.variables());
    }

    /// Reads what was told.
    pub(crate) fn read() -> Result<Self> {
        let told = |name| env::var(name).with_context(|| format!("{name} is not set: `cargo xtask bench` sets it"));
        Ok(Self {
            url: told("BENCH_URL")?,
            transport: told("BENCH_TRANSPORT")?.parse()?,
            work: told("BENCH_STAGES")?.parse()?,
            stream: told("BENCH_STREAM")?,
            durable: told("BENCH_DURABLE")?,
            schema: told("BENCH_SCHEMA")?.into(),
        })
    }
}
