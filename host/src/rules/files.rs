//! The TOML files of a configuration directory, read but not yet understood.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::error::{Problem, Report};

/// The file of everything but the rules.
pub const CONFIG_FILE: &str = "trackside.toml";

/// The folder of the rules.
pub(super) const RULES_FOLDER: &str = "rules";

/// The folder of their tests.
const TESTS_FOLDER: &str = "tests";

/// Longest TOML file, in bytes.
pub const MAX_FILE_BYTES: usize = 4 << 20;

/// Most files in one of the folders.
const MAX_FILES: usize = 10_000;

/// The TOML files of a configuration directory: `trackside.toml` and `rules/*.toml`.
#[derive(Debug, Clone)]
pub struct FileSet {
    directory: PathBuf,
    files: BTreeMap<String, Bytes>,
    /// What was wrong while reading, with the path of the file or folder.
    problems: Vec<(String, Problem)>,
}

/// The name of a file of rules: letters, digits, `-` and `_`, then `.toml`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RulesFile(Arc<str>);

/// Why a text is not the name of a file of rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a file of rules has a name such as `orders.toml`: at most 64 letters, digits, `-` and `_`, then `.toml`")]
pub struct RulesFileError;

impl RulesFile {
    /// Checks the name.
    ///
    /// # Errors
    /// When it is none that a file of rules may be given.
    pub fn new(name: &str) -> Result<Self, RulesFileError> {
        let stem = name.strip_suffix(".toml").ok_or(RulesFileError)?;
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if (1..=64).contains(&stem.len()) && stem.bytes().all(fits) {
            Ok(Self(name.into()))
        } else {
            Err(RulesFileError)
        }
    }

    /// Its name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its path from the directory.
    #[must_use]
    pub fn path(&self) -> String {
        format!("{RULES_FOLDER}/{}", self.0)
    }
}

impl FileSet {
    /// No files yet. Relative paths in them will begin at `directory`.
    #[must_use]
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into(), files: BTreeMap::new(), problems: Vec::new() }
    }

    /// Adds a file: its path from the directory, with `/` between the parts, and its bytes.
    #[must_use]
    pub fn with(mut self, path: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        let (path, bytes) = (path.into(), Bytes::from(bytes.into()));
        if bytes.len() > MAX_FILE_BYTES {
            let problem = too_long(&self.shown(&path));
            self.problems.push((path, problem));
        } else {
            self.files.insert(path, bytes);
        }
        self
    }

    /// Reads the files of a directory. In `rules/` only files that end in `.toml` count; hidden files and what editors
    /// leave behind do not.
    ///
    /// # Errors
    /// When there is no such directory. What is wrong with single files is kept for the report about them all.
    pub fn read(directory: &Path) -> Result<Self, Report> {
        let mut set = Self::open(directory)?;
        set.read_file(CONFIG_FILE.to_owned());
        for path in set.files_in(RULES_FOLDER) {
            set.read_file(path);
        }
        Ok(set)
    }

    /// Reads the tests of a directory: what ends in `.toml` in `tests/`, as in `rules/`. They are no part of the
    /// configuration.
    ///
    /// # Errors
    /// When there is no such directory.
    pub fn read_tests(directory: &Path) -> Result<Self, Report> {
        let mut set = Self::open(directory)?;
        for path in set.files_in(TESTS_FOLDER) {
            set.read_file(path);
        }
        Ok(set)
    }

    /// A set without files for a directory that is there.
    fn open(directory: &Path) -> Result<Self, Report> {
        let problem = match fs::metadata(directory) {
            Ok(metadata) if metadata.is_dir() => None,
            Ok(_) => Some("is a file: give the directory that it is in".to_owned()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Some(format!("is not there: make it, with a file `{CONFIG_FILE}` and a folder `{RULES_FOLDER}` in it"))
            }
            Err(error) => Some(format!("cannot be read: {error}")),
        };
        if let Some(problem) = problem {
            let message = format!("the configuration directory `{}` {problem}", directory.display());
            return Err(Report(vec![Problem::error(message)]));
        }
        Ok(Self::new(directory))
    }

    /// Leaves a file out.
    #[must_use]
    pub fn without(mut self, path: &str) -> Self {
        self.files.remove(path);
        self.problems.retain(|(of, _)| of != path);
        self
    }

    /// Takes the bytes of a file that another set has too from there, so that they are in memory once.
    #[must_use]
    pub fn sharing(mut self, other: &Self) -> Self {
        for (path, bytes) in &mut self.files {
            if let Some(same) = other.files.get(path).filter(|same| *same == bytes) {
                bytes.clone_from(same);
            }
        }
        self
    }

    /// The text of a file; what is not UTF-8 is replaced.
    #[must_use]
    pub fn text(&self, path: &str) -> Option<String> {
        self.files.get(path).map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Path from the directory and bytes of each file, in the order of the paths.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.files.iter().map(|(path, bytes)| (path.as_str(), &bytes[..]))
    }

    /// What was wrong while reading.
    pub(super) fn problems(&self) -> impl Iterator<Item = &Problem> {
        self.problems.iter().map(|(_, problem)| problem)
    }

    /// Whether there is a file whose path begins like this, readable or not.
    pub(super) fn has(&self, start: &str) -> bool {
        let problems = self.problems.iter().map(|(path, _)| path);
        self.files.keys().chain(problems).any(|path| path.starts_with(start))
    }

    /// A path as messages give it: one that can be opened from where Trackside was started. What a terminal would take
    /// for a command is written out.
    pub(super) fn shown(&self, path: &str) -> String {
        let mut shown = String::new();
        for c in self.directory.join(path).display().to_string().chars() {
            if c.is_control() { shown.extend(c.escape_default()) } else { shown.push(c) }
        }
        shown
    }

    /// SHA-256 over the paths and bytes of all files.
    pub(super) fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        for (path, bytes) in self.iter() {
            for part in [path.as_bytes(), bytes] {
                hash.update((part.len() as u64).to_le_bytes());
                hash.update(part);
            }
        }
        hash.finalize().into()
    }

    fn read_file(&mut self, path: String) {
        match read_bounded(&self.directory.join(&path)) {
            Ok(Some(bytes)) => {
                self.files.insert(path, bytes.into());
            }
            Ok(None) => self.problems.push((path.clone(), too_long(&self.shown(&path)))),
            // Whether a file has to be there is for the parser to say.
            Err(error) if error.kind() == io::ErrorKind::NotFound && path == CONFIG_FILE => {}
            Err(error) => {
                let problem = Problem::error(format!("`{}` cannot be read: {error}", self.shown(&path)));
                self.problems.push((path, problem));
            }
        }
    }

    /// The paths of the TOML files in a folder, sorted.
    fn files_in(&mut self, name: &str) -> Vec<String> {
        let folder = self.directory.join(name);
        let mut paths = Vec::new();
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return paths,
            Err(error) => {
                self.problems.push((name.to_owned(), unreadable(&folder, &error)));
                return paths;
            }
        };
        for entry in entries {
            match entry.map_err(|error| Box::new(unreadable(&folder, &error))).and_then(|entry| toml_file(&entry)) {
                Ok(Some(file)) => paths.push(format!("{name}/{file}")),
                Ok(None) => {}
                Err(problem) => self.problems.push((name.to_owned(), *problem)),
            }
        }
        if paths.len() > MAX_FILES {
            let message = format!("`{}` has {} files, more than {MAX_FILES}", folder.display(), paths.len());
            let problem = Problem::error(message).help("put more into each file");
            self.problems.push((name.to_owned(), problem));
            paths.clear();
        }
        paths.sort();
        paths
    }
}

/// Whether a file of this name in one of the folders is read.
fn is_toml_file(name: &str) -> bool {
    name.ends_with(".toml") && !name.starts_with(['.', '#'])
}

/// The name of an entry of a folder, if it is to be read. What has the name of such a file but cannot be one is a
/// problem: rules or tests would be missing, and nobody would be told.
fn toml_file(entry: &fs::DirEntry) -> Result<Option<String>, Box<Problem>> {
    let (name, path) = (entry.file_name(), entry.path());
    if !is_toml_file(&name.to_string_lossy()) {
        return Ok(None);
    }
    let wrong =
        |what: &str, help: &str| Err(Box::new(Problem::error(format!("`{}` {what}", path.display())).help(help)));
    let Ok(name) = name.into_string() else {
        return wrong("has a name that is not UTF-8", "rename it to letters, digits, `-` and `_`, and `.toml`");
    };
    // The entry may be a link, as in a mounted Kubernetes ConfigMap; what counts is what it leads to.
    match fs::metadata(&path) {
        Ok(metadata) if metadata.is_file() => Ok(Some(name)),
        Ok(metadata) if metadata.is_dir() => {
            wrong("is a directory", "move the files in it to the folder above, or rename it to end in something else")
        }
        Ok(_) => wrong("is a pipe, a socket or a device", "put a regular file in its place, or remove it"),
        Err(_) if fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_symlink()) => wrong(
            "is a link that leads to no file",
            "mount or make what it leads to and let Trackside read it, or remove the link",
        ),
        // Removed since the folder was listed.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Box::new(unreadable(&path, &error))),
    }
}

fn unreadable(path: &Path, error: &io::Error) -> Problem {
    Problem::error(format!("`{}` cannot be read: {error}", path.display()))
        .help("let the user that Trackside runs as read it")
}

/// The bytes of a file, or nothing if there are too many.
pub(super) fn read_bounded(path: &Path) -> io::Result<Option<Vec<u8>>> {
    // A pipe would keep the reader waiting for ever.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(MAX_FILE_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() <= MAX_FILE_BYTES).then_some(bytes))
}

fn too_long(path: &str) -> Problem {
    Problem::error(format!("`{path}` is longer than {} MiB", MAX_FILE_BYTES >> 20))
        .help("spread what is in it over several files")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_toml_files_of_the_directory_and_its_rules_folder_are_read() {
        let directory = tempfile::tempdir().expect("a folder");
        let at = |path: &str| directory.path().join(path);
        fs::create_dir_all(at("rules/deep")).expect("is made");
        for path in ["trackside.toml", "other.toml", "rules/b.toml", "rules/a.toml", "rules/deep/c.toml"] {
            fs::write(at(path), path).expect("is written");
        }
        for path in ["rules/.a.toml", "rules/#a.toml#", "rules/#a.toml", "rules/a.toml~", "rules/a.toml.swp"] {
            fs::write(at(path), "left behind").expect("is written");
        }
        let set = FileSet::read(directory.path()).expect("is read");
        let paths: Vec<_> = set.iter().map(|(path, _)| path).collect();
        assert_eq!(paths, ["rules/a.toml", "rules/b.toml", "trackside.toml"]);
        assert_eq!(set.problems().count(), 0);
    }

    #[test]
    fn the_name_of_a_file_is_no_command_to_a_terminal() {
        let set = FileSet::new("config");
        assert_eq!(set.shown("rules/a\u{1b}[2J\r.toml"), "config/rules/a\\u{1b}[2J\\r.toml");
    }

    #[cfg(unix)]
    #[test]
    fn what_has_the_name_of_a_rules_file_but_cannot_be_read_is_an_error_that_names_it() {
        use std::ffi::OsStr;
        use std::os::unix::{ffi::OsStrExt, fs::symlink, net::UnixListener};

        let directory = tempfile::tempdir().expect("a folder");
        let rules = directory.path().join("rules");
        fs::create_dir_all(rules.join("deep.toml")).expect("is made");
        fs::write(rules.join("a.toml"), "").expect("is written");
        symlink("a.toml", rules.join("link.toml")).expect("is linked");
        symlink("gone", rules.join("dangling.toml")).expect("is linked");
        symlink("loop.toml", rules.join("loop.toml")).expect("is linked");
        symlink("/dev/zero", rules.join("device.toml")).expect("is linked");
        symlink("gone", rules.join(".#lock.toml")).expect("is linked");
        let _socket = UnixListener::bind(rules.join("socket.toml")).expect("is bound");
        let made = std::process::Command::new("mkfifo").arg(rules.join("pipe.toml")).status().expect("mkfifo runs");
        assert!(made.success());
        fs::write(rules.join(OsStr::from_bytes(b"caf\xe9.toml")), "").expect("is written");

        let set = FileSet::read(directory.path()).expect("is read");
        let paths: Vec<_> = set.iter().map(|(path, _)| path).collect();
        assert_eq!(paths, ["rules/a.toml", "rules/link.toml"]);
        let mut messages: Vec<_> = set.problems().map(|problem| problem.message.replace('`', "")).collect();
        messages.sort();
        let want = [
            "caf\u{fffd}.toml has a name that is not UTF-8",
            "dangling.toml is a link that leads to no file",
            "deep.toml is a directory",
            "device.toml is a pipe, a socket or a device",
            "loop.toml is a link that leads to no file",
            "pipe.toml is a pipe, a socket or a device",
            "socket.toml is a pipe, a socket or a device",
        ];
        assert_eq!(messages, want.map(|message| format!("{}/{message}", rules.display())));
        assert!(set.problems().all(|problem| problem.help.is_some()));
    }

    #[test]
    fn the_digest_changes_with_names_and_bytes_and_nothing_else() {
        let set = |path: &str, bytes: &str| FileSet::new("a").with(path, bytes).with("x", "y").digest();
        assert_eq!(set("p", "b"), FileSet::new("b").with("x", "y").with("p", "b").digest());
        assert_ne!(set("p", "b"), set("q", "b"));
        assert_ne!(set("p", "b"), set("p", "c"));
        assert_ne!(set("pb", ""), set("p", "b"));
    }

    #[test]
    fn a_directory_that_is_missing_or_a_file_is_said_so() {
        let directory = tempfile::tempdir().expect("a folder");
        let missing = FileSet::read(&directory.path().join("no")).expect_err("is missing").0.remove(0).message;
        assert!(
            missing.contains("is not there: make it, with a file `trackside.toml` and a folder `rules` in it"),
            "{missing}"
        );
        fs::write(directory.path().join("f"), "").expect("is written");
        let file = FileSet::read(&directory.path().join("f")).expect_err("is a file").0.remove(0).message;
        assert!(file.contains("is a file: give the directory that it is in"), "{file}");
    }

    #[test]
    fn a_file_that_is_too_long_is_not_read() {
        let set = FileSet::new("c").with("trackside.toml", vec![b' '; MAX_FILE_BYTES + 1]);
        let messages: Vec<_> = set.problems().map(|problem| problem.message.as_str()).collect();
        assert_eq!(messages, ["`c/trackside.toml` is longer than 4 MiB"]);
        assert_eq!((set.iter().count(), set.has("trackside.toml")), (0, true));
    }
}
