//! What is granted, and what is not.

use crate::names::{BucketName, SecretName};

use super::super::{Inspection, LoadError};
use super::*;

fn refused(bytes: Vec<u8>, grants: Grants) -> LoadError {
    ENGINE.load(source(bytes, PluginSettings { grants, ..settings() })).expect_err("it does not load")
}

/// A component that imports these interfaces and has nothing in it.
fn importing(imports: &[&str]) -> Vec<u8> {
    let imports: String = imports.iter().map(|name| format!("(import \"{name}\" (instance))")).collect();
    let text = format!("(component {imports} (instance $i) (export \"trackside:plugin/stage@0.1.0\" (instance $i)))");
    wat::parse_str(text).expect("a component")
}

#[test]
fn a_plugin_that_logs_is_refused_without_the_grant_and_the_error_names_import_and_grant() {
    assert_eq!(
        refused(hostile::component("log"), Grants::default()).to_string(),
        "it imports `trackside:plugin/log@0.1.0`, which takes the grant `log`: if it is to have that, add \
         `grants = [\"log\"]` to its [plugins.NAME] table, or for `trackside plugin test` to the `limits` of its cases"
    );
    load_with_log("log");
}

#[test]
fn each_import_that_was_not_granted_is_named_with_its_grant() {
    let bytes = importing(&[
        "wasi:keyvalue/store@0.2.0-draft",
        "wasi:keyvalue/batch@0.2.0-draft",
        "wasi:config/store@0.2.0-draft",
    ]);
    let inspection = Inspection::of(&bytes).expect("a component");
    let grants: Vec<_> = inspection.grants().map(|(_, grant)| grant).collect();
    assert_eq!(grants, ["kv:BUCKET:read", "kv:BUCKET:read", "secret:NAME"]);
    let error = refused(bytes.clone(), Grants::default()).to_string();
    assert!(error.contains("`wasi:keyvalue/store@0.2.0-draft`, which takes the grant `kv:BUCKET:read`"), "{error}");
    assert!(error.contains("`grants = [\"kv:BUCKET:read\", \"secret:NAME\"]`"), "{error}");

    let mut grants = Grants::default();
    grants.buckets.insert(BucketName::new("seen").expect("a name"), BucketAccess::Read);
    let error = refused(bytes, grants).to_string();
    assert!(!error.contains("keyvalue") && error.contains("`wasi:config/store@0.2.0-draft`"), "{error}");
}

#[test]
fn another_secret_makes_another_stage() {
    let plugin = load("forward");
    let with = |secret: &str| {
        let name = SecretName::new("key").expect("a name");
        let secrets = StageSecrets { granted: [(name, secret.to_owned())].into(), ..StageSecrets::default() };
        *plugin.configure("{}".to_owned(), Vec::new(), Path::new("."), secrets).expect("a stage").digest()
    };
    assert_eq!(with("one"), with("one"));
    assert_ne!(with("one"), with("two"));
}
