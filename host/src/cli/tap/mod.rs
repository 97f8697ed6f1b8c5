//! `trackside tap`: what becomes of messages in a running host, live.

mod client;
mod show;

use std::io::{Write, stdout};
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use clap::builder::PossibleValuesParser;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;
use url::Url;

use crate::app::{self, Failure};
use crate::message::SubjectPattern;
use crate::pipeline::Ending;

use super::output;

use client::{Client, Event, Events, OpenError};

/// Waits between attempts to find the host again.
const AGAIN_FIRST: Duration = Duration::from_millis(250);
const AGAIN_MOST: Duration = Duration::from_secs(5);

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Where the admin API of the host listens.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9270", env = "TRACKSIDE_URL")]
    url: Url,

    /// A file with the token that the admin API asks for.
    #[arg(long, value_name = "FILE", env = "TRACKSIDE_TOKEN_FILE")]
    token_file: Option<PathBuf>,

    /// Only what becomes of messages in this rule.
    #[arg(long, value_name = "NAME")]
    rule: Option<String>,

    /// Only this outcome.
    #[arg(long, value_name = "OUTCOME", value_parser = PossibleValuesParser::new(Ending::ALL.map(Ending::as_str)))]
    outcome: Option<String>,

    /// Only messages whose subject matches; with the wildcards of NATS.
    #[arg(long, value_name = "SUBJECT", value_parser = SubjectPattern::new)]
    subject: Option<SubjectPattern>,

    /// Shows what messages were before, too. What the rules mask or remove is shown by this.
    #[arg(long)]
    reveal: bool,

    /// Ends after so many outcomes.
    #[arg(long, value_name = "COUNT")]
    count: Option<NonZeroU64>,

    /// Prints a JSON object a line.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(super) fn tap(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let client = Client::new(&arguments.url, arguments.token_file.clone(), &arguments.query())?;
    app::runtime()?.block_on(async {
        let stopped = stopped()?;
        tokio::select! {
            biased;
            () = stopped => Ok(()),
            done = follow(&client, arguments) => done,
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Ends with Ctrl-C or SIGTERM, which is how one ends this.
fn stopped() -> Result<impl Future<Output = ()>, Failure> {
    let failed = |error| Failure::new(format!("signals cannot be listened for: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Looks on until enough was seen or nobody reads any more. A host that was there once is waited for.
async fn follow(client: &Client, arguments: &Arguments) -> Result<(), Failure> {
    let mut left = arguments.count.map(NonZeroU64::get);
    let (mut found, mut pause) = (false, AGAIN_FIRST);
    loop {
        match client.open().await {
            Ok(mut events) => {
                if found {
                    note(&format!(
                        "looking on again at {}; what became of messages meanwhile was not seen",
                        client.place()
                    ));
                }
                (found, pause) = (true, AGAIN_FIRST);
                let Some(why) = show(&mut events, arguments, &mut left).await? else { return Ok(()) };
                note(&format!("{} {why}; looking for it again", client.place()));
            }
            Err(OpenError::NotNow(_)) if found => {}
            Err(OpenError::NotNow(why) | OpenError::Refused(why)) => return Err(Failure::new(why)),
        }
        sleep(pause).await;
        pause = (pause * 2).min(AGAIN_MOST);
    }
}

/// Shows events as they come; why there come no more, or nothing if no more are wanted.
async fn show(events: &mut Events, arguments: &Arguments, left: &mut Option<u64>) -> Result<Option<String>, Failure> {
    loop {
        let Event { name, data } = match events.next().await {
            Ok(event) => event,
            Err(why) => return Ok(Some(why)),
        };
        let text = if arguments.json { show::line(&name, &data) } else { show::text(&name, &data)? };
        let mut out = stdout().lock();
        if !output::write(&mut out, &text)? || !output::flush(&mut out)? {
            return Ok(None);
        }
        if name == "outcome"
            && let Some(left) = left
        {
            *left -= 1;
            if *left == 0 {
                return Ok(None);
            }
        }
    }
}

/// Says something that is no outcome. Nobody reading it is no reason to end.
fn note(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

impl Arguments {
    fn query(&self) -> Vec<(&'static str, &str)> {
        let subject = self.subject.as_ref().map(SubjectPattern::as_str);
        let given = [("rule", self.rule.as_deref()), ("outcome", self.outcome.as_deref()), ("subject", subject)];
        let given = given.into_iter().filter_map(|(name, value)| Some((name, value?)));
        given.chain(self.reveal.then_some(("reveal", "true"))).collect()
    }
}
