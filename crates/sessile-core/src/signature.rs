//! Signed tickets: what proves that a session id came from us.
//!
//! Mirrors npm's cookie-signature 1.0.7 and `unsigncookie` of `express-session/index.js`.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::{Error, SessionId, cookie};

/// The secrets that sign session cookies, newest first. Mirrors the option `secret`.
///
/// The first signs, all verify: put a new secret in front and nobody is logged
/// out. Text and bytes are both fine; 32 random bytes are enough.
///
/// ```
/// use sessile_core::Secrets;
///
/// let (new, old) = ("a new secret of at least 32 bytes!", "the one before it, 32 bytes long");
/// let secrets = Secrets::new([new, old])?;
/// let signed = secrets.sign("some-id");
/// assert_eq!(secrets.unsign(&signed), Some("some-id"));
/// assert_eq!(format!("{secrets:?}"), "Secrets(2)");
/// # Ok::<(), sessile_core::Error>(())
/// ```
#[derive(Clone)]
pub struct Secrets(Arc<[Key]>);

/// HMAC with the key already absorbed, so that a signature costs two blocks.
struct Key(Hmac<Sha256>);

const SHORT: usize = 32;
const MAC_TEXT: usize = 43;
/// Room for the ticket of any id up to 80 bytes, percent-encoded.
const TICKET_BYTES: usize = 256;

impl Secrets {
    /// Takes the secrets, newest first. One shorter than 32 bytes is reported as a warning.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if there is none, or one is empty.
    ///
    /// ```
    /// # use sessile_core::{ErrorKind, Secrets};
    /// let (new, old) = ("a newer secret, of 32 bytes or more", "thirty-two bytes that nobody knows");
    /// let (both, old) = (Secrets::new([new, old])?, Secrets::new([old])?);
    /// assert_eq!(both.unsign(&old.sign("id")), Some("id"));
    /// assert_eq!(old.unsign(&both.sign("id")), None);
    /// assert_eq!(Secrets::new([""]).unwrap_err().kind(), ErrorKind::Config);
    /// # Ok::<(), sessile_core::Error>(())
    /// ```
    pub fn new<T: AsRef<[u8]>>(secrets: impl IntoIterator<Item = T>) -> Result<Self, Error> {
        let keys = secrets
            .into_iter()
            .map(|secret| Key::new(secret.as_ref()))
            .collect::<Result<Arc<[_]>, _>>()?;
        if keys.is_empty() {
            return Err(Error::config("at least one secret is needed to sign session cookies"));
        }
        Ok(Self(keys))
    }

    /// Reads the secret from the environment variable `name`, and older ones
    /// from `name_1`, `name_2` and so on.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if the variable is missing or empty.
    ///
    /// ```
    /// # use sessile_core::Secrets;
    /// let error = Secrets::from_env("A_SECRET_NOBODY_SET").unwrap_err();
    /// assert!(error.to_string().starts_with("the environment variable A_SECRET_NOBODY_SET is not set"));
    ///
    /// assert!(Secrets::from_env("PATH").is_ok()); // SESSION_SECRET, in an application
    /// ```
    pub fn from_env(name: &str) -> Result<Self, Error> {
        let Some(newest) = std::env::var_os(name).filter(|secret| !secret.is_empty()) else {
            return Err(Error::config(format!(
                "the environment variable {name} is not set: it holds the secret that signs \
                 session cookies, for example the output of `openssl rand -base64 32`"
            )));
        };
        let older = (1..).map_while(|n| std::env::var_os(format!("{name}_{n}")));
        Self::new(std::iter::once(newest).chain(older).map(std::ffi::OsString::into_encoded_bytes))
    }

    /// Signs `value` with the newest secret: `value.mac`, the MAC in base64.
    ///
    /// ```
    /// # use sessile_core::Secrets;
    /// let secrets = Secrets::new(["keyboard cat"])?;
    /// assert_eq!(secrets.sign("hello"), "hello.xz6khi6+oL1pnNhBgjk3Nr1CX2sxTjJiO9pKXaHZ33E");
    /// # Ok::<(), sessile_core::Error>(())
    /// ```
    #[must_use]
    pub fn sign(&self, value: &str) -> String {
        let mac = self.0[0].mac(value);
        [value, ".", text_of(&mac)].concat()
    }

    /// Returns the value inside `signed` if any of the secrets signed it, in constant time.
    ///
    /// ```
    /// # use sessile_core::Secrets;
    /// let secrets = Secrets::new(["thirty-two bytes that nobody knows"])?;
    /// let signed = secrets.sign("user.7");
    /// assert_eq!(secrets.unsign(&signed), Some("user.7"));
    /// assert_eq!(secrets.unsign(&signed.replace('7', "8")), None);
    /// # Ok::<(), sessile_core::Error>(())
    /// ```
    #[must_use]
    pub fn unsign<'v>(&self, signed: &'v str) -> Option<&'v str> {
        let (value, mac) = signed.rsplit_once('.')?;
        self.0.iter().any(|key| key.mac(value).ct_eq(mac.as_bytes()).into()).then_some(value)
    }

    /// Writes what the cookie of the session `id` carries: `s:id.mac`, percent-encoded.
    pub(crate) fn write_ticket(&self, id: &SessionId, out: &mut String) {
        out.push_str("s%3A");
        cookie::percent_encode(out, id.as_str());
        out.push('.');
        encode_base64(out, text_of(&self.0[0].mac(id.as_str())));
    }

    /// Returns the id in a cookie's raw value, if it is a ticket of ours.
    pub(crate) fn verify(&self, raw: &[u8]) -> Option<SessionId> {
        let raw = std::str::from_utf8(raw).ok()?;
        let mut buffer = [0; TICKET_BYTES];
        let ticket = cookie::percent_decode_in(&mut buffer, raw);
        let id = self.unsign(ticket.strip_prefix("s:")?)?;
        (!id.is_empty()).then(|| SessionId::new(id))
    }
}

impl Key {
    fn new(secret: &[u8]) -> Result<Self, Error> {
        if secret.is_empty() {
            return Err(Error::config("a secret is empty: it could sign nothing"));
        }
        if secret.len() < SHORT {
            tracing::warn!(
                bytes = secret.len(),
                "a session secret is shorter than 32 bytes; `openssl rand -base64 32` makes a good one"
            );
        }
        Hmac::new_from_slice(secret)
            .map(Self)
            .map_err(|error| Error::config("a secret cannot be a key").with_source(error))
    }

    fn mac(&self, value: &str) -> [u8; MAC_TEXT] {
        let mac = self.0.clone().chain_update(value).finalize().into_bytes();
        let mut text = [0; MAC_TEXT];
        let written = STANDARD_NO_PAD.encode_slice(mac, &mut text);
        debug_assert_eq!(written.ok(), Some(MAC_TEXT), "32 bytes are 43 characters");
        text
    }
}

/// Percent-encodes what of base64 needs it.
fn encode_base64(out: &mut String, text: &str) {
    let mut rest = text;
    while let Some(at) = memchr::memchr2(b'+', b'/', rest.as_bytes()) {
        let (plain, special) = rest.split_at(at);
        out.push_str(plain);
        out.push_str(if special.starts_with('+') { "%2B" } else { "%2F" });
        rest = &special[1..];
    }
    out.push_str(rest);
}

fn text_of(mac: &[u8; MAC_TEXT]) -> &str {
    std::str::from_utf8(mac).unwrap_or_default() // base64 is ASCII
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({})", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use proptest::prelude::*;

    #[test]
    fn no_secret_is_an_error_that_says_so() {
        let none: [&str; 0] = [];
        for secrets in [Secrets::new(none), Secrets::new([""]), Secrets::new(["good", ""])] {
            assert_eq!(secrets.unwrap_err().kind(), ErrorKind::Config);
        }
        let error = Secrets::from_env("SESSILE_TEST_UNSET").unwrap_err();
        assert!(error.to_string().contains("SESSILE_TEST_UNSET"));
    }

    #[test]
    fn an_empty_id_is_no_session() {
        let secrets = Secrets::new(["keyboard cat"]).unwrap();
        assert!(secrets.verify(format!("s:{}", secrets.sign("")).as_bytes()).is_none());
    }

    proptest! {
        #[test]
        fn base64_is_encoded_like_any_text(text in "[A-Za-z0-9+/]{0,43}") {
            let (mut quick, mut any) = (String::new(), String::new());
            encode_base64(&mut quick, &text);
            cookie::percent_encode(&mut any, &text);
            prop_assert_eq!(quick, any);
        }

        #[test]
        fn only_what_we_signed_verifies(value in "\\PC{0,20}", junk in "\\PC{0,60}") {
            let secrets = Secrets::new(["keyboard cat"]).unwrap();
            let (signed, forged) = (secrets.sign(&value), format!("{value}.{junk}"));
            prop_assert_eq!(secrets.unsign(&signed), Some(value.as_str()));
            prop_assert_eq!(secrets.unsign(&forged), None);
        }
    }
}
