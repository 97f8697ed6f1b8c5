//! How long the threads of a process wait for a processor: what `perf` sees of the kernel's scheduler, as a table.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::process::Command;

use super::{perf, tables};
use crate::process::Process;
use crate::shell;

/// What has to be known of the scheduler, and no more: each event costs the process that it is about.
const EVENTS: &str = "sched:sched_switch,sched:sched_wakeup,sched:sched_wakeup_new";
/// Room for events until they are written, in pages.
const PAGES: &str = "4096";
const END_LIMIT: Duration = Duration::from_secs(60);
const REPORT_LIMIT: Duration = Duration::from_secs(300);

/// A process whose turns are being watched.
pub(crate) struct Watch {
    perf: Process,
    pid: u32,
    events: PathBuf,
}

/// The turns of the threads of one name.
#[derive(Default)]
struct Turns {
    /// Milliseconds from when a thread could have gone on until it did, one for each turn.
    delays: Vec<f64>,
    /// Milliseconds on a processor, all together.
    ran: f64,
}

impl Watch {
    /// Begins to watch the process of this id, until it ends.
    pub(crate) async fn start(pid: u32, folder: &Path) -> Result<Self> {
        let events = folder.join("turns.data");
        let perf = perf::record("turns", &["--event", EVENTS, "--mmap-pages", PAGES], &events, pid, folder).await?;
        Ok(Self { perf, pid, events })
    }

    /// Writes down what was seen, once the process has ended.
    pub(crate) async fn write(self, title: &str, file: &Path) -> Result<()> {
        self.perf.ended(END_LIMIT).await?;
        let mut report = Command::new("perf");
        report.args(["sched", "timehist", "--input"]).arg(&self.events);
        let report = shell::capture("perf sched", &mut report, REPORT_LIMIT).await?;
        let table = table(&turns(&report, self.pid));
        let text = format!(
            "# {title}\n\nHow often the threads of the process, and those of nats-server, were given a processor, for how long \
             all together,\nand how long they had waited for it each time when there was something for them to do.\n\n{table}"
        );
        fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?;
        println!("{:<12} {}\n{table}", "written", file.display());
        Ok(())
    }
}

/// The name of the file about a contestant.
pub(crate) fn file_name(picture: &str) -> String {
    picture.replacen("flame-", "turns-", 1).replace(".svg", ".md")
}

/// The turns of a process, and of nats-server, by the names of their threads.
fn turns(report: &str, pid: u32) -> BTreeMap<String, Turns> {
    let mut turns: BTreeMap<String, Turns> = BTreeMap::new();
    for (name, [delay, ran]) in report.lines().filter_map(|line| turn(line, pid)) {
        let of_name = turns.entry(name.to_owned()).or_default();
        of_name.delays.push(delay);
        of_name.ran += ran;
    }
    turns.values_mut().for_each(|turns| turns.delays.sort_by(f64::total_cmp));
    turns
}

/// A line such as `2064.084201 [0000]  lane-0[16698/16696]  0.000  0.004  0.133`, if it is about the process or about
/// nats-server: the thread's name, its delay and its time.
fn turn(line: &str, pid: u32) -> Option<(&str, [f64; 2])> {
    let mut numbers = line.split_whitespace().rev();
    let (ran, delay) = (numbers.next()?, numbers.next()?);
    let (_, after) = line.split_once("]  ")?;
    let (name, ids) = after.split_once('[')?;
    let (ids, _) = ids.split_once(']')?;
    let process = ids.rsplit('/').next()?.parse::<u32>().ok()?;
    // Threads that had ended when `perf` wanted to know their names are called `:-1`.
    let is_wanted = (process == pid && !name.trim().starts_with(':')) || name.trim() == "nats-server";
    is_wanted.then_some((name.trim(), [delay.parse().ok()?, ran.parse().ok()?]))
}

fn table(turns: &BTreeMap<String, Turns>) -> String {
    let row = |(name, turns): (&String, &Turns)| {
        let [p50, p99, most] = [0.5, 0.99, 1.0].map(|share| format!("{:.3}", quantile(&turns.delays, share)));
        let waited: f64 = turns.delays.iter().sum();
        [
            name.clone(),
            turns.delays.len().to_string(),
            format!("{:.0}", turns.ran),
            format!("{waited:.0}"),
            p50,
            p99,
            most,
        ]
    };
    let rows: Vec<_> = turns.iter().map(row).collect();
    tables::markdown(["threads", "turns", "ran ms", "waited ms", "p50 ms", "p99 ms", "most ms"], &rows)
}

/// What this share of sorted values does not exceed.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "few")]
    let position = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(position.max(1) - 1).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = "Samples do not have callchains.
           time    cpu  task name                       wait time  sch delay   run time
                        [tid/pid]                          (msec)     (msec)     (msec)
--------------- ------  ------------------------------  ---------  ---------  ---------
    2064.084052 [0000]  lane 0[71/70]                       0.000      0.500      1.000 
    2064.084067 [0001]  lane 0[72/70]                       3.000      0.100      0.015 
    2064.084068 [0001]  trackside[70]                       3.000      0.200      0.015 
    2064.084067 [0000]  nats-server[90/89]                  3.000      0.006      0.015 
    2064.084067 [0000]  rustc[71/69]                        3.000      9.000      0.015 
    2065.020591 [0000]  :-1[-1/16696]                      43.522      0.000      0.583 
";

    #[test]
    fn turns_are_those_of_the_process_and_of_the_server_by_the_names_of_their_threads() {
        let turns = turns(REPORT, 70);
        let names: Vec<_> = turns.keys().map(String::as_str).collect();
        assert_eq!(names, ["lane 0", "nats-server", "trackside"]);
        assert_eq!(turns["lane 0"].delays, [0.1, 0.5]);
        assert!((turns["lane 0"].ran - 1.015).abs() < 1e-9);
    }

    #[test]
    fn a_quantile_is_one_of_the_values() {
        let values: Vec<f64> = (1..=200).map(f64::from).collect();
        assert_eq!([0.0, 0.5, 0.99, 1.0].map(|share| quantile(&values, share)), [1.0, 100.0, 198.0, 200.0]);
        assert!(quantile(&[], 0.5).abs() < f64::EPSILON);
    }

    #[test]
    fn the_table_lies_beside_the_flame_graph() {
        assert_eq!(file_name("flame-core-mask.svg"), "turns-core-mask.md");
    }
}
