//! What was counted before: a table for each compiler and profile.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use toml_edit::{DocumentMut, Item, Table, value};

/// Growth that fails, in percent.
pub(super) const GROWTH_PERCENT: u64 = 5;
/// What the names of steps begin with that are there to compare with; how they change is up to their crates.
const OTHERS: &str = "others: ";

const HEAD: &str = "# Instructions of each step, done once: written by `cargo xtask instructions --update`.\n\n";

/// Instructions, by the name of the step.
pub(super) type Counts = BTreeMap<String, u64>;

/// The committed counts.
pub(super) struct Baseline(DocumentMut);

/// What is not as it was.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changed {
    /// Grown by too much, not in the baseline, or in it alone.
    pub(super) wrong: Vec<String>,
    /// Shrunk by as much.
    pub(super) less: Vec<String>,
}

impl Baseline {
    /// Reads the file, or begins an empty one.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let text = match fs::read_to_string(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            text => text.with_context(|| format!("cannot read {}", path.display()))?,
        };
        let document = text.parse().with_context(|| format!("{} is not TOML", path.display()))?;
        Ok(Self(document))
    }

    /// The counts of a build.
    pub(super) fn of(&self, build: &str) -> Option<Counts> {
        let table = self.0.get(build)?.as_table()?;
        let count = |item: &Item| item.as_integer().and_then(|count| u64::try_from(count).ok());
        table.iter().map(|(name, item)| Some((name.to_owned(), count(item)?))).collect()
    }

    /// Replaces the counts of a build.
    pub(super) fn put(&mut self, build: &str, counts: &Counts) {
        let mut table = Table::new();
        for (name, count) in counts {
            table.insert(name, value(i64::try_from(*count).unwrap_or(i64::MAX)));
        }
        self.0.insert(build, Item::Table(table));
    }

    pub(super) fn write(&self, path: &Path) -> Result<()> {
        let text = self.0.to_string();
        let text = if text.starts_with('#') { text } else { format!("{HEAD}{}", text.trim_start()) };
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
    }
}

/// Holds counts against those of before.
pub(super) fn compare(before: &Counts, now: &Counts) -> Changed {
    let mut changed = Changed::default();
    for (name, &count) in now {
        match before.get(name) {
            _ if name.starts_with(OTHERS) => {}
            None => changed.wrong.push(format!("{name}: {count}, and not in the baseline")),
            Some(&was) if count * 100 > was * (100 + GROWTH_PERCENT) => {
                changed.wrong.push(format!("{name}: {count}, was {was} ({})", percent(was, count)));
            }
            Some(&was) if count * 100 < was * (100 - GROWTH_PERCENT) => {
                changed.less.push(format!("{name}: {count}, was {was} ({})", percent(was, count)));
            }
            Some(_) => {}
        }
    }
    let gone = before.keys().filter(|name| !now.contains_key(*name));
    changed.wrong.extend(gone.map(|name| format!("{name}: in the baseline, and no step")));
    changed
}

/// The counts, with how they changed.
pub(super) fn table(counts: &Counts, before: Option<&Counts>) -> String {
    let mut text = String::new();
    for (name, count) in counts {
        let was = before.and_then(|before| before.get(name));
        let change = was.map(|was| percent(*was, *count)).unwrap_or_default();
        let _ = writeln!(text, "{count:>10}  {change:>7}  {name}");
    }
    text
}

#[allow(clippy::cast_precision_loss, reason = "counts of one step are far below 2^52")]
fn percent(was: u64, is: u64) -> String {
    format!("{:+.1} %", (is as f64 / was as f64 - 1.0) * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(counts: &[(&str, u64)]) -> Counts {
        counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
    }

    #[test]
    fn growth_of_more_than_five_percent_is_wrong_and_as_much_less_is_told() {
        let before = counts(&[("more", 1000), ("most", 1000), ("less", 1000), ("others: x", 1000)]);
        let now = counts(&[("more", 1050), ("most", 1051), ("less", 949), ("others: x", 9000)]);
        let changed = compare(&before, &now);
        assert_eq!(changed.wrong, ["most: 1051, was 1000 (+5.1 %)"]);
        assert_eq!(changed.less, ["less: 949, was 1000 (-5.1 %)"]);
    }

    #[test]
    fn a_step_that_only_one_of_both_knows_is_wrong() {
        let changed = compare(&counts(&[("old", 7)]), &counts(&[("new", 7)]));
        assert_eq!(changed.wrong, ["new: 7, and not in the baseline", "old: in the baseline, and no step"]);
    }

    #[test]
    fn what_is_written_is_read_again_and_other_builds_stay() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("baseline.toml");
        let (one, two) = (counts(&[("json: a, b", 12)]), counts(&[("json: a, b", 34)]));
        for (build, counts) in [("rustc 1.95.0, dev", &one), ("rustc 1.96.0, dev", &two)] {
            let mut baseline = Baseline::read(&path).expect("readable");
            assert_eq!(baseline.of(build), None);
            baseline.put(build, counts);
            baseline.write(&path).expect("writable");
        }
        let baseline = Baseline::read(&path).expect("readable");
        assert_eq!(baseline.of("rustc 1.95.0, dev"), Some(one));
        assert_eq!(baseline.of("rustc 1.96.0, dev"), Some(two));
    }
}
