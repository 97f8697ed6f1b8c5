//! Runs a jq program.

use jaq_core::data::JustLut;
use jaq_core::load::{Arena, File, Loader};
use jaq_core::{Compiler, Ctx, Filter, Vars, load};
use jaq_json::{Val, read};
use serde::de::IgnoredAny;
use trackside_plugin::{Failure, Header, Message, Part, PayloadError, Selector, SetupError, Value, Verdict};

/// The most parts that a program may split a message into.
const MAX_OUTPUTS: usize = 1000;
/// What the program knows beside the payload.
const VARIABLES: [&str; 4] = ["$subject", "$id", "$timestamp", "$headers"];
/// What reads the clock, the environment or the local time zone: the same message must give the same bytes anywhere.
const WITHHELD: [&str; 4] = ["now", "env", "localtime", "strflocaltime"];

/// A compiled program.
pub(crate) struct Program {
    filter: Filter<JustLut<Val>>,
    /// Headers are only asked for when the program may look at them.
    reads_headers: bool,
}

impl Program {
    /// # Errors
    ///
    /// Where the program is wrong.
    pub(crate) fn compile(code: &str) -> Result<Self, SetupError> {
        let defs = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
        let funs = jaq_core::funs().chain(jaq_std::funs()).chain(jaq_json::funs());
        let arena = Arena::default();
        let modules = Loader::new(defs)
            .load(&arena, File { code, path: () })
            .map_err(|errors| SetupError::new(load_error(code, &errors)))?;
        let filter = Compiler::default()
            .with_funs(funs.filter(|(name, ..)| !WITHHELD.contains(name)))
            .with_global_vars(VARIABLES)
            .compile(modules)
            .map_err(|errors| {
                let first = errors.iter().flat_map(|(_, errors)| errors).next();
                let (name, kind) = first.map_or(("?", "name"), |(name, undefined)| (*name, undefined.as_str()));
                SetupError::new(format!("there is no {kind} `{name}`{}", why(name)))
            })?;
        Ok(Self { filter, reads_headers: code.contains("$headers") })
    }

    /// One output takes the payload's place, several split the message, none drops it.
    pub(crate) fn run(&self, message: &mut Message, root: &Selector) -> Result<Verdict, Failure> {
        // The host has found the payload to be JSON; jaq alone would take more for it.
        let input = message.select(root)?.into_iter().next().map(|found| json(&found.value));
        let input = input.ok_or_else(|| Failure::from(PayloadError::NotJson("it is empty".to_owned())))?;
        let input = read::parse_single(input.as_bytes())
            .map_err(|error| reject(&format!("cannot read the payload: {error}")))?;
        let context = Ctx::<JustLut<Val>>::new(&self.filter.lut, Vars::new(self.variables(message)));
        let mut outputs = Vec::new();
        for output in self.filter.id.run((context, input)) {
            if outputs.len() == MAX_OUTPUTS {
                return Err(reject(&format!("gives more than {MAX_OUTPUTS} outputs")));
            }
            // What jaq has to say about an error quotes the values that it is about.
            let output = output.map_err(|_| reject("failed on this payload"))?.to_string();
            if serde_json::from_str::<IgnoredAny>(&output).is_err() {
                return Err(reject("gives an output that JSON cannot spell"));
            }
            outputs.push(output);
        }
        match outputs.as_slice() {
            [] => Ok(Verdict::Drop("the jq program gave no output".to_owned())),
            [output] => {
                message.set_payload(output);
                Ok(Verdict::Forward)
            }
            _ => Ok(split(message, outputs)),
        }
    }

    /// In the order of [`VARIABLES`].
    fn variables(&self, message: &Message) -> [Val; 4] {
        let mut headers = jaq_json::Map::default();
        if self.reads_headers {
            for Header { name, value } in message.headers() {
                headers.entry(Val::utf8_str(name)).or_insert_with(|| Val::utf8_str(value));
            }
        }
        let timestamp = message.timestamp().to_string();
        let timestamp = read::parse_single(timestamp.as_bytes()).expect("a number is JSON");
        [Val::utf8_str(message.subject()), Val::utf8_str(message.id()), timestamp, Val::obj(headers)]
    }
}

fn split(message: &Message, outputs: Vec<String>) -> Verdict {
    // The host sets these for each part itself.
    let reserved =
        |name: &str| ["nats-", "trackside-"].iter().any(|prefix| name.to_ascii_lowercase().starts_with(prefix));
    let mut headers = message.headers();
    headers.retain(|header| !reserved(&header.name));
    let part = |output: String| Part { payload: output.into_bytes(), headers: headers.clone(), route: None };
    Verdict::Split(outputs.into_iter().map(part).collect())
}

fn reject(what: &str) -> Failure {
    Failure::reject(format!("the jq program {what}"))
}

fn json(value: &Value) -> String {
    match value {
        Value::Text(text) => serde_json::Value::from(text.as_str()).to_string(),
        other => other.spelling().into_owned(),
    }
}

fn why(name: &str) -> &'static str {
    match name.trim_start_matches('$') {
        "now" | "env" | "ENV" | "localtime" | "strflocaltime" | "input" | "inputs" | "input_line_number" => {
            ": a stage sees one message and nothing else, so that it does the same on any machine"
        }
        _ => "",
    }
}

fn load_error(code: &str, errors: &load::Errors<&str, ()>) -> String {
    let first = errors.iter().map(|(_, error)| match error {
        load::Error::Io(errors) => errors.first().map(|(path, _)| (*path, "a program of one file".to_owned())),
        load::Error::Lex(errors) => errors.first().map(|(expected, found)| (*found, expected.as_str().to_owned())),
        load::Error::Parse(errors) => errors.first().map(|(expected, found)| (*found, expected.as_str().to_owned())),
    });
    let Some((found, expected)) = first.flatten().next() else { return "it is not a jq program".to_owned() };
    let before = &code[..load::span(code, found).start.min(code.len())];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!("line {line}, column {column}: expected {expected}")
}

impl std::fmt::Debug for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Program").field("reads_headers", &self.reads_headers).finish_non_exhaustive()
    }
}
