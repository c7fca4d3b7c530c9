//! What middleware holds: the session of its request, not loaded yet.

use std::fmt;
use std::sync::Arc;

use crate::visit::{SharedVisit, Visit};
use crate::{Error, Session};

/// A request's session before anybody looked at it: what middleware finds in
/// the request's extensions.
///
/// ```
/// use sessile_core::{Error, SessionHandle};
///
/// async fn is_logged_in(request: &http::Request<()>) -> Result<bool, Error> {
///     let Some(handle) = request.extensions().get::<SessionHandle>() else { return Ok(false) };
///     Ok(handle.load().await?.contains_key("userID"))
/// }
/// # use sessile_core::{Builder, Secrets, Sessions};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Error> {
/// # let secrets = Secrets::new(["thirty-two bytes that nobody knows"])?;
/// # let store = sessile_testkit::ReferenceStore::new();
/// # let sessions: Sessions = Builder::with_defaults(store, secrets);
/// # let (parts, ()) = http::Request::new(()).into_parts();
/// # let handle = sessions.begin(&parts, "/")?.unwrap();
///
/// let mut request = http::Request::new(());
/// assert!(!is_logged_in(&request).await?); // it passed no layer
/// # handle.load().await?.insert("userID", 7)?;
/// # request.extensions_mut().insert(handle);
/// # assert!(is_logged_in(&request).await?);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct SessionHandle {
    visit: SharedVisit,
    outer: Option<Arc<Self>>,
}

impl SessionHandle {
    pub(crate) fn new(visit: SharedVisit) -> Self {
        Self { visit, outer: None }
    }

    pub(crate) fn into_parts(self) -> (SharedVisit, Option<Arc<Self>>) {
        (self.visit, self.outer)
    }

    pub(crate) fn from_parts(visit: SharedVisit, outer: Option<Arc<Self>>) -> Self {
        Self { visit, outer }
    }

    pub(crate) fn visit(&self) -> &Visit {
        &self.visit
    }

    pub(crate) fn shared_visit(&self) -> &SharedVisit {
        &self.visit
    }

    /// Remembers the handle of a layer around this one.
    ///
    /// ```
    /// # use sessile_core::{Builder, Error, Secrets, Sessions};
    /// # use sessile_testkit::ReferenceStore;
    /// # fn main() -> Result<(), Error> {
    /// # let secrets = Secrets::new(["thirty-two bytes that nobody knows"])?;
    /// # let (request, ()) = http::Request::new(()).into_parts();
    /// # let sessions = |name: &str| -> Result<Sessions, Error> {
    /// #     Builder::new(ReferenceStore::new(), secrets.clone()).with_name(name).build()
    /// # };
    /// # let outer = sessions("site")?.begin(&request, "/")?;
    /// # let inner = sessions("admin")?.begin(&request, "/")?.unwrap();
    /// assert!(inner.named("site").is_none());
    /// assert!(inner.inside(outer).named("site").is_some());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn inside(mut self, outer: Option<Self>) -> Self {
        self.outer = outer.map(Arc::new);
        self
    }

    /// Returns the handle of the layer whose cookie is called `name`, of several around a handler.
    ///
    /// ```
    /// # use sessile_core::{Builder, Error, Secrets, Sessions};
    /// # fn main() -> Result<(), Error> {
    /// # let secrets = Secrets::new(["thirty-two bytes that nobody knows"])?;
    /// # let store = sessile_testkit::ReferenceStore::new();
    /// # let (request, ()) = http::Request::new(()).into_parts();
    /// let sessions: Sessions = Builder::new(store, secrets).with_name("admin").build()?;
    /// let handle = sessions.begin(&request, "/")?.unwrap();
    /// assert!(handle.named("admin").is_some());
    /// assert!(handle.named("connect.sid").is_none());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&Self> {
        if self.visit.inner().options.name == name {
            return Some(self);
        }
        self.outer.as_deref().and_then(|outer| outer.named(name))
    }

    /// Loads the session, the first time from the store; from then on it is at hand.
    /// If the store fails, this request does not ask it again.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) if the store fails,
    /// unless the layer answers that with
    /// [`OnStoreError::Anonymous`](crate::OnStoreError::Anonymous).
    /// No session is not an error: it is a new, empty one.
    ///
    /// ```
    /// # use sessile_core::{Builder, Error, ErrorKind, Secrets, Sessions};
    /// # use sessile_testkit::{FaultyStore, Op, ReferenceStore};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let secrets = Secrets::new(["thirty-two bytes that nobody knows"])?;
    /// # let store = FaultyStore::new(ReferenceStore::new());
    /// # let (mut request, ()) = http::Request::new(()).into_parts();
    /// # let ticket = format!("connect.sid=s:{}", secrets.sign("sid-1"));
    /// # request.headers.insert("cookie", ticket.parse().unwrap());
    /// # let sessions: Sessions = Builder::with_defaults(store.clone(), secrets);
    /// let handle = sessions.begin(&request, "/")?.unwrap();
    /// assert!(handle.load().await?.is_new()); // the store does not know the ticket's session
    /// handle.load().await?;
    /// assert_eq!(store.calls(Op::Load), 1);
    ///
    /// store.fail(Op::Load);
    /// let another = sessions.begin(&request, "/")?.unwrap();
    /// assert_eq!(another.load().await.unwrap_err().kind(), ErrorKind::Unavailable);
    /// # Ok(()) }
    /// ```
    pub async fn load(&self) -> Result<Session, Error> {
        if let Some(loaded) = self.visit.load_at_once() {
            loaded?.named = true;
        } else {
            self.visit.load().await?;
        }
        Ok(Session(SharedVisit::clone(&self.visit)))
    }
}

impl fmt::Debug for SessionHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionHandle(..)")
    }
}
