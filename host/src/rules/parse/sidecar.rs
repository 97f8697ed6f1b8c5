//! `[sidecar]`, and the two sources that it makes.

use std::net::SocketAddr;
use std::path::Path;

use super::nats::path_of;
use super::sources::priority;
use crate::message::is_reserved;
use crate::names::SourceName;
use crate::rules::model::{AdminSettings, Listen, REPLIES_SOURCE, SIDECAR_SOURCE, SidecarSettings, Source, SourceKind};
use crate::rules::reference;
use crate::rules::table::Table;
use crate::rules::template::ServiceAddress;

/// Most services that may be posted to.
const MAX_SERVICES: usize = 64;

/// Most headers to carry.
const MAX_HEADERS: usize = 64;

/// What a Unix socket's path follows.
const SOCKET_PREFIX: &str = "unix:";

/// Longest path of a Unix socket, in bytes; the system takes no longer one.
const MAX_SOCKET_BYTES: usize = 107;

/// Headers that are between the service and the sidecar alone: how a request is sent, and who may send it.
const OWN_HEADERS: [&str; 17] = [
    "authorization",
    "connection",
    "content-length",
    "cookie",
    "expect",
    "host",
    "idempotency-key",
    "keep-alive",
    "origin",
    "prefer",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "content-encoding",
];

/// The settings, unless there is no such table or it cannot be used, and the sources that it makes in any case.
pub(super) fn sidecar(
    root: &Table<'_>,
    directory: &Path,
    admin: Option<&AdminSettings>,
) -> (Option<SidecarSettings>, Vec<(SourceName, Source)>) {
    match root.table("sidecar", &reference::SIDECAR) {
        Some(table) => (settings(&table, directory, admin), sources(&table)),
        None => (None, Vec::new()),
    }
}

fn settings(table: &Table<'_>, directory: &Path, admin: Option<&AdminSettings>) -> Option<SidecarSettings> {
    let listen = listen(table, directory);
    if let (Some(Listen::Address(address)), Some(admin)) = (&listen, admin)
        && *address == admin.listen
        && address.port() != 0
    {
        table.error("listen", "`listen` is that of [admin] already", "give each of them a port of its own");
    }
    let mut deliver_to = Vec::new();
    for (text, span) in table.texts("deliver-to") {
        match ServiceAddress::parse(&text) {
            Ok(address) => deliver_to.push(address),
            Err(error) => table.file.error(span, format!("`{text}` is not a service to post to"), error.to_string()),
        }
    }
    if deliver_to.len() > MAX_SERVICES {
        let message = format!("`deliver-to` has more than {MAX_SERVICES} services");
        table.error("deliver-to", message, "put a proxy in front of them, or use several sidecars");
    }
    let (timeout, max_timeout) = (table.duration("timeout"), table.duration("max-timeout"));
    if timeout > max_timeout {
        let key = if table.has("timeout") { "timeout" } else { "max-timeout" };
        table.error(key, "`timeout` is longer than `max-timeout`", "make `timeout` shorter, or `max-timeout` longer");
    }
    let max_body_bytes = table.size("max-body").unwrap_or_default();
    let max_batch_messages = table.number("max-batch-messages");
    let carry_headers = headers(table);
    let deliver_concurrency = table.number("deliver-concurrency");
    Some(SidecarSettings {
        listen: listen?,
        max_body_bytes,
        max_batch_messages,
        timeout,
        max_timeout,
        carry_headers,
        deliver_to,
        deliver_concurrency,
    })
}

fn sources(table: &Table<'_>) -> Vec<(SourceName, Source)> {
    let (messages, bytes) =
        (table.number("max-in-flight-messages"), table.size("max-in-flight-bytes").unwrap_or_default());
    let priority = priority(table).unwrap_or_default();
    let source = |name: &str, kind| {
        let source = Source {
            kind,
            max_in_flight_messages: messages,
            max_in_flight_bytes: bytes,
            priority,
            location: table.location(),
        };
        Some((SourceName::new(name).ok()?, source))
    };
    let made = [source(SIDECAR_SOURCE, SourceKind::Sidecar), source(REPLIES_SOURCE, SourceKind::Replies)];
    made.into_iter().flatten().collect()
}

fn listen(table: &Table<'_>, directory: &Path) -> Option<Listen> {
    let text = table.text("listen")?;
    if let Some(path) = text.strip_prefix(SOCKET_PREFIX) {
        let path = path_of(table, "listen", path, directory)?;
        if path.as_os_str().len() > MAX_SOCKET_BYTES {
            let message = format!("the path of a Unix socket has at most {MAX_SOCKET_BYTES} bytes");
            table.error("listen", message, "choose a shorter one, such as \"unix:/run/trackside.sock\"");
            return None;
        }
        return Some(Listen::Socket(path));
    }
    let Ok(listen) = text.parse::<SocketAddr>() else {
        let help = "write for example \"127.0.0.1:9280\", \"[::1]:9280\" or \"unix:/run/trackside.sock\"; names such as \
                    `localhost` are not looked up";
        table.error("listen", "`listen` is not an IP address with a port", help);
        return None;
    };
    if !table.boolean("allow-remote") && !listen.ip().is_loopback() {
        let message = format!("`listen` is not an address of this machine alone: {}", listen.ip());
        let help = "write \"127.0.0.1:9280\"; whoever reaches the sidecar can use it, so an address that other machines \
                    reach needs `allow-remote = true`";
        table.error("listen", message, help);
    }
    Some(Listen::Address(listen))
}

fn headers(table: &Table<'_>) -> Vec<String> {
    let mut headers: Vec<String> = Vec::new();
    for (text, span) in table.texts("carry-headers") {
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        let lower = text.to_ascii_lowercase();
        let reason = if text.is_empty() || !text.bytes().all(token) {
            "it has characters that no header of HTTP has in its name"
        } else if is_reserved(&text) {
            "`Nats-` and `Trackside-` headers have a meaning to the server or to Trackside"
        } else if OWN_HEADERS.contains(&lower.as_str()) {
            "it is between the service and the sidecar alone"
        } else if headers.iter().any(|known| known.eq_ignore_ascii_case(&text)) {
            "it is there twice"
        } else {
            headers.push(text);
            continue;
        };
        table.file.error(span, format!("`{text}` cannot be carried"), reason);
    }
    if headers.len() > MAX_HEADERS {
        let message = format!("`carry-headers` has more than {MAX_HEADERS} headers");
        table.error("carry-headers", message, "carry what rules or consumers look at");
    }
    headers
}
