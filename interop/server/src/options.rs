//! What `POST /-/configure` may ask for, under express-session's names.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use sessile::{
    CookieOptions, Error, ErrorKind, SameSite, Secrets, Secure, SessionLayer, SessionStore,
};
use sessile_testkit::TestClock;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Configuration {
    pub(crate) keep_records: bool,
    pub(crate) with_passport: bool,
    pub(crate) layers: Vec<Layer>,
}

impl Default for Configuration {
    fn default() -> Self {
        Self { keep_records: false, with_passport: false, layers: vec![Layer::default()] }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Layer {
    /// Where the layer applies: everywhere if nothing is said.
    pub(crate) at: Option<String>,
    name: Option<String>,
    resave: bool,
    rolling: bool,
    cookie: Cookie,
    store_timeout: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Cookie {
    http_only: Option<bool>,
    max_age: Option<u64>,
    path: Option<String>,
    same_site: Option<String>,
    secure: Option<Value>,
}

impl Layer {
    pub(crate) fn build(
        &self,
        store: impl SessionStore,
        clock: &TestClock,
    ) -> Result<SessionLayer, Error> {
        let secrets = Secrets::new(["interop secret, thirty-two bytes and more"])?;
        let mut builder = SessionLayer::builder(store, secrets)
            .with_clock(clock.clone())
            .with_resave(self.resave)
            .with_rolling(self.rolling)
            .with_cookie(self.cookie.options()?);
        if let Some(name) = &self.name {
            builder = builder.with_name(name);
        }
        if let Some(millis) = self.store_timeout {
            builder = builder.with_store_timeout(Duration::from_millis(millis));
        }
        builder.build()
    }
}

impl Cookie {
    fn options(&self) -> Result<CookieOptions, Error> {
        let mut options = CookieOptions::default();
        if let Some(http_only) = self.http_only {
            options = options.with_http_only(http_only);
        }
        if let Some(millis) = self.max_age {
            options = options.with_max_age(Duration::from_millis(millis));
        }
        if let Some(path) = &self.path {
            options = options.with_path(path);
        }
        if let Some(same_site) = &self.same_site {
            options = options.with_same_site(match same_site.as_str() {
                "lax" => SameSite::Lax,
                "none" => SameSite::None,
                "strict" => SameSite::Strict,
                _ => return Err(unknown("sameSite")),
            });
        }
        if let Some(secure) = &self.secure {
            options = options.with_secure(match secure {
                Value::Bool(true) => Secure::Always,
                Value::Bool(false) => Secure::Never,
                Value::String(auto) if auto == "auto" => Secure::Auto,
                _ => return Err(unknown("secure")),
            });
        }
        Ok(options)
    }
}

fn unknown(option: &'static str) -> Error {
    Error::new(ErrorKind::Config, format!("this server knows no such {option}"))
}
