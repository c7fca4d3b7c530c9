//! Extractors for axum.

use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use axum_core::response::{IntoResponse, Response};
use http::header::{HeaderValue, RETRY_AFTER};
use http::request::Parts;
use http::{Extensions, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Error, ErrorKind, Session, SessionHandle, Typed};

/// Marks a request that passed a session layer but lies outside its cookie's path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OutsidePath;

impl SessionHandle {
    /// Takes note in a request's extensions that it has no session, so that an
    /// extractor can tell why.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use axum_core::extract::FromRequestParts;
    /// use sessile_core::{ErrorKind, Session, SessionHandle};
    ///
    /// let (mut parts, ()) = http::Request::new(()).into_parts();
    /// SessionHandle::note_outside_path(&mut parts.extensions);
    /// let error = Session::from_request_parts(&mut parts, &()).await.unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::OutsidePath); // without the note: MissingLayer
    /// # }
    /// ```
    pub fn note_outside_path(extensions: &mut Extensions) {
        extensions.insert(OutsidePath);
    }
}

fn handle(parts: &Parts) -> Result<&SessionHandle, Error> {
    let missing = || {
        if parts.extensions.get::<OutsidePath>().is_some() {
            return Error::new(
                ErrorKind::OutsidePath,
                "this path lies outside the session cookie's Path; extract Option<Session> here, or widen the Path",
            );
        }
        Error::new(
            ErrorKind::MissingLayer,
            "no session: add a SessionLayer to the router, `Router::layer(sessions)`, below this route",
        )
    };
    parts.extensions.get::<SessionHandle>().ok_or_else(missing)
}

impl<S: Send + Sync> FromRequestParts<S> for Session {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        handle(parts)?.load().await
    }
}

/// `None` where there is no session to be had: no layer, or outside the cookie's path.
impl<S: Send + Sync> OptionalFromRequestParts<S> for Session {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Error> {
        match handle(parts) {
            Ok(handle) => handle.load().await.map(Some),
            Err(_) => Ok(None),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for SessionHandle {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        handle(parts).cloned()
    }
}

impl<S, T> FromRequestParts<S> for Typed<T>
where
    S: Send + Sync,
    T: Default + DeserializeOwned + Serialize,
{
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        Self::new(handle(parts)?.load().await?)
    }
}

/// A handler may answer with any error of Sessile. The client is told no more
/// than the status says, but for mistakes in the program, which say what to do.
impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let status = self.status();
        let words = match self.kind() {
            ErrorKind::MissingLayer | ErrorKind::OutsidePath => self.to_string(),
            _ => status.canonical_reason().unwrap_or_default().to_owned(),
        };
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            let cause = std::error::Error::source(&self).map(tracing::field::display);
            tracing::error!(error = %self, cause, "a handler failed on its session");
        }
        let mut response = (status, words).into_response();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
        }
        response
    }
}
