//! `trackside plugin keygen`, `sign` and `verify`.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use super::about;
use crate::app::Failure;
use crate::cli::output;
use crate::names::KeyName;
use crate::plugins::Inspection;
use crate::rules::{PublicKey, TrustedKey};
use crate::supply::{SecretKey, Signatures, signature_path};

/// Makes a key.
pub(super) fn keygen(file: &Path) -> Result<ExitCode, Failure> {
    let failed = |error: crate::supply::SecretKeyError| Failure::new(error.to_string());
    let key = SecretKey::generate().map_err(failed)?;
    let public = key.write(file).map_err(failed)?;
    let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let name = KeyName::new(stem).map_or_else(|_| "NAME".to_owned(), |name| name.to_string());
    output::print(&format!(
        "private  {}\npublic   {}\nid       {}\n\n[trust.keys]\n{name} = \"{}\"\n",
        file.display(),
        public.display(),
        key.public().id(),
        key.public()
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// Signs a component; signatures of other keys stay.
pub(super) fn sign(file: &Path, key: &str) -> Result<ExitCode, Failure> {
    let key = SecretKey::load(key).map_err(|error| Failure::new(error.to_string()))?;
    let sha256 = component(file)?;
    let path = signature_path(file);
    let mut signatures = match fs::read_to_string(&path) {
        Ok(text) => Signatures::parse(&text).map_err(|error| about(&path, error))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Signatures::default(),
        Err(error) => return Err(about(&path, format_args!("cannot be read: {error}"))),
    };
    key.sign(&mut signatures, &sha256);
    write(&path, &signatures.to_string()).map_err(|error| about(&path, format_args!("cannot be written: {error}")))?;
    let (id, sha256) = (key.public().id(), hex::encode(sha256));
    output::print(&format!("{}: signed by key {id}, SHA-256 {sha256}\n", path.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// Checks a signature.
pub(super) fn verify(file: &Path, key: &str) -> Result<ExitCode, Failure> {
    let key = public_key(key)?;
    let sha256 = component(file)?;
    let path = signature_path(file);
    let text = fs::read_to_string(&path).map_err(|error| about(&path, format_args!("cannot be read: {error}")))?;
    let trusted = TrustedKey { name: KeyName::new("--key").map_err(|error| about(file, error))?, key };
    let verified = Signatures::parse(&text).and_then(|signatures| signatures.verify(&trusted, &sha256));
    verified.map_err(|error| about(file, error))?;
    let (id, sha256) = (trusted.key.id(), hex::encode(sha256));
    output::print(&format!("ok: {} was signed by key {id}, SHA-256 {sha256}\n", file.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// The SHA-256 of a file that is WebAssembly at least: nobody means to sign the file beside it.
fn component(file: &Path) -> Result<[u8; 32], Failure> {
    let bytes = fs::read(file).map_err(|error| about(file, format_args!("cannot be read: {error}")))?;
    Inspection::of(&bytes).map(|inspection| inspection.sha256).map_err(|error| about(file, error))
}

/// A key as it stands in `[trust.keys]`, or a file that holds one.
fn public_key(text: &str) -> Result<PublicKey, Failure> {
    if let Ok(key) = PublicKey::parse(text) {
        return Ok(key);
    }
    let path = Path::new(text);
    let read = fs::read_to_string(path).map_err(|error| about(path, format_args!("cannot be read: {error}")))?;
    PublicKey::parse(&read).map_err(|error| about(path, error))
}

/// Writes a file whole, so that nobody reads half of it.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".sig-").tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
    file.persist(path).map_err(|error| error.error).map(drop)
}
