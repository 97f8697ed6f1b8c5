//! Registries that lie, lead astray, flood, stall or ask who is there. Those that do as they should are in the end-to-end
//! tests, as a real process.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;

use super::manifest::compose;
use super::*;

const COMPONENT: &[u8] = b"\0asm component";

/// A registry on a port of its own that answers as a function says.
struct Fake {
    host: RegistryHost,
    runtime: Option<tokio::runtime::Runtime>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

/// Path and `Authorization` of a request.
type Seen = (String, Option<String>);

impl Fake {
    fn start(answer: impl Fn(&str, &RegistryHost) -> Response + Send + Sync + 'static) -> Self {
        Self::answering(move |path, _, host| answer(path, host))
    }

    fn answering(answer: impl Fn(&str, Option<&str>, &RegistryHost) -> Response + Send + Sync + 'static) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("a port");
        let host = RegistryHost::new(&listener.local_addr().expect("an address").to_string()).expect("a host");
        let seen: Arc<Mutex<Vec<_>>> = Arc::default();
        let (answer, at, seeing) = (Arc::new(answer), host.clone(), Arc::clone(&seen));
        let handler = move |request: Request| {
            let authorization =
                request.headers().get("authorization").map(|value| value.to_str().expect("text").to_owned());
            let path = request.uri().path_and_query().expect("a path").to_string();
            seeing.lock().expect("no panic").push((path.clone(), authorization.clone()));
            let (answer, at) = (Arc::clone(&answer), at.clone());
            async move { answer(&path, authorization.as_deref(), &at) }
        };
        runtime.spawn(async move { axum::serve(listener, Router::new().fallback(handler)).await });
        Self { host, runtime: Some(runtime), seen }
    }

    /// One that does as it should, but for what `other` answers.
    fn with(other: impl Fn(&str, &RegistryHost) -> Option<Response> + Send + Sync + 'static) -> Self {
        Self::start(move |path, host| other(path, host).unwrap_or_else(|| honest(path)))
    }

    /// One that asks for a login before it answers anything.
    fn asking(answer: impl Fn(&str) -> Response + Send + Sync + 'static) -> Self {
        Self::answering(move |path, authorization, _| match authorization {
            None => unauthorized("Basic realm=\"registry\""),
            Some(_) => answer(path),
        })
    }

    fn reference(&self) -> OciReference {
        let manifest: [u8; 32] = Sha256::digest(manifest()).into();
        OciReference::parse(&format!("{}/team/vip@{}", self.host, shown_digest(&manifest))).expect("a reference")
    }

    fn pull(&self, store: &Store) -> Result<Pulled, OciError> {
        self.pull_with(store, &RegistrySettings::of(&self.host))
    }

    fn pull_with(&self, store: &Store, settings: &RegistrySettings) -> Result<Pulled, OciError> {
        let reference = self.reference();
        pull(&reference, reference.digest(), settings, Path::new("/"), store)
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("no panic").clone()
    }

    fn stop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(10));
        }
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.stop();
    }
}

fn manifest() -> Vec<u8> {
    compose(COMPONENT, &[], &[], Some("signed")).expect("is composed").0
}

fn honest(path: &str) -> Response {
    match path.split('/').nth(4) {
        Some("manifests") => manifest().into_response(),
        Some("blobs") => COMPONENT.into_response(),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Bytes without an end.
fn endless() -> Response {
    let chunks = futures::stream::repeat_with(|| Ok::<_, std::io::Error>(bytes::Bytes::from(vec![b' '; 64 << 10])));
    Response::new(Body::from_stream(chunks))
}

fn redirect(to: &str) -> Response {
    (StatusCode::TEMPORARY_REDIRECT, [("location", to.to_owned())]).into_response()
}

fn unauthorized(challenge: &str) -> Response {
    (StatusCode::UNAUTHORIZED, [("www-authenticate", challenge.to_owned())]).into_response()
}

fn with_login(host: &RegistryHost) -> RegistrySettings {
    use crate::rules::SecretRef::Plain;
    let login = Some((Plain("me".to_owned()), Plain("hunter2".to_owned())));
    RegistrySettings { login, ..RegistrySettings::of(host) }
}

fn basic() -> String {
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode("me:hunter2"))
}

/// A folder for what is kept, and how many files are in it.
fn store() -> (tempfile::TempDir, Store, impl Fn() -> usize) {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, path) = (Store::below(Some(folder.path())), folder.path().join("oci"));
    (folder, store, move || std::fs::read_dir(&path).map_or(0, Iterator::count))
}

#[test]
fn what_was_fetched_once_needs_no_registry_any_more_as_long_as_it_is_undamaged() {
    let (folder, store, kept) = store();
    let mut registry = Fake::with(|_, _| None);
    let pulled = registry.pull(&store).expect("is fetched");
    assert_eq!((pulled.bytes.as_slice(), pulled.signatures.as_deref()), (COMPONENT, Some("signed")));
    assert_eq!((kept(), registry.seen().len()), (2, 2));
    registry.pull(&store).expect("is there");
    assert_eq!(registry.seen().len(), 2, "nothing more was asked");

    let component = folder.path().join("oci").join(hex::encode(Sha256::digest(COMPONENT)));
    std::fs::write(&component, b"\0asm Component").expect("is written");
    assert_eq!(registry.pull(&store).expect("is fetched anew").bytes, COMPONENT);
    assert_eq!(registry.seen().len(), 3, "the component alone");

    registry.stop();
    registry.pull(&store).expect("needs no registry");
    std::fs::write(&component, b"\0asm Component").expect("is written");
    let error = registry.pull(&store).expect_err("damaged, and no registry");
    assert!(matches!(error, OciError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("Connection refused"), "{error}");
}

#[test]
fn other_bytes_than_were_asked_for_are_neither_used_nor_kept() {
    for (lying, what) in [("manifests", "manifest"), ("blobs", "component")] {
        let (_folder, store, kept) = store();
        let registry = Fake::with(move |path, _| {
            let other =
                if lying == "blobs" { b"\0asm Component".to_vec() } else { [manifest(), b" ".to_vec()].concat() };
            path.contains(lying).then(|| other.into_response())
        });
        let error = registry.pull(&store).expect_err(lying).to_string();
        assert!(error.contains(&format!("sends other bytes than were asked for: the {what} is sha256:")), "{error}");
        assert_eq!(kept(), usize::from(lying == "blobs"), "{lying}: what is right is kept");
    }
}

#[test]
fn what_has_no_end_or_more_than_it_said_is_not_read_to_its_end() {
    for (lying, max_bytes) in [("manifests", MAX_MANIFEST_BYTES), ("blobs", COMPONENT.len())] {
        let (_folder, store, _) = store();
        let registry = Fake::with(move |path, _| path.contains(lying).then(endless));
        let error = registry.pull(&store).expect_err("has no end");
        assert!(matches!(error, OciError::Large { max_bytes: max, .. } if max == max_bytes), "{error}");
    }
}

#[test]
fn a_layer_that_is_too_large_is_not_even_asked_for() {
    let (_folder, store, kept) = store();
    let text = String::from_utf8(manifest()).expect("JSON");
    let large = text.replace(&format!("\"size\":{}", COMPONENT.len()), &format!("\"size\":{}", 65 << 20));
    let reference = |host: &RegistryHost, text: &str| {
        let digest: [u8; 32] = Sha256::digest(text).into();
        OciReference::parse(&format!("{host}/team/vip@{}", shown_digest(&digest))).expect("a reference")
    };
    let answer = large.clone();
    let registry = Fake::start(move |_, _| answer.clone().into_response());
    let reference = reference(&registry.host, &large);
    let settings = RegistrySettings::of(&registry.host);
    let error = pull(&reference, reference.digest(), &settings, Path::new("/"), &store).expect_err("is too large");
    assert!(matches!(error, OciError::Large { what: "component", .. }), "{error}");
    assert_eq!((registry.seen().len(), kept()), (1, 0));
}

#[test]
fn a_redirect_is_followed_to_where_it_may_lead_and_password_and_token_stay_behind() {
    let (_folder, store, _) = store();
    let elsewhere = Fake::with(|_, _| None);
    let to = elsewhere.host.clone();
    let registry = Fake::asking(move |path| match path.contains("blobs") {
        true => redirect(&format!("http://{to}{path}")),
        false => honest(path),
    });
    registry.pull_with(&store, &with_login(&registry.host)).expect("this machine may be led to");
    let sent: Vec<_> = registry.seen().into_iter().map(|(_, authorization)| authorization).collect();
    assert_eq!(sent, [None, Some(basic()), Some(basic())]);
    assert_eq!(elsewhere.seen().into_iter().map(|(_, authorization)| authorization).collect::<Vec<_>>(), [None]);
}

#[test]
fn a_place_that_a_registry_leads_to_gets_no_login_even_if_it_asks_for_one() {
    let (_folder, store, _) = store();
    let elsewhere = Fake::start(|_, _| unauthorized("Basic realm=\"give\""));
    let to = elsewhere.host.clone();
    let registry = Fake::asking(move |path| match path.contains("blobs") {
        true => redirect(&format!("http://{to}{path}")),
        false => honest(path),
    });
    let error = registry.pull_with(&store, &with_login(&registry.host)).expect_err("asks for what it must not get");
    assert!(matches!(error, OciError::Status { status: 401, .. }), "{error}");
    assert_eq!(elsewhere.seen().into_iter().map(|(_, authorization)| authorization).collect::<Vec<_>>(), [None]);
}

#[test]
fn a_redirect_to_where_nothing_is_fetched_from_is_not_followed() {
    for to in [
        "http://registry.example/blob",
        "http://10.0.0.1/blob",
        "http://169.254.169.254/latest/meta-data",
        "file:///etc/passwd",
        "https://user:password@registry.example/blob",
        "ftp://registry.example/blob",
    ] {
        let (_folder, store, _) = store();
        let registry = Fake::with(move |path, _| path.contains("blobs").then(|| redirect(to)));
        let error = registry.pull(&store).expect_err(to);
        assert!(matches!(error, OciError::Elsewhere(..)), "{to}: {error}");
        assert!(!error.to_string().contains("password"), "{error}");
    }
    let (_folder, store, _) = store();
    let registry = Fake::start(|path, host| redirect(&format!("http://{host}{path}")));
    let error = registry.pull(&store).expect_err("leads to itself");
    assert!(matches!(error, OciError::Redirects(..)), "{error}");
    assert_eq!(registry.seen().len(), 6);
}

#[test]
fn a_registry_that_speaks_tls_leads_nowhere_without() {
    // What is asked is the same with and without a server, so none is needed.
    let reference = OciReference::parse("registry.example/team/vip:1").expect("a reference");
    let settings = RegistrySettings::of(reference.registry());
    let session = Session::new(&reference, &settings, Path::new("/"), Access::Pull).expect("a session");
    for (url, want) in [
        ("https://cdn.example/blob", true),
        ("https://registry.example/blob", true),
        ("http://registry.example/blob", false),
        ("http://localhost/blob", false),
    ] {
        assert_eq!(session.may_lead_to(&url::Url::parse(url).expect("a URL")), want, "{url}");
    }
}

#[test]
fn a_registry_that_stalls_is_given_up() {
    let (_folder, store, _) = store();
    let chunks = || futures::stream::pending::<Result<bytes::Bytes, std::io::Error>>();
    let registry =
        Fake::with(move |path, _| path.contains("blobs").then(|| Response::new(Body::from_stream(chunks()))));
    let settings = RegistrySettings { timeout: Duration::from_millis(300), ..RegistrySettings::of(&registry.host) };
    let error = registry.pull_with(&store, &settings).expect_err("nothing comes");
    assert!(matches!(error, OciError::TimedOut(..)), "{error}");
    assert!(error.to_string().contains("not done after 300ms, see `timeout` in [registries."), "{error}");
}

#[test]
fn a_token_is_got_where_the_registry_says_with_the_login_and_used_for_the_registry_alone() {
    let (_folder, store, _) = store();
    let tokens = Fake::start(|_, _| r#"{"access_token":"sesame"}"#.into_response());
    let realm = tokens.host.clone();
    let registry = Fake::start(move |path, _| match path {
        _ if path.contains("blobs") => honest(path),
        _ => unauthorized(&format!("Bearer realm=\"http://{realm}/token\",service=\"registry\",scope=\"everything\"")),
    });
    let error = registry.pull_with(&store, &with_login(&registry.host)).expect_err("asks again and again");
    assert!(matches!(error, OciError::Denied(_, 401)), "{error}");
    let sent: Vec<_> = registry.seen().into_iter().map(|(_, authorization)| authorization).collect();
    assert_eq!(sent, [None, Some("Bearer sesame".to_owned())], "once more, and no more");
    let asked = tokens.seen();
    let want = "/token?service=registry&scope=repository%3Ateam%2Fvip%3Apull";
    assert_eq!(asked, [(want.to_owned(), Some(basic()))]);
}

#[test]
fn a_login_is_not_given_to_whom_a_registry_names_without_tls() {
    let (_folder, store, _) = store();
    let registry = Fake::start(|_, _| unauthorized("Bearer realm=\"http://thief.example/token\""));
    let error = registry.pull_with(&store, &with_login(&registry.host)).expect_err("names a thief");
    assert!(matches!(&error, OciError::Elsewhere(_, to) if to == "http://thief.example"), "{error}");
}

#[test]
fn who_has_no_login_is_told_that_one_is_wanted() {
    for challenge in ["Basic realm=\"registry\"", "Negotiate, Basic realm=\"registry\", charset=\"UTF-8\""] {
        let (_folder, store, _) = store();
        let registry = Fake::start(move |_, _| unauthorized(challenge));
        let error = registry.pull(&store).expect_err("wants a login");
        assert!(matches!(error, OciError::LoginWanted(_)), "{challenge}: {error}");
    }
    let (_folder, store, _) = store();
    let registry = Fake::start(|_, _| unauthorized("Negotiate"));
    assert!(matches!(registry.pull(&store), Err(OciError::Challenge(_))));
}

#[test]
fn an_endless_token_and_a_token_that_is_no_header_are_refused() {
    for (token, want) in [
        (endless as fn() -> Response, "its token has more than"),
        (|| r#"{"token":"a\r\nb"}"#.into_response(), "answers what cannot be read when asked for a token"),
        (|| "{}".into_response(), "answers what cannot be read when asked for a token"),
    ] {
        let (_folder, store, _) = store();
        let tokens = Fake::start(move |_, _| token());
        let realm = tokens.host.clone();
        let registry = Fake::start(move |_, _| unauthorized(&format!("Bearer realm=\"http://{realm}/\"")));
        let error = registry.pull(&store).expect_err(want).to_string();
        assert!(error.contains(want), "{want}: {error}");
    }
}
