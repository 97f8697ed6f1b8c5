use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nkeys::KeyPair;

use super::server::Server;
use super::{connected, outgoing, settings, within};
use crate::backbone::{CloseError, Confirmed, ConnectError, PublishError, connect};
use crate::rules::{Auth, NatsSettings, SecretRef, TlsSettings};

fn secret(text: &str) -> SecretRef {
    SecretRef::Plain(text.to_owned())
}

async fn attempt(server: &Server, auth: Auth) -> Result<(), ConnectError> {
    let settings = NatsSettings { auth, ..settings(server) };
    within(connect(&settings, Path::new("/"))).await.map(|connection| assert!(connection.is_connected()))
}

/// Everything that is logged while a test of one thread runs, the client's lines included.
#[derive(Clone, Default)]
pub(super) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub(super) fn capture(&self) -> tracing::subscriber::DefaultGuard {
        let log = self.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(move || log.clone())
            .finish();
        tracing::subscriber::set_default(subscriber)
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().expect("not poisoned")).into_owned()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("not poisoned").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A refusal is an error at once, and the secret is neither in it nor in the log.
async fn is_refused_without_an_echo(server: &Server, auth: Auth, secret: &str) -> ConnectError {
    let log = Log::default();
    let guard = log.capture();
    let error = attempt(server, auth).await.expect_err("is refused");
    drop(guard);
    assert!(log.text().contains("async_nats"), "nothing was captured");
    for text in [error.to_string(), format!("{error:?}"), log.text()] {
        assert!(!text.contains(secret), "shows the secret: {text}");
    }
    error
}

#[tokio::test]
async fn a_user_with_the_right_password_is_let_in_and_one_with_a_wrong_one_is_refused_without_an_echo() {
    let server = Server::with("authorization { user: tracks, password: \"right-horse\" }");
    let auth = |password: &str| Auth::UserPassword { user: secret("tracks"), password: secret(password) };
    attempt(&server, auth("right-horse")).await.expect("is let in");
    let error = is_refused_without_an_echo(&server, auth("wrong-horse"), "wrong-horse").await;
    let want = format!(
        "the NATS servers {} refused the connection, which was made with the `user` and `password` of [nats]",
        server.url()
    );
    assert_eq!(error.to_string(), want);
    let error = attempt(&server, Auth::None).await.expect_err("is refused");
    assert!(error.to_string().contains("without credentials: add `user` and `password`"), "{error}");
}

#[tokio::test]
async fn a_token_lets_in_and_a_wrong_one_is_refused_without_an_echo() {
    let server = Server::with("authorization { token: \"right-token\" }");
    attempt(&server, Auth::Token(secret("right-token"))).await.expect("is let in");
    let error = is_refused_without_an_echo(&server, Auth::Token(secret("wrong-token")), "wrong-token").await;
    assert!(matches!(error, ConnectError::Refused { .. }), "{error}");
}

#[tokio::test]
async fn an_nkey_lets_in_and_another_or_a_broken_one_is_refused_without_an_echo() {
    let key = KeyPair::new_user();
    let server = Server::with(&format!("authorization {{ users: [ {{ nkey: {} }} ] }}", key.public_key()));
    let seed = key.seed().expect("a seed");
    attempt(&server, Auth::NKey(secret(&seed))).await.expect("is let in");
    let other = KeyPair::new_user().seed().expect("a seed");
    let error = is_refused_without_an_echo(&server, Auth::NKey(secret(&other)), &other).await;
    assert!(matches!(error, ConnectError::Refused { .. }), "{error}");
    let error = is_refused_without_an_echo(&server, Auth::NKey(secret("SUBROKEN")), "SUBROKEN").await;
    assert_eq!(error.to_string(), "[nats] nkey is not the seed of a user's nkey, which begins with `SU`");
}

/// A JSON Web Token as NATS signs them: `typ` JWT, `alg` ed25519-nkey.
fn token(issuer: &KeyPair, subject: &KeyPair, name: &str, nats: &serde_json::Value) -> String {
    let header = serde_json::json!({ "typ": "JWT", "alg": "ed25519-nkey" });
    let claims = serde_json::json!({
        "jti": name, "iat": 1_700_000_000, "iss": issuer.public_key(), "sub": subject.public_key(), "name": name,
        "nats": nats,
    });
    let encode = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", encode(&header), encode(&claims));
    let signature = URL_SAFE_NO_PAD.encode(issuer.sign(signed.as_bytes()).expect("signs"));
    format!("{signed}.{signature}")
}

fn credentials(account: &KeyPair, user: &KeyPair, seed: &str) -> String {
    let limits = serde_json::json!({ "type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1 });
    let jwt = token(account, user, "tracks", &limits);
    format!(
        "-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n\
         -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
    )
}

#[tokio::test]
async fn a_credentials_file_lets_in_and_a_wrong_or_broken_one_is_refused_without_an_echo() {
    let (operator, account, user) = (KeyPair::new_operator(), KeyPair::new_account(), KeyPair::new_user());
    let operator_jwt =
        token(&operator, &operator, "operator", &serde_json::json!({ "type": "operator", "version": 2 }));
    let no_limits = serde_json::json!({
        "type": "account", "version": 2,
        "limits": { "subs": -1, "data": -1, "payload": -1, "conn": -1, "leaf": -1, "imports": -1, "exports": -1, "wildcards": true },
    });
    let account_jwt = token(&operator, &account, "account", &no_limits);
    let server = Server::with(&format!(
        "operator: {operator_jwt}\nresolver: MEMORY\nresolver_preload: {{ {}: {account_jwt} }}",
        account.public_key()
    ));
    let seed = user.seed().expect("a seed");
    std::fs::write(server.path("user.creds"), credentials(&account, &user, &seed)).expect("is written");
    attempt(&server, Auth::Credentials(SecretRef::File(server.path("user.creds")))).await.expect("is let in");

    let stranger = KeyPair::new_account();
    let wrong = Auth::Credentials(secret(&credentials(&stranger, &user, &seed)));
    let error = is_refused_without_an_echo(&server, wrong, &seed).await;
    assert!(matches!(error, ConnectError::Refused { .. }), "{error}");

    let log = Log::default();
    let guard = log.capture();
    let broken = Auth::Credentials(secret(&credentials(&account, &user, "SUBROKEN")));
    let error = attempt(&server, broken).await.expect_err("is refused");
    drop(guard);
    assert!(!format!("{error:?}{}", log.text()).contains("SUBROKEN"));
    let want = "[nats] creds is not the text of a credentials file, with a user JWT and an nkey seed";
    assert_eq!(error.to_string(), want);
}

#[tokio::test]
async fn a_secret_that_is_not_there_is_named() {
    let server = Server::with("");
    let auth = Auth::Token(SecretRef::File("no/such/token".into()));
    let error = attempt(&server, auth).await.expect_err("fails");
    assert!(error.to_string().starts_with("[nats] token: the secret file `/no/such/token` cannot be read"), "{error}");
}

/// An authority, and certificates of it for the server and a client, as PEM files.
fn write_certificates(directory: &Path) {
    use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
    let write = |name: &str, text: String| std::fs::write(directory.join(name), text).expect("is written");
    let authority = |name: &str| {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        (params.self_signed(&key).expect("signs"), Issuer::new(params, key))
    };
    let (ca, issuer) = authority("trackside test");
    write("ca.pem", ca.pem());
    write("other-ca.pem", authority("somebody else").0.pem());
    let purposes = [("server", ExtendedKeyUsagePurpose::ServerAuth), ("client", ExtendedKeyUsagePurpose::ClientAuth)];
    for (name, purpose) in purposes {
        let mut params = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).expect("names");
        params.extended_key_usages = vec![purpose];
        let key = KeyPair::generate().expect("a key");
        write(&format!("{name}.pem"), params.signed_by(&key, &issuer).expect("signs").pem());
        write(&format!("{name}-key.pem"), key.serialize_pem());
    }
}

fn tls_server(more: &str) -> Server {
    let config = format!(
        "tls {{ cert_file: \"DIRECTORY/server.pem\", key_file: \"DIRECTORY/server-key.pem\", \
         ca_file: \"DIRECTORY/ca.pem\", verify: true {more} }}"
    );
    Server::with_files(&config, write_certificates)
}

async fn attempt_tls(server: &Server, tls: TlsSettings) -> Result<(), ConnectError> {
    let settings = NatsSettings { tls: Some(tls), ..settings(server) };
    within(connect(&settings, Path::new("/"))).await.map(|connection| assert!(connection.is_connected()))
}

#[tokio::test]
async fn tls_with_a_client_certificate_lets_in_and_without_one_it_is_an_error() {
    let server = tls_server("");
    let client = Some((server.path("client.pem"), server.path("client-key.pem")));
    let good = TlsSettings { ca: Some(server.path("ca.pem")), client, handshake_first: false };
    attempt_tls(&server, good.clone()).await.expect("is let in");

    let error = attempt_tls(&server, TlsSettings { client: None, ..good.clone() }).await.expect_err("is refused");
    assert!(matches!(&error, ConnectError::Tls { reason, .. } if reason.contains("CertificateRequired")), "{error}");

    let stranger = TlsSettings { ca: Some(server.path("other-ca.pem")), ..good };
    let error = attempt_tls(&server, stranger).await.expect_err("is not trusted");
    let want = "signed by an authority that is not trusted here: those of ";
    assert!(matches!(&error, ConnectError::Tls { reason, .. } if reason.contains(want)), "{error}");
    assert!(error.to_string().ends_with("other-ca.pem are, the `ca` of [nats.tls]"), "{error}");
}

#[tokio::test]
async fn a_pipe_in_the_place_of_a_tls_file_is_refused_and_nobody_waits_for_it() {
    let server = tls_server("");
    let pipe = server.path("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs");
    assert!(made.success());
    let good = TlsSettings { ca: Some(server.path("ca.pem")), client: None, handshake_first: false };
    let (certificate, key) = (server.path("client.pem"), server.path("client-key.pem"));
    for tls in [
        TlsSettings { ca: Some(pipe.clone()), ..good.clone() },
        TlsSettings { client: Some((pipe.clone(), key)), ..good.clone() },
        TlsSettings { client: Some((certificate, pipe.clone())), ..good },
    ] {
        let error = attempt_tls(&server, tls).await.expect_err("is refused");
        assert!(matches!(&error, ConnectError::TlsFile { path, .. } if *path == pipe), "{error}");
    }
}

#[tokio::test]
async fn tls_before_the_greeting_is_spoken_when_the_server_wants_it() {
    let server = tls_server(", handshake_first: true");
    let client = Some((server.path("client.pem"), server.path("client-key.pem")));
    let tls = TlsSettings { ca: Some(server.path("ca.pem")), client, handshake_first: true };
    attempt_tls(&server, tls).await.expect("is let in");
}

#[tokio::test]
async fn a_tls_file_that_is_missing_or_holds_something_else_is_named() {
    let server = tls_server("");
    let missing = TlsSettings { ca: Some(server.path("none.pem")), ..TlsSettings::default() };
    let error = attempt_tls(&server, missing).await.expect_err("fails");
    assert!(error.to_string().contains("none.pem: No such file"), "{error}");
    let key = TlsSettings { ca: Some(server.path("client-key.pem")), ..TlsSettings::default() };
    let error = attempt_tls(&server, key).await.expect_err("fails");
    assert!(error.to_string().ends_with("client-key.pem: it has no `BEGIN CERTIFICATE`"), "{error}");
}

#[tokio::test]
async fn an_address_that_is_none_is_named() {
    let server = Server::with("");
    let settings = NatsSettings { servers: vec!["nats://:x".to_owned()], ..settings(&server) };
    let error = connect(&settings, Path::new("/")).await.expect_err("fails");
    assert!(error.to_string().starts_with("`nats://:x` is not the address of a NATS server"), "{error}");
}

#[tokio::test]
async fn a_server_that_is_not_up_yet_is_waited_for_with_a_word_in_the_log() {
    let log = Log::default();
    let _guard = log.capture();
    let port = super::port::free_port();
    let settings = NatsSettings {
        servers: vec![format!("nats://127.0.0.1:{port}")],
        name: "early".to_owned(),
        auth: Auth::None,
        tls: None,
        request_timeout: Duration::from_secs(5),
    };
    let early = tokio::spawn(async move { connect(&settings, Path::new("/")).await });
    within(async {
        while !log.text().contains("no NATS server can be reached; trying on") {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(log.text().contains(&format!("nats://127.0.0.1:{port}")));
    let server = Server::start_at(port);
    let connection = within(early).await.expect("no panic").expect("connects");
    assert!(connection.is_connected());
    assert!(!connection.server_version().is_empty() && connection.max_payload() > 0);
    drop(server);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_was_lost_comes_back_and_publishing_goes_on() {
    let mut server = Server::start();
    let connection = connected(&server).await;
    let publisher = connection.publisher();
    let mut link = connection.wire().link.watch();
    server.kill();
    within(link.wait_for(|state| state.lost == 1)).await.expect("is told");
    assert!(!connection.is_connected());
    let waiting = tokio::spawn(async move { publisher.publish(outgoing("a.b", "1")).await?.confirmed().await });
    server.start_again();
    assert_eq!(within(waiting).await.expect("no panic"), Ok(Confirmed::Flushed));
    assert!(connection.is_connected());
    assert_eq!(connection.losses(), 1);
}

#[tokio::test]
async fn without_a_server_a_publish_says_so_in_time_and_may_be_retried() {
    let mut server = Server::start();
    let short = NatsSettings { request_timeout: Duration::from_millis(200), ..settings(&server) };
    let connection = within(connect(&short, Path::new("/"))).await.expect("connects");
    let mut link = connection.wire().link.watch();
    server.kill();
    within(link.wait_for(|state| state.lost == 1)).await.expect("is told");
    let error = within(connection.publisher().publish(outgoing("a.b", "1"))).await.expect_err("fails");
    assert!(matches!(error, PublishError::Disconnected { .. }) && error.retryable() && error.is_disconnected());
    let within_100_ms = Duration::from_millis(100);
    assert_eq!(within(connection.close(within_100_ms)).await, Err(CloseError::Deadline(within_100_ms)));
}

#[tokio::test]
async fn closing_sends_what_was_published_before() {
    let server = Server::start();
    let other = super::other_client(&server).await;
    let mut subscription = super::subscribed(&other, "bye.>").await;
    let connection = connected(&server).await;
    let publisher = connection.publisher();
    let mut unconfirmed = Vec::new();
    for number in 0..100 {
        unconfirmed.push(publisher.publish(outgoing(&format!("bye.{number}"), "x")).await.expect("is sent"));
    }
    within(connection.close(Duration::from_secs(10))).await.expect("closes");
    for number in 0..100 {
        let message = within(futures::StreamExt::next(&mut subscription)).await.expect("arrives");
        assert_eq!(message.subject.as_str(), format!("bye.{number}"));
    }
    let error = publisher.publish(outgoing("bye.late", "x")).await.expect_err("is closed");
    assert!(matches!(error, PublishError::Disconnected { .. }), "{error}");
}
