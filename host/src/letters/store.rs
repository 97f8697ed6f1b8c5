//! Where letters are: the streams that take the dead letters of the rules, read from their beginning to what was their
//! end when reading began, so that letters that are made meanwhile are left alone.

use std::collections::BTreeMap;

use crate::backbone::{Connection, Held, JetStreamError};
use crate::message::SubjectPattern;
use crate::rules::Rules;

use super::{Filter, Letter};

/// Why letters cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The rules have nothing to do with dead letters.
    #[error("no rule keeps dead letters: name the stream that holds some by `--stream NAME`")]
    NoLetters,
    /// Nothing stores them.
    #[error("no stream takes the dead letters of the rules (`{0}`): name one that holds some by `--stream NAME`")]
    NotTaken(String),
    /// There is no such stream.
    #[error("stream `{0}` does not exist")]
    NoStream(String),
    /// What is read has to be deleted afterwards, and cannot be.
    #[error(
        "stream `{0}` does not let its messages be deleted: a letter that was dealt with would stay, and be dealt with \
         again; make a stream without `deny_delete` for dead letters"
    )]
    NotDeletable(String),
    /// The server could not be asked.
    #[error("stream `{stream}`: {error}")]
    JetStream {
        /// The stream.
        stream: String,
        /// What happened.
        error: JetStreamError,
    },
}

/// The streams that hold letters.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    shelves: Vec<Shelf>,
}

/// One stream, and which of its subjects are letters'.
#[derive(Debug)]
struct Shelf {
    stream: String,
    subjects: Vec<SubjectPattern>,
}

/// Reads letters, in the order of their streams' names and of their sequences.
#[derive(Debug)]
pub struct Scan<'s> {
    store: &'s Store,
    filter: &'s Filter,
    /// The shelf that is read, by its position.
    shelf: usize,
    /// Of each shelf the next sequence and the last one; none before reading began.
    ranges: Vec<(u64, u64)>,
    foreign: u64,
}

impl Store {
    /// The streams that take the dead letters of the rules; with `only`, this one stream alone, whatever it takes.
    ///
    /// # Errors
    /// When there is none, or the server cannot be asked.
    pub async fn open(connection: Connection, rules: &Rules, only: Option<&str>) -> Result<Self, StoreError> {
        let letters = rules.rules.iter().filter_map(|rule| rule.on_failure.dead_letter.as_ref());
        let patterns: Vec<_> = letters.map(|letters| letters.subject.pattern()).collect();
        let mut shelves: BTreeMap<String, Vec<SubjectPattern>> = BTreeMap::new();
        for pattern in &patterns {
            let streams = connection.streams_with(pattern).await;
            let streams = streams.map_err(|error| StoreError::JetStream { stream: pattern.to_string(), error })?;
            for stream in streams.into_iter().filter(|stream| only.is_none_or(|only| only == stream)) {
                let subjects = shelves.entry(stream).or_default();
                if !subjects.contains(pattern) {
                    subjects.push(pattern.clone());
                }
            }
        }
        match only {
            Some(only) if shelves.is_empty() => {
                shelves.insert(only.to_owned(), vec![SubjectPattern::everything()]);
            }
            None if patterns.is_empty() => return Err(StoreError::NoLetters),
            None if shelves.is_empty() => {
                let patterns: Vec<_> = patterns.iter().map(SubjectPattern::as_str).collect();
                return Err(StoreError::NotTaken(patterns.join("`, `")));
            }
            _ => {}
        }
        let shelves = shelves.into_iter().map(|(stream, subjects)| Shelf { stream, subjects }).collect();
        Ok(Self { connection, shelves })
    }

    /// The connection that it reads by.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Checks that letters can be deleted, before anything is done with them.
    ///
    /// # Errors
    /// When a stream refuses that, or the server cannot be asked.
    pub async fn check_deletable(&self) -> Result<(), StoreError> {
        for Shelf { stream, .. } in &self.shelves {
            let holding = self.connection.holding(stream).await.map_err(about(stream))?;
            if holding.is_some_and(|holding| !holding.deletable) {
                return Err(StoreError::NotDeletable(stream.clone()));
            }
        }
        Ok(())
    }

    /// Reads the letters that are meant.
    #[must_use]
    pub fn scan<'s>(&'s self, filter: &'s Filter) -> Scan<'s> {
        Scan { store: self, filter, shelf: 0, ranges: Vec::new(), foreign: 0 }
    }

    /// Deletes a letter; false if it is gone already.
    ///
    /// # Errors
    /// When the server cannot be asked or refuses.
    pub async fn delete(&self, letter: &Letter) -> Result<bool, StoreError> {
        self.connection.delete_held(&letter.stream, letter.sequence).await.map_err(about(&letter.stream))
    }
}

impl Scan<'_> {
    /// The next letter that is meant, or `None` at the end.
    ///
    /// # Errors
    /// When the server cannot be asked.
    pub async fn next(&mut self) -> Result<Option<Letter>, StoreError> {
        if self.ranges.is_empty() {
            self.begin().await?;
        }
        while let Some(shelf) = self.store.shelves.get(self.shelf) {
            let (next, last) = self.ranges[self.shelf];
            let held = if next <= last { self.store.read(shelf, next).await? } else { None };
            let Some(held) = held.filter(|held| held.sequence <= last) else {
                self.shelf += 1;
                continue;
            };
            self.ranges[self.shelf].0 = held.sequence + 1;
            let is_letters = |pattern: &SubjectPattern| pattern.matches(held.message.subject.as_str());
            if !shelf.subjects.iter().any(is_letters) {
                continue;
            }
            match Letter::read(&shelf.stream, held) {
                Some(letter) if self.filter.takes(&letter) => return Ok(Some(letter)),
                Some(_) => {}
                None => self.foreign += 1,
            }
        }
        Ok(None)
    }

    /// Messages that were met so far and are no letters, though their subject is one of letters.
    #[must_use]
    pub fn foreign(&self) -> u64 {
        self.foreign
    }

    /// Looks up the ends of all shelves before anything is read: what fails again may be put on another one.
    async fn begin(&mut self) -> Result<(), StoreError> {
        let wanted = self.filter.sequences;
        for Shelf { stream, .. } in &self.store.shelves {
            let holding = self.store.connection.holding(stream).await.map_err(about(stream))?;
            let holding = holding.ok_or_else(|| StoreError::NoStream(stream.clone()))?;
            self.ranges.push((wanted.first, wanted.last.min(holding.last_sequence)));
        }
        Ok(())
    }
}

impl Store {
    /// The next message of a shelf. Where that has several subjects it may be one of none of them.
    async fn read(&self, shelf: &Shelf, from_sequence: u64) -> Result<Option<Held>, StoreError> {
        let everything = SubjectPattern::everything();
        let pattern = match shelf.subjects.as_slice() {
            [one] => one,
            _ => &everything,
        };
        self.connection.next_held(&shelf.stream, from_sequence, pattern).await.map_err(about(&shelf.stream))
    }
}

fn about(stream: &str) -> impl Fn(JetStreamError) -> StoreError {
    let stream = stream.to_owned();
    move |error| StoreError::JetStream { stream: stream.clone(), error }
}
