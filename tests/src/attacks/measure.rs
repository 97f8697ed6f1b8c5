//! What a neighbour and the host's memory have to bear while an attack goes on, measured.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_nats::Client;
use futures::StreamExt as _;

/// How far apart the neighbour's messages are.
const EVERY: Duration = Duration::from_millis(5);

/// By their numbers: when each was sent, and how long it took to come out.
type Messages = Arc<Mutex<Vec<(Instant, Option<Duration>)>>>;

/// A neighbour: messages at an even pace, and how long each took to come out.
#[derive(Debug)]
pub struct Neighbour {
    messages: Messages,
    tasks: [tokio::task::JoinHandle<()>; 2],
}

impl Neighbour {
    /// Begins to send to `from`, and to listen at `to`.
    ///
    /// # Panics
    /// When the server takes no subscription.
    pub async fn start(client: &Client, from: &'static str, to: &str) -> Self {
        let messages = Messages::default();
        let mut arriving = client.subscribe(to.to_owned()).await.expect("a subscription");
        client.flush().await.expect("the server is there");
        let (sent, received, client) = (Arc::clone(&messages), Arc::clone(&messages), client.clone());
        let send = tokio::spawn(async move {
            let mut pace = tokio::time::interval(EVERY);
            loop {
                pace.tick().await;
                let number = {
                    let mut sent = sent.lock().unwrap_or_else(PoisonError::into_inner);
                    sent.push((Instant::now(), None));
                    sent.len() - 1
                };
                let payload = format!(r#"{{"number":{number},"card":"4111111111111111"}}"#);
                if client.publish(from, payload.into()).await.is_err() {
                    return;
                }
            }
        });
        let receive = tokio::spawn(async move {
            while let Some(message) = arriving.next().await {
                let order: serde_json::Value = serde_json::from_slice(&message.payload).unwrap_or_default();
                let number = order["number"].as_u64().and_then(|number| usize::try_from(number).ok());
                let mut received = received.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some((sent, took)) = number.and_then(|number| received.get_mut(number)) {
                    took.get_or_insert(sent.elapsed());
                }
            }
        });
        Self { messages, tasks: [send, receive] }
    }

    /// The time within which 99 of 100 of the messages came out that were sent from then to then, and how many there were.
    /// One that has not come out yet has taken until now.
    #[must_use]
    pub fn p99(&self, from: Instant, to: Instant) -> (Duration, usize) {
        let messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        let between = messages.iter().filter(|(sent, _)| (from..to).contains(sent));
        let mut took: Vec<Duration> = between.map(|(sent, took)| took.unwrap_or_else(|| sent.elapsed())).collect();
        took.sort_unstable();
        (took.get(took.len() * 99 / 100).copied().unwrap_or_default(), took.len())
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        self.tasks.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

/// The memory of a process that is in use, in bytes, where the system tells it as Linux does.
#[must_use]
pub fn resident_bytes(process: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<usize>().ok());
    kib.unwrap_or_default() << 10
}
