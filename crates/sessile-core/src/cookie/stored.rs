//! The copy of the cookie's attributes that each session carries.
//!
//! Mirrors `session/cookie.js`: what `Cookie.prototype.data` writes, in its order.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::options::{Priority, SameSite, millis_after};
use super::{KnownCookie, SetCookie};
use crate::Error;
use crate::clock::{from_millis, to_millis};
use crate::date::{LIMIT, parse_iso, write_http, write_iso};
use crate::json::{self, Scan};

/// The cookie of one session, as its record keeps it. Mirrors `req.session.cookie`.
///
/// Stores read from it when the session expires:
///
/// ```
/// use sessile_core::SessionCookie;
///
/// let json = r#"{"originalMaxAge":60000,"expires":"2030-01-02T03:04:05.678Z","httpOnly":true,"path":"/"}"#;
/// let cookie = SessionCookie::from_json(json).unwrap();
/// assert_eq!(cookie.original_max_age().unwrap().as_secs(), 60);
/// assert_eq!(cookie.to_json(), json);
/// ```
#[derive(Clone, PartialEq)]
pub struct SessionCookie {
    original_max_age: OriginalMaxAge,
    expires: Option<i64>,
    attributes: Attributes,
}

/// What JSON has under `originalMaxAge`: Node keeps all three apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum OriginalMaxAge {
    Absent,
    Millis(f64),
    Null,
}

impl OriginalMaxAge {
    fn parse(text: &str) -> Self {
        text.parse().map_or(Self::Null, Self::Millis)
    }
}

impl SessionCookie {
    pub(crate) fn new(attributes: Attributes) -> Self {
        Self { original_max_age: OriginalMaxAge::Null, expires: None, attributes }
    }

    pub(super) fn read(
        original_max_age: OriginalMaxAge,
        expires: Option<i64>,
        attributes: Attributes,
    ) -> Self {
        Self { original_max_age, expires, attributes }
    }

    /// Reads the JSON text under a record's `cookie`; `None` if it is not an object.
    ///
    /// ```
    /// # use sessile_core::SessionCookie;
    /// let cookie = SessionCookie::from_json(r#"{"originalMaxAge":null,"expires":null}"#).unwrap();
    /// assert_eq!(cookie.expires(), None);
    /// assert!(SessionCookie::from_json("null").is_none());
    /// ```
    #[must_use]
    pub fn from_json(text: &str) -> Option<Self> {
        let text: Arc<str> = text.trim().into();
        let mut scan = Scan::new(&text);
        let cookie = Self::scan(&mut scan, &text)?;
        scan.is_at_end().then_some(cookie)
    }

    /// Reads the cookie that comes next in `text`, copying nothing.
    pub(crate) fn scan(scan: &mut Scan<'_>, text: &Arc<str>) -> Option<Self> {
        let mut this = Self {
            original_max_age: OriginalMaxAge::Absent,
            expires: None,
            attributes: Attributes::at(Arc::clone(text), Spans::default()),
        };
        scan.object(|scan, key| {
            let value = scan.value()?;
            match &text[key] {
                r#""originalMaxAge""# => {
                    this.original_max_age = OriginalMaxAge::parse(&text[value]);
                }
                r#""expires""# => {
                    this.expires = text[value.start + 1..]
                        .get(..value.len().saturating_sub(2))
                        .and_then(parse_iso);
                }
                r#""partitioned""# => this.attributes.set(Field::Partitioned, &value),
                r#""priority""# => this.attributes.set(Field::Priority, &value),
                r#""secure""# => this.attributes.set(Field::Secure, &value),
                r#""httpOnly""# => this.attributes.set(Field::HttpOnly, &value),
                r#""domain""# => this.attributes.set(Field::Domain, &value),
                r#""path""# => this.attributes.set(Field::Path, &value),
                r#""sameSite""# => this.attributes.set(Field::SameSite, &value),
                _ => {}
            }
            Some(())
        })?;
        Some(this)
    }

    /// Writes the cookie as `JSON.stringify` does: known keys in their order,
    /// nulls kept, what is undefined left out.
    ///
    /// ```
    /// # use sessile_core::SessionCookie;
    /// let text = r#"{ "path": "/", "expires": null, "color": "red", "originalMaxAge": null }"#;
    /// let cookie = SessionCookie::from_json(text).unwrap();
    /// assert_eq!(cookie.to_json(), r#"{"originalMaxAge":null,"expires":null,"path":"/"}"#);
    /// ```
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut out = String::with_capacity(128);
        self.write_json(&mut out);
        out
    }

    pub(crate) fn write_json(&self, out: &mut String) {
        out.push('{');
        match self.original_max_age {
            OriginalMaxAge::Absent => {}
            OriginalMaxAge::Millis(millis) if !millis.is_finite() => {
                out.push_str(r#""originalMaxAge":null,"#);
            }
            OriginalMaxAge::Millis(millis) => {
                out.push_str(r#""originalMaxAge":"#);
                out.push_str(ryu_js::Buffer::new().format(millis));
                out.push(',');
            }
            OriginalMaxAge::Null => out.push_str(r#""originalMaxAge":null,"#),
        }
        self.write_fields(out, &Field::FIRST);
        out.push_str(r#""expires":"#);
        match self.expires {
            Some(millis) => {
                out.push('"');
                write_iso(out, millis);
                out.push('"');
            }
            None => out.push_str("null"),
        }
        out.push(',');
        self.write_fields(out, &Field::REST);
        out.pop();
        out.push('}');
    }

    fn write_fields(&self, out: &mut String, fields: &[Field]) {
        if let Some(run) = self.attributes.run(fields) {
            out.push_str(run);
            out.push_str(if run.is_empty() { "" } else { "," });
            return;
        }
        for field in fields {
            if let Some(text) = self.attributes.text(*field) {
                out.push_str(field.label());
                out.push_str(text);
                out.push(',');
            }
        }
    }

    /// Returns when the session expires; `None` for one that lives as long as the browser. Mirrors
    /// `cookie.expires`.
    ///
    /// ```
    /// # use sessile_core::SessionCookie;
    /// use std::time::{Duration, SystemTime};
    ///
    /// let cookie = SessionCookie::from_json(r#"{"expires":"1970-01-01T00:00:01.500Z"}"#).unwrap();
    /// assert_eq!(cookie.expires(), Some(SystemTime::UNIX_EPOCH + Duration::from_millis(1500)));
    /// ```
    #[must_use]
    pub fn expires(&self) -> Option<SystemTime> {
        self.expires.map(from_millis)
    }

    /// Returns what is left until it expires, at `now`; zero if it has, where `cookie.maxAge` of
    /// Express goes below.
    ///
    /// ```
    /// # use sessile_core::SessionCookie;
    /// use std::time::{Duration, SystemTime};
    ///
    /// let cookie = SessionCookie::from_json(r#"{"expires":"1970-01-01T00:01:00.000Z"}"#).unwrap();
    /// let now = SystemTime::UNIX_EPOCH + Duration::from_secs(59);
    /// assert_eq!(cookie.max_age(now), Some(Duration::from_secs(1)));
    /// assert_eq!(cookie.max_age(now + Duration::from_secs(9)), Some(Duration::ZERO));
    /// ```
    #[must_use]
    pub fn max_age(&self, now: SystemTime) -> Option<Duration> {
        self.expires().map(|expires| expires.duration_since(now).unwrap_or_default())
    }

    /// Returns how long it lives after each response; `None` for one that lives as long as the
    /// browser. Mirrors `cookie.originalMaxAge`, which counts milliseconds.
    ///
    /// ```
    /// # use sessile_core::SessionCookie;
    /// use std::time::Duration;
    ///
    /// let cookie = SessionCookie::from_json(r#"{"originalMaxAge":1500,"expires":null}"#).unwrap();
    /// assert_eq!(cookie.original_max_age(), Some(Duration::from_millis(1500)));
    /// ```
    #[must_use]
    pub fn original_max_age(&self) -> Option<Duration> {
        let millis = self.original_max_age_millis()?;
        Some(Duration::try_from_secs_f64(millis / 1000.0).unwrap_or_default())
    }

    /// Lets it live this long from `now`, and after each response, in whole milliseconds; `None` for
    /// as long as the browser. Mirrors `cookie.maxAge = …`.
    ///
    /// ```
    /// # use sessile_core::SessionCookie;
    /// use std::time::{Duration, SystemTime};
    ///
    /// let (now, hour) = (SystemTime::UNIX_EPOCH, Duration::from_secs(3600));
    /// let mut cookie = SessionCookie::from_json("{}").unwrap();
    /// cookie.set_max_age(Some(hour), now);
    /// assert_eq!((cookie.expires(), cookie.original_max_age()), (Some(now + hour), Some(hour)));
    /// cookie.set_max_age(None, now);
    /// assert_eq!((cookie.expires(), cookie.original_max_age()), (None, None));
    /// ```
    pub fn set_max_age(&mut self, max_age: Option<Duration>, now: SystemTime) {
        self.expires = max_age.map(|max_age| millis_after(now, max_age));
        self.remember_max_age(now);
    }

    /// Lets it expire at `expires`, and after each response as much later as that is after `now`;
    /// `None` for when the browser closes. Mirrors `cookie.expires = …`.
    ///
    /// ```
    /// # use sessile_core::SessionCookie;
    /// use std::time::{Duration, SystemTime};
    ///
    /// let (now, hour) = (SystemTime::UNIX_EPOCH, Duration::from_secs(3600));
    /// let mut cookie = SessionCookie::from_json("{}").unwrap();
    /// cookie.set_expires(Some(now + hour), now);
    /// assert_eq!(cookie.original_max_age(), Some(hour));
    /// cookie.touch(now + hour / 2);
    /// assert_eq!(cookie.expires(), Some(now + hour / 2 + hour));
    /// ```
    pub fn set_expires(&mut self, expires: Option<SystemTime>, now: SystemTime) {
        self.expires = expires.map(|expires| to_millis(expires).clamp(-LIMIT, LIMIT));
        self.remember_max_age(now);
    }

    #[expect(clippy::cast_precision_loss, reason = "JavaScript counts milliseconds in doubles too")]
    fn remember_max_age(&mut self, now: SystemTime) {
        self.original_max_age = match self.expires {
            Some(expires) => OriginalMaxAge::Millis(expires.saturating_sub(to_millis(now)) as f64),
            None => OriginalMaxAge::Null,
        };
    }

    /// Starts its lifetime anew at `now`. Mirrors `req.session.touch()`.
    ///
    /// ```
    /// # use sessile_core::SessionCookie;
    /// use std::time::{Duration, SystemTime};
    ///
    /// let mut cookie = SessionCookie::from_json(r#"{"originalMaxAge":60000,"expires":null}"#).unwrap();
    /// cookie.touch(SystemTime::UNIX_EPOCH);
    /// assert_eq!(cookie.expires(), Some(SystemTime::UNIX_EPOCH + Duration::from_secs(60)));
    /// ```
    pub fn touch(&mut self, now: SystemTime) {
        self.touch_by(|| now);
    }

    /// As [`touch`](Self::touch); a cookie without a lifetime spares the clock.
    pub(crate) fn touch_by(&mut self, now: impl FnOnce() -> SystemTime) {
        match self.original_max_age {
            OriginalMaxAge::Millis(millis) => {
                self.expires = Some(add_millis(to_millis(now()), millis));
            }
            OriginalMaxAge::Null => self.expires = None,
            OriginalMaxAge::Absent => {
                (self.expires, self.original_max_age) = (None, OriginalMaxAge::Null);
            }
        }
    }

    /// Takes over what the store says about a session whose body may be stale.
    pub(crate) fn correct_expiry(&mut self, stored_until: Option<i64>) {
        if self.expires.is_some() && stored_until.is_some() {
            self.expires = stored_until;
        }
    }

    /// Until when a session with this cookie lives that was touched then; for ever, as far as
    /// this tells, if that is up to the store.
    pub(crate) fn lives_until(&self, touched_at: i64) -> i64 {
        let touched = self.original_max_age_millis().map(|age| add_millis(touched_at, age));
        self.expires.map_or(i64::MAX, |expires| touched.map_or(expires, |at| at.max(expires)))
    }

    /// When it expires, in milliseconds since 1970.
    pub(crate) fn expires_millis(&self) -> Option<i64> {
        self.expires
    }

    pub(crate) fn original_max_age_millis(&self) -> Option<f64> {
        match self.original_max_age {
            OriginalMaxAge::Millis(millis) => Some(millis),
            OriginalMaxAge::Absent | OriginalMaxAge::Null => None,
        }
    }

    /// Ends no later than `limit`.
    pub(crate) fn cap(&mut self, limit: SystemTime) {
        let limit = to_millis(limit);
        self.expires = Some(self.expires.map_or(limit, |expires| expires.min(limit)));
    }

    pub(crate) fn attributes(&self) -> &Attributes {
        &self.attributes
    }

    pub(crate) fn set_attributes(&mut self, attributes: Attributes) {
        self.attributes = attributes;
    }

    /// Tells whether the browser sends it over secure connections only. Mirrors `cookie.secure`.
    ///
    /// ```
    /// # use sessile_core::SessionCookie;
    /// assert!(SessionCookie::from_json(r#"{"secure":true}"#).unwrap().secure());
    /// assert!(!SessionCookie::from_json(r#"{"path":"/"}"#).unwrap().secure());
    /// ```
    #[must_use]
    pub fn secure(&self) -> bool {
        self.attributes.secure()
    }

    /// Writes the `Set-Cookie` of a name that is a token; `value` writes what it carries,
    /// encoded. What is said of `known` attributes is written already.
    pub(crate) fn write_header(
        &self,
        out: &mut String,
        name: &str,
        value: impl FnOnce(&mut String),
        known: Option<&KnownCookie>,
    ) -> Result<(), Error> {
        let Some((before, behind)) = known.and_then(|known| known.header(&self.attributes)) else {
            return self.write_until(out, name, value, self.expires());
        };
        out.push_str(name);
        out.push('=');
        value(out);
        out.push_str(before);
        if let Some(expires) = self.expires {
            out.push_str("; Expires=");
            write_http(out, expires);
        }
        out.push_str(behind);
        Ok(())
    }

    /// Writes the `Set-Cookie` that makes the browser forget this cookie.
    pub(crate) fn write_removal(&self, out: &mut String, name: &str) -> Result<(), Error> {
        self.write_until(out, name, |_| (), Some(SystemTime::UNIX_EPOCH))
    }

    fn write_until(
        &self,
        out: &mut String,
        name: &str,
        value: impl FnOnce(&mut String),
        expires: Option<SystemTime>,
    ) -> Result<(), Error> {
        let own = &self.attributes;
        let (domain, path) = (own.domain(), own.path());
        let mut cookie = SetCookie::new(name, "")
            .domain(domain.as_deref().unwrap_or_default())
            .path(path.as_deref().unwrap_or_default())
            .http_only(own.http_only())
            .secure(own.secure())
            .partitioned(own.partitioned());
        if let Some(expires) = expires {
            cookie = cookie.expires(expires);
        }
        if let Some(priority) = own.priority() {
            cookie = cookie.priority(priority);
        }
        if let Some(same_site) = own.same_site() {
            cookie = cookie.same_site(same_site);
        }
        cookie.write(out, value)
    }
}

/// `new Date(now + millis)`: fractions are cut, and what no date can hold is clamped.
#[expect(clippy::cast_possible_truncation, reason = "clamped to what a date can hold")]
#[expect(clippy::cast_precision_loss, reason = "JavaScript counts milliseconds in doubles too")]
fn add_millis(now: i64, millis: f64) -> i64 {
    (now as f64 + millis).trunc().clamp(-8.64e15, 8.64e15) as i64
}

impl fmt::Debug for SessionCookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_json())
    }
}

/// The attributes beside the expiry, in the words in which the record has them.
#[derive(Clone, Default)]
pub(crate) struct Attributes {
    /// `None` where there are none.
    source: Option<Arc<str>>,
    /// Where each field's value stands, by [`Field::index`].
    spans: Spans,
}

/// An attribute that a record keeps.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Field {
    Partitioned,
    Priority,
    Secure,
    HttpOnly,
    Domain,
    Path,
    SameSite,
}

impl Field {
    pub(crate) const ALL: [Self; 7] = [
        Self::Partitioned,
        Self::Priority,
        Self::Secure,
        Self::HttpOnly,
        Self::Domain,
        Self::Path,
        Self::SameSite,
    ];
    pub(crate) const COUNT: usize = Self::ALL.len();
    /// Those that stand before `expires`.
    const FIRST: [Self; 2] = [Self::Partitioned, Self::Priority];
    /// Those that stand behind it.
    const REST: [Self; 5] =
        [Self::Secure, Self::HttpOnly, Self::Domain, Self::Path, Self::SameSite];

    pub(crate) fn index(self) -> usize {
        self as usize
    }

    /// Returns the name it has in JSON.
    pub(crate) fn key(self) -> &'static str {
        self.label().trim_matches(['"', ':'])
    }

    /// The key as it stands in a record.
    fn label(self) -> &'static str {
        match self {
            Self::Partitioned => r#""partitioned":"#,
            Self::Priority => r#""priority":"#,
            Self::Secure => r#""secure":"#,
            Self::HttpOnly => r#""httpOnly":"#,
            Self::Domain => r#""domain":"#,
            Self::Path => r#""path":"#,
            Self::SameSite => r#""sameSite":"#,
        }
    }

    pub(crate) fn from_key(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.key() == key)
    }

    /// Tells whether an option may have this value.
    pub(crate) fn accepts(self, text: &str) -> bool {
        let flag = matches!(text, "true" | "false" | "null");
        let word = text.strip_prefix('"').is_some();
        match self {
            Self::Partitioned | Self::HttpOnly => flag,
            Self::Secure => flag || text == r#""auto""#,
            Self::Domain | Self::Path => word || text == "null",
            Self::Priority => parse_priority(text).is_some() || matches!(text, "false" | "null"),
            Self::SameSite => flag || parse_same_site(text).is_some(),
        }
    }
}

/// From where to where in a text each field's value stands; no value is empty.
pub(super) type Spans = [(u32, u32); Field::COUNT];

impl Attributes {
    pub(super) fn at(source: Arc<str>, spans: Spans) -> Self {
        Self { source: Some(source), spans }
    }

    fn source(&self) -> &str {
        self.source.as_deref().unwrap_or_default()
    }

    pub(super) fn spans(&self) -> &Spans {
        &self.spans
    }

    /// Copies the texts that `text` gives into attributes of their own.
    pub(crate) fn from_texts<'t>(text: impl Fn(Field) -> Option<&'t str>) -> Self {
        let (mut source, mut spans) = (String::new(), Spans::default());
        for field in Field::ALL {
            if let Some(text) = text(field) {
                source.push_str(field.label());
                let start = source.len();
                source.push_str(text);
                spans[field.index()] = span(start, source.len());
                source.push(',');
            }
        }
        Self::at(source.into(), spans)
    }

    /// Tells whether these are copies of one another.
    pub(super) fn is(&self, other: &Self) -> bool {
        let same = |own: &Arc<str>| other.source.as_ref().is_some_and(|its| Arc::ptr_eq(own, its));
        self.source.as_ref().is_some_and(same) && self.spans == other.spans
    }

    /// Returns these fields in one piece with their keys, if they stand so, as they do in
    /// most records.
    fn run(&self, fields: &[Field]) -> Option<&str> {
        let mut present = fields.iter().filter(|field| self.text(**field).is_some());
        let Some(first) = present.next() else { return Some("") };
        let start = self.key_before(*first)?;
        let mut end = self.spans[first.index()].1 as usize;
        for field in present {
            let follows = self.key_before(*field)? == end + 1;
            if !follows || self.source().as_bytes().get(end) != Some(&b',') {
                return None;
            }
            end = self.spans[field.index()].1 as usize;
        }
        self.source().get(start..end)
    }

    /// Returns where the field's key begins, if it stands right before the value.
    fn key_before(&self, field: Field) -> Option<usize> {
        let (value, label) = (self.spans[field.index()].0 as usize, field.label());
        let start = value.checked_sub(label.len())?;
        (self.source().get(start..value)? == label).then_some(start)
    }

    fn set(&mut self, field: Field, at: &std::ops::Range<usize>) {
        self.spans[field.index()] = span(at.start, at.end);
    }

    fn text(&self, field: Field) -> Option<&str> {
        let (start, end) = self.spans[field.index()];
        if start == end {
            return None;
        }
        self.source().get(start as usize..end as usize)
    }

    pub(crate) fn same_text(&self, other: &Self) -> bool {
        Field::ALL.into_iter().all(|field| self.text(field) == other.text(field))
    }

    fn is_true(&self, field: Field) -> bool {
        !matches!(self.text(field), None | Some("false" | "null" | "0" | r#""""#))
    }

    fn string(&self, field: Field) -> Option<Cow<'_, str>> {
        json::unescape(self.text(field)?)
    }

    pub(crate) fn domain(&self) -> Option<Cow<'_, str>> {
        self.string(Field::Domain)
    }

    pub(crate) fn path(&self) -> Option<Cow<'_, str>> {
        self.string(Field::Path)
    }

    pub(crate) fn http_only(&self) -> bool {
        self.is_true(Field::HttpOnly)
    }

    pub(crate) fn secure(&self) -> bool {
        self.is_true(Field::Secure)
    }

    pub(crate) fn partitioned(&self) -> bool {
        self.is_true(Field::Partitioned)
    }

    pub(crate) fn priority(&self) -> Option<Priority> {
        parse_priority(self.text(Field::Priority)?)
    }

    pub(crate) fn same_site(&self) -> Option<SameSite> {
        match self.text(Field::SameSite)? {
            "true" => Some(SameSite::Strict),
            text => parse_same_site(text),
        }
    }
}

impl PartialEq for Attributes {
    fn eq(&self, other: &Self) -> bool {
        self.same_text(other)
    }
}

fn span(start: usize, end: usize) -> (u32, u32) {
    u32::try_from(start).ok().zip(u32::try_from(end).ok()).unwrap_or_default()
}

fn is_word(text: &str, word: &str) -> bool {
    text.trim_matches('"').eq_ignore_ascii_case(word)
}

fn parse_priority(text: &str) -> Option<Priority> {
    [("high", Priority::High), ("low", Priority::Low), ("medium", Priority::Medium)]
        .into_iter()
        .find_map(|(word, priority)| is_word(text, word).then_some(priority))
}

fn parse_same_site(text: &str) -> Option<SameSite> {
    [
        ("lax", SameSite::Lax),
        ("strict", SameSite::Strict),
        ("none", SameSite::None),
        ("auto", SameSite::Auto),
    ]
    .into_iter()
    .find_map(|(word, same_site)| is_word(text, word).then_some(same_site))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn however_the_fields_stand_they_are_written_in_their_order(
            fields in Just([
                r#""partitioned":true"#, r#""priority":"high""#, r#""expires":null"#, r#""secure":false"#,
                r#""httpOnly":true"#, r#""domain":"a.b""#, r#""path":"/""#, r#""sameSite":"lax""#,
            ]).prop_shuffle(),
            count in 0..=8_usize,
            between in prop_oneof![Just(","), Just(" ,"), Just(", "), Just(r#","x":1,"#)],
        ) {
            let fields = &fields[..count];
            let cookie = SessionCookie::from_json(&format!("{{{}}}", fields.join(between))).unwrap();
            let in_order = [Field::FIRST.as_slice(), &Field::REST].map(|fields| {
                let text = |field: &Field| fields_text(&cookie, *field);
                fields.iter().filter_map(text).map(|text| text + ",").collect::<String>()
            });
            let [first, rest] = in_order;
            let wanted = format!(r#"{{{first}"expires":null,{rest}"#);
            prop_assert_eq!(cookie.to_json(), wanted.trim_end_matches(',').to_owned() + "}");
        }
    }

    fn fields_text(cookie: &SessionCookie, field: Field) -> Option<String> {
        Some(format!("{}{}", field.label(), cookie.attributes.text(field)?))
    }
}
