//! Named steps, one after another, with the time each took.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// The steps so far.
#[derive(Default)]
pub(crate) struct Steps(Vec<(&'static str, Duration)>);

impl Steps {
    /// Runs one step; an error names it.
    pub(crate) async fn step<T>(&mut self, name: &'static str, work: impl Future<Output = Result<T>>) -> Result<T> {
        println!("\n==> {name}");
        let start = Instant::now();
        let done = work.await.with_context(|| format!("step failed: {name}"))?;
        self.0.push((name, start.elapsed()));
        Ok(done)
    }

    /// Prints how long each step took.
    pub(crate) fn print_times(&self) {
        println!();
        for (name, took) in &self.0 {
            println!("{:>8.1} s  {name}", took.as_secs_f64());
        }
        let all: Duration = self.0.iter().map(|(_, took)| took).sum();
        println!("{:>8.1} s  all", all.as_secs_f64());
    }
}
