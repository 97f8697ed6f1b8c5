//! A service beside Trackside: it knows HTTP and nothing else.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use futures::future::BoxFuture;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::server::TlsStream;

use crate::{Identity, PATIENCE, until};

/// A service that takes what is posted to it.
#[derive(Debug)]
pub struct App {
    scheme: &'static str,
    port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
    /// Its own, so that it ends as a process does: with all its connections.
    runtime: Option<Runtime>,
}

/// A request that came.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Path and query.
    pub path: String,
    /// The first value of each header.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: String,
    /// When it had come.
    pub at: Instant,
    /// What it was answered; 0 before that.
    pub status: u16,
}

/// An answer: its status, and perhaps `Retry-After`.
pub type Answer = (u16, Option<String>);

type Answerer = Arc<dyn Fn(Seen) -> BoxFuture<'static, Answer> + Send + Sync>;

impl App {
    /// Listens at this port, and answers by what `answer` says.
    ///
    /// # Panics
    /// When it cannot listen there.
    pub async fn start<F>(port: u16, answer: impl Fn(Seen) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        Self::serve(port, None, Arc::new(move |seen| Box::pin(answer(seen)))).await
    }

    /// The same by TLS, with this certificate.
    ///
    /// # Panics
    /// As [`App::start`].
    pub async fn start_tls<F>(
        port: u16,
        identity: &Identity,
        answer: impl Fn(Seen) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        let certificate = CertificateDer::from_pem_slice(identity.certificate.as_bytes()).expect("a certificate");
        let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).expect("a key");
        let config = ServerConfig::builder_with_provider(ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .expect("ring has what these versions need")
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .expect("they belong together");
        let tls = TlsAcceptor::from(Arc::new(config));
        Self::serve(port, Some(tls), Arc::new(move |seen| Box::pin(answer(seen)))).await
    }

    async fn serve(port: u16, tls: Option<TlsAcceptor>, answer: Answerer) -> Self {
        let listener = until("the port to be free", async || TcpListener::bind(("127.0.0.1", port)).await.ok()).await;
        let port = listener.local_addr().expect("it listens").port();
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let router = Router::new().fallback(take).with_state((Arc::clone(&seen), answer));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let listener = listener.into_std().expect("it is a listener still");
        runtime.spawn(async move {
            let listener = TcpListener::from_std(listener).expect("it is one here too");
            match tls {
                None => axum::serve(listener, router).await.expect("it serves"),
                Some(tls) => axum::serve(Encrypted { listener, tls }, router).await.expect("it serves"),
            }
        });
        Self { scheme, port, seen, runtime: Some(runtime) }
    }

    /// Ends it as a crash would. Everything that came by then.
    ///
    /// # Panics
    /// When its thread panicked.
    #[must_use]
    pub fn kill(mut self) -> Vec<Seen> {
        let runtime = self.runtime.take();
        // A runtime waits for its threads when it is dropped, which it cannot do inside of another one.
        std::thread::spawn(move || drop(runtime)).join().expect("it ends");
        self.seen()
    }

    /// Where it is, with no slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}://127.0.0.1:{}", self.scheme, self.port)
    }

    /// Everything that came, in the order in which it came.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The bodies of what was answered with success, in the order in which it came.
    #[must_use]
    pub fn taken(&self) -> Vec<String> {
        taken(self.seen())
    }

    /// Waits until so many came and were answered with success.
    pub async fn took(&self, count: usize) -> Vec<String> {
        until(&format!("{count} messages at the service"), async || {
            Some(self.taken()).filter(|taken| taken.len() >= count)
        })
        .await
    }
}

/// Takes connections by TLS.
struct Encrypted {
    listener: TcpListener,
    tls: TlsAcceptor,
}

impl axum::serve::Listener for Encrypted {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let Ok((stream, from)) = self.listener.accept().await else { continue };
            // Whoever does not like the certificate hangs up.
            if let Ok(stream) = self.tls.accept(stream).await {
                return (stream, from);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

/// The bodies of what was answered with success.
#[must_use]
pub fn taken(seen: Vec<Seen>) -> Vec<String> {
    seen.into_iter().filter(|seen| seen.status / 100 == 2).map(|seen| seen.body).collect()
}

impl Drop for App {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn take(
    State((all, answer)): State<(Arc<Mutex<Vec<Seen>>>, Answerer)>,
    request: Request,
) -> Result<Response, StatusCode> {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.map_err(|_| StatusCode::PAYLOAD_TOO_LARGE)?;
    let path = head.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    let seen = Seen { path, headers: texts(&head.headers), body: text(&body), at: Instant::now(), status: 0 };
    let number = {
        let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(seen.clone());
        all.len() - 1
    };
    let (status, retry_after) = answer(seen).await;
    all.lock().unwrap_or_else(PoisonError::into_inner)[number].status = status;
    let status = StatusCode::from_u16(status).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    let mut response = (status, "an answer that nobody looks at: secret-body").into_response();
    let headers = response.headers_mut();
    if let Some(value) = retry_after.and_then(|value| value.parse().ok()) {
        headers.insert("Retry-After", value);
    }
    if status.is_redirection() {
        headers.insert("Location", "/elsewhere".parse().expect("a header"));
    }
    Ok(response)
}

fn text(body: &Bytes) -> String {
    String::from_utf8_lossy(body).into_owned()
}

fn texts(headers: &HeaderMap) -> BTreeMap<String, String> {
    let text = |value: &axum::http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.keys().map(|name| (name.to_string(), text(&headers[name]))).collect()
}

/// A subscriber of the sidecar, which knows HTTP and server-sent events and nothing else.
#[derive(Debug)]
pub struct Subscriber {
    reader: BufReader<TcpStream>,
}

impl Subscriber {
    /// Subscribes at the sidecar, once that takes it.
    ///
    /// # Panics
    /// When it does not in time.
    pub async fn subscribe(sidecar: &str, name: &str, max_in_flight: usize) -> Self {
        let path = format!("/v1/subscribe/{name}?max-in-flight={max_in_flight}");
        until("the sidecar to take a subscriber", async || {
            let mut stream = TcpStream::connect(sidecar).await.ok()?;
            // Of version 1.0, so that the body is not in chunks.
            let request = format!("GET {path} HTTP/1.0\r\nHost: {sidecar}\r\n\r\n");
            stream.write_all(request.as_bytes()).await.ok()?;
            let mut reader = BufReader::new(stream);
            let mut line = String::new();
            reader.read_line(&mut line).await.ok()?;
            if !line.contains(" 200 ") {
                return None;
            }
            while line != "\r\n" {
                line.clear();
                reader.read_line(&mut line).await.ok()?;
            }
            Some(Self { reader })
        })
        .await
    }

    /// The next event; `None` when the sidecar has ended the stream.
    ///
    /// # Panics
    /// When neither comes in time, or the event is not JSON.
    pub async fn next(&mut self) -> Option<serde_json::Value> {
        let read = async {
            let mut line = String::new();
            loop {
                line.clear();
                if self.reader.read_line(&mut line).await.unwrap_or(0) == 0 {
                    return None;
                }
                if let Some(data) = line.strip_prefix("data:") {
                    return Some(serde_json::from_str(data).unwrap_or_else(|error| panic!("{error}: {data}")));
                }
            }
        };
        tokio::time::timeout(PATIENCE, read).await.expect("an event in time")
    }
}

/// Status and body of a request to the sidecar.
///
/// # Panics
/// When there is no answer.
pub async fn ask(sidecar: &str, method: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(sidecar).await.expect("the sidecar listens");
    let request = format!("{method} {path} HTTP/1.0\r\nHost: {sidecar}\r\nContent-Length: 0\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("it reads");
    let mut response = String::new();
    stream.read_to_string(&mut response).await.expect("it answers");
    let status = response.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, response.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
}
