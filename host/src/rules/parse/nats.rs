//! `[nats]`: servers, authentication, TLS.

use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::rules::error::Problem;
use crate::rules::model::{Auth, NatsSettings, TlsSettings};
use crate::rules::reference;
use crate::rules::secret::SecretRef;
use crate::rules::table::Table;
use crate::rules::values::{self, Node};

/// Most servers of a cluster to list.
const MAX_SERVERS: usize = 100;

pub(super) fn nats(table: &Table<'_>, directory: &Path) -> Option<NatsSettings> {
    let servers = servers(table);
    let settings = NatsSettings {
        servers: servers.unwrap_or_default(),
        name: table.text("name").unwrap_or_default(),
        auth: auth(table),
        tls: table.table("tls", &reference::TLS).map(|tls| tls_settings(&tls, directory)),
        request_timeout: table.duration("request-timeout"),
    };
    (!settings.servers.is_empty()).then_some(settings)
}

fn servers(table: &Table<'_>) -> Option<Vec<String>> {
    let texts = table.texts("servers");
    if texts.is_empty() || texts.len() > MAX_SERVERS {
        if table.is_empty("servers") || texts.len() > MAX_SERVERS {
            let help = "write for example [\"nats://127.0.0.1:4222\"]";
            table.error("servers", format!("`servers` must have 1 to {MAX_SERVERS} servers"), help);
        }
        return None;
    }
    let mut servers = Vec::with_capacity(texts.len());
    for (text, span) in texts {
        match check_server(&text) {
            Ok(()) => servers.push(text),
            Err((message, help)) => table.file.error(span, message, help),
        }
    }
    Some(servers)
}

/// What is wrong with a server's URL, and what to write. The message shows none of it: it may hold a password.
fn check_server(text: &str) -> Result<(), (&'static str, String)> {
    const HELP: &str = "write for example \"nats://127.0.0.1:4222\" or \"tls://nats.example.com:4222\"";
    if text.contains('@') {
        let help = "take them out, and write them as references: user = \"…\", password = \"env:NATS_PASSWORD\"";
        return Err(("a server's URL cannot have credentials in it", help.to_owned()));
    }
    let Some((scheme, authority)) = text.split_once("://") else {
        return Err(("a server must be a URL with a scheme", HELP.to_owned()));
    };
    if !matches!(scheme, "nats" | "tls") {
        return Err(("a server's URL begins with `nats://` or `tls://`", HELP.to_owned()));
    }
    let authority = authority.strip_suffix('/').unwrap_or(authority);
    let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) if host.parse::<std::net::Ipv6Addr>().is_ok() => (host, rest.strip_prefix(':')),
        Some(_) => return Err(("a server's URL has no IPv6 address between its brackets", HELP.to_owned())),
        None => authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
    };
    let host_fits = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b':'));
    if host.is_empty() || !host_fits {
        return Err(("a server's URL has no usable host: only a host and a port follow the scheme", HELP.to_owned()));
    }
    match port.map(str::parse::<u16>) {
        None | Some(Ok(1..)) => Ok(()),
        Some(_) => Err(("a server's port must be a number from 1 to 65535", HELP.to_owned())),
    }
}

/// At most one method; each of its secrets a reference.
fn auth(table: &Table<'_>) -> Auth {
    let methods: Vec<&str> =
        ["user", "password", "token", "nkey", "creds"].into_iter().filter(|key| table.has(key)).collect();
    match methods.as_slice() {
        [] => Auth::None,
        ["user", "password"] => match (user(table), secret(table, "password")) {
            (Some(user), Some(password)) => Auth::UserPassword { user, password },
            _ => Auth::None,
        },
        ["user"] => {
            table.missing("password");
            Auth::None
        }
        ["password"] => {
            table.missing("user");
            secret(table, "password");
            Auth::None
        }
        ["token"] => secret(table, "token").map_or(Auth::None, Auth::Token),
        ["nkey"] => secret(table, "nkey").map_or(Auth::None, Auth::NKey),
        ["creds"] => creds(table).map_or(Auth::None, Auth::Credentials),
        [first, .., last] => {
            let message = format!("`{first}` and `{last}` are different ways to authenticate");
            let problem = Problem::error(message)
                .at(table.key_location(last))
                .also(table.key_location(first), "the other one")
                .help("keep one of: `user` with `password`, `token`, `nkey`, `creds`");
            table.file.problems.push(problem);
            for key in methods.iter().filter(|key| !matches!(**key, "user" | "creds")) {
                secret(table, key);
            }
            Auth::None
        }
        [_] => Auth::None,
    }
}

/// A secret, which has to be a reference. The error does not show what is there instead.
pub(super) fn secret(table: &Table<'_>, key: &str) -> Option<SecretRef> {
    let text = table.text(key)?;
    SecretRef::parse(&text)
        .map_err(|error| {
            let message = if SecretRef::is_reference(&text) {
                format!("`{key}` is not a reference to a secret")
            } else {
                format!("`{key}` is written out; a secret does not belong in this file")
            };
            let help = match key {
                "password" => format!("{error}, for example password = \"env:NATS_PASSWORD\""),
                _ => error.to_string(),
            };
            table.error(key, message, help);
        })
        .ok()
}

/// The same where the key is a name that the file chooses.
pub(super) fn secret_of(table: &Table<'_>, name: &str, node: &Node<'_>) -> Option<SecretRef> {
    let text = match values::text(node) {
        Ok(text) => text,
        Err(wrong) => {
            table.file.error(node.span(), format!("`{name}` {}", wrong.message), wrong.help);
            return None;
        }
    };
    SecretRef::parse(&text)
        .map_err(|error| {
            let message = match SecretRef::is_reference(&text) {
                true => format!("`{name}` is not a reference to a secret"),
                false => format!("`{name}` is written out; a secret does not belong in this file"),
            };
            table.file.error(node.span(), message, error.to_string());
        })
        .ok()
}

pub(super) fn user(table: &Table<'_>) -> Option<SecretRef> {
    let text = table.text("user")?;
    if SecretRef::is_reference(&text) {
        return secret(table, "user");
    }
    if text.is_empty() {
        table.error("user", "`user` is empty", "write the user's name, or a reference to it");
        return None;
    }
    Some(SecretRef::Plain(text))
}

fn creds(table: &Table<'_>) -> Option<SecretRef> {
    let text = table.text("creds")?;
    if SecretRef::is_reference(&text) {
        return secret(table, "creds");
    }
    if text.is_empty() || text.contains('\n') || text.contains("-----BEGIN") {
        let help = "write the path of the credentials file, or `env:NAME` if its text is in a variable";
        table.error("creds", "`creds` is not a path; the credentials do not belong in this file", help);
        return None;
    }
    Some(SecretRef::File(PathBuf::from(text)))
}

fn tls_settings(table: &Table<'_>, directory: &Path) -> TlsSettings {
    let path = |key: &str| path(table, key, directory);
    let client = match (path("cert"), path("key")) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (Some(_), None) if !table.has("key") => {
            table.missing("key");
            None
        }
        (None, Some(_)) if !table.has("cert") => {
            table.missing("cert");
            None
        }
        _ => None,
    };
    TlsSettings { ca: path("ca"), client, handshake_first: table.boolean("handshake-first") }
}

/// A path, made absolute from the configuration directory.
pub(super) fn path(table: &Table<'_>, key: &str, directory: &Path) -> Option<PathBuf> {
    path_of(table, key, &table.text(key)?, directory)
}

/// The same for a text that is a part of what the key has.
pub(super) fn path_of(table: &Table<'_>, key: &str, text: &str, directory: &Path) -> Option<PathBuf> {
    if text.is_empty() || text.contains('\0') {
        table.error(key, format!("`{key}` is not a path"), "write the path of a file or folder");
        return None;
    }
    if SecretRef::is_reference(text) {
        let help = "write the path alone; relative ones begin at the configuration directory";
        table.error(key, format!("`{key}` is a path, not a reference"), help);
        return None;
    }
    let joined = directory.join(text);
    Some(std::path::absolute(&joined).unwrap_or(joined))
}

/// A text that is checked by a function which says what is wrong with it.
pub(super) fn checked_text(
    table: &Table<'_>,
    key: &str,
    check: impl Fn(&str) -> Result<(), String>,
) -> Option<(String, Range<usize>)> {
    let text = table.text(key)?;
    let span = table.node(key)?.span();
    match check(&text) {
        Ok(()) => Some((text, span)),
        Err(reason) => {
            table.error(key, format!("`{key}` is not a usable name"), reason);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_urls_of_host_and_port() {
        for good in ["nats://127.0.0.1:4222", "tls://nats.example.com", "nats://[::1]:4222", "nats://a:1/"] {
            assert_eq!(check_server(good), Ok(()), "{good}");
        }
        for bad in [
            "127.0.0.1:4222",
            "http://a:4222",
            "nats://",
            "nats://:4222",
            "nats://a:0",
            "nats://a:70000",
            "nats://a:4222/x",
            "nats://a b",
            "nats://[zz]:1",
            "nats://u:p@a:4222",
        ] {
            let (message, help) = check_server(bad).expect_err(bad);
            assert!(!format!("{message} {help}").contains("u:p"), "{message}");
        }
    }
}
