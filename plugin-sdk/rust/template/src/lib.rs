//! Sends large orders to a route of their own, and takes the coupon out of all of them.
//!
//! The settings are `limit`, an amount, and `to`, the route for orders of that amount or more.

use serde::Deserialize;
use trackside_plugin::{Failure, Message, Selector, Setup, SetupError, Stage, Value, Verdict};

/// The plugin, with its settings.
pub struct Large {
    selector: Selector,
    settings: Settings,
}

/// The stage's `with` table.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    limit: f64,
    to: String,
}

impl Stage for Large {
    type Settings = Settings;

    fn configure(settings: Settings, setup: &Setup) -> Result<Self, SetupError> {
        // A misspelt route is found now, before any message is.
        setup.check_route(&settings.to).map_err(|error| error.at("to"))?;
        Ok(Self { selector: Selector::compile(&["$.amount", "$.coupon"])?, settings })
    }

    fn handle(&mut self, message: &mut Message) -> Result<Verdict, Failure> {
        let matches = message.select(&self.selector)?;
        let amount = matches.iter().find(|found| found.path == 0).map(|found| &found.value);
        let Some(Value::Number(amount)) = amount else {
            return Err(Failure::reject("`$.amount` is not a number"));
        };
        let large = amount.parse::<f64>().is_ok_and(|amount| amount >= self.settings.limit);
        // One value for each match, in the same order; `None` takes the member out.
        let values = matches.iter().map(|found| (found.path == 0).then(|| found.value.clone())).collect();
        message.replace(&self.selector, values)?;
        if large {
            return Ok(Verdict::Route(vec![self.settings.to.clone()]));
        }
        Ok(Verdict::Forward)
    }
}

trackside_plugin::export!(Large);
