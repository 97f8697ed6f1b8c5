//! The text of a configuration file as it may be shown in a message.
//!
//! Secrets belong into `env:` and `file:` references, but the file with the mistake may be the one where somebody
//! wrote a password out, perhaps under a misspelt key or with a quote missing. So this works on tokens, not on a
//! parsed document, and masks too much rather than too little.

use std::ops::Range;

use toml_parser::Source;
use toml_parser::lexer::{Token, TokenKind};

use crate::rules::reference;

/// Keys whose values are secrets when they are not references.
const SECRET_KEYS: [&str; 12] = [
    "encrypt",
    "password",
    "passphrase",
    "passwd",
    "token",
    "nkey",
    "secret",
    "secrets",
    "secret-headers",
    "seed",
    "key",
    "keys",
];

/// The tables whose values are secrets whatever their keys are called.
const SECRET_TABLES: [&str; 2] = ["secrets", "secret-headers"];

/// How the values of those keys begin when they are no secrets: references, and what plugins call a key but is a path.
const HARMLESS: [&str; 6] = ["env:", "file:", "$", "header", "subject", "json:"];

/// Replaces secrets by `*` and control characters by `?`, each byte by one byte.
pub(super) fn masked(text: &str) -> String {
    let tokens: Vec<Token> = Source::new(text).lex().collect();
    let mut bytes = text.as_bytes().to_vec();
    let (mut masked_to, mut is_key, mut in_secrets) = (0, true, false);
    for (index, token) in tokens.iter().enumerate() {
        // Inside of what is masked anyway there is nothing to look for, and looking would take quadratic time.
        if index >= masked_to && is_key {
            if token.kind() == TokenKind::LeftSquareBracket {
                in_secrets = tokens.get(index + 1..).is_some_and(|rest| begins_secrets(text, rest));
            } else {
                let key = key_of(text, *token);
                if is_secret(&key) || (in_secrets && !key.is_empty()) {
                    masked_to = index + 1 + mask_value(text, &tokens[index + 1..], &mut bytes);
                }
            }
        }
        is_key = begins_key(token.kind()).unwrap_or(is_key);
        mask_credentials(text, span_of(*token), &mut bytes);
    }
    // A carriage return is harmless as a part of a line's end alone: anywhere else a terminal writes over the line.
    let harmless = |at: usize, c: char| match c {
        '\n' | '\t' => true,
        '\r' => text.as_bytes().get(at + 1) == Some(&b'\n'),
        c => !c.is_control(),
    };
    for (at, c) in text.char_indices().filter(|(at, c)| !harmless(*at, *c)) {
        bytes[at..at + c.len_utf8()].fill(b'?');
    }
    String::from_utf8(bytes).unwrap_or_default()
}

fn span_of(token: Token) -> Range<usize> {
    token.span().start()..token.span().end()
}

/// Whether what follows this token is in the place of a key; white space leaves that as it was.
fn begins_key(kind: TokenKind) -> Option<bool> {
    let begins = matches!(
        kind,
        TokenKind::Newline | TokenKind::Dot | TokenKind::Comma | TokenKind::LeftCurlyBracket | TokenKind::Comment
    );
    (kind != TokenKind::Whitespace).then_some(begins)
}

fn key_of(text: &str, token: Token) -> String {
    let mut key = String::new();
    if let (Some(raw), TokenKind::Atom | TokenKind::BasicString | TokenKind::LiteralString) =
        (Source::new(text).get(token), token.kind())
    {
        raw.decode_key(&mut key, &mut ());
    }
    key.trim_end_matches(':').to_ascii_lowercase()
}

/// Whether the header of a table goes on with the name of one that holds secrets.
fn begins_secrets(text: &str, header: &[Token]) -> bool {
    let names = header.iter().take_while(|token| {
        !matches!(token.kind(), TokenKind::RightSquareBracket | TokenKind::Newline | TokenKind::Eof)
    });
    names.map(|name| key_of(text, *name)).any(|key| {
        SECRET_TABLES.iter().any(|table| !key.is_empty() && strsim::osa_distance(&key, table) <= table.len() / 4)
    })
}

/// Whether a key is, contains or is nearly the name of a secret.
fn is_secret(key: &str) -> bool {
    if SECRET_KEYS.contains(&key) {
        return true;
    }
    if key.is_empty() || reference::is_key(key) {
        return false;
    }
    SECRET_KEYS.iter().filter(|secret| secret.len() >= 4).any(|secret| {
        let slips = secret.len() / 4;
        key.contains(secret) || strsim::osa_distance(secret, key) <= slips
    })
}

/// Masks what follows a key, up to the end of its value; how many tokens that were. The keys of tables in it stay
/// readable: they name secrets.
fn mask_value(text: &str, tokens: &[Token], bytes: &mut [u8]) -> usize {
    let mut open = Vec::new();
    let mut shown_to = key_len(tokens, true);
    for (index, token) in tokens.iter().enumerate() {
        match token.kind() {
            TokenKind::LeftCurlyBracket | TokenKind::LeftSquareBracket => open.push(token.kind()),
            TokenKind::RightCurlyBracket | TokenKind::RightSquareBracket if open.pop().is_some() => {}
            TokenKind::RightCurlyBracket | TokenKind::Eof => return index,
            TokenKind::Newline | TokenKind::Comma if open.is_empty() => return index,
            TokenKind::Whitespace
            | TokenKind::Equals
            | TokenKind::Newline
            | TokenKind::Comma
            | TokenKind::RightSquareBracket => {}
            _ if index < shown_to => {}
            _ => {
                let span = span_of(*token);
                let inner = text[span.clone()].trim_start_matches(['"', '\'']);
                if !HARMLESS.iter().any(|start| inner.starts_with(start)) {
                    mask(text, span, bytes);
                }
            }
        }
        let in_table = open.last() == Some(&TokenKind::LeftCurlyBracket);
        if in_table && matches!(token.kind(), TokenKind::LeftCurlyBracket | TokenKind::Comma | TokenKind::Newline) {
            shown_to = index + 1 + key_len(&tokens[index + 1..], false);
        }
    }
    tokens.len()
}

/// How many tokens the dotted key has that these begin with. What no `=` follows is none, but may be a secret; only the
/// rest of a key, which begins with a dot, may be that of a `[table]`.
fn key_len(tokens: &[Token], rest: bool) -> usize {
    let mut name_next = !rest;
    for (index, token) in tokens.iter().enumerate() {
        match token.kind() {
            TokenKind::Whitespace => {}
            TokenKind::Atom | TokenKind::BasicString | TokenKind::LiteralString if name_next => name_next = false,
            TokenKind::Dot if !name_next => name_next = true,
            TokenKind::Equals if !name_next => return index,
            TokenKind::RightSquareBracket if !name_next && rest => return index,
            _ => return 0,
        }
    }
    0
}

/// Masks `user:password` in `nats://user:password@host`, also in a comment, and the whole of an nkey's seed or of a
/// credentials file that was pasted in.
fn mask_credentials(text: &str, span: Range<usize>, bytes: &mut [u8]) {
    let token = &text[span.clone()];
    let inner = token.trim_matches(['"', '\'']);
    let is_seed = inner.len() == 58
        && inner.starts_with('S')
        && inner.bytes().all(|byte| byte.is_ascii_uppercase() || (b'2'..=b'7').contains(&byte));
    if is_seed || token.contains("-----BEGIN") {
        return mask(text, span, bytes);
    }
    let Some(at) = token.rfind('@') else { return };
    let start = match token.find("://") {
        Some(scheme) if scheme < at => scheme + 3,
        // `user:password@host:4222` without a scheme.
        _ if token[..at].contains(':') && !token.starts_with('#') => 0,
        _ => return,
    };
    mask(text, span.start + start..span.start + at, bytes);
}

/// A message, with the credentials masked in what it quotes: `nats://user:password@host` as well as `user:password@host`.
pub(super) fn quoted(message: &str) -> String {
    let mask = |(index, part): (usize, &str)| {
        let at = part.rfind('@').filter(|_| index % 2 == 1)?;
        let start = match part.find("://") {
            Some(scheme) if scheme < at => scheme + 3,
            // Digests of plugins come after an `@` too, and after a slash.
            _ if part[..at].contains(':') && !part[..at].contains('/') => 0,
            _ => return None,
        };
        Some(format!("{}***{}", &part[..start], &part[at..]))
    };
    let parts = message.split('`').enumerate();
    let parts: Vec<String> =
        parts.map(|(index, part)| mask((index, part)).unwrap_or_else(|| part.to_owned())).collect();
    parts.join("`")
}

/// Puts `*` over a span, except for quotes and line ends at its edges, which show its shape.
fn mask(text: &str, span: Range<usize>, bytes: &mut [u8]) {
    for (at, c) in text[span.clone()].char_indices() {
        if !matches!(c, '"' | '\'' | '\n' | '\r') {
            bytes[span.start + at..span.start + at + c.len_utf8()].fill(b'*');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, want: &str) {
        assert_eq!(masked(text), want, "{text}");
        assert_eq!(masked(text).len(), text.len());
    }

    #[test]
    fn a_secret_that_was_written_out_is_masked_in_any_spelling() {
        check("password = \"hunter2\" # mine", "password = \"*******\" ******");
        check("password = #hunter2", "password = ********");
        check("nats.password = 'hunter2'", "nats.password = '*******'");
        check("\"p\\u0061ssword\" = \"hunter2\"", "\"p\\u0061ssword\" = \"*******\"");
        check("paswrd = \"hunter2\"", "paswrd = \"*******\"");
        check("pasword = \"hunter2\"", "pasword = \"*******\"");
        check("password = \"hunter2", "password = \"*******");
        check("password hunter2", "password *******");
        check("password: hunter2", "password: *******");
        check("password = \"\"\"\nhunter2\n\"\"\"", "password = \"\"\"\n*******\n\"\"\"");
        check("nats = { user = \"u\", token = \"abc\" }", "nats = { user = \"u\", token = \"***\" }");
        check("fields = [{ action = \"hash\", key = \"abc\" }]", "fields = [{ action = \"hash\", key = \"***\" }]");
        check("password = ab.cd", "password = *****");
        check("password = { hunter2", "password = { *******");
        check("password = [ hunter2 = 1 ]", "password = [ ******* = * ]");
        check("keys.hunter2", "keys********");
    }

    #[test]
    fn the_keys_of_a_table_of_secrets_stay_readable_and_its_values_do_not() {
        check("keys = { k1 = \"env:L6\" }", "keys = { k1 = \"env:L6\" }");
        check("keys={k1=\"env:L6\"}", "keys={k1=\"env:L6\"}");
        check("keys = { k1 = \"abc\" }", "keys = { k1 = \"***\" }");
        check("keys = { k1 = \"abc\",\n 'k 2'.x = \"env:B\" }", "keys = { k1 = \"***\",\n 'k 2'.x = \"env:B\" }");
        check("keys = { k1 = { a = \"abc\" }, b = 1.5 }", "keys = { k1 = { a = \"***\" }, b = *** }");
        check("keys.k1 = \"abc\"", "keys.k1 = \"***\"");
        check("[rule.keys.k1]\na = 1", "[rule.keys.k1]\na = 1");
    }

    #[test]
    fn every_value_of_the_table_of_secrets_is_masked_and_those_of_the_next_table_are_not() {
        check("[secrets]\ngeo = \"abc\"\n[a]\ngeo = \"b\"", "[secrets]\ngeo = \"***\"\n[a]\ngeo = \"b\"");
        check("[secrets]\ngeo = \"env:A\"\nb = 'x'", "[secrets]\ngeo = \"env:A\"\nb = '*'");
        check("[ secret ]\n\"a b\" = \"abc\"", "[ secret ]\n\"a b\" = \"***\"");
        check("[secrets]\ngeo = [\n\"abc\"]\nb = \"x\"", "[secrets]\ngeo = [\n\"***\"]\nb = \"*\"");
        check("secrets = { geo = \"abc\" }", "secrets = { geo = \"***\" }");
        check("secrets.geo = \"abc\"", "secrets.geo = \"***\"");
        let table = "[telemetry.traces.secret-headers]\nAuthorization =";
        check(&format!("{table} \"abc\""), &format!("{table} \"***\""));
        check(&format!("{table} \"env:A\""), &format!("{table} \"env:A\""));
        check("secret-headers = { Tenant = \"abc\" }", "secret-headers = { Tenant = \"***\" }");
    }

    #[test]
    fn credentials_in_an_address_or_pasted_in_are_masked() {
        check("servers = [\"nats://u:p@h:4222\"]", "servers = [\"nats://***@h:4222\"]");
        check("servers = [\"u:p@h:4222\"]", "servers = [\"***@h:4222\"]");
        check("# nats://u:p@h", "# nats://***@h");
        let seed = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY";
        check(&format!("nkye = \"{seed}\""), &format!("nkye = \"{}\"", "*".repeat(58)));
        check("creds = \"-----BEGIN X\"", "creds = \"************\"");
    }

    #[test]
    fn credentials_in_what_a_message_quotes_are_masked() {
        for (message, want) in [
            ("`http://u:p@h:80` is not a service", "`http://***@h:80` is not a service"),
            ("`u:p@h` and `a` and `nats://u:p/q@h`", "`***@h` and `a` and `nats://***@h`"),
            ("`ghcr.io/team/a:1@sha256:00` is locked", "`ghcr.io/team/a:1@sha256:00` is locked"),
            ("write to me:you@here, `$.a@b`", "write to me:you@here, `$.a@b`"),
        ] {
            assert_eq!(quoted(message), want);
        }
    }

    #[test]
    fn references_and_harmless_values_stay_readable() {
        for text in [
            "password = \"env:NATS_PASSWORD\"\n",
            "user = \"me\"\nname = \"trackside\"\n",
            "key = \"$.customer.id\"",
            "cert = \"client.pem\"\n",
            "path = \"$.a@b\"",
        ] {
            check(text, text);
        }
    }

    #[test]
    fn control_characters_cannot_reach_a_terminal() {
        check("a = \"\u{1b}[2J\u{9b}2J\"", "a = \"?[2J??2J\"");
        check("a = 1 \r# b\r\n\tc", "a = 1 ?# b\r\n\tc");
    }
}
