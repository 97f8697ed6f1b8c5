//! Looks for planted secrets in what came out, under every disguise that a reader of the output could undo.

/// Whether a text shows a secret: as it is, in another case, with characters escaped, or grouped by blanks or dashes.
pub(crate) fn shows(text: &[u8], secret: &str) -> bool {
    let (text, secret) = (fold(&String::from_utf8_lossy(text)), fold(secret));
    text.contains(&secret)
}

/// One spelling for all: JSON's `\u0031` escapes undone, lower case, no blanks and no dashes.
fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let escaped = rest.strip_prefix("\\u").and_then(|tail| tail.get(..4));
        let escaped = escaped.and_then(|hex| u32::from_str_radix(hex, 16).ok()).and_then(char::from_u32);
        let (character, used) = escaped.map_or((first, first.len_utf8()), |character| (character, 6));
        if !matches!(character, ' ' | '-' | '\u{a0}') {
            folded.extend(character.to_lowercase());
        }
        rest = &rest[used..];
    }
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_seen_through_its_disguises() {
        let card = "4111111111111111";
        for text in [
            r#"{"card":"4111111111111111"}"#,
            r#"{"card":4111111111111111}"#,
            r#"{"note":"it is 4111 1111 1111 1111, thanks"}"#,
            r#"{"note":"4111-1111-1111-1111"}"#,
            r#"{"card":"\u0034111111111111111"}"#,
        ] {
            assert!(shows(text.as_bytes(), card), "{text}");
        }
        assert!(shows(b"Zoe@Example.COM", "zoe@example.com"));
        assert!(shows("Ünal@example.com".as_bytes(), "ünal@example.com"));
    }

    #[test]
    fn what_is_left_of_a_masked_secret_is_not_the_secret() {
        assert!(!shows(br#"{"card":"************1111"}"#, "4111111111111111"));
        assert!(!shows(br#"{"broken":"\uZZZZ \u"}"#, "4111111111111111"));
        assert!(!shows(b"\xff\xfe", "x"));
    }
}
