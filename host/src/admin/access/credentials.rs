//! Tokens, and the certificate that the listener shows: read by every load of the configuration, and put in the place of
//! the ones before once nothing else is wrong with it.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

use crate::names::TokenName;
use crate::rules::{AdminSettings, Problem, Report, Role};
use crate::supply::read_plain_file;

/// Shortest token, in bytes: what 128 random bits have in hexadecimal.
const MIN_TOKEN_BYTES: usize = 32;
const MAX_TOKEN_BYTES: usize = 512;
/// Longest PEM file.
const MAX_PEM_BYTES: usize = 1 << 20;

/// What is in force now; cheap to clone, and shared by the listener and what loads the configuration.
#[derive(Debug, Clone, Default)]
pub struct Credentials(Arc<InForce>);

#[derive(Debug, Default)]
struct InForce {
    tokens: ArcSwap<Tokens>,
    tls: ArcSwapOption<ServerConfig>,
}

/// What a load has found.
#[derive(Debug, Default)]
pub struct Fresh {
    tokens: Tokens,
    tls: Option<Arc<ServerConfig>>,
}

/// The tokens, of which only digests are kept.
#[derive(Default)]
pub(super) struct Tokens(Vec<Token>);

struct Token {
    name: TokenName,
    role: Role,
    sha256: [u8; 32],
}

impl Fresh {
    /// Reads what the settings refer to.
    ///
    /// # Errors
    /// Everything that cannot be read or used, without any part of a secret.
    pub fn read(settings: &AdminSettings, directory: &Path) -> Result<Self, Report> {
        let mut problems = Vec::new();
        let tokens = Tokens::read(settings, directory, &mut problems);
        let tls = settings.tls.as_ref().map(|(cert, key)| server_config(cert, key));
        let tls = tls.transpose().unwrap_or_else(|problem| {
            problems.push(*problem);
            None
        });
        if problems.is_empty() { Ok(Self { tokens, tls }) } else { Err(Report(problems)) }
    }
}

impl Credentials {
    /// Puts what was read in force.
    pub fn replace(&self, fresh: Fresh) {
        self.0.tokens.store(Arc::new(fresh.tokens));
        self.0.tls.store(fresh.tls);
    }

    pub(super) fn tokens(&self) -> Arc<Tokens> {
        self.0.tokens.load_full()
    }

    /// How to talk TLS, unless it is plain HTTP.
    pub(in crate::admin) fn tls(&self) -> Option<Arc<ServerConfig>> {
        self.0.tls.load_full()
    }
}

impl Tokens {
    fn read(settings: &AdminSettings, directory: &Path, problems: &mut Vec<Problem>) -> Self {
        let mut tokens: Vec<Token> = Vec::new();
        for (name, wanted) in &settings.tokens {
            let mut wrong = |message: String, help: String| {
                problems.push(Problem::error(message).at(wanted.location.clone()).help(help));
            };
            let secret = match wanted.token.resolve(directory) {
                Ok(secret) => secret,
                Err(error) => {
                    wrong(format!("the token `{name}` cannot be had"), error.to_string());
                    continue;
                }
            };
            let token = secret.expose();
            let fits = (MIN_TOKEN_BYTES..=MAX_TOKEN_BYTES).contains(&token.len());
            if !fits || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
                let help = format!(
                    "make it of {MIN_TOKEN_BYTES} to {MAX_TOKEN_BYTES} printable characters without white space, for \
                     example by `openssl rand -hex 32`"
                );
                wrong(format!("what `{}` holds cannot be the token `{name}`", wanted.token), help);
                continue;
            }
            let sha256 = digest(token);
            match tokens.iter().find(|token| token.sha256 == sha256) {
                Some(same) => {
                    let help = "give each its own, or the audit log could not tell them apart".to_owned();
                    wrong(format!("the tokens `{}` and `{name}` are the same", same.name), help);
                }
                None => tokens.push(Token { name: name.clone(), role: wanted.role, sha256 }),
            }
        }
        Self(tokens)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whose token this is. How long that takes tells nothing: it is held against all of them, and by digests, which
    /// have one length and of which nobody can choose a part.
    pub(super) fn find(&self, presented: &str) -> Option<(TokenName, Role)> {
        let presented = digest(presented);
        let (mut found, mut place) = (Choice::from(0), 0_u64);
        for (token, number) in self.0.iter().zip(0_u64..) {
            let same = token.sha256[..].ct_eq(&presented[..]);
            place.conditional_assign(&number, same);
            found |= same;
        }
        let token = bool::from(found).then(|| self.0.get(usize::try_from(place).ok()?))??;
        Some((token.name.clone(), token.role))
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.0.iter().map(|token| (&token.name, token.role))).finish()
    }
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

fn server_config(cert: &Path, key: &Path) -> Result<Arc<ServerConfig>, Box<Problem>> {
    let read = |path: &Path| read_plain_file(path, MAX_PEM_BYTES).map_err(|error| broken(path, &error));
    let chain = CertificateDer::pem_slice_iter(&read(cert)?).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|error| broken(cert, &error))?;
    if chain.is_empty() {
        return Err(broken(cert, &"it has no `BEGIN CERTIFICATE`"));
    }
    let secret = PrivateKeyDer::from_pem_slice(&read(key)?).map_err(|error| broken(key, &error))?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().map_err(|error| broken(cert, &error))?;
    let config = config.with_no_client_auth().with_single_cert(chain, secret);
    let mut config = config.map_err(|error| {
        let message = format!("`{}` and `{}` do not go together: {error}", cert.display(), key.display());
        Box::new(Problem::error(message).help("give a certificate and its own key in `[admin.tls]`"))
    })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn broken(path: &Path, reason: &dyn fmt::Display) -> Box<Problem> {
    let message = format!("`{}` of `[admin.tls]` cannot be used: {reason}", path.display());
    Box::new(Problem::error(message).help("give a PEM file that Trackside may read"))
}
