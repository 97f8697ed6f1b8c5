//! TOML of a page, in the frame that a fragment of its kind belongs to.
//!
//! | a block with | is |
//! | --- | --- |
//! | `[[rule]]` | a file of rules, beside `config/trackside.toml` with the tables that the page has |
//! | `[rule.…]` | a part of a rule that has everything else |
//! | `[[test]]` | a file of tests, of the rules of `config/` |
//! | `with = …`, or other keys in a section that is named after a standard plugin | the settings of a stage of that plugin |
//! | other tables | tables of `trackside.toml`, in place of those of `config/` |

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;
use toml::{Table, Value};

use super::mark::How;
use super::sandbox::secrets;
use super::{Block, Page};
use crate::{Example, hostile, provided};

/// The standard plugins, after which sections are named that show their settings.
const PLUGINS: [&str; 4] = ["validate", "transform", "mask", "route"];

/// What a block is a part of.
#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Setup,
    Rules,
    PartOfRule,
    Tests,
    Stage,
    Settings,
}

/// The file that a block says it is, if that is in a folder of the page's own.
pub(super) fn file(block: &Block) -> Option<&str> {
    let name = block.text.lines().next()?.strip_prefix("# ")?.split_whitespace().next()?;
    let (folder, _) = name.split_once('/')?;
    let own = !["rules", "tests"].contains(&folder) && !name.contains("..") && name.ends_with(".toml");
    own.then_some(name)
}

/// Has `trackside check` say whether the fragment is right.
pub(super) async fn check(page: &Page, block: &Block, text: &str) -> Result<(), String> {
    let table: Table = text.parse().map_err(|error: toml::de::Error| error.to_string())?;
    let example = Example::new();
    let folder = example.path();
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).expect("a file of the example");
    let mut setup: Table = read("trackside.toml").parse().expect("the example is right");
    let kind = kind(block, &table);
    if kind == Kind::Setup {
        merge(&mut setup, table.clone());
    } else {
        page_setup(page, &mut setup);
    }
    if kind != Kind::Tests {
        std::fs::remove_dir_all(folder.join("rules")).expect("the rules of the example");
    }
    match kind {
        Kind::Setup => example.write("rules/all.toml", rule_of_each_source(&setup)),
        Kind::Rules => example.write("rules/page.toml", text),
        Kind::Tests => {
            std::fs::remove_dir_all(folder.join("tests")).expect("the tests of the example");
            example.write("tests/page.toml", text);
        }
        Kind::PartOfRule => example.write("rules/page.toml", rule(block, &table, "", text)),
        Kind::Stage => example.write("rules/page.toml", rule(block, &table, &format!("{}{text}", stage(block)), "")),
        Kind::Settings => {
            let with = format!("{}[rule.stage.with]\n{text}", stage(block));
            example.write("rules/page.toml", rule(block, &table, &with, ""));
        }
    }
    stand_ins(&example, &setup, &table);
    example.write("trackside.toml", toml::to_string(&setup).expect("a table"));
    let command: &[&str] = match (&block.marks.how, kind) {
        (How::Parsed(_), _) => &["explain", "--subject", "page"],
        (_, Kind::Tests) => &["test"],
        _ => &["check"],
    };
    let environment = secrets(&format!("{}{}", page.text, read("trackside.toml")));
    trackside(command, folder, &environment).await
}

/// Runs the command on a folder; its output if it fails.
pub(super) async fn trackside(
    arguments: &[&str],
    folder: &Path,
    environment: &[(String, String)],
) -> Result<(), String> {
    let mut command = Command::new(provided("TRACKSIDE_BIN"));
    command.args(arguments).arg(folder).env("NO_COLOR", "1").stdin(Stdio::null());
    command.envs(Example::SECRETS.iter().copied()).envs(environment.iter().map(|(name, value)| (name, value)));
    let output = command.output().await.expect("trackside can be started");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let said = || format!("{}{}", text(&output.stdout), text(&output.stderr));
    output.status.success().then_some(()).ok_or_else(said)
}

fn kind(block: &Block, table: &Table) -> Kind {
    match (table.get("rule"), table.get("test")) {
        (Some(Value::Array(_)), _) => Kind::Rules,
        (Some(_), _) => Kind::PartOfRule,
        (None, Some(_)) => Kind::Tests,
        _ if table.contains_key("with") => Kind::Stage,
        _ if PLUGINS.contains(&block.section.as_str()) => Kind::Settings,
        _ => Kind::Setup,
    }
}

/// Puts tables in, each named table (`[plugins.NAME]`) by itself.
fn merge(setup: &mut Table, tables: Table) {
    for (name, value) in tables {
        match (setup.get_mut(&name), value) {
            (Some(Value::Table(there)), Value::Table(table)) => there.extend(table),
            (_, value) => {
                setup.insert(name, value);
            }
        }
    }
}

/// Puts in what the page has of `trackside.toml`.
fn page_setup(page: &Page, setup: &mut Table) {
    for block in page.blocks.iter().filter(|block| block.language == "toml" && file(block).is_none()) {
        if let Ok(table) = block.text.parse::<Table>()
            && kind(block, &table) == Kind::Setup
            && block.is_proved_here()
        {
            merge(setup, table);
        }
    }
}

/// A rule for each source, so that none is there for nothing.
fn rule_of_each_source(setup: &Table) -> String {
    let sources = setup.get("sources").and_then(Value::as_table).into_iter().flatten();
    let rule = |(name, source): (&String, &Value)| {
        let filter = source.get("filter-subjects").and_then(|filters| filters.get(0));
        let subject = filter.or_else(|| source.get("subject")).and_then(Value::as_str).unwrap_or("page.in");
        let subject = subject.replace("{partition}", "*");
        format!(
            "[[rule]]\nname = \"of-{name}\"\nsource = \"{name}\"\nsubject = \"{subject}\"\nroutes.default = \"page.out\"\n\
             on-failure.dead-letter = \"dead.page\"\n"
        )
    };
    sources.map(rule).collect()
}

/// The head of a stage of the plugin that the section is about.
fn stage(block: &Block) -> String {
    format!("[[rule.stage]]\nplugin = \"{}\"\n", block.section)
}

/// A rule with a part of it. Every word of the part may be a route.
fn rule(block: &Block, table: &Table, stage: &str, part: &str) -> String {
    let of = |key: &str| table.get("rule").and_then(|rule| rule.get(key));
    let mut rule = String::from("[[rule]]\nname = \"page\"\nsource = \"orders\"\nsubject = \"orders.*.created\"\n");
    if of("stage").is_some() && !part.contains("[[rule.stage]]") {
        rule.push_str(&self::stage(block));
    }
    // What belongs to a stage comes right after it.
    rule.push_str(stage);
    rule.push_str(part);
    rule.push('\n');
    if of("routes").is_none() {
        let mut routes = BTreeSet::from(["default".to_owned()]);
        words(&Value::Table(table.clone()), &mut routes);
        rule.push_str("[rule.routes]\n");
        for route in routes {
            writeln!(rule, "{route} = \"page.{route}\"").expect("a string takes all");
        }
    }
    if of("on-failure").is_none() {
        rule.push_str("[rule.on-failure]\ndead-letter = \"dead.page\"\n");
    }
    rule
}

fn is_route(word: &str) -> bool {
    (1..=64).contains(&word.len()) && word.chars().all(|c| c.is_ascii_lowercase() || c == '-')
}

fn words(value: &Value, routes: &mut BTreeSet<String>) {
    match value {
        Value::String(text) if is_route(text) => {
            routes.insert(text.clone());
        }
        Value::Array(values) => values.iter().for_each(|value| words(value, routes)),
        Value::Table(table) => table.values().for_each(|value| words(value, routes)),
        _ => {}
    }
}

/// Files in place of those that are named and that the example has not: components that forward everything, schemas
/// that everything matches, programs that change nothing.
fn stand_ins(example: &Example, setup: &Table, table: &Table) {
    let plugins = setup.get("plugins").and_then(Value::as_table).into_iter().flatten();
    for path in plugins.filter_map(|(_, plugin)| plugin.get("path")).filter_map(Value::as_str) {
        example.write(path, hostile::component("forward"));
    }
    let mut files = Vec::new();
    schemas(&Value::Table(table.clone()), &mut files);
    for file in files.iter().filter(|file| !example.path().join(file).exists()) {
        example.write(file, if file.ends_with(".jq") { "." } else { "{}" });
    }
}

fn schemas(value: &Value, files: &mut Vec<String>) {
    match value {
        Value::String(text) if text.starts_with("schemas/") => files.push(text.clone()),
        Value::Array(values) => values.iter().for_each(|value| schemas(value, files)),
        Value::Table(table) => table.values().for_each(|value| schemas(value, files)),
        _ => {}
    }
}
