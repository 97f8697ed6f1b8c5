//! The rules and plugins in force, as they were written: secrets as references alone.

use std::path::Path as FilePath;
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::header::{CONTENT_TYPE, HeaderName};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use crate::plan::Loaded;
use crate::rules::{self, Grant, Grants, Isolation, PluginSettings, Priority, Rule, Rules, RulesFile, Target};

use super::Admin;
use super::input::{number, query, segment};
use super::problem::Problem;
use super::revisions::etag;

/// Most rules of one answer.
const MAX_RULES: usize = 1000;
const USUAL_RULES: usize = 100;
/// There are never so many.
const MAX_OFFSET: usize = 1_000_000_000;

pub(super) async fn rules(State(admin): State<Admin>, uri: Uri) -> Result<Response, Problem> {
    let values = query(&uri, &["offset", "limit"])?;
    let offset = number(&values, "offset", 0..=MAX_OFFSET, 0)?;
    let limit = number(&values, "limit", 1..=MAX_RULES, USUAL_RULES)?;
    let (loaded, rules) = in_force(&admin).await?;
    let shown: Vec<Value> = rules.rules.iter().skip(offset).take(limit).map(|rule| rule_body(rule, &rules)).collect();
    let body = json!({ "revision": loaded.plan.revision.as_str(), "total": rules.rules.len(), "rules": shown });
    Ok((etag(Some(&loaded.plan.revision)), Json(body)).into_response())
}

pub(super) async fn file(
    State(admin): State<Admin>,
    path: Result<Path<String>, PathRejection>,
    uri: Uri,
) -> Result<Response, Problem> {
    query(&uri, &[])?;
    let file = segment(path)?;
    let loaded = loaded(&admin)?;
    let text = RulesFile::new(&file).ok().and_then(|file| loaded.files.text(&file.path()));
    let text = text.ok_or_else(|| {
        Problem::new(StatusCode::NOT_FOUND, "the revision in force has no file of rules of this name")
    })?;
    let headers: [(HeaderName, &str); 1] = [(CONTENT_TYPE, "text/plain; charset=utf-8")];
    Ok((etag(Some(&loaded.plan.revision)), headers, text).into_response())
}

pub(super) async fn plugins(State(admin): State<Admin>, uri: Uri) -> Result<Response, Problem> {
    query(&uri, &[])?;
    let (loaded, rules) = in_force(&admin).await?;
    let standard = PluginSettings::default();
    let plugins: Vec<Value> = loaded
        .plan
        .plugins
        .iter()
        .map(|(name, sha256)| {
            let settings = rules.config.plugins.get(name).unwrap_or(&standard);
            let users = rules.rules.iter().filter(|rule| rule.stages.iter().any(|stage| stage.plugin == *name));
            plugin_body(name.as_str(), sha256, settings, users.count(), &rules.directory)
        })
        .collect();
    let body = json!({ "revision": loaded.plan.revision.as_str(), "plugins": plugins });
    Ok((etag(Some(&loaded.plan.revision)), Json(body)).into_response())
}

pub(super) fn loaded(admin: &Admin) -> Result<Arc<Loaded>, Problem> {
    admin.view.current().ok_or_else(|| {
        let detail = "no revision is in force yet";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(1)
    })
}

/// What is in force. Read anew from its texts, since nothing else needs it in this form.
pub(super) async fn in_force(admin: &Admin) -> Result<(Arc<Loaded>, Rules), Problem> {
    let loaded = loaded(admin)?;
    let files = Arc::clone(&loaded.files);
    // One at a time: reading thousands of rules takes a while.
    let place = admin.access.reading().await;
    let read = tokio::task::spawn_blocking(move || {
        let read = rules::load_from(&files);
        drop(place);
        read
    });
    match read.await {
        Ok(Ok((rules, _))) => Ok((loaded, rules)),
        // They were read before.
        Ok(Err(_)) | Err(_) => {
            Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "what is in force cannot be read again"))
        }
    }
}

fn rule_body(rule: &Rule, rules: &Rules) -> Value {
    let stages = rule
        .stages
        .iter()
        .map(|stage| json!({ "plugin": stage.plugin.as_str(), "optional": stage.optional, "with": stage.with }));
    let routes = rule.routes.iter().map(|(name, route)| {
        let kind = match &route.to {
            Target::Subject { .. } => "subject",
            Target::Service { .. } => "service",
            Target::Subscribers { .. } => "subscribers",
            Target::Caller => "caller",
        };
        (name.to_string(), json!({ "to": route.to.to_string(), "kind": kind }))
    });
    let letters = rule.on_failure.dead_letter.as_ref().map(|letters| {
        let key = letters.encrypt.as_ref().map(ToString::to_string);
        json!({ "subject": letters.subject.to_string(), "stream": letters.stream, "encrypt": key })
    });
    json!({
        "name": rule.name.as_str(),
        "file": relative(FilePath::new(rule.location.file()), &rules.directory),
        "line": rule.location.line(),
        "source": rule.source.as_str(),
        "subject": rule.subject.as_str(),
        "stages": stages.collect::<Vec<_>>(),
        "routes": routes.collect::<Map<_, _>>(),
        "ordered": rule.order_by.is_some(),
        "concurrency": rule.concurrency,
        "priority": match rule.priority {
            Priority::High => "high",
            Priority::Normal => "normal",
            Priority::Low => "low",
        },
        "atomic": rule.atomic,
        "tries": rule.on_failure.tries,
        "dead-letter": letters,
    })
}

fn plugin_body(name: &str, sha256: &[u8; 32], settings: &PluginSettings, rules: usize, directory: &FilePath) -> Value {
    let (kind, place) = match (&settings.path, &settings.oci) {
        (Some(path), _) => ("file", Some(relative(path, directory))),
        (None, Some(reference)) => ("registry", Some(reference.to_string())),
        (None, None) => ("standard", None),
    };
    let limits = &settings.limits;
    json!({
        "name": name,
        "sha256": hex::encode(sha256),
        "origin": { "kind": kind, "place": place },
        "pinned": settings.sha256.is_some(),
        "signed-by": settings.signed_by.iter().map(|key| key.name.as_str()).collect::<Vec<_>>(),
        "grants": grants(&settings.grants),
        "files": settings.files,
        "isolation": match settings.isolation {
            Isolation::Instance => "instance",
            Isolation::Message => "message",
        },
        "rules": rules,
        "limits": {
            "memory-bytes": limits.memory_bytes,
            "deadline-ms": limits.deadline.as_millis(),
            "configure-deadline-ms": limits.configure_deadline.as_millis(),
            "compile-timeout-ms": limits.compile_timeout.as_millis(),
            "compile-memory-bytes": limits.compile_memory_bytes,
            "table-elements": limits.table_elements,
            "host-calls": limits.host_calls,
            "host-bytes": limits.host_bytes,
            "log-lines-per-second": limits.log_lines_per_second,
            "recycle-after-messages": limits.recycle_after_messages,
            "recycle-above-bytes": limits.recycle_above_bytes,
        },
    })
}

fn grants(grants: &Grants) -> Vec<String> {
    let plain = [(grants.log, Grant::Log), (grants.clock, Grant::Clock), (grants.random, Grant::Random)];
    let plain = plain.into_iter().filter_map(|(given, grant)| given.then_some(grant));
    let buckets = grants.buckets.iter().map(|(bucket, access)| Grant::Bucket(bucket.clone(), *access));
    let secrets = grants.secrets.iter().cloned().map(Grant::Secret);
    plain.chain(buckets).chain(secrets).map(|grant| grant.to_string()).collect()
}

/// A path from the configuration directory where it is below it.
fn relative(path: &FilePath, directory: &FilePath) -> String {
    path.strip_prefix(directory).unwrap_or(path).display().to_string()
}
