//! A whole configuration: several TOML files, each after a line `#: PATH`. Whatever is wrong has to come out as a report
//! of bounded length on every kind of output, and what is right has to come out the same twice.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trackside_fuzz::rules::{FileSet, Look, Report, load_from};

/// The secret of the seeds, and how it is written there. No report may show it.
const SECRET: &[u8] = b"swordfish";
const SECRET_LINE: &[u8] = b"\npassword = \"swordfish\"\n";

fuzz_target!(|input: &[u8]| {
    let mut files = FileSet::new("");
    for part in split(input, b"#: ").into_iter().skip(1) {
        let end = part.iter().position(|byte| *byte == b'\n').unwrap_or(part.len());
        let path = String::from_utf8_lossy(&part[..end]).into_owned();
        files = files.with(path, &part[(end + 1).min(part.len())..]);
    }
    let report = match load_from(&files) {
        Ok((rules, warnings)) => {
            let (again, _) = load_from(&files).expect("what was right stays right");
            assert_eq!(again.digest, rules.digest);
            assert_eq!(format!("{again:?}"), format!("{rules:?}"), "the same files, read twice");
            Report(warnings)
        }
        Err(report) => {
            assert!(report.has_errors(), "an error has to say what it is");
            report
        }
    };
    for look in [Look::Plain, Look::Boxes, Look::Colours] {
        let text = report.render(look);
        assert!(text.len() < 4_000_000, "a report of {} bytes", text.len());
    }
    let text = report.to_string();
    let forged = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    assert!(!text.contains(forged), "control characters of the files reach a terminal: {text:?}");
    if holds(input, SECRET_LINE) && input.windows(SECRET.len()).filter(|window| *window == SECRET).count() == 1 {
        assert!(!holds(text.as_bytes(), SECRET), "{text}");
    }
});

fn holds(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

fn split<'a>(mut text: &'a [u8], at: &[u8]) -> Vec<&'a [u8]> {
    let mut parts = Vec::new();
    while let Some(position) = text.windows(at.len()).position(|window| window == at) {
        parts.push(&text[..position]);
        text = &text[position + at.len()..];
    }
    parts.push(text);
    parts
}
