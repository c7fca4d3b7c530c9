//! Requests without a server: what takes a session can be tried in a few lines.

use std::fmt;

use http::header::{COOKIE, HeaderMap, HeaderName, HeaderValue, SET_COOKIE};
use sessile_core::{Builder, Error, ErrorKind, Secrets, Session, Sessions};

use crate::ReferenceStore;

/// A browser that visits handlers with no server in between, and keeps its cookie.
///
/// A visit is a whole request: the session is loaded, the handler runs, the session is
/// committed. A clone is another tab: it has the cookie, and goes its own way from there.
///
/// ```
/// use sessile_core::{Error, Session};
/// use sessile_testkit::Browser;
///
/// async fn count(session: Session) -> Result<u32, Error> {
///     session.update("views", |n: Option<u32>| n.unwrap_or(0) + 1)
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Error> {
/// let mut browser = Browser::default();
/// assert_eq!(browser.visit(count).await?, 1);
/// assert_eq!(browser.visit(count).await?, 2);
/// assert_eq!(Browser::default().visit(count).await?, 1); // somebody else
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Browser {
    sessions: Sessions,
    headers: HeaderMap,
    set_cookie: Option<String>,
}

impl Browser {
    /// Opens a browser without cookies in front of `sessions`.
    ///
    /// ```
    /// use sessile_core::{Builder, Error, Secrets, Sessions};
    /// use sessile_testkit::{Browser, ReferenceStore};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// let secrets = Secrets::new(["thirty-two bytes that nobody knows"])?;
    /// let sessions: Sessions = Builder::express(ReferenceStore::new(), secrets).build()?;
    /// let mut browser = Browser::new(sessions);
    /// assert!(browser.visit(async |session| Ok(session.is_new())).await?);
    /// assert!(!browser.visit(async |session| Ok(session.is_new())).await?);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn new(sessions: Sessions) -> Self {
        Self { sessions, headers: HeaderMap::new(), set_cookie: None }
    }

    /// Opens a browser in front of sessions with these options, over a new
    /// [`ReferenceStore`] and with some secret; that of [`default`](Self::default) has the
    /// default options.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] as [`Builder::build`].
    ///
    /// ```
    /// # use sessile_core::Error;
    /// # use sessile_testkit::Browser;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// let mut browser = Browser::with_options(|sessions| sessions.with_name("shop"))?;
    /// browser.visit(async |session| session.insert("user", 7)).await?;
    /// assert!(browser.set_cookie().unwrap().starts_with("shop=s%3A"));
    /// assert!(Browser::with_options(|sessions| sessions.with_name("my shop")).is_err());
    /// # Ok(()) }
    /// ```
    pub fn with_options(
        choose: impl FnOnce(Builder<Sessions>) -> Builder<Sessions>,
    ) -> Result<Self, Error> {
        choose(Builder::new(ReferenceStore::new(), secrets())).build().map(Self::new)
    }

    /// Sends a header with every request, as a browser does or a proxy on the way.
    ///
    /// ```
    /// use http::HeaderValue;
    /// use http::header::COOKIE;
    /// # use sessile_core::Error;
    /// # use sessile_testkit::Browser;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// let forged = HeaderValue::from_static("connect.sid=s%3Aadmin.forged");
    /// let mut browser = Browser::default().with_header(COOKIE, forged);
    /// assert!(browser.visit(async |session| Ok(session.is_new())).await?);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Makes a request for `/`, whose session `handler` gets, and returns what it returns.
    ///
    /// As behind a layer, the session is committed even if the handler fails.
    ///
    /// # Errors
    ///
    /// The handler's; else that of loading or committing the session, for which a layer
    /// would answer with the error's [`status`](Error::status).
    /// [`ErrorKind::OutsidePath`] if `/` lies outside the cookie's `Path`.
    ///
    /// ```
    /// # use sessile_core::Error;
    /// # use sessile_testkit::Browser;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// let mut browser = Browser::default();
    /// browser.visit(async |session| session.insert("user", 7)).await?;
    /// let user: Option<u32> = browser.visit(async |session| session.get("user")).await?;
    /// assert_eq!(user, Some(7));
    /// # Ok(()) }
    /// ```
    pub async fn visit<T>(
        &mut self,
        handler: impl AsyncFnOnce(Session) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let (mut request, ()) = http::Request::new(()).into_parts();
        request.headers = self.headers.clone();
        let outside = || Error::new(ErrorKind::OutsidePath, "`/` lies outside the cookie's Path");
        let handle = self.sessions.begin(&request, "/")?.ok_or_else(outside)?;
        let answer = handler(handle.load().await?).await;
        let mut headers = HeaderMap::new();
        handle.commit(&mut headers).await?;
        self.keep(headers.get(SET_COOKIE));
        answer
    }

    /// Returns the `Set-Cookie` of the last response; `None` if it had none.
    ///
    /// ```
    /// # use sessile_core::Error;
    /// # use sessile_testkit::Browser;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// let mut browser = Browser::default();
    /// browser.visit(async |session| session.insert("user", 7)).await?;
    /// assert!(browser.set_cookie().unwrap().starts_with("connect.sid=s%3A"));
    /// browser.visit(async |session| session.insert("user", 8)).await?;
    /// assert_eq!(browser.set_cookie(), None); // it has the cookie
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn set_cookie(&self) -> Option<&str> {
        self.set_cookie.as_deref()
    }

    fn keep(&mut self, set_cookie: Option<&HeaderValue>) {
        self.set_cookie = set_cookie.and_then(|value| value.to_str().ok()).map(str::to_owned);
        let Some(pair) = self.set_cookie().and_then(|cookie| cookie.split(';').next()) else {
            return;
        };
        match HeaderValue::from_str(pair) {
            Ok(cookie) if !pair.ends_with('=') => self.headers.insert(COOKIE, cookie),
            _ => self.headers.remove(COOKIE),
        };
    }
}

impl Default for Browser {
    fn default() -> Self {
        Self::new(Builder::with_defaults(ReferenceStore::new(), secrets()))
    }
}

fn secrets() -> Secrets {
    Secrets::new(["a secret that guards nothing but tests"]).expect("it is not empty")
}

impl fmt::Debug for Browser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Browser").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_cookie_is_sent_until_the_session_is_destroyed() {
        let mut browser = Browser::default();
        browser.visit(async |session| session.insert("user", 7)).await.unwrap();
        assert!(browser.headers.contains_key(COOKIE));
        let mut tab = browser.clone();
        browser.visit(async |session| session.destroy().await).await.unwrap();
        assert!(!browser.headers.contains_key(COOKIE));
        assert!(tab.visit(async |session| Ok(session.is_new())).await.unwrap());
    }

    #[tokio::test]
    async fn a_handler_that_fails_leaves_a_session_all_the_same() {
        let mut browser = Browser::default();
        let failed = browser.visit(async |session| {
            session.insert("user", 7)?;
            session.get::<String>("user")
        });
        assert_eq!(failed.await.unwrap_err().kind(), ErrorKind::Decode);
        assert!(browser.visit(async |session| Ok(session.contains_key("user"))).await.unwrap());
    }

    #[test]
    fn a_browser_prints_no_cookie() {
        let cookie = HeaderValue::from_static("connect.sid=secret");
        let browser = Browser::default().with_header(COOKIE, cookie);
        assert!(!format!("{browser:?}").contains("secret"));
    }
}
