//! The session's cookie, as a handler reads and sets it.
//!
//! Mirrors `session/cookie.js`.

use std::time::{Duration, SystemTime};

use crate::state::Live;
use crate::{Error, Session};

/// The cookie of a session. Mirrors `req.session.cookie`.
///
/// ```
/// use sessile_core::{Error, Session};
/// use std::time::Duration;
///
/// fn remember_me(session: &Session) -> Result<(), Error> {
///     session.cookie().set_max_age(Some(Duration::from_secs(30 * 24 * 3600)))
/// }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), sessile_core::Error> {
/// # sessile_testkit::Browser::default().visit(async |session| {
/// remember_me(&session)?;
/// assert_eq!(session.cookie().original_max_age(), Some(Duration::from_secs(30 * 24 * 3600)));
/// # Ok(()) }).await }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct CookieHandle<'s>(pub(crate) &'s Session);

impl CookieHandle<'_> {
    /// Returns what is left of the session's life, to the millisecond;
    /// `None` if it lives as long as the browser. Mirrors `cookie.maxAge`.
    ///
    /// The end of the request starts it anew: what a page says about the time
    /// after it is [`original_max_age`](Self::original_max_age).
    ///
    /// ```
    /// # use sessile_core::CookieOptions;
    /// # use sessile_testkit::{Browser, TestClock};
    /// # use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), sessile_core::Error> {
    /// let (clock, minute) = (TestClock::new(), Duration::from_secs(60));
    /// # let cookie = CookieOptions::default().with_max_age(minute);
    /// # let sessions = |sessions: sessile_core::Builder<_>| sessions.with_cookie(cookie).with_clock(clock.clone());
    /// # let mut browser = Browser::with_options(sessions)?;
    /// # browser.visit(async |session| {
    /// assert_eq!(session.cookie().max_age(), Some(minute));
    /// clock.advance(minute / 4);
    /// assert_eq!(session.cookie().max_age(), Some(minute * 3 / 4));
    /// # Ok(()) }).await }
    /// ```
    #[must_use]
    pub fn max_age(&self) -> Option<Duration> {
        let now = self.0.0.inner().now();
        self.0.0.state().readable()?.cookie.max_age(now)
    }

    /// Lets this session live so long after each response, whatever the layer's
    /// options say; `None` for as long as the browser. Mirrors `cookie.maxAge = …`.
    ///
    /// As in Express the browser hears of it when the session changes too, or
    /// under `rolling`; and after an early `save` of a new session the store
    /// hears of it with the next one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Gone`](crate::ErrorKind::Gone) if the session was destroyed.
    ///
    /// ```
    /// # use sessile_testkit::{Browser, TestClock};
    /// # use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), sessile_core::Error> {
    /// # let clock = TestClock::new();
    /// # let mut browser = Browser::with_options(|sessions| sessions.with_clock(clock))?;
    /// browser.visit(async |session| {
    ///     session.insert("user", 7)?;
    ///     session.cookie().set_max_age(Some(Duration::from_secs(24 * 3600))) // at midnight
    /// }).await?;
    /// assert!(browser.set_cookie().unwrap().contains("; Expires=Fri, 02 Jan 2026 00:00:00 GMT;"));
    /// # Ok(()) }
    /// ```
    pub fn set_max_age(&self, max_age: Option<Duration>) -> Result<(), Error> {
        self.change(|live, now| live.cookie.set_max_age(max_age, now))
    }

    /// Returns when the session expires; `None` if it lives as long as the browser. Mirrors `cookie.expires`.
    ///
    /// ```
    /// # use sessile_core::{Clock, CookieOptions};
    /// # use sessile_testkit::{Browser, TestClock};
    /// # use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), sessile_core::Error> {
    /// # let (clock, minute) = (TestClock::new(), Duration::from_secs(60));
    /// # let cookie = CookieOptions::default().with_max_age(minute);
    /// # let sessions = |sessions: sessile_core::Builder<_>| sessions.with_cookie(cookie).with_clock(clock.clone());
    /// # let mut browser = Browser::with_options(sessions)?;
    /// # browser.visit(async |session| {
    /// assert_eq!(session.cookie().expires(), Some(clock.now() + minute));
    /// session.cookie().set_max_age(None)?;
    /// assert_eq!(session.cookie().expires(), None);
    /// # Ok(()) }).await }
    /// ```
    #[must_use]
    pub fn expires(&self) -> Option<SystemTime> {
        self.0.0.state().readable()?.cookie.expires()
    }

    /// Lets this session expire then, and as much later after each later response. Mirrors `cookie.expires = …`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Gone`](crate::ErrorKind::Gone) if the session was destroyed.
    ///
    /// ```
    /// # use sessile_core::Clock;
    /// # use sessile_testkit::{Browser, TestClock};
    /// # use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), sessile_core::Error> {
    /// # let clock = TestClock::new();
    /// # let mut browser = Browser::with_options(|sessions| sessions.with_clock(clock.clone()))?;
    /// # browser.visit(async |session| {
    /// let noon = clock.now() + Duration::from_secs(12 * 3600);
    /// session.cookie().set_expires(Some(noon))?;
    /// assert_eq!(session.cookie().expires(), Some(noon));
    /// assert_eq!(session.cookie().original_max_age(), Some(Duration::from_secs(12 * 3600)));
    /// # Ok(()) }).await }
    /// ```
    pub fn set_expires(&self, expires: Option<SystemTime>) -> Result<(), Error> {
        self.change(|live, now| live.cookie.set_expires(expires, now))
    }

    /// Returns how long the session lives after each response. Mirrors `cookie.originalMaxAge`.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), sessile_core::Error> {
    /// # sessile_testkit::Browser::default().visit(async |session| {
    /// session.cookie().set_max_age(Some(Duration::from_secs(60)))?;
    /// assert_eq!(session.cookie().original_max_age(), Some(Duration::from_secs(60))); // however late
    /// # Ok(()) }).await }
    /// ```
    #[must_use]
    pub fn original_max_age(&self) -> Option<Duration> {
        self.0.0.state().readable()?.cookie.original_max_age()
    }

    fn change(&self, change: impl FnOnce(&mut Live, SystemTime)) -> Result<(), Error> {
        let now = self.0.0.inner().now();
        let mut state = self.0.0.state();
        let live = state.live()?;
        change(live, now);
        live.lifetime_changed = true;
        Ok(())
    }
}
