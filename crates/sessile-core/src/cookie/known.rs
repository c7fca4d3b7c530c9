//! Recognises by its text a cookie that was written with a layer's own
//! attributes, as most are: a comparison instead of a parse.

use std::sync::Arc;

use super::Attributes;
use super::stored::{OriginalMaxAge, SessionCookie, Spans};
use crate::date::parse_exact;

const START: &str = r#"{"originalMaxAge":"#;
const NULL: &str = "null";

/// How a cookie with certain attributes is written.
pub(crate) struct Known {
    /// From behind the value of `originalMaxAge` to that of `expires`.
    middle: Part,
    /// From behind the value of `expires` to the end.
    tail: Part,
    attributes: Attributes,
    /// What `Set-Cookie` says of them before and behind `Expires`; none for those it refuses.
    header: Option<(String, String)>,
}

/// Text, and where in it the attributes' values stand.
struct Part {
    text: String,
    spans: Spans,
}

impl Known {
    pub(crate) fn new(attributes: &Attributes) -> Self {
        let cookie = SessionCookie::new(attributes.clone());
        let (template, header) = (cookie.to_json(), header_of(&cookie));
        let middle = START.len() + NULL.len();
        let tail = template.find(r#""expires":null"#).unwrap_or(middle) + r#""expires":null"#.len();
        let spans = SessionCookie::from_json(&template).map(|cookie| *cookie.attributes().spans());
        let part = |from: usize, to: usize| Part {
            text: template[from..to].to_owned(),
            spans: spans.unwrap_or_default().map(|span| {
                let is_here = (from..to).contains(&(span.0 as usize));
                let from = u32::try_from(from).unwrap_or_default();
                if is_here { (span.0 - from, span.1 - from) } else { (0, 0) }
            }),
        };
        Self {
            middle: part(middle, tail - NULL.len()),
            tail: part(tail, template.len()),
            attributes: attributes.clone(),
            header,
        }
    }

    /// Reads the cookie that begins at `at` in a record, and returns where it
    /// ends; `None` if it is not written so, whatever that may mean.
    pub(crate) fn read(&self, record: &Arc<str>, at: usize) -> Option<(SessionCookie, usize)> {
        let rest = record.as_bytes().get(at..)?.strip_prefix(START.as_bytes())?;
        let (original_max_age, rest) = read_max_age(rest)?;
        let middle = record.len() - rest.len();
        let rest = rest.strip_prefix(self.middle.text.as_bytes())?;
        let (expires, rest) = read_expires(rest)?;
        let tail = record.len() - rest.len();
        let rest = rest.strip_prefix(self.tail.text.as_bytes())?;
        let mut spans = Spans::default();
        self.middle.place(&mut spans, middle)?;
        self.tail.place(&mut spans, tail)?;
        let attributes = Attributes::at(Arc::clone(record), spans);
        let cookie = SessionCookie::read(original_max_age, expires, attributes);
        Some((cookie, record.len() - rest.len()))
    }

    /// Returns what `Set-Cookie` says before and behind `Expires`, for a cookie with
    /// these very attributes.
    pub(super) fn header(&self, attributes: &Attributes) -> Option<(&str, &str)> {
        let (before, behind) = self.header.as_ref()?;
        self.attributes.is(attributes).then_some((before, behind))
    }
}

fn header_of(cookie: &SessionCookie) -> Option<(String, String)> {
    let mut removal = String::new();
    cookie.write_removal(&mut removal, "").ok()?;
    let (before, behind) = removal.strip_prefix('=')?.split_once("; Expires=")?;
    let behind = behind.split_once(" GMT")?.1;
    Some((before.to_owned(), behind.to_owned()))
}

impl Part {
    fn place(&self, spans: &mut Spans, at: usize) -> Option<()> {
        let at = u32::try_from(at).ok()?;
        for (span, (start, end)) in spans.iter_mut().zip(&self.spans) {
            if end > start {
                *span = (start + at, end + at);
            }
        }
        Some(())
    }
}

/// Reads `null`, or whole milliseconds that a double holds exactly.
fn read_max_age(text: &[u8]) -> Option<(OriginalMaxAge, &[u8])> {
    if let Some(rest) = text.strip_prefix(NULL.as_bytes()) {
        return Some((OriginalMaxAge::Null, rest));
    }
    let (mut millis, mut digits) = (0_u64, 0);
    while let Some(digit) = text.get(digits).filter(|byte| byte.is_ascii_digit()) {
        millis = millis * 10 + u64::from(digit - b'0');
        digits += 1;
        if digits > 15 {
            return None;
        }
    }
    let is_canonical = digits == 1 || digits > 1 && text[0] != b'0';
    #[expect(clippy::cast_precision_loss, reason = "fifteen digits fit exactly")]
    is_canonical.then(|| (OriginalMaxAge::Millis(millis as f64), &text[digits..]))
}

fn read_expires(text: &[u8]) -> Option<(Option<i64>, &[u8])> {
    if let Some(rest) = text.strip_prefix(NULL.as_bytes()) {
        return Some((None, rest));
    }
    let (date, rest) = text.strip_prefix(b"\"")?.split_first_chunk::<24>()?;
    Some((Some(parse_exact(date)?), rest.strip_prefix(b"\"")?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Data;
    use crate::{CookieOptions, Priority, SameSite, Secure};
    use proptest::prelude::*;
    use std::time::{Duration, SystemTime};

    const UNIX_EPOCH: SystemTime = SystemTime::UNIX_EPOCH;

    fn known() -> Known {
        let options = CookieOptions::default().with_priority(Priority::High).with_domain("a.b");
        Known::new(&options.resolve(true))
    }

    #[test]
    fn what_is_recognised_is_what_a_parse_gives() {
        let written = |age: &str, expires: &str| {
            format!(
                r#"{{"originalMaxAge":{age},"priority":"high","expires":{expires},"secure":true,"httpOnly":true,"domain":"a.b","path":"/","sameSite":"lax"}}"#
            )
        };
        for (age, expires) in [
            ("null", "null"),
            ("86400000", r#""2030-01-02T03:04:05.678Z""#),
            ("0", r#""1970-01-01T00:00:00.000Z""#),
            ("999999999999999", r#""9999-12-31T23:59:59.999Z""#),
        ] {
            let json = written(age, expires);
            let record: Arc<str> = format!(r#"{{"cookie":{json},"a":1}}"#).into();
            let (cookie, end) = known().read(&record, 10).unwrap();
            assert!(cookie == SessionCookie::from_json(&json).unwrap());
            assert_eq!((cookie.to_json(), &record[end..]), (json, r#","a":1}"#));
        }
    }

    #[test]
    fn a_header_that_is_known_is_the_one_that_would_be_written() {
        let lax = CookieOptions::default();
        let at_noon = UNIX_EPOCH + Duration::from_secs(12 * 3600);
        for options in [
            lax.clone(),
            lax.clone().with_priority(Priority::High).with_domain("a.b").with_path("/shop"),
            lax.clone()
                .with_http_only(false)
                .with_same_site(SameSite::None)
                .with_secure(Secure::Always),
            lax.with_partitioned(true).with_secure(Secure::Always),
        ] {
            for (secure, expires) in [(false, None), (true, None), (true, Some(at_noon))] {
                let attributes = options.resolve(secure);
                let known = Known::new(&attributes);
                let mut cookie = SessionCookie::new(attributes);
                cookie.set_expires(expires, UNIX_EPOCH);
                let written = |known| {
                    let mut out = String::new();
                    cookie.write_header(&mut out, "sid", |out| out.push('v'), known).unwrap();
                    out
                };
                assert!(known.header(cookie.attributes()).is_some());
                assert_eq!(written(Some(&known)), written(None));
            }
        }
    }

    #[test]
    fn whatever_is_written_otherwise_is_left_to_the_parser() {
        for json in [
            "",
            "{}",
            r#"{"originalMaxAge":null,"expires":null,"httpOnly":true,"path":"/"}"#,
            r#"{"originalMaxAge":1.5,"priority":"high","expires":null,"secure":true,"httpOnly":true,"domain":"a.b","path":"/","sameSite":"lax"}"#,
            r#"{"originalMaxAge":01,"priority":"high","expires":null,"secure":true,"httpOnly":true,"domain":"a.b","path":"/","sameSite":"lax"}"#,
            r#"{"originalMaxAge":null,"priority":"high","expires":"2030-13-02T03:04:05.678Z","secure":true,"httpOnly":true,"domain":"a.b","path":"/","sameSite":"lax"}"#,
            r#"{"originalMaxAge":null,"priority":"high","expires":null,"secure":true,"httpOnly":true,"domain":"a.b","path":"/","sameSite":"lax","x":1}"#,
        ] {
            assert!(known().read(&json.into(), 0).is_none(), "{json}");
        }
    }

    proptest! {
        #[test]
        fn of_what_nearly_equals_it_a_parse_gives_the_same(
            at in 0..200_usize,
            cut in 0..4_usize,
            put in r#"[0-9a-zE.,:+{}" \\-]{0,3}"#,
            age in "null|0|60000|999999999999999|9999999999999999",
        ) {
            let mut record = format!(
                r#"{{"cookie":{{"originalMaxAge":{age},"priority":"high","expires":"2030-01-02T03:04:05.678Z","secure":true,"httpOnly":true,"domain":"a.b","path":"/","sameSite":"lax"}},"a":1}}"#
            );
            let at = at.min(record.len());
            record.replace_range(at..(at + cut).min(record.len()), &put);
            let read = |known| {
                let mut data = Data::default();
                let (cookie, _) = data.read(record.as_str().into(), known)?;
                Ok::<_, &str>((cookie, data))
            };
            match (read(Some(&known())), read(None)) {
                (Ok(quick), Ok(full)) => {
                    prop_assert_eq!(quick.0.to_json(), full.0.to_json(), "{}", record);
                    prop_assert!(quick == full);
                }
                (quick, full) => prop_assert_eq!(quick.err(), full.err(), "{}", record),
            }
        }
    }
}
