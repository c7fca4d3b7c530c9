//! Which requests a cookie's `Path` covers.

/// Matches as RFC 6265 (5.1.4) says, so that `/admin` covers `/admin/x` and not `/administrator`.
pub(crate) fn path_matches(path: &str, cookie_path: &str) -> bool {
    let Some(rest) = path.strip_prefix(cookie_path) else { return cookie_path == "/" };
    rest.is_empty() || cookie_path.ends_with('/') || rest.starts_with('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn admin_does_not_match_administrator() {
        for (path, cookie_path, matches) in [
            ("/", "/", true),
            ("", "/", true),
            ("*", "/", true),
            ("/anything", "/", true),
            ("/admin", "/admin", true),
            ("/admin/", "/admin", true),
            ("/admin/x", "/admin", true),
            ("/admin/x", "/admin/", true),
            ("/admin", "/admin/", false),
            ("/administrator", "/admin", false),
            ("/Admin", "/admin", false),
            ("/", "/admin", false),
        ] {
            assert_eq!(path_matches(path, cookie_path), matches, "{path} {cookie_path}");
        }
    }
}
