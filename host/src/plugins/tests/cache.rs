//! Compiled components on disk.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use super::super::{CompileIn, LoadError};
use super::*;

fn engine(cache: &Path) -> Engine {
    let cache = Some(cache.to_owned());
    Engine::new(EngineSettings { cache, max_instances: 1, ..EngineSettings::default() }).expect("an engine")
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the folder is there");
    entries.map(|entry| entry.expect("an entry").path()).collect()
}

fn runs(engine: &Engine, name: &str) {
    let plugin = engine.load(source(hostile::component(name), settings())).expect("it loads");
    let stage = configure(&plugin).expect("it takes the settings");
    assert_eq!(call(&stage, &mut work("{}")), Ok(Verdict::Forward));
}

#[test]
fn what_was_compiled_once_is_read_back_by_another_engine() {
    let parent = tempfile::tempdir().expect("a directory");
    let folder = parent.path().join("cache");
    runs(&engine(&folder), "forward");
    let kept = entries(&folder);
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert_eq!(fs::metadata(&folder).expect("the folder").permissions().mode() & 0o777, 0o700);
    assert_eq!(fs::metadata(&kept[0]).expect("the entry").permissions().mode() & 0o077, 0);
    let written = fs::read(&kept[0]).expect("the entry");
    let lines = super::secrets::logged(|| runs(&engine(&folder), "forward"));
    assert_eq!((entries(&folder), lines), (kept.clone(), vec![]), "read back in silence");
    assert_eq!(fs::read(&kept[0]).expect("the entry"), written);
}

#[test]
#[cfg(target_os = "linux")]
fn what_is_in_the_cache_is_mapped_and_takes_no_memory_of_its_own() {
    let folder = tempfile::tempdir().expect("a directory");
    for engine in [engine(folder.path()), engine(folder.path())] {
        let plugin = engine.load(source(hostile::component("forward"), settings())).expect("it loads");
        let maps = fs::read_to_string("/proc/self/maps").expect("Linux tells");
        let entry = entries(folder.path()).pop().expect("an entry");
        assert!(maps.contains(entry.to_str().expect("a plain path")), "{maps}");
        drop(plugin);
    }
}

#[test]
fn what_is_in_the_cache_needs_no_compiler_and_what_is_not_needs_one() {
    let folder = tempfile::tempdir().expect("a directory");
    runs(&engine(folder.path()), "forward");
    let settings_of = EngineSettings {
        cache: Some(folder.path().to_owned()),
        compile_in: CompileIn::Child(folder.path().join("there is no such program")),
        max_instances: 1,
        ..EngineSettings::default()
    };
    let engine = Engine::new(settings_of).expect("an engine");
    runs(&engine, "forward");
    let error = engine.load(source(hostile::component("trap"), settings())).expect_err("nobody can compile it");
    assert!(matches!(error, LoadError::Compiler { .. }), "{error}");
}

#[test]
fn a_damaged_entry_is_compiled_again_and_replaced() {
    let folder = tempfile::tempdir().expect("a directory");
    runs(&engine(folder.path()), "forward");
    let [entry] = &entries(folder.path())[..] else { panic!("not one entry") };
    let whole = fs::read(entry).expect("the entry");
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    for damaged in [&flipped[..], &whole[..whole.len() / 2], &whole[..7], b""] {
        fs::write(entry, damaged).expect("it can be written");
        runs(&engine(folder.path()), "forward");
        assert_eq!(fs::read(entry).expect("the entry").len(), whole.len());
        assert_ne!(fs::read(entry).expect("the entry"), damaged);
    }
}

#[test]
fn a_folder_that_others_can_write_to_is_not_used() {
    let folder = tempfile::tempdir().expect("a directory");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).expect("it is ours");
    runs(&engine(folder.path()), "forward");
    assert_eq!(entries(folder.path()), Vec::<PathBuf>::new());
}

#[test]
fn a_folder_that_cannot_be_made_costs_a_warning_that_names_it() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let folder = file.path().join("cache");
    let lines = super::secrets::logged(|| runs(&engine(&folder), "forward"));
    assert!(lines.len() == 1 && lines[0].contains(&folder.display().to_string()), "{lines:?}");
}
