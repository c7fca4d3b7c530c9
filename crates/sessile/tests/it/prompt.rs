//! A store whose touches are done when the response leaves.
//!
//! The layer does not wait for them, so that the clock of a test could move first.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use sessile::{
    Capability, Cursor, Page, Precondition, Record, Saved, SessionCookie, SessionId, SessionStore,
    StoreError, Stored, Version,
};

#[derive(Debug)]
pub(crate) struct Prompt<S>(pub(crate) S);

impl<S: SessionStore> SessionStore for Prompt<S> {
    async fn load(&self, id: &SessionId) -> Result<Option<Stored>, StoreError> {
        self.0.load(id).await
    }

    async fn save(
        &self,
        id: &SessionId,
        record: &Record,
        when: Precondition<'_>,
    ) -> Result<Saved, StoreError> {
        self.0.save(id, record, when).await
    }

    async fn touch(
        &self,
        id: &SessionId,
        cookie: &SessionCookie,
        since: Option<&Version>,
    ) -> Result<bool, StoreError> {
        wait(self.0.touch(id, cookie, since))
    }

    async fn destroy(&self, id: &SessionId) -> Result<bool, StoreError> {
        self.0.destroy(id).await
    }

    async fn rotate(
        &self,
        from: &SessionId,
        to: &SessionId,
        record: &Record,
        version: &Version,
    ) -> Result<Saved, StoreError> {
        self.0.rotate(from, to, record, version).await
    }

    fn capabilities(&self) -> &'static [Capability] {
        self.0.capabilities()
    }

    async fn all(&self, from: Option<&Cursor>, limit: usize) -> Result<Page, StoreError> {
        self.0.all(from, limit).await
    }

    async fn length(&self) -> Result<u64, StoreError> {
        self.0.length().await
    }

    async fn clear(&self) -> Result<(), StoreError> {
        self.0.clear().await
    }
}

/// Blocks this thread; the store works on others.
fn wait<T>(work: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut work = pin!(work);
    loop {
        if let Poll::Ready(answer) = work.as_mut().poll(&mut Context::from_waker(&waker)) {
            return answer;
        }
        thread::park();
    }
}
