//! One conversation with a registry, by the OCI Distribution Specification 1.1. It is held with somebody who may be
//! hostile: everything that comes is bounded, redirects are followed by hand and only to where they may lead, and user and
//! password go to the registry, and to where it says over TLS that its tokens come from.

use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION, USER_AGENT, WWW_AUTHENTICATE,
};
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;
use url::Url;

use super::{OciError, tls};
use crate::https::{is_loopback, reasons, reasons_trusting};
use crate::rules::{OciReference, RegistryHost, RegistrySettings, Secret};

/// How long making a connection may take; the whole conversation has the registry's `timeout`.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Redirects that are followed one after another.
const MAX_REDIRECTS: usize = 5;

/// Longest answer of who gives out tokens, in bytes.
const MAX_TOKEN_BYTES: usize = 64 << 10;

const AGENT: &str = concat!("trackside/", env!("CARGO_PKG_VERSION"));

/// A conversation about one plugin.
pub(super) struct Session<'s> {
    host: &'s RegistryHost,
    settings: &'s RegistrySettings,
    /// Where everything about the plugin is below.
    home: Url,
    /// What tokens are asked for.
    scope: String,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    login: Option<(Secret, Secret)>,
    authorization: Option<HeaderValue>,
}

/// What is to be done in the registry.
#[derive(Debug, Clone, Copy)]
pub(super) enum Access {
    Pull,
    Push,
}

/// What gives out tokens answers: by one name, the other, or both.
#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

impl<'s> Session<'s> {
    /// Prepares a conversation; nothing is sent yet.
    pub(super) fn new(
        reference: &'s OciReference,
        settings: &'s RegistrySettings,
        directory: &Path,
        access: Access,
    ) -> Result<Self, OciError> {
        let (host, repository) = (reference.registry(), reference.repository());
        let scheme = if settings.plain_http { "http" } else { "https" };
        let home = Url::parse(&format!("{scheme}://{host}/v2/{repository}/"));
        let login = match &settings.login {
            Some((user, password)) => Some((user.resolve(directory)?, password.resolve(directory)?)),
            None => None,
        };
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let actions = match access {
            Access::Pull => "pull",
            Access::Push => "pull,push",
        };
        Ok(Self {
            host,
            settings,
            home: home.map_err(|error| unreachable(host.as_str(), &error))?,
            scope: format!("repository:{repository}:{actions}"),
            client: Client::builder(TokioExecutor::new()).build(tls::connector(settings, connector)?),
            login,
            authorization: None,
        })
    }

    /// Fetches what is at a path below the plugin's own. Follows redirects.
    pub(super) async fn fetch(
        &mut self,
        path: &str,
        accept: &'static str,
        what: &'static str,
        max_bytes: usize,
    ) -> Result<Bytes, OciError> {
        let mut url = self.below_home(path)?;
        for _ in 0..=MAX_REDIRECTS {
            let response = self.send(Method::GET, &url, (ACCEPT, accept), Bytes::new(), what).await?;
            if response.status().is_redirection() {
                url = self.leads_to(&url, response.headers())?;
                continue;
            }
            if !self.is_home(&url) && response.status() != StatusCode::OK {
                return Err(OciError::Status { host: shown(&url), what, status: response.status().as_u16() });
            }
            self.expect(&response, StatusCode::OK, what)?;
            return body(response, &url, what, max_bytes).await;
        }
        Err(OciError::Redirects(self.host.clone(), MAX_REDIRECTS))
    }

    /// Sends a request to the registry itself, and expects one status.
    pub(super) async fn submit(
        &mut self,
        method: Method,
        url: &Url,
        media_type: &'static str,
        bytes: Bytes,
        (status, what): (StatusCode, &'static str),
    ) -> Result<HeaderMap, OciError> {
        let response = self.send(method, url, (CONTENT_TYPE, media_type), bytes, what).await?;
        self.expect(&response, status, what)?;
        Ok(response.into_parts().0.headers)
    }

    /// Where the answer to the beginning of an upload says that the upload goes. It goes with the right to upload, and so
    /// to nobody but the registry.
    pub(super) fn place_of_upload(&self, begin: &Url, headers: &HeaderMap) -> Result<Url, OciError> {
        let place = self.leads_to(begin, headers)?;
        if self.is_home(&place) { Ok(place) } else { Err(self.elsewhere(&place)) }
    }

    /// The URL of a path below the plugin's own.
    pub(super) fn below_home(&self, path: &str) -> Result<Url, OciError> {
        self.home.join(path).map_err(|error| unreachable(self.host.as_str(), &error))
    }

    /// Sends a request; once more, with what the registry asks for, if it asks who is there.
    async fn send(
        &mut self,
        method: Method,
        url: &Url,
        header: (hyper::header::HeaderName, &'static str),
        bytes: Bytes,
        what: &'static str,
    ) -> Result<Response<Incoming>, OciError> {
        let response = self.send_once(&method, url, &header, bytes.clone()).await?;
        if response.status() != StatusCode::UNAUTHORIZED || !self.is_home(url) {
            return Ok(response);
        }
        self.authorize(response.headers(), what).await?;
        self.send_once(&method, url, &header, bytes).await
    }

    async fn send_once(
        &self,
        method: &Method,
        url: &Url,
        (name, value): &(hyper::header::HeaderName, &'static str),
        bytes: Bytes,
    ) -> Result<Response<Incoming>, OciError> {
        let mut request =
            Request::builder().method(method).uri(uri(url)?).header(USER_AGENT, AGENT).header(name, *value);
        if let Some(authorization) = self.authorization.as_ref().filter(|_| self.is_home(url)) {
            request = request.header(AUTHORIZATION, authorization);
        }
        let request = request.body(Full::new(bytes)).map_err(|error| unreachable(&shown(url), &error))?;
        self.client.request(request).await.map_err(|error| self.broken(url, &error))
    }

    /// Gets what the registry asks for: a token, or user and password as they are.
    async fn authorize(&mut self, headers: &HeaderMap, what: &'static str) -> Result<(), OciError> {
        let texts: Vec<&str> = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|text| text.to_str().ok()).collect();
        let challenges = texts.iter().filter_map(|text| http_auth::parse_challenges(text).ok()).flatten();
        let challenges: Vec<_> = challenges.collect();
        let of = |scheme: &str| challenges.iter().find(|challenge| challenge.scheme.eq_ignore_ascii_case(scheme));
        if let Some(bearer) = of("Bearer") {
            let parameter = |name: &str| {
                let found = bearer.params.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
                found.map(|(_, value)| value.to_unescaped())
            };
            let realm = parameter("realm").and_then(|realm| Url::parse(&realm).ok());
            let realm = realm.ok_or_else(|| OciError::Challenge(self.host.clone()))?;
            let token = self.token(realm, parameter("service").as_deref(), what).await?;
            self.authorization = Some(sensitive(&format!("Bearer {token}"), self.host)?);
            return Ok(());
        }
        if of("Basic").is_none() {
            return Err(OciError::Challenge(self.host.clone()));
        }
        let basic = self.basic()?.ok_or_else(|| OciError::LoginWanted(self.host.clone()))?;
        self.authorization = Some(basic);
        Ok(())
    }

    /// Asks for a token where the registry says, with user and password if there are any.
    async fn token(&self, mut realm: Url, service: Option<&str>, what: &'static str) -> Result<String, OciError> {
        if !self.may_lead_to(&realm) {
            return Err(self.elsewhere(&realm));
        }
        for (name, value) in service.map(|service| ("service", service)).into_iter().chain([("scope", &*self.scope)]) {
            realm.query_pairs_mut().append_pair(name, value);
        }
        let mut request = Request::get(uri(&realm)?).header(USER_AGENT, AGENT);
        if let Some(basic) = self.basic()? {
            request = request.header(AUTHORIZATION, basic);
        }
        let request = request.body(Full::default()).map_err(|error| unreachable(&shown(&realm), &error))?;
        let response = self.client.request(request).await.map_err(|error| self.broken(&realm, &error))?;
        self.expect(&response, StatusCode::OK, what)?;
        let bytes = body(response, &realm, "token", MAX_TOKEN_BYTES).await?;
        let Token { token, access_token } =
            serde_json::from_slice(&bytes).map_err(|_| OciError::Answer(self.host.clone(), "a token"))?;
        token.or(access_token).ok_or_else(|| OciError::Answer(self.host.clone(), "a token"))
    }

    fn basic(&self) -> Result<Option<HeaderValue>, OciError> {
        let Some((user, password)) = &self.login else { return Ok(None) };
        let pair = STANDARD.encode(format!("{}:{}", user.expose(), password.expose()));
        sensitive(&format!("Basic {pair}"), self.host).map(Some)
    }

    fn expect(&self, response: &Response<Incoming>, wanted: StatusCode, what: &'static str) -> Result<(), OciError> {
        let (status, host) = (response.status(), self.host.clone());
        match status {
            _ if status == wanted => Ok(()),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN if self.login.is_none() => {
                Err(OciError::LoginWanted(host))
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(OciError::Denied(host, status.as_u16())),
            StatusCode::NOT_FOUND => Err(OciError::NotFound(host, what)),
            _ => Err(OciError::Status { host: host.to_string(), what, status: status.as_u16() }),
        }
    }

    /// Where an answer leads, if it may.
    fn leads_to(&self, from: &Url, headers: &HeaderMap) -> Result<Url, OciError> {
        let location = headers.get(LOCATION).and_then(|location| location.to_str().ok());
        let location = location.and_then(|location| from.join(location).ok());
        let location = location.ok_or_else(|| OciError::Answer(self.host.clone(), "a place"))?;
        if self.may_lead_to(&location) { Ok(location) } else { Err(self.elsewhere(&location)) }
    }

    /// Registries keep what is large elsewhere, and may lead there: by TLS, to which nothing secret goes along, and what
    /// comes from there is hashed. One that is spoken to without TLS may also lead to itself and to this machine.
    pub(super) fn may_lead_to(&self, url: &Url) -> bool {
        let plain = url.scheme() == "http" && self.settings.plain_http && (self.is_home(url) || is_loopback(url));
        (url.scheme() == "https" || plain) && url.username().is_empty() && url.password().is_none()
    }

    /// Why there is no answer from a place.
    fn broken(&self, url: &Url, error: &(dyn std::error::Error + 'static)) -> OciError {
        let reason = match &self.settings.ca {
            Some(ca) => reasons_trusting(
                error,
                &format!("those of {} are, the `ca` of [registries.\"{}\"]", ca.display(), self.host),
            ),
            None => reasons(error),
        };
        OciError::Unreachable { host: shown(url), reason }
    }

    fn is_home(&self, url: &Url) -> bool {
        self.home.origin() == url.origin()
    }

    fn elsewhere(&self, url: &Url) -> OciError {
        OciError::Elsewhere(self.host.clone(), shown(url))
    }
}

/// The whole of an answer, if it is within the bound.
async fn body(
    response: Response<Incoming>,
    url: &Url,
    what: &'static str,
    max_bytes: usize,
) -> Result<Bytes, OciError> {
    let collected = Limited::new(response.into_body(), max_bytes).collect().await;
    collected.map(http_body_util::Collected::to_bytes).map_err(|error| {
        if error.is::<LengthLimitError>() {
            return OciError::Large { what, max_bytes };
        }
        unreachable(&shown(url), &*error)
    })
}

/// A header's value that no log shows.
fn sensitive(text: &str, host: &RegistryHost) -> Result<HeaderValue, OciError> {
    let mut value = HeaderValue::from_str(text).map_err(|_| OciError::Answer(host.clone(), "a token"))?;
    value.set_sensitive(true);
    Ok(value)
}

fn uri(url: &Url) -> Result<Uri, OciError> {
    url.as_str().parse().map_err(|error| unreachable(&shown(url), &error))
}

/// A URL as messages show it: what follows the host may be a key to what is there.
fn shown(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}", url.scheme(), url.host_str().unwrap_or_default())
}

/// An error with all that it comes from: the outermost one often says no more than that there was one.
fn unreachable(host: &str, error: &(dyn std::error::Error + 'static)) -> OciError {
    OciError::Unreachable { host: host.to_owned(), reason: reasons(error) }
}
