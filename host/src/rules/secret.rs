//! Secrets: the configuration says where they are (`env:NAME`, `file:PATH`), never what they are.

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// Longest secret, in bytes; credentials files are some kilobytes.
const MAX_SECRET_BYTES: u64 = 1 << 20;

/// Where a secret is. Shows as the reference, never as the secret.
#[derive(Clone, PartialEq, Eq)]
pub enum SecretRef {
    /// `env:NAME`: the value of an environment variable.
    Env(String),
    /// `file:PATH`: the text of a file, without the end of its last line. Relative paths begin at the configuration
    /// directory.
    File(PathBuf),
    /// The text itself, where something that is no secret, such as a user's name, may be a reference too.
    Plain(String),
}

/// Why a secret cannot be had; never shows any part of one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// The text is not a reference.
    #[error("not a reference to a secret: write `env:NAME` for an environment variable or `file:PATH` for a file")]
    NotAReference,
    /// The name after `env:` is not one a variable can have.
    #[error("`env:` is followed by the name of an environment variable, made of letters, digits and `_`")]
    VariableName,
    /// Nothing follows `file:`.
    #[error("`file:` is followed by the path of a file")]
    NoPath,
    /// The variable is not there.
    #[error("the environment variable `{0}` is not set: set it before starting Trackside")]
    Unset(String),
    /// The variable is there and empty.
    #[error("the environment variable `{0}` is empty: set it to the secret")]
    EmptyVariable(String),
    /// The variable is not UTF-8.
    #[error("the environment variable `{0}` is not UTF-8 text: encode it, for example as base64")]
    VariableNotText(String),
    /// The file cannot be read.
    #[error("the secret file `{path}` cannot be read ({reason}): check that it is there and who may read it", path = .0.display(), reason = .1)]
    Unreadable(PathBuf, std::io::ErrorKind),
    /// The file has nothing in it.
    #[error("the secret file `{path}` is empty: write the secret into it", path = .0.display())]
    EmptyFile(PathBuf),
    /// It is no plain file: a pipe would keep the reader waiting, and a device has no end.
    #[error("the secret file `{path}` is a pipe, a device or a folder: give a plain file", path = .0.display())]
    NotAFile(PathBuf),
    /// The file is not UTF-8.
    #[error("the secret file `{path}` is not UTF-8 text: encode it, for example as base64", path = .0.display())]
    FileNotText(PathBuf),
    /// The file is too long for a secret.
    #[error("the secret file `{path}` has more than {MAX_SECRET_BYTES} bytes: check that it is the right one", path = .0.display())]
    FileTooLong(PathBuf),
}

/// A secret. Its text is shown by nothing but [`Secret::expose`].
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl SecretRef {
    /// Whether a text is meant to be a reference.
    #[must_use]
    pub fn is_reference(text: &str) -> bool {
        text.starts_with("env:") || text.starts_with("file:")
    }

    /// Reads `env:NAME` or `file:PATH`.
    ///
    /// # Errors
    /// When it is neither, or nothing usable follows. The error does not show the text, since it may be a secret.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        if let Some(name) = text.strip_prefix("env:") {
            let fits = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            let starts = name.bytes().next().is_some_and(|byte| !byte.is_ascii_digit());
            return if fits && starts { Ok(Self::Env(name.to_owned())) } else { Err(SecretError::VariableName) };
        }
        match text.strip_prefix("file:") {
            Some("") => Err(SecretError::NoPath),
            Some(path) => Ok(Self::File(PathBuf::from(path))),
            None => Err(SecretError::NotAReference),
        }
    }

    /// Fetches the secret. Paths that are not absolute begin at `directory`.
    ///
    /// # Errors
    /// When the variable or file is missing, empty or not text.
    pub fn resolve(&self, directory: &Path) -> Result<Secret, SecretError> {
        match self {
            Self::Env(name) => match std::env::var(name) {
                Ok(value) if value.is_empty() => Err(SecretError::EmptyVariable(name.clone())),
                Ok(value) => Ok(Secret(value)),
                Err(std::env::VarError::NotPresent) => Err(SecretError::Unset(name.clone())),
                Err(std::env::VarError::NotUnicode(_)) => Err(SecretError::VariableNotText(name.clone())),
            },
            Self::File(path) => read(&directory.join(path)),
            Self::Plain(text) => Ok(Secret(text.clone())),
        }
    }
}

/// The files that a `with` table reads secrets from, to be watched for changes.
#[must_use]
pub fn secret_files(with: &Value, directory: &Path) -> Vec<PathBuf> {
    match with {
        Value::String(text) => match SecretRef::parse(text) {
            Ok(SecretRef::File(path)) => vec![directory.join(path)],
            _ => Vec::new(),
        },
        Value::Array(values) => values.iter().flat_map(|value| secret_files(value, directory)).collect(),
        Value::Object(members) => members.values().flat_map(|value| secret_files(value, directory)).collect(),
        _ => Vec::new(),
    }
}

fn read(path: &Path) -> Result<Secret, SecretError> {
    let unreadable = |error: std::io::Error| SecretError::Unreadable(path.to_owned(), error.kind());
    if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(SecretError::NotAFile(path.to_owned()));
    }
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(MAX_SECRET_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_SECRET_BYTES {
        return Err(SecretError::FileTooLong(path.to_owned()));
    }
    let mut text = String::from_utf8(bytes).map_err(|_| SecretError::FileNotText(path.to_owned()))?;
    // Editors and `echo` end the last line; nobody means that to be part of a password.
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    if text.is_empty() { Err(SecretError::EmptyFile(path.to_owned())) } else { Ok(Secret(text)) }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Plain(text) => f.write_str(text),
        }
    }
}

impl fmt::Debug for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretRef({self})")
    }
}

impl Secret {
    /// The secret itself, for handing to who needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Settings with secrets in them, and those secrets.
pub type Resolved = (Value, Vec<Secret>);

/// Puts secrets in the place of their references: every string in `with` that begins with `env:` or `file:`.
/// Returns the settings with secrets in them and the secrets, for hiding them in what the plugin says.
///
/// # Errors
/// Every reference that cannot be resolved, with the path of its key, such as `fields[0].key`.
pub fn resolve_secrets(with: &Value, directory: &Path) -> Result<Resolved, Vec<(String, SecretError)>> {
    let (mut resolved, mut secrets, mut errors) = (with.clone(), Vec::new(), Vec::new());
    visit_references(&mut resolved, &mut String::new(), &mut |path, text| match SecretRef::parse(text)
        .and_then(|reference| reference.resolve(directory))
    {
        Ok(secret) => {
            secret.expose().clone_into(text);
            secrets.push(secret);
        }
        Err(error) => errors.push((path.to_owned(), error)),
    });
    if errors.is_empty() { Ok((resolved, secrets)) } else { Err(errors) }
}

/// Calls `visit` with the key path and text of each reference. As deep as the value, whose depth the TOML parser bounds.
pub(super) fn visit_references(value: &mut Value, path: &mut String, visit: &mut impl FnMut(&str, &mut String)) {
    let length = path.len();
    match value {
        Value::String(text) if SecretRef::is_reference(text) => visit(path, text),
        Value::Array(elements) => {
            for (index, element) in elements.iter_mut().enumerate() {
                path.push_str(&format!("[{index}]"));
                visit_references(element, path, visit);
                path.truncate(length);
            }
        }
        Value::Object(members) => {
            for (key, member) in members {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(key);
                visit_references(member, path, visit);
                path.truncate(length);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_read_and_shown_but_never_what_it_stands_for() {
        assert_eq!(SecretRef::parse("env:MASK_KEY"), Ok(SecretRef::Env("MASK_KEY".to_owned())));
        assert_eq!(SecretRef::parse("file:keys/a b"), Ok(SecretRef::File(PathBuf::from("keys/a b"))));
        assert_eq!(SecretRef::parse("hunter2"), Err(SecretError::NotAReference));
        for name in ["env:", "env: A", "env:1A", "env:A=B"] {
            assert_eq!(SecretRef::parse(name), Err(SecretError::VariableName), "{name}");
        }
        assert_eq!(SecretRef::parse("file:"), Err(SecretError::NoPath));
        assert!(!SecretError::NotAReference.to_string().contains("hunter2"));
        assert_eq!(format!("{:?}", SecretRef::Env("A".to_owned())), "SecretRef(env:A)");
        assert_eq!(format!("{:?}", Secret("hunter2".to_owned())), "***");
    }

    #[test]
    fn a_file_loses_the_end_of_its_last_line_and_nothing_else() {
        let directory = tempfile::tempdir().expect("a folder");
        let resolve = |bytes: &[u8]| {
            std::fs::write(directory.path().join("key"), bytes).expect("is written");
            SecretRef::File(PathBuf::from("key")).resolve(directory.path())
        };
        let path = || directory.path().join("key");
        assert_eq!(resolve(b"one\n\n").map(|secret| secret.expose().to_owned()), Ok("one\n".to_owned()));
        assert_eq!(resolve(b" two \r\n").map(|secret| secret.expose().to_owned()), Ok(" two ".to_owned()));
        assert_eq!(resolve(b"\n"), Err(SecretError::EmptyFile(path())));
        assert_eq!(resolve(b"\xff"), Err(SecretError::FileNotText(path())));
        let too_long = vec![b'x'; usize::try_from(MAX_SECRET_BYTES + 1).expect("fits")];
        assert_eq!(resolve(&too_long), Err(SecretError::FileTooLong(path())));
    }

    #[test]
    fn what_would_keep_the_reader_waiting_is_refused_at_once() {
        let directory = tempfile::tempdir().expect("a folder");
        let pipe = directory.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs");
        assert!(made.success());
        let (tell, told) = std::sync::mpsc::channel();
        for path in [pipe, "/dev/zero".into(), directory.path().to_owned()] {
            let tell = tell.clone();
            std::thread::spawn(move || tell.send((SecretRef::File(path.clone()).resolve(Path::new("/")), path)));
        }
        for _ in 0..3 {
            let answer = told.recv_timeout(std::time::Duration::from_secs(30));
            let (resolved, path) = answer.expect("nothing is waited for");
            assert_eq!(resolved, Err(SecretError::NotAFile(path)));
        }
    }

    #[test]
    fn a_missing_variable_or_file_is_named() {
        let unset = SecretRef::Env("TRACKSIDE_TEST_UNSET".to_owned()).resolve(Path::new("/")).expect_err("is not set");
        assert_eq!(
            unset.to_string(),
            "the environment variable `TRACKSIDE_TEST_UNSET` is not set: set it before starting Trackside"
        );
        let missing = SecretRef::File("no/such".into()).resolve(Path::new("/")).expect_err("is not there");
        assert_eq!(
            missing.to_string(),
            "the secret file `/no/such` cannot be read (entity not found): check that it is there and who may read it"
        );
    }

    #[test]
    fn references_anywhere_in_settings_are_resolved_and_all_failures_are_told() {
        let directory = tempfile::tempdir().expect("a folder");
        std::fs::write(directory.path().join("key"), "hunter2\n").expect("is written");
        let with = serde_json::json!({ "fields": [{ "key": "file:key", "n": 1 }, "profile:x"], "text": "file" });
        let (resolved, secrets) = resolve_secrets(&with, directory.path()).expect("resolves");
        assert_eq!(secret_files(&with, directory.path()), [directory.path().join("key")]);
        let want = serde_json::json!({ "fields": [{ "key": "hunter2", "n": 1 }, "profile:x"], "text": "file" });
        assert_eq!((resolved, secrets), (want, vec![Secret("hunter2".to_owned())]));

        let with = serde_json::json!({ "a": ["file:key", "env:"], "b": { "c": "env:TRACKSIDE_TEST_UNSET" } });
        let errors = resolve_secrets(&with, directory.path()).expect_err("fails twice");
        assert_eq!(errors.iter().map(|(path, _)| path.as_str()).collect::<Vec<_>>(), ["a[1]", "b.c"]);
    }
}
