//! The service that a [`SessionLayer`](crate::SessionLayer) wraps around another.

use std::task::{Context, Poll};

use http::{Extensions, Request, Response};
use sessile_core::{SessionHandle, Sessions};
use tower_service::Service;

use crate::ResponseFuture;

/// Reads the ticket, hands the request on, commits the session.
///
/// ```
/// use http::{Request, Response};
/// use sessile::{Error, Secrets, SessionHandle, SessionLayer};
/// use tower::{Layer, ServiceExt, service_fn};
///
/// async fn handle(request: Request<()>) -> Result<Response<String>, Error> {
///     if let Some(handle) = request.extensions().get::<SessionHandle>() {
///         handle.load().await?.insert("user", 7)?;
///     }
///     Ok(Response::new("welcome".into()))
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Error> {
/// # let store = sessile_testkit::ReferenceStore::new();
/// let secrets = Secrets::new(["thirty-two bytes that nobody knows"])?;
/// let service = SessionLayer::new(store, secrets).layer(service_fn(handle));
/// let response = service.oneshot(Request::new(())).await?;
/// assert!(response.headers().contains_key("set-cookie"));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct SessionService<S> {
    inner: S,
    sessions: Sessions,
}

impl<S> SessionService<S> {
    pub(crate) fn new(inner: S, sessions: Sessions) -> Self {
        Self { inner, sessions }
    }
}

impl<S, B, R> Service<Request<B>> for SessionService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: Default,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    // Within its caller the future would be copied once more on its way to the heap.
    #[inline(never)]
    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let handle = match self.sessions.begin_whole(&request, requested_path(&request)) {
            Ok(handle) => handle,
            Err(error) => return ResponseFuture::refused(&error),
        };
        match &handle {
            Some(handle) => hand_over(handle.clone(), request.extensions_mut()),
            None => note_outside_path(request.extensions_mut()),
        }
        ResponseFuture::handling(self.inner.call(request), handle)
    }
}

/// The path that the client asked for: a nested router cuts its own part off.
fn requested_path<B>(request: &Request<B>) -> &str {
    #[cfg(feature = "axum")]
    if let Some(axum::extract::OriginalUri(uri)) = request.extensions().get() {
        return uri.path();
    }
    request.uri().path()
}

/// Lets the handler find its session, and those of layers around this one.
fn hand_over(handle: SessionHandle, extensions: &mut Extensions) {
    if let outer @ Some(_) = extensions.insert(handle)
        && let Some(own) = extensions.get_mut::<SessionHandle>()
    {
        *own = own.clone().inside(outer);
    }
}

fn note_outside_path(extensions: &mut Extensions) {
    #[cfg(feature = "axum")]
    SessionHandle::note_outside_path(extensions);
    #[cfg(not(feature = "axum"))]
    let _ = extensions;
}
