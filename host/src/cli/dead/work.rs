//! `trackside dead replay` and `discard`: what letters are there for.

use std::process::ExitCode;
use std::sync::Arc;

use crate::app::{self, Failure, Offline, ServerStore};
use crate::cli::output;
use crate::letters::{Fate, Letter, Replayer};
use crate::plugins::KeyValue;

use super::show::{clean, tell_foreign};
use super::{Discard, Replay, failed, open};

/// How many letters had which fate.
#[derive(Debug, Default)]
struct Count {
    sent: u64,
    failed_again: u64,
    stay: u64,
}

/// Sends letters through the rules, one after another in the order of their sequences.
pub(super) fn replay(arguments: &Replay) -> Result<ExitCode, Failure> {
    let selection = &arguments.selection;
    let buckets = Arc::new(ServerStore::default());
    // A dry run changes nothing, and so keeps what plugins keep in memory.
    let offline = match arguments.dry_run {
        true => Offline::open(&selection.place.directory)?,
        false => Offline::open_with(&selection.place.directory, Arc::clone(&buckets) as Arc<dyn KeyValue>)?,
    };
    offline.print_warnings();
    if arguments.dry_run {
        offline.print_buckets();
    }
    let keys = arguments.keys.with(offline.rules())?;
    app::runtime()?.block_on(async {
        let store = open(offline.rules(), &selection.place).await?;
        buckets.connected(store.connection());
        if !arguments.dry_run {
            store.check_deletable().await.map_err(failed)?;
        }
        let filter = selection.filter();
        let mut replayer = Replayer::new(offline.plan(), offline.runner(arguments.dry_run), &store, &keys);
        let (mut scan, mut count, mut left) = (store.scan(&filter), Count::default(), selection.limit());
        while left > 0
            && let Some(letter) = scan.next().await.map_err(failed)?
        {
            left -= 1;
            let text = match arguments.dry_run {
                true => preview(&mut replayer, &letter, &mut count).await?,
                false => count.told(&letter, replayer.replay(&letter).await),
            };
            output::print(&text)?;
        }
        if !arguments.dry_run {
            let Count { sent, failed_again, stay } = count;
            output::print(&format!("{sent} replayed, {failed_again} failed again, {stay} stay\n"))?;
        }
        tell_foreign(&scan);
        Ok(if count.failed_again + count.stay == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    })
}

/// Deletes letters.
pub(super) fn discard(arguments: &Discard) -> Result<ExitCode, Failure> {
    let selection = &arguments.selection;
    let rules = app::configured(&selection.place.directory)?;
    app::runtime()?.block_on(async {
        let store = open(&rules, &selection.place).await?;
        if !arguments.dry_run {
            store.check_deletable().await.map_err(failed)?;
        }
        let filter = selection.filter();
        let (mut scan, mut deleted, mut left) = (store.scan(&filter), 0_u64, selection.limit());
        while left > 0
            && let Some(letter) = scan.next().await.map_err(failed)?
        {
            left -= 1;
            // One that is gone already was dealt with by somebody else.
            if !arguments.dry_run && !store.delete(&letter).await.map_err(failed)? {
                continue;
            }
            deleted += 1;
            let reason = clean(&letter.reason);
            output::print(&format!("{} {} of rule `{}`: {reason}\n", letter.stream, letter.sequence, letter.rule))?;
        }
        let would = if arguments.dry_run { "would be " } else { "" };
        output::print(&format!("{deleted} {would}discarded\n"))?;
        tell_foreign(&scan);
        Ok(ExitCode::SUCCESS)
    })
}

/// What a replay would do, in JSON lines.
async fn preview(replayer: &mut Replayer<'_>, letter: &Letter, count: &mut Count) -> Result<String, Failure> {
    let observed = match replayer.preview(letter).await {
        Ok(observed) => observed,
        Err(reason) => {
            // Nothing that `try` prints: it goes beside the lines.
            eprint!("{}", count.told(letter, Fate::Stays { reason }));
            return Ok(String::new());
        }
    };
    if observed.iter().any(|observation| observation.outcome == "dead-lettered") {
        count.failed_again += 1;
    }
    let mut text = String::new();
    for observation in observed {
        text += &serde_json::to_string(&observation).map_err(|error| Failure::new(error.to_string()))?;
        text.push('\n');
    }
    Ok(text)
}

impl Count {
    /// Counts a letter, and tells what became of it.
    fn told(&mut self, letter: &Letter, fate: Fate) -> String {
        let what = match fate {
            Fate::Sent { published, dropped } => {
                self.sent += 1;
                format!("replayed: {published} published, {dropped} dropped")
            }
            Fate::FailedAgain { reason } => {
                self.failed_again += 1;
                format!("failed again, and is a new letter: {reason}")
            }
            Fate::Stays { reason } => {
                self.stay += 1;
                format!("stays: {reason}")
            }
        };
        format!("{} {} {}\n", letter.stream, letter.sequence, clean(&what))
    }
}
