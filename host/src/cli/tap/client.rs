//! Reads server-sent events off a host's admin API.

use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Incoming;
use hyper::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use hyper::{Request, StatusCode};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tokio::time::timeout;
use url::Url;

use crate::app::Failure;
use crate::https::{causes, is_loopback, reasons, tls, try_connector};

/// How long connecting may take, and how long the head of an answer.
const CONNECT_WAIT: Duration = Duration::from_secs(5);
const HEAD_WAIT: Duration = Duration::from_secs(10);

/// How long nothing may come: the host says something every five seconds.
const SILENCE: Duration = Duration::from_secs(20);

/// How much of a refusal is read.
const MAX_PROBLEM_BYTES: usize = 64 << 10;

/// The longest event. What is longer is no event of ours.
const MAX_EVENT_BYTES: usize = 64 << 20;

/// How a tap is asked for.
pub(super) struct Client {
    http: legacy::Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    url: Url,
    token_file: Option<PathBuf>,
}

/// Why a tap cannot be opened.
pub(super) enum OpenError {
    /// It may be possible later.
    NotNow(String),
    /// The host does not want to.
    Refused(String),
}

/// What a host sends.
pub(super) struct Events {
    body: Incoming,
    read: BytesMut,
    parser: Parser,
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) name: String,
    pub(super) data: String,
}

impl Client {
    pub(super) fn new(base: &Url, token_file: Option<PathBuf>, query: &[(&str, &str)]) -> Result<Self, Failure> {
        let wrong = |why: &str| Failure::new(format!("--url {base}: {why}, such as http://127.0.0.1:9270"));
        if !matches!(base.scheme(), "http" | "https") || base.host().is_none() {
            return Err(wrong("it has to be a URL of http or https"));
        }
        if !base.username().is_empty() || base.password().is_some() {
            return Err(Failure::new("--url: a URL cannot have a name and a password; give the token by --token-file"));
        }
        if base.query().is_some() || base.fragment().is_some() {
            return Err(wrong("it has to be a URL without a query"));
        }
        let mut url = base.clone();
        url.set_path(&format!("{}/v1/tap", base.path().trim_end_matches('/')));
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        if token_file.is_some() && url.scheme() == "http" && !is_loopback(&url) {
            eprintln!("warning: {} has no TLS, so that whoever is on the way to it can read the token", place(&url));
        }
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_connect_timeout(Some(CONNECT_WAIT));
        let connector = try_connector(http, url.scheme() == "https").map_err(|error| {
            Failure::new(format!(
                "no certificate authority is known here, by which {} could be trusted: {error}; name a PEM file with \
                 authorities by SSL_CERT_FILE",
                place(&url)
            ))
        })?;
        let http = legacy::Client::builder(TokioExecutor::new()).build(connector);
        Ok(Self { http, url, token_file })
    }

    /// Where the host is.
    pub(super) fn place(&self) -> String {
        place(&self.url)
    }

    pub(super) async fn open(&self) -> Result<Events, OpenError> {
        let mut request = Request::get(self.url.as_str()).header(ACCEPT, "text/event-stream");
        if let Some(token) = self.token().map_err(OpenError::Refused)? {
            request = request.header(AUTHORIZATION, token);
        }
        let request = request.body(Empty::new()).map_err(|error| OpenError::Refused(error.to_string()))?;
        let place = self.place();
        let answer = match timeout(HEAD_WAIT, self.http.request(request)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Err(self.unanswered(&error)),
            Err(_) => return Err(OpenError::NotNow(format!("{place} does not answer within {HEAD_WAIT:?}"))),
        };
        let status = answer.status();
        if status == StatusCode::OK {
            return Ok(Events { body: answer.into_body(), read: BytesMut::new(), parser: Parser::default() });
        }
        let detail = detail(answer.into_body()).await.unwrap_or_else(|| "it does not say why".to_owned());
        let help = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN if self.token_file.is_none() => {
                "; give the token by --token-file"
            }
            StatusCode::UNAUTHORIZED => "; the token of --token-file is not the one that it takes",
            _ => "",
        };
        let why = format!("{place} refuses ({status}): {detail}{help}");
        let later = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
        Err(if later { OpenError::NotNow(why) } else { OpenError::Refused(why) })
    }

    /// Why there is no answer, and what can be done about it.
    fn unanswered(&self, error: &(dyn Error + 'static)) -> OpenError {
        let (place, secure) = (self.place(), self.url.scheme() == "https");
        let other = match secure {
            true => place.replacen("https", "http", 1),
            false => place.replacen("http", "https", 1),
        };
        if let Some(found) = tls::find_error(error) {
            let next = match tls::is_plain(found) {
                true => format!("; a host without `tls` under [admin] is reached by --url {other}"),
                false => String::new(),
            };
            return OpenError::Refused(format!("no TLS with {place}: {}{next}", reasons(error)));
        }
        let http = causes(error).find_map(|error| error.downcast_ref::<hyper::Error>());
        let ended =
            tls::is_closed_early(error) || http.is_some_and(hyper::Error::is_incomplete_message) || is_reset(error);
        OpenError::NotNow(if http.is_some_and(hyper::Error::is_parse) {
            format!(
                "what answers at {place} does not talk HTTP; a host with `tls` under [admin] is reached by --url {other}, and \
                 NATS is no admin API"
            )
        } else if ended {
            let with = if secure { "without" } else { "with" };
            format!(
                "{place} took the connection and closed it without a word: is that the `listen` of [admin]? A host {with} `tls` \
                 there is reached by --url {other}"
            )
        } else if is_unknown(error) {
            format!(
                "--url {place}: this machine finds no address by that name ({}); is it spelled as it should be?",
                cause(error)
            )
        } else {
            let why = cause(error);
            format!(
                "no host is reached at {place}: {why}; is it running, with a table `[admin]`? --url says where it listens"
            )
        })
    }

    /// What the token's file holds now: it may have been replaced since.
    fn token(&self) -> Result<Option<HeaderValue>, String> {
        let Some(path) = &self.token_file else { return Ok(None) };
        let text =
            std::fs::read_to_string(path).map_err(|error| format!("--token-file {}: {error}", path.display()))?;
        let token = text.trim();
        if token.is_empty() {
            return Err(format!("--token-file {}: the file is empty", path.display()));
        }
        let value = HeaderValue::try_from(format!("Bearer {token}"));
        let mut value = value.map_err(|_| format!("--token-file {}: a token is one line of ASCII", path.display()))?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}

impl Events {
    /// The next event, or why there is none any more.
    pub(super) async fn next(&mut self) -> Result<Event, String> {
        loop {
            while let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                let line = self.read.split_to(end + 1);
                if let Some(event) = self.parser.line(&line[..end]) {
                    return Ok(event);
                }
            }
            if self.read.len() + self.parser.data.len() > MAX_EVENT_BYTES {
                return Err("sent something that is no event".to_owned());
            }
            match timeout(SILENCE, self.body.frame()).await {
                Err(_) => return Err(format!("was silent for {SILENCE:?}")),
                Ok(None) => return Err("has ended the connection".to_owned()),
                Ok(Some(Err(error))) => return Err(format!("is gone: {}", cause(&error))),
                Ok(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        self.read.extend_from_slice(&data);
                    }
                }
            }
        }
    }
}

/// The part of the format (HTML, 9.2) that a host writes.
#[derive(Debug, Default)]
struct Parser {
    name: String,
    data: String,
}

impl Parser {
    /// Takes a line, without its end. The event, if it was the last line of one.
    fn line(&mut self, line: &[u8]) -> Option<Event> {
        let text = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line));
        if text.is_empty() {
            let Self { name, data } = std::mem::take(self);
            return (!data.is_empty()).then_some(Event { name, data });
        }
        let (field, value) = text.split_once(':').unwrap_or((&text, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.name),
            "data" => {
                if !self.data.is_empty() {
                    self.data.push('\n');
                }
                self.data.push_str(value);
            }
            // A comment, which is a sign of life; or the event's number, which nothing is asked for by.
            _ => {}
        }
        None
    }
}

/// What problem details (RFC 9457) say.
async fn detail(body: Incoming) -> Option<String> {
    let body = timeout(HEAD_WAIT, Limited::new(body, MAX_PROBLEM_BYTES).collect()).await.ok()?.ok()?.to_bytes();
    let problem: Value = serde_json::from_slice(&body).ok()?;
    Some(super::show::visible(problem["detail"].as_str()?))
}

fn place(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// Whether the connection was reset, as it is by who closes it with something unread.
fn is_reset(error: &(dyn Error + 'static)) -> bool {
    let mut io = causes(error).filter_map(|error| error.downcast_ref::<io::Error>());
    io.any(|error| error.kind() == io::ErrorKind::ConnectionReset)
}

/// Whether the name was looked up in vain.
fn is_unknown(error: &(dyn Error + 'static)) -> bool {
    // The library has no type for it.
    causes(error).any(|error| error.to_string() == "dns error")
}

/// The innermost cause, which is what people can do something about.
fn cause(error: &dyn Error) -> String {
    let mut innermost = error;
    while let Some(next) = innermost.source() {
        innermost = next;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_line_by_line() {
        let mut parser = Parser::default();
        let text = "event: outcome\r\nid: 7\ndata: {\"a\":\ndata: 1}\n\n:\n\nevent: dropped\ndata:{}\n\n";
        let events: Vec<Event> = text.lines().filter_map(|line| parser.line(line.as_bytes())).collect();
        let event = |name: &str, data: &str| Event { name: name.to_owned(), data: data.to_owned() };
        assert_eq!(events, [event("outcome", "{\"a\":\n1}"), event("dropped", "{}")]);
    }

    #[test]
    fn a_url_says_where_and_nothing_else() {
        let client =
            |url: &str| Client::new(&url.parse().expect("a URL"), None, &[("subject", "a.>"), ("reveal", "true")]);
        let made = client("http://127.0.0.1:9270/").map_err(|failure| failure.to_string()).expect("it is right");
        assert_eq!(made.url.as_str(), "http://127.0.0.1:9270/v1/tap?subject=a.%3E&reveal=true");
        assert_eq!(made.place(), "http://127.0.0.1:9270");
        for url in ["ftp://a", "http://u:secret@a", "http://a?b=c", "nats:x"] {
            let failure = client(url).err().expect("it is wrong").to_string();
            assert!(failure.starts_with("--url") && !failure.contains("secret"), "{failure}");
        }
    }
}
