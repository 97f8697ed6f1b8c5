//! Documents that are made from the code, compared with it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use trackside::names::{QueueName, RuleName, SourceName};
use trackside::telemetry::Condition;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The reference of the standard plugins, which is what their crates say of themselves, and what plugins in other
/// languages cost.
fn plugins() -> String {
    let mut document = String::from(
        "# The standard plugins\n\nEach is a WebAssembly component, written with the SDK, and carried inside the binary: \
         name it in a rule's stage,\nand give its settings under `with`. A value that begins with `env:` or `file:` is \
         read from the environment or a\nfile by the host, so no secret has to be in a rule.\n\nThis page is made from \
         the plugins' own documentation: `UPDATE_DOCS=1 cargo test -p trackside-tests --test docs`.\n",
    );
    for name in ["validate", "transform", "mask", "route"] {
        let path = repository().join("plugins").join(name).join("src/lib.rs");
        let source = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        write!(document, "\n## {name}\n\n").expect("a string takes all");
        let lines = source.lines().map_while(|line| line.strip_prefix("//!"));
        for line in lines.map(|line| line.strip_prefix(' ').unwrap_or(line)) {
            // Comments inside of code begin with one hash and a space too.
            let heading = line.starts_with("# ") && line.chars().nth(2).is_some_and(|c| c == '`' || c.is_uppercase());
            let deeper = if heading { "##" } else { "" };
            writeln!(document, "{deeper}{line}").expect("a string takes all");
        }
    }
    document.push_str(include_str!("../conformance/isolation.md"));
    document.push_str(include_str!("../conformance/languages.md"));
    document.push_str(include_str!("../conformance/measured.md"));
    document
}

#[test]
fn the_reference_of_the_plugins_is_what_they_say_of_themselves() {
    let path = repository().join("docs/plugins.md");
    let made = plugins();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &made).expect("the docs can be written");
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(there == made, "docs/plugins.md is out of date: UPDATE_DOCS=1 cargo test -p trackside-tests --test docs");
}

#[test]
fn the_list_of_attacks_is_the_one_that_the_tests_use() {
    const BEGIN: &str = "<!-- made from the list of attacks -->\n";
    const END: &str = "<!-- end of the list of attacks -->";
    let path = repository().join("docs/security.md");
    let there = std::fs::read_to_string(&path).expect("the document");
    let (before, rest) = there.split_once(BEGIN).expect("where the list begins");
    let (_, after) = rest.split_once(END).expect("where the list ends");
    let made = format!("{before}{BEGIN}{}\n{END}{after}", trackside_tests::attacks::table());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &made).expect("the docs can be written");
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(there == made, "docs/security.md is out of date: UPDATE_DOCS=1 cargo test -p trackside-tests --test docs");
}

#[test]
fn each_condition_of_readiness_has_a_line_that_says_what_to_do() {
    let path = repository().join("docs/operate.md");
    let page = std::fs::read_to_string(path).expect("the document");
    let name = "NAME";
    let conditions = [
        Condition::Connection,
        Condition::Revision,
        Condition::Source(SourceName::new(name).expect("a name")),
        Condition::Flow(SourceName::new(name).expect("a name")),
        Condition::DeadLetters(RuleName::new(name).expect("a name")),
        Condition::Service("ADDRESS".to_owned()),
        Condition::Subscription(QueueName::new(name).expect("a name")),
        Condition::Running,
    ];
    for condition in conditions {
        // A condition that is new does not compile here until the list above has it.
        match &condition {
            Condition::Connection
            | Condition::Revision
            | Condition::Source(_)
            | Condition::Flow(_)
            | Condition::DeadLetters(_)
            | Condition::Service(_)
            | Condition::Subscription(_)
            | Condition::Running => {}
        }
        assert!(page.contains(&format!("| `{condition}` |")), "docs/operate.md has no line for `{condition}`");
    }
}
