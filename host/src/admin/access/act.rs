//! What changes something, or takes long, is seen through once it has begun, whether its client waits or not, and is
//! written down with what came of it.

use std::sync::Arc;

use axum::extract::{Request, State};
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

/// Runs a request to its end in a task of its own. Nothing is begun while as many are under way as may be.
pub(in crate::admin) async fn act(State(access): State<Access>, request: Request, next: Next) -> Response {
    let Ok(place) = Arc::clone(&access.0.acting).try_acquire_owned() else {
        let detail = "as many changes and trials are under way as may be: come again";
        return Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(1).into_response();
    };
    let path = request.uri().path().chars().take(MAX_ACTION_CHARS).collect::<String>();
    let action = format!("{} {path}", request.method());
    let caller = request.extensions().get::<Caller>().cloned();
    let task = tokio::spawn(async move {
        let mut response = next.run(request).await;
        let details = response.extensions_mut().remove::<Details>().unwrap_or_default();
        if let Some(caller) = caller
            && let Err(error) = access.0.audit.record(&caller, &action, response.status(), &details).await
        {
            // It has been done, and the log has it.
            tracing::error!("{error}");
        }
        drop(place);
        response
    });
    task.await.unwrap_or_else(|error| {
        tracing::error!(panic = task_panic(error), "a request to the admin API failed by a fault of trackside itself");
        let detail = "this failed by a fault of trackside itself, please report it with the log";
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail).into_response()
    })
}
