//! What the server says about a batch.

use serde::Deserialize;

/// The stream does not allow fast ingest; the client has no name for this number yet, nor for the next.
const NOT_ALLOWED: u64 = 10205;
/// The stream knows no batch of this id, or no longer.
const UNKNOWN: u64 = 10208;

/// An answer that came by the inbox of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// The messages up to this place are stored, and there is an answer every so many.
    Flow { stored: u64, every: u64 },
    /// The batch has ended, and the messages up to this place are stored.
    Ended { stored: u64 },
    /// The batch is about to end before this place.
    Ending { before: u64 },
    /// The message at this place was refused, and no later one of the batch counts.
    Refused { place: u64 },
    /// The server has no such batch, or wants none.
    Unknown { allowed: bool },
}

#[derive(Debug, Deserialize)]
struct Line {
    #[serde(rename = "type")]
    kind: Option<Kind>,
    #[serde(default)]
    seq: u64,
    #[serde(default)]
    last_seq: u64,
    #[serde(default)]
    msgs: u64,
    count: Option<u64>,
    error: Option<LineError>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Ack,
    Gap,
    Err,
}

#[derive(Debug, Deserialize)]
struct LineError {
    #[serde(default)]
    err_code: u64,
}

impl Answer {
    /// Reads an answer.
    pub(super) fn of(message: &async_nats::Message) -> Self {
        Self::read(&message.subject, &message.payload)
    }

    fn read(subject: &str, payload: &[u8]) -> Self {
        // `<inbox>.<flow>.fail.<place>.<operation>.$FI`
        let place = subject.rsplit('.').nth(2).and_then(|place| place.parse().ok()).unwrap_or(1);
        // Without a body: no stream takes the subject.
        let Ok(line) = serde_json::from_slice::<Line>(payload) else { return Self::Refused { place } };
        match (line.kind, line.error, line.count) {
            (Some(Kind::Ack), ..) => Self::Flow { stored: line.seq, every: line.msgs.max(1) },
            (Some(Kind::Gap), ..) => Self::Ending { before: line.last_seq },
            (Some(Kind::Err), ..) => Self::Ending { before: line.seq },
            (None, Some(LineError { err_code: NOT_ALLOWED }), _) => Self::Unknown { allowed: false },
            (None, Some(LineError { err_code: UNKNOWN }), _) => Self::Unknown { allowed: true },
            (None, Some(_), _) => Self::Refused { place },
            (None, None, Some(stored)) => Self::Ended { stored },
            // Stored by itself: by a server, or for a stream, that knows nothing of batches.
            (None, None, None) => Self::Unknown { allowed: false },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_says_is_told_apart() {
        let unknown = |allowed| Answer::Unknown { allowed };
        for (payload, want) in [
            (r#"{"type":"ack","seq":0,"msgs":32}"#, Answer::Flow { stored: 0, every: 32 }),
            (r#"{"type":"ack","seq":96,"msgs":0}"#, Answer::Flow { stored: 96, every: 1 }),
            (r#"{"type":"gap","last_seq":5,"seq":9}"#, Answer::Ending { before: 5 }),
            (r#"{"type":"err","seq":5,"error":{"code":400,"err_code":10071}}"#, Answer::Ending { before: 5 }),
            (r#"{"stream":"CLEAN","seq":13,"batch":"b","count":12}"#, Answer::Ended { stored: 12 }),
            (r#"{"stream":"CLEAN","seq":13}"#, unknown(false)),
            (r#"{"stream":"CLEAN","seq":0,"error":{"code":400,"err_code":10205}}"#, unknown(false)),
            (r#"{"stream":"CLEAN","seq":0,"error":{"code":400,"err_code":10208}}"#, unknown(true)),
            (r#"{"stream":"CLEAN","seq":0,"error":{"code":400,"err_code":10054}}"#, Answer::Refused { place: 7 }),
            ("", Answer::Refused { place: 7 }),
            ("what?", Answer::Refused { place: 7 }),
        ] {
            assert_eq!(Answer::read("_INBOX.b.32.fail.7.1.$FI", payload.as_bytes()), want, "{payload}");
        }
    }
}
