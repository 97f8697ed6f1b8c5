//! `trackside plugin push`.

use std::fs;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use super::{Push, about};
use crate::app::Failure;
use crate::cli::output;
use crate::plugins::Inspection;
use crate::rules::{OciReference, RegistrySettings, SecretRef};
use crate::supply::{self, Signatures, shown_digest, signature_path};

/// Pushes a component, and prints the reference to write into the configuration.
pub(super) fn push(arguments: &Push) -> Result<ExitCode, Failure> {
    let Push { file, reference, .. } = arguments;
    let bytes = fs::read(file).map_err(|error| about(file, format_args!("cannot be read: {error}")))?;
    let inspection = Inspection::of(&bytes).map_err(|error| about(file, error))?;
    // What no host would load is not worth a place in a registry.
    inspection.contract().map_err(|error| about(file, error))?;
    let signatures = signatures(file)?;
    let reference = OciReference::parse(reference).map_err(|error| Failure::new(format!("{reference}: {error}")))?;
    let settings = settings(arguments, &reference)?;
    let names = (inspection.imports.as_slice(), inspection.exports.as_slice());
    let digest = supply::push(&reference, bytes.into(), names, signatures.as_deref(), &settings, Path::new(""));
    let digest = digest.map_err(|error| Failure::new(format!("{reference}: {error}")))?;
    let (registry, repository) = (reference.registry(), reference.repository());
    output::print(&format!("{registry}/{repository}@{}\n", shown_digest(&digest)))?;
    Ok(ExitCode::SUCCESS)
}

fn settings(arguments: &Push, reference: &OciReference) -> Result<RegistrySettings, Failure> {
    let mut settings = RegistrySettings::of(reference.registry());
    if let (Some(user), Some(password)) = (&arguments.user, &arguments.password) {
        let named = |what: &str, error: crate::rules::SecretError| Failure::new(format!("{what}: {error}"));
        let user = match SecretRef::is_reference(user) {
            true => SecretRef::parse(user).map_err(|error| named("--user", error))?,
            false => SecretRef::Plain(user.clone()),
        };
        // One that is written out would stay in the shell's history, and is shown to everybody who asks for processes.
        settings.login = Some((user, SecretRef::parse(password).map_err(|error| named("--password", error))?));
    }
    settings.plain_http = arguments.ca.is_none() && (arguments.plain_http || settings.plain_http);
    settings.ca.clone_from(&arguments.ca);
    Ok(settings)
}

/// The text of the file `.sig`, if there is one. It has to be right: what is pushed stays.
fn signatures(component: &Path) -> Result<Option<String>, Failure> {
    let path = signature_path(component);
    match fs::read_to_string(&path) {
        Ok(text) => Signatures::parse(&text).map(|_| Some(text)).map_err(|error| about(&path, error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(about(&path, format_args!("cannot be read: {error}"))),
    }
}
