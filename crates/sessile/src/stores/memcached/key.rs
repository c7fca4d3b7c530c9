//! Under which key memcached keeps a session.

use md5::{Digest as _, Md5};

/// The longest key, for memcached in bytes and for Node in UTF-16 units.
const MAX_KEY: usize = 250;

/// Returns the key under which `name`, a prefix and an id, is kept.
///
/// As in Node (`memcached/lib/utils.js`, 2.2.2), a name that is too long is replaced by its
/// MD5; so is one that the protocol cannot carry, which Node refuses.
pub(super) fn of_name(name: &str) -> String {
    let fits = name.len() <= MAX_KEY && name.encode_utf16().count() <= MAX_KEY;
    if fits && !name.is_empty() && !name.bytes().any(ends_a_word) {
        return name.to_owned();
    }
    Md5::digest(name).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn ends_a_word(byte: u8) -> bool {
    matches!(byte, 0 | b'\t'..=b'\r' | b' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_what_node_makes_of_it() {
        for plain in ["Y7tQm0JcVb-1s_2d", "sess:a", "ä🦀", "\u{1}", "'\"\\$&", &"x".repeat(250)]
        {
            assert_eq!(of_name(plain), plain);
        }
        // md5 in Node: createHash('md5').update('x'.repeat(251)).digest('hex')
        assert_eq!(of_name(&"x".repeat(251)), "9aa112cf3f550372e7ce6446e5befbb9");
        let too_long_in_bytes = "ä".repeat(126);
        assert_eq!(of_name(&too_long_in_bytes).len(), 32);
    }

    #[test]
    fn no_key_ends_the_command_it_stands_in() {
        for name in ["", " ", "a b", "a\r\nflush_all\r\n", "a\n", "a\0", "a\t", "a\u{b}"] {
            let key = of_name(name);
            assert!(
                key.len() == 32 && key.bytes().all(|byte| byte.is_ascii_hexdigit()),
                "{name:?}"
            );
        }
    }
}
