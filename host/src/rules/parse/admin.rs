//! `[admin]`, with `[admin.tls]` and `[admin.tokens.NAME]`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::name;
use super::nats::{path, secret};
use crate::names::TokenName;
use crate::rules::model::{AdminSettings, Role, TokenSettings};
use crate::rules::reference;
use crate::rules::table::Table;

/// Most tokens: each request is held against all of them.
const MAX_TOKENS: usize = 64;

pub(super) fn admin(root: &Table<'_>, directory: &Path) -> Option<AdminSettings> {
    let table = root.table("admin", &reference::ADMIN)?;
    let tls = table.table("tls", &reference::ADMIN_TLS);
    let listen = listen(&table, tls.is_some());
    let tls = tls.map(|table| files(&table, directory));
    let audit = table.has("audit").then(|| path(&table, "audit", directory)).flatten();
    let tokens = tokens(&table);
    let requests_per_second = table.number("requests-per-second");
    Some(AdminSettings {
        listen: listen?,
        tls: match tls {
            Some(files) => Some(files?),
            None => None,
        },
        requests_per_second,
        audit,
        tokens,
    })
}

fn listen(table: &Table<'_>, tls: bool) -> Option<SocketAddr> {
    let text = table.text("listen")?;
    let Ok(listen) = text.parse::<SocketAddr>() else {
        let help =
            "write for example \"127.0.0.1:9270\" or \"[::1]:9270\"; names such as `localhost` are not looked up";
        table.error("listen", "`listen` is not an IP address with a port", help);
        return None;
    };
    if !table.boolean("allow-remote") && !tls && !listen.ip().is_loopback() {
        let help = "write \"127.0.0.1:9270\", or give it TLS by [admin.tls]; plain HTTP, by which everybody on the way \
                    reads tokens, needs `allow-remote = true`";
        table.error("listen", format!("`listen` is not an address of this machine alone: {}", listen.ip()), help);
    }
    Some(listen)
}

fn files(table: &Table<'_>, directory: &Path) -> Option<(PathBuf, PathBuf)> {
    let (cert, key) = (path(table, "cert", directory), path(table, "key", directory));
    Some((cert?, key?))
}

fn tokens(admin: &Table<'_>) -> BTreeMap<TokenName, TokenSettings> {
    let mut tokens = BTreeMap::new();
    for (key, node) in admin.named("tokens") {
        let name = name(admin.file, "token", key.get_ref(), key.span(), TokenName::new);
        let Some(table) = Table::open_node(admin.file, &reference::ADMIN_TOKEN, key.get_ref(), node) else { continue };
        let role = if table.word("role") == "admin" { Role::Admin } else { Role::Reader };
        if let (Some(name), Some(token)) = (name, secret(&table, "token")) {
            tokens.insert(name, TokenSettings { role, token, location: table.location() });
        }
    }
    if tokens.len() > MAX_TOKENS {
        let message = format!("there are more than {MAX_TOKENS} tokens");
        admin.error("tokens", message, "let those share a token who may do the same");
    }
    tokens
}
