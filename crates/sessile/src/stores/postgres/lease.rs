//! A connection of the pool's, in somebody's hands.

use deadpool_postgres::Object;

/// A borrowed connection. If whoever holds it goes away in the middle, it is closed: the
/// server may be hanging, and the next one shall not wait behind a forgotten question.
pub(super) struct Lease(Option<Object>);

impl Lease {
    pub(super) fn new(client: Object) -> Self {
        Self(Some(client))
    }

    pub(super) fn client(&self) -> &Object {
        self.0.as_ref().expect("it is there until it is given back")
    }

    pub(super) fn client_mut(&mut self) -> &mut Object {
        self.0.as_mut().expect("it is there until it is given back")
    }

    /// Gives back a connection that waits for nothing.
    pub(super) fn give_back(mut self) {
        drop(self.0.take());
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(client) = self.0.take() {
            drop(Object::take(client));
        }
    }
}
