//! Components that may be loaded, and many that may not.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use super::*;
use crate::rules::{FileSet, load_from};

/// A configuration directory with these files in it.
struct World {
    folder: tempfile::TempDir,
    plugins: String,
}

impl World {
    /// With these tables after `[nats]` and `[sources.a]`.
    fn new(plugins: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self { folder, plugins: plugins.to_owned() }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path().join(name), bytes).expect("is written");
    }

    fn rules(&self) -> Rules {
        let config = format!(
            "[nats]\nservers = [\"nats://a:4222\"]\n[sources.a]\nsubject = \"a.>\"\n[runtime]\ncache = \"cache\"\n{}",
            self.plugins
        );
        let rule = "[[rule]]\nname = \"a\"\nsource = \"a\"\nsubject = \"a.b\"\nroutes = { default = \"c\" }\n";
        let files = FileSet::new(self.path()).with("trackside.toml", config).with("rules/a.toml", rule);
        load_from(&files).unwrap_or_else(|report| panic!("{report}")).0
    }

    /// What loading plugin `vip` says.
    fn load(&self) -> Result<Component, String> {
        let rules = self.rules();
        let supply = Supply::open(&rules).map_err(|problem| said(*problem))?;
        let name = PluginName::new("vip").expect("a name");
        let settings = &rules.config.plugins["vip"];
        supply.component(&name, settings).map_err(|error| said(problem(&name, settings, &error, &rules.directory)))
    }

    fn lock(&self) -> Result<(), String> {
        let lock = lock(&self.rules()).map_err(|report| report.to_string())?;
        lock.write(self.path()).map_err(|error| error.to_string())
    }

    /// Signs `vip.wasm`, or writes what else there is to be in its file `.sig`.
    fn sign(&self, key: &SecretKey, content: &[u8]) {
        let mut signatures = Signatures::default();
        key.sign(&mut signatures, &sha256(content));
        self.write("vip.wasm.sig", signatures.to_string());
    }
}

fn said(problem: Problem) -> String {
    format!("{}; {}", problem.message, problem.help.unwrap_or_default())
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

const VIP: &str = "[plugins.vip]\npath = \"vip.wasm\"\n";

#[test]
fn a_plugin_that_is_not_what_the_lock_says_is_refused_with_both_digests_and_the_command() {
    let world = World::new(VIP);
    world.write("vip.wasm", "one");
    assert_eq!(world.load().expect("no lock, no question").bytes, b"one");
    world.lock().expect("is locked");
    assert_eq!(world.load().expect("is what was locked").bytes, b"one");

    world.write("vip.wasm", "other");
    let refused = world.load().expect_err("was replaced");
    let (expected, found) = (hex::encode(sha256(b"one")), hex::encode(sha256(b"other")));
    let want = format!(
        "plugin `vip`: trackside.lock expects the SHA-256 {expected} (3 bytes), and found is {found} (5 bytes); find out \
         what changed it; if it is what is meant, run `trackside plugin lock {}`",
        world.path().display()
    );
    assert_eq!(refused, want);
    world.lock().expect("is locked");
    assert_eq!(world.load().expect("was locked anew").bytes, b"other");
}

#[test]
fn a_plugin_that_is_not_in_the_lock_is_refused() {
    let world = World::new("");
    world.lock().expect("nothing to lock");
    let world = World { plugins: VIP.to_owned(), ..world };
    world.write("vip.wasm", "one");
    let refused = world.load().expect_err("is not in it");
    let found = hex::encode(sha256(b"one"));
    assert!(
        refused.contains(&format!(
            "`vip`: it is not in trackside.lock, which has no digest to expect; found SHA-256 {found} (3 bytes)"
        )),
        "{refused}"
    );
    assert!(refused.ends_with(&format!("run `trackside plugin lock {}`", world.path().display())), "{refused}");
}

#[test]
fn a_plugin_that_comes_from_somewhere_else_than_the_lock_says_is_refused_even_if_it_is_the_same() {
    let world = World::new(VIP);
    world.write("vip.wasm", "one");
    world.write("other.wasm", "one");
    world.lock().expect("is locked");
    let world = World { plugins: VIP.replace("vip.wasm", "other.wasm"), ..world };
    let refused = world.load().expect_err("another file");
    assert!(refused.contains("has it from `vip.wasm`, and the configuration from `other.wasm`"), "{refused}");
    let world = World { plugins: "[plugins.vip]\noci = \"localhost:1/vip:1\"\n".to_owned(), ..world };
    let refused = world.load().expect_err("a registry, which is not even asked");
    assert!(refused.contains("has it from `vip.wasm`, and the configuration from `localhost:1/vip:1`"), "{refused}");
}

#[test]
fn a_lock_that_was_truncated_or_damaged_keeps_every_plugin_out() {
    let world = World::new(VIP);
    world.write("vip.wasm", "one");
    world.lock().expect("is locked");
    let whole = fs::read_to_string(world.path().join(LOCK_FILE)).expect("there");
    for end in 0..whole.trim_end().len() {
        world.write(LOCK_FILE, &whole[..end]);
        let refused = world.load().expect_err(&whole[..end]);
        assert!(refused.contains("`trackside plugin lock "), "{refused}");
    }
    world.write(LOCK_FILE, whole.replace("version = 1", "version = 2"));
    let refused = world.load().expect_err("of another version");
    assert!(refused.contains("no plugin is loaded until it is right"), "{refused}");
    world.write(LOCK_FILE, whole);
    world.load().expect("is whole again");
}

#[test]
fn without_a_lock_nothing_is_loaded_where_one_is_required() {
    let world = World::new(&format!("{VIP}[trust]\nrequire-lock = true\n"));
    world.write("vip.wasm", "one");
    let refused = world.load().expect_err("there is none");
    assert!(refused.contains("and `[trust]` says `require-lock`; write it by `trackside plugin lock "), "{refused}");
    world.lock().expect("is locked");
    world.load().expect("there is one");
    fs::remove_file(world.path().join(LOCK_FILE)).expect("is removed");
    world.load().expect_err("is gone");
}

#[test]
fn a_pin_and_the_lock_have_to_agree() {
    let world = World::new(&format!("{VIP}sha256 = \"{}\"\n", hex::encode(sha256(b"one"))));
    world.write("vip.wasm", "other");
    let refused = world.lock().expect_err("the pin says something else");
    assert!(refused.contains("but `sha256` says") && refused.contains("/trackside.toml:7:1]"), "{refused}");
    assert!(!world.path().join(LOCK_FILE).exists());
    world.write("vip.wasm", "one");
    world.lock().expect("is locked");
    world.load().expect("both are right");
    let world = World { plugins: world.plugins.replace(&hex::encode(sha256(b"one")), &"00".repeat(32)), ..world };
    assert!(world.load().expect_err("the pin was changed").contains("but `sha256` says 0000"));
}

#[test]
fn what_a_link_leads_to_is_what_counts() {
    let world = World::new(VIP);
    world.write("one", "one");
    world.write("two", "two");
    let link = world.path().join("vip.wasm");
    std::os::unix::fs::symlink("one", &link).expect("is linked");
    world.lock().expect("is locked");
    assert_eq!(world.load().expect("as mounts are").bytes, b"one");
    fs::remove_file(&link).and_then(|()| std::os::unix::fs::symlink("two", &link)).expect("is linked");
    assert!(world.load().expect_err("leads elsewhere").contains("trackside.lock expects the SHA-256"));
    fs::remove_file(&link).and_then(|()| std::os::unix::fs::symlink("/dev/zero", &link)).expect("is linked");
    assert!(world.load().expect_err("has no end").contains("it is not a plain file"));
}

#[test]
fn a_configuration_directory_behind_a_link_has_the_same_lock() {
    let folder = tempfile::tempdir().expect("a folder");
    let (real, link) = (folder.path().join("real"), folder.path().join("link"));
    fs::create_dir_all(real.join("plugins")).expect("is made");
    fs::write(real.join("plugins/a.wasm"), "").expect("is written");
    std::os::unix::fs::symlink("real", &link).expect("is linked");
    for (path, directory) in [(&real, &real), (&link, &link), (&link, &real)] {
        assert_eq!(shown_from(&path.join("plugins/a.wasm"), directory), "plugins/a.wasm");
    }
    assert_eq!(shown_from(Path::new("/elsewhere/a.wasm"), &link), "/elsewhere/a.wasm");
}

#[test]
fn what_was_checked_is_what_is_handed_on_whatever_becomes_of_the_file() {
    let world = World::new(VIP);
    world.write("vip.wasm", "one");
    world.lock().expect("is locked");
    let stop = std::sync::atomic::AtomicBool::new(false);
    let (loaded, refused) = std::thread::scope(|scope| {
        // Another component is put in its place and taken away again, by renaming and by writing over it.
        scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                for content in ["two", "one"] {
                    world.write("draft", content);
                    fs::rename(world.path().join("draft"), world.path().join("vip.wasm")).expect("is renamed");
                    world.write("vip.wasm", content);
                }
            }
        });
        let rules = world.rules();
        let supply = Supply::open(&rules).expect("the lock is right");
        let (name, settings) = rules.config.plugins.iter().next().expect("the plugin");
        let (mut loaded, mut refused, begun) = (Vec::new(), 0, Instant::now());
        while (loaded.len() < 500 || refused < 500) && begun.elapsed() < Duration::from_secs(60) {
            match supply.component(name, settings) {
                Ok(component) => loaded.push(component),
                Err(_) => refused += 1,
            }
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        (loaded, refused)
    });
    assert!(loaded.len() >= 500 && refused >= 500, "both were met: {} and {refused}", loaded.len());
    for component in loaded {
        assert_eq!((component.bytes.as_slice(), component.sha256), (b"one".as_slice(), sha256(b"one")));
    }
}

fn signed_world(key: &SecretKey) -> World {
    let world = World::new(&format!(
        "{VIP}[trust]\nrequire-signature = [\"release\"]\n[trust.keys]\nrelease = \"{}\"\n",
        key.public()
    ));
    world.write("vip.wasm", "one");
    world
}

#[test]
fn a_plugin_is_loaded_with_the_signature_that_is_asked_for_and_no_other() {
    let (key, other) = (SecretKey::generate().expect("a key"), SecretKey::generate().expect("a key"));
    let world = signed_world(&key);
    world.sign(&key, b"one");
    assert_eq!(world.load().expect("is signed").bytes, b"one");

    world.sign(&key, b"two");
    let refused = world.load().expect_err("of another file");
    assert!(
        refused.contains("its signature by `release`") && refused.contains("is not one of this component"),
        "{refused}"
    );
    world.sign(&other, b"one");
    let refused = world.load().expect_err("by another key");
    assert!(refused.contains("it is not signed by `release`"), "{refused}");
    world.write("vip.wasm.sig", "trackside-signature-v1 0123");
    let refused = world.load().expect_err("malformed");
    assert!(refused.contains("its signatures cannot be read: line 1 is none"), "{refused}");
    world.write("vip.wasm.sig", "");
    world.load().expect_err("empty");
    fs::remove_file(world.path().join("vip.wasm.sig")).expect("is removed");
    let refused = world.load().expect_err("missing");
    assert!(
        refused.contains("it has to be signed by `release`, and has no signature: ")
            && refused.contains("vip.wasm.sig cannot be read"),
        "{refused}"
    );
    assert!(world.lock().is_err(), "nor is it locked");
}

#[test]
fn every_key_that_is_named_has_to_have_signed_and_those_of_a_plugin_stand_in_for_those_of_all() {
    let (one, two) = (SecretKey::generate().expect("a key"), SecretKey::generate().expect("a key"));
    let keys = format!(
        "[trust]\nrequire-signature = [\"one\"]\n[trust.keys]\none = \"{}\"\ntwo = \"{}\"\n",
        one.public(),
        two.public()
    );
    let world = World::new(&format!("{VIP}require-signature = [\"one\", \"two\"]\n{keys}"));
    world.write("vip.wasm", "content");
    world.sign(&one, b"content");
    assert!(world.load().expect_err("one of two").contains("it is not signed by `two`"));
    let mut both = Signatures::default();
    one.sign(&mut both, &sha256(b"content"));
    two.sign(&mut both, &sha256(b"content"));
    world.write("vip.wasm.sig", both.to_string());
    world.load().expect("both");

    let world = World { plugins: format!("{VIP}require-signature = [\"two\"]\n{keys}"), ..world };
    world.sign(&two, b"content");
    world.load().expect("its own key alone");
}

#[test]
fn a_standard_plugin_needs_no_signature_and_no_entry() {
    let key = SecretKey::generate().expect("a key");
    let world = signed_world(&key);
    world.sign(&key, b"one");
    let world = World { plugins: format!("[plugins.mask]\nmemory = \"1MiB\"\n{}", world.plugins), ..world };
    world.lock().expect("is locked");
    let lock = check_lock(&world.rules()).unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(lock.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["vip"]);
    assert!(world.rules().config.plugins["mask"].signed_by.is_empty());
}

#[test]
fn a_check_of_the_lock_finds_what_is_missing_what_changed_and_what_is_left_over() {
    let world = World::new(&format!("{VIP}[plugins.old]\npath = \"old.wasm\"\n"));
    world.write("vip.wasm", "one");
    world.write("old.wasm", "old");
    let report = |world: &World| check_lock(&world.rules()).map(drop).map_err(|report| report.to_string());
    assert!(report(&world).expect_err("no lock").contains("there is no `"));
    world.lock().expect("is locked");
    report(&world).expect("fits");
    world.write("vip.wasm", "two");
    let world = World { plugins: VIP.to_owned(), ..world };
    let wrong = report(&world).expect_err("two things");
    assert!(wrong.contains("plugin `vip`: trackside.lock expects"), "{wrong}");
    assert!(
        wrong.contains("plugin `old`: it is in trackside.lock, and the configuration has no such plugin any more"),
        "{wrong}"
    );
}

#[test]
fn a_tag_without_a_lock_is_refused_before_anything_is_asked() {
    let world = World::new("[plugins.vip]\noci = \"localhost:1/team/vip:1.0\"\n");
    let refused = world.load().expect_err("a tag");
    let want =
        "`localhost:1/team/vip:1.0` is a tag, which may lead to something else tomorrow, and no trackside.lock pins it";
    assert!(refused.contains(want) && refused.contains("or write the digest in place of the tag"), "{refused}");
    World::new("").lock().expect("an empty lock");
    world.write(LOCK_FILE, Lock::default().to_string());
    let refused = world.load().expect_err("not in the lock");
    assert!(refused.contains("it is not in trackside.lock"), "{refused}");
}
