//! JSON text becomes the BSON that Node's driver makes of the same value.

use std::fmt;

use mongodb::bson::{Bson, DateTime, Decimal128, Document, RawBsonRef, RawDocument};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use sessile_core::{Record, SessionCookie};

use super::read::{NULL_IF_NONE, text};
use crate::stores::instant::to_millis;

/// As deep as MongoDB nests, less the document around the record.
const DEEPEST: usize = 98;
/// The attributes of a cookie, in the order of `session/cookie.js`.
const COOKIE: [&str; 9] = [
    "originalMaxAge",
    "partitioned",
    "priority",
    "expires",
    "secure",
    "httpOnly",
    "domain",
    "path",
    "sameSite",
];

/// Why a value has no BSON.
type Why = &'static str;

pub(super) fn record(record: &Record, old: Option<&RawDocument>) -> Result<Document, Why> {
    object(record.text(), old, 0, |key, json, old, depth| {
        if key == "cookie" && json.starts_with('{') {
            return cookie(json, record.cookie(), old).map(Bson::Document);
        }
        value(json, old, depth)
    })
}

/// What is undefined in Node is null in its documents, and the expiry is a date.
fn cookie(
    json: &str,
    cookie: &SessionCookie,
    old: Option<RawBsonRef<'_>>,
) -> Result<Document, Why> {
    if let Some(RawBsonRef::Document(kept)) = old.filter(|old| reads(*old, json, true)) {
        return Document::try_from(kept).map_err(|_| "its cookie is malformed");
    }
    let mut given = object(json, None, 1, |_, json, _, depth| value(json, None, depth))?;
    let mut written = Document::new();
    for key in COOKIE {
        match (key, given.remove(key), cookie.expires()) {
            ("expires", Some(_), Some(at)) => {
                written.insert(key, DateTime::from_millis(to_millis(at)));
            }
            (_, Some(value), _) => _ = written.insert(key, value),
            (_, None, _) if NULL_IF_NONE.contains(&key) => _ = written.insert(key, Bson::Null),
            (_, None, _) => {}
        }
    }
    written.extend(given);
    Ok(written)
}

fn object(
    json: &str,
    old: Option<&RawDocument>,
    depth: usize,
    convert: impl Fn(&str, &str, Option<RawBsonRef<'_>>, usize) -> Result<Bson, Why>,
) -> Result<Document, Why> {
    let Members(members) = serde_json::from_str(json).map_err(|_| UNPAIRED)?;
    let mut object = Document::new();
    for (key, json) in members {
        let old = old.and_then(|old| old.get(&key).ok().flatten());
        let value = convert(&key, json.get(), old, depth + 1)?;
        object.insert(key, value);
    }
    Ok(object)
}

/// The one thing that JSON has and Rust's text has not.
const UNPAIRED: Why = "it contains half of a surrogate pair, which no UTF-8 can";

fn value(json: &str, old: Option<RawBsonRef<'_>>, depth: usize) -> Result<Bson, Why> {
    if let Some(kept) = old.filter(|old| reads(*old, json, false)) {
        return Bson::try_from(kept).map_err(|_| "a value of it is malformed");
    }
    if depth > DEEPEST {
        return Err("it is nested too deeply");
    }
    match json.as_bytes().first() {
        Some(b'{') => {
            let old = old.and_then(|old| old.as_document());
            object(json, old, depth, |_, json, old, depth| value(json, old, depth))
                .map(Bson::Document)
        }
        Some(b'[') => {
            let old = old.and_then(|old| old.as_array());
            let items: Vec<&RawValue> = serde_json::from_str(json).map_err(|_| UNPAIRED)?;
            let convert = |(n, item): (usize, &&RawValue)| {
                let old = old.and_then(|old| old.get(n).ok().flatten());
                value(item.get(), old, depth + 1)
            };
            items.iter().enumerate().map(convert).collect::<Result<_, _>>().map(Bson::Array)
        }
        Some(b'"') => serde_json::from_str(json).map(Bson::String).map_err(|_| UNPAIRED),
        Some(b't' | b'f') => Ok(Bson::Boolean(json == "true")),
        Some(b'n') | None => Ok(Bson::Null),
        Some(_) => number(json).ok_or("it contains a number of more than 34 digits"),
    }
}

/// Tells whether what is stored reads as this JSON, so that it can stay as it is.
fn reads(old: RawBsonRef<'_>, json: &str, is_cookie: bool) -> bool {
    text(old, is_cookie).is_ok_and(|text| text == json)
}

/// A number is what it is in Node, a small integer or a double, unless it would be
/// another number there.
fn number(json: &str) -> Option<Bson> {
    let number: f64 = json.parse().ok()?;
    let is_integer = json.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    let is_too_small = number == 0.0 && json.bytes().any(|byte| (b'1'..=b'9').contains(&byte));
    let prints_the_same = || ryu_js::Buffer::new().format(number) == json || json == "-0";
    if number.is_finite() && !is_too_small && (!is_integer || prints_the_same()) {
        return Some(double(number));
    }
    match json.parse::<i64>() {
        Ok(number) => Some(Bson::Int64(number)),
        Err(_) => json.parse::<Decimal128>().ok().map(Bson::Decimal128),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "only where it is exact")]
fn double(number: f64) -> Bson {
    let small = number as i32;
    let is_small = f64::from(small).to_bits() == number.to_bits();
    if is_small { Bson::Int32(small) } else { Bson::Double(number) }
}

/// An object's members in their order, each value as it is written.
struct Members<'j>(Vec<(String, &'j RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;

        impl<'de> Visitor<'de> for All {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(All)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_what_node_makes_of_it_unless_that_is_another_number() {
        for (json, bson) in [
            ("1", Bson::Int32(1)),
            ("1.0", Bson::Int32(1)),
            ("1e2", Bson::Int32(100)),
            ("-2147483648", Bson::Int32(i32::MIN)),
            ("2147483648", Bson::Double(2_147_483_648.0)),
            ("9007199254740991", Bson::Double(9_007_199_254_740_991.0)),
            ("1152921504606847000", Bson::Double(1_152_921_504_606_846_976.0)),
            ("1152921504606846976", Bson::Int64(1_152_921_504_606_846_976)),
            ("9007199254740993", Bson::Int64(9_007_199_254_740_993)),
            ("0.1", Bson::Double(0.1)),
            ("-0", Bson::Double(-0.0)),
        ] {
            assert_eq!(number(json), Some(bson), "{json}");
        }
        for json in ["12345678901234567890", "-123456789012345678901234567890", "1E+400"] {
            let Some(Bson::Decimal128(number)) = number(json) else { panic!("{json}") };
            assert_eq!(number.to_string(), json);
        }
        assert_eq!(number("12345678901234567890123456789012345"), None);
    }
}
