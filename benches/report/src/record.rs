//! The session that everybody keeps: 226 bytes as `express-session` stores it, a handful of keys.

use serde_json::{Value, json};

/// How long the record is, with expiry and without.
#[cfg(test)]
const BYTES: usize = 226;

/// The values under their keys.
pub fn values() -> Vec<(&'static str, Value)> {
    vec![
        ("userID", json!(471_100)),
        ("username", json!("marlene_42")),
        ("views", json!(12)),
        ("csrfToken", json!("q3Zs0v9xYbT1LrKe")),
        ("locale", json!("en-GB")),
        ("cart", json!([1717, 2323])),
    ]
}

/// The same, less what makes room for the expiry in a record of as many bytes.
pub fn values_beside_expiry() -> Vec<(&'static str, Value)> {
    let mut values = values();
    values.retain(|(key, _)| *key != "csrfToken");
    values[1].1 = json!("marlene_42.abcd");
    values
}

/// The record's text, for stores that are filled without a layer. `expires` is an ISO date.
pub fn text(expires: Option<&str>) -> String {
    let values = if expires.is_none() { values() } else { values_beside_expiry() };
    let age = expires.map_or("null", |_| "86400000");
    let expires = json!(expires);
    let mut text = format!(
        r#"{{"cookie":{{"originalMaxAge":{age},"expires":{expires},"secure":false,"httpOnly":true,"path":"/","sameSite":"lax"}}"#
    );
    for (key, value) in values {
        text.push_str(&format!(r#","{key}":{value}"#));
    }
    text.push('}');
    text
}

/// An id as long as those of `uid-safe`, different for each `n` and in no order.
pub fn id(n: u64) -> String {
    let mixed = |seed: u64| {
        let mut z = (2 * n + seed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    format!("{:016x}{:016x}", mixed(0), mixed(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_has_its_length_with_and_without_expiry() {
        assert_eq!(text(None).len(), BYTES);
        assert_eq!(text(Some("2099-01-01T00:00:00.000Z")).len(), BYTES);
    }
}
