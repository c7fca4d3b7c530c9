//! Settings that can work, and those that cannot.

use std::collections::HashMap;
use std::ffi::OsString;

use login::Config;

const SECRET: (&str, &str) = ("SESSION_SECRET", "thirty-two bytes that nobody can guess");

fn read(settings: &[(&str, &str)]) -> Result<Config, String> {
    let settings: HashMap<_, _> = settings.iter().copied().collect();
    Config::read(|name| settings.get(name).map(OsString::from))
}

#[test]
fn what_is_set_is_taken() {
    let config = read(&[("PORT", "3000"), ("DATABASE", "sqlite:///tmp/a.db"), SECRET]).unwrap();
    assert_eq!((config.port, config.database.as_str()), (3000, "sqlite:///tmp/a.db"));
    assert!(config.notes.is_empty());
    assert!(!format!("{config:?}").contains(SECRET.1), "a secret never prints");
}

#[test]
fn what_is_not_set_has_a_default_that_is_said() {
    let config = read(&[]).unwrap();
    assert_eq!((config.port, config.database.as_str()), (8080, "sqlite://sessions.db"));
    let said = config.notes.join("\n");
    for setting in ["PORT", "DATABASE", "SESSION_SECRET"] {
        assert!(said.contains(setting), "{said}");
    }
}

#[test]
fn what_cannot_work_is_one_line_that_says_what_to_do() {
    let published = "for development only: whoever can read this can forge a login";
    for (settings, names, remedy) in [
        (&[("PORT", "http")][..], "PORT", "PORT=8080"),
        (&[("PORT", "65536")], "PORT", "PORT=8080"),
        (&[("SESSION_SECRET", "keyboard cat")], "SESSION_SECRET", "openssl"),
        (&[("SESSION_SECRET", "")], "SESSION_SECRET", "openssl"),
        (&[("APP_ENV", "production")], "SESSION_SECRET", "openssl"),
        (&[("APP_ENV", "production"), ("SESSION_SECRET", published)], "SESSION_SECRET", "openssl"),
    ] {
        let complaint = read(settings).unwrap_err();
        assert!(complaint.contains(names) && complaint.contains(remedy), "{complaint}");
        assert_eq!(complaint.lines().count(), 1);
    }
    assert!(read(&[("APP_ENV", "production"), SECRET]).is_ok());
}
