//! From the client's types to ours.

use async_nats::HeaderMap;

use crate::message::{Header, Headers, Origin, OriginKind};

/// A delivery's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Place {
    /// Of the message in its stream.
    pub(in super::super) sequence: u64,
    /// Of the delivery among all that the consumer made, redeliveries included.
    pub(in super::super) consumer_sequence: u64,
}

/// Reads the reply subject of a delivery, of either form (ADR-15):
/// `$JS.ACK.STREAM.CONSUMER.DELIVERED.SEQUENCE.CONSUMER-SEQUENCE.NANOSECONDS.PENDING`, or the same with
/// `DOMAIN.ACCOUNT` after `$JS.ACK` and possibly more at the end.
pub(super) fn origin(reply: &str) -> Option<(Origin, Place)> {
    let rest = reply.strip_prefix("$JS.ACK.")?;
    let tokens = rest.bytes().filter(|byte| *byte == b'.').count() + 1;
    let skip = match tokens {
        7 => 0,
        9.. => 2,
        _ => return None,
    };
    let mut tokens = rest.split('.').skip(skip);
    let stream = tokens.next()?;
    let mut tokens = tokens.skip(1);
    let delivered: u64 = tokens.next()?.parse().ok()?;
    let sequence = tokens.next()?;
    let consumer_sequence = tokens.next()?.parse().ok()?;
    let nanos = tokens.next()?;
    // Parsed also to be sure that they are numbers: the id is made of the texts.
    let place = Place { sequence: sequence.parse().ok()?, consumer_sequence };
    let time: i64 = nanos.parse().ok()?;
    let origin = Origin {
        kind: OriginKind::JetStream,
        id: [stream, sequence, nanos].join(":").into(),
        timestamp_ms: u64::try_from(time / 1_000_000).unwrap_or(0),
        delivery: u32::try_from(delivered).unwrap_or(u32::MAX),
    };
    Some((origin, place))
}

/// How much of a window a message takes: its bytes, and what its headers take in memory beside those.
pub(in super::super) fn room(message: &async_nats::Message) -> usize {
    let count = |headers: &HeaderMap| headers.iter().map(|(_, values)| values.len()).sum::<usize>();
    message.length + message.headers.as_ref().map_or(0, count) * Header::ROOM
}

/// The client keeps headers in a hash map, so the order among names is lost: sorted, they are the same on every
/// delivery. The values of one name keep their order.
pub(in super::super) fn headers_from_wire(map: &HeaderMap) -> Headers {
    let mut names: Vec<(&str, &Vec<_>)> = map.iter().map(|(name, values)| (name.as_ref(), values)).collect();
    names.sort_unstable_by_key(|(name, _)| *name);
    let all = names.iter().flat_map(|(name, values)| values.iter().map(move |value| (*name, value)));
    all.map(|(name, value)| Header { name: name.to_owned().into(), value: value.as_str().to_owned() }).collect()
}

#[cfg(test)]
mod tests {
    use async_nats::HeaderMap;

    use super::{Place, headers_from_wire, origin};

    #[test]
    fn both_forms_of_the_reply_subject_give_the_same_origin() {
        for reply in [
            "$JS.ACK.ORDERS.trackside.3.100.7.1790230470084404000.42",
            "$JS.ACK._.szMpdrwD.ORDERS.trackside.3.100.7.1790230470084404000.42",
            "$JS.ACK.hub.szMpdrwD.ORDERS.trackside.3.100.7.1790230470084404000.42.token",
        ] {
            let (origin, place) = origin(reply).expect(reply);
            assert_eq!(place, Place { sequence: 100, consumer_sequence: 7 });
            assert_eq!(&*origin.id, "ORDERS:100:1790230470084404000");
            assert_eq!(origin.delivery, 3);
            assert_eq!(origin.timestamp_ms, 1_790_230_470_084);
        }
    }

    #[test]
    fn what_no_consumer_sent_has_no_origin() {
        for reply in [
            "_INBOX.abc",
            "$JS.ACK.",
            "$JS.ACK.ORDERS.trackside.3.100.7.1790230470084404000",
            "$JS.ACK.ORDERS.trackside.3.x.7.1790230470084404000.42",
            "$JS.ACK.ORDERS.trackside.3.100.y.1790230470084404000.42",
            "$JS.ACK.ORDERS.trackside.3.100.7.soon.42",
        ] {
            assert!(origin(reply).is_none(), "{reply}");
        }
    }

    #[test]
    fn headers_are_sorted_by_name_and_values_of_one_name_keep_their_order() {
        let mut map = HeaderMap::new();
        for (name, value) in [("Region", "eu"), ("A", "1"), ("Region", "us"), ("Region", "af"), ("Zeta", "9")] {
            map.append(name, value);
        }
        let headers = headers_from_wire(&map);
        let lines: Vec<_> = headers.iter().map(|header| format!("{}={}", header.name, header.value)).collect();
        assert_eq!(lines, ["A=1", "Region=eu", "Region=us", "Region=af", "Zeta=9"]);
    }
}
