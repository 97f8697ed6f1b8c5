//! What a plugin may ask for while it is configured.

use serde::de::DeserializeOwned;

use crate::{SetupError, Stage, backend};

/// The host, as `configure` sees it. A clone may be kept for a library that wants to own what it reads files with,
/// but does not work any more once `configure` has returned.
#[derive(Clone, Debug)]
pub struct Setup(pub(crate) backend::Setup);

impl Setup {
    /// The names of the routes that the rule declares.
    #[must_use]
    pub fn routes(&self) -> Vec<String> {
        self.0.routes()
    }

    /// Finds a misspelt route before any message does.
    ///
    /// # Errors
    ///
    /// The rule declares no such route: which ones it does declare.
    pub fn check_route(&self, name: &str) -> Result<(), SetupError> {
        let routes = self.routes();
        if routes.iter().any(|route| route == name) {
            return Ok(());
        }
        let declared = match routes.len() {
            0 => "it declares none; add it under [rule.routes]".to_owned(),
            _ => format!("it declares {}", routes.join(", ")),
        };
        Err(SetupError::new(format!("the rule has no route `{name}`; {declared}")))
    }

    /// Reads a file of the configuration directory, by its path from there with `/` between the parts. Only folders
    /// that the plugin's `files` setting allows can be read (`schemas/` unless it says otherwise).
    ///
    /// # Errors
    ///
    /// The host's sentence about why it cannot be read.
    pub fn read_file(&self, path: &str) -> Result<Vec<u8>, SetupError> {
        self.0.read_file(path).map_err(SetupError::new)
    }
}

/// Reads the settings and configures the stage; any error names the key.
pub(crate) fn configure<S: Stage>(config: serde_json::Value, setup: &Setup) -> Result<S, SetupError> {
    S::configure(settings(config)?, setup)
}

fn settings<T: DeserializeOwned>(config: serde_json::Value) -> Result<T, SetupError> {
    serde_path_to_error::deserialize(config).map_err(|error| {
        let key = error.path().to_string();
        let error = SetupError::new(conceal(&error.into_inner().to_string()));
        // Serde's name for the settings as a whole.
        if key == "." { error } else { error.at(key) }
    })
}

/// Takes the string out of serde's "invalid type: string \"…\", expected …": the host has put secrets in the place of
/// `env:` and `file:` references, and this may be one.
fn conceal(reason: &str) -> String {
    match (reason.find("string \""), reason.rfind("\", expected ")) {
        (Some(start), Some(end)) if start < end => format!("{}a string{}", &reason[..start], &reason[end + 1..]),
        _ => reason.to_owned(),
    }
}
