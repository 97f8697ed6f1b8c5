//! A set of paths, compiled.

use std::time::Instant;

use crate::automaton::{self, Automaton};
use crate::error::{CompileError, PayloadError};
use crate::limits::Limits;
use crate::matches::Match;
use crate::path::{self, Parser, Query};
use crate::query;
use crate::scan::Known;

/// A set of JSONPath expressions (RFC 9535), compiled to be used on many payloads.
///
/// It cannot be changed any more, and can be shared between threads.
#[derive(Debug)]
pub struct Selector {
    paths: Vec<String>,
    strategy: Strategy,
    heap_bytes: usize,
}

/// How the paths are answered.
#[derive(Debug)]
enum Strategy {
    /// By the validating pass itself.
    Pass(Automaton),
    /// Over a tape that the validating pass writes.
    Tape {
        queries: Vec<Query>,
        /// How many of the queries in filters start at the root.
        roots: usize,
    },
}

impl Selector {
    /// How many paths a selector holds at most.
    pub const MAX_PATHS: usize = 256;
    /// How long a path may be, in bytes.
    pub const MAX_PATH_BYTES: usize = 4096;
    /// What a byte of a path comes to at most, in bytes, as a tree: the shortest choices are two characters long.
    const BYTES_A_PATH_BYTE: usize = 32;

    /// Compiles a set of paths. None at all are fine: nothing is selected then, and payloads are validated all the same.
    ///
    /// A pattern of `match` or `search` that is written in the path has to be an I-Regexp (RFC 9485). The RFC would
    /// have a misspelt one match nothing, but then a misspelt mask would let everything through.
    ///
    /// # Errors
    ///
    /// The first path that is wrong: where, and what was expected there.
    pub fn compile<S: AsRef<str>>(paths: &[S]) -> Result<Self, CompileError> {
        Self::build(paths, None)
    }

    /// As [`Selector::compile`], for paths that nobody vouches for: regular expressions can take a second to compile.
    ///
    /// # Errors
    ///
    /// As [`Selector::compile`]; past the deadline, the first path with a regular expression that is not compiled.
    pub fn compile_until<S: AsRef<str>>(paths: &[S], deadline: Instant) -> Result<Self, CompileError> {
        Self::build(paths, Some(deadline))
    }

    fn build<S: AsRef<str>>(paths: &[S], deadline: Option<Instant>) -> Result<Self, CompileError> {
        if paths.len() > Self::MAX_PATHS {
            return Err(CompileError::TooMany { count: paths.len() });
        }
        let mut parser = Parser::until(deadline);
        let mut queries = Vec::with_capacity(paths.len());
        for (index, path) in paths.iter().map(AsRef::as_ref).enumerate() {
            if path.len() > Self::MAX_PATH_BYTES {
                return Err(CompileError::TooLong { index, bytes: path.len() });
            }
            queries.push(path::parse(&mut parser, path).map_err(|wrong| CompileError::Syntax {
                index,
                path: path.to_owned(),
                column: path[..wrong.at].chars().count() + 1,
                problem: wrong.problem,
            })?);
        }
        let text = paths.iter().map(|path| path.as_ref().len()).sum::<usize>();
        let mut heap_bytes = size_of::<Self>() + text * Self::BYTES_A_PATH_BYTE + parser.pattern_bytes();
        let strategy = match automaton::build(&queries) {
            Some(automaton) => {
                heap_bytes += automaton.heap_bytes();
                Strategy::Pass(automaton)
            }
            None => Strategy::Tape { queries, roots: parser.roots() },
        };
        Ok(Self { paths: paths.iter().map(|path| path.as_ref().to_owned()).collect(), strategy, heap_bytes })
    }

    /// The paths, in the order in which they were given.
    #[must_use]
    pub fn paths(&self) -> &[String] {
        &self.paths
    }

    /// How much memory it takes at most, in bytes, with what its regular expressions learn as they are used.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.heap_bytes
    }

    /// Every place that a path matches: in document order, outer before inner, then by path.
    ///
    /// A path matches a place once at most, also where the RFC would list it twice, as with `$[0, 0]`.
    ///
    /// # Errors
    ///
    /// [`PayloadError::NotJson`] if the payload is not well-formed JSON, wherever that is and whatever was found
    /// before. [`PayloadError::Limit`] if a limit is met.
    pub fn select(&self, payload: &[u8], limits: &Limits) -> Result<Vec<Match>, PayloadError> {
        let mut out = Vec::new();
        self.select_into(payload, limits, &mut out)?;
        Ok(out)
    }

    /// As [`Selector::select`], into a vector whose allocation is used again. What it held is gone, and after an error
    /// it is empty.
    ///
    /// # Errors
    ///
    /// As [`Selector::select`].
    pub fn select_into(&self, payload: &[u8], limits: &Limits, out: &mut Vec<Match>) -> Result<(), PayloadError> {
        self.find(payload, limits, Known::Nothing, out)
    }

    /// As [`Selector::select_into`], for a payload that is known to be well-formed within these limits: because it was
    /// selected from or validated before with limits as strict, or is what [`replace`](crate::replace) made of such a
    /// one without putting any JSON value in. What no path can match in is passed over, at some 10 GB/s.
    ///
    /// Of a payload that is not well-formed the outcome is an error or of no use, but never a panic.
    ///
    /// # Errors
    ///
    /// As [`Selector::select`], for limits of matches and steps.
    pub fn select_again_into(&self, payload: &[u8], limits: &Limits, out: &mut Vec<Match>) -> Result<(), PayloadError> {
        self.find(payload, limits, Known::WellFormed, out)
    }

    fn find(&self, payload: &[u8], limits: &Limits, known: Known, out: &mut Vec<Match>) -> Result<(), PayloadError> {
        out.clear();
        let outcome = match &self.strategy {
            Strategy::Pass(automaton) => automaton::select(automaton, payload, limits, known, out),
            Strategy::Tape { queries, roots } => query::select(queries, *roots, payload, limits, out),
        };
        if outcome.is_err() {
            out.clear();
        }
        outcome
    }

    /// The first place that a path matches, for lookups of one value.
    ///
    /// # Errors
    ///
    /// As [`Selector::select`]: the whole payload is validated all the same.
    pub fn first(&self, payload: &[u8], limits: &Limits) -> Result<Option<Match>, PayloadError> {
        Ok(self.select(payload, limits)?.into_iter().next())
    }
}
