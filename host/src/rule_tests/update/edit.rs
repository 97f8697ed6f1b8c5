//! One expectation, changed in those of its keys that differ.

use toml_edit::{Array, Item, TableLike, Value};
use trackside_json::Limits;

use super::fresh;
use crate::names::{PluginName, RouteName};
use crate::rule_tests::compare::{Difference, header_values, select};
use crate::rule_tests::happened::Happened;
use crate::rules::testing::{Check, Expectation, FieldPath, Payload, Spelling, json};

/// The keys of a payload as a whole.
const PAYLOAD: [&str; 4] = ["text", "json", "base64", "file"];

/// Makes an expectation one of what happened.
pub(super) fn change(
    table: &mut dyn TableLike,
    expectation: &Expectation,
    happened: &Happened,
    differences: &[Difference],
    limits: &Limits,
) {
    keeping_end(table, |table| {
        for difference in differences {
            match difference.check {
                None => replace(table, happened),
                Some(check) => change_check(table, &expectation.checks[check], happened, limits),
            }
        }
    });
}

/// Changes a table. In one that is written in a line, the blank before its brace is part of the last value: it stays at
/// the end, whichever value that is then.
fn keeping_end(table: &mut dyn TableLike, change: impl FnOnce(&mut dyn TableLike)) {
    let end =
        last(table).map(|value| value.decor().suffix().and_then(|end| end.as_str()).unwrap_or_default().to_owned());
    // Anything else is a comment, and belongs to its value.
    let Some(end) = end.filter(|end| end.trim().is_empty()) else { return change(table) };
    if let Some(value) = last(table) {
        value.decor_mut().set_suffix("");
    }
    change(table);
    if let Some(value) = last(table).filter(|value| value.decor().suffix().is_none_or(|end| end.as_str() == Some(""))) {
        value.decor_mut().set_suffix(end);
    }
}

fn last(table: &mut dyn TableLike) -> Option<&mut Value> {
    table.iter_mut().last().and_then(|(_, item)| item.as_value_mut())
}

/// Another outcome has other keys.
fn replace(table: &mut dyn TableLike, happened: &Happened) {
    let fresh = fresh::table(happened);
    let gone: Vec<String> =
        table.iter().map(|(key, _)| key.to_owned()).filter(|key| !fresh.contains_key(key)).collect();
    for key in gone {
        table.remove(&key);
    }
    for (key, item) in fresh {
        if let Item::Value(value) = item {
            put(table, &key, value);
        }
    }
}

fn change_check(table: &mut dyn TableLike, check: &Check, happened: &Happened, limits: &Limits) {
    match check {
        Check::Route(_) => text(table, "route", happened.route.as_ref().map(RouteName::as_str)),
        Check::Subject(_) => text(table, "subject", happened.subject.as_deref()),
        Check::Class(_) => text(table, "class", happened.class),
        Check::Stage(_) => text(table, "stage", happened.stage.as_ref().map(PluginName::as_str)),
        Check::Reason(_) => text(table, "reason", happened.reason.as_deref()),
        Check::Header { name, .. } => header(table, name, happened),
        Check::Field { path, .. } => field(table, path, happened, limits),
        Check::Null(path) => {
            unlist(table, "null", &path.text);
            field(table, path, happened, limits);
        }
        Check::NoField(path) => {
            unlist(table, "absent", &path.text);
            field(table, path, happened, limits);
        }
        // The file may be that of other tests as well, or what a message is made of.
        Check::Payload(Payload::Exact(_, Spelling::File)) => {}
        Check::Payload(Payload::Exact(..)) => whole(table, happened),
        Check::Payload(Payload::Json(_)) => {
            match json::read(&happened.payload).ok().and_then(|json| fresh::value(&json)) {
                Some(value) => put(table, "json", value),
                None => whole(table, happened),
            }
        }
    }
}

fn text(table: &mut dyn TableLike, key: &str, text: Option<&str>) {
    match text {
        Some(text) => put(table, key, text.into()),
        None => drop(table.remove(key)),
    }
}

fn header(table: &mut dyn TableLike, name: &str, happened: &Happened) {
    let values = header_values(happened, name);
    match values.as_slice() {
        [one] => put_inner(table, "headers", name, one.as_str().into()),
        several => put_inner(table, "headers", name, Value::Array(several.iter().collect())),
    }
}

fn field(table: &mut dyn TableLike, path: &FieldPath, happened: &Happened, limits: &Limits) {
    let found = select(path, happened, limits);
    match &found {
        Ok(Some(value)) if value.is_null() => {
            take(table, "fields", &path.text);
            list(table, "null", &path.text);
        }
        Ok(Some(value)) => match fresh::value(value) {
            Some(value) => put_inner(table, "fields", &path.text, value),
            None => instead(table, path, happened),
        },
        Ok(None) => {
            take(table, "fields", &path.text);
            list(table, "absent", &path.text);
        }
        Err(_) => instead(table, path, happened),
    }
}

/// What TOML cannot say of a field is said by the payload as a whole.
fn instead(table: &mut dyn TableLike, path: &FieldPath, happened: &Happened) {
    take(table, "fields", &path.text);
    if !PAYLOAD.iter().any(|key| table.contains_key(key)) {
        whole(table, happened);
    }
}

fn whole(table: &mut dyn TableLike, happened: &Happened) {
    let (key, value) = fresh::payload(&happened.payload);
    for other in PAYLOAD.into_iter().filter(|other| *other != key) {
        table.remove(other);
    }
    put(table, key, value);
}

/// Sets a value; the comments and white space around the old one stay.
fn put(table: &mut dyn TableLike, key: &str, mut value: Value) {
    match table.get_mut(key) {
        Some(Item::Value(old)) => {
            *value.decor_mut() = old.decor().clone();
            *old = value;
        }
        Some(other) => *other = Item::Value(value),
        None => drop(table.insert(key, Item::Value(value))),
    }
}

/// Sets a value of a table in the table, which is made if there is none.
fn put_inner(table: &mut dyn TableLike, outer: &str, key: &str, value: Value) {
    let item = table.entry(outer).or_insert_with(|| Item::Value(Value::InlineTable(Default::default())));
    if let Some(inner) = item.as_table_like_mut() {
        keeping_end(inner, |inner| put(inner, key, value));
    }
}

/// Takes a value out of a table in the table.
fn take(table: &mut dyn TableLike, outer: &str, key: &str) {
    let Some(inner) = table.get_mut(outer).and_then(Item::as_table_like_mut) else { return };
    keeping_end(inner, |inner| drop(inner.remove(key)));
    if inner.is_empty() {
        table.remove(outer);
    }
}

/// Adds a text to a list, which is made if there is none.
fn list(table: &mut dyn TableLike, key: &str, text: &str) {
    let item = table.entry(key).or_insert_with(|| Item::Value(Value::Array(Array::new())));
    if let Some(array) = item.as_array_mut() {
        array.push(text);
    }
}

/// Takes a text out of a list.
fn unlist(table: &mut dyn TableLike, key: &str, text: &str) {
    let Some(array) = table.get_mut(key).and_then(Item::as_array_mut) else { return };
    array.retain(|value| value.as_str() != Some(text));
    if array.is_empty() {
        table.remove(key);
    }
}
