//! What a component may import, and which grant it takes.

use crate::rules::{BucketAccess, Grants};

use super::error::LoadError;
use super::inspect::{Kind, PACKAGE, is_accepted};
use super::text;

/// The parts of WASI 0.2 that are virtual here, and so there for everybody.
const WASI: [&str; 6] = ["cli", "clocks", "filesystem", "io", "random", "sockets"];

/// What an import takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Takes {
    Nothing,
    Log,
    Bucket,
    /// A bucket that may be changed.
    Change,
    Secret,
}

impl Takes {
    /// The grant as it would be written.
    fn grant(self) -> Option<&'static str> {
        match self {
            Self::Nothing => None,
            Self::Log => Some("log"),
            Self::Bucket => Some("kv:BUCKET:read"),
            Self::Change => Some("kv:BUCKET:read-write"),
            Self::Secret => Some("secret:NAME"),
        }
    }

    fn is_met_by(self, grants: &Grants) -> bool {
        match self {
            Self::Nothing => true,
            Self::Log => grants.log,
            Self::Bucket => !grants.buckets.is_empty(),
            Self::Change => grants.buckets.values().any(|access| *access == BucketAccess::ReadWrite),
            Self::Secret => !grants.secrets.is_empty(),
        }
    }
}

/// The imports that the host does not have for a component of this kind.
pub(super) fn unknown(imports: &[String], kind: &Kind) -> Vec<String> {
    imports.iter().filter(|name| takes(name, kind).is_none()).cloned().collect()
}

/// The grants that the imports take, each import with its grant.
pub(super) fn taken<'i>(imports: &'i [String], kind: &Kind) -> impl Iterator<Item = (&'i str, &'static str)> {
    imports.iter().filter_map(|name| Some((name.as_str(), takes(name, kind)?.grant()?)))
}

/// Checks that everything that is imported was granted.
///
/// # Errors
/// Names each import that was not, and the grant that it takes.
pub(super) fn check(imports: &[String], kind: &Kind, grants: &Grants) -> Result<(), LoadError> {
    let refused = |name: &&String| takes(name, kind).is_some_and(|takes| !takes.is_met_by(grants));
    let refused: Vec<String> = imports.iter().filter(refused).cloned().collect();
    if refused.is_empty() {
        return Ok(());
    }
    let mut missing: Vec<&'static str> = Vec::new();
    let mut clauses = Vec::with_capacity(refused.len());
    for (name, grant) in taken(&refused, kind) {
        clauses.push(format!("`{}`, which takes the grant `{grant}`", text::line(name, 120)));
        if !missing.contains(&grant) {
            missing.push(grant);
        }
    }
    // Who may change a bucket may look its keys up as well.
    if missing.contains(&"kv:BUCKET:read-write") {
        missing.retain(|grant| *grant != "kv:BUCKET:read");
    }
    let grants = missing.iter().map(|grant| format!("\"{grant}\"")).collect::<Vec<_>>().join(", ");
    Err(LoadError::Ungranted { imports: clauses.join(", and "), grants })
}

/// What an import takes; `None` if the host does not have it for a component of this kind.
fn takes(import: &str, kind: &Kind) -> Option<Takes> {
    let (interface, version) = import.split_once('@')?;
    if let Some(ours) = interface.strip_prefix(PACKAGE) {
        return match ours {
            "message" | "setup" if is_accepted(version) => Some(Takes::Nothing),
            "log" if is_accepted(version) => Some(Takes::Log),
            _ => None,
        };
    }
    let handler = matches!(kind, Kind::Handler(_));
    match (interface, version) {
        ("wasi:keyvalue/store" | "wasi:keyvalue/batch", "0.2.0-draft") => Some(Takes::Bucket),
        // Nothing in it only reads.
        ("wasi:keyvalue/atomics", "0.2.0-draft") => Some(Takes::Change),
        // A handler has no `configure`: this is where it finds its settings.
        ("wasi:config/store", "0.2.0-draft") if handler => Some(Takes::Nothing),
        ("wasi:config/store", "0.2.0-draft") => Some(Takes::Secret),
        ("wasi:logging/logging", "0.1.0-draft") => Some(Takes::Log),
        ("wasmcloud:messaging/types" | "wasmcloud:messaging/consumer", "0.2.0") if handler => Some(Takes::Nothing),
        ("wasi:messaging/types" | "wasi:messaging/producer" | "wasi:messaging/request-reply", "0.2.0-draft")
            if handler =>
        {
            Some(Takes::Nothing)
        }
        _ => {
            let (package, _) = interface.strip_prefix("wasi:")?.split_once('/')?;
            (WASI.contains(&package) && version.starts_with("0.2.") && !version.contains('-')).then_some(Takes::Nothing)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::inspect::Interface;
    use super::*;
    use crate::names::BucketName;

    #[test]
    fn only_what_is_implemented_may_be_imported() {
        let plugin = Kind::Plugin { contract: "0.1.0".to_owned() };
        let handler = Kind::Handler(Interface::Wasmcloud);
        for (name, of_plugin, of_handler) in [
            ("trackside:plugin/message@0.1.0", Some(Takes::Nothing), Some(Takes::Nothing)),
            ("trackside:plugin/log@0.1.9", Some(Takes::Log), Some(Takes::Log)),
            ("trackside:plugin/log@0.2.0", None, None),
            ("trackside:plugin/network@0.1.0", None, None),
            ("wasi:clocks/wall-clock@0.2.6", Some(Takes::Nothing), Some(Takes::Nothing)),
            ("wasi:clocks/wall-clock@0.3.0", None, None),
            ("wasi:http/types@0.2.0", None, None),
            ("wasi:keyvalue/store@0.2.0-draft", Some(Takes::Bucket), Some(Takes::Bucket)),
            ("wasi:keyvalue/atomics@0.2.0-draft", Some(Takes::Change), Some(Takes::Change)),
            ("wasi:keyvalue/store@0.2.0-draft2", None, None),
            ("wasi:config/store@0.2.0-draft", Some(Takes::Secret), Some(Takes::Nothing)),
            ("wasi:logging/logging@0.1.0-draft", Some(Takes::Log), Some(Takes::Log)),
            ("wasmcloud:messaging/consumer@0.2.0", None, Some(Takes::Nothing)),
            ("wasi:messaging/producer@0.2.0-draft", None, Some(Takes::Nothing)),
            ("run", None, None),
        ] {
            assert_eq!((takes(name, &plugin), takes(name, &handler)), (of_plugin, of_handler), "{name}");
        }
    }

    #[test]
    fn what_only_changes_a_bucket_takes_one_that_may_be_changed() {
        let plugin = Kind::Plugin { contract: "0.1.0".to_owned() };
        let imports = ["store", "atomics"].map(|name| format!("wasi:keyvalue/{name}@0.2.0-draft"));
        let mut grants = Grants::default();
        let error = check(&imports, &plugin, &grants).expect_err("nothing was granted").to_string();
        assert!(error.contains("add `grants = [\"kv:BUCKET:read-write\"]`"), "{error}");
        let bucket = BucketName::new("seen").expect("a name");
        grants.buckets.insert(bucket.clone(), BucketAccess::Read);
        let error = check(&imports, &plugin, &grants).expect_err("it may not be changed").to_string();
        let want = "it imports `wasi:keyvalue/atomics@0.2.0-draft`, which takes the grant `kv:BUCKET:read-write`";
        assert!(error.starts_with(want), "{error}");
        grants.buckets.insert(bucket, BucketAccess::ReadWrite);
        assert_eq!(check(&imports, &plugin, &grants), Ok(()));
    }
}
