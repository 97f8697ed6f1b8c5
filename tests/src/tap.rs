//! Somebody who looks on by `GET /v1/tap`: it knows HTTP and server-sent events and nothing else.

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use crate::PATIENCE;
use crate::http::{Answer, parse};

/// A tap that is open.
#[derive(Debug)]
pub struct Tap {
    reader: BufReader<TcpStream>,
    /// All that was read.
    text: String,
}

impl Tap {
    /// Opens a tap and reads the revision that it begins with.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn open(admin: &str, query: &str) -> Self {
        Self::open_as(admin, query, "").await
    }

    /// The same with these lines of headers.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn open_as(admin: &str, query: &str, headers: &str) -> Self {
        let mut tap =
            Self::try_open(admin, query, headers).await.unwrap_or_else(|answer| panic!("refused: {answer:?}"));
        let (name, _) = tap.next().await;
        assert_eq!(name, "revision", "{}", tap.text);
        tap
    }

    /// Opens a tap with these lines of headers, or says why not.
    ///
    /// # Errors
    /// What was answered instead.
    ///
    /// # Panics
    /// When nobody answers.
    pub async fn try_open(admin: &str, query: &str, headers: &str) -> Result<Self, Answer> {
        let mut stream = TcpStream::connect(admin).await.expect("the admin API listens");
        // Of version 1.0, so that the body is not in chunks.
        let request = format!("GET /v1/tap?{query} HTTP/1.0\r\nHost: {admin}\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await.expect("it reads");
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            let read = tokio::time::timeout(PATIENCE, reader.read_line(&mut head)).await.expect("an answer in time");
            assert!(read.expect("it answers") > 0, "the answer broke off: {head}");
        }
        if head.starts_with("HTTP/1.0 200") {
            return Ok(Self { reader, text: String::new() });
        }
        reader.read_to_string(&mut head).await.expect("it answers to the end");
        Err(parse(head.as_bytes()))
    }

    /// The name of the next event, and its data.
    ///
    /// # Panics
    /// When none comes in time.
    pub async fn next(&mut self) -> (String, Value) {
        let event = tokio::time::timeout(PATIENCE, self.read()).await;
        event.unwrap_or_else(|_| panic!("no event in time after {}", self.text))
    }

    /// The data of the next event, which is an outcome.
    ///
    /// # Panics
    /// When it is something else.
    pub async fn outcome(&mut self) -> Value {
        let (name, data) = self.next().await;
        assert_eq!(name, "outcome", "{data}");
        data
    }

    /// Waits until the other side ends it.
    ///
    /// # Panics
    /// When it does not in time.
    pub async fn ended(mut self) {
        let rest = tokio::time::timeout(PATIENCE, self.reader.read_to_string(&mut self.text)).await;
        rest.expect("the end in time").expect("it sends UTF-8");
    }

    /// All that came so far, as it came.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    async fn read(&mut self) -> (String, Value) {
        let (mut name, mut line) = (String::new(), String::new());
        loop {
            line.clear();
            let read = self.reader.read_line(&mut line).await.expect("it sends UTF-8");
            assert!(read > 0, "the tap was ended after {}", self.text);
            self.text.push_str(&line);
            if let Some(event) = line.strip_prefix("event: ") {
                event.trim_end().clone_into(&mut name);
            } else if let Some(data) = line.strip_prefix("data: ") {
                let data = serde_json::from_str(data).unwrap_or_else(|error| panic!("{error}: {data}"));
                return (name, data);
            }
        }
    }
}
