//! The response headers that a session writes.

use http::header::{self, Entry, HeaderMap, HeaderName, HeaderValue};

/// Exactly one cookie of our name; those of others stay.
pub(crate) fn replace_cookie(headers: &mut HeaderMap, name: &str, value: HeaderValue) {
    let ours = |cookie: &HeaderValue| {
        cookie.as_bytes().strip_prefix(name.as_bytes()).is_some_and(|rest| rest.starts_with(b"="))
    };
    match headers.entry(header::SET_COOKIE) {
        Entry::Vacant(place) => {
            place.insert(value);
        }
        Entry::Occupied(mut present) if !present.iter().any(ours) => present.append(value),
        Entry::Occupied(present) => {
            let (name, cookies) = present.remove_entry_mult();
            let others: Vec<_> = cookies.filter(|cookie| !ours(cookie)).collect();
            for cookie in others.into_iter().chain([value]) {
                headers.append(&name, cookie);
            }
        }
    }
    forbid_caching_the_cookie(headers);
}

/// A shared cache must not give one visitor's cookie to the next.
fn forbid_caching_the_cookie(headers: &mut HeaderMap) {
    let stricter = |directive: &str| {
        ["no-store", "private", "no-cache"].iter().any(|d| directive.eq_ignore_ascii_case(d))
    };
    let value = HeaderValue::from_static(r#"no-cache="set-cookie""#);
    append_unless(headers, header::CACHE_CONTROL, value, stricter);
}

pub(crate) fn vary_by_cookie(headers: &mut HeaderMap) {
    let present = |name: &str| name == "*" || name.eq_ignore_ascii_case("cookie");
    append_unless(headers, header::VARY, HeaderValue::from_static("Cookie"), present);
}

/// Appends to a header that is a list, unless something in the list will do.
fn append_unless(
    headers: &mut HeaderMap,
    name: HeaderName,
    value: HeaderValue,
    will_do: impl Fn(&str) -> bool,
) {
    match headers.entry(name) {
        Entry::Vacant(place) => {
            place.insert(value);
        }
        Entry::Occupied(mut present) => {
            let in_list = |value: &HeaderValue| {
                value.to_str().is_ok_and(|list| list.split(',').map(str::trim).any(&will_do))
            };
            if !present.iter().any(in_list) {
                present.append(value);
            }
        }
    }
}
