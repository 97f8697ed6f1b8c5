//! The alerts and the dashboard under `deploy/`: Prometheus reads them, and they ask for what there is.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use regex::Regex;
use serde_json::Value;

use crate::page::Page;

/// What Prometheus adds to every series, and histograms to theirs.
const ADDED: [&str; 3] = ["instance", "job", "le"];

/// An expression, and the texts that show labels of what it gives.
struct Query {
    expression: String,
    shown: Vec<String>,
}

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn read(path: &str) -> String {
    std::fs::read_to_string(repository(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a pattern")
}

/// The names of all alerts.
fn alerts() -> Vec<String> {
    let text = read("deploy/prometheus/alerts.yaml");
    let names = text.lines().filter_map(|line| line.trim().strip_prefix("- alert: "));
    names.map(str::to_owned).collect()
}

/// What the alerts ask. The file has an expression in one line, or folded into several that are further in.
fn of_alerts() -> Vec<Query> {
    let text = read("deploy/prometheus/alerts.yaml");
    let of_alert = |alert: &str| {
        let mut lines = alert.lines().skip_while(|line| !line.trim().starts_with("expr: "));
        let first = lines.next().expect("an expression");
        let indent = |line: &str| line.len() - line.trim_start().len();
        let expression = match first.trim().trim_start_matches("expr: ") {
            ">" => lines.take_while(|line| indent(line) > indent(first)).map(str::trim).collect::<Vec<_>>().join(" "),
            whole => whole.to_owned(),
        };
        Query { expression, shown: vec![alert.to_owned()] }
    };
    let queries: Vec<_> = text.split("- alert: ").skip(1).map(of_alert).collect();
    assert_eq!(queries.len(), alerts().len());
    queries
}

/// What the dashboard asks.
fn of_dashboard() -> Vec<Query> {
    let dashboard: Value = serde_json::from_str(&read("deploy/grafana/dashboard.json")).expect("it is JSON");
    let panels = dashboard["panels"].as_array().expect("panels").iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let annotations = dashboard["annotations"]["list"].as_array().expect("annotations").iter();
    let query = |target: &Value| Query {
        expression: target["expr"].as_str().expect("an expression").to_owned(),
        shown: ["legendFormat", "titleFormat"]
            .iter()
            .filter_map(|key| Some(target[*key].as_str()?.to_owned()))
            .collect(),
    };
    let queries: Vec<_> = targets.chain(annotations).map(query).collect();
    assert!(queries.len() > 30, "they were found");
    queries
}

/// Runs promtool, which has to be content.
fn promtool(arguments: &[&str], folder: &Path) -> String {
    let program =
        std::env::var_os("PROMTOOL").expect("`cargo xtask test` provides it, `cargo xtask promtool` prints it");
    let run = Command::new(program).args(arguments).current_dir(folder).output().expect("promtool runs");
    let said = format!("{}{}", String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success(), "promtool {arguments:?}:\n{said}");
    said
}

#[test]
fn alerts_are_right_and_fire_when_their_tests_say() {
    let folder = repository("deploy/prometheus");
    assert!(promtool(&["check", "rules", "alerts.yaml"], &folder).contains("rules found"));
    promtool(&["test", "rules", "alerts.test.yaml"], &folder);
    let tests = read("deploy/prometheus/alerts.test.yaml");
    for alert in alerts() {
        // A test that only says when it does not fire proves little.
        let begin = format!("- alertname: {alert}\n");
        let of_alert = tests.split(&begin).skip(1);
        let fires =
            of_alert.filter_map(|rest| rest.split("\n      - ").next()).any(|test| test.contains("exp_labels:"));
        assert!(fires, "no test shows that {alert} fires");
    }
}

#[test]
fn the_page_for_operators_says_what_to_do_about_each_alert() {
    let page = read("docs/operate.md");
    let told: Vec<_> = page.lines().filter_map(|line| line.strip_prefix("| `Trackside")?.split_once('`')).collect();
    let named: BTreeSet<_> = told.iter().map(|(name, _)| format!("Trackside{name}")).collect();
    assert_eq!(named, alerts().into_iter().collect());
    for (name, row) in told {
        let cells: Vec<_> = row.split('|').map(str::trim).filter(|cell| !cell.is_empty()).collect();
        assert_eq!(cells.len(), 2, "what Trackside{name} means, and what to do: {row}");
    }
}

#[test]
fn the_configuration_of_prometheus_that_is_shown_is_one() {
    let page = read("docs/observability.md");
    let shown = page.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("it is on the page");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("a file");
    write("alerts.yaml", &read("deploy/prometheus/alerts.yaml"));
    write("reader.token", "0123456789abcdef0123456789abcdef");
    for text in [shown.to_owned(), shown.replace("# authorization", "authorization")] {
        write("prometheus.yml", &text);
        assert!(promtool(&["check", "config", "prometheus.yml"], folder.path()).contains("rules found"));
    }
}

#[test]
fn every_expression_of_the_dashboard_is_one_of_prometheus() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut rules = String::from("groups:\n- name: dashboard\n  rules:\n");
    for (number, query) in of_dashboard().iter().enumerate() {
        let expression = query.expression.replace("$__rate_interval", "5m");
        rules += &format!("  - record: panel:{number}\n    expr: {}\n", Value::from(expression));
    }
    std::fs::write(folder.path().join("dashboard.yaml"), rules).expect("a file in a temporary folder");
    promtool(&["check", "rules", "dashboard.yaml"], folder.path());
}

#[test]
fn alerts_and_dashboard_ask_for_metrics_labels_and_values_that_there_are() {
    let page = Page::read();
    let [selector, matcher] =
        [r"\b(trackside_\w+|up)\b(?:\{([^}]*)\})?", r#"(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)""#].map(regex);
    let [group, shown] =
        [r"\b(?:by|without|on|ignoring)\s*\(([^)]*)\)", r"\{\{[^}]*?\$labels\.(\w+)|\{\{\s*(\w+)\s*\}\}"].map(regex);
    for Query { expression, shown: texts } in of_alerts().into_iter().chain(of_dashboard()) {
        // All labels that the metrics of the expression have together.
        let mut labels: BTreeSet<String> = ADDED.map(str::to_owned).into();
        let selectors: Vec<_> = selector.captures_iter(&expression).collect();
        assert!(!selectors.is_empty(), "{expression}");
        for found in selectors {
            let own = match &found[1] {
                "up" => &[][..],
                sample => {
                    let name = page.name_of(sample).unwrap_or_else(|| panic!("no metric `{sample}`: {expression}"));
                    let own = page.labels(&name);
                    check_values(&page, &name, &matcher, found.get(2).map_or("", |part| part.as_str()));
                    own
                }
            };
            labels.extend(own.iter().cloned());
            for label in matcher.captures_iter(found.get(2).map_or("", |part| part.as_str())) {
                let there = ADDED.contains(&&label[1]) || own.iter().any(|own| *own == label[1]);
                assert!(there, "`{}` has no label `{}`: {expression}", &found[1], &label[1]);
            }
        }
        let grouped = group
            .captures_iter(&expression)
            .flat_map(|found| found[1].split(',').map(|label| label.trim().to_owned()).collect::<Vec<_>>());
        let told = texts.iter().flat_map(|text| shown.captures_iter(text));
        let told = told.filter_map(|found| found.get(1).or(found.get(2)).map(|label| label.as_str().to_owned()));
        for label in grouped.chain(told).filter(|label| !matches!(label.as_str(), "else" | "end")) {
            assert!(labels.contains(&label), "no metric has the label `{label}` of {expression}");
        }
    }
}

/// Asserts that values which are written out are among those that the page lists, where it lists them.
fn check_values(page: &Page, name: &str, matcher: &Regex, matchers: &str) {
    for found in matcher.captures_iter(matchers) {
        let (label, value) = (&found[1], &found[3]);
        if ["outcome", "class", "kind", "state"].contains(&label) {
            for word in value.split('|') {
                assert!(page.meaning(name).contains(word), "`{name}` has no {label} `{word}`");
            }
        }
    }
}

#[test]
fn what_the_dashboard_can_be_narrowed_to_are_labels_that_there_are() {
    let page = Page::read();
    let dashboard = read("deploy/grafana/dashboard.json");
    let mut variables = 0;
    for found in regex(r"label_values\((\w+), (\w+)\)").captures_iter(&dashboard) {
        let name = page.name_of(&found[1]).unwrap_or_else(|| panic!("no metric `{}`", &found[1]));
        assert!(&found[2] == "instance" || page.labels(&name).iter().any(|label| *label == found[2]), "{}", &found[0]);
        variables += 1;
    }
    assert!(variables >= 3, "they were found");
}
