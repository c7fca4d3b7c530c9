//! As much of MongoDB's wire protocol as it takes to found a replica set.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const OP_MSG: u32 = 2013;
/// Length, request, answered request, kind of message.
const HEADER: usize = 16;
/// Far more than an answer to `hello` has.
const MOST_BYTES: usize = 1 << 20;
const PATIENCE: Duration = Duration::from_secs(5);

/// A BSON document in the making.
#[derive(Default)]
pub(super) struct Doc(Vec<u8>);

impl Doc {
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn int(self, key: &str, value: i32) -> Self {
        self.element(0x10, key, &value.to_le_bytes())
    }

    pub(super) fn text(self, key: &str, value: &str) -> Self {
        let mut bytes = size(value.len() + 1).to_vec();
        bytes.extend(value.as_bytes());
        bytes.push(0);
        self.element(0x02, key, &bytes)
    }

    pub(super) fn document(self, key: &str, value: &Self) -> Self {
        self.element(0x03, key, &value.bytes())
    }

    pub(super) fn array(self, key: &str, values: &[Self]) -> Self {
        let numbered = values.iter().enumerate();
        let items =
            numbered.fold(Self::new(), |items, (n, item)| items.document(&n.to_string(), item));
        self.element(0x04, key, &items.bytes())
    }

    fn element(mut self, kind: u8, key: &str, value: &[u8]) -> Self {
        self.0.push(kind);
        self.0.extend(key.as_bytes());
        self.0.push(0);
        self.0.extend(value);
        self
    }

    fn bytes(&self) -> Vec<u8> {
        [&size(self.0.len() + 5), &*self.0, &[0]].concat()
    }
}

/// What a server answered.
pub(super) struct Answer(Vec<u8>);

impl Answer {
    /// Tells whether the answer says `key: true` somewhere.
    pub(super) fn has_true(&self, key: &str) -> bool {
        let element = [&[0x08], key.as_bytes(), &[0, 1]].concat();
        self.0.windows(element.len()).any(|found| found == element)
    }
}

/// Runs an administrator's command.
pub(super) fn ask(server: SocketAddr, command: &Doc) -> io::Result<Answer> {
    let mut stream = TcpStream::connect_timeout(&server, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let command = Doc(command.0.clone()).text("$db", "admin").bytes();
    let mut message = size(HEADER + 5 + command.len()).to_vec();
    for word in [1, 0, OP_MSG, 0] {
        message.extend(word.to_le_bytes());
    }
    message.push(0);
    message.extend(command);
    stream.write_all(&message)?;

    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length) as usize;
    if !(HEADER..MOST_BYTES).contains(&length) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut rest = vec![0; length - 4];
    stream.read_exact(&mut rest)?;
    Ok(Answer(rest))
}

/// A length as BSON writes it. What stands here is short.
fn size(bytes: usize) -> [u8; 4] {
    u32::try_from(bytes).unwrap_or(u32::MAX).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_written_as_bson_says() {
        let hello = Doc::new().text("hello", "world").bytes();
        assert_eq!(hello, b"\x16\0\0\0\x02hello\0\x06\0\0\0world\0\0");
        let list = Doc::new().array("a", &[Doc::new().int("n", 7)]).bytes();
        assert_eq!(list, b"\x1c\0\0\0\x04a\0\x14\0\0\0\x030\0\x0c\0\0\0\x10n\0\x07\0\0\0\0\0\0");
    }

    #[test]
    fn an_answer_is_searched_for_what_is_true() {
        let answer = Answer(b"..\x08primary\0\x01\x08secondary\0\0".to_vec());
        assert!(answer.has_true("primary") && !answer.has_true("secondary"));
    }
}
