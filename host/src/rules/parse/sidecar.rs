//! `[sidecar]`.

use std::net::SocketAddr;

use crate::rules::model::SidecarSettings;
use crate::rules::reference;
use crate::rules::table::Table;
use crate::rules::template::ServiceAddress;

/// Most services that may be posted to.
const MAX_SERVICES: usize = 64;

pub(super) fn sidecar(root: &Table<'_>) -> Option<SidecarSettings> {
    let table = root.table("sidecar", &reference::SIDECAR)?;
    let listen = listen(&table);
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
    Some(SidecarSettings { listen: listen?, deliver_to, deliver_concurrency: table.number("deliver-concurrency") })
}

fn listen(table: &Table<'_>) -> Option<SocketAddr> {
    let Ok(listen) = table.text("listen")?.parse::<SocketAddr>() else {
        let help =
            "write for example \"127.0.0.1:9280\" or \"[::1]:9280\"; names such as `localhost` are not looked up";
        table.error("listen", "`listen` is not an IP address with a port", help);
        return None;
    };
    if !listen.ip().is_loopback() {
        let message = format!("`listen` is not an address of this machine alone: {}", listen.ip());
        table.error("listen", message, "write \"127.0.0.1:9280\": whoever reaches the sidecar can use it");
    }
    Some(listen)
}
