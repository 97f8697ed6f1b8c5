//! The manifests, read by the schemas of Kubernetes and of KEDA; and the configurations in them, by Trackside.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;
use trackside_tests::readers::{node, python_program, read, yaml};
use trackside_tests::{cache_folder, command};

use crate::deploy;

const MANIFESTS: [&str; 3] = ["deployment.yaml", "keda.yaml", "sidecar.yaml"];

fn manifest(name: &str) -> PathBuf {
    deploy("kubernetes").join(name)
}

/// The object of this kind in a manifest.
async fn object(file: &str, kind: &str) -> Value {
    let all = yaml(&manifest(file)).await;
    all.into_iter().find(|object| object["kind"] == kind).unwrap_or_else(|| panic!("{file} has no {kind}"))
}

/// A manifest's configuration directory, as its volume lays it out.
pub(crate) async fn configuration(file: &str) -> (TempDir, PathBuf) {
    let (config, deployment) = (object(file, "ConfigMap").await, object(file, "Deployment").await);
    let volumes = deployment["spec"]["template"]["spec"]["volumes"].as_array().expect("volumes").clone();
    let volume = volumes.iter().find(|volume| !volume["configMap"].is_null()).expect("one of the configuration");
    assert_eq!(volume["configMap"]["name"], config["metadata"]["name"]);
    let items = volume["configMap"]["items"].as_array().expect("items");
    assert_eq!(items.len(), config["data"].as_object().expect("data").len(), "every key has a place");
    let folder = tempfile::tempdir().expect("a folder");
    let directory = folder.path().join("config");
    for item in items {
        let text = config["data"][item["key"].as_str().expect("a key")].as_str().expect("its text");
        let path = directory.join(item["path"].as_str().expect("a path"));
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        let secrets = folder.path().join("secrets").display().to_string();
        std::fs::write(path, text.replace("/run/secrets/trackside", &secrets)).expect("a file");
    }
    std::fs::create_dir(folder.path().join("secrets")).expect("a folder");
    std::fs::write(folder.path().join("secrets/mask-key"), "a key of the test").expect("a secret");
    (folder, directory)
}

async fn validate(path: &Path) -> Result<String, String> {
    read(python_program("kubernetes-validate", &["--strict", path.to_str().expect("UTF-8")]), "").await
}

#[tokio::test]
async fn every_manifest_is_what_the_schemas_of_kubernetes_ask_for() {
    for name in MANIFESTS {
        validate(&manifest(name)).await.unwrap_or_else(|said| panic!("{name}: {said}"));
    }
    let folder = tempfile::tempdir().expect("a folder");
    let wrong = folder.path().join("wrong.yaml");
    let text = std::fs::read_to_string(manifest("deployment.yaml")).expect("a manifest");
    std::fs::write(&wrong, text.replace("readOnlyRootFilesystem", "readOnlyRootFileSystem")).expect("a file");
    let said = validate(&wrong).await.expect_err("a key that there is not");
    assert!(said.contains("readOnlyRootFileSystem"), "{said}");
}

#[tokio::test]
async fn the_scaler_is_what_the_schema_of_keda_asks_for() {
    let module = "import { readFileSync } from 'node:fs';\n\
                  import { ScaledObject } from '@kubernetes-models/keda/keda.sh/v1alpha1/ScaledObject';\n\
                  new ScaledObject(JSON.parse(readFileSync(0))).validate();";
    let mut scaler = object("keda.yaml", "ScaledObject").await;
    assert_eq!(read(node(module), &scaler.to_string()).await.as_deref(), Ok(""));
    scaler["spec"]["triggers"][0]["metadata"]["lagThreshold"] = json!(10);
    let said = read(node(module), &scaler.to_string()).await.expect_err("a number where text is wanted");
    assert!(said.contains("lagThreshold must be string"), "{said}");
}

#[tokio::test]
async fn the_scaler_watches_the_consumer_of_the_deployment() {
    let (scaler, deployment) =
        (object("keda.yaml", "ScaledObject").await, object("deployment.yaml", "Deployment").await);
    assert_eq!(scaler["spec"]["scaleTargetRef"]["name"], deployment["metadata"]["name"]);
    assert_eq!(scaler["metadata"]["namespace"], deployment["metadata"]["namespace"]);
    assert!(deployment["spec"]["replicas"].is_null(), "applying it again must not undo what the scaler did");
    let trigger = &scaler["spec"]["triggers"][0];
    assert_eq!(trigger["type"], "nats-jetstream");
    let config = object("deployment.yaml", "ConfigMap").await;
    let config = config["data"]["trackside.toml"].as_str().expect("text").to_owned();
    for (of_scaler, of_source) in [("stream", "stream"), ("consumer", "durable")] {
        let line = format!("\n{of_source} = {}\n", trigger["metadata"][of_scaler]);
        assert!(config.contains(&line), "{line}");
    }
}

#[tokio::test]
async fn the_configurations_in_the_manifests_are_right_and_lead_to_no_warning() {
    for (file, sources) in [("deployment.yaml", "1 source"), ("sidecar.yaml", "3 sources")] {
        let (_folder, directory) = configuration(file).await;
        let path = directory.join("trackside.toml");
        let text = std::fs::read_to_string(&path).expect("the configuration");
        std::fs::write(path, format!("{text}\n[runtime]\ncache = {:?}\n", cache_folder())).expect("written");
        let done = command(&["check", directory.to_str().expect("UTF-8")], b"");
        assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{file}");
        assert!(done.stdout.starts_with(&format!("ok: {sources}, ")), "{}", done.stdout);
    }
}

#[tokio::test]
async fn containers_have_no_rights_probes_that_suit_them_and_the_time_to_drain() {
    for (file, kind) in [("deployment.yaml", "containers"), ("sidecar.yaml", "initContainers")] {
        let deployment = object(file, "Deployment").await;
        let (labels, pod) = (&deployment["spec"]["selector"]["matchLabels"], &deployment["spec"]["template"]);
        assert_eq!(&pod["metadata"]["labels"], labels, "{file}: a selector has to select its pods");
        let pod = &pod["spec"];
        assert!(pod["terminationGracePeriodSeconds"].as_u64() > Some(10), "{file}: the default drain-timeout");
        assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault", "{file}");
        assert_eq!(pod["automountServiceAccountToken"], false, "{file}");
        for containers in ["containers", "initContainers"] {
            for container in pod[containers].as_array().into_iter().flatten() {
                let context = &container["securityContext"];
                let root = [&context["runAsNonRoot"], &pod["securityContext"]["runAsNonRoot"]];
                assert!(root.contains(&&json!(true)), "{file}");
                assert_eq!(context["readOnlyRootFilesystem"], true, "{file}");
                assert_eq!(context["allowPrivilegeEscalation"], false, "{file}");
                assert_eq!(context["capabilities"], json!({ "drop": ["ALL"] }), "{file}");
            }
        }
        let trackside = &pod[kind][0];
        assert_eq!(trackside["name"], "trackside", "{file}");
        assert_eq!(trackside["startupProbe"]["httpGet"]["path"], "/healthz", "{file}");
        assert_eq!(
            trackside["livenessProbe"]["httpGet"]["path"], "/healthz",
            "{file}: a lost server is no reason to die"
        );
        assert_eq!(trackside["readinessProbe"]["httpGet"]["path"], "/readyz", "{file}");
    }
}
