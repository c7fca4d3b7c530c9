//! What a visitor does: the requests that are measured.

use axum::http::{HeaderValue, Uri};

use crate::contender::App;

/// One kind of request.
pub struct Scenario {
    pub name: &'static str,
    path: &'static str,
    visitor: Visitor,
}

enum Visitor {
    /// Comes without a cookie.
    Anonymous,
    /// Comes with the cookie of a session.
    Known,
    /// Comes with that cookie and five others, 300 bytes in all.
    KnownAmongSix,
}

/// In the order of the table.
pub const SCENARIOS: [Scenario; 6] = [
    Scenario { name: "no cookie", path: "/page", visitor: Visitor::Anonymous },
    Scenario { name: "cookie, session never named", path: "/page", visitor: Visitor::Known },
    Scenario { name: "read one value", path: "/read", visitor: Visitor::Known },
    Scenario { name: "increment a counter", path: "/count", visitor: Visitor::Known },
    Scenario { name: "new session", path: "/create", visitor: Visitor::Anonymous },
    Scenario { name: "six cookies, read one", path: "/read", visitor: Visitor::KnownAmongSix },
];

pub const NEVER_NAMED: usize = 1;
pub const READ: usize = 2;
pub const INCREMENT: usize = 3;
pub const NEW: usize = 4;
pub const SIX_COOKIES: usize = 5;

/// A request that is sent many times.
#[derive(Clone)]
pub struct Ask {
    pub uri: Uri,
    pub cookie: Option<HeaderValue>,
}

impl Ask {
    fn new(path: &'static str, cookie: Option<&str>) -> Self {
        let cookie = cookie.map(|cookie| cookie.parse().expect("a cookie is a header value"));
        Self { uri: Uri::from_static(path), cookie }
    }
}

impl Scenario {
    /// Makes the visitor's session, if there shall be one, and the request.
    pub async fn prepare(&self, app: &mut dyn App) -> Ask {
        if let Visitor::Anonymous = self.visitor {
            return Ask::new(self.path, None);
        }
        // An application without sessions is sent a cookie all the same.
        let cookie = app
            .first(Ask::new("/seed", None))
            .await
            .unwrap_or_else(|| format!("connect.sid=s%3A{}.{}", "i".repeat(32), "m".repeat(43)));
        match self.visitor {
            Visitor::KnownAmongSix => Ask::new(self.path, Some(&among_six(&cookie))),
            Visitor::Known | Visitor::Anonymous => Ask::new(self.path, Some(&cookie)),
        }
    }
}

/// A header of six cookies and 300 bytes, the session's the fourth.
fn among_six(session: &str) -> String {
    const OTHERS: [&str; 4] =
        ["_ga=GA1.1.1032587719.1763617201", "theme=dark", "consent=yes", "lang=en-GB"];
    let [first, second, third, fifth] = OTHERS;
    let short = format!("{first}; {second}; {third}; {session}; {fifth}; utm=");
    let filler = "campaign".chars().cycle().take(300usize.saturating_sub(short.len()));
    short.chars().chain(filler).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_cookies_are_300_bytes() {
        let header = among_six(&"s".repeat(100));
        assert_eq!((header.len(), header.split("; ").count()), (300, 6));
    }
}
