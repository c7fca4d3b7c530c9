//! No sessions: the cost that is everybody's.

use std::task::{Context, Poll};

use axum::Router;
use axum::routing::get;
use tower::Service;
use tower::layer::layer_fn;

pub(super) fn router() -> Router {
    let page = || async { "ok" };
    ["/page", "/read", "/count", "/create", "/seed"]
        .into_iter()
        .fold(Router::new(), |router, path| router.route(path, get(page)))
}

pub(super) fn router_with_layer() -> Router {
    router().layer(layer_fn(|inner| NoOp { inner }))
}

/// A middleware that does nothing.
#[derive(Clone)]
struct NoOp<S> {
    inner: S,
}

impl<S: Service<R>, R> Service<R> for NoOp<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> S::Future {
        self.inner.call(request)
    }
}
