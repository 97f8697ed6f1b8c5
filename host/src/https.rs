//! What HTTP clients of services share: TLS by the system's authorities, and errors told with their causes.

use std::error::Error;

use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use url::{Host, Url};

/// A connector that trusts the system's authorities. On a machine that has none, no service is reached by TLS.
pub(crate) fn connector(http: HttpConnector, secure: bool) -> HttpsConnector<HttpConnector> {
    let none = || {
        let config = ClientConfig::builder_with_provider(ring::default_provider().into());
        let config = config.with_safe_default_protocol_versions().expect("ring has what these versions need");
        HttpsConnectorBuilder::new()
            .with_tls_config(config.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
    };
    // Reading the authorities takes milliseconds, which a service without TLS need not cost.
    let builder = match secure {
        true => HttpsConnectorBuilder::new().with_provider_and_native_roots(ring::default_provider()).unwrap_or_else(
            |error| {
                tracing::warn!(%error, "this machine's certificate authorities cannot be read");
                none()
            },
        ),
        false => none(),
    };
    builder.https_or_http().enable_http1().wrap_connector(http)
}

/// Whether the URL's host is this machine, so that nobody else can read on the way.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// An error with all that it comes from: the outermost one often says no more than that there was one.
pub(crate) fn reasons(error: &(dyn Error + 'static)) -> String {
    let mut reasons: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        if reasons.last().is_none_or(|last| !last.contains(&text)) {
            reasons.push(text);
        }
        next = error.source();
    }
    reasons.join(": ")
}
