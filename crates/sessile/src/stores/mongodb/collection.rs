//! What the store asks of its collection.

use mongodb::Collection;
use mongodb::bson::{Bson, Document, RawDocument, RawDocumentBuf, doc};
use mongodb::error::Error;
use sessile_core::{
    Cursor, Page, Precondition, Record, Saved, SessionCookie, SessionId, StoreError, Stored,
    Version,
};

use super::document::{Found, Shape, expired, fits_beside, living, of_id};
use super::error::{failure, is_duplicate};
use crate::stores::malformed::malformed;

/// How many documents a purge removes at once, so that saves wait for milliseconds only.
const PURGE_BATCH: i64 = 500;

/// The collection of sessions.
pub(super) struct Sessions {
    pub(super) documents: Collection<RawDocumentBuf>,
    pub(super) shape: Shape,
}

/// Which document a save is about, and whether it may make one.
enum Target {
    Create(Document),
    Impossible,
    Replace(Document),
    Upsert(Document),
}

impl Sessions {
    pub(super) async fn load(&self, id: &SessionId) -> Result<Option<Stored>, StoreError> {
        let found = self
            .documents
            .find_one(of_id(id))
            .projection(doc! { "expires": 1, "session": 1 })
            .await
            .map_err(|error| failure("load a session", error))?;
        Ok(found.and_then(|document| match self.shape.read(&document) {
            Found::Dead => None,
            Found::Lives(stored) => Some(stored),
            Found::Malformed(why) => malformed(id, why),
        }))
    }

    pub(super) async fn save(
        &self,
        id: &SessionId,
        record: &Record,
        when: Precondition<'_>,
    ) -> Result<Saved, StoreError> {
        let known = match when {
            Precondition::Unchanged(version) => Some(version),
            Precondition::Absent | Precondition::Exists | Precondition::None => None,
        };
        known.map_or(Ok(()), |known| fits_beside(record, known))?;
        let (fields, version) = self.shape.fields(record, known)?;
        let stored = match self.target(id, when) {
            Target::Impossible => Ok(false),
            Target::Create(filter) => self.create(filter, &fields).await,
            Target::Replace(filter) => self.update(filter, fields).await,
            Target::Upsert(filter) => self.upsert(filter, fields).await,
        };
        match (stored.map_err(|error| failure("save a session", error))?, when) {
            (true, _) => Ok(Saved::Saved(version)),
            (false, Precondition::Absent | Precondition::None) => Ok(Saved::Conflict),
            (false, Precondition::Exists) => Ok(Saved::Gone),
            (false, Precondition::Unchanged(_)) => self.why_not(id).await,
        }
    }

    fn target(&self, id: &SessionId, when: Precondition<'_>) -> Target {
        match when {
            Precondition::Absent => Target::Create(self.free(id)),
            Precondition::Exists => Target::Replace(self.shape.living(id)),
            Precondition::None => Target::Upsert(of_id(id)),
            Precondition::Unchanged(version) => {
                self.shape.unchanged(id, version).map_or(Target::Impossible, Target::Replace)
            }
        }
    }

    /// Returns the filter that only an expired session under `id` passes. An upsert with it
    /// meets a living one as a duplicate.
    pub(super) fn free(&self, id: &SessionId) -> Document {
        let mut filter = expired(self.shape.now());
        filter.insert("_id", id.as_str());
        filter
    }

    async fn create(&self, filter: Document, fields: &Document) -> Result<bool, Error> {
        // A replacement leaves nothing of the dead session behind.
        let replacement = RawDocumentBuf::try_from(fields)?;
        match self.documents.replace_one(filter, replacement).upsert(true).await {
            Err(error) if is_duplicate(&error) => Ok(false),
            created => created.map(|_| true),
        }
    }

    async fn update(&self, filter: Document, fields: Document) -> Result<bool, Error> {
        let updated = self.documents.update_one(filter, doc! { "$set": fields }).await?;
        Ok(updated.matched_count > 0)
    }

    async fn upsert(&self, filter: Document, fields: Document) -> Result<bool, Error> {
        let update = doc! { "$set": fields };
        let attempt = || self.documents.update_one(filter.clone(), update.clone()).upsert(true);
        // Of two upserts that meet, one finds the other's document the next time.
        match attempt().await {
            Err(error) if is_duplicate(&error) => attempt().await,
            first => first,
        }
        .map(|_| true)
    }

    pub(super) async fn touch(
        &self,
        id: &SessionId,
        cookie: &SessionCookie,
        since: Option<&Version>,
    ) -> Result<bool, StoreError> {
        let filter = match since {
            None => Some(self.shape.living(id)),
            Some(version) => self.shape.unchanged(id, version),
        };
        let touched = match filter {
            Some(filter) => self.update(filter, self.shape.touched(cookie)).await,
            None => Ok(false),
        };
        let touched = touched.map_err(|error| failure("touch a session", error))?;
        Ok(touched || since.is_some() && self.why_not(id).await? == Saved::Conflict)
    }

    pub(super) async fn destroy(&self, id: &SessionId) -> Result<bool, StoreError> {
        let removed = self
            .documents
            .find_one_and_delete(of_id(id))
            .projection(doc! { "expires": 1 })
            .await
            .map_err(|error| failure("destroy a session", error))?;
        Ok(removed.is_some_and(|document| self.shape.lived(&document)))
    }

    /// Says why a session was not what the caller had loaded.
    pub(super) async fn why_not(&self, id: &SessionId) -> Result<Saved, StoreError> {
        let found = self
            .documents
            .find_one(of_id(id))
            .projection(doc! { "expires": 1 })
            .await
            .map_err(|error| failure("look for a session", error))?;
        let lives = found.is_some_and(|document| self.shape.lived(&document));
        Ok(if lives { Saved::Conflict } else { Saved::Gone })
    }

    pub(super) async fn all(
        &self,
        from: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        let failed = |error| failure("list the sessions", error);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        if limit == 0 {
            return Ok(Page::default());
        }
        let mut filter = living(self.shape.now());
        // Ids are text. Whatever has another `_id` is no session of ours.
        let beginning = || doc! { "$gte": "" };
        filter.insert("_id", from.map_or_else(beginning, |last| doc! { "$gt": last.as_str() }));
        let find = self.documents.find(filter).sort(doc! { "_id": 1 }).limit(limit);
        let mut cursor =
            find.projection(doc! { "expires": 1, "session": 1 }).await.map_err(failed)?;
        let (mut sessions, mut last, mut seen) = (Vec::new(), None, 0);
        while cursor.advance().await.map_err(failed)? {
            seen += 1;
            let document = cursor.current();
            let Ok(id) = document.get_str("_id") else { continue };
            last = Some(Cursor::new(id));
            if let Found::Lives(stored) = self.shape.read(document) {
                sessions.push((SessionId::new(id), stored));
            }
        }
        Ok(Page::new(sessions, last.filter(|_| seen == limit)))
    }

    pub(super) async fn length(&self) -> Result<u64, StoreError> {
        let living = living(self.shape.now());
        let counted = self.documents.count_documents(living).await;
        counted.map_err(|error| failure("count the sessions", error))
    }

    pub(super) async fn clear(&self) -> Result<(), StoreError> {
        // To drop the collection would be quicker, and would take the index along.
        let cleared = self.documents.delete_many(doc! {}).await;
        cleared.map(drop).map_err(|error| failure("remove all sessions", error))
    }

    pub(super) async fn purge_expired(&self) -> Result<u64, StoreError> {
        let mut total = 0;
        loop {
            let (found, removed) = self
                .purge_some()
                .await
                .map_err(|error| failure("remove expired sessions", error))?;
            total += removed;
            if found < PURGE_BATCH {
                return Ok(total);
            }
        }
    }

    /// Removes some expired documents; returns how many it found, and how many it removed.
    async fn purge_some(&self) -> Result<(i64, u64), Error> {
        let mut filter = expired(self.shape.now());
        let find = self.documents.find(filter.clone()).limit(PURGE_BATCH);
        let mut cursor = find.projection(doc! { "_id": 1 }).await?;
        let mut ids = Vec::new();
        while cursor.advance().await? {
            ids.extend(id_of(cursor.current()));
        }
        let found = ids.len() as i64;
        if ids.is_empty() {
            return Ok((0, 0));
        }
        // The time again: a session that was touched meanwhile stays.
        filter.insert("_id", doc! { "$in": ids });
        let removed = self.documents.delete_many(filter).await?;
        Ok((found, removed.deleted_count))
    }
}

fn id_of(document: &RawDocument) -> Option<Bson> {
    Bson::try_from(document.get("_id").ok()??).ok()
}
