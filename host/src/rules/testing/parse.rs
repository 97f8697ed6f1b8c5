//! From TOML tables to [`TestFile`]s. Nothing stops at the first thing that is wrong.

use std::collections::HashMap;
use std::path::PathBuf;

use toml::Spanned;

use super::model::{Expectation, Test, TestFile};
use super::{expect, message, sections};
use crate::rules::error::{Problem, Report};
use crate::rules::files::FileSet;
use crate::rules::model::Rules;
use crate::rules::raw::{RawFile, Texts};
use crate::rules::table::{File, Problems, Table};

/// What the parts of a test are read with.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    pub(super) rules: &'a Rules,
    pub(super) files: &'a FileSet,
}

/// Reads all files: the tests that could be read, and everything that is wrong.
pub(super) fn parse(files: &FileSet, rules: &Rules) -> (Vec<TestFile>, Report) {
    let problems = Problems::default();
    files.problems().cloned().for_each(|problem| problems.push(problem));
    let texts = Texts::new(files, &problems);
    let context = Context { rules, files };
    let tests = texts.rules(&problems).map(|file| test_file(&file, context, &problems)).collect();
    (tests, Report::sorted(problems.into_vec()))
}

fn test_file(raw: &RawFile<'_>, context: Context<'_>, problems: &Problems) -> TestFile {
    let file = File { source: raw.source, problems };
    let root = Table::open(file, &sections::FILE, 0..0, raw.table.get_ref());
    let tables = root.array("test", &sections::TEST);
    if root.is_empty("test") {
        root.error("test", "there is no test", "add a table [[test]]");
    }
    check_names(&tables);
    let tests = tables.iter().filter_map(|table| test(table, context)).collect();
    TestFile { path: PathBuf::from(raw.source.name()), tests }
}

fn test(table: &Table<'_>, context: Context<'_>) -> Option<Test> {
    let name = table.text("name");
    if name.as_deref().is_some_and(|name| name.trim().is_empty()) {
        table.error("name", "`name` is empty", "say what the test shows, in a sentence");
    }
    let incoming = table.table("message", &sections::MESSAGE).and_then(|inner| message::message(&inner, context));
    let expect: Vec<Option<Expectation>> =
        table.array("expect", &sections::EXPECT).iter().map(|inner| expect::expectation(inner, context)).collect();
    let never = never(table);
    let incoming = incoming?;
    Some(Test {
        name: name?,
        message: incoming.message,
        source: incoming.source,
        timestamp_ms: incoming.timestamp_ms,
        expect: expect.into_iter().collect::<Option<_>>()?,
        never,
        location: table.value_location("name"),
    })
}

/// A text that is in everything, or nearly so, says nothing about secrets.
fn never(table: &Table<'_>) -> Vec<String> {
    let texts = table.texts("never").into_iter();
    let long_enough = |(text, span): (String, std::ops::Range<usize>)| {
        if text.trim().is_empty() {
            table.file.error(span, "a text of `never` is empty", "write the value that must not come out");
            return None;
        }
        Some(text)
    };
    texts.filter_map(long_enough).collect()
}

/// Reports and updates go by the names.
fn check_names(tables: &[Table<'_>]) {
    let mut seen: HashMap<String, &Table<'_>> = HashMap::with_capacity(tables.len());
    for table in tables {
        let Some(node) = table.node("name") else { continue };
        let Some(name) = node.get_ref().as_str() else { continue };
        if let Some(first) = seen.get(name) {
            let problem = Problem::error(format!("there are two tests with the name `{name}` in this file"))
                .at(table.file.at(Spanned::span(node)))
                .also(first.value_location("name"), "the first one is here")
                .help("rename one of them: reports and `--update` go by the name");
            table.file.problems.push(problem);
        } else {
            seen.insert(name.to_owned(), table);
        }
    }
}
