//! Reads what memcached answers: the meta commands of its text protocol.
//!
//! The fuzz target `memcached_reply` includes this file, which therefore needs no other.

use std::fmt;

/// Longer lines have nothing to do with what was asked.
const MAX_LINE: usize = 8 << 10;
/// The largest value that is read, so that nobody's item takes the process down.
const MAX_VALUE: usize = 64 << 20;

/// What the server answered to one command.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Reply {
    /// `HD`: done.
    Done(Flags),
    /// `EX`: somebody stored it since.
    Exists,
    /// `EN`, `NF`: there is no such item.
    Missing,
    /// `NS`: its mode forbade to store it.
    NotStored,
    /// `ERROR`, `CLIENT_ERROR` or `SERVER_ERROR`. What follows on the connection may be
    /// anything.
    Refused(String),
    /// `VA`: the item.
    Value(Vec<u8>, Flags),
    /// The version of the server.
    Version(String),
}

/// What the server says about an item.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Flags {
    /// The number of this state of the item.
    pub(crate) cas: Option<u64>,
    /// What the client that stored it said about its type.
    pub(crate) client: Option<u32>,
    /// How many seconds it has left; negative if it never expires.
    pub(crate) left: Option<i64>,
}

/// Why bytes are no answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Malformed {
    /// A line that no memcached sends.
    Line,
    /// A value larger than any session.
    TooLarge,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Line => "its answer is none of memcached's",
            Self::TooLarge => "the item is larger than 64 MiB",
        })
    }
}

impl std::error::Error for Malformed {}

/// Reads the first answer in `bytes`, and how long it is; `None` if there is more to come.
pub(crate) fn parse(bytes: &[u8]) -> Result<Option<(Reply, usize)>, Malformed> {
    let Some(end) = bytes.iter().take(MAX_LINE).position(|byte| *byte == b'\n') else {
        return if bytes.len() < MAX_LINE { Ok(None) } else { Err(Malformed::Line) };
    };
    let line = bytes[..end].strip_suffix(b"\r").ok_or(Malformed::Line)?;
    let line = std::str::from_utf8(line).map_err(|_| Malformed::Line)?;
    let (kind, rest) = line.split_once(' ').unwrap_or((line, ""));
    let reply = match kind {
        "HD" => Reply::Done(flags(rest)),
        "EX" => Reply::Exists,
        "EN" | "NF" => Reply::Missing,
        "NS" => Reply::NotStored,
        "CLIENT_ERROR" | "ERROR" | "SERVER_ERROR" => Reply::Refused(line.to_owned()),
        "VERSION" => Reply::Version(rest.to_owned()),
        "VA" => return value(bytes, end + 1, rest),
        _ => return Err(Malformed::Line),
    };
    Ok(Some((reply, end + 1)))
}

fn value(bytes: &[u8], start: usize, rest: &str) -> Result<Option<(Reply, usize)>, Malformed> {
    let (length, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    let length: usize = length.parse().map_err(|_| Malformed::Line)?;
    if length > MAX_VALUE {
        return Err(Malformed::TooLarge);
    }
    let end = start + length;
    match bytes.get(end..) {
        Some([b'\r', b'\n', ..]) => {
            Ok(Some((Reply::Value(bytes[start..end].to_vec(), flags(rest)), end + 2)))
        }
        None | Some([] | [b'\r']) => Ok(None),
        Some(_) => Err(Malformed::Line),
    }
}

/// What is unknown is passed over: later servers may say more.
fn flags(text: &str) -> Flags {
    let mut flags = Flags::default();
    for token in text.split(' ') {
        let Some(number) = token.get(1..) else { continue };
        match token.as_bytes()[0] {
            b'c' => flags.cas = number.parse().ok(),
            b'f' => flags.client = number.parse().ok(),
            b't' => flags.left = number.parse().ok(),
            _ => {}
        }
    }
    flags
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_as_they_come() {
        let some = |cas, client, left| Flags { cas, client, left };
        for (answer, reply) in [
            ("HD\r\n", Reply::Done(Flags::default())),
            ("HD c7\r\n", Reply::Done(some(Some(7), None, None))),
            ("EX c0\r\n", Reply::Exists),
            ("EN\r\n", Reply::Missing),
            ("NF\r\n", Reply::Missing),
            ("NS\r\n", Reply::NotStored),
            ("VERSION 1.6.18\r\n", Reply::Version("1.6.18".into())),
            ("SERVER_ERROR out of memory\r\n", Reply::Refused("SERVER_ERROR out of memory".into())),
            (
                "VA 2 c9 f2 t-1\r\n\r\n\r\n",
                Reply::Value(b"\r\n".into(), some(Some(9), Some(2), Some(-1))),
            ),
            ("VA 0 W zzz c\r\n\r\n", Reply::Value(Vec::new(), Flags::default())),
        ] {
            let bytes = [answer.as_bytes(), b"EN\r\n"].concat();
            assert_eq!(parse(&bytes), Ok(Some((reply, answer.len()))), "{answer:?}");
            for cut in 0..answer.len() {
                assert_eq!(parse(&bytes[..cut]), Ok(None), "{answer:?} to {cut}");
            }
        }
    }

    #[test]
    fn what_no_memcached_sends_is_malformed() {
        for answer in
            ["\n", "\r\n", "HD\n", "OK\r\n", "VA\r\n", "VA x\r\n", "VA -1\r\n", "VA 1\r\nabc\r\n"]
        {
            assert_eq!(parse(answer.as_bytes()), Err(Malformed::Line), "{answer:?}");
        }
        assert_eq!(parse(b"VA 67108865 f2\r\n"), Err(Malformed::TooLarge));
        assert_eq!(parse(b"VA 99999999999999999999\r\n"), Err(Malformed::Line));
        assert_eq!(parse(&[b'H'; MAX_LINE]), Err(Malformed::Line));
        assert_eq!(parse(b"\xff\r\n"), Err(Malformed::Line));
    }
}
