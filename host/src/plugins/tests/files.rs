//! What `setup.read-file` gives.

use std::fs;
use std::os::unix::fs::symlink;

use super::*;

fn read(plugin: &Arc<Plugin>, directory: &Path, path: &str) -> Result<Arc<ConfiguredStage>, String> {
    let config = serde_json::Value::from(path).to_string();
    plugin.configure(config, Vec::new(), directory, StageSecrets::default()).map_err(|error| error.to_string())
}

fn contents(stage: &Arc<ConfiguredStage>) -> String {
    let mut work = work("{}");
    assert_eq!(call(stage, &mut work), Ok(Verdict::Forward));
    String::from_utf8(work.message.payload.to_vec()).expect("text")
}

#[test]
fn later_instances_see_the_file_as_the_first_one_did() {
    let directory = tempfile::tempdir().expect("a directory");
    fs::create_dir(directory.path().join("schemas")).expect("a folder");
    let file = directory.path().join("schemas/a.json");
    fs::write(&file, "one").expect("a file");
    let plugin = load("read-file");
    let stage = read(&plugin, directory.path(), "schemas/a.json").expect("it is read");
    fs::write(&file, "two").expect("a file");
    assert_eq!(contents(&stage), "one");
    let again = read(&plugin, directory.path(), "schemas/a.json").expect("it is read");
    assert_eq!(contents(&again), "two");
    assert_ne!(stage.digest(), again.digest(), "another file makes another stage");
    let read: Vec<_> = stage.files().iter().map(|(path, digest)| (path, digest.is_some())).collect();
    assert_eq!(read, [("schemas/a.json", true)]);
}

#[test]
fn only_plain_files_of_the_allowed_folders_are_read() {
    let directory = tempfile::tempdir().expect("a directory");
    let outside = tempfile::NamedTempFile::new().expect("a file");
    let at = |path: &str| directory.path().join(path);
    fs::create_dir_all(at("schemas/..data")).expect("a folder");
    fs::create_dir(at("private")).expect("a folder");
    fs::write(at("private/key"), "key").expect("a file");
    fs::write(at("schemas/..data/real.json"), "real").expect("a file");
    symlink("..data/real.json", at("schemas/linked.json")).expect("a link");
    symlink(outside.path(), at("schemas/out.json")).expect("a link");
    let plugin = load("read-file");
    let read = |path: &str| read(&plugin, directory.path(), path);
    assert_eq!(contents(&read("schemas/linked.json").expect("Kubernetes mounts files so")), "real");
    for (path, want) in [
        ("private/key", "outside of what the plugin may read (`schemas/`)"),
        ("schemas/../private/key", "without `.` and `..`"),
        ("/etc/passwd", "without `.` and `..`"),
        ("schemas//a.json", "without `.` and `..`"),
        ("schemas/out.json", "is a link out of the configuration directory"),
        ("schemas/..data", "is not a plain file"),
        ("schemas/missing.json", "cannot be read: No such file"),
    ] {
        let error = read(path).expect_err(path);
        assert!(error.contains(want), "{path}: {error}");
    }
}
