//! Headers as a plugin and a producer set them, held against a list of pairs. Each line of an input is a step: a letter,
//! and then a name and a value with a tab between them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trackside_fuzz::message::{HeaderError, Headers, is_reserved};

fuzz_target!(|input: &[u8]| {
    let text = String::from_utf8_lossy(input);
    let (mut headers, mut model) = (Headers::default(), Vec::<(String, String)>::new());
    for step in text.split('\n') {
        let Some(action) = step.chars().next() else { continue };
        let rest = &step[action.len_utf8()..];
        // A carriage return and a NUL are in values as they are; a line end has to be asked for.
        let (name, value) = rest.split_once('\t').unwrap_or((rest, ""));
        let (name, value) = (&name.replace("\\n", "\n"), &value.replace("\\n", "\n"));
        match action {
            's' => {
                let set = headers.set_by_plugin(name, value);
                if judged(&set, name, value, true) {
                    model.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
                    model.push((name.clone(), value.clone()));
                }
            }
            'a' => {
                if judged(&headers.append_by_plugin(name, value), name, value, true) {
                    model.push((name.clone(), value.clone()));
                }
            }
            'p' => {
                if judged(&headers.append_by_producer(name, value), name, value, false) {
                    model.push((name.clone(), value.clone()));
                }
            }
            'r' => {
                headers.remove(name);
                model.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
            }
            _ => {
                let want = model.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| &**value);
                assert_eq!(headers.get(name), want, "the first value of {name:?}");
            }
        }
        let shared = headers.clone();
        let got: Vec<_> = shared.iter().map(|header| (header.name.to_string(), header.value.clone())).collect();
        assert_eq!(got, model);
        assert_eq!(headers.byte_len(), model.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>());
    }
});

/// Whether the header was taken, having checked that this is right: written out by NATS's rules (ADR-4), apart from the
/// code under test.
fn judged(outcome: &Result<(), HeaderError>, name: &str, value: &str, by_plugin: bool) -> bool {
    let lower = name.to_ascii_lowercase();
    let reserved = lower.starts_with("nats-") || lower.starts_with("trackside-");
    assert_eq!(is_reserved(name), reserved, "{name:?}");
    let name_fits = !name.is_empty() && name.bytes().all(|byte| (33..=126).contains(&byte) && byte != b':');
    let value_fits = !value.contains(['\r', '\n', '\0', '\u{1b}', '\u{85}', '\u{7f}']);
    let may = name_fits && !(by_plugin && reserved);
    assert!(outcome.is_err() || (may && value_fits), "{name:?}: {value:?} was taken");
    if may && value.chars().all(|c| !c.is_control()) {
        assert_eq!(outcome, &Ok(()), "{name:?}: {value:?}");
    }
    outcome.is_ok()
}
