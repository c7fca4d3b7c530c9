//! What the site does. The session part is what there is to learn here.

use std::time::Duration;

use axum::extract::{DefaultBodyLimit, Form};
use axum::http::header::{self, HeaderValue};
use axum::http::{StatusCode, Uri};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Router, body::Body};
use maud::Markup;
use serde::Deserialize;
use sessile::{CookieOptions, Error, Secrets, Session, SessionLayer, SessionStore};
use tower_http::csrf::CsrfLayer;

use crate::pages;

const AN_HOUR: Duration = Duration::from_secs(60 * 60);
const A_MONTH: Duration = Duration::from_secs(30 * 24 * 60 * 60);
const LONGEST_NAME: usize = 64;

/// The site, with its sessions in `store` and their cookies signed with `secrets`.
///
/// # Errors
///
/// If the cookie's options are ones that browsers refuse, which these are not.
pub fn app(store: impl SessionStore, secrets: Secrets) -> Result<Router, Error> {
    let sessions = SessionLayer::builder(store, secrets)
        .with_cookie(CookieOptions::default().with_max_age(AN_HOUR))
        .with_rolling(true)
        .build()?;

    Ok(Router::new()
        .route("/", get(home))
        .route("/login", get(login_form).post(login))
        .route("/logout", post(logout))
        .fallback(not_found)
        .layer(sessions)
        .route("/user/login", get(async || Redirect::permanent("/login")))
        .layer(DefaultBodyLimit::max(4096))
        .layer(CsrfLayer::new())
        .layer(map_response(finish))
        .route("/style.css", get(style)))
}

#[derive(Deserialize)]
struct Login {
    #[serde(default)]
    username: String,
    remember: Option<String>,
}

async fn home(session: Session) -> Result<Markup, Error> {
    let Some(username) = session.get::<String>("username")? else { return Ok(pages::welcome()) };
    let views = session.update("views", |views: Option<u64>| views.unwrap_or(0) + 1)?;
    Ok(pages::home(&username, views, session.cookie().original_max_age()))
}

async fn login(session: Session, Form(form): Form<Login>) -> Result<Response, Error> {
    let username = form.username.trim();
    if let Err(complaint) = check(username) {
        let page = pages::login(username, form.remember.is_some(), Some(complaint));
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response());
    }
    session.regenerate().await?; // whatever id an attacker planted stays behind
    session.insert("username", username)?;
    if form.remember.is_some() {
        session.cookie().set_max_age(Some(A_MONTH))?;
    }
    Ok(Redirect::to("/").into_response())
}

async fn logout(session: Session) -> Result<Redirect, Error> {
    session.destroy().await?;
    Ok(Redirect::to("/"))
}

async fn login_form(session: Session) -> Result<Response, Error> {
    if session.contains_key("username") {
        return Ok(Redirect::to("/").into_response());
    }
    Ok(pages::login("", false, None).into_response())
}

async fn not_found(session: Session, uri: Uri) -> Result<(StatusCode, Markup), Error> {
    let username: Option<String> = session.get("username")?;
    Ok((StatusCode::NOT_FOUND, pages::not_found(username.as_deref(), uri.path())))
}

fn check(username: &str) -> Result<(), &'static str> {
    match username.chars().count() {
        0 => Err("Enter a name."),
        1..=LONGEST_NAME => Ok(()),
        _ => Err("Enter a name of at most 64 characters."),
    }
}

async fn style() -> impl IntoResponse {
    let headers =
        [(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::CACHE_CONTROL, "max-age=60")];
    (headers, pages::STYLE)
}

/// Gives every answer its headers, and every error that is not a page yet a page.
async fn finish(mut response: Response) -> Response {
    let status = response.status();
    let is_error = status.is_client_error() || status.is_server_error();
    if is_error && !is_page(&response) {
        *response.body_mut() = Body::from(pages::failure(status).into_string());
        response.headers_mut().remove(header::CONTENT_LENGTH);
        set(&mut response, header::CONTENT_TYPE, PAGE);
    }
    // `no-store`: after a logout the back button asks the server, not a cache.
    set(&mut response, header::CACHE_CONTROL, "no-store");
    set(&mut response, header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY);
    set(&mut response, header::REFERRER_POLICY, "same-origin");
    set(&mut response, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    response
}

const PAGE: &str = "text/html; charset=utf-8";
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; img-src data:; \
     form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

fn is_page(response: &Response) -> bool {
    response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == PAGE)
}

fn set(response: &mut Response, name: header::HeaderName, value: &'static str) {
    response.headers_mut().insert(name, HeaderValue::from_static(value));
}
