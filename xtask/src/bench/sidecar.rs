//! A publish by the sidecar, through its rules, against a publish to the stream itself: so many callers, each of which makes
//! one call after another and waits until its message is stored.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use async_nats::jetstream;
use hdrhistogram::Histogram;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::books::Books;
use super::config::Shape;
use super::contestant::{Contestant, Kind, Programs};
use super::latency::{DIGITS, MOST_NANOS};
use super::results::{Row, Table};
use super::task::{NUMBER, Transport};
use super::throughput::{Judged, stored};
use super::usage::Usage;
use super::work::{Place, Work};
use super::world::{Load, World, numbered};

/// Its name among the scenarios.
pub(crate) const NAME: &str = "sidecar";
/// Callers at a time.
const CALLERS: usize = 16;
/// Longest time for one call.
const CALL_LIMIT: Duration = Duration::from_secs(10);

/// What one run showed.
pub(crate) struct Calls {
    /// A second.
    pub(crate) rate: f64,
    /// How long each took, in nanoseconds.
    pub(crate) histogram: Histogram<u64>,
    /// Processor time in Trackside, in microseconds a call.
    pub(crate) micros: Option<f64>,
}

/// Who calls.
enum Line {
    Direct(jetstream::Context),
    /// A connection of its own to the sidecar.
    Sidecar(BufReader<TcpStream>),
}

/// Runs both so many times, in turn.
pub(crate) async fn run(
    world: &World,
    programs: &Programs,
    load: &Arc<Load>,
    rounds: usize,
) -> Result<Judged<Table<Calls>>> {
    let work = Work::Check;
    let about = format!("{CALLERS} callers, {} bytes, stored in a file before each is answered", load.orders.bytes());
    let row = |label: String| Row { label, runs: Vec::new() };
    let rows = vec![row("direct publish".to_owned()), row(format!("by the sidecar, {work}"))];
    let mut table = Table { name: NAME.to_owned(), about, rows };
    for _ in 0..rounds {
        world.empty_out(false).await?;
        let (calls, _) = call(load, async || Ok(Line::Direct(world.jetstream.clone()))).await?;
        if let Err(mistakes) = check(world, load, Work::Pass).await? {
            return Ok(Err(mistakes));
        }
        table.rows[0].runs.push(calls);

        world.empty_out(false).await?;
        let shape = Shape { sidecar: true, ..Shape::PLAIN };
        let contestant = Contestant { label: String::new(), kind: Kind::Trackside(shape), work, ordered: false };
        let running = contestant.start(world, programs, Transport::JetStream).await?;
        let (pid, address) = (running.pid()?, running.sidecar.clone().context("it has no sidecar")?);
        let before = Usage::of(pid)?;
        let connect = async || Ok(Line::Sidecar(BufReader::new(TcpStream::connect(&address).await?)));
        let (mut calls, count) = call(load, connect).await?;
        calls.micros = Some(Usage::of(pid)?.since(before).micros_each(count).total());
        running.stop(world).await?;
        if let Err(mistakes) = check(world, load, work).await? {
            return Ok(Err(mistakes));
        }
        table.rows[1].runs.push(calls);
    }
    Ok(Ok(table))
}

/// Makes every call of the load, and says how many there were.
async fn call(load: &Arc<Load>, line: impl AsyncFn() -> Result<Line>) -> Result<(Calls, usize)> {
    let next = Arc::new(AtomicUsize::new(0));
    let mut callers = Vec::with_capacity(CALLERS);
    for _ in 0..CALLERS {
        callers.push((line().await?, Histogram::new_with_max(MOST_NANOS, DIGITS)?));
    }
    let start = Instant::now();
    let tasks: Vec<_> = callers
        .into_iter()
        .map(|(mut line, mut histogram)| {
            let (next, load) = (Arc::clone(&next), Arc::clone(load));
            tokio::spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= load.count {
                        return anyhow::Ok(histogram);
                    }
                    let begun = Instant::now();
                    let called = tokio::time::timeout(CALL_LIMIT, line.call(&load, number)).await;
                    called.with_context(|| format!("call {number} was not answered"))??;
                    histogram.saturating_record(u64::try_from(begun.elapsed().as_nanos()).unwrap_or(MOST_NANOS));
                }
            })
        })
        .collect();
    let mut histogram = Histogram::new_with_max(MOST_NANOS, DIGITS)?;
    for task in tasks {
        histogram.add(task.await.context("a caller has panicked")??)?;
    }
    #[expect(clippy::cast_precision_loss, reason = "no run has that many messages")]
    let rate = load.count as f64 / start.elapsed().as_secs_f64();
    Ok((Calls { rate, histogram, micros: None }, load.count))
}

async fn check(world: &World, load: &Load, work: Work) -> Result<Judged<()>> {
    let mut books = Books::new(&load.orders, work, load.count, None);
    stored::read(world, &mut books).await?;
    Ok(books.close())
}

impl Line {
    async fn call(&mut self, load: &Load, number: usize) -> Result<()> {
        let payload = load.orders.of(number).payload.clone();
        match self {
            Self::Direct(context) => {
                let subject = load.transport.out(Place::Default);
                context.publish_with_headers(subject, numbered(number), payload).await?.await?;
                Ok(())
            }
            Self::Sidecar(stream) => {
                let subject = load.transport.source(number, load.keys);
                let head = format!(
                    "POST /v1/publish/{subject} HTTP/1.1\r\nHost: 127.0.0.1\r\n{NUMBER}: {number}\r\nContent-Length: {}\r\n\r\n",
                    payload.len()
                );
                stream.get_mut().write_all(&[head.as_bytes(), &payload].concat()).await?;
                match answer(stream).await? {
                    // A broken order is refused, and kept as a dead letter.
                    200 | 422 => Ok(()),
                    status => bail!("the sidecar answered {status}"),
                }
            }
        }
    }
}

/// Reads an answer, and returns its status.
async fn answer(stream: &mut BufReader<TcpStream>) -> Result<u16> {
    let (mut line, mut length) = (String::new(), 0);
    stream.read_line(&mut line).await?;
    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.with_context(|| format!("{line:?} is no status line"))?;
    while line != "\r\n" {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            bail!("the sidecar closed the connection");
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().with_context(|| format!("{line:?} is no length"))?;
        }
    }
    stream.read_exact(&mut vec![0; length]).await?;
    Ok(status)
}
