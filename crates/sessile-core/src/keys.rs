//! The keys of a session: which are reserved, and which a record may have twice.

/// Keys that `req.session` already has in Node: `express-session/session.js`
/// skips them when it loads a record, so that a value under one is lost there.
pub(crate) fn is_reserved(key: &str) -> bool {
    key == CREATED_AT || RESERVED.contains(&key)
}

const RESERVED: [&str; 21] = [
    "__defineGetter__",
    "__defineSetter__",
    "__lookupGetter__",
    "__lookupSetter__",
    "__proto__",
    "constructor",
    "cookie",
    "destroy",
    "hasOwnProperty",
    "id",
    "isPrototypeOf",
    "propertyIsEnumerable",
    "regenerate",
    "reload",
    "req",
    "resetMaxAge",
    "save",
    "toLocaleString",
    "toString",
    "touch",
    "valueOf",
];

/// Where `absolute_timeout` keeps a session's birth, in milliseconds since 1970.
pub(crate) const CREATED_AT: &str = "__createdAt";

/// What is seen of a record's keys in passing: whether a closer look is needed.
#[derive(Default)]
pub(crate) struct Keys {
    /// A bit for each key so far.
    sketch: [u64; 4],
    /// Two keys may be one.
    pub(crate) may_repeat: bool,
    /// Some key may be reserved.
    pub(crate) may_be_reserved: bool,
    /// Some key has an escape in it, so keys cannot be compared as they stand.
    pub(crate) escapes: bool,
}

impl Keys {
    /// Takes note of a key, quotes included.
    pub(crate) fn note(&mut self, quoted: &[u8], escapes: bool) {
        let ([b'"', key @ .., b'"'], false) = (quoted, escapes) else {
            (self.may_repeat, self.may_be_reserved, self.escapes) = (true, true, true);
            return;
        };
        let first = usize::from(key.first().copied().unwrap_or_default());
        let last = usize::from(key.last().copied().unwrap_or_default());
        let place = (key.len() * 3 + first * 7 + last * 31) % 256;
        let (word, bit) = (&mut self.sketch[place / 64], 1 << (place % 64));
        self.may_repeat |= *word & bit != 0;
        *word |= bit;
        self.may_be_reserved |= INITIALS[first] >> (key.len() % 32) & 1 == 1;
    }
}

/// By the first byte of a key: a bit for each length that a reserved one has.
const INITIALS: [u32; 256] = {
    let (mut initials, mut n) = ([0; 256], 0);
    while n < RESERVED.len() {
        let key = RESERVED[n].as_bytes();
        initials[key[0] as usize] |= 1 << key.len();
        n += 1;
    }
    initials
};

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(keys: &[&str]) -> Keys {
        let mut seen = Keys::default();
        for key in keys {
            seen.note(format!("{key:?}").as_bytes(), false);
        }
        seen
    }

    #[test]
    fn no_reserved_key_goes_unseen() {
        for key in RESERVED {
            assert!(is_reserved(key) && seen(&["a", key]).may_be_reserved, "{key}");
        }
        assert!(!seen(&["userID", "views", "", "é", "locale", "cart"]).may_be_reserved);
    }

    #[test]
    fn no_key_that_repeats_goes_unseen() {
        for key in ["a", "", "views", "é"] {
            assert!(seen(&[key, "b", key]).may_repeat, "{key}");
        }
        assert!(!seen(&["userID", "username", "views", "cart"]).may_repeat);
    }
}
