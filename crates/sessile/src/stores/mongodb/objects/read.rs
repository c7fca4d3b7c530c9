//! BSON becomes the JSON text that `JSON.stringify` would make of it in Node.

use std::fmt::Write as _;

use mongodb::bson::{DateTime, RawArray, RawBsonRef, RawDocument};

/// BSON that is not well-formed.
#[derive(Debug)]
pub(super) struct Malformed;

type Result<T = ()> = std::result::Result<T, Malformed>;

/// Those of a cookie's attributes that `connect-mongo` stores as null where the cookie
/// has none.
pub(super) const NULL_IF_NONE: [&str; 5] =
    ["partitioned", "priority", "secure", "domain", "sameSite"];

/// The last instant of a JavaScript date, in milliseconds.
const LAST_INSTANT: i64 = 8_640_000_000_000_000;
const DAY: i64 = 86_400_000;

pub(super) fn record(object: &RawDocument) -> Result<String> {
    let mut out = String::with_capacity(object.as_bytes().len());
    members(&mut out, object, |out, key, value| match (key, value) {
        ("cookie", RawBsonRef::Document(attributes)) => cookie(out, attributes),
        _ => any(out, value),
    })?;
    Ok(out)
}

/// Returns the JSON text of one value, or of the cookie.
pub(super) fn text(value: RawBsonRef<'_>, is_cookie: bool) -> Result<String> {
    let mut out = String::new();
    match value {
        RawBsonRef::Document(attributes) if is_cookie => cookie(&mut out, attributes)?,
        _ => any(&mut out, value)?,
    }
    Ok(out)
}

fn cookie(out: &mut String, attributes: &RawDocument) -> Result {
    let is_none = |key: &str, value: RawBsonRef<'_>| {
        matches!(value, RawBsonRef::Null) && NULL_IF_NONE.contains(&key)
    };
    object(out, attributes, |key, value| !is_none(key, value), |out, _, value| any(out, value))
}

fn members(
    out: &mut String,
    document: &RawDocument,
    write: impl FnMut(&mut String, &str, RawBsonRef<'_>) -> Result,
) -> Result {
    object(out, document, |_, _| true, write)
}

fn object(
    out: &mut String,
    document: &RawDocument,
    is_there: impl Fn(&str, RawBsonRef<'_>) -> bool,
    mut write: impl FnMut(&mut String, &str, RawBsonRef<'_>) -> Result,
) -> Result {
    out.push('{');
    let mut separator = "";
    for member in document {
        let (key, value) = member.map_err(|_| Malformed)?;
        let key = key.as_str();
        // `JSON.stringify` leaves it out too.
        if matches!(value, RawBsonRef::Undefined) || !is_there(key, value) {
            continue;
        }
        out.push_str(separator);
        quoted(out, key);
        out.push(':');
        write(out, key, value)?;
        separator = ",";
    }
    out.push('}');
    Ok(())
}

fn array(out: &mut String, items: &RawArray) -> Result {
    out.push('[');
    let mut separator = "";
    for item in items {
        out.push_str(separator);
        any(out, item.map_err(|_| Malformed)?)?;
        separator = ",";
    }
    out.push(']');
    Ok(())
}

fn any(out: &mut String, value: RawBsonRef<'_>) -> Result {
    match value {
        RawBsonRef::Array(items) => array(out, items)?,
        RawBsonRef::Boolean(truth) => out.push_str(if truth { "true" } else { "false" }),
        RawBsonRef::DateTime(at) => match iso(at) {
            Some(text) => quoted(out, &text),
            None => out.push_str("null"),
        },
        RawBsonRef::Decimal128(number) => match number.to_string() {
            text if text.ends_with(|c: char| c.is_ascii_digit()) => out.push_str(&text),
            _ => out.push_str("null"),
        },
        RawBsonRef::Document(document) => members(out, document, |out, _, value| any(out, value))?,
        RawBsonRef::Double(number) if number.is_finite() => {
            out.push_str(ryu_js::Buffer::new().format(number));
        }
        RawBsonRef::Int32(number) => out.push_str(&number.to_string()),
        RawBsonRef::Int64(number) => out.push_str(&number.to_string()),
        RawBsonRef::ObjectId(id) => quoted(out, &id.to_hex()),
        RawBsonRef::String(text) | RawBsonRef::Symbol(text) => quoted(out, text),
        _ => out.push_str("null"),
    }
    Ok(())
}

fn quoted(out: &mut String, text: &str) {
    // Writing text to a string does not fail.
    out.push_str(&serde_json::to_string(text).unwrap_or_default());
}

/// Writes a date as `Date.prototype.toISOString` does.
fn iso(at: DateTime) -> Option<String> {
    let millis = at.timestamp_millis();
    if !(-LAST_INSTANT..=LAST_INSTANT).contains(&millis) {
        return None;
    }
    let (year, month, day) = civil(millis.div_euclid(DAY));
    let time = millis.rem_euclid(DAY);
    let (hours, minutes) = (time / 3_600_000, time / 60_000 % 60);
    let (seconds, thousandths) = (time / 1000 % 60, time % 1000);
    let mut text = match year {
        0..=9999 => format!("{year:04}"),
        _ => format!("{}{:06}", if year < 0 { '-' } else { '+' }, year.abs()),
    };
    write!(text, "-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}.{thousandths:03}Z")
        .ok()?;
    Some(text)
}

/// The date so many days after 1970-01-01, counted in eras of 400 years that begin in March.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_as_javascript_writes_them() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (1_709_208_000_000, "2024-02-29T12:00:00.000Z"),
            (1_893_557_045_678, "2030-01-02T04:04:05.678Z"),
            (LAST_INSTANT, "+275760-09-13T00:00:00.000Z"),
            (-LAST_INSTANT, "-271821-04-20T00:00:00.000Z"),
            (-62_167_219_200_001, "-000001-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(iso(DateTime::from_millis(millis)).as_deref(), Some(text));
        }
        assert_eq!(iso(DateTime::from_millis(LAST_INSTANT + 1)), None);
    }
}
