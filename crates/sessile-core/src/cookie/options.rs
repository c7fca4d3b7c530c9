//! The option `cookie`: what the cookies of new sessions look like.

use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::stored::Field;
use super::{Attributes, SessionCookie, SetCookie, is_token};
use crate::clock::to_millis;
use crate::{Error, json};

/// The attributes of the session cookie. Mirrors the option `cookie`.
///
/// The default is `Path=/; HttpOnly; SameSite=Lax`, `Secure` on secure
/// connections, until the browser closes. Each session carries a copy from
/// its birth on, as in Express.
///
/// ```
/// use sessile_core::{CookieOptions, SameSite};
/// use sessile_testkit::Browser;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), sessile_core::Error> {
/// let cookie = CookieOptions::default().with_path("/").with_same_site(SameSite::Strict);
/// let mut browser = Browser::with_options(|sessions| sessions.with_cookie(cookie))?;
/// browser.visit(async |session| session.insert("user", 7)).await?;
/// assert!(browser.set_cookie().unwrap().ends_with("; Path=/; HttpOnly; SameSite=Strict"));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct CookieOptions {
    /// JSON text by field; `auto` is resolved against the connection.
    attributes: [Option<String>; Field::COUNT],
    expiry: Expiry,
}

/// How long a session and its cookie live without a request.
///
/// ```
/// # use sessile_core::{CookieOptions, Expiry};
/// # use sessile_testkit::Browser;
/// # use std::time::Duration;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), sessile_core::Error> {
/// let week = Duration::from_secs(7 * 24 * 3600);
/// for (expiry, max_age) in [(Expiry::After(week), Some(week)), (Expiry::Browser, None)] {
///     let cookie = CookieOptions::default().with_expiry(expiry);
///     let mut browser = Browser::with_options(|sessions| sessions.with_cookie(cookie))?;
///     let lives = browser.visit(async |session| Ok(session.cookie().original_max_age())).await?;
///     assert_eq!(lives, max_age);
/// }
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "there is no fourth way to expire")]
pub enum Expiry {
    /// This long after the last response. Express's `maxAge`.
    After(Duration),
    /// At first this instant; later as long after each response as it was
    /// away at the session's birth. Express's `expires`.
    At(SystemTime),
    /// Until the browser closes; in the store, the store's default lifetime.
    Browser,
}

/// The attribute `Priority`: which cookies Chromium drops first when a site has too many. Mirrors
/// `priority`.
///
/// ```
/// use sessile_core::{Priority, SetCookie};
///
/// let cookie = SetCookie::new("sid", "abc").priority(Priority::High);
/// assert_eq!(cookie.serialize()?, "sid=abc; Priority=High");
/// # Ok::<(), sessile_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "browsers know these three")]
pub enum Priority {
    /// Kept longest.
    High,
    /// Dropped first.
    Low,
    /// The browser's default.
    Medium,
}

/// The attribute `SameSite`: which requests from other sites carry the cookie. Mirrors `sameSite`.
///
/// ```
/// use sessile_core::{SameSite, SetCookie};
///
/// let cookie = SetCookie::new("sid", "abc").secure(true).same_site(SameSite::None);
/// assert_eq!(cookie.serialize()?, "sid=abc; Secure; SameSite=None");
/// # Ok::<(), sessile_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "browsers know these, and Express `auto`")]
pub enum SameSite {
    /// `None` on a secure connection, else `Lax`.
    Auto,
    /// Sent with top-level navigation from other sites.
    Lax,
    /// Always sent; browsers insist on `Secure`.
    None,
    /// Never sent from other sites.
    Strict,
}

/// The attribute `Secure`: whether the cookie travels over HTTPS alone. Mirrors `secure`.
///
/// ```
/// # use http::{HeaderName, HeaderValue};
/// # use sessile_core::{CookieOptions, Error, Secure, TrustProxy};
/// # use sessile_testkit::Browser;
/// // Starts a session over HTTP or HTTPS and returns whether its cookie is `Secure`, if it is sent.
/// async fn is_secure(secure: Secure, scheme: &'static str) -> Result<Option<bool>, Error> {
///     let cookie = CookieOptions::default().with_secure(secure);
///     let mut browser = Browser::with_options(|sessions| {
///         sessions.with_cookie(cookie).with_trust_proxy(TrustProxy::XForwardedProto)
///     })?;
/// #     let header = HeaderName::from_static("x-forwarded-proto");
/// #     browser = browser.with_header(header, HeaderValue::from_static(scheme));
///     browser.visit(async |session| session.insert("user", 7)).await?;
///     Ok(browser.set_cookie().map(|cookie| cookie.contains("; Secure")))
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Error> {
/// assert_eq!(is_secure(Secure::Always, "https").await?, Some(true));
/// assert_eq!(is_secure(Secure::Always, "http").await?, None);
/// assert_eq!(is_secure(Secure::Auto, "https").await?, Some(true));
/// assert_eq!(is_secure(Secure::Auto, "http").await?, Some(false));
/// assert_eq!(is_secure(Secure::Never, "https").await?, Some(false));
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "there is no fourth answer")]
pub enum Secure {
    /// Always: no session cookie is ever sent over plain HTTP.
    Always,
    /// Decided by the connection a session was born on.
    Auto,
    /// Never, even on secure connections.
    Never,
}

impl Default for CookieOptions {
    fn default() -> Self {
        Self::express().with_same_site(SameSite::Lax).with_secure(Secure::Auto)
    }
}

impl CookieOptions {
    /// Express's own defaults: `Path=/; HttpOnly` until the browser closes.
    ///
    /// ```
    /// # use sessile_core::CookieOptions;
    /// # use sessile_testkit::Browser;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), sessile_core::Error> {
    /// let cookie = CookieOptions::express();
    /// let mut browser = Browser::with_options(|sessions| sessions.with_cookie(cookie))?;
    /// browser.visit(async |session| session.insert("user", 7)).await?;
    /// assert!(browser.set_cookie().unwrap().ends_with("; Path=/; HttpOnly")); // no SameSite, never Secure
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn express() -> Self {
        let options = Self { attributes: Default::default(), expiry: Expiry::Browser };
        options.with_path("/").with_http_only(true)
    }

    /// Reads an Express `cookie` option from JSON text, `maxAge` in milliseconds
    /// and `expires` as an ISO date. Of `maxAge` and `expires` the later one
    /// counts, as in Express; keys Express does not know are passed over.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if it is not an object,
    /// `maxAge` not a number of milliseconds from 0 up, or `expires` not a
    /// date. The other values are checked with the layer.
    ///
    /// ```
    /// # use sessile_core::CookieOptions;
    /// # use sessile_testkit::Browser;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), sessile_core::Error> {
    /// let cookie = CookieOptions::from_express(r#"{ "sameSite": "strict", "priority": "high" }"#)?;
    /// let mut browser = Browser::with_options(|sessions| sessions.with_cookie(cookie))?;
    /// browser.visit(async |session| session.insert("user", 7)).await?;
    /// assert!(browser.set_cookie().unwrap().ends_with("; Priority=High; SameSite=Strict"));
    ///
    /// let error = CookieOptions::from_express(r#"{ "maxAge": "1h" }"#).unwrap_err();
    /// assert_eq!(error.to_string(), "maxAge must be a number of milliseconds");
    /// # Ok(()) }
    /// ```
    pub fn from_express(options: &str) -> Result<Self, Error> {
        let (mut this, mut wrong) = (Self::express(), None);
        let read = json::members(options, |member| {
            let (key, value) = (&options[member.key], &options[member.value]);
            match key.trim_matches('"') {
                "maxAge" => match read_max_age(value) {
                    Some(expiry) => this.expiry = expiry,
                    None => wrong = Some("maxAge must be a number of milliseconds"),
                },
                "expires" => match read_expires(value) {
                    Some(expiry) => this.expiry = expiry,
                    None => wrong = Some("expires must be an ISO date"),
                },
                key => {
                    if let Some(field) = Field::from_key(key) {
                        this.attributes[field.index()] = Some(value.to_owned());
                    }
                }
            }
        });
        match wrong.or(read.is_none().then_some("the cookie option must be a JSON object")) {
            Some(message) => Err(Error::config(message)),
            None => Ok(this),
        }
    }

    /// Sets `Domain`; none by default, and browsers send the cookie to this host alone. Mirrors `domain`.
    ///
    /// ```
    /// # use sessile_core::CookieOptions;
    /// # use sessile_testkit::Browser;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), sessile_core::Error> {
    /// let cookie = CookieOptions::default().with_domain("example.com");
    /// let mut browser = Browser::with_options(|sessions| sessions.with_cookie(cookie))?;
    /// browser.visit(async |session| session.insert("user", 7)).await?;
    /// assert!(browser.set_cookie().unwrap().contains("; Domain=example.com; Path=/;"));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn with_domain(self, domain: &str) -> Self {
        self.with(Field::Domain, Value::from(domain))
    }

    /// Sets when sessions expire. Mirrors `maxAge` and `expires`; the default is [`Expiry::Browser`].
    ///
    /// ```
    /// # use sessile_core::{CookieOptions, Expiry};
    /// # use sessile_testkit::{Browser, TestClock};
    /// # use sessile_core::Clock;
    /// # use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), sessile_core::Error> {
    /// # let clock = TestClock::new();
    /// let noon = clock.now() + Duration::from_secs(12 * 3600);
    /// let cookie = CookieOptions::default().with_expiry(Expiry::At(noon));
    /// let mut browser = Browser::with_options(|sessions| sessions.with_cookie(cookie).with_clock(clock))?;
    /// browser.visit(async |session| session.insert("user", 7)).await?;
    /// assert!(browser.set_cookie().unwrap().contains("; Expires=Thu, 01 Jan 2026 12:00:00 GMT;"));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn with_expiry(mut self, expiry: Expiry) -> Self {
        self.expiry = expiry;
        self
    }

    /// Sets or clears `HttpOnly`; set by default. Mirrors `httpOnly`.
    ///
    /// ```
    /// # use sessile_core::CookieOptions;
    /// # use sessile_testkit::Browser;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), sessile_core::Error> {
    /// let cookie = CookieOptions::default().with_http_only(false);
    /// let mut browser = Browser::with_options(|sessions| sessions.with_cookie(cookie))?;
    /// browser.visit(async |session| session.insert("user", 7)).await?;
    /// assert!(!browser.set_cookie().unwrap().contains("HttpOnly")); // scripts can read it
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn with_http_only(self, http_only: bool) -> Self {
        self.with(Field::HttpOnly, Value::from(http_only))
    }

    /// Lets sessions live this long after the last response, counted in whole milliseconds; the
    /// default is [`Expiry::Browser`]. Mirrors `maxAge`.
    ///
    /// ```
    /// # use sessile_core::CookieOptions;
    /// # use sessile_testkit::{Browser, TestClock};
    /// # use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), sessile_core::Error> {
    /// let clock = TestClock::new(); // 2026-01-01T00:00:00Z
    /// let cookie = CookieOptions::default().with_max_age(Duration::from_secs(3600));
    /// let mut browser = Browser::with_options(|sessions| sessions.with_cookie(cookie).with_clock(clock))?;
    /// browser.visit(async |session| session.insert("user", 7)).await?;
    /// assert!(browser.set_cookie().unwrap().contains("; Expires=Thu, 01 Jan 2026 01:00:00 GMT;"));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn with_max_age(self, max_age: Duration) -> Self {
        self.with_expiry(Expiry::After(max_age))
    }

    /// Sets or clears `Partitioned`, clear by default, which needs [`Secure::Always`] or [`Secure::Auto`]. Mirrors `partitioned`.
    ///
    /// ```
    /// # use sessile_core::{CookieOptions, Secure};
    /// # use sessile_testkit::Browser;
    /// let cookie = CookieOptions::default().with_partitioned(true);
    /// let browser = |secure| {
    ///     let cookie = cookie.clone().with_secure(secure);
    ///     Browser::with_options(|sessions| sessions.with_cookie(cookie))
    /// };
    /// assert!(browser(Secure::Always).is_ok());
    /// assert!(browser(Secure::Never).is_err()); // browsers refuse such a cookie
    /// ```
    #[must_use]
    pub fn with_partitioned(self, partitioned: bool) -> Self {
        self.with(Field::Partitioned, Value::from(partitioned))
    }

    /// Sets `Path`, `/` by default. Requests outside it have no session. Mirrors `path`.
    ///
    /// ```
    /// # use sessile_core::{CookieOptions, Error, ErrorKind};
    /// # use sessile_testkit::Browser;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// let cookie = CookieOptions::default().with_path("/shop");
    /// let mut browser = Browser::with_options(|sessions| sessions.with_cookie(cookie))?;
    /// let home = browser.visit(async |session| session.insert("user", 7)).await; // of the path `/`
    /// assert_eq!(home.unwrap_err().kind(), ErrorKind::OutsidePath);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn with_path(self, path: &str) -> Self {
        self.with(Field::Path, Value::from(path))
    }

    /// Sets `Priority`; none by default. Mirrors `priority`.
    ///
    /// ```
    /// # use sessile_core::{CookieOptions, Priority};
    /// # use sessile_testkit::Browser;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), sessile_core::Error> {
    /// let cookie = CookieOptions::default().with_priority(Priority::High);
    /// let mut browser = Browser::with_options(|sessions| sessions.with_cookie(cookie))?;
    /// browser.visit(async |session| session.insert("user", 7)).await?;
    /// assert!(browser.set_cookie().unwrap().contains("; Priority=High"));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn with_priority(self, priority: Priority) -> Self {
        let text = match priority {
            Priority::High => "high",
            Priority::Low => "low",
            Priority::Medium => "medium",
        };
        self.with(Field::Priority, Value::from(text))
    }

    /// Sets `SameSite`, `Lax` by default. Mirrors `sameSite`.
    ///
    /// ```
    /// # use sessile_core::{CookieOptions, SameSite};
    /// # use sessile_testkit::Browser;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), sessile_core::Error> {
    /// let cookie = CookieOptions::default().with_same_site(SameSite::Auto);
    /// let mut browser = Browser::with_options(|sessions| sessions.with_cookie(cookie))?;
    /// browser.visit(async |session| session.insert("user", 7)).await?;
    /// assert!(browser.set_cookie().unwrap().ends_with("; SameSite=Lax")); // over HTTPS: `None`
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn with_same_site(self, same_site: SameSite) -> Self {
        let text = match same_site {
            SameSite::Auto => "auto",
            SameSite::Lax => "lax",
            SameSite::None => "none",
            SameSite::Strict => "strict",
        };
        self.with(Field::SameSite, Value::from(text))
    }

    /// Sets `Secure`, [`Secure::Auto`] by default. Mirrors `secure`.
    ///
    /// ```
    /// # use sessile_core::{CookieOptions, Secure};
    /// # use sessile_testkit::Browser;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), sessile_core::Error> {
    /// let cookie = CookieOptions::default().with_secure(Secure::Always);
    /// let mut browser = Browser::with_options(|sessions| sessions.with_cookie(cookie))?;
    /// browser.visit(async |session| session.insert("user", 7)).await?;
    /// assert_eq!(browser.set_cookie(), None); // this was plain HTTP
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn with_secure(self, secure: Secure) -> Self {
        let value = match secure {
            Secure::Always => Value::from(true),
            Secure::Auto => Value::from("auto"),
            Secure::Never => Value::from(false),
        };
        self.with(Field::Secure, value)
    }

    #[expect(clippy::needless_pass_by_value, reason = "the callers build it for this")]
    fn with(mut self, field: Field, value: Value) -> Self {
        self.attributes[field.index()] = Some(value.to_string());
        self
    }

    /// Returns the path that requests must lie in; `/` if there is none.
    pub(crate) fn path(&self) -> String {
        self.resolve(false)
            .path()
            .filter(|path| !path.is_empty())
            .unwrap_or("/".into())
            .into_owned()
    }

    pub(crate) fn is_auto(&self, field: Field) -> bool {
        self.attributes[field.index()].as_deref() == Some(r#""auto""#)
    }

    /// Returns the attributes a session born on this connection gets.
    pub(crate) fn resolve(&self, connection_is_secure: bool) -> Attributes {
        let text = |field: Field| match field {
            _ if !self.is_auto(field) => self.attributes[field.index()].as_deref(),
            Field::Secure if connection_is_secure => Some("true"),
            Field::Secure => Some("false"),
            Field::SameSite if connection_is_secure => Some(r#""none""#),
            Field::SameSite => Some(r#""lax""#),
            _ => self.attributes[field.index()].as_deref(),
        };
        Attributes::from_texts(text)
    }

    /// Returns the cookie of a session born now.
    pub(crate) fn bake(
        &self,
        attributes: Attributes,
        now: impl FnOnce() -> SystemTime,
    ) -> SessionCookie {
        let mut cookie = SessionCookie::new(attributes);
        match self.expiry {
            Expiry::After(max_age) => cookie.set_max_age(Some(max_age), now()),
            Expiry::At(expires) => cookie.set_expires(Some(expires), now()),
            Expiry::Browser => {}
        }
        cookie
    }

    /// Refuses what browsers refuse, so that nobody wonders where the cookie went.
    pub(crate) fn check(&self, name: &str) -> Result<(), Error> {
        if !is_token(name) {
            return Err(Error::config(format!(
                "the cookie name {name:?} is not a token of RFC 6265"
            )));
        }
        self.check_fields()?;
        let secure = self.is_auto(Field::Secure) || self.resolve(false).secure();
        let attributes = self.resolve(true);
        self.serializes(name, &attributes)?;
        let refuse = |what: &str| Err(Error::config(format!("browsers refuse a cookie {what}")));
        match () {
            () if starts_with(name, "__Secure-") && !attributes_always_secure(self) => {
                refuse("named `__Secure-…` without Secure: use Secure::Always")
            }
            () if starts_with(name, "__Host-") && !attributes_always_secure(self) => {
                refuse("named `__Host-…` without Secure: use Secure::Always")
            }
            () if starts_with(name, "__Host-") && attributes.domain().is_some() => {
                refuse("named `__Host-…` with a Domain")
            }
            () if starts_with(name, "__Host-") && attributes.path().as_deref() != Some("/") => {
                refuse("named `__Host-…` with a Path other than `/`")
            }
            () if attributes.same_site() == Some(SameSite::None) && !secure => {
                refuse("with SameSite=None without Secure")
            }
            () if attributes.partitioned() && !secure => refuse("with Partitioned without Secure"),
            () => Ok(()),
        }
    }

    fn check_fields(&self) -> Result<(), Error> {
        for field in Field::ALL {
            let Some(text) = &self.attributes[field.index()] else { continue };
            if !field.accepts(text) {
                let key = field.key();
                return Err(Error::config(format!("the cookie option `{key}` cannot be {text}")));
            }
        }
        Ok(())
    }

    fn serializes(&self, name: &str, attributes: &Attributes) -> Result<(), Error> {
        let (domain, path) = (attributes.domain(), attributes.path());
        SetCookie::new(name, "")
            .domain(domain.as_deref().unwrap_or_default())
            .path(path.as_deref().unwrap_or_default())
            .serialize()
            .map(drop)
    }

    /// Tells whether a session's own attributes are what these options give,
    /// leaving aside what the connection decided at its birth.
    pub(crate) fn describes(&self, own: &Attributes, resolved: &Attributes) -> bool {
        own.same_text(resolved)
            || own.domain() == resolved.domain()
                && own.path() == resolved.path()
                && own.http_only() == resolved.http_only()
                && own.partitioned() == resolved.partitioned()
                && own.priority() == resolved.priority()
                && (self.is_auto(Field::Secure) || own.secure() == resolved.secure())
                && (self.is_auto(Field::SameSite) || own.same_site() == resolved.same_site())
    }
}

fn read_max_age(text: &str) -> Option<Expiry> {
    if text == "null" {
        return Some(Expiry::Browser);
    }
    let millis: f64 = text.parse().ok()?;
    Duration::try_from_secs_f64(millis / 1000.0).ok().map(Expiry::After)
}

fn read_expires(text: &str) -> Option<Expiry> {
    if text == "null" {
        return Some(Expiry::Browser);
    }
    let date = json::unescape(text)?;
    crate::date::parse_iso(&date).map(|millis| Expiry::At(crate::clock::from_millis(millis)))
}

fn attributes_always_secure(options: &CookieOptions) -> bool {
    options.resolve(false).secure()
}

/// Prefixes bind browsers in any case.
fn starts_with(name: &str, prefix: &str) -> bool {
    name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// An instant as the milliseconds that JSON keeps.
pub(super) fn millis_after(now: SystemTime, after: Duration) -> i64 {
    let after = i64::try_from(after.as_millis()).unwrap_or(i64::MAX);
    to_millis(now).saturating_add(after).min(crate::date::LIMIT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn what_browsers_refuse_is_an_error_when_the_layer_is_built() {
        let base = CookieOptions::express;
        let secure = || base().with_secure(Secure::Always);
        for (name, options, ok) in [
            ("__Host-sid", secure(), true),
            ("__Host-sid", base(), false),
            ("__Host-sid", base().with_secure(Secure::Auto), false),
            ("__Host-sid", secure().with_domain("example.com"), false),
            ("__Host-sid", secure().with_path("/admin"), false),
            ("__host-sid", secure().with_path("/admin"), false),
            ("__Secure-sid", secure().with_domain("example.com"), true),
            ("__Secure-sid", base(), false),
            ("sid", base().with_same_site(SameSite::None), false),
            ("sid", base().with_same_site(SameSite::Auto), false),
            ("sid", base().with_same_site(SameSite::None).with_secure(Secure::Auto), true),
            ("sid", base().with_partitioned(true), false),
            ("sid", secure().with_partitioned(true), true),
            ("si d", base(), false),
            ("", base(), false),
            ("sid\n", base(), false),
            ("sid", base().with_path("/a;b"), false),
            ("sid", base().with_path("/a\r\nb"), false),
            ("sid", base().with_domain("exa mple.com"), false),
            ("sid", base().with_domain("example.com\u{0}"), false),
        ] {
            let checked = options.check(name).map_err(|error| error.kind());
            let expected = if ok { Ok(()) } else { Err(ErrorKind::Config) };
            assert_eq!(checked, expected, "{name:?} {options:?}");
        }
    }

    #[test]
    fn values_express_does_not_know_are_refused() {
        for json in [
            r#"{"sameSite":"sometimes"}"#,
            r#"{"priority":3}"#,
            r#"{"secure":"yes"}"#,
            r#"{"path":7}"#,
        ] {
            let options = CookieOptions::from_express(json).unwrap();
            assert_eq!(options.check("sid").unwrap_err().kind(), ErrorKind::Config, "{json}");
        }
        for json in [r#"{"maxAge":"1h"}"#, r#"{"maxAge":-1}"#, r#"{"expires":"soon"}"#, "7", "{"] {
            let error = CookieOptions::from_express(json).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{json}");
        }
    }
}
