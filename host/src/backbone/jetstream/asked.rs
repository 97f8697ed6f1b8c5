//! What the server was asked for, added up over the requests that wait there.

/// What the server was asked for and has neither delivered nor given back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in super::super) struct Requested {
    pub(in super::super) messages: usize,
    pub(in super::super) bytes: usize,
}

/// Follows the server's accounts of all requests together. Which of them a message was delivered for is not known: the
/// server goes round them.
///
/// A request ends when its messages or its bytes are used up. The server says so where something is left of the other, with
/// how much; but where a message takes the last byte of a request for more, the request ends without a word. As every
/// request that still waits has bytes left, that shows once the bytes of all are used up: the messages that are left then
/// will never be delivered for them.
#[derive(Debug, Default)]
pub(super) struct Asked {
    requested: Requested,
    /// What was left of the bytes when no message was: the server may not have given it back yet.
    surplus: usize,
    /// What waits was asked for without a limit to its bytes, while nothing else waited.
    any_size: bool,
}

impl Asked {
    /// Messages that are on their way, and nothing else.
    pub(super) fn on_their_way(sizes: impl Iterator<Item = usize>) -> Self {
        let mut requested = Requested::default();
        for bytes in sizes {
            requested.messages += 1;
            requested.bytes += bytes;
        }
        Self { requested, ..Self::default() }
    }

    pub(super) fn requested(&self) -> Requested {
        self.requested
    }

    /// Whether messages of any size were asked for and have not all come yet, so that nobody knows of room for others.
    pub(super) fn is_for_any_size(&self) -> bool {
        self.any_size
    }

    /// A request was made, for so many bytes at most. One without such a limit is made while no other waits.
    pub(super) fn add(&mut self, messages: usize, bytes: Option<usize>) {
        self.requested.messages += messages;
        self.requested.bytes += bytes.unwrap_or(0);
        self.any_size |= bytes.is_none();
    }

    /// A message came, of this size as the server counts it.
    pub(super) fn delivered(&mut self, bytes: usize) {
        let bytes = if self.any_size { 0 } else { bytes };
        self.subtract(1, bytes);
    }

    /// A request has ended, and this was left of it.
    pub(super) fn given_back(&mut self, messages: usize, bytes: usize) {
        let late = bytes.min(self.surplus);
        self.surplus -= late;
        self.subtract(messages, bytes - late);
    }

    fn subtract(&mut self, messages: usize, bytes: usize) {
        let Requested { messages: all_messages, bytes: all_bytes } = &mut self.requested;
        *all_messages = all_messages.saturating_sub(messages);
        *all_bytes = all_bytes.saturating_sub(bytes);
        if *all_messages == 0 {
            (self.surplus, self.any_size) = (*all_bytes, false);
            *all_bytes = 0;
        } else if *all_bytes == 0 && !self.any_size {
            *all_messages = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(requests: &[(usize, usize)]) -> Asked {
        let mut asked = Asked::default();
        requests.iter().for_each(|(messages, bytes)| asked.add(*messages, Some(*bytes)));
        asked
    }

    fn left(asked: &Asked) -> (usize, usize) {
        (asked.requested.messages, asked.requested.bytes)
    }

    #[test]
    fn nothing_waits_for_what_was_asked_for_once_its_bytes_are_used_up() {
        let mut alone = asked(&[(5, 200)]);
        alone.delivered(100);
        assert_eq!(left(&alone), (4, 100));
        alone.delivered(100);
        assert_eq!(left(&alone), (0, 0), "the server has ended the request, and does not say so");

        // The first one ends without a word, the second one with one.
        let mut two = asked(&[(5, 200), (2, 300)]);
        [100, 100, 100, 100].into_iter().for_each(|bytes| two.delivered(bytes));
        assert_eq!(left(&two), (3, 100));
        two.given_back(0, 100);
        assert_eq!(left(&two), (0, 0));
    }

    #[test]
    fn what_is_given_back_late_is_not_taken_from_a_later_request() {
        let mut asked = asked(&[(1, 500)]);
        asked.delivered(100);
        assert_eq!(left(&asked), (0, 0));
        asked.add(2, Some(450));
        asked.given_back(0, 400);
        assert_eq!(left(&asked), (2, 450));
        asked.given_back(1, 250);
        assert_eq!(left(&asked), (1, 200));
    }

    #[test]
    fn one_message_of_any_size_takes_no_bytes_of_others() {
        let mut asked = Asked::default();
        asked.add(1, None);
        assert!(asked.is_for_any_size());
        assert_eq!(left(&asked), (1, 0));
        asked.delivered(1_000_000);
        assert!(!asked.is_for_any_size());
        asked.add(1, None);
        asked.given_back(1, 0);
        assert!(!asked.is_for_any_size());
        asked.add(3, Some(300));
        asked.delivered(100);
        assert_eq!(left(&asked), (2, 200));
    }
}
