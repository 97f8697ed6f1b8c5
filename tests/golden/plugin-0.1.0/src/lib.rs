//! A plugin that uses everything of version 0.1.0 of the contract. The header `Do` says what.

use std::cell::RefCell;

use exports::trackside::plugin::stage::{Failure, Guest, Part, Retry, Verdict};
use trackside::plugin::log::{self, Level};
use trackside::plugin::message::{self, Header, Match, OriginKind, PayloadError, Selector, Value};
use trackside::plugin::setup;

wit_bindgen::generate!({ path: "../wit-0.1.0", world: "plugin" });

struct Golden;

struct State {
    routes: Vec<String>,
    file: String,
    selector: Selector,
}

thread_local! {
    static STATE: RefCell<Option<State>> = const { RefCell::new(None) };
}

impl Guest for Golden {
    fn configure(config: String) -> Result<(), String> {
        if config != "{}" {
            return Err(format!("not these settings: {config}"));
        }
        let file = setup::read_file("schemas/golden.json")?;
        let selector = Selector::compile(&["$.a".to_owned(), "$.b[*]".to_owned()])?;
        let file = String::from_utf8_lossy(&file).into_owned();
        STATE.set(Some(State { routes: setup::routes(), file, selector }));
        Ok(())
    }

    fn handle() -> Result<Verdict, Failure> {
        STATE.with_borrow(|state| {
            let state = state.as_ref().ok_or_else(|| Failure::Fatal("not configured".to_owned()))?;
            handle(state)
        })
    }
}

fn handle(state: &State) -> Result<Verdict, Failure> {
    match message::get_header("do").unwrap_or_default().as_str() {
        "tell" => tell(state),
        "headers" => {
            let refused = message::set_header("Nats-Rollup", "all").is_err();
            message::set_header("One", "1").map_err(Failure::Fatal)?;
            message::append_header("One", &format!("refused {refused}")).map_err(Failure::Fatal)?;
            message::remove_header("do");
        }
        "select" => select(state),
        "replace" => {
            let values = match message::select(&state.selector) {
                Ok(found) => found.iter().map(replacement).collect::<Vec<_>>(),
                Err(error) => return Ok(Verdict::Reject(said(error))),
            };
            if let Err(error) = message::replace(&state.selector, &values) {
                return Ok(Verdict::Reject(said(error)));
            }
        }
        "log" => {
            for level in [Level::Trace, Level::Debug, Level::Info, Level::Warn, Level::Error] {
                log::log(level, "golden");
            }
        }
        "route" => return Ok(Verdict::Route(vec!["other".to_owned(), "default".to_owned()])),
        "split" => return Ok(Verdict::Split(vec![part("one", None), part("two", Some("other"))])),
        "drop" => return Ok(Verdict::Drop("no need".to_owned())),
        "reject" => return Ok(Verdict::Reject("never".to_owned())),
        "retry" => return Err(Failure::Retry(Retry { reason: "later".to_owned(), after: Some(250) })),
        "fatal" => return Err(Failure::Fatal("broken".to_owned())),
        _ => {}
    }
    Ok(Verdict::Forward)
}

fn tell(state: &State) {
    let origin = match message::origin() {
        OriginKind::Jetstream => "jetstream",
        OriginKind::Core => "core",
        OriginKind::Sidecar => "sidecar",
        OriginKind::Trial => "trial",
    };
    let headers: Vec<_> = message::headers().into_iter().map(|Header { name, value }| format!("{name}={value}")).collect();
    let payload = String::from_utf8_lossy(&message::payload()).into_owned();
    let lines = [
        message::subject(),
        message::id(),
        origin.to_owned(),
        message::timestamp().to_string(),
        message::delivery().to_string(),
        message::payload_len().to_string(),
        payload,
        headers.join(" "),
        state.routes.join(" "),
        state.file.clone(),
    ];
    message::set_payload(lines.join("\n").as_bytes());
}

fn select(state: &State) {
    let told = match message::select(&state.selector) {
        Ok(found) => found.iter().map(shown).collect::<Vec<_>>().join("\n"),
        Err(error) => said(error),
    };
    message::set_payload(told.as_bytes());
}

fn shown(found: &Match) -> String {
    let value = match &found.value {
        Value::Null => "null".to_owned(),
        Value::Boolean(value) => format!("boolean {value}"),
        Value::Number(text) => format!("number {text}"),
        Value::Text(text) => format!("text {text}"),
        Value::Json(text) => format!("json {text}"),
    };
    format!("{} {value}", found.path)
}

/// Another value of each kind; numbers are taken out.
fn replacement(found: &Match) -> Option<Value> {
    match &found.value {
        Value::Null => Some(Value::Boolean(true)),
        Value::Boolean(_) => Some(Value::Null),
        Value::Number(_) => None,
        Value::Text(_) => Some(Value::Number("1.50".to_owned())),
        Value::Json(_) => Some(Value::Json("[\"x\"]".to_owned())),
    }
}

fn said(error: PayloadError) -> String {
    match error {
        PayloadError::NotJson(what) => format!("not JSON: {what}"),
        PayloadError::Limit(which) => format!("limit: {which}"),
    }
}

fn part(payload: &str, route: Option<&str>) -> Part {
    let header = Header { name: "Part".to_owned(), value: payload.to_owned() };
    Part { payload: payload.as_bytes().to_vec(), headers: vec![header], route: route.map(str::to_owned) }
}

export!(Golden);
