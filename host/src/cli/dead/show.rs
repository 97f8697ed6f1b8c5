//! `trackside dead list` and `show`: what letters say.

use std::io::stdout;
use std::process::ExitCode;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use crate::app::{self, Failure};
use crate::cli::output;
use crate::letters::{Filter, Letter, LetterJson, Scan, Sequences};
use crate::sealing::Content;
use crate::times::rfc3339;

use super::{List, Show, failed, open};

/// Lists letters for as long as somebody reads.
pub(super) fn list(arguments: &List) -> Result<ExitCode, Failure> {
    let rules = app::configured(&arguments.selection.place.directory)?;
    app::runtime()?.block_on(async {
        let store = open(&rules, &arguments.selection.place).await?;
        let filter = arguments.selection.filter();
        let (mut scan, mut out, mut left) = (store.scan(&filter), stdout(), arguments.selection.limit());
        while left > 0
            && let Some(letter) = scan.next().await.map_err(failed)?
        {
            let mut text = if arguments.json { json(&letter, None)? } else { row(&letter) };
            if !arguments.json && left == arguments.selection.limit() {
                text.insert_str(0, &title());
            }
            if !output::write(&mut out, &text)? {
                break;
            }
            left -= 1;
        }
        output::flush(&mut out)?;
        if left == arguments.selection.limit() {
            eprintln!("there is no such dead letter");
        }
        tell_foreign(&scan);
        Ok(ExitCode::SUCCESS)
    })
}

/// Shows one letter. One that cannot be decrypted is shown as far as it can be read, and is a failure.
pub(super) fn show(arguments: &Show) -> Result<ExitCode, Failure> {
    let rules = app::configured(&arguments.place.directory)?;
    let keys = arguments.keys.with(&rules)?;
    app::runtime()?.block_on(async {
        let store = open(&rules, &arguments.place).await?;
        let sequence = arguments.sequence;
        let filter = Filter { sequences: Sequences { first: sequence, last: sequence }, ..Filter::default() };
        let mut scan = store.scan(&filter);
        let letter = scan.next().await.map_err(failed)?;
        let letter = letter.ok_or_else(|| Failure::new(format!("there is no dead letter {sequence}")))?;
        if let Some(other) = scan.next().await.map_err(failed)? {
            return Err(Failure::new(format!(
                "the streams {} and {} both have a letter {sequence}: choose by `--stream NAME`",
                letter.stream, other.stream
            )));
        }
        let original = letter.original(&keys);
        let text = match arguments.json {
            true => json(&letter, original.as_ref().ok())?,
            false => page(&letter, original.as_ref().ok()),
        };
        output::print(&text)?;
        match original {
            Ok(_) => Ok(ExitCode::SUCCESS),
            Err(error) => Err(Failure::new(format!("letter {sequence} of stream {}: {error}", letter.stream))),
        }
    })
}

/// Says how many messages were met that are no letters.
pub(super) fn tell_foreign(scan: &Scan<'_>) {
    if scan.foreign() > 0 {
        eprintln!("messages on the subjects of dead letters that are none: {}", scan.foreign());
    }
}

fn title() -> String {
    let names = ["STREAM", "SEQUENCE", "STORED", "RULE", "CLASS", "TRIES", "SUBJECT", "REASON"];
    columns(&names.map(str::to_owned))
}

fn row(letter: &Letter) -> String {
    columns(&[
        letter.stream.clone(),
        letter.sequence.to_string(),
        rfc3339(letter.stored),
        letter.rule.to_string(),
        clean(&letter.class),
        letter.tries.count.to_string(),
        clean(letter.subject.as_str()),
        clean(&letter.reason),
    ])
}

/// A line of the table. Letters are printed as they are read, so the widths are usual ones, and longer texts stand out.
fn columns(texts: &[String; 8]) -> String {
    let [stream, sequence, stored, rule, class, tries, subject, reason] = texts;
    format!("{stream:<10} {sequence:>8} {stored:<24} {rule:<16} {class:<8} {tries:>5} {subject:<24} {reason}\n")
}

fn json(letter: &Letter, content: Option<&Content>) -> Result<String, Failure> {
    let line = serde_json::to_string(&LetterJson::new(letter, content));
    line.map(|line| line + "\n").map_err(|error| Failure::new(error.to_string()))
}

/// A letter for people: where it is, what it says, the original.
fn page(letter: &Letter, content: Option<&Content>) -> String {
    let mut text = format!("stream    {}\nsequence  {}\n", letter.stream, letter.sequence);
    text += &format!("stored    {}\n\n", rfc3339(letter.stored));
    for fact in letter.facts() {
        text += &format!("{}: {}\n", fact.name, clean(&fact.value));
    }
    let Some(content) = content else { return text };
    text += "\noriginal headers\n";
    for header in &content.headers {
        text += &format!("  {}: {}\n", clean(&header.name), clean(&header.value));
    }
    text + &match &content.payload {
        None => {
            "\nthe original payload is not in the letter; `replay` looks for it in the original's stream\n".to_owned()
        }
        Some(payload) => format!("\noriginal payload, {} bytes{}\n", payload.len(), printable(payload)),
    }
}

/// A payload for people: text as it is, and what a terminal could take for commands in Base64.
fn printable(payload: &Bytes) -> String {
    let harmless = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
    match std::str::from_utf8(payload) {
        Ok(text) if text.chars().all(harmless) => format!("\n{text}"),
        _ => format!(" (in Base64)\n{}", STANDARD.encode(payload)),
    }
}

/// A text of a letter, which anybody may have written, on one line and without commands for a terminal.
pub(super) fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}
