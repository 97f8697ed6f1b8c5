//! What changes something, or takes long, is seen through once it has begun, whether its client waits or not, and is
//! written down with what came of it.

use std::sync::Arc;

use axum::extract::{Extension, Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};

use crate::telemetry::task_panic;

use super::{Access, Caller, Problem};

/// Longest path that is written down, in characters; no path that there is comes near it.
const MAX_ACTION_CHARS: usize = 512;

/// What the audit log says of an answer beside its status: an extension of the response.
#[derive(Debug, Clone, Default)]
pub(in crate::admin) struct Details(pub(super) Map<String, Value>);

impl Details {
    /// The same with another detail, which is no secret and no payload.
    pub(in crate::admin) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }
}

/// What a request asks for, as it is written down.
pub(super) fn action(request: &Request) -> String {
    let path = request.uri().path().chars().take(MAX_ACTION_CHARS).collect::<String>();
    format!("{} {path}", request.method())
}

/// Runs a request to its end in a task of its own. Nothing is begun while as many are under way as may be, nor before the
/// audit log has it.
pub(in crate::admin) async fn act(
    State(access): State<Access>,
    Extension(caller): Extension<Caller>,
    request: Request,
    next: Next,
) -> Response {
    let action = action(&request);
    let Ok(place) = Arc::clone(&access.0.acting).try_acquire_owned() else {
        let detail = "as many changes and trials are under way as may be: come again";
        let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(1);
        access.write_down(&caller, &action, problem.status(), &Details::default()).await;
        return problem.into_response();
    };
    let task = tokio::spawn(async move {
        let (response, details) = match access.0.audit.begin(&caller, &action).await {
            Ok(()) => {
                let mut response = next.run(request).await;
                let details = response.extensions_mut().remove::<Details>().unwrap_or_default();
                (response, details)
            }
            Err(error) => {
                let detail = format!("nothing is changed that cannot be written down: {error}");
                let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(10);
                (problem.into_response(), Details::default())
            }
        };
        access.write_down(&caller, &action, response.status(), &details).await;
        drop(place);
        response
    });
    task.await.unwrap_or_else(|error| {
        tracing::error!(panic = task_panic(error), "a request to the admin API failed by a fault of trackside itself");
        let detail = "this failed by a fault of trackside itself, please report it with the log";
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail).into_response()
    })
}
