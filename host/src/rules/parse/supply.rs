//! `[trust]`, `[registries.HOST]`, and where the component of a plugin comes from.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::de::DeTable;

use super::name;
use super::nats::{path, secret, user};
use crate::names::KeyName;
use crate::rules::error::{Problem, SourceText};
use crate::rules::model::{RegistrySettings, Trust, TrustedKey};
use crate::rules::oci::{OciReference, RegistryHost};
use crate::rules::reference;
use crate::rules::secret::SecretRef;
use crate::rules::table::{File, Problems, Table};
use crate::rules::trust::PublicKey;
use crate::rules::{suggest, values};

/// Most keys that one plugin can be asked to be signed with.
const MAX_SIGNERS: usize = 16;

/// `[trust]`, as far as it could be read.
#[derive(Default)]
pub(super) struct Keys {
    pub(super) trust: Trust,
    /// Each key of `[trust.keys]`; nothing in place of one that is none, which was reported.
    known: BTreeMap<KeyName, Option<PublicKey>>,
    /// What is asked of plugins whose table asks nothing.
    of_all: Vec<TrustedKey>,
}

pub(super) fn trust(root: &Table<'_>) -> Keys {
    let Some(table) = root.table("trust", &reference::TRUST) else { return Keys::default() };
    let mut keys = Keys { trust: Trust { require_lock: table.boolean("require-lock") }, ..Keys::default() };
    for (key, node) in table.named("keys") {
        let Some(name) = name(table.file, "key", key.get_ref(), key.span(), KeyName::new) else { continue };
        let key = match values::text(node) {
            Ok(text) => PublicKey::parse(&text)
                .map_err(|error| table.file.error(node.span(), format!("`{name}` is no public key"), error.to_string()))
                .ok(),
            Err(wrong) => {
                table.file.error(node.span(), format!("`{name}` {}", wrong.message), wrong.help);
                None
            }
        };
        keys.known.insert(name, key);
    }
    keys.of_all = keys.named_in(&table);
    keys
}

impl Keys {
    /// The keys that `require-signature` of a table names.
    fn named_in(&self, table: &Table<'_>) -> Vec<TrustedKey> {
        let texts = table.texts("require-signature");
        if table.is_empty("require-signature") || texts.len() > MAX_SIGNERS {
            let help = "leave the key out where no signature is asked for, or write for example [\"release\"]";
            let message = format!("`require-signature` must have 1 to {MAX_SIGNERS} names of keys");
            table.error("require-signature", message, help);
        }
        texts.into_iter().filter_map(|(text, span)| self.named(&text, table.file, span)).collect()
    }

    fn named(&self, text: &str, file: File<'_>, span: Range<usize>) -> Option<TrustedKey> {
        let Some((name, key)) = self.known.get_key_value(text) else {
            let known = self.known.keys().map(KeyName::as_str);
            let help = suggest::help(text, known, "keys in [trust.keys]");
            file.error(span, format!("there is no key `{text}`"), help);
            return None;
        };
        key.clone().map(|key| TrustedKey { name: name.clone(), key })
    }
}

/// Where the component of a plugin comes from, and whose signatures it needs.
pub(super) fn origin(
    table: &Table<'_>,
    path: Option<PathBuf>,
    keys: &Keys,
) -> (Option<PathBuf>, Option<OciReference>, Vec<TrustedKey>) {
    let oci = table.text("oci").and_then(|text| {
        OciReference::parse(&text)
            .map_err(|error| table.error("oci", "`oci` is not a reference to a plugin", error.to_string()))
            .ok()
    });
    if table.has("path") && table.has("oci") {
        let problem = Problem::error("`path` and `oci` are two places for one component")
            .at(table.key_location("oci"))
            .also(table.key_location("path"), "the other one")
            .help("keep the one that it is to be loaded from");
        table.file.problems.push(problem);
    }
    let embedded = !table.has("path") && !table.has("oci");
    if embedded && table.has("require-signature") {
        let help = "leave `require-signature` out, or give the plugin a `path` or `oci`";
        let message = "a standard plugin is part of the binary and has no signature of its own";
        table.error("require-signature", message, help);
    }
    let signed_by = match table.has("require-signature") {
        true => keys.named_in(table),
        false if embedded => Vec::new(),
        false => keys.of_all.clone(),
    };
    (path, oci, signed_by)
}

pub(super) fn registries(root: &Table<'_>, directory: &Path) -> BTreeMap<RegistryHost, RegistrySettings> {
    let mut registries = BTreeMap::new();
    for (key, node) in root.named("registries") {
        let host = name(root.file, "registry", key.get_ref(), key.span(), RegistryHost::new);
        let Some(table) = Table::open_node(root.file, &reference::REGISTRY, key.get_ref(), node) else { continue };
        let login = login(&table);
        let ca = path(&table, "ca", directory);
        let plain_http = if table.has("plain-http") {
            table.boolean("plain-http")
        } else {
            ca.is_none() && host.as_ref().is_some_and(RegistryHost::is_loopback)
        };
        if plain_http && ca.is_some() {
            let help = "leave `ca` out, or write `plain-http = false`";
            table.error("plain-http", "without TLS there is no certificate that `ca` could have signed", help);
        }
        let settings = RegistrySettings { login, ca, plain_http, timeout: table.duration("timeout") };
        registries.extend(host.map(|host| (host, settings)));
    }
    registries
}

impl RegistrySettings {
    /// What holds for a registry without a table.
    #[must_use]
    pub fn of(host: &RegistryHost) -> Self {
        let (source, problems, entries) = (SourceText::new("", ""), Problems::default(), DeTable::new());
        let file = File { source: &source, problems: &problems };
        let table = Table::open(file, &reference::REGISTRY, 0..0, &entries);
        Self { login: None, ca: None, plain_http: host.is_loopback(), timeout: table.duration("timeout") }
    }
}

/// User and password, or neither.
fn login(table: &Table<'_>) -> Option<(SecretRef, SecretRef)> {
    match (table.has("user"), table.has("password")) {
        (true, false) => table.missing("password"),
        (false, true) => table.missing("user"),
        _ => {}
    }
    Some((user(table)?, secret(table, "password")?))
}
