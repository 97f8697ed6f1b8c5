//! How registries keep a plugin: the artifact layout of the CNCF's Wasm working group, an OCI image manifest whose config
//! is `application/vnd.wasm.config.v0+json` and whose one layer is the component, `application/wasm`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::OciError;
use crate::plugins::MAX_COMPONENT_BYTES;

/// The manifest's media type, by the OCI Image Specification 1.1.
pub(super) const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG_TYPE: &str = "application/vnd.wasm.config.v0+json";
const COMPONENT_TYPE: &str = "application/wasm";

/// The annotation that holds what `FILE.wasm.sig` does. It is in the manifest, which the digest of the reference covers;
/// it is over the component alone, so that it can be made before there is a manifest.
const SIGNATURES: &str = "io.github.trackside.plugin.signatures";

/// Largest manifest, in bytes: it names two blobs.
pub(super) const MAX_MANIFEST_BYTES: usize = 256 << 10;

/// What a manifest says of a plugin.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Manifest {
    /// The component's SHA-256.
    pub(super) component: [u8; 32],
    /// The component's size in bytes.
    pub(super) size: usize,
    /// Its signatures, as in a file `.sig`.
    pub(super) signatures: Option<String>,
}

/// A manifest as JSON.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    schema_version: u32,
    media_type: Option<String>,
    config: Descriptor,
    layers: Vec<Descriptor>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: String,
    digest: String,
    size: u64,
}

/// The config as JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Config<'a> {
    architecture: &'static str,
    os: &'static str,
    layer_digests: [String; 1],
    component: Names<'a>,
}

#[derive(Serialize)]
struct Names<'a> {
    exports: &'a [String],
    imports: &'a [String],
}

impl Manifest {
    /// Reads a manifest.
    ///
    /// # Errors
    /// When it is not one of a plugin, or the plugin is too large.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, OciError> {
        #[derive(Deserialize)]
        struct Index {
            #[serde(rename = "manifests")]
            _manifests: Vec<serde::de::IgnoredAny>,
        }
        let wrong = |what: &str| Err(OciError::Manifest(what.to_owned()));
        if serde_json::from_slice::<Index>(bytes).is_ok() {
            return wrong("it is an index of several manifests; give the digest of one of them");
        }
        let document: Document =
            serde_json::from_slice(bytes).map_err(|error| OciError::Manifest(error.to_string()))?;
        if document.schema_version != 2 || document.media_type.is_some_and(|kind| kind != MANIFEST_TYPE) {
            return wrong("it has no manifest of an OCI image");
        }
        if document.config.media_type != CONFIG_TYPE {
            return wrong(&format!("its config has the media type `{}`", document.config.media_type.escape_debug()));
        }
        let [layer] = document.layers.as_slice() else {
            return wrong(&format!("it has {} layers in place of one", document.layers.len()));
        };
        if layer.media_type != COMPONENT_TYPE {
            let kind = layer.media_type.escape_debug();
            return wrong(&format!("its layer has the media type `{kind}` in place of `{COMPONENT_TYPE}`"));
        }
        let Some(component) = super::parse_digest(&layer.digest) else {
            return wrong("its layer has a digest that is no SHA-256");
        };
        let size = usize::try_from(layer.size).ok().filter(|size| *size <= MAX_COMPONENT_BYTES);
        let size = size.ok_or(OciError::Large { what: "component", max_bytes: MAX_COMPONENT_BYTES })?;
        Ok(Self { component, size, signatures: document.annotations.get(SIGNATURES).cloned() })
    }
}

/// The manifest and the config of a component, as they are pushed: the same for the same component, whoever makes them.
pub(super) fn compose(
    component: &[u8],
    imports: &[String],
    exports: &[String],
    signatures: Option<&str>,
) -> Result<(Vec<u8>, Vec<u8>), OciError> {
    let json = |error: serde_json::Error| OciError::Manifest(error.to_string());
    let layer = Descriptor::of(component, COMPONENT_TYPE);
    let config = serde_json::to_vec(&Config {
        architecture: "wasm",
        os: "wasip2",
        layer_digests: [layer.digest.clone()],
        component: Names { exports, imports },
    });
    let config = config.map_err(json)?;
    let document = Document {
        schema_version: 2,
        media_type: Some(MANIFEST_TYPE.to_owned()),
        config: Descriptor::of(&config, CONFIG_TYPE),
        layers: vec![layer],
        annotations: signatures.map(|text| (SIGNATURES.to_owned(), text.to_owned())).into_iter().collect(),
    };
    Ok((serde_json::to_vec(&document).map_err(json)?, config))
}

impl Descriptor {
    fn of(bytes: &[u8], media_type: &str) -> Self {
        let digest = super::shown_digest(&Sha256::digest(bytes).into());
        Self { media_type: media_type.to_owned(), digest, size: bytes.len() as u64 }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn what_was_composed_is_read_again() {
        let imports = ["trackside:plugin/message@0.1.0".to_owned()];
        let (manifest, config) = compose(b"component", &imports, &[], Some("signed")).expect("is composed");
        let parsed = Manifest::parse(&manifest).expect("is read");
        let component = Sha256::digest(b"component").into();
        assert_eq!(parsed, Manifest { component, size: 9, signatures: Some("signed".to_owned()) });
        let config: Value = serde_json::from_slice(&config).expect("JSON");
        let digest = crate::supply::oci::shown_digest(&component);
        let want = json!({
            "architecture": "wasm", "os": "wasip2", "layerDigests": [digest],
            "component": { "exports": [], "imports": imports },
        });
        assert_eq!(config, want);
    }

    #[test]
    fn what_is_no_plugin_is_told_why() {
        let good: Value = serde_json::from_slice(&compose(b"c", &[], &[], None).expect("is composed").0).expect("JSON");
        let with = |path: &str, value: Value| {
            let mut changed = good.clone();
            *changed.pointer_mut(path).expect("is there") = value;
            Manifest::parse(changed.to_string().as_bytes()).expect_err(path).to_string()
        };
        for (path, value, want) in [
            ("/schemaVersion", json!(1), "no manifest of an OCI image"),
            ("/config/mediaType", json!("application/vnd.oci.image.config.v1+json"), "its config has the media type"),
            ("/layers", json!([]), "it has 0 layers in place of one"),
            ("/layers/0/mediaType", json!("application/tar"), "in place of `application/wasm`"),
            ("/layers/0/digest", json!("sha256:00"), "a digest that is no SHA-256"),
            ("/layers/0/digest", json!("../../etc/passwd"), "a digest that is no SHA-256"),
            ("/layers/0/size", json!(65 << 20), "its component has more than"),
            ("/layers/0/size", json!(u64::MAX), "its component has more than"),
            ("/layers/0/size", json!(-1), "invalid value"),
        ] {
            let error = with(path, value);
            assert!(error.contains(want), "{want}: {error}");
        }
        let index = json!({ "schemaVersion": 2, "manifests": [] }).to_string();
        let error = Manifest::parse(index.as_bytes()).expect_err("an index").to_string();
        assert!(error.contains("an index of several manifests"), "{error}");
        assert!(Manifest::parse(b"{").is_err());
    }
}
