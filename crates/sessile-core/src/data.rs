//! A session's values: JSON text by key, in the order in which Node keeps them.
//!
//! Nothing is parsed until somebody asks, so what nobody touched goes back to
//! the store byte for byte.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use crate::cookie::KnownCookie;
use crate::json::{self, Scan};
use crate::keys::{CREATED_AT, Keys, is_reserved};
use crate::{Error, SessionCookie};

/// The values of a session, and where its cookie stands among them.
#[derive(Clone, Default)]
pub(crate) struct Data {
    /// The record it was loaded from; a new session has none.
    source: Option<Arc<str>>,
    items: Vec<Item>,
    cookie_at: usize,
    /// Some key has an escape in it, so keys cannot be compared as they stand.
    escapes: bool,
}

#[derive(Clone)]
struct Item {
    key: Text,
    value: Text,
}

/// JSON text: a part of the record it was loaded from, or our own.
#[derive(Clone)]
enum Text {
    Loaded(u32, u32),
    Own(Arc<str>),
}

impl Text {
    fn loaded(span: &std::ops::Range<usize>) -> Option<Self> {
        Some(Self::Loaded(u32::try_from(span.start).ok()?, u32::try_from(span.end).ok()?))
    }

    fn get<'s>(&'s self, source: &'s str) -> &'s str {
        match self {
            Self::Loaded(start, end) => &source[*start as usize..*end as usize],
            Self::Own(text) => text,
        }
    }
}

/// A key as it stands in JSON; it was text before.
#[derive(Clone)]
pub(crate) struct Quoted(Arc<str>);

impl Quoted {
    pub(crate) fn new(key: &str) -> Result<Self, Error> {
        json::quote(key).map(Self)
    }
}

/// Beyond this many keys, duplicates are found with a map.
const FEW: usize = 16;
/// Memory for so many keys is worth keeping.
const SPARE_ITEMS: usize = 64;

impl Data {
    /// Reads a record, and returns its cookie, and whether that has the attributes
    /// that are known. `Err` says in what way the record is malformed.
    pub(crate) fn read(
        &mut self,
        text: Arc<str>,
        known: Option<&KnownCookie>,
    ) -> Result<(SessionCookie, bool), &'static str> {
        let (items, mut cookie, mut keys) = (&mut self.items, None, Keys::default());
        items.clear();
        items.reserve(8);
        let mut scan = Scan::new(&text);
        let read = scan.whole_object(|scan, key| {
            let quoted = text.as_bytes().get(key.clone())?;
            if quoted == br#""cookie""# {
                cookie = Some((items.len(), scan_cookie(scan, &text, known)?));
            } else {
                keys.note(quoted, scan.escapes);
                let value = scan.value()?;
                items.push(Item { key: Text::loaded(&key)?, value: Text::loaded(&value)? });
            }
            scan.escapes = false;
            Some(())
        });
        read.ok_or("it is not a JSON object, or nests too deep")?;
        let (cookie_at, cookie) = cookie.ok_or("it has no cookie")?;
        let cookie = cookie.ok_or("its cookie is not an object")?;
        self.source = Some(text);
        self.cookie_at = cookie_at;
        self.escapes = keys.escapes;
        if keys.may_be_reserved {
            self.drop_reserved();
        }
        if keys.may_repeat && self.has_duplicates() {
            self.drop_duplicates();
        }
        Ok(cookie)
    }

    /// Forgets all, but not the memory it took.
    pub(crate) fn emptied(self) -> Self {
        let mut items = self.items;
        items.clear();
        items.shrink_to(SPARE_ITEMS);
        Self { items, ..Self::default() }
    }

    fn source(&self) -> &str {
        self.source.as_deref().unwrap_or_default()
    }

    fn key_of<'s>(&'s self, item: &'s Item) -> Option<Cow<'s, str>> {
        let quoted = item.key.get(self.source());
        if self.escapes { json::unescape(quoted) } else { Some(Cow::Borrowed(unquoted(quoted))) }
    }

    /// As Node does on load.
    fn drop_reserved(&mut self) {
        let reserved = |item: &Item| {
            let quoted = item.key.get(self.source());
            let is_reserved = |key: &str| is_reserved(key) && key != CREATED_AT;
            if self.escapes {
                return json::unescape(quoted).is_some_and(|key| is_reserved(&key));
            }
            is_reserved(unquoted(quoted))
        };
        if self.items.iter().any(reserved) {
            tracing::warn!(
                "a stored session has keys that express-session reserves; they are dropped"
            );
            let keep: Vec<bool> = self.items.iter().map(|item| !reserved(item)).collect();
            self.retain(&keep);
        }
    }

    /// As `JSON.parse` does: the last value, at the place of the first.
    fn drop_duplicates(&mut self) {
        let mut keep = vec![true; self.items.len()];
        let mut moves = Vec::new();
        let mut first = HashMap::new();
        for (n, item) in self.items.iter().enumerate() {
            // What is no text is compared as it stands, and with its like only.
            match first.entry(self.key_of(item).ok_or(item.key.get(self.source()))) {
                std::collections::hash_map::Entry::Vacant(place) => {
                    place.insert(n);
                }
                std::collections::hash_map::Entry::Occupied(place) => {
                    keep[n] = false;
                    moves.push((*place.get(), item.value.clone()));
                }
            }
        }
        for (place, value) in moves {
            self.items[place].value = value;
        }
        self.retain(&keep);
    }

    /// Compares keys as they stand; many of them, or escaped ones, count as duplicates unseen.
    fn has_duplicates(&self) -> bool {
        let keys = || self.items.iter().map(|item| item.key.get(self.source()));
        self.items.len() > FEW
            || self.escapes
            || keys().enumerate().any(|(n, key)| keys().take(n).any(|other| other == key))
    }

    fn retain(&mut self, keep: &[bool]) {
        let gone_before_cookie = keep[..self.cookie_at].iter().filter(|keep| !**keep).count();
        let mut keep = keep.iter();
        self.items.retain(|_| *keep.next().unwrap_or(&true));
        self.cookie_at -= gone_before_cookie;
    }

    fn find(&self, key: &str) -> Option<usize> {
        self.items.iter().position(|item| self.is_key(item, key))
    }

    fn is_key(&self, item: &Item, key: &str) -> bool {
        let quoted = item.key.get(self.source());
        if self.escapes {
            return json::unescape(quoted).is_some_and(|text| text == key);
        }
        quoted.len() == key.len() + 2 && unquoted(quoted) == key
    }

    /// Returns the JSON text under `key`.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.find(key).map(|at| self.items[at].value.get(self.source()))
    }

    /// Returns the keys that are text; half a surrogate pair is not.
    pub(crate) fn keys(&self) -> impl Iterator<Item = Cow<'_, str>> {
        self.items.iter().filter_map(|item| self.key_of(item)).filter(|key| key != CREATED_AT)
    }

    /// Sets a value where JavaScript would: in place if the key exists, numbers
    /// in front by size, else at the end.
    pub(crate) fn insert(&mut self, key: &Quoted, value: Arc<str>) {
        let Some(name) = json::unescape(&key.0) else { return };
        if let Some(at) = self.find(&name) {
            self.items[at].value = Text::Own(value);
            return;
        }
        self.escapes |= matches!(name, Cow::Owned(_));
        let item = Item { key: Text::Own(Arc::clone(&key.0)), value: Text::Own(value) };
        let Some(number) = array_index(&name) else { return self.items.push(item) };
        let in_front = |item: &Item| {
            self.key_of(item).and_then(|key| array_index(&key)).is_some_and(|other| other < number)
        };
        let at = self.items.iter().take_while(|item| in_front(item)).count();
        self.items.insert(at, item);
        self.cookie_at += usize::from(at <= self.cookie_at);
    }

    pub(crate) fn remove(&mut self, key: &str) -> bool {
        let Some(at) = self.find(key) else { return false };
        self.items.remove(at);
        self.cookie_at -= usize::from(at < self.cookie_at);
        true
    }

    /// Removes everything but what the layer itself keeps.
    pub(crate) fn clear(&mut self) {
        let keep: Vec<bool> = self.items.iter().map(|item| self.is_key(item, CREATED_AT)).collect();
        self.retain(&keep);
    }

    /// Tells whether there is anything but the cookie, `absolute_timeout`'s own value included.
    pub(crate) fn has_items(&self) -> bool {
        !self.items.is_empty()
    }

    /// Tells whether no key is listed.
    pub(crate) fn is_empty(&self) -> bool {
        self.keys().next().is_none()
    }

    /// Writes the values as one object, without what the layer itself keeps.
    pub(crate) fn to_json(&self) -> String {
        let mut out = String::from("{");
        for item in self.items.iter().filter(|item| !self.is_key(item, CREATED_AT)) {
            out.push_str(item.key.get(self.source()));
            out.push(':');
            out.push_str(item.value.get(self.source()));
            out.push(',');
        }
        if out.len() > 1 {
            out.pop();
        }
        out.push('}');
        out
    }

    /// Writes the record, with `cookie` where it stood.
    pub(crate) fn write(&self, cookie: &SessionCookie, out: &mut String) {
        out.push('{');
        for at in 0..=self.items.len() {
            if at == self.cookie_at {
                out.push_str(r#""cookie":"#);
                cookie.write_json(out);
                out.push(',');
            }
            if let Some(item) = self.items.get(at) {
                out.push_str(item.key.get(self.source()));
                out.push(':');
                out.push_str(item.value.get(self.source()));
                out.push(',');
            }
        }
        out.pop();
        out.push('}');
    }
}

/// The same keys with the same text, in the same order.
impl PartialEq for Data {
    fn eq(&self, other: &Self) -> bool {
        self.items.len() == other.items.len()
            && self.items.iter().zip(&other.items).all(|(mine, theirs)| {
                mine.key.get(self.source()) == theirs.key.get(other.source())
                    && mine.value.get(self.source()) == theirs.value.get(other.source())
            })
    }
}

fn unquoted(string: &str) -> &str {
    string.get(1..string.len() - 1).unwrap_or_default()
}

/// Reads a record's cookie, and whether it is as `known` describes; the inner `None` if it is no object.
#[expect(clippy::option_option, reason = "the outer one is for what is no JSON")]
fn scan_cookie(
    scan: &mut Scan<'_>,
    text: &Arc<str>,
    known: Option<&KnownCookie>,
) -> Option<Option<(SessionCookie, bool)>> {
    if let Some((cookie, end)) = known.and_then(|known| known.read(text, scan.at())) {
        scan.go_on_at(end);
        return Some(Some((cookie, true)));
    }
    if scan.peek()? != b'{' {
        return scan.value().map(|_| None);
    }
    SessionCookie::scan(scan, text).map(|cookie| Some((cookie, false)))
}

/// A key that JavaScript sorts as a number.
fn array_index(key: &str) -> Option<u32> {
    let canonical = key == "0" || !key.starts_with('0');
    let digits = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_digit());
    (canonical && digits).then(|| key.parse().ok())?.filter(|number| *number < u32::MAX)
}

/// Computes a new value from the JSON text of the old.
type Compute = dyn Fn(Option<&str>) -> Result<Arc<str>, Error> + Send + Sync;

/// What a request did to a session: enough to do it again on what another
/// request left behind.
#[derive(Clone)]
pub(crate) enum Change {
    Clear,
    Insert(Quoted, Arc<str>),
    Remove(Arc<str>),
    Update(Quoted, Arc<Compute>),
}

impl Change {
    pub(crate) fn apply(&self, data: &mut Data) -> Result<(), Error> {
        match self {
            Self::Clear => data.clear(),
            Self::Insert(key, value) => data.insert(key, Arc::clone(value)),
            Self::Remove(key) => {
                data.remove(key);
            }
            Self::Update(key, compute) => {
                let old = json::unescape(&key.0).and_then(|name| data.get(&name));
                data.insert(key, compute(old)?);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Data {
        let mut data = Data::default();
        data.read(text.into(), None).unwrap();
        data
    }

    fn quoted(key: &str) -> Quoted {
        Quoted::new(key).unwrap()
    }

    fn rewrite(text: &str, change: impl FnOnce(&mut Data)) -> String {
        let mut data = Data::default();
        let (cookie, _) = data.read(text.into(), None).unwrap();
        change(&mut data);
        let mut out = String::new();
        data.write(&cookie, &mut out);
        out
    }

    #[test]
    fn what_nobody_touched_goes_back_byte_for_byte() {
        for text in [
            r#"{"cookie":{"originalMaxAge":null,"expires":null,"httpOnly":true,"path":"/"},"n":12345678901234567890}"#,
            r#"{"a":"\ud800","\udc00":1,"cookie":{"expires":null},"deep":[[{"x":1e400}]]}"#,
        ] {
            assert_eq!(rewrite(text, |_| {}), text);
        }
    }

    #[test]
    fn keys_stand_where_javascript_puts_them() {
        let text = r#"{"cookie":{"expires":null},"b":1}"#;
        let written = rewrite(text, |data| {
            for key in ["10", "a", "2", "01", "b"] {
                data.insert(&quoted(key), "0".into());
            }
            data.remove("a");
            data.insert(&quoted("a"), "3".into());
        });
        assert_eq!(written, r#"{"2":0,"10":0,"cookie":{"expires":null},"b":0,"01":0,"a":3}"#);
    }

    #[test]
    fn the_last_of_two_equal_keys_counts() {
        let many: String = (0..40).map(|n| format!(r#""k{n}":{n},"#)).collect();
        for filler in ["", &many] {
            let data = parse(&format!(r#"{{"a":1,"cookie":{{}},{filler}"b":2,"a":3}}"#));
            assert_eq!(data.get("a"), Some("3"));
            assert_eq!(data.keys().next().unwrap(), "a");
        }
        let data = parse(r#"{"a":1,"cookie":{},"\u0061":2}"#);
        assert_eq!((data.get("a"), data.keys().count()), (Some("2"), 1));
    }

    #[test]
    fn a_key_that_is_no_text_is_not_one_that_looks_like_it() {
        let text = r#"{"cookie":{"expires":null},"\ud800":1,"\"\\ud800\"":2}"#;
        assert_eq!(rewrite(text, |_| {}), text);
        assert_eq!(parse(text).get(r#""\ud800""#), Some("2"));
    }

    #[test]
    fn reserved_keys_are_dropped_as_in_node() {
        let text = r#"{"__proto__":{"admin":true},"id":"x","save":1,"cookie":{"expires":null},"\u0069d":2,"ok":1}"#;
        assert_eq!(rewrite(text, |_| {}), r#"{"cookie":{"expires":null},"ok":1}"#);
    }

    #[test]
    fn keys_are_found_however_they_are_escaped() {
        let data = parse(r#"{"cookie":{},"\u0061":1,"q\"":2}"#);
        assert_eq!((data.get("a"), data.get("q\""), data.get("q")), (Some("1"), Some("2"), None));
        assert_eq!(data.get(r"\u0061"), None);
    }

    #[test]
    fn what_is_no_record_says_why() {
        for text in [
            "",
            "null",
            "[]",
            "7",
            r#""text""#,
            "{",
            r#"{"a":1}"#,
            r#"{"cookie":null}"#,
            r#"{"cookie":{}}x"#,
        ] {
            assert!(Data::default().read(text.into(), None).is_err(), "{text}");
        }
    }

    #[test]
    fn only_what_differs_is_a_change() {
        let data = parse(r#"{"cookie":{},"a":1,"b":2}"#);
        let mut other = data.clone();
        other.insert(&quoted("a"), "1".into());
        assert!(data == other);
        other.remove("a");
        other.insert(&quoted("a"), "1".into());
        assert!(data != other, "the order changed, and with it the text");
    }

    /// A key as it may stand in a record.
    fn key() -> impl Strategy<Value = String> {
        let part = prop_oneof![
            Just(r"a"),
            Just(r"\u0061"),
            Just(r"\\u0061"),
            Just(r#"\""#),
            Just("é"),
            Just(r"\u00e9"),
            Just(r"\ud83d\ude00"),
            Just("i"),
            Just("d"),
        ];
        prop_oneof![
            9 => proptest::collection::vec(part, 0..3).prop_map(|parts| parts.concat()),
            1 => proptest::sample::select(vec!["id", "\\u0069d", "cookie", "__proto__", "save"])
                .prop_map(Into::into),
        ]
    }

    proptest! {
        #[test]
        fn whatever_the_keys_the_values_are_those_of_json_parse(
            before in proptest::collection::vec(key(), 0..3),
            behind in proptest::collection::vec(key(), 0..24),
        ) {
            let members = |keys: &[String], from: usize| -> String {
                let member = |(n, key): (usize, &String)| format!(r#","{key}":{n}"#);
                keys.iter().enumerate().map(|(n, key)| member((n + from, key))).collect()
            };
            let ours = |keys: &[String]| keys.iter().filter(|key| *key != "cookie").cloned().collect::<Vec<_>>();
            let (before, behind) = (ours(&before), ours(&behind));
            let text = format!(
                r#"{{{}{}"cookie":{{"expires":null}}{}}}"#,
                members(&before, 0).trim_start_matches(','),
                if before.is_empty() { "" } else { "," },
                members(&behind, 100),
            );
            let theirs: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&text).unwrap();
            let data = parse(&text);
            let wanted: Vec<_> = theirs
                .iter()
                .filter(|(key, _)| !is_reserved(key))
                .map(|(key, value)| (key.clone(), value.to_string()))
                .collect();
            let found: Vec<_> = data
                .keys()
                .map(|key| (key.to_string(), data.get(&key).unwrap().to_owned()))
                .collect();
            prop_assert_eq!(found, wanted, "{}", text);
            for absent in ["z", "\\u0061", "cookie", "id"] {
                prop_assert_eq!(data.get(absent).is_some(), theirs.contains_key(absent) && !is_reserved(absent));
            }
        }
    }
}
