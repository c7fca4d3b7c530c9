//! What can be set from outside, checked before anything starts.

use std::ffi::OsString;

use sessile::Secrets;

const DEFAULT_PORT: &str = "8080";
const DEFAULT_DATABASE: &str = "sqlite://sessions.db";
const DEVELOPMENT_SECRET: &str = "for development only: whoever can read this can forge a login";
const PUBLISHED: &str = "one that everybody knows, for development only";
const SHORTEST_SECRET: usize = 32;

/// The settings of the site.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "the only user is main.rs")]
pub struct Config {
    /// `PORT`, 8080 by default; 0 for any that is free.
    pub port: u16,
    /// `DATABASE`, `sqlite://sessions.db` by default.
    pub database: String,
    /// `SESSION_SECRET`, which signs the cookies.
    pub secrets: Secrets,
    /// What nobody set, in words for the log.
    pub notes: Vec<String>,
}

impl Config {
    /// Reads the settings; `variable` looks one up, in the environment for example.
    ///
    /// # Errors
    ///
    /// One line that says which setting cannot work and what to do.
    pub fn read(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, String> {
        let read = |name: &str| {
            let text = variable(name).map(OsString::into_string).transpose();
            text.map_err(|_| format!("{name} is not UTF-8; set it to plain text"))
        };
        let mut notes = Vec::new();
        let mut read_or = |name: &str, default: &str, note: &str| {
            read(name).map(|text| {
                text.unwrap_or_else(|| {
                    notes.push(format!("{name} is not set; using {note}"));
                    default.to_owned()
                })
            })
        };

        let port = read_or("PORT", DEFAULT_PORT, DEFAULT_PORT)?;
        let database = read_or("DATABASE", DEFAULT_DATABASE, DEFAULT_DATABASE)?;
        let secret = read_or("SESSION_SECRET", DEVELOPMENT_SECRET, PUBLISHED)?;
        let production = read("APP_ENV")?.is_some_and(|name| name == "production");
        Ok(Self {
            port: port.parse().map_err(|_| {
                format!("PORT is {port:?}, not a number from 0 to 65535; try PORT={DEFAULT_PORT}")
            })?,
            database,
            secrets: sign_with(&secret, production)?,
            notes,
        })
    }
}

fn sign_with(secret: &str, production: bool) -> Result<Secrets, String> {
    let complaint = match secret.len() {
        _ if production && secret == DEVELOPMENT_SECRET => {
            "is not set, and APP_ENV is production".to_owned()
        }
        bytes @ ..SHORTEST_SECRET => format!("has {bytes} bytes of at least {SHORTEST_SECRET}"),
        _ => return Secrets::new([secret]).map_err(|error| error.to_string()),
    };
    Err(format!("SESSION_SECRET {complaint}; try the output of `openssl rand -base64 32`"))
}
