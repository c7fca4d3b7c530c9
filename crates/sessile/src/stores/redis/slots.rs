//! Which node of a Cluster has which key. No I/O.

use std::hash::{DefaultHasher, Hash, Hasher};

use redis::Value;

const SLOTS: u16 = 16_384;

/// A node, as clients reach it.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct Node {
    pub(super) host: String,
    pub(super) port: u16,
}

impl Node {
    /// Reads `host:port`, as a redirection names it. An empty host is the one that redirects.
    pub(super) fn parse(address: &str, asked: &Self) -> Option<Self> {
        let (host, port) = address.rsplit_once(':')?;
        let host = if host.is_empty() { &asked.host } else { host };
        Some(Self { host: host.to_owned(), port: port.parse().ok()? })
    }
}

/// Returns the slot of a key: that of the part in braces, if it has one.
pub(super) fn slot(key: &[u8]) -> u16 {
    let tagged = || {
        let start = key.iter().position(|byte| *byte == b'{')? + 1;
        let length = key[start..].iter().position(|byte| *byte == b'}')?;
        (length > 0).then(|| &key[start..start + length])
    };
    crc16(tagged().unwrap_or(key)) % SLOTS
}

/// CRC-16/XMODEM, as the Cluster specification has it.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc, _| {
            if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
        })
    })
}

/// Who has which slots, as far as is known.
#[derive(Clone, Debug, Default)]
pub(super) struct Slots {
    /// The first and the last slot of each part, in their order.
    parts: Vec<(u16, u16, Node)>,
    /// How often it was learnt.
    pub(super) edition: u64,
}

impl Slots {
    /// Reads the answer to `CLUSTER SLOTS` of the node `asked`.
    pub(super) fn read(answer: &Value, asked: &Node, edition: u64) -> Option<Self> {
        let Value::Array(entries) = answer else { return None };
        let mut parts =
            entries.iter().map(|entry| part(entry, asked)).collect::<Option<Vec<_>>>()?;
        parts.sort_unstable();
        (!parts.is_empty()).then_some(Self { parts, edition })
    }

    pub(super) fn owner(&self, slot: u16) -> Option<&Node> {
        let after = self.parts.partition_point(|(first, _, _)| *first <= slot);
        let (_, last, node) = self.parts.get(after.checked_sub(1)?)?;
        (slot <= *last).then_some(node)
    }

    /// Returns every node that has a slot, once.
    pub(super) fn masters(&self) -> Vec<Node> {
        let mut masters: Vec<_> = self.parts.iter().map(|(_, _, node)| node.clone()).collect();
        masters.sort_unstable();
        masters.dedup();
        masters
    }

    /// Names this division of the slots.
    pub(super) fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.parts.hash(&mut hasher);
        hasher.finish()
    }
}

fn part(entry: &Value, asked: &Node) -> Option<(u16, u16, Node)> {
    let Value::Array(entry) = entry else { return None };
    let [Value::Int(first), Value::Int(last), Value::Array(master), ..] = entry.as_slice() else {
        return None;
    };
    let host = match master.first()? {
        Value::BulkString(host) if !host.is_empty() => String::from_utf8(host.clone()).ok()?,
        _ => asked.host.clone(),
    };
    let Value::Int(port) = master.get(1)? else { return None };
    let node = Node { host, port: u16::try_from(*port).ok()? };
    Some((u16::try_from(*first).ok()?, u16::try_from(*last).ok()?, node))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(port: u16) -> Node {
        Node { host: "10.0.0.1".to_owned(), port }
    }

    #[test]
    fn a_key_has_the_slot_that_the_specification_gives_it() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
        for (key, same) in [
            ("{user1000}.following", "user1000"),
            ("foo{}{bar}", "foo{}{bar}"),
            ("foo{{bar}}zap", "{bar"),
            ("foo{bar}{zap}", "bar"),
            ("foo{bar", "foo{bar"),
        ] {
            assert_eq!(slot(key.as_bytes()), crc16(same.as_bytes()) % SLOTS, "{key}");
        }
        assert_eq!(slot(b"foo"), 12182);
    }

    #[test]
    fn the_slots_have_owners() {
        let bulk = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let entry = |first, last, host: Value, port| {
            let replica = Value::Array(vec![bulk("10.0.0.1"), Value::Int(9), bulk("id")]);
            let master = Value::Array(vec![host, Value::Int(port), bulk("id")]);
            Value::Array(vec![Value::Int(first), Value::Int(last), master, replica])
        };
        let answer = Value::Array(vec![
            entry(8192, 16_383, bulk("10.0.0.1"), 2),
            entry(0, 4095, Value::Nil, 1),
            entry(4096, 4096, bulk(""), 3),
        ]);
        let slots = Slots::read(&answer, &node(7), 1).unwrap();
        for (slot, port) in [
            (0, Some(1)),
            (4095, Some(1)),
            (4096, Some(3)),
            (4097, None),
            (8192, Some(2)),
            (16_383, Some(2)),
        ] {
            assert_eq!(slots.owner(slot).map(|node| node.port), port, "{slot}");
        }
        assert_eq!(slots.masters(), [node(1), node(2), node(3)]);
        assert!(Slots::read(&Value::Array(vec![]), &node(7), 1).is_none(), "nobody serves");
        assert!(Slots::read(&Value::Okay, &node(7), 1).is_none());
    }

    #[test]
    fn a_redirection_names_a_node() {
        assert_eq!(Node::parse("10.0.0.1:7", &node(1)), Some(node(7)));
        assert_eq!(Node::parse(":7", &node(1)), Some(node(7)));
        assert_eq!(Node::parse("::1:7", &node(1)).unwrap().host, "::1");
        assert_eq!(Node::parse("nonsense", &node(1)), None);
    }
}
