//! Completions and manual pages, read by the shells and by two readers of manual pages.

use trackside_tests::command;
use trackside_tests::readers::{program, read};

fn completions(shell: &str) -> String {
    let done = command(&["completions", shell], b"");
    assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{shell}");
    done.stdout
}

/// What a shell says that first reads the completions and then this.
async fn asked(shell: &str, arguments: &[&str], question: &str) -> Vec<String> {
    let script = format!("{}\n{question}\n", completions(shell));
    let said = read(program(shell, arguments), &script).await.unwrap_or_else(|said| panic!("{said}"));
    said.split_whitespace().map(str::to_owned).collect()
}

#[tokio::test]
async fn bash_completes_commands_options_and_their_values() {
    let complete = |words: &str| {
        let (before, last) = words.rsplit_once(' ').expect("a word to complete");
        let (at, previous) = (words.split(' ').count() - 1, before.rsplit(' ').next().expect("a word before it"));
        format!(
            "COMP_WORDS=({words}); COMP_CWORD={at}; _trackside trackside '{last}' '{previous}'; \
             printf '%s\\n' \"${{COMPREPLY[@]}}\""
        )
    };
    let bash = ["--norc", "--noprofile"];
    assert_eq!(asked("bash", &bash, &complete("trackside gr")).await, ["graph"]);
    assert_eq!(asked("bash", &bash, &complete("trackside graph --form")).await, ["--format"]);
    assert_eq!(asked("bash", &bash, &complete("trackside dead rep")).await, ["replay"]);
    // `compile-component` is what Trackside starts itself.
    assert_eq!(asked("bash", &bash, &complete("trackside com")).await, ["completions"]);
}

#[tokio::test]
async fn zsh_takes_the_completions_as_those_of_trackside() {
    let begin = "autoload -Uz compinit && compinit -D -u\n";
    let script = format!("{begin}{}\nprint -- $_comps[trackside] $+functions[_trackside__subcmd__graph_commands]\n", {
        completions("zsh")
    });
    let said = read(program("zsh", &["-f"]), &script).await.unwrap_or_else(|said| panic!("{said}"));
    assert_eq!(said.trim(), "_trackside 1");
    // As it is read from a folder of `fpath`, where the first line says what it is for.
    assert!(completions("zsh").starts_with("#compdef trackside\n"));
    read(program("zsh", &["-f", "-n"]), &completions("zsh")).await.unwrap_or_else(|said| panic!("{said}"));
}

#[tokio::test]
async fn fish_completes_commands_and_values() {
    let fish = ["--no-config"];
    assert_eq!(asked("fish", &fish, "complete -C 'trackside grap' | cut -f 1").await, ["graph"]);
    let formats = asked("fish", &fish, "complete -C 'trackside graph --format ' | cut -f 1").await;
    assert_eq!(formats, ["dot", "mermaid", "svg"]);
    assert_eq!(asked("fish", &fish, "complete -C 'trackside com' | cut -f 1").await, ["completions"]);
}

#[tokio::test]
async fn every_command_has_a_manual_page_that_man_and_mandoc_read_without_complaint() {
    let folder = tempfile::tempdir().expect("a folder");
    let target = folder.path().join("share/man/man1");
    let done = command(&["man", target.to_str().expect("UTF-8")], b"");
    assert_eq!((done.code, done.stdout.as_str(), done.stderr.as_str()), (0, "", ""));
    let mut pages: Vec<_> =
        std::fs::read_dir(&target).expect("pages").map(|page| page.expect("a page").path()).collect();
    pages.sort();
    let names: Vec<_> = pages.iter().filter_map(|page| page.file_name()?.to_str()).collect();
    for name in ["trackside.1", "trackside-run.1", "trackside-dead-replay.1", "trackside-plugin-lock.1"] {
        assert!(names.contains(&name), "{name}: {names:?}");
    }
    assert!(!names.iter().any(|name| name.contains("compile-component") || name.contains("help")), "{names:?}");
    for page in &pages {
        let page = page.to_str().expect("UTF-8");
        let mut man = program("sh", &["-c", "man --warnings -E UTF-8 -l -Tutf8 -Z \"$0\" 2>&1 >/dev/null", page]);
        man.env("MANROFFSEQ", "").env("MANWIDTH", "80");
        assert_eq!(read(man, "").await.as_deref(), Ok(""), "{page}");
        // Warnings are about blank lines around lists, which the generator makes.
        assert_eq!(read(program("mandoc", &["-T", "lint", "-W", "error", page]), "").await.as_deref(), Ok(""));
    }
}

#[tokio::test]
async fn the_first_page_names_every_command_and_the_variables_that_options_are_taken_from() {
    let done = command(&["man"], b"");
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
    let shown = read(program("mandoc", &["-T", "utf8", "-O", "width=200"]), &done.stdout).await.expect("shown");
    // Bold and underlined are a character over another.
    let shown = shown.chars().fold(String::new(), |mut plain, next| {
        if next == '\u{8}' {
            plain.pop();
        } else {
            plain.push(next);
        }
        plain
    });
    for text in ["trackside-run(1)", "trackside-man(1)", "TRACKSIDE_LOG_FORMAT", "trackside 0."] {
        assert!(shown.contains(text), "{text}: {shown}");
    }
}

#[test]
fn pages_that_cannot_be_written_are_named() {
    let done = command(&["man", "/dev/null/man1"], b"");
    assert_eq!((done.code, done.stdout.as_str()), (1, ""));
    assert!(done.stderr.starts_with("cannot write /dev/null/man1: "), "{}", done.stderr);
}
