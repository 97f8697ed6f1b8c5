//! `[secrets]`.

use std::collections::BTreeMap;

use super::name;
use crate::names::SecretName;
use crate::rules::model::NamedSecret;
use crate::rules::secret::SecretRef;
use crate::rules::table::Table;
use crate::rules::values;

/// The secrets by name, and the names of all of them, those with errors included.
pub(super) fn secrets(root: &Table<'_>) -> (BTreeMap<SecretName, NamedSecret>, Vec<SecretName>) {
    let (mut secrets, mut names) = (BTreeMap::new(), Vec::new());
    for (key, node) in root.named("secrets") {
        let Some(name) = name(root.file, "secret", key.get_ref(), key.span(), SecretName::new) else { continue };
        names.push(name.clone());
        // The errors show nothing of the value: it may be the secret itself.
        match values::text(node).map(|text| (SecretRef::parse(&text), SecretRef::is_reference(&text))) {
            Ok((Ok(reference), _)) => {
                secrets.insert(name, NamedSecret { reference, location: root.file.at(node.span()) });
            }
            Ok((Err(error), true)) => {
                root.file.error(node.span(), format!("`{name}` is not a reference to a secret"), error.to_string());
            }
            Ok((Err(error), false)) => {
                let message = format!("`{name}` is written out; a secret does not belong in this file");
                root.file.error(node.span(), message, error.to_string());
            }
            Err(wrong) => root.file.error(node.span(), format!("`{name}` {}", wrong.message), wrong.help),
        }
    }
    (secrets, names)
}
