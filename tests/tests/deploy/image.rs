//! The Dockerfile, read by BuildKit's own parser and by hadolint.

use std::fs;

use serde_json::Value;
use trackside_tests::readers::{python, python_program, read};

use crate::{deploy, repository};

#[tokio::test]
async fn the_image_is_built_of_what_it_should_and_runs_as_nobody_in_particular() {
    let script = "import dockerfile, json, sys\n\
                  commands = dockerfile.parse_string(sys.stdin.read())\n\
                  json.dump([[c.cmd, list(c.flags), list(c.value)] for c in commands], sys.stdout)";
    let text = fs::read_to_string(deploy("Dockerfile")).expect("the Dockerfile");
    let parsed = read(python(script), &text).await.unwrap_or_else(|said| panic!("{said}"));
    let parsed: Vec<(String, Vec<String>, Vec<Value>)> = serde_json::from_str(&parsed).expect("its instructions");
    let bases = parsed.iter().filter(|(command, ..)| command.eq_ignore_ascii_case("FROM")).count();
    assert_eq!(bases, 2, "one to build in, and one to run");
    let last = parsed.iter().rposition(|(command, ..)| command.eq_ignore_ascii_case("FROM")).expect("a base");
    let image = &parsed[last + 1..];
    let of = |name: &str| {
        let found = image.iter().filter(|(command, ..)| command.eq_ignore_ascii_case(name));
        found.map(|(_, _, values)| Value::from(values.clone())).collect::<Vec<_>>()
    };
    assert_eq!(of("RUN"), Vec::<Value>::new(), "there is no shell to run it");
    assert_eq!(of("USER"), [serde_json::json!(["65532:65532"])]);
    assert_eq!(of("COPY").len(), 1, "one program");
    assert_eq!(of("ENTRYPOINT"), [serde_json::json!(["/usr/local/bin/trackside"])]);
    assert_eq!(of("CMD"), [serde_json::json!(["run", "/etc/trackside"])]);
}

#[tokio::test]
async fn hadolint_has_nothing_to_say_of_the_dockerfile() {
    let hadolint =
        |text: &'static str| python_program("hadolint", &["--no-color", "--failure-threshold", "style", text]);
    let path: &'static str = deploy("Dockerfile").to_str().expect("UTF-8").to_owned().leak();
    assert_eq!(read(hadolint(path), "").await.as_deref(), Ok(""));
    let wrong = read(hadolint("-"), "FROM debian:latest\nRUN cd /tmp\n").await.expect_err("two habits that it knows");
    assert!(wrong.contains("DL3007") && wrong.contains("DL3003"), "{wrong}");
}

#[test]
fn what_is_compiled_gets_into_the_build_and_what_was_compiled_does_not() {
    let ignored = fs::read_to_string(repository().join(".dockerignore")).expect("the file");
    let lines: Vec<_> = ignored.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    assert_eq!(lines.first(), Some(&"**"), "what is not named stays out");
    let manifest = fs::read_to_string(repository().join("Cargo.toml")).expect("the workspace");
    let members = manifest.lines().find_map(|line| line.strip_prefix("members = [")).expect("its members");
    let members: Vec<_> = members.trim_end_matches(']').split(", ").map(|member| member.trim_matches('"')).collect();
    assert!(members.contains(&"host") && members.contains(&"plugin-sdk/rust"), "{members:?}");
    for path in members.iter().copied().chain(["plugins", "Cargo.toml", "Cargo.lock", ".cargo"]) {
        let top = path.split('/').next().expect("a name");
        assert!(lines.contains(&format!("!/{top}").as_str()), "{path} is not let in");
    }
    assert_eq!(
        lines.iter().rposition(|line| line.starts_with('!')),
        lines.iter().position(|line| *line == "**/target").map(|at| at - 1)
    );
}
