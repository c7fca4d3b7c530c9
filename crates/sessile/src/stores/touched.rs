//! What a touch changes in stores that write the cookie into the record, as their Node
//! counterparts do.

use std::sync::Arc;
use std::time::SystemTime;

use sessile_core::{Record, SessionCookie};

/// Returns what makes up the state of a session: its record, but for the instant at
/// which it expires.
///
/// Versions are made of it, so that a touch is no change, here and in Node; another max
/// age is one.
pub(super) fn state(record: &Record) -> Arc<str> {
    let mut cookie = record.cookie().clone();
    cookie.touch(SystemTime::UNIX_EPOCH);
    let text = Record::with_cookie(record.text(), &cookie);
    text.map_or_else(|| Arc::clone(record.text()), Arc::from)
}

/// Returns the record of a session with the new cookie; `None` if that would be a change,
/// which only a save may make.
pub(super) fn rewritten(state_before: &str, cookie: &SessionCookie) -> Option<Record> {
    let rewritten = Record::with_cookie(state_before, cookie).and_then(Record::parse);
    rewritten.filter(|record| *state(record) == *state_before)
}

/// Returns the record as a touch leaves it: with the new cookie, or as it was.
pub(super) fn touched(record: Record, cookie: &SessionCookie) -> Record {
    rewritten(&state(&record), cookie).unwrap_or(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_touch_moves_the_expiry_and_no_max_age() {
        let record =
            |cookie: &str| Record::parse(format!(r#"{{"a":1,"cookie":{cookie},"b":2}}"#)).unwrap();
        let cookie = |max_age: &str, second: &str| {
            format!(r#"{{"originalMaxAge":{max_age},"expires":"2030-01-02T03:04:{second}.678Z"}}"#)
        };
        let before = record(&cookie("60000", "05"));
        let touch = |json: String| {
            let cookie = SessionCookie::from_json(&json).unwrap();
            touched(before.clone(), &cookie)
        };
        let after = touch(cookie("60000", "15"));
        assert_eq!(after.text(), record(&cookie("60000", "15")).text());
        assert_eq!(state(&after), state(&before));
        assert_eq!(touch(cookie("70000", "15")).text(), before.text());
    }
}
