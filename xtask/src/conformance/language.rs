//! The languages, and what is particular about each.

use clap::ValueEnum;

/// A language with an SDK.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Language {
    Rust,
    C,
    Go,
    Js,
    Python,
}

impl Language {
    /// All of them, from the quickest to the slowest.
    pub(crate) const ALL: [Self; 5] = [Self::Rust, Self::C, Self::Go, Self::Js, Self::Python];

    /// How commands and folders spell it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::C => "c",
            Self::Go => "go",
            Self::Js => "js",
            Self::Python => "python",
        }
    }

    /// How people spell it.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Rust => "Rust",
            Self::C => "C",
            Self::Go => "Go",
            Self::Js => "JavaScript",
            Self::Python => "Python",
        }
    }

    /// The command that runs a project's own test.
    pub(super) fn native_test(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Self::Rust => ("cargo", &["test", "--quiet"]),
            Self::C => ("make", &["test"]),
            Self::Go => ("go", &["test", "./..."]),
            Self::Js => ("npm", &["test"]),
            Self::Python => ("python3", &["-m", "unittest"]),
        }
    }

    /// The command that brings a project's dependencies into its folder, if it has any.
    pub(super) fn install(self) -> Option<(&'static str, &'static [&'static str])> {
        match self {
            Self::Js => Some(("npm", &["install", "--no-audit", "--no-fund", "--no-package-lock", "--prefer-offline"])),
            Self::Rust | Self::C | Self::Go | Self::Python => None,
        }
    }

    /// What is checked of the SDK itself, and of the conformance plugin's types: commands, and the folders they run in.
    pub(super) fn checks(self) -> &'static [(&'static str, &'static [&'static str], &'static str)] {
        match self {
            Self::Rust => &[],
            Self::C => &[("make", &["test"], "plugin-sdk/c/tests")],
            Self::Go => {
                &[("go", &["test", "./..."], "plugin-sdk/go/test"), ("go", &["vet", "./..."], "tests/conformance/go")]
            }
            Self::Js => &[
                ("node", &["--test", "test"], "plugin-sdk/js"),
                ("npx", &["tsc", "--project", "."], "tests/conformance/js"),
            ],
            Self::Python => &[("python3", &["-m", "unittest"], "plugin-sdk/python")],
        }
    }
}
