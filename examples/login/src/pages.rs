//! What the site looks like: plain HTML, no script. maud escapes every value.

use std::time::Duration;

use axum::http::StatusCode;
use maud::{DOCTYPE, Markup, PreEscaped, html};

pub(crate) const STYLE: &str = include_str!("style.css");
const SHELL: PreEscaped<&str> = PreEscaped(include_str!("shell.svg"));

/// Whom a page is for, as its header shows.
enum Visitor<'v> {
    /// Somebody who can log in.
    Anonymous,
    /// Somebody logged in under this name.
    Named(&'v str),
    /// Nobody asked: the page tells of a failure.
    Unknown,
}

impl<'v> From<Option<&'v str>> for Visitor<'v> {
    fn from(username: Option<&'v str>) -> Self {
        username.map_or(Self::Anonymous, Self::Named)
    }
}

/// Home, for somebody who is not logged in.
pub(crate) fn welcome() -> Markup {
    let main = html! {
        h1 { "Hello, stranger." }
        p.lead { "Tell this site your name and every page will know it, even after the server restarts." }
        p { a.button href="/login" { "Log in" } }
        div.sides {
            section.record aria-labelledby="server" {
                h2 #server { "The server knows" }
                p.nothing { "Nothing." }
                p.note { "There is no session before there is something to remember." }
            }
            section.ticket.blank aria-labelledby="browser" {
                h2 #browser { "Your browser holds" }
                p.nothing { "No cookie." }
                p.note { "You get one when you log in, and lose it when you log out." }
            }
        }
    };
    page("Hello, stranger", &Visitor::Anonymous, &main)
}

/// Home, for somebody who is logged in.
pub(crate) fn home(username: &str, views: u64, lifetime: Option<Duration>) -> Markup {
    let expires = match lifetime {
        Some(lifetime) => format!("in {}", in_words(lifetime)),
        None => "when the browser closes".to_owned(),
    };
    let main = html! {
        h1 { "Hello, " bdi { (username) } "." }
        p.lead { "Restart the server and come back: it will still know you." }
        div.sides {
            section.record aria-labelledby="server" {
                (SHELL)
                h2 #server { "The server knows" }
                dl {
                    div { dt { "Name" } dd { bdi { (username) } } }
                    div { dt { "Views" } dd { (views) } }
                    div { dt { "Expires" } dd { (expires) } }
                }
                p.note { "Each visit starts that time anew." }
            }
            section.ticket aria-labelledby="browser" {
                div.stub {
                    h2 #browser { "Your browser holds" }
                    p { code { "connect.sid" } }
                    p.seal aria-hidden="true" { code { "s:••••••••••••.••••••••••••" } }
                }
                p.note { "One ticket: a random number and its signature. It says nothing about you, and no script can read it." }
            }
        }
    };
    page(&format!("Hello, {username}"), &Visitor::Named(username), &main)
}

/// The login form, with what was typed and what is wrong with it.
pub(crate) fn login(username: &str, remember: bool, complaint: Option<&str>) -> Markup {
    let main = html! {
        div.narrow {
            h1 { "Log in" }
            p.lead #about { "Any name will do: this example asks for no password." }
            form.card method="post" action="/login" {
                label for="username" { "Name" }
                @if let Some(complaint) = complaint {
                    p.complaint #complaint { (complaint) }
                }
                input #username name="username" type="text" value=(username) autofocus
                    required maxlength="64" autocomplete="username" autocapitalize="words" spellcheck="false"
                    aria-invalid=[complaint.map(|_| "true")]
                    aria-describedby=(if complaint.is_some() { "complaint" } else { "about" });
                label.check {
                    input type="checkbox" name="remember" value="yes" checked[remember];
                    span { "Remember me for 30 days" }
                }
                button.button type="submit" { "Log in" }
            }
        }
    };
    let title = if complaint.is_some() { "Error: log in" } else { "Log in" };
    page(title, &Visitor::Unknown, &main)
}

/// A page for a path that leads nowhere.
pub(crate) fn not_found(username: Option<&str>, path: &str) -> Markup {
    let main = html! {
        p.kicker { "404" }
        h1 { "Nothing lives here" @if let Some(name) = username { ", " bdi { (name) } } "." }
        p.lead { "There is no page at " code { (path) } "." }
        p { a.button href="/" { "Go home" } }
    };
    page("Not found", &username.into(), &main)
}

/// A page for whatever else went wrong; it depends on no session.
pub(crate) fn failure(status: StatusCode) -> Markup {
    let words = match status {
        StatusCode::FORBIDDEN => "That form was sent by another site, so it was not accepted.",
        StatusCode::METHOD_NOT_ALLOWED => "This address takes a form; it is no page to visit.",
        StatusCode::PAYLOAD_TOO_LARGE => "That was more than this form takes.",
        StatusCode::SERVICE_UNAVAILABLE => {
            "The sessions cannot be reached just now. Nothing is lost: try again in a moment."
        }
        _ if status.is_server_error() => "Something broke on our side. The log says what.",
        _ => "The server cannot make sense of that request.",
    };
    let reason = status.canonical_reason().unwrap_or("Error");
    let main = html! {
        p.kicker { (status.as_u16()) }
        h1 { (reason) "." }
        p.lead { (words) }
        p { a.button href="/" { "Go home" } }
    };
    page(reason, &Visitor::Unknown, &main)
}

fn page(title: &str, visitor: &Visitor<'_>, main: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · Sessile" }
                link rel="icon" href=(ICON);
                link rel="stylesheet" href="/style.css";
            }
            body {
                a.skip href="#main" { "Skip to the content" }
                header.bar {
                    a.brand href="/" { (SHELL) "Sessile" }
                    (account(visitor))
                }
                main #main { (main) }
                footer { p { "An example of " strong { "Sessile" } ": the data stays on the server, only a signed ticket travels." } }
            }
        }
    }
}

fn account(visitor: &Visitor<'_>) -> Markup {
    match visitor {
        Visitor::Anonymous => html! { nav aria-label="Account" { a href="/login" { "Log in" } } },
        Visitor::Named(username) => html! {
            nav aria-label="Account" {
                span.who { span.hidden { "Logged in as " } bdi { (username) } }
                form method="post" action="/logout" { button type="submit" { "Log out" } }
            }
        },
        Visitor::Unknown => html! {},
    }
}

/// The shell again, as an icon that is no request of its own.
const ICON: &str = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 -21 96 96'%3E\
     %3Cpath fill='%23c98a3a' d='M43 5C29 7 14 28 4 50q44 8 88 0C80 28 59 7 43 5z'/%3E%3C/svg%3E";

/// Says how long `duration` is in the largest unit that tells enough.
fn in_words(duration: Duration) -> String {
    let minutes = duration.as_secs().div_ceil(60);
    let (count, unit) = match minutes {
        0..60 => (minutes, "minute"),
        60..2880 => (minutes.div_ceil(60), "hour"),
        _ => (minutes / 1440, "day"),
    };
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_said_in_human_words() {
        for (seconds, words) in [
            (1, "1 minute"),
            (90, "2 minutes"),
            (59 * 60, "59 minutes"),
            (3600, "1 hour"),
            (24 * 3600, "24 hours"),
            (30 * 86_400, "30 days"),
        ] {
            assert_eq!(in_words(Duration::from_secs(seconds)), words);
        }
    }
}
