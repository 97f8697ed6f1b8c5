//! Certificate authorities of a test's own, and what they certify.

use std::ops::Range;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};

/// An authority.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate for `127.0.0.1` with its key, both as PEM.
#[derive(Debug)]
pub struct Identity {
    /// The certificate.
    pub certificate: String,
    /// Its key.
    pub key: String,
}

impl Authority {
    /// One that nobody knows.
    ///
    /// # Panics
    /// When there is no randomness for its key.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "each is another one")]
    pub fn new() -> Self {
        Self::of(CertificateParams::new(Vec::new()).expect("no name is wrong"))
    }

    /// One of this name; the others all have one name.
    ///
    /// # Panics
    /// As [`Authority::new`].
    #[must_use]
    pub fn named(name: &str) -> Self {
        let mut authority = CertificateParams::new(Vec::new()).expect("no name is wrong");
        authority.distinguished_name.push(DnType::CommonName, name);
        Self::of(authority)
    }

    fn of(mut authority: CertificateParams) -> Self {
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(authority, key()).expect("a certificate"))
    }

    /// Its certificate as PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// Certifies somebody at `127.0.0.1`.
    ///
    /// # Panics
    /// When there is no randomness for the key.
    #[must_use]
    pub fn certify(&self) -> Identity {
        self.certify_for(&["127.0.0.1"], 1975..4096)
    }

    /// Certifies somebody of these names, from the beginning of a year to that of another.
    ///
    /// # Panics
    /// When a name is none, or there is no randomness for the key.
    #[must_use]
    pub fn certify_for(&self, names: &[&str], years: Range<i32>) -> Identity {
        let key = key();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names");
        params.not_before = date_time_ymd(years.start, 1, 1);
        params.not_after = date_time_ymd(years.end, 1, 1);
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        Identity { certificate: certificate.pem(), key: key.serialize_pem() }
    }
}

fn key() -> KeyPair {
    KeyPair::generate().expect("a key")
}
