//! What a store keeps for one session.

use std::fmt;
use std::sync::Arc;

use crate::SessionCookie;
use crate::json::{self, Scan};

/// A session as it goes to a store: JSON text as Node writes it, and the cookie
/// in it, which says when it expires.
///
/// ```
/// use sessile_core::Record;
///
/// let text = r#"{"cookie":{"originalMaxAge":null,"expires":null,"httpOnly":true,"path":"/"},"views":1}"#;
/// let record = Record::parse(text).unwrap();
/// assert_eq!(record.text().as_ref(), text);
/// assert_eq!(record.cookie().expires(), None);
/// assert!(Record::parse(r#"{"no":"cookie"}"#).is_none());
/// ```
#[derive(Clone)]
pub struct Record {
    text: Arc<str>,
    cookie: SessionCookie,
}

impl Record {
    pub(crate) fn new(text: Arc<str>, cookie: SessionCookie) -> Self {
        Self { text, cookie }
    }

    pub(crate) fn into_cookie(self) -> SessionCookie {
        self.cookie
    }

    /// Reads a record; `None` if it is not a JSON object with an object under `cookie`.
    ///
    /// ```
    /// # use sessile_core::Record;
    /// assert!(Record::parse(r#"{"cookie":{},"views":1}"#).is_some());
    /// for text in ["", "[]", r#"{"views":1}"#, r#"{"cookie":null}"#, r#"{"cookie":{}"#] {
    ///     assert!(Record::parse(text).is_none());
    /// }
    /// ```
    #[must_use]
    pub fn parse(text: impl Into<Arc<str>>) -> Option<Self> {
        let text = text.into();
        let mut cookie = None;
        Scan::new(&text).whole_object(|scan, key| {
            if &text[key] == r#""cookie""# {
                // Of two the last counts, as in `JSON.parse`.
                let is_object = scan.peek()? == b'{';
                cookie = if is_object { Some(SessionCookie::scan(scan, &text)?) } else { None };
                return if is_object { Some(()) } else { scan.value().map(drop) };
            }
            scan.value().map(drop)
        })?;
        Some(Self { cookie: cookie?, text })
    }

    /// Returns the JSON text.
    ///
    /// ```
    /// # use sessile_core::Record;
    /// let text = r#"{"cookie":{}, "big": 12345678901234567890}"#;
    /// assert_eq!(**Record::parse(text).unwrap().text(), *text); // blanks and all
    /// ```
    #[must_use]
    pub fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// Returns the session's cookie.
    ///
    /// ```
    /// # use sessile_core::Record;
    /// let record = Record::parse(r#"{"cookie":{"originalMaxAge":60000,"expires":null}}"#).unwrap();
    /// assert_eq!(record.cookie().original_max_age().unwrap().as_secs(), 60);
    /// ```
    #[must_use]
    pub fn cookie(&self) -> &SessionCookie {
        &self.cookie
    }

    /// Returns `text` with its cookie replaced and all else untouched: for
    /// stores whose touch rewrites the record. `None` if `text` is no record.
    ///
    /// ```
    /// use sessile_core::{Record, SessionCookie};
    ///
    /// let cookie = SessionCookie::from_json(r#"{"originalMaxAge":null,"expires":null}"#).unwrap();
    /// let text = Record::with_cookie(r#"{"big":12345678901234567890,"cookie":{}}"#, &cookie);
    /// assert_eq!(text.unwrap(), r#"{"big":12345678901234567890,"cookie":{"originalMaxAge":null,"expires":null}}"#);
    /// ```
    #[must_use]
    pub fn with_cookie(text: &str, cookie: &SessionCookie) -> Option<String> {
        let span = cookie_span(text)?;
        let mut out = String::with_capacity(text.len() + 32);
        out.push_str(&text[..span.start]);
        cookie.write_json(&mut out);
        out.push_str(&text[span.end..]);
        Some(out)
    }
}

fn cookie_span(text: &str) -> Option<std::ops::Range<usize>> {
    let mut found = None;
    json::members(text, |member| {
        if &text[member.key] == r#""cookie""# {
            found = Some(member.value);
        }
    })?;
    found
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record").field("bytes", &self.text.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_cookies_the_last_counts() {
        let record = Record::parse(r#"{"cookie":"none","cookie":{"expires":null}}"#).unwrap();
        assert_eq!(record.cookie().to_json(), r#"{"expires":null}"#);
        assert!(Record::parse(r#"{"cookie":{"expires":null},"cookie":"none"}"#).is_none());
    }
}
