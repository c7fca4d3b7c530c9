//! JSON as text: members found without parsing their values, values written as
//! `JSON.stringify` writes them.

use std::borrow::Cow;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use serde::Serialize;

use crate::{Error, ErrorKind, buffer};

/// How deep a record may nest. What `get` parses may nest 128 deep; what is only carried, this deep.
const MAX_DEPTH: usize = 512;

/// Where a member of an object stands in its text.
pub(crate) struct Member {
    /// The key, quotes included.
    pub(crate) key: Range<usize>,
    pub(crate) value: Range<usize>,
}

/// Calls `found` for each member of the object that `text` is; `None` if it is
/// not one, to the last byte.
pub(crate) fn members(text: &str, mut found: impl FnMut(Member)) -> Option<()> {
    Scan::new(text).whole_object(|scan, key| {
        let value = scan.value()?;
        found(Member { key, value });
        Some(())
    })
}

/// Reads JSON from left to right, copying nothing.
pub(crate) struct Scan<'t> {
    bytes: &'t [u8],
    at: usize,
    /// Whether any string so far had an escape in it.
    pub(crate) escapes: bool,
}

impl<'t> Scan<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        Self { bytes: text.as_bytes(), at: 0, escapes: false }
    }

    /// Reads an object and nothing after it; see [`object`](Self::object).
    pub(crate) fn whole_object(
        &mut self,
        found: impl FnMut(&mut Self, Range<usize>) -> Option<()>,
    ) -> Option<()> {
        self.blank();
        self.object(found)?;
        self.blank();
        self.is_at_end().then_some(())
    }

    /// Reads an object. `found` gets each key, quotes included, and reads the value behind it.
    pub(crate) fn object(
        &mut self,
        mut found: impl FnMut(&mut Self, Range<usize>) -> Option<()>,
    ) -> Option<()> {
        self.take(b'{')?;
        self.blank();
        if self.peek()? != b'}' {
            loop {
                let key = self.string()?;
                self.blank();
                self.take(b':')?;
                self.blank();
                found(self, key)?;
                self.blank();
                if self.peek()? != b',' {
                    break;
                }
                self.at += 1;
                self.blank();
            }
        }
        self.take(b'}')
    }

    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Goes on at `at`, behind a value that was read by other means.
    pub(crate) fn go_on_at(&mut self, at: usize) {
        self.at = at;
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.at == self.bytes.len()
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    #[inline]
    fn blank(&mut self) {
        while let Some(byte @ 0..=b' ') = self.peek() {
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return;
            }
            self.at += 1;
        }
    }

    #[inline]
    fn string(&mut self) -> Option<Range<usize>> {
        let start = self.at;
        self.take(b'"')?;
        loop {
            self.at = plain_end(self.bytes, self.at);
            match self.peek()? {
                b'"' => {
                    self.at += 1;
                    return Some(start..self.at);
                }
                b'\\' => self.escape()?,
                _ => return None,
            }
        }
    }

    fn escape(&mut self) -> Option<()> {
        self.escapes = true;
        let escape = *self.bytes.get(self.at + 1)?;
        match escape {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.at += 2,
            b'u' => {
                let digits = self.bytes.get(self.at + 2..self.at + 6)?;
                if !digits.iter().all(u8::is_ascii_hexdigit) {
                    return None;
                }
                self.at += 6;
            }
            _ => return None,
        }
        Some(())
    }

    /// Passes over one value.
    pub(crate) fn value(&mut self) -> Option<Range<usize>> {
        match self.peek()? {
            b'"' => self.string(),
            b'{' | b'[' => self.nested(),
            _ => {
                let start = self.at;
                self.scalar()?;
                Some(start..self.at)
            }
        }
    }

    /// Passes over an object or an array, however deep, without recursion.
    fn nested(&mut self) -> Option<Range<usize>> {
        let start = self.at;
        let mut open = Nesting::default();
        loop {
            match self.peek()? {
                b'{' => {
                    self.at += 1;
                    self.blank();
                    if self.peek()? != b'}' {
                        open.push(Container::Object)?;
                        self.key()?;
                        continue;
                    }
                    self.at += 1;
                }
                b'[' => {
                    self.at += 1;
                    self.blank();
                    if self.peek()? != b']' {
                        open.push(Container::Array)?;
                        continue;
                    }
                    self.at += 1;
                }
                _ => self.scalar()?,
            }
            loop {
                let Some(container) = open.last() else { return Some(start..self.at) };
                self.blank();
                let (next, end) = (self.peek()?, container.end());
                self.at += 1;
                if next == end {
                    open.pop();
                    continue;
                }
                if next != b',' {
                    return None;
                }
                self.blank();
                if container == Container::Object {
                    self.key()?;
                }
                break;
            }
        }
    }

    fn key(&mut self) -> Option<()> {
        self.string()?;
        self.blank();
        self.take(b':')?;
        self.blank();
        Some(())
    }

    fn scalar(&mut self) -> Option<()> {
        match self.peek()? {
            b'"' => self.string().map(drop),
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'n' => self.word(b"null"),
            _ => self.number(),
        }
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        self.bytes[self.at..].starts_with(word).then(|| self.at += word.len())
    }

    fn number(&mut self) -> Option<()> {
        if self.peek()? == b'-' {
            self.at += 1;
        }
        if self.peek()? == b'0' {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Some(())
    }

    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }
}

/// Returns where, from `at` on, the next quote, backslash or control character
/// stands, looking at eight bytes at a time.
#[inline]
fn plain_end(bytes: &[u8], mut at: usize) -> usize {
    while let Some(word) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let found = ends_plain(u64::from_le_bytes(*word));
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let ends = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
    let rest = bytes.get(at..).unwrap_or_default();
    at + rest.iter().position(ends).unwrap_or(rest.len())
}

/// Sets the high bit of the first byte that ends plain text; those behind it mean nothing.
fn ends_plain(word: u64) -> u64 {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGHS: u64 = ONES << 7;
    let is_zero = |word: u64| word.wrapping_sub(ONES) & !word;
    let quote = is_zero(word ^ (ONES * 0x22));
    let backslash = is_zero(word ^ (ONES * 0x5C));
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    (quote | backslash | control) & HIGHS
}

#[derive(Clone, Copy, PartialEq)]
enum Container {
    Array,
    Object,
}

impl Container {
    fn end(self) -> u8 {
        match self {
            Self::Array => b']',
            Self::Object => b'}',
        }
    }
}

/// The containers around a value: a bit each.
#[derive(Default)]
struct Nesting {
    objects: [u64; MAX_DEPTH / 64],
    depth: usize,
}

impl Nesting {
    fn push(&mut self, container: Container) -> Option<()> {
        let word = self.objects.get_mut(self.depth / 64)?;
        let bit = 1 << (self.depth % 64);
        match container {
            Container::Array => *word &= !bit,
            Container::Object => *word |= bit,
        }
        self.depth += 1;
        Some(())
    }

    fn pop(&mut self) {
        self.depth -= 1;
    }

    fn last(&self) -> Option<Container> {
        let at = self.depth.checked_sub(1)?;
        let is_object = self.objects[at / 64] >> (at % 64) & 1 == 1;
        Some(if is_object { Container::Object } else { Container::Array })
    }
}

/// Returns the text of a JSON string; `None` if it is not one, or holds half a surrogate pair.
pub(crate) fn unescape(string: &str) -> Option<Cow<'_, str>> {
    let inner = string.strip_prefix('"')?.strip_suffix('"')?;
    if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
        return Some(Cow::Borrowed(inner));
    }
    serde_json::from_str(string).ok().map(Cow::Owned)
}

/// Writes `value` as `JSON.stringify` would.
pub(crate) fn to_text(value: &(impl Serialize + ?Sized)) -> Result<Arc<str>, Error> {
    let mut out = buffer::take().into_bytes();
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, AsJavaScript);
    let encoded =
        value.serialize(&mut serializer).map_err(|error| Error::from(io::Error::from(error)));
    encoded?;
    let text = String::from_utf8(out).map_err(|error| cannot_keep().with_source(error))?;
    if !nests_within_bounds(&text) {
        let message = format!("the value nests deeper than {MAX_DEPTH} levels");
        return Err(Error::new(ErrorKind::Encode, message));
    }
    let finished = text.as_str().into();
    buffer::give_back(text);
    Ok(finished)
}

/// Writes `text` as a JSON string.
pub(crate) fn quote(text: &str) -> Result<Arc<str>, Error> {
    if plain_end(text.as_bytes(), 0) < text.len() {
        return to_text(text);
    }
    let mut out = buffer::take();
    out.extend(["\"", text, "\""]);
    let quoted = out.as_str().into();
    buffer::give_back(out);
    Ok(quoted)
}

/// A record that nests deeper would be no session when it is loaded again.
fn nests_within_bounds(text: &str) -> bool {
    !text.starts_with(['[', '{']) || Scan::new(text).value().is_some()
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        cannot_keep().with_source(error)
    }
}

fn cannot_keep() -> Error {
    Error::new(ErrorKind::Encode, "the value cannot be written as JSON")
}

struct AsJavaScript;

impl serde_json::ser::Formatter for AsJavaScript {
    fn write_f32<W: ?Sized + io::Write>(&mut self, out: &mut W, value: f32) -> io::Result<()> {
        self.write_f64(out, f64::from(value))
    }

    fn write_f64<W: ?Sized + io::Write>(&mut self, out: &mut W, value: f64) -> io::Result<()> {
        out.write_all(ryu_js::Buffer::new().format_finite(value).as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    fn is_object(text: &str) -> bool {
        members(text, |_| {}).is_some()
    }

    #[test]
    fn members_come_as_they_stand() {
        let text = r#" { "a" : [1, {"b":"}"}] , "c\"d":-0.5e+3,"e":{} } "#;
        let mut seen = Vec::new();
        members(text, |member| seen.push((&text[member.key], &text[member.value]))).unwrap();
        assert_eq!(
            seen,
            [(r#""a""#, r#"[1, {"b":"}"}]"#), (r#""c\"d""#, "-0.5e+3"), (r#""e""#, "{}")]
        );
    }

    #[test]
    fn nesting_is_bounded_and_never_recursive() {
        let nested =
            |depth: usize| format!(r#"{{"a":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
        assert!(is_object(&nested(MAX_DEPTH)));
        assert!(!is_object(&nested(MAX_DEPTH + 2)));
        assert!(!is_object(&nested(100_000)));
        assert!(!is_object(&"{\"a\":".repeat(100_000)));
    }

    #[test]
    fn halves_of_surrogate_pairs_are_carried() {
        assert!(is_object(r#"{"a":"\ud800","\udc00":1}"#));
        assert_eq!(unescape(r#""\ud800""#), None);
    }

    proptest! {
        #[test]
        fn eight_bytes_at_a_time_see_what_one_sees(bytes in proptest::collection::vec(0..=255_u8, 0..40)) {
            let ends = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
            let expected = bytes.iter().position(ends).unwrap_or(bytes.len());
            prop_assert_eq!(plain_end(&bytes, 0), expected);
        }

        #[test]
        fn it_quotes_as_serde_json_does(text in any::<String>()) {
            prop_assert_eq!(&*quote(&text).unwrap(), serde_json::to_string(&text).unwrap());
        }

        #[test]
        fn it_takes_what_serde_json_takes(
            text in r#"\{"a":[-0-9a-f\[\]{}":,.eE+\\/u ntrls\t]{0,12}\}"#
        ) {
            let theirs = serde_json::from_str::<std::collections::HashMap<String, Box<RawValue>>>(&text);
            prop_assert_eq!(is_object(&text), theirs.is_ok(), "{}", text);
        }

        #[test]
        fn any_text_is_an_object_or_none(text in "\\PC{0,40}") {
            is_object(&text);
        }
    }
}
