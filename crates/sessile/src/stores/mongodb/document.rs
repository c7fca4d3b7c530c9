//! What a session's document looks like, and what one that was found means.

use std::sync::Arc;
use std::time::Duration;

use mongodb::bson::{Bson, DateTime, Document, RawBsonRef, RawDocument, doc};
use sessile_core::{Clock, Record, SessionCookie, SessionId, StoreError, Stored, Version};

use super::layout::MongoLayout;
use crate::stores::instant::{expiry, from_millis, to_millis};

/// What a server takes in one command, which holds the new record and the one it
/// replaces, less what stands around them.
const MOST_BYTES: usize = 16 * 1024 * 1024 - 16 * 1024;

/// How sessions become documents.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) default_lifetime: Duration,
    pub(super) last_modified: bool,
    pub(super) layout: MongoLayout,
}

/// What a document says about its session.
#[derive(Debug)]
pub(super) enum Found {
    Dead,
    Lives(Stored),
    Malformed(&'static str),
}

impl Shape {
    pub(super) fn now(&self) -> DateTime {
        DateTime::from_millis(to_millis(self.clock.now()))
    }

    /// Returns when a session with `cookie` expires that is saved or touched now.
    pub(super) fn expiry(&self, cookie: &SessionCookie) -> DateTime {
        let now = self.now().timestamp_millis();
        DateTime::from_millis(expiry(cookie, now, self.default_lifetime))
    }

    /// Returns the fields that a save writes, in the order in which the server puts
    /// those of an upsert, and the version that they are. `known` is what they replace.
    pub(super) fn fields(
        &self,
        record: &Record,
        known: Option<&Version>,
    ) -> Result<(Document, Version), StoreError> {
        let bytes = record.text().len();
        if bytes > MOST_BYTES {
            let what =
                format!("a record of {bytes} bytes is too large: mongodb keeps 16 MB at most");
            return Err(StoreError::failed(what));
        }
        let (session, version) = self.layout.write(record, known)?;
        let mut fields = self.touched(record.cookie());
        fields.insert("session", session);
        Ok((fields, version))
    }

    /// Returns the fields that a touch writes.
    pub(super) fn touched(&self, cookie: &SessionCookie) -> Document {
        let mut fields = doc! { "expires": self.expiry(cookie) };
        if self.last_modified {
            fields.insert("lastModified", self.now());
        }
        fields
    }

    /// Returns the filter that only the session under `id` passes, and only if it lives.
    pub(super) fn living(&self, id: &SessionId) -> Document {
        let mut filter = living(self.now());
        filter.insert("_id", id.as_str());
        filter
    }

    /// Like [`living`](Self::living), and nobody saved it since `version`. `None` if no
    /// session can have that version.
    pub(super) fn unchanged(&self, id: &SessionId, version: &Version) -> Option<Document> {
        let mut filter = self.living(id);
        filter.insert("session", doc! { "$eq": self.layout.known(version)? });
        Some(filter)
    }

    pub(super) fn read(&self, document: &RawDocument) -> Found {
        let expires = match document.get("expires") {
            Ok(None) => None,
            Ok(Some(RawBsonRef::DateTime(expires))) if expires > self.now() => Some(expires),
            Ok(Some(RawBsonRef::DateTime(_))) => return Found::Dead,
            Ok(Some(_)) | Err(_) => return Found::Malformed("its expiry is no date"),
        };
        let Ok(Some(session)) = document.get("session") else {
            return Found::Malformed("it has no record");
        };
        match self.layout.read(session) {
            Ok((text, version)) => {
                let expires = expires.map(|expires| from_millis(expires.timestamp_millis()));
                Found::Lives(Stored::new(text, version, expires))
            }
            Err(why) => Found::Malformed(why),
        }
    }

    /// Tells whether a session lived whose document is gone now.
    pub(super) fn lived(&self, document: &RawDocument) -> bool {
        match document.get("expires") {
            Ok(None) => true,
            Ok(Some(RawBsonRef::DateTime(expires))) => expires > self.now(),
            Ok(Some(_)) | Err(_) => false,
        }
    }
}

/// The condition of `connect-mongo`, for which a session without an expiry never ends.
pub(super) fn living(now: DateTime) -> Document {
    doc! { "$or": [{ "expires": { "$exists": false } }, { "expires": { "$gt": now } }] }
}

pub(super) fn expired(now: DateTime) -> Document {
    doc! { "expires": { "$lte": now } }
}

pub(super) fn of_id(id: &SessionId) -> Document {
    doc! { "_id": Bson::from(id.as_str()) }
}

/// Says whether one command has room for a record and for the one that it replaces.
pub(super) fn fits_beside(record: &Record, known: &Version) -> Result<(), StoreError> {
    let bytes = record.text().len();
    let replaced = known.as_text().map_or(0, |text| text.len());
    if bytes + replaced <= MOST_BYTES {
        return Ok(());
    }
    Err(StoreError::failed(format!(
        "a record of {bytes} bytes cannot replace one of {replaced}: mongodb takes 16 MB at \
         once, which holds both"
    )))
}
