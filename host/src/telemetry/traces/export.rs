//! Spans on their way out: in batches, by OTLP over HTTP with protobuf (OTLP 1.x, section "OTLP/HTTP").

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT};
use hyper::{Request, Response, StatusCode, Uri};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry::KeyValue;
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanData;
use prost::Message as _;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::https;
use crate::telemetry::TraceMetrics;

/// Spans of one request, at most.
const BATCH_SPANS: usize = 512;

/// How long a batch that is not full waits for more.
const LINGER: Duration = Duration::from_secs(1);

/// Waits between tries of a batch; the last one repeats.
const BACKOFF: [Duration; 4] =
    [Duration::from_millis(100), Duration::from_millis(400), Duration::from_millis(1_500), Duration::from_secs(5)];

/// How much of an answer is read.
const MAX_ANSWER_BYTES: usize = 64 << 10;

const AGENT: &str = concat!("trackside/", env!("CARGO_PKG_VERSION"));

/// Where spans go, and as whose.
#[derive(Debug)]
pub struct ExporterSettings {
    /// The URL that they are posted to.
    pub url: String,
    /// Headers of the requests, with values that are secrets.
    pub headers: Vec<(String, String)>,
    /// What the service is called (`service.name`).
    pub service_name: String,
    /// How long one batch may take, further tries included.
    pub timeout: Duration,
}

/// Why spans cannot be exported at all; shows no value of a header.
#[derive(Debug, thiserror::Error)]
pub enum ExporterError {
    /// The URL cannot be used.
    #[error("`{0}` is not a URL that spans can be posted to")]
    Url(String),
    /// A header cannot be used.
    #[error("the value of header `{0}` has characters that HTTP does not take")]
    Header(String),
    /// The system has no random bytes for the instance's id.
    #[error("the system has no random bytes: {0}")]
    Random(#[from] getrandom::Error),
}

/// Exports spans until it is told to stop.
#[derive(Debug)]
pub struct Exporter {
    spans: mpsc::Receiver<SpanData>,
    batch: Vec<SpanData>,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    url: Uri,
    headers: HeaderMap,
    resource: ResourceAttributesWithSchema,
    timeout: Duration,
    metrics: Arc<TraceMetrics>,
    /// Whether the last batch was not taken, which is said once.
    failing: bool,
}

/// Why a batch was not taken.
struct Refused {
    why: String,
    /// Whether it may be taken later, and when if that was said.
    again: Option<Option<Duration>>,
}

impl Exporter {
    /// Exports what comes out of here.
    ///
    /// # Errors
    /// When the settings cannot be used.
    pub fn new(
        settings: ExporterSettings,
        spans: mpsc::Receiver<SpanData>,
        metrics: Arc<TraceMetrics>,
    ) -> Result<Self, ExporterError> {
        let ExporterSettings { url: text, headers: secret, service_name, timeout } = settings;
        let url: Uri = text.parse().map_err(|_| ExporterError::Url(text))?;
        let mut headers = HeaderMap::new();
        for (name, value) in secret {
            let parsed = HeaderName::try_from(name.as_str()).ok().zip(HeaderValue::try_from(value).ok());
            let (known, mut value) = parsed.ok_or(ExporterError::Header(name))?;
            value.set_sensitive(true);
            headers.insert(known, value);
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_connect_timeout(Some(timeout));
        let secure = url.scheme_str() == Some("https");
        let client = Client::builder(TokioExecutor::new()).build(https::connector(http, secure));
        let mut instance = [0; 16];
        getrandom::fill(&mut instance)?;
        let resource = Resource::builder_empty().with_attributes([
            KeyValue::new("service.name", service_name),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", hex::encode(instance)),
        ]);
        let resource = ResourceAttributesWithSchema::from(&resource.build());
        Ok(Self { spans, batch: Vec::new(), client, url, headers, resource, timeout, metrics, failing: false })
    }

    /// Runs until it is told to stop, or can no longer be, and everything that came by then is out or given up.
    pub async fn run(mut self, mut stop: oneshot::Receiver<()>) {
        let mut closed = false;
        loop {
            tokio::select! {
                biased;
                _ = &mut stop, if !closed => {
                    self.spans.close();
                    closed = true;
                }
                some = gather(&mut self.spans, &mut self.batch) => {
                    if !some {
                        return;
                    }
                    let batch = std::mem::take(&mut self.batch);
                    self.export(batch).await;
                }
            }
        }
    }

    /// Sends a batch, and tries again while that may help and there is time.
    async fn export(&mut self, batch: Vec<SpanData>) {
        let count = batch.len() as u64;
        let resource_spans = group_spans_by_resource_and_scope(batch, &self.resource);
        let body = Bytes::from(ExportTraceServiceRequest { resource_spans }.encode_to_vec());
        let end = Instant::now() + self.timeout;
        let mut waits = BACKOFF.iter().chain(std::iter::repeat(&BACKOFF[BACKOFF.len() - 1]));
        let refused = loop {
            let posted = tokio::time::timeout_at(end, self.post(body.clone())).await;
            let refused = match posted {
                Ok(Ok(rejected)) => {
                    let rejected = rejected.min(count);
                    self.metrics.exported(count - rejected);
                    self.metrics.failed(rejected);
                    if std::mem::take(&mut self.failing) {
                        tracing::info!(url = %self.url, "spans are exported again");
                    }
                    return;
                }
                Ok(Err(refused)) => refused,
                Err(_) => Refused { why: format!("no answer within {:?}", self.timeout), again: None },
            };
            let Some(asked) = refused.again else { break refused };
            let wait = asked.unwrap_or_else(|| waits.next().copied().unwrap_or_default());
            if Instant::now() + wait >= end {
                break refused;
            }
            tokio::time::sleep(wait).await;
        };
        self.metrics.failed(count);
        if !std::mem::replace(&mut self.failing, true) {
            tracing::warn!(url = %self.url, error = refused.why,
                "spans cannot be exported; they are counted in trackside_trace_spans_total and lost");
        }
    }

    /// How many of the spans the receiver did not want.
    async fn post(&self, body: Bytes) -> Result<u64, Refused> {
        let mut request = Request::post(self.url.clone())
            .body(Full::new(body))
            .map_err(|error| Refused { why: error.to_string(), again: None })?;
        request.headers_mut().clone_from(&self.headers);
        let lost = |error: &(dyn Error + 'static)| Refused { why: https::reasons(error), again: Some(None) };
        let answer = self.client.request(request).await.map_err(|error| lost(&error))?;
        let refused = refusal(&answer);
        let body = Limited::new(answer.into_body(), MAX_ANSWER_BYTES).collect().await;
        match refused {
            Some(refused) => Err(refused),
            // Taken is taken, even if what is said about it cannot be read.
            None => Ok(body.ok().and_then(|body| rejected(body.to_bytes())).unwrap_or(0)),
        }
    }
}

/// Waits for a batch: full, or a while after its first span. False once nothing more comes. Cancel safe: what has come
/// stays in the batch.
async fn gather(spans: &mut mpsc::Receiver<SpanData>, batch: &mut Vec<SpanData>) -> bool {
    if batch.is_empty() && spans.recv_many(batch, BATCH_SPANS).await == 0 {
        return false;
    }
    let enough = tokio::time::sleep(LINGER);
    tokio::pin!(enough);
    while batch.len() < BATCH_SPANS {
        let room = BATCH_SPANS - batch.len();
        tokio::select! {
            count = spans.recv_many(batch, room) => {
                if count == 0 {
                    break;
                }
            }
            () = &mut enough => break,
        }
    }
    true
}

/// Why an answer is no success. Those four are to be tried again, and no others.
fn refusal<B>(answer: &Response<B>) -> Option<Refused> {
    let status = answer.status();
    if status.is_success() {
        return None;
    }
    let passing = matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    );
    let after = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    Some(Refused { why: format!("answered {status}"), again: passing.then(|| after.map(Duration::from_secs)) })
}

fn rejected(body: Bytes) -> Option<u64> {
    let answer = ExportTraceServiceResponse::decode(body).ok()?;
    u64::try_from(answer.partial_success?.rejected_spans).ok()
}
