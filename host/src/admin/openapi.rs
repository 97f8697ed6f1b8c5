//! The document of the API (OpenAPI 3.1): kept by hand beside this file, and held against the paths by a test and against
//! the answers by a fuzzer.

use axum::Json;
use axum::http::StatusCode;
use serde_json::Value;

use super::problem::Problem;

/// The document, but for the version.
const DOCUMENT: &str = include_str!("openapi.json");

/// `GET /v1/openapi.json`
pub(super) async fn document() -> Result<Json<Value>, Problem> {
    let read = serde_json::from_str(DOCUMENT);
    let mut document: Value =
        read.map_err(|error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    document["info"]["version"] = env!("CARGO_PKG_VERSION").into();
    Ok(Json(document))
}
