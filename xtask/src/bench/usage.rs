//! What a process uses, as Linux tells it in /proc: processor time and memory.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};

/// How often a sampler looks. The kernel tells processor time in steps of 10 ms.
const PERIOD: Duration = Duration::from_millis(10);

/// Processor time since a process began, in seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Usage {
    pub(crate) user: f64,
    pub(crate) system: f64,
}

impl Usage {
    /// What the process of this id has used.
    pub(crate) fn of(pid: u32) -> Result<Self> {
        let path = format!("/proc/{pid}/stat");
        let stat = fs::read_to_string(&path).with_context(|| format!("cannot read {path}; only Linux has it"))?;
        parse_stat(&stat, rustix::param::clock_ticks_per_second()).with_context(|| format!("{path} is not understood"))
    }

    /// What was used since an earlier look.
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self { user: self.user - earlier.user, system: self.system - earlier.system }
    }

    /// The same for each of so many messages, in microseconds.
    pub(crate) fn micros_each(self, messages: usize) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "no run has that many messages")]
        let each = 1e6 / messages.max(1) as f64;
        Self { user: self.user * each, system: self.system * each }
    }

    /// Both.
    pub(crate) fn total(self) -> f64 {
        self.user + self.system
    }
}

/// Fields 14 and 15 of proc_pid_stat(5). The name before them is in parentheses, and may have parentheses in it.
fn parse_stat(stat: &str, ticks_per_second: u64) -> Option<Usage> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11).map(|field| field.parse::<f64>().ok());
    #[expect(clippy::cast_precision_loss, reason = "it is 100, or 1024")]
    let ticks = ticks_per_second as f64;
    Some(Usage { user: fields.next()?? / ticks, system: fields.next()?? / ticks })
}

/// Memory of a process in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Memory {
    /// What is resident now.
    pub(crate) resident: u64,
    /// The most that was resident at a time.
    pub(crate) peak: u64,
}

impl Memory {
    /// What the process of this id has.
    pub(crate) fn of(pid: u32) -> Result<Self> {
        let path = format!("/proc/{pid}/status");
        let status = fs::read_to_string(&path).with_context(|| format!("cannot read {path}; only Linux has it"))?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            Some(line.trim_matches([':', '\t', ' ']).strip_suffix(" kB")?.parse::<u64>().ok()? << 10)
        };
        let memory = field("VmRSS").zip(field("VmHWM")).map(|(resident, peak)| Self { resident, peak });
        memory.with_context(|| format!("{path} tells no VmRSS and VmHWM"))
    }
}

/// Looks at a process again and again, so that its usage can be told for any time in between.
pub(crate) struct Sampler {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Samples>,
}

/// What was seen, in order of time.
pub(crate) struct Samples(Vec<(SystemTime, Usage)>);

impl Sampler {
    /// Begins to look at the process of this id.
    pub(crate) fn start(pid: u32) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut samples = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                if let Ok(usage) = Usage::of(pid) {
                    samples.push((SystemTime::now(), usage));
                }
                std::thread::sleep(PERIOD);
            }
            Samples(samples)
        });
        Self { stop, thread }
    }

    /// Ends looking, after a last look.
    pub(crate) fn stop(self) -> Result<Samples> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().ok().context("the sampler of processor time has panicked")
    }
}

impl Samples {
    /// The usage at a time, in proportion between the looks before and after.
    pub(crate) fn at(&self, time: SystemTime) -> Result<Usage> {
        let after = self.0.partition_point(|(seen, _)| *seen < time);
        let last = self.0.last().context("the process was not seen while it ran")?;
        let (Some(before), Some(next)) = (after.checked_sub(1), self.0.get(after)) else {
            return Ok(if after == 0 { self.0[0].1 } else { last.1 });
        };
        let (before, next) = (self.0[before], *next);
        let seconds = |from: SystemTime, to: SystemTime| to.duration_since(from).unwrap_or_default().as_secs_f64();
        let share = seconds(before.0, time) / seconds(before.0, next.0).max(f64::EPSILON);
        let between = |from: f64, to: f64| from + (to - from) * share;
        Ok(Usage { user: between(before.1.user, next.1.user), system: between(before.1.system, next.1.system) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_read_whatever_the_name_of_the_process() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194304 1 2 3 4 250 50 8 9 20 0 4 0 1 2 3";
        assert_eq!(parse_stat(stat, 100), Some(Usage { user: 2.5, system: 0.5 }));
        assert_eq!(parse_stat("7 (a) S 1", 100), None);
    }

    #[test]
    fn usage_between_two_looks_is_in_proportion() {
        let at = |millis| SystemTime::UNIX_EPOCH + Duration::from_millis(millis);
        let usage = |user, system| Usage { user, system };
        let samples = Samples(vec![(at(0), usage(1.0, 0.0)), (at(10), usage(2.0, 0.5)), (at(20), usage(2.0, 1.0))]);
        assert_eq!(samples.at(at(5)).expect("seen"), usage(1.5, 0.25));
        assert_eq!(samples.at(at(15)).expect("seen"), usage(2.0, 0.75));
        assert_eq!(samples.at(at(99)).expect("seen"), usage(2.0, 1.0));
        assert!(Samples(Vec::new()).at(at(0)).is_err());
    }

    #[test]
    fn this_process_has_memory_and_has_had_as_much_or_more() {
        let memory = Memory::of(std::process::id()).expect("Linux");
        assert!(memory.resident > 0 && memory.peak >= memory.resident, "{memory:?}");
        assert!(Usage::of(std::process::id()).expect("Linux").total() >= 0.0);
    }
}
