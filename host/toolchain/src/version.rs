//! Version numbers as programs print them.

use std::fmt;

/// Major, minor and patch; what follows (`-RC.1`, `+build`) is not looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(
    /// The major number.
    pub u32,
    /// The minor number.
    pub u32,
    /// The patch.
    pub u32,
);

impl Version {
    /// The first word of the text that looks like a version, a leading `v` or not; a missing patch counts as 0.
    #[must_use]
    pub fn find(text: &str) -> Option<Self> {
        text.split_whitespace().find_map(|word| {
            let word = word.strip_prefix('v').unwrap_or(word);
            let word = word.split(['-', '+']).next()?;
            let mut parts = word.split('.').map(str::parse);
            let (major, minor) = (parts.next()?.ok()?, parts.next()?.ok()?);
            let patch = parts.next().unwrap_or(Ok(0)).ok()?;
            parts.next().is_none().then_some(Self(major, minor, patch))
        })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_programs_print() {
        for (text, want) in [
            ("nats-server: v2.15.1\n", Some(Version(2, 15, 1))),
            ("nats-server: v2.12.0-RC.1", Some(Version(2, 12, 0))),
            ("rustc 1.96.0 (ac68faa20 2026-05-25) (built from a source tarball)", Some(Version(1, 96, 0))),
            ("1.95", Some(Version(1, 95, 0))),
            ("nats-server: unknown", None),
            ("1.2.3.4", None),
            ("", None),
        ] {
            assert_eq!(Version::find(text), want, "{text}");
        }
    }

    #[test]
    fn versions_are_compared_by_number_and_not_by_spelling() {
        assert!(Version(2, 9, 10) < Version(2, 11, 0));
        assert_eq!(Version(2, 11, 0).to_string(), "2.11.0");
    }
}
