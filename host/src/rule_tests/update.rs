//! `--update`: the expectations of failing tests, rewritten in their files to what happened. Comments, order and format of
//! everything else stay. `never` is not touched: what must not come out is no matter of what does.

mod edit;
mod fresh;

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, TableLike, Value};
use trackside_json::Limits;

use super::compare::Pair;
use super::{Done, Happened};
use edit::change;

/// Rewrites the files that have failing tests among these; how many tests were rewritten.
///
/// # Errors
/// When a file cannot be read or written, or is not what it was when its tests were read.
pub fn update(done: &[Done<'_>], limits: &Limits) -> io::Result<usize> {
    let mut rewritten = 0;
    for of_file in done.chunk_by(|left, right| std::ptr::eq(left.file, right.file)) {
        let failed: Vec<_> = of_file.iter().filter(|done| !done.comparison.is_met()).collect();
        if failed.is_empty() {
            continue;
        }
        let path = &of_file[0].file.path;
        let mut document: DocumentMut = fs::read_to_string(path)?.parse().map_err(io::Error::other)?;
        for done in &failed {
            let inline = matches!(document.get("test"), Some(Item::Value(_)));
            let test = nth(document.get_mut("test"), done.position);
            let test = test.ok_or_else(|| io::Error::other("it was changed since its tests were read"))?;
            rewrite(test, inline, done, limits);
        }
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        replace(path, &document.to_string()).map_err(named)?;
        rewritten += failed.len();
    }
    Ok(rewritten)
}

/// Puts a text in the place of a file's: all of it or, where the disk is full, nothing. It is somebody's work.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    // What a link leads to is what is changed, as an editor would.
    let path = path.canonicalize()?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".update-").tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().set_permissions(fs::metadata(&path)?.permissions())?;
    file.as_file().sync_all()?;
    file.persist(&path).map_err(|error| error.error).map(drop)
}

/// An element of an array of tables, in whichever way that is written.
fn nth(array: Option<&mut Item>, position: usize) -> Option<&mut dyn TableLike> {
    match array? {
        Item::ArrayOfTables(tables) => tables.get_mut(position).map(|table| table as &mut dyn TableLike),
        Item::Value(Value::Array(array)) => {
            let table = array.get_mut(position)?.as_inline_table_mut()?;
            Some(table as &mut dyn TableLike)
        }
        _ => None,
    }
}

/// What is to be at a place of the list of expectations.
enum Entry<'h> {
    /// The one that was at this position, changed or not.
    Kept(usize),
    /// One for what happened.
    Fresh(&'h Happened),
}

fn rewrite(test: &mut dyn TableLike, inline: bool, done: &Done<'_>, limits: &Limits) {
    let comparison = &done.comparison;
    for (position, pair) in comparison.pairs.iter().enumerate() {
        if let Pair::Differs(happened, differences) = pair
            && let Some(table) = nth(test.get_mut("expect"), position)
        {
            change(table, &done.test().expect[position], &done.happened[*happened], differences, limits);
        }
    }
    let fresh = |before: Option<usize>| {
        let of_place = comparison.unexpected.iter().filter(move |(_, next)| *next == before);
        of_place.map(|(happened, _)| Entry::Fresh(&done.happened[*happened]))
    };
    let mut entries = Vec::new();
    for (position, pair) in comparison.pairs.iter().enumerate() {
        entries.extend(fresh(Some(position)));
        if !matches!(pair, Pair::Missing) {
            entries.push(Entry::Kept(position));
        }
    }
    entries.extend(fresh(None));
    let stays = entries.len() == comparison.pairs.len() && comparison.unexpected.is_empty();
    if !stays {
        let expect = arrange(test.get("expect"), &entries, inline);
        match test.get_mut("expect") {
            Some(old) => *old = expect,
            None => drop(test.insert("expect", expect)),
        }
    }
}

/// The list of expectations with these entries, written the way that it was, or that its test is.
fn arrange(old: Option<&Item>, entries: &[Entry<'_>], in_line: bool) -> Item {
    match old {
        Some(Item::Value(Value::Array(old))) => Item::Value(Value::Array(inline(old, entries))),
        Some(Item::ArrayOfTables(old)) => Item::ArrayOfTables(tables(old, entries)),
        _ if in_line => Item::Value(Value::Array(inline(&Array::new(), entries))),
        _ => Item::ArrayOfTables(tables(&ArrayOfTables::new(), entries)),
    }
}

fn tables(old: &ArrayOfTables, entries: &[Entry<'_>]) -> ArrayOfTables {
    let mut new = ArrayOfTables::new();
    for entry in entries {
        match entry {
            Entry::Kept(position) => new.extend(old.get(*position).cloned()),
            Entry::Fresh(happened) => new.push(fresh::table(happened)),
        }
    }
    new
}

fn inline(old: &Array, entries: &[Entry<'_>]) -> Array {
    let mut new = old.clone();
    new.clear();
    // One on each line, if they are.
    let before = old.get(0).and_then(|first| first.decor().prefix()).and_then(|before| before.as_str());
    let before = before.filter(|before| before.starts_with('\n') && before.trim().is_empty());
    for entry in entries {
        match (entry, before) {
            (Entry::Kept(position), _) => {
                old.get(*position).cloned().into_iter().for_each(|value| new.push_formatted(value));
            }
            (Entry::Fresh(happened), None) => new.push(fresh::table(happened).into_inline_table()),
            (Entry::Fresh(happened), Some(before)) => {
                let table = Value::InlineTable(fresh::table(happened).into_inline_table());
                new.push_formatted(table.decorated(before, ""));
            }
        }
    }
    new
}
