//! Reading `Cookie` headers, as `cookie.parse` of npm's cookie 0.7.2 does.

use std::borrow::Cow;
use std::ops::Range;

/// Returns the pairs of a `Cookie` header in order, values unquoted and percent-decoded.
///
/// What is not a pair is passed over; a value that does not decode stays as it is.
///
/// ```
/// let pairs: Vec<_> = sessile_core::parse_cookies("theme=dark; sid=\"s%3Aabc\"; junk").collect();
/// assert_eq!(pairs, [("theme", "dark".into()), ("sid", "s:abc".into())]);
/// ```
pub fn parse_cookies(header: &str) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
    header.split(';').filter_map(|pair| pair.split_once('=')).map(|(name, value)| {
        (name.trim_matches(BLANK), percent_decode(&value[unquoted(value.as_bytes())]))
    })
}

const BLANK: [char; 2] = [' ', '\t'];

/// Returns the raw values of the cookies called `name`, reading no more of the
/// header than it takes to see that the others are not.
pub(crate) fn cookies_named<'h>(
    header: &'h [u8],
    name: &'h str,
) -> impl Iterator<Item = &'h [u8]> + use<'h> {
    let mut rest = header;
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            let start = rest.iter().position(|&b| b != b' ' && b != b'\t').unwrap_or(rest.len());
            let pair = &rest[start..];
            let end = memchr::memchr(b';', pair).unwrap_or(pair.len());
            rest = pair.get(end + 1..).unwrap_or_default();
            if let Some(value) = value_if_named(&pair[..end], name.as_bytes()) {
                return Some(value);
            }
        }
        None
    })
}

fn value_if_named<'h>(pair: &'h [u8], name: &[u8]) -> Option<&'h [u8]> {
    let after = pair.strip_prefix(name)?;
    let equals = after.iter().position(|&b| b != b' ' && b != b'\t')?;
    let value = after[equals..].strip_prefix(b"=")?;
    Some(&value[unquoted(value)])
}

/// Returns where in `value` it stands without the blanks and quotes around it.
fn unquoted(value: &[u8]) -> Range<usize> {
    let is_text = |byte: &u8| !matches!(byte, b' ' | b'\t');
    let start = value.iter().position(is_text).unwrap_or(value.len());
    let end = value.iter().rposition(is_text).map_or(start, |last| last + 1);
    match &value[start..end] {
        [b'"'] => end..end,
        [b'"', .., b'"'] => start + 1..end - 1,
        _ => start..end,
    }
}

/// Decodes as `decodeURIComponent` does; text that is not an encoding stays as it is.
pub(crate) fn percent_decode(text: &str) -> Cow<'_, str> {
    if memchr::memchr(b'%', text.as_bytes()).is_none() {
        return Cow::Borrowed(text);
    }
    decode(text.as_bytes()).map_or(Cow::Borrowed(text), Cow::Owned)
}

fn decode(bytes: &[u8]) -> Option<String> {
    let mut out = vec![0; bytes.len()];
    let length = decode_into(&mut out, bytes)?;
    out.truncate(length);
    String::from_utf8(out).ok()
}

/// As [`percent_decode`], into `buffer` where it fits: tickets do, and cost no allocation.
pub(crate) fn percent_decode_in<'t>(buffer: &'t mut [u8], text: &'t str) -> Cow<'t, str> {
    if buffer.len() < text.len() || memchr::memchr(b'%', text.as_bytes()).is_none() {
        return percent_decode(text);
    }
    let decoded = decode_into(buffer, text.as_bytes()).and_then(|length| buffer.get(..length));
    Cow::Borrowed(decoded.and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or(text))
}

/// Returns how many bytes it wrote; `out` has room for all of `bytes`.
fn decode_into(out: &mut [u8], bytes: &[u8]) -> Option<usize> {
    let (mut rest, mut length) = (bytes, 0);
    loop {
        let plain = memchr::memchr(b'%', rest).unwrap_or(rest.len());
        let (text, escaped) = rest.split_at(plain);
        out.get_mut(length..length + plain)?.copy_from_slice(text);
        length += plain;
        let [_, high, low, after @ ..] = escaped else {
            return escaped.is_empty().then_some(length);
        };
        *out.get_mut(length)? = hex(*high)? << 4 | hex(*low)?;
        length += 1;
        rest = after;
    }
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// What `encodeURIComponent` leaves as it is. No branches: then a processor tells
/// sixteen bytes at a time.
fn is_plain(byte: u8) -> bool {
    let between = |first: u8, last: u8| byte.wrapping_sub(first) <= last - first;
    let is_letter = (byte | 0x20).wrapping_sub(b'a') < 26;
    let is_mark = between(b'\'', b'*') | between(b'-', b'.');
    let is_other_mark = (byte == b'!') | (byte == b'_') | (byte == b'~');
    is_letter | between(b'0', b'9') | is_mark | is_other_mark
}

/// How many bytes need no encoding.
fn plain_prefix(bytes: &[u8]) -> usize {
    let (chunks, _) = bytes.as_chunks::<16>();
    let all_plain = |chunk: &&[u8; 16]| chunk.iter().fold(true, |all, byte| all & is_plain(*byte));
    let plain = 16 * chunks.iter().take_while(all_plain).count();
    plain + bytes[plain..].iter().take_while(|byte| is_plain(**byte)).count()
}

/// Encodes as `encodeURIComponent` does.
pub(crate) fn percent_encode(out: &mut String, text: &str) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let (bytes, mut written) = (text.as_bytes(), 0);
    loop {
        let at = written + plain_prefix(&bytes[written..]);
        if at == bytes.len() {
            break;
        }
        // Within a character of several bytes, all of them special, nothing stands between.
        out.push_str(text.get(written..at).unwrap_or_default());
        out.push('%');
        out.push(char::from(HEX[usize::from(bytes[at] >> 4)]));
        out.push(char::from(HEX[usize::from(bytes[at] & 15)]));
        written = at + 1;
    }
    out.push_str(text.get(written..).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn named<'h>(header: &'h str, name: &'h str) -> Vec<&'h str> {
        let values = cookies_named(header.as_bytes(), name);
        values.map(|value| std::str::from_utf8(value).unwrap()).collect()
    }

    #[test]
    fn every_cookie_of_one_name_is_found() {
        assert_eq!(named("a=1; sid=x; sid=\"y\";sid = z ; asid=n; sid", "sid"), ["x", "y", "z"]);
        assert_eq!(named("sid=\"", "sid"), [""]);
        assert_eq!(named("sidx=1; SID=2", "sid"), Vec::<&str>::new());
    }

    #[test]
    fn bytes_that_are_no_text_are_passed_on_as_they_are() {
        let header = b"sid=\xff\xfe; sid=ok";
        assert_eq!(cookies_named(header, "sid").collect::<Vec<_>>(), [&b"\xff\xfe"[..], b"ok"]);
    }

    #[test]
    fn what_encode_uri_component_leaves_is_left() {
        let left: String = (0..128_u8).filter(|b| is_plain(*b)).map(char::from).collect();
        let letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~";
        assert_eq!(left, format!("!'()*-.0123456789{letters}"));
        assert!((128..=255).all(|byte| !is_plain(byte)));
    }

    proptest! {
        #[test]
        fn the_quick_search_agrees_with_the_full_parse(header in "[ab=;\" \t%4]{0,24}") {
            let full: Vec<_> =
                parse_cookies(&header).filter(|(name, _)| *name == "a").map(|(_, v)| v).collect();
            let quick: Vec<_> = named(&header, "a").into_iter().map(percent_decode).collect();
            prop_assert_eq!(&quick, &full);
            for raw in named(&header, "a") {
                let mut buffer = [0; 8];
                prop_assert_eq!(percent_decode_in(&mut buffer, raw), percent_decode(raw));
            }
        }

        #[test]
        fn what_is_encoded_decodes(text in "\\PC{0,24}") {
            let mut encoded = String::new();
            percent_encode(&mut encoded, &text);
            prop_assert!(encoded.is_ascii());
            prop_assert_eq!(percent_decode(&encoded), text.as_str());
        }
    }
}
