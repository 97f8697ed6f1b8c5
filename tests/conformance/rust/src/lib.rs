//! The conformance plugin: does what its settings say, as `tests/conformance/README.md` describes.

use std::time::Duration;

use serde::Deserialize;
use trackside_plugin::log::{self, Level};
use trackside_plugin::{Failure, Header, HeaderError, Message, Part, PayloadError};
use trackside_plugin::{Selector, Setup, SetupError, Stage, Value, Verdict};

/// The plugin, with what it keeps from `configure`.
pub struct Conformance {
    script: Vec<Vec<String>>,
    selectors: Vec<Selector>,
    routes: Vec<String>,
    files: Vec<Vec<u8>>,
    handled: u64,
}

/// The stage's `with` table.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    refuse: Option<String>,
    #[serde(default)]
    paths: Vec<Vec<String>>,
    #[serde(default)]
    check_routes: Vec<String>,
    #[serde(default)]
    files: Vec<String>,
    #[serde(default)]
    script: Vec<Vec<String>>,
}

impl Stage for Conformance {
    type Settings = Settings;

    fn configure(settings: Settings, setup: &Setup) -> Result<Self, SetupError> {
        if let Some(reason) = settings.refuse {
            return Err(reason.into());
        }
        let selectors = settings.paths.iter().map(|paths| Selector::compile(paths)).collect::<Result<_, _>>()?;
        let routes = setup.routes();
        if let Some(missing) = settings.check_routes.iter().find(|route| !routes.contains(route)) {
            return Err(format!("no route {missing}").into());
        }
        let files = settings.files.iter().map(|path| setup.read_file(path)).collect::<Result<_, _>>()?;
        Ok(Self { script: settings.script, selectors, routes, files, handled: 0 })
    }

    fn handle(&mut self, message: &mut Message) -> Result<Verdict, Failure> {
        self.handled += 1;
        let (mut notes, mut parts) = (Vec::new(), Vec::new());
        for step in &self.script {
            let step: Vec<&str> = step.iter().map(String::as_str).collect();
            if let Some(end) = self.step(&step, message, &mut notes, &mut parts) {
                return end;
            }
        }
        Ok(Verdict::Forward)
    }
}

impl Conformance {
    /// Takes a step; with a verdict or failure if it is the last.
    fn step(
        &self,
        step: &[&str],
        message: &mut Message,
        notes: &mut Vec<String>,
        parts: &mut Vec<Part>,
    ) -> Option<Result<Verdict, Failure>> {
        match *step {
            ["note", text] => notes.push(text.to_owned()),
            ["subject"] => notes.push(message.subject()),
            ["id"] => notes.push(message.id()),
            ["origin"] => notes.push(format!("{:?}", message.origin()).to_lowercase()),
            ["timestamp"] => notes.push(message.timestamp().to_string()),
            ["delivery"] => notes.push(message.delivery().to_string()),
            ["payload-len"] => notes.push(message.payload_len().to_string()),
            ["payload"] => notes.push(text(message.payload())),
            ["count"] => notes.push(self.handled.to_string()),
            ["routes"] => notes.push(self.routes.join(" ")),
            ["file", number] => notes.push(text(self.files[index(number)].clone())),
            ["get-header", name] => notes.push(message.header(name).unwrap_or_else(|| "none".to_owned())),
            ["headers"] => notes.extend(message.headers().iter().map(|h| format!("{}={}", h.name, h.value))),
            ["set-header", name, value] => notes.push(edited(message.set_header(name, value))),
            ["append-header", name, value] => notes.push(edited(message.append_header(name, value))),
            ["remove-header", name] => message.remove_header(name),
            ["set-payload", text] => message.set_payload(text),
            ["repeat-payload", count] => message.set_payload(message.payload().repeat(index(count))),
            ["fill-payload", count, text] => message.set_payload(text.repeat(index(count))),
            ["select", number] => match message.select(&self.selectors[index(number)]) {
                Ok(matches) => notes.extend(matches.iter().map(|m| format!("{} {}", m.path, spelt(&m.value)))),
                Err(error) => notes.push(unreadable(error)),
            },
            ["replace", number, ref pairs @ ..] => {
                let values = pairs.chunks_exact(2).map(|pair| value(pair[0], pair[1])).collect();
                notes.push(replaced(message.replace(&self.selectors[index(number)], values)));
            }
            ["replace-all", number, kind, spelling] => {
                let selector = &self.selectors[index(number)];
                let values = message.select(selector).map(|matches| vec![value(kind, spelling); matches.len()]);
                notes.push(replaced(values.and_then(|values| message.replace(selector, values))));
            }
            ["log", level, text] => log::log(self::level(level), text),
            ["report"] => message.set_payload(notes.join("\n")),
            ["part", payload, route, ref headers @ ..] => parts.push(Part {
                payload: payload.into(),
                headers: headers.chunks_exact(2).map(|pair| Header::new(pair[0], pair[1])).collect(),
                route: (!route.is_empty()).then(|| route.to_owned()),
            }),
            ["split"] => return Some(Ok(Verdict::Split(std::mem::take(parts)))),
            ["forward"] => return Some(Ok(Verdict::Forward)),
            ["route", ref routes @ ..] => {
                return Some(Ok(Verdict::Route(routes.iter().map(|route| (*route).to_owned()).collect())));
            }
            ["drop", reason] => return Some(Ok(Verdict::Drop(reason.to_owned()))),
            ["reject", reason] => return Some(Ok(Verdict::Reject(reason.to_owned()))),
            ["retry", reason] => return Some(Err(Failure::Retry { reason: reason.to_owned(), after: None })),
            ["retry", reason, milliseconds] => {
                let after = Some(Duration::from_millis(index(milliseconds) as u64));
                return Some(Err(Failure::Retry { reason: reason.to_owned(), after }));
            }
            ["fatal", reason] => return Some(Err(Failure::Fatal(reason.to_owned()))),
            ["trap"] => panic!("the script says so"),
            ["loop"] => loop {
                std::hint::black_box(());
            },
            ["hog"] => {
                let mut taken: Vec<Vec<u8>> = Vec::new();
                loop {
                    taken.push(std::hint::black_box(vec![1; 1 << 20]));
                }
            }
            _ => return Some(Err(Failure::Fatal(format!("no such step: {}", step.join(" "))))),
        }
        None
    }
}

fn index(number: &str) -> usize {
    number.parse().expect("a script's numbers are numbers")
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("a script takes only text for text")
}

fn edited(result: Result<(), HeaderError>) -> String {
    result.map_or_else(|error| format!("error: {error}"), |()| "ok".to_owned())
}

fn replaced(result: Result<(), PayloadError>) -> String {
    result.map_or_else(unreadable, |()| "ok".to_owned())
}

fn unreadable(error: PayloadError) -> String {
    match error {
        PayloadError::NotJson(text) => format!("not-json: {text}"),
        PayloadError::Limit(text) => format!("limit: {text}"),
        PayloadError::Ambiguous(text) => format!("ambiguous: {text}"),
    }
}

fn spelt(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Boolean(boolean) => format!("boolean {boolean}"),
        Value::Number(spelling) => format!("number {spelling}"),
        Value::Text(text) => format!("text {text}"),
        Value::Json(json) => format!("json {json}"),
    }
}

fn value(kind: &str, spelling: &str) -> Option<Value> {
    Some(match kind {
        "remove" => return None,
        "null" => Value::Null,
        "boolean" => Value::Boolean(spelling == "true"),
        "number" => Value::Number(spelling.to_owned()),
        "text" => Value::Text(spelling.to_owned()),
        _ => Value::Json(spelling.to_owned()),
    })
}

fn level(name: &str) -> Level {
    match name {
        "trace" => Level::Trace,
        "debug" => Level::Debug,
        "info" => Level::Info,
        "warn" => Level::Warn,
        _ => Level::Error,
    }
}

trackside_plugin::export!(Conformance);
