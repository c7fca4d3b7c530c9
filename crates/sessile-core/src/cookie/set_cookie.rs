//! Writing `Set-Cookie`, byte for byte as `cookie.serialize` of npm's cookie 0.7.2 does.

use std::fmt::Write;
use std::time::SystemTime;

use super::options::{Priority, SameSite};
use super::percent_encode;
use crate::Error;
use crate::clock::to_millis;
use crate::date::write_http;

/// A cookie on its way to the browser.
///
/// ```
/// use sessile_core::{SameSite, SetCookie};
///
/// let cookie = SetCookie::new("sid", "s:abc").path("/").http_only(true).same_site(SameSite::Lax);
/// assert_eq!(cookie.serialize()?, "sid=s%3Aabc; Path=/; HttpOnly; SameSite=Lax");
/// # Ok::<(), sessile_core::Error>(())
/// ```
#[derive(Clone, Copy)]
pub struct SetCookie<'a> {
    name: &'a str,
    value: &'a str,
    max_age: Option<i64>,
    domain: &'a str,
    path: &'a str,
    expires: Option<i64>,
    http_only: bool,
    secure: bool,
    partitioned: bool,
    priority: Option<Priority>,
    same_site: Option<SameSite>,
}

impl<'a> SetCookie<'a> {
    /// A cookie without attributes.
    ///
    /// ```
    /// # use sessile_core::SetCookie;
    /// let cookie = SetCookie::new("sid", "a;b c");
    /// assert_eq!(cookie.serialize()?, "sid=a%3Bb%20c");
    /// # Ok::<(), sessile_core::Error>(())
    /// ```
    #[must_use]
    pub fn new(name: &'a str, value: &'a str) -> Self {
        Self {
            name,
            value,
            max_age: None,
            domain: "",
            path: "",
            expires: None,
            http_only: false,
            secure: false,
            partitioned: false,
            priority: None,
            same_site: None,
        }
    }

    /// Sets `Max-Age`, in seconds.
    ///
    /// ```
    /// # use sessile_core::SetCookie;
    /// let cookie = SetCookie::new("sid", "").max_age(3600);
    /// assert_eq!(cookie.serialize()?, "sid=; Max-Age=3600");
    /// # Ok::<(), sessile_core::Error>(())
    /// ```
    #[must_use]
    pub fn max_age(mut self, seconds: i64) -> Self {
        self.max_age = Some(seconds);
        self
    }

    /// Sets `Domain`; empty means none.
    ///
    /// ```
    /// # use sessile_core::SetCookie;
    /// let cookie = SetCookie::new("sid", "").domain("example.com");
    /// assert_eq!(cookie.serialize()?, "sid=; Domain=example.com");
    /// assert!(cookie.domain("example.com; Path=/admin").serialize().is_err());
    /// # Ok::<(), sessile_core::Error>(())
    /// ```
    #[must_use]
    pub fn domain(mut self, domain: &'a str) -> Self {
        self.domain = domain;
        self
    }

    /// Sets `Path`; empty means none.
    ///
    /// ```
    /// # use sessile_core::SetCookie;
    /// let cookie = SetCookie::new("sid", "").path("/shop");
    /// assert_eq!(cookie.serialize()?, "sid=; Path=/shop");
    /// assert_eq!(cookie.path("").serialize()?, "sid=");
    /// # Ok::<(), sessile_core::Error>(())
    /// ```
    #[must_use]
    pub fn path(mut self, path: &'a str) -> Self {
        self.path = path;
        self
    }

    /// Sets `Expires`.
    ///
    /// ```
    /// # use sessile_core::SetCookie;
    /// use std::time::SystemTime;
    ///
    /// let removal = SetCookie::new("sid", "").expires(SystemTime::UNIX_EPOCH);
    /// assert_eq!(removal.serialize()?, "sid=; Expires=Thu, 01 Jan 1970 00:00:00 GMT");
    /// # Ok::<(), sessile_core::Error>(())
    /// ```
    #[must_use]
    pub fn expires(mut self, expires: SystemTime) -> Self {
        self.expires = Some(to_millis(expires));
        self
    }

    /// Sets or leaves out `HttpOnly`.
    ///
    /// ```
    /// # use sessile_core::SetCookie;
    /// let cookie = SetCookie::new("sid", "").http_only(true);
    /// assert_eq!(cookie.serialize()?, "sid=; HttpOnly");
    /// # Ok::<(), sessile_core::Error>(())
    /// ```
    #[must_use]
    pub fn http_only(mut self, http_only: bool) -> Self {
        self.http_only = http_only;
        self
    }

    /// Sets or leaves out `Secure`.
    ///
    /// ```
    /// # use sessile_core::SetCookie;
    /// let cookie = SetCookie::new("sid", "").secure(true);
    /// assert_eq!(cookie.serialize()?, "sid=; Secure");
    /// # Ok::<(), sessile_core::Error>(())
    /// ```
    #[must_use]
    pub fn secure(mut self, secure: bool) -> Self {
        self.secure = secure;
        self
    }

    /// Sets or leaves out `Partitioned`.
    ///
    /// ```
    /// # use sessile_core::SetCookie;
    /// let cookie = SetCookie::new("sid", "").secure(true).partitioned(true);
    /// assert_eq!(cookie.serialize()?, "sid=; Secure; Partitioned");
    /// # Ok::<(), sessile_core::Error>(())
    /// ```
    #[must_use]
    pub fn partitioned(mut self, partitioned: bool) -> Self {
        self.partitioned = partitioned;
        self
    }

    /// Sets `Priority`.
    ///
    /// ```
    /// # use sessile_core::{Priority, SetCookie};
    /// let cookie = SetCookie::new("sid", "").priority(Priority::Low);
    /// assert_eq!(cookie.serialize()?, "sid=; Priority=Low");
    /// # Ok::<(), sessile_core::Error>(())
    /// ```
    #[must_use]
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = Some(priority);
        self
    }

    /// Sets `SameSite`. [`SameSite::Auto`] depends on the connection and is
    /// refused here, as it is in Node.
    ///
    /// ```
    /// # use sessile_core::{SameSite, SetCookie};
    /// let cookie = SetCookie::new("sid", "").same_site(SameSite::Lax);
    /// assert_eq!(cookie.serialize()?, "sid=; SameSite=Lax");
    /// assert!(cookie.same_site(SameSite::Auto).serialize().is_err());
    /// # Ok::<(), sessile_core::Error>(())
    /// ```
    #[must_use]
    pub fn same_site(mut self, same_site: SameSite) -> Self {
        self.same_site = Some(same_site);
        self
    }

    /// Returns the header's value.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if the name is not a
    /// token, the domain or path holds a character they may not, or `SameSite` is `auto`.
    ///
    /// ```
    /// # use sessile_core::{ErrorKind, SetCookie};
    /// assert_eq!(SetCookie::new("theme", "dark").path("/").serialize()?, "theme=dark; Path=/");
    /// let error = SetCookie::new("my theme", "dark").serialize().unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Config); // a space is no part of a name
    /// # Ok::<(), sessile_core::Error>(())
    /// ```
    pub fn serialize(&self) -> Result<String, Error> {
        if !is_token(self.name) {
            return Err(Error::config(
                "the cookie's name is not a token: letters, digits and !#$%&'*+-.^_`|~ are allowed",
            ));
        }
        let mut out = String::with_capacity(self.name.len() + self.value.len() + 128);
        self.write(&mut out, |out| percent_encode(out, self.value))?;
        Ok(out)
    }

    /// Writes the cookie with a name that is known to be a token and the value that
    /// `value` writes, already encoded.
    pub(crate) fn write(
        &self,
        out: &mut String,
        value: impl FnOnce(&mut String),
    ) -> Result<(), Error> {
        self.check()?;
        out.push_str(self.name);
        out.push('=');
        value(out);
        if let Some(seconds) = self.max_age {
            let written = write!(out, "; Max-Age={seconds}");
            debug_assert!(written.is_ok(), "writing to a string cannot fail");
        }
        for (label, text) in [("; Domain=", self.domain), ("; Path=", self.path)] {
            if !text.is_empty() {
                out.push_str(label);
                out.push_str(text);
            }
        }
        if let Some(millis) = self.expires {
            out.push_str("; Expires=");
            write_http(out, millis);
        }
        for (label, on) in [
            ("; HttpOnly", self.http_only),
            ("; Secure", self.secure),
            ("; Partitioned", self.partitioned),
        ] {
            if on {
                out.push_str(label);
            }
        }
        out.push_str(match self.priority {
            Some(Priority::High) => "; Priority=High",
            Some(Priority::Low) => "; Priority=Low",
            Some(Priority::Medium) => "; Priority=Medium",
            None => "",
        });
        out.push_str(match self.same_site {
            Some(SameSite::Lax) => "; SameSite=Lax",
            Some(SameSite::None) => "; SameSite=None",
            Some(SameSite::Strict) => "; SameSite=Strict",
            Some(SameSite::Auto) | None => "",
        });
        Ok(())
    }

    fn check(&self) -> Result<(), Error> {
        if !self.domain.is_empty() && !is_domain(self.domain) {
            return Err(Error::config("the cookie's domain is not a host name"));
        }
        if !self.path.bytes().all(|b| matches!(b, 0x20..=0x3A | 0x3D..=0x7E)) {
            return Err(Error::config(
                "the cookie's path holds a character that a cookie may not carry",
            ));
        }
        if self.same_site == Some(SameSite::Auto) {
            return Err(Error::config(
                "SameSite `auto` must be resolved before a cookie is written",
            ));
        }
        Ok(())
    }
}

impl std::fmt::Debug for SetCookie<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SetCookie").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A token of RFC 7230.
pub(crate) fn is_token(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|b| {
            let mark =
                matches!(b, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~');
            mark || b.is_ascii_alphanumeric()
        })
}

fn is_domain(domain: &str) -> bool {
    let domain = domain.strip_prefix('.').unwrap_or(domain);
    domain.split('.').all(|label| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    })
}
