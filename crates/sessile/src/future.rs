//! The response of a [`SessionService`](crate::SessionService).

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::header::{HeaderMap, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use pin_project_lite::pin_project;
use sessile_core::{Error, SessionHandle};

pin_project! {
    /// Waits for the handler's response, then for the store to acknowledge the session.
    ///
    /// What takes no waiting costs no allocation here.
    ///
    /// ```
    /// # use http::{Request, Response};
    /// # use sessile::{Error, Secrets, SessionHandle, SessionLayer};
    /// # use sessile_testkit::{FaultyStore, Op, ReferenceStore};
    /// # use tower::{Layer, Service, service_fn};
    /// # async fn handle(request: Request<()>) -> Result<Response<String>, Error> {
    /// #     let handle = request.extensions().get::<SessionHandle>().unwrap();
    /// #     handle.load().await?.insert("user", 7)?;
    /// #     Ok(Response::new("welcome".into()))
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let secrets = Secrets::new(["thirty-two bytes that nobody knows"])?;
    /// let store = FaultyStore::new(ReferenceStore::new());
    /// let mut service = SessionLayer::new(store.clone(), secrets).layer(service_fn(handle));
    /// store.fail(Op::Save);
    /// let response = service.call(Request::new(())).await?; // the handler welcomes …
    /// assert_eq!(response.status(), 503); // … whom the store does not know
    /// # Ok(()) }
    /// ```
    pub struct ResponseFuture<F, R> {
        // `None`: the request is refused.
        #[pin]
        handler: Option<F>,
        progress: Progress<R>,
    }
}

enum Progress<R> {
    Handling(Option<SessionHandle>),
    Refused(StatusCode),
    Committing(Box<Committing<R>>),
}

struct Committing<R> {
    response: Response<R>,
    commit: Commit,
}

/// The headers with what the session adds to them, and whether it was kept.
type Commit = Pin<Box<dyn Future<Output = (HeaderMap, Result<(), Error>)> + Send>>;

impl<F, R> ResponseFuture<F, R> {
    pub(crate) fn handling(handler: F, handle: Option<SessionHandle>) -> Self {
        Self { handler: Some(handler), progress: Progress::Handling(handle) }
    }

    pub(crate) fn refused(error: &Error) -> Self {
        tracing::error!(%error, "the cookie options made for a request cannot work");
        Self { handler: None, progress: Progress::Refused(error.status()) }
    }
}

impl<F, R, E> Future for ResponseFuture<F, R>
where
    F: Future<Output = Result<Response<R>, E>>,
    R: Default,
{
    type Output = Result<Response<R>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Progress::Handling(handle) = this.progress {
            let Some(handler) = this.handler.as_pin_mut() else { return Poll::Pending };
            let mut response = ready!(handler.poll(cx))?;
            let Some(handle) = handle.take() else { return Poll::Ready(Ok(response)) };
            let handle = match handle.commit_at_once(response.headers_mut()) {
                Ok(Ok(())) => return Poll::Ready(Ok(response)),
                Ok(Err(error)) => return Poll::Ready(Ok(failure(error.status()))),
                Err(handle) => handle,
            };
            *this.progress = Progress::Committing(Box::new(Committing::begin(handle, response)));
        }
        let committing = match this.progress {
            Progress::Committing(committing) => committing,
            Progress::Refused(status) => return Poll::Ready(Ok(failure(*status))),
            Progress::Handling(_) => return Poll::Pending,
        };
        let (headers, outcome) = ready!(committing.commit.as_mut().poll(cx));
        if let Err(error) = outcome {
            return Poll::Ready(Ok(failure(error.status())));
        }
        let mut response = std::mem::take(&mut committing.response);
        *response.headers_mut() = headers;
        Poll::Ready(Ok(response))
    }
}

impl<R> Committing<R> {
    fn begin(handle: SessionHandle, mut response: Response<R>) -> Self {
        let mut headers = std::mem::take(response.headers_mut());
        let commit = Box::pin(async move {
            let outcome = handle.commit(&mut headers).await;
            (headers, outcome)
        });
        Self { response, commit }
    }
}

/// What the client gets instead of a response that would promise what was not kept.
fn failure<R: Default>(status: StatusCode) -> Response<R> {
    let mut response = Response::new(R::default());
    *response.status_mut() = status;
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
    }
    response
}

impl<F, R> fmt::Debug for ResponseFuture<F, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
