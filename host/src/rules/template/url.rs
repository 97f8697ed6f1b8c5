//! URLs that outputs are posted to: `http://127.0.0.1:8080/orders/{subject.2}?region={header.Region}`.
//!
//! Scheme, host and port are literal, and what is put into the rest is percent-encoded (RFC 3986), so that a message can
//! choose among the paths that the rule's author named, and no host.

use std::fmt;
use std::net::Ipv6Addr;
use std::sync::Arc;

use trackside_json::{Limits, Selector};

use super::parse::{closing, compile, placeholder};
use super::{Found, Piece, RenderError, TemplateError};
use crate::message::Message;

/// Longest path with its query, in bytes; many servers take no longer one.
pub(super) const MAX_PATH_BYTES: usize = 8 << 10;

/// Longest URL as it is written, in bytes.
const MAX_URL_BYTES: usize = 4 << 10;

/// Longest host, in bytes, by RFC 1035.
const MAX_HOST_BYTES: usize = 253;

const EXAMPLE: &str = "write for example \"http://127.0.0.1:8080\"";

/// Why a text is not a URL to post to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// It is longer than makes sense.
    #[error("it has more than {MAX_URL_BYTES} bytes")]
    Long,
    /// Neither `http://` nor `https://`.
    #[error("it begins with `http://` or `https://`: {EXAMPLE}")]
    Scheme,
    /// The host is none.
    #[error("its host is a name, an IPv4 address or an IPv6 address in brackets: {EXAMPLE}")]
    Host,
    /// The host has a placeholder.
    #[error("its host has a placeholder, so a message could choose any host: placeholders come after the first `/`")]
    Chosen,
    /// There is a user or password in it.
    #[error("it has a user or password in it, which would be shown: leave them out")]
    User,
    /// The port is none.
    #[error("its port is a number from 1 to 65535: {EXAMPLE}")]
    Port,
    /// There is more than scheme, host and port where there can be no more.
    #[error("it is scheme, host and port and nothing else: write for example \"http://127.0.0.1:8080\"")]
    More,
    /// A fragment.
    #[error("it has a `#`, and what follows that is never sent: leave it out")]
    Fragment,
    /// A character that has to be encoded.
    #[error("it has {0:?}, which has to be percent-encoded in a URL")]
    Character(char),
    /// `%` without two hexadecimal digits.
    #[error("it has a `%` without two hexadecimal digits after it")]
    Percent,
    /// A path that leads elsewhere.
    #[error("its path has `.` or `..` between slashes: write where that leads")]
    Dots,
    /// Something is wrong with a placeholder.
    #[error(transparent)]
    Placeholder(#[from] TemplateError),
}

/// Scheme, host and port of a service. Host names are in lower case, and a port that the scheme has anyway is left out, so
/// that two spellings of one address are the same. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServiceAddress {
    text: Arc<str>,
    host: Arc<str>,
    port: u16,
    secure: bool,
}

/// A URL with placeholders. Cheap to clone.
#[derive(Clone)]
pub struct UrlTemplate {
    text: Arc<str>,
    address: ServiceAddress,
    body: Arc<Body>,
}

struct Body {
    /// Path and query.
    pieces: Vec<Piece>,
    json: Option<Arc<Selector>>,
}

impl ServiceAddress {
    /// Reads `http://HOST[:PORT]` or `https://HOST[:PORT]`; a slash at the end changes nothing.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let (address, rest) = Self::split(text)?;
        if matches!(rest, "" | "/") { Ok(address) } else { Err(UrlError::More) }
    }

    /// Reads an address that a path of plain characters may follow, which comes without the slash at its end.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse_with_path(text: &str) -> Result<(Self, &str), UrlError> {
        let (address, rest) = Self::split(text)?;
        let path = rest.trim_end_matches('/');
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
        if path.bytes().all(plain) { Ok((address, path)) } else { Err(UrlError::More) }
    }

    /// The address that a URL begins with, and the rest of it.
    fn split(text: &str) -> Result<(Self, &str), UrlError> {
        if text.len() > MAX_URL_BYTES {
            return Err(UrlError::Long);
        }
        let (secure, after) = match (text.strip_prefix("http://"), text.strip_prefix("https://")) {
            (Some(after), _) => (false, after),
            (_, Some(after)) => (true, after),
            _ => return Err(UrlError::Scheme),
        };
        let (authority, rest) = after.split_at(after.find(['/', '?', '#']).unwrap_or(after.len()));
        if authority.contains(['{', '}']) {
            return Err(UrlError::Chosen);
        }
        if authority.contains('@') {
            return Err(UrlError::User);
        }
        let (host, port) = match authority.strip_prefix('[') {
            Some(bracketed) => {
                let (host, port) = bracketed.split_once(']').ok_or(UrlError::Host)?;
                let address: Ipv6Addr = host.parse().map_err(|_| UrlError::Host)?;
                (format!("[{address}]"), if port.is_empty() { None } else { Some(port.strip_prefix(':')) })
            }
            None => match authority.split_once(':') {
                Some((host, port)) => (host.to_ascii_lowercase(), Some(Some(port))),
                None => (authority.to_ascii_lowercase(), None),
            },
        };
        let usual = if secure { 443 } else { 80 };
        let port = match port {
            None => usual,
            Some(port) => port.and_then(|port| port.parse().ok()).filter(|port| *port > 0).ok_or(UrlError::Port)?,
        };
        let named = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        if !host.starts_with('[') && (host.is_empty() || host.len() > MAX_HOST_BYTES || !host.chars().all(named)) {
            return Err(UrlError::Host);
        }
        let scheme = if secure { "https" } else { "http" };
        let text = if port == usual { format!("{scheme}://{host}") } else { format!("{scheme}://{host}:{port}") };
        Ok((Self { text: text.into(), host: host.into(), port, secure }, rest))
    }

    /// The address as text, with no slash at its end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The host, an IPv6 address without its brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        self.host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(&self.host)
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether it is spoken to by TLS.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.secure
    }
}

impl UrlTemplate {
    /// Whether a text is meant as a URL, and not as a subject.
    #[must_use]
    pub fn is_meant(text: &str) -> bool {
        text.starts_with("http://") || text.starts_with("https://")
    }

    /// Reads a URL and compiles the JSONPaths of its placeholders.
    ///
    /// # Errors
    /// What is wrong with it, and what to write.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let (address, rest) = ServiceAddress::split(text)?;
        let (mut pieces, mut paths) = (Vec::new(), Vec::new());
        if !rest.starts_with('/') {
            pieces.push(Piece::Literal("/".to_owned()));
        }
        let mut rest = rest;
        while !rest.is_empty() {
            let end = if rest.starts_with('{') {
                let end = closing(rest).ok_or(TemplateError::Unclosed)?;
                pieces.push(placeholder(&rest[1..end], &mut paths)?);
                end + 1
            } else {
                let end = rest.find('{').unwrap_or(rest.len());
                check_literal(&rest[..end])?;
                pieces.push(Piece::Literal(rest[..end].to_owned()));
                end
            };
            rest = &rest[end..];
        }
        // A placeholder is a letter here: what it may stand for is checked where it is filled in.
        let shape = pieces.iter().map(|piece| if let Piece::Literal(text) = piece { text.as_str() } else { "x" });
        if has_dot_segment(&shape.collect::<String>()) {
            return Err(UrlError::Dots);
        }
        let json = if paths.is_empty() { None } else { Some(Arc::new(compile(&paths)?)) };
        Ok(Self { text: Arc::from(text), address, body: Arc::new(Body { pieces, json }) })
    }

    /// Scheme, host and port.
    #[must_use]
    pub fn address(&self) -> &ServiceAddress {
        &self.address
    }

    /// Path and query for a message.
    ///
    /// # Errors
    /// When a placeholder has no value in this message, or the path would lead elsewhere or get too long.
    pub fn render(&self, message: &Message, limits: &Limits) -> Result<String, RenderError> {
        let found = Found::new(self.body.json.as_deref(), &self.body.pieces, message, limits)?;
        let mut path = String::with_capacity(self.text.len() + 32);
        for piece in &self.body.pieces {
            let value = found.value(piece, message)?;
            match piece {
                Piece::Literal(text) => path.push_str(text),
                _ if value.is_empty() => {
                    return Err(RenderError::UrlValue { placeholder: piece.to_string(), reason: "is empty" });
                }
                _ => encode(&value, &mut path),
            }
            if path.len() > MAX_PATH_BYTES {
                return Err(RenderError::LongUrl(path.len()));
            }
        }
        if has_dot_segment(&path) { Err(RenderError::DotSegment) } else { Ok(path) }
    }

    /// The highest position that `{subject.N}` asks for; 0 if none does.
    #[must_use]
    pub fn last_position(&self) -> usize {
        let position = |piece: &Piece| if let Piece::Subject(position) = piece { *position } else { 0 };
        self.body.pieces.iter().map(position).max().unwrap_or(0)
    }
}

/// A literal part has no placeholder, and only characters that a URL may have after its host.
fn check_literal(text: &str) -> Result<(), UrlError> {
    let bytes = text.as_bytes();
    for (at, c) in text.char_indices() {
        match c {
            '}' => return Err(TemplateError::Unopened.into()),
            '#' => return Err(UrlError::Fragment),
            '%' if !bytes.get(at + 1..at + 3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) => {
                return Err(UrlError::Percent);
            }
            c if c.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:@%/?".contains(c) => {}
            c => return Err(UrlError::Character(c)),
        }
    }
    Ok(())
}

/// Whether a part of the path stands for this or the next folder, encoded or not (RFC 3986, 5.2.4).
fn has_dot_segment(path: &str) -> bool {
    let path = path.split('?').next().unwrap_or_default();
    path.split('/').any(|segment| matches!(segment.replace("%2e", ".").replace("%2E", ".").as_str(), "." | ".."))
}

/// Everything but unreserved characters as `%` and two hexadecimal digits.
fn encode(value: &str, path: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            path.push(char::from(byte));
        } else {
            path.push('%');
            path.push(char::from(DIGITS[usize::from(byte >> 4)]));
            path.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
}

impl fmt::Display for ServiceAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for ServiceAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.text)
    }
}

impl fmt::Display for UrlTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for UrlTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Subject;

    fn message() -> Message {
        let payload = bytes::Bytes::from_static(br#"{"id":"a/b c","n":7.5,"up":"..","no":null}"#);
        let mut message = Message { subject: Subject::delivered("orders.eu"), payload, ..Message::default() };
        message.headers.push("Region", "nörd&x=1#?");
        message.headers.push("Empty", "");
        message
    }

    fn render(url: &str) -> Result<String, String> {
        let template = UrlTemplate::parse(url).map_err(|error| error.to_string())?;
        let path = template.render(&message(), &Limits::default()).map_err(|error| error.to_string())?;
        Ok(format!("{}{path}", template.address()))
    }

    #[test]
    fn placeholders_are_percent_encoded_and_cannot_leave_their_place() {
        for (url, want) in [
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080/"),
            ("http://App:80/orders", "http://app/orders"),
            ("https://[0::1]:8443?a=b", "https://[::1]:8443/?a=b"),
            ("http://app/{subject.2}/{json:$.id}", "http://app/eu/a%2Fb%20c"),
            ("http://app/x?r={header.Region}&n={json:$.n}", "http://app/x?r=n%C3%B6rd%26x%3D1%23%3F&n=7.5"),
            ("http://app/v-{json:$.up}", "http://app/v-.."),
            ("http://app/x?up={json:$.up}", "http://app/x?up=.."),
        ] {
            assert_eq!(render(url).as_deref(), Ok(want), "{url}");
        }
        for (url, want) in [
            ("http://app/{json:$.up}/x", "the URL that the template makes has `.` or `..` between slashes"),
            ("http://app/{header.Empty}", "the value of `{header.Empty}` cannot be part of a URL: it is empty"),
            ("http://app/{json:$.no}", "`{json:$.no}` of the template has nothing to insert: the value is null"),
            ("http://app/{subject.3}", "`{subject.3}` of the template has nothing to insert"),
        ] {
            let error = render(url).expect_err(url);
            assert!(error.starts_with(want), "{url}: {error}");
        }
    }

    #[test]
    fn what_is_no_url_to_post_to_is_told_with_what_to_write() {
        for (url, want) in [
            ("ftp://app/", "it begins with `http://`"),
            ("http://{subject.1}/x", "its host has a placeholder"),
            ("http://app{header.X}:80/x", "its host has a placeholder"),
            ("http://user:secret@app/", "it has a user or password"),
            ("http:///x", "its host is a name"),
            ("http://a b/x", "its host is a name"),
            ("http://[::g]/x", "its host is a name"),
            ("http://app:0/x", "its port is a number"),
            ("http://app:99999/x", "its port is a number"),
            ("http://[::1]x/", "its port is a number"),
            ("http://app/a#b", "it has a `#`"),
            ("http://app/a b", "it has ' '"),
            ("http://app/a%2", "it has a `%`"),
            ("http://app/a/../b", "its path has `.` or `..`"),
            ("http://app/a/%2e%2E", "its path has `.` or `..`"),
            ("http://app/{subject.2", "a `{` has no `}`"),
            ("http://app/{json:$..a}", "`{json:$..a}` may match more than one value"),
        ] {
            let error = UrlTemplate::parse(url).expect_err(url).to_string();
            assert!(error.starts_with(want), "{url}: {error}");
        }
        assert_eq!(ServiceAddress::parse("http://app/x"), Err(UrlError::More));
        assert_eq!(ServiceAddress::parse("HTTP://app"), Err(UrlError::Scheme));
        assert_eq!(ServiceAddress::parse("http://app:80/"), ServiceAddress::parse("http://APP"));
    }
}
