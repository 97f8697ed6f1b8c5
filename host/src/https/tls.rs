//! What is wrong with the other side's TLS, in words, with what to do about it.

use std::error::Error;
use std::io;

use rustls::{AlertDescription, CertificateError};

use super::causes;
use crate::times::rfc3339_ms;

/// The variables that name authorities in place of the system's.
const VARIABLES: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];

/// The TLS error at the bottom of this error, if there is one: these do not go away by themselves.
pub(crate) fn find_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    causes(error).find_map(|error| error.downcast_ref())
}

/// Whether the connection was closed before TLS was agreed on, without a word.
pub(crate) fn is_closed_early(error: &(dyn Error + 'static)) -> bool {
    // The library has no type for it. A connection that is closed later is told by HTTP.
    causes(error).any(|error| error.downcast_ref::<io::Error>().is_some_and(|error| error.to_string() == EOF))
}

const EOF: &str = "tls handshake eof";

/// Whether the other side talks something else than TLS.
pub(crate) fn is_plain(error: &rustls::Error) -> bool {
    matches!(error, rustls::Error::InvalidMessage(_))
}

/// What is wrong with the other side, as a sentence without its end. `authorities` says whose certificates are trusted, and
/// how others come to be.
pub(crate) fn told(error: &rustls::Error, authorities: &str) -> String {
    use rustls::Error::{AlertReceived, InvalidCertificate, InvalidMessage};
    match error {
        InvalidCertificate(error) => distrusted(error, authorities),
        InvalidMessage(_) => "what answers there does not talk TLS".to_owned(),
        AlertReceived(AlertDescription::CertificateRequired) => {
            "it asks for a certificate of the client, and got none that it takes (alert CertificateRequired)".to_owned()
        }
        AlertReceived(alert) => format!("it ends the TLS handshake with the alert {alert:?}"),
        error => error.to_string(),
    }
}

/// Whose certificates are trusted where no setting says so, and how others come to be.
pub(crate) fn system_authorities() -> String {
    let set = |name: &&str| Some(format!("{name}={}", std::env::var_os(name)?.to_string_lossy()));
    let set: Vec<String> = VARIABLES.iter().filter_map(set).collect();
    match set.is_empty() {
        true => "those of the system are, and in their place those of a PEM file that SSL_CERT_FILE names".to_owned(),
        false => format!("those of {} are, and no others", set.join(" and ")),
    }
}

/// Why a certificate is not taken.
fn distrusted(error: &CertificateError, authorities: &str) -> String {
    let at = |seconds: u64| rfc3339_ms(seconds.saturating_mul(1000));
    match error {
        // The latter is what comes out if an authority of the same name is trusted.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            format!("its certificate is signed by an authority that is not trusted here: {authorities}")
        }
        CertificateError::NotValidForNameContext { expected, presented } => {
            let expected = expected.to_str();
            match presented.as_slice() {
                [] => format!("its certificate has no name (subjectAltName), and {expected} was asked for"),
                names => {
                    let names: Vec<&str> = names.iter().map(|name| bare(name)).collect();
                    format!(
                        "its certificate is for {}, and {expected} was asked for: ask for it by a name that its \
                         certificate has, or have that name put into the certificate",
                        names.join(", ")
                    )
                }
            }
        }
        CertificateError::ExpiredContext { time, not_after } => format!(
            "its certificate expired at {}, and it is {} here: it has to be renewed, if this clock is right",
            at(not_after.as_secs()),
            day(time.as_secs())
        ),
        CertificateError::NotValidYetContext { time, not_before } => format!(
            "its certificate is not valid before {}, and it is {} here: one of the two clocks is wrong, or it is used too \
             early",
            at(not_before.as_secs()),
            day(time.as_secs())
        ),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "its certificate is not for servers (extended key usage serverAuth)".to_owned()
        }
        // Such as `openssl req -x509` makes, unless it is told otherwise.
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            "its certificate is an authority's own (CA:TRUE), which is not taken as a server's: have that authority sign one \
             for the server, with CA:FALSE"
                .to_owned()
        }
        error => format!("its certificate is not taken: {error}"),
    }
}

/// The day, so that the same fault is told in the same words whenever it is met.
fn day(seconds: u64) -> String {
    rfc3339_ms(seconds.saturating_mul(1000)).chars().take_while(|c| *c != 'T').collect()
}

/// A name without its kind: `DnsName("a.example")` and `IpAddress(10.0.0.1)` as the library has them.
fn bare(name: &str) -> &str {
    let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or(name);
    inner.trim_matches('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_tls_is_found_below_those_of_input_and_output() {
        let inner = rustls::Error::InvalidCertificate(CertificateError::BadSignature);
        let error = io::Error::other(io::Error::new(io::ErrorKind::InvalidData, inner.clone()));
        assert_eq!(find_error(&error), Some(&inner));
        assert!(find_error(&io::Error::other("none")).is_none());
        let closed = io::Error::other(io::Error::new(io::ErrorKind::UnexpectedEof, EOF));
        assert!(is_closed_early(&closed) && !is_closed_early(&error));
    }

    #[test]
    fn an_authority_that_is_not_trusted_is_told_alike_whatever_its_name_is() {
        let words = |error: CertificateError| told(&rustls::Error::InvalidCertificate(error), "those of `ca` are");
        let want = "its certificate is signed by an authority that is not trusted here: those of `ca` are";
        assert_eq!(words(CertificateError::UnknownIssuer), want);
        assert_eq!(words(CertificateError::BadSignature), want);
    }

    #[test]
    fn names_are_shown_without_their_kind() {
        for (name, want) in [("DnsName(\"*.a.example\")", "*.a.example"), ("IpAddress(::1)", "::1"), ("x", "x")] {
            assert_eq!(bare(name), want);
        }
    }
}
