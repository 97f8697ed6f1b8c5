//! Keeps web pages out. A browser lets any page send requests to the loopback interface, and a page whose name is made
//! to resolve to it (DNS rebinding) even reads the answers; neither can hide where it comes from.

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, HOST, HeaderValue, ORIGIN, X_CONTENT_TYPE_OPTIONS};
use axum::http::uri::Authority;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::problem::Problem;

/// Paths that monitoring reads by whatever name it knows the host by, if the listener is reachable from outside.
const MONITORING: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// Where the listener can be reached from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// From this machine only.
    Loopback,
    /// From elsewhere too.
    Network,
    /// By TLS: a page's name would have to be in the certificate.
    Encrypted,
}

/// Lets a request through, or refuses it.
pub(crate) async fn guard(State(reach): State<Reach>, request: Request, next: Next) -> Response {
    let mut response = match check(reach, &request) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn check(reach: Reach, request: &Request) -> Result<(), Problem> {
    if request.headers().contains_key(ORIGIN) {
        return Err(Problem::new(StatusCode::FORBIDDEN, "requests of web pages, which have an Origin, are refused"));
    }
    if reach == Reach::Encrypted || reach == Reach::Network && MONITORING.contains(&request.uri().path()) {
        return Ok(());
    }
    let named = request.headers().get_all(HOST).iter().map(|host| host.to_str().ok());
    for name in named.chain(request.uri().authority().map(|authority| Some(authority.as_str()))) {
        if !name.is_some_and(is_unnamed) {
            let detail = "the Host must be `localhost` or an IP address: any other name could be a web page's";
            return Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, detail));
        }
    }
    Ok(())
}

/// Whether a host is one that nobody else can make resolve to this machine. The port does not matter, and differs
/// behind a forwarded one.
fn is_unnamed(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else {
        return false;
    };
    let host = authority.host();
    let address = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    !host.is_empty() && (host.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_localhost_and_addresses_are_hosts_that_cannot_be_rebound() {
        for host in ["localhost", "LOCALHOST:9270", "127.0.0.1", "127.0.0.1:80", "[::1]", "[::1]:9270", "10.1.2.3:1"] {
            assert!(is_unnamed(host), "{host}");
        }
        for host in ["", "evil.example", "localhost.evil.example", "127.0.0.1.nip.io", "a@b", "[::1", "%"] {
            assert!(!is_unnamed(host), "{host}");
        }
    }
}
