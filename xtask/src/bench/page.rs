//! `docs/benchmarks.md`, and its pictures.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::machine::Machine;
use super::plot;
use super::results::Results;
use super::tables;
use super::{bounds, goals};

/// The parts of the page that do not change.
const HOW: &str = include_str!("page/how.md");
const PEERS: &str = include_str!("page/peers.md");

/// All that the page is made from.
pub(crate) struct Page<'a> {
    pub(crate) machine: &'a Machine,
    pub(crate) results: &'a Results,
    pub(crate) quick: bool,
    /// How busy the machine was before and after.
    pub(crate) loads: [String; 2],
}

impl Page<'_> {
    /// Writes the page into the folder of the documentation, and returns its path.
    pub(crate) fn write(&self, docs: &Path) -> Result<PathBuf> {
        let pictures = docs.join("benchmarks");
        fs::create_dir_all(&pictures).with_context(|| format!("cannot make {}", pictures.display()))?;
        let tables = &self.results.throughput;
        let write = |name: &str, svg: String| {
            let path = pictures.join(name);
            fs::write(&path, svg).with_context(|| format!("cannot write {}", path.display()))
        };
        write("throughput.svg", plot::bars("Messages a second", 0, tables, |run| run.rate))?;
        write("cpu.svg", plot::bars("CPU \u{b5}s a message, user and system", 1, tables, |run| run.micros.total()))?;
        for table in &self.results.latency {
            let title = format!("Latency by percentile: {}", table.about);
            write(&format!("{}.svg", table.name), plot::percentiles(&title, table))?;
        }
        let page = docs.join("benchmarks.md");
        fs::write(&page, self.text()).with_context(|| format!("cannot write {}", page.display()))?;
        Ok(page)
    }

    fn text(&self) -> String {
        let command = if self.quick { "cargo xtask bench --quick" } else { "cargo xtask bench" };
        let facts = self.machine.facts.iter().map(|(name, fact)| [(*name).to_owned(), fact.clone()]);
        let [before, after] = &self.loads;
        let loads = format!("{before}, {after} (over 1, 5 and 15 minutes, before and after)");
        let facts: Vec<_> = facts.chain([["load average".to_owned(), loads]]).collect();
        [
            "# Benchmarks\n\nWhat Trackside costs, against the raw cost of moving the same messages without looking at \
             them. This page and its\npictures are made by the harness:\n"
                .to_owned(),
            format!("<!-- not run: it takes half an hour, and a machine that has nothing else to do -->\n```console\n$ {command}\n```\n"),
            tables::markdown(["machine", ""], &facts),
            "## Goals\n\nRatios and differences are taken run by run within a round; medians, with the least and the \
             most.\n"
                .to_owned(),
            tables::goals(goals::all(self.results).into_iter()).unwrap_or_default(),
            bounds::text(&goals::all(self.results)),
            self.throughput(),
            self.latency(),
            self.results.sidecar.as_ref().map(|table| {
                format!("## A publish by the sidecar\n\n{}\n\n{}", table.about, tables::calls(table))
            }).unwrap_or_default(),
            format!("## Starting, reloading, idling\n\n{}", tables::life(self.results)),
            HOW.to_owned(),
            PEERS.to_owned(),
        ]
        .join("\n")
    }

    fn throughput(&self) -> String {
        let tables = self.results.throughput.iter();
        let tables =
            tables.map(|table| format!("### {}\n\n{}\n\n{}", table.name, table.about, tables::throughput(table)));
        let tables: Vec<_> = tables.collect();
        format!(
            "## Throughput, and what a message costs\n\n![messages a second](benchmarks/throughput.svg)\n\n\
             ![processor time of a message](benchmarks/cpu.svg)\n\n{}",
            tables.join("\n")
        )
    }

    fn latency(&self) -> String {
        let tables = self.results.latency.iter().map(|table| {
            let picture = format!("![latency by percentile](benchmarks/{}.svg)\n", table.name);
            format!("### {}\n\n{}\n\n{}\n{picture}", table.name, table.about, tables::latency(table))
        });
        let tables: Vec<_> = tables.collect();
        format!("## Latency\n\n{}", tables.join("\n"))
    }
}
