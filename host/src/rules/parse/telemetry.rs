//! `[telemetry.traces]`.

use super::nats::secret_of;
use crate::rules::model::TraceSettings;
use crate::rules::reference;
use crate::rules::secret::SecretRef;
use crate::rules::table::Table;
use crate::rules::template::ServiceAddress;
use crate::rules::values::{self, Node, Wrong};

use toml::de::DeValue;

/// Most headers of a request.
const MAX_HEADERS: usize = 16;

/// Headers that say how a request is sent or what is in it.
const OWN_HEADERS: [&str; 8] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "te",
    "transfer-encoding",
    "user-agent",
];

pub(super) fn traces(root: &Table<'_>) -> Option<TraceSettings> {
    let table = root.table("telemetry", &reference::TELEMETRY)?.table("traces", &reference::TRACES)?;
    let headers = headers(&table);
    let (service_name, timeout) = (table.text("service-name").unwrap_or_default(), table.duration("timeout"));
    if service_name.is_empty() {
        table.error(
            "service-name",
            "`service-name` is empty",
            "write what this instance is for, such as \"orders-router\"",
        );
    }
    let sample_ratio = table.read("sample-ratio", ratio).unwrap_or_default();
    let max_waiting_spans = table.number("max-waiting-spans");
    let (endpoint, path) = endpoint(&table)?;
    Some(TraceSettings { endpoint, path, headers, service_name, sample_ratio, timeout, max_waiting_spans })
}

fn endpoint(table: &Table<'_>) -> Option<(ServiceAddress, String)> {
    let text = table.text("endpoint")?;
    match ServiceAddress::parse_with_path(&text) {
        Ok((address, path)) => Some((address, path.to_owned())),
        Err(_) => {
            // The text is not shown: it may hold a password.
            let help = "write for example \"http://127.0.0.1:4318\" or \"https://collector.example/otlp\"; user and \
                        password belong into [telemetry.traces.secret-headers]";
            table.error("endpoint", "`endpoint` is not the URL of a receiver", help);
            None
        }
    }
}

fn headers(table: &Table<'_>) -> Vec<(String, SecretRef)> {
    let mut headers: Vec<(String, SecretRef)> = Vec::new();
    for (key, node) in table.named("secret-headers") {
        let name = key.get_ref().as_ref();
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        let reason = if name.is_empty() || !name.bytes().all(token) {
            "it has characters that no header of HTTP has in its name"
        } else if OWN_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
            "it says how the request is sent, or what is in it"
        } else if headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
            "it is there twice"
        } else {
            headers.extend(secret_of(table, name, node).map(|value| (name.to_owned(), value)));
            continue;
        };
        table.file.error(key.span(), format!("`{name}` cannot be a header of these requests"), reason);
    }
    if headers.len() > MAX_HEADERS {
        let message = format!("`secret-headers` has more than {MAX_HEADERS} headers");
        table.error("secret-headers", message, "one for the credentials, and perhaps one for the tenant, is usual");
    }
    headers
}

/// A share: a number from 0 to 1.
fn ratio(node: &Node<'_>) -> Result<f64, Wrong> {
    const HELP: &str = "write a number from 0 to 1, for example 0.01 for one in a hundred";
    let number = match node.get_ref() {
        DeValue::Integer(integer) => integer.as_str().parse::<f64>().ok(),
        DeValue::Float(float) => float.as_str().parse().ok(),
        other => return Err(Wrong::new(format!("must be a number, not {}", values::kind(other)), HELP)),
    };
    number.filter(|number| (0.0..=1.0).contains(number)).ok_or_else(|| Wrong::new("is out of range", HELP))
}
