//! The response headers that a session writes.

use http::header::{self, HeaderMap, HeaderValue};

/// Exactly one cookie of our name; those of others stay.
pub(crate) fn replace_cookie(headers: &mut HeaderMap, name: &str, value: HeaderValue) {
    let ours = |cookie: &HeaderValue| {
        cookie.as_bytes().strip_prefix(name.as_bytes()).is_some_and(|rest| rest.starts_with(b"="))
    };
    if headers.get_all(header::SET_COOKIE).iter().any(ours) {
        let others: Vec<_> =
            headers.get_all(header::SET_COOKIE).iter().filter(|c| !ours(c)).cloned().collect();
        headers.remove(header::SET_COOKIE);
        for other in others {
            headers.append(header::SET_COOKIE, other);
        }
    }
    headers.append(header::SET_COOKIE, value);
    forbid_caching_the_cookie(headers);
}

/// A shared cache must not give one visitor's cookie to the next.
fn forbid_caching_the_cookie(headers: &mut HeaderMap) {
    let stricter = headers.get_all(header::CACHE_CONTROL).iter().any(|value| {
        value.to_str().is_ok_and(|list| {
            list.split(',').map(str::trim).any(|directive| {
                ["no-store", "private", "no-cache"]
                    .iter()
                    .any(|d| directive.eq_ignore_ascii_case(d))
            })
        })
    });
    if !stricter {
        let value = HeaderValue::from_static(r#"no-cache="set-cookie""#);
        headers.append(header::CACHE_CONTROL, value);
    }
}

pub(crate) fn vary_by_cookie(headers: &mut HeaderMap) {
    let present = headers.get_all(header::VARY).iter().any(|value| {
        value.to_str().is_ok_and(|list| {
            list.split(',')
                .map(str::trim)
                .any(|name| name == "*" || name.eq_ignore_ascii_case("cookie"))
        })
    });
    if !present {
        headers.append(header::VARY, HeaderValue::from_static("Cookie"));
    }
}
