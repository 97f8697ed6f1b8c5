//! Changes the rule while orders flow, and waits until Trackside says that the change is in force.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use toml_edit::{DocumentMut, Item, TableLike};

use super::feed::Feed;
use crate::admin::revision;

/// The amount from which on the rule sends orders to review, as `config/rules/orders.toml` has it.
pub(crate) const OLD_THRESHOLD: f64 = 1000.0;
/// What the demo makes of it.
pub(crate) const NEW_THRESHOLD: f64 = 250.0;

const RELOAD_LIMIT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);

/// A change that is in force.
pub(crate) struct Reloaded {
    pub(crate) revision: String,
    /// From the edit to when the admin API named the new revision.
    pub(crate) took: Duration,
    /// Orders of this number and above were sent when it was already in force.
    pub(crate) boundary: u32,
}

/// Edits the rule and waits for the new revision.
///
/// # Errors
/// When the rule is not as expected, or no new revision comes into force in time.
pub(crate) async fn reload(rule: &Path, admin_url: &str, old: &str, feed: &Feed) -> Result<Reloaded> {
    let start = Instant::now();
    edit(rule)?;
    loop {
        let now = revision(admin_url).await?;
        if now != old {
            return Ok(Reloaded { revision: now, took: start.elapsed(), boundary: feed.sent() });
        }
        if start.elapsed() > RELOAD_LIMIT {
            bail!("{} was edited, and {} s later {old} is still in force", rule.display(), RELOAD_LIMIT.as_secs());
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Writes the new threshold beside the rule and renames it over, as editors do.
fn edit(rule: &Path) -> Result<()> {
    let text = fs::read_to_string(rule).with_context(|| format!("cannot read {}", rule.display()))?;
    let edited = lowered(&text).with_context(|| format!("cannot change {}", rule.display()))?;
    let draft = rule.with_extension("toml~");
    fs::write(&draft, edited).with_context(|| format!("cannot write {}", draft.display()))?;
    fs::rename(&draft, rule).with_context(|| format!("cannot write {}", rule.display()))
}

/// The rule's text with the new threshold in the first condition of its `route` stage.
fn lowered(text: &str) -> Result<String> {
    let mut document: DocumentMut = text.parse()?;
    let condition = condition(&mut document).context("the first rule has no `route` stage with a `when`")?;
    let old = condition.as_str().context("the condition is no text")?;
    let (from, to) = (format!("{OLD_THRESHOLD:.1}"), format!("{NEW_THRESHOLD:.1}"));
    if !old.contains(&from) {
        bail!("the condition is `{old}`, without the {from} that the demo changes to {to}");
    }
    *condition = toml_edit::value(old.replace(&from, &to));
    Ok(document.to_string())
}

fn condition(document: &mut DocumentMut) -> Option<&mut Item> {
    let rule = document.get_mut("rule")?.as_array_of_tables_mut()?.get_mut(0)?;
    let stages = rule.get_mut("stage")?.as_array_of_tables_mut()?;
    let route = stages.iter_mut().find(|stage| stage.get("plugin").and_then(Item::as_str) == Some("route"))?;
    let when = route.get_mut("with")?.as_table_like_mut()?.get_mut("when")?;
    first_table(when)?.get_mut("if")
}

/// The first of `[{ … }]` or of `[[…]]`: TOML has both spellings.
fn first_table(item: &mut Item) -> Option<&mut dyn TableLike> {
    match item {
        Item::ArrayOfTables(tables) => Some(tables.get_mut(0)?),
        Item::Value(toml_edit::Value::Array(array)) => Some(array.get_mut(0)?.as_inline_table_mut()?),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: &str = r#"# the orders
[[rule]]
name = "orders" # of the shop
[[rule.stage]]
plugin = "mask"
with = { fields = [{ path = "$.x", action = "redact" }] }
[[rule.stage]]
plugin = "route"
with = { when = [ { if = "body.amount >= 1000.0", to = "review" } ], else = "default" }
"#;

    #[test]
    fn only_the_threshold_changes() {
        let lowered = lowered(RULE).expect("a rule with a threshold");
        assert_eq!(lowered.replace("250.0", "1000.0"), RULE);
        assert_ne!(lowered, RULE);
    }

    #[test]
    fn the_other_spelling_of_the_settings_is_found_too() {
        let spelt = "[[rule]]\n[[rule.stage]]\nplugin = \"route\"\n[[rule.stage.with.when]]\nif = \"x >= 1000.0\"\n";
        assert_eq!(lowered(spelt).expect("a rule"), spelt.replace("1000.0", "250.0"));
    }

    #[test]
    fn a_rule_without_the_threshold_is_refused_with_what_it_has() {
        let error = lowered(&RULE.replace("1000.0", "7.0")).expect_err("no 1000.0").to_string();
        assert!(error.contains("`body.amount >= 7.0`"), "{error}");
        let error = lowered("[[rule]]\nname = \"x\"\n").expect_err("no stage").to_string();
        assert!(error.contains("no `route` stage"), "{error}");
    }

    #[test]
    fn the_edit_leaves_no_draft_behind() {
        let folder = tempfile::tempdir().expect("a folder");
        let rule = folder.path().join("orders.toml");
        fs::write(&rule, RULE).expect("written");
        edit(&rule).expect("edited");
        assert!(fs::read_to_string(&rule).expect("there").contains("250.0"));
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);
    }
}
