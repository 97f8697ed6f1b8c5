//! docs/metrics.md, read as whoever looks something up there reads it.

use std::collections::BTreeMap;
use std::path::Path;

/// What the page says of each metric, by the name of its samples.
pub(crate) struct Page(BTreeMap<String, Row>);

struct Row {
    kind: String,
    labels: Vec<String>,
    meaning: String,
}

impl Page {
    pub(crate) fn read() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
        let text = std::fs::read_to_string(path).expect("the page");
        let rows = text.lines().filter(|line| line.starts_with("| `trackside_")).map(|line| {
            let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
            let [name, kind, labels, _, meaning] = cells[..] else { panic!("five cells: {line}") };
            let plain = |text: &str| text.trim_matches('`').to_owned();
            let labels = labels.split(", ").map(plain).filter(|label| !label.is_empty()).collect();
            (plain(name), Row { kind: kind.to_owned(), labels, meaning: meaning.to_owned() })
        });
        let rows: BTreeMap<_, _> = rows.collect();
        assert!(rows.len() > 40, "the table was found");
        Self(rows)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &String> {
        self.0.keys()
    }

    pub(crate) fn kind(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|row| row.kind.as_str())
    }

    pub(crate) fn labels(&self, name: &str) -> &[String] {
        &self.0[name].labels
    }

    pub(crate) fn meaning(&self, name: &str) -> &str {
        &self.0[name].meaning
    }

    /// The name that the page has for a sample, if it has one.
    pub(crate) fn name_of(&self, sample: &str) -> Option<String> {
        let name = sample.split('{').next().unwrap_or(sample);
        let stem = ["_bucket", "_count", "_sum"].iter().find_map(|suffix| name.strip_suffix(suffix));
        match self.kind(name) {
            Some("histogram") => None,
            Some(_) => Some(name.to_owned()),
            None => stem.filter(|stem| self.kind(stem) == Some("histogram")).map(str::to_owned),
        }
    }
}

/// The names of a sample's labels, without the one that all histograms have.
pub(crate) fn labels_of(sample: &str) -> Vec<String> {
    let labels = sample.split_once('{').map_or("", |(_, labels)| labels.trim_end_matches('}'));
    let names = labels.split(',').filter_map(|label| label.split_once('=')).map(|(name, _)| name);
    names.filter(|name| *name != "le").map(str::to_owned).collect()
}
