//! A session moves to another document.
//!
//! Where the server has transactions, in one. A server alone has none, and then the
//! new document comes before the old one goes: whoever crashes in between leaves the
//! session under its old id, as it was, and a copy under an id that nobody was told.

use mongodb::ClientSession;
use mongodb::bson::{Document, RawDocumentBuf};
use mongodb::error::{Error, TRANSIENT_TRANSACTION_ERROR, UNKNOWN_TRANSACTION_COMMIT_RESULT};
use sessile_core::{Record, Saved, SessionId, StoreError, Version};

use super::collection::Sessions;
use super::document::of_id;
use super::error::{failure, is_duplicate};

/// How often parallel transactions may be in each other's way.
const TRIES: usize = 50;

/// What became of the two documents.
enum Moved {
    Done,
    /// The old one is not what it was.
    NotThere,
    /// Somebody has the new id.
    Taken,
}

/// One rotation: the documents it is about.
struct Move<'m> {
    from: Document,
    free: Document,
    fields: &'m Document,
    to: &'m SessionId,
}

impl Sessions {
    pub(super) async fn rotate(
        &self,
        from: &SessionId,
        to: &SessionId,
        record: &Record,
        version: &Version,
    ) -> Result<Saved, StoreError> {
        let (fields, moved_to) = self.shape.fields(record, Some(version))?;
        let Some(old) = self.shape.unchanged(from, version) else {
            return self.why_not(from).await;
        };
        let order = Move { from: old, free: self.free(to), fields: &fields, to };
        let moved = if self.has_transactions {
            self.move_at_once(&order).await
        } else {
            self.move_in_steps(&order).await
        };
        match moved.map_err(|error| failure("give a session a new id", error))? {
            Moved::Done => Ok(Saved::Saved(moved_to)),
            Moved::NotThere => self.why_not(from).await,
            Moved::Taken => Ok(Saved::Conflict),
        }
    }

    async fn move_at_once(&self, order: &Move<'_>) -> Result<Moved, Error> {
        let mut session = self.documents.client().start_session().await?;
        let mut tries = 0;
        loop {
            tries += 1;
            match self.transaction(order, &mut session).await {
                Err(error)
                    if tries < TRIES && error.contains_label(TRANSIENT_TRANSACTION_ERROR) =>
                {
                    tokio::task::yield_now().await;
                }
                outcome => return outcome,
            }
        }
    }

    async fn transaction(
        &self,
        order: &Move<'_>,
        session: &mut ClientSession,
    ) -> Result<Moved, Error> {
        let mut start = session.start_transaction();
        if let Some(concern) = self.documents.write_concern() {
            start = start.write_concern(concern.clone());
        }
        start.await?;
        let removed = self.documents.delete_one(order.from.clone()).session(&mut *session).await;
        match removed {
            Ok(removed) if removed.deleted_count == 0 => {
                session.abort_transaction().await?;
                return Ok(Moved::NotThere);
            }
            Ok(_) => {}
            Err(error) => return Err(abort(session, error).await),
        }
        let new = RawDocumentBuf::try_from(order.fields)?;
        let create = self.documents.replace_one(order.free.clone(), new).upsert(true);
        match create.session(&mut *session).await {
            Ok(_) => commit(session).await.map(|()| Moved::Done),
            Err(error) if is_duplicate(&error) => {
                session.abort_transaction().await?;
                Ok(Moved::Taken)
            }
            Err(error) => Err(abort(session, error).await),
        }
    }

    async fn move_in_steps(&self, order: &Move<'_>) -> Result<Moved, Error> {
        if !self.create(order.free.clone(), order.fields).await? {
            return Ok(Moved::Taken);
        }
        let removed = self.documents.delete_one(order.from.clone()).await?;
        if removed.deleted_count > 0 {
            return Ok(Moved::Done);
        }
        self.documents.delete_one(of_id(order.to)).await?;
        Ok(Moved::NotThere)
    }
}

async fn abort(session: &mut ClientSession, error: Error) -> Error {
    // The server has ended it by itself, or will.
    let _ = session.abort_transaction().await;
    error
}

async fn commit(session: &mut ClientSession) -> Result<(), Error> {
    let mut tries = 0;
    loop {
        tries += 1;
        match session.commit_transaction().await {
            Err(error)
                if tries < TRIES && error.contains_label(UNKNOWN_TRANSACTION_COMMIT_RESULT) => {}
            committed => return committed,
        }
    }
}
