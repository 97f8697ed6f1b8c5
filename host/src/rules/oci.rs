//! References to plugins in OCI registries: `HOST[:PORT]/NAME[:TAG][@sha256:DIGEST]`, by the OCI Distribution
//! Specification 1.1. Other tools put a registry of their choice in front of a reference without one; here the host
//! has to be there, so that a file says where its plugins come from.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// Longest reference, in bytes.
const MAX_REFERENCE_BYTES: usize = 512;

/// Longest name in a registry, in bytes; what others take too.
const MAX_REPOSITORY_BYTES: usize = 255;

/// Longest tag, in bytes, by the specification.
const MAX_TAG_BYTES: usize = 128;

const EXAMPLE: &str = "write for example \"registry.example/team/name@sha256:…\"";

/// Why a text is no reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// No slash at all, or too long.
    #[error("it is made of a registry's host, a `/` and the plugin's name there; {EXAMPLE}")]
    Shape,
    /// The host is none.
    #[error(
        "it begins with a registry's host, which has a dot or a port or is `localhost`, in lower case, without a scheme; \
         {EXAMPLE}"
    )]
    Host,
    /// The name is none.
    #[error("the name in the registry is made of lower-case letters, digits, `.`, `_`, `-` and `/`; {EXAMPLE}")]
    Repository,
    /// The tag is none.
    #[error("a tag is made of at most {MAX_TAG_BYTES} letters, digits, `.`, `_` and `-`")]
    Tag,
    /// The digest is none.
    #[error("what follows `@` is `sha256:` and 64 hexadecimal digits in lower case")]
    Digest,
    /// Neither a tag nor a digest.
    #[error("it ends with a digest, `@sha256:…`, or with a tag, `:1.0`, that `trackside plugin lock` pins")]
    Version,
}

/// Where a plugin is in a registry. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct OciReference {
    text: Arc<str>,
    registry: RegistryHost,
    repository: Arc<str>,
    tag: Option<Arc<str>>,
    digest: Option<[u8; 32]>,
}

/// The host of a registry, with its port if that is not the usual one, in lower case. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RegistryHost(Arc<str>);

impl OciReference {
    /// Reads a reference.
    ///
    /// # Errors
    /// What is wrong with it, and what to write.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        if text.len() > MAX_REFERENCE_BYTES {
            return Err(ReferenceError::Shape);
        }
        let (place, digest) = match text.split_once('@') {
            Some((place, digest)) => (place, Some(parse_digest(digest).ok_or(ReferenceError::Digest)?)),
            None => (text, None),
        };
        let (host, path) = place.split_once('/').ok_or(ReferenceError::Shape)?;
        let (repository, tag) = match path.split_once(':') {
            Some((repository, tag)) => (repository, Some(tag)),
            None => (path, None),
        };
        let registry = RegistryHost::new(host)?;
        if repository.len() > MAX_REPOSITORY_BYTES || !repository.split('/').all(is_component) {
            return Err(ReferenceError::Repository);
        }
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(ReferenceError::Tag);
        }
        if tag.is_none() && digest.is_none() {
            return Err(ReferenceError::Version);
        }
        Ok(Self { text: text.into(), registry, repository: repository.into(), tag: tag.map(Arc::from), digest })
    }

    /// The reference as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The registry.
    #[must_use]
    pub fn registry(&self) -> &RegistryHost {
        &self.registry
    }

    /// The plugin's name in the registry.
    #[must_use]
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag, which may lead somewhere else tomorrow.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The SHA-256 of the manifest, if the reference has one. A tag beside it is for people to read.
    #[must_use]
    pub fn digest(&self) -> Option<&[u8; 32]> {
        self.digest.as_ref()
    }
}

impl RegistryHost {
    /// Checks the text and makes a host of it.
    ///
    /// # Errors
    /// When it is no host with an optional port.
    pub fn new(text: &str) -> Result<Self, ReferenceError> {
        let (name, port) = split_port(text).ok_or(ReferenceError::Host)?;
        let is_address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
        let is_address = is_address.is_some_and(|name| name.parse::<std::net::Ipv6Addr>().is_ok());
        let label = |label: &str| {
            let fits = label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
            !label.is_empty() && label.len() <= 63 && fits && !label.starts_with('-') && !label.ends_with('-')
        };
        let is_name = name.len() <= 253 && name.split('.').all(label);
        let is_explicit = name.contains('.') || name == "localhost" || port.is_some() || is_address;
        let port_fits = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
        if (is_name || is_address) && is_explicit && port_fits {
            Ok(Self(text.into()))
        } else {
            Err(ReferenceError::Host)
        }
    }

    /// The host and its port as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is this machine, by an address or by the name `localhost`.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        let name = split_port(&self.0).map_or(&*self.0, |(name, _)| name);
        let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        name == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }
}

/// `sha256:` and 64 hexadecimal digits in lower case.
fn parse_digest(text: &str) -> Option<[u8; 32]> {
    let digits = text.strip_prefix("sha256:").filter(|digits| !digits.contains(|c: char| c.is_ascii_uppercase()))?;
    let mut digest = [0; 32];
    hex::decode_to_slice(digits, &mut digest).ok()?;
    Some(digest)
}

/// The host and what follows its colon, which is none of those in an IPv6 address.
fn split_port(text: &str) -> Option<(&str, Option<&str>)> {
    let host_end = if text.starts_with('[') { text.find(']')? + 1 } else { text.find(':').unwrap_or(text.len()) };
    match &text[host_end..] {
        "" => Some((text, None)),
        rest => rest.strip_prefix(':').map(|port| (&text[..host_end], Some(port))),
    }
}

/// One part of a name: runs of letters and digits, joined by `.`, `_`, `__` or hyphens.
fn is_component(part: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let separators = part.split(|c: char| c.is_ascii() && is_word(c as u8)).filter(|run| !run.is_empty());
    let bounded = part.bytes().next().is_some_and(is_word) && part.bytes().last().is_some_and(is_word);
    bounded && separators.into_iter().all(|run| matches!(run, "." | "_" | "__") || run.bytes().all(|b| b == b'-'))
}

fn is_tag(tag: &str) -> bool {
    let fits = tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
    (1..=MAX_TAG_BYTES).contains(&tag.len()) && fits && !tag.starts_with(['.', '-'])
}

impl fmt::Display for OciReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for OciReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OciReference({self})")
    }
}

impl fmt::Display for RegistryHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RegistryHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RegistryHost({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn a_reference_is_taken_apart() {
        let text = format!("ghcr.io/team/geo-ip_v2.x:1.0@{DIGEST}");
        let reference = OciReference::parse(&text).expect("a reference");
        assert_eq!(reference.registry().as_str(), "ghcr.io");
        assert_eq!((reference.repository(), reference.tag()), ("team/geo-ip_v2.x", Some("1.0")));
        assert_eq!(reference.digest().map(hex::encode).as_deref(), DIGEST.strip_prefix("sha256:"));
        assert_eq!(reference.to_string(), text);
        for text in ["localhost/a:1", "127.0.0.1:5000/a/b:v-1", "[::1]:5000/a:1", "registry:5000/a:1"] {
            let reference = OciReference::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(reference.digest(), None);
        }
    }

    #[test]
    fn what_is_no_reference_is_told_why() {
        let upper = DIGEST.to_uppercase().replace("SHA256", "sha256");
        for (text, want) in [
            ("geo", ReferenceError::Shape),
            ("geo/a:1", ReferenceError::Host),
            ("https://ghcr.io/a:1", ReferenceError::Host),
            ("user@ghcr.io/a:1", ReferenceError::Digest),
            ("GHCR.io/a:1", ReferenceError::Host),
            ("ghcr.io:0/a:1", ReferenceError::Host),
            ("ghcr..io/a:1", ReferenceError::Host),
            ("[::1/a:1", ReferenceError::Host),
            ("ghcr.io/a", ReferenceError::Version),
            ("ghcr.io/A:1", ReferenceError::Repository),
            ("ghcr.io/a//b:1", ReferenceError::Repository),
            ("ghcr.io/../b:1", ReferenceError::Repository),
            ("ghcr.io/a?b:1", ReferenceError::Repository),
            ("ghcr.io/a___b:1", ReferenceError::Repository),
            ("ghcr.io/a:", ReferenceError::Tag),
            ("ghcr.io/a:1/2", ReferenceError::Tag),
            ("ghcr.io/a@sha256:00", ReferenceError::Digest),
            (&format!("ghcr.io/a@{upper}"), ReferenceError::Digest),
            ("ghcr.io/a@md5:d41d8cd98f00b204e9800998ecf8427e", ReferenceError::Digest),
        ] {
            assert_eq!(OciReference::parse(text).err(), Some(want), "{text}");
        }
    }

    #[test]
    fn this_machine_is_told_from_others() {
        for (host, want) in [
            ("localhost", true),
            ("localhost:5000", true),
            ("127.0.0.1:5000", true),
            ("127.9.9.9", true),
            ("[::1]:5000", true),
            ("localhost.example", false),
            ("127.0.0.1.example:5000", false),
            ("10.0.0.1:5000", false),
        ] {
            assert_eq!(RegistryHost::new(host).expect(host).is_loopback(), want, "{host}");
        }
    }
}
