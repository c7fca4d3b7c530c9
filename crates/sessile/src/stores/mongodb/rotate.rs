//! A session moves to another document, by two statements of one command.
//!
//! The new document comes first, and only if nobody has its id; then the old one goes,
//! if it is what it was. Neither this process nor the network can come in between. A
//! server that crashes there leaves the session under its old id, as it was, and a copy
//! under an id that nobody was told. (A transaction would take three round trips, and a
//! server alone has none.)

use mongodb::bson::{Bson, DateTime, Document, doc, serialize_to_document};
use mongodb::error::Error;
use sessile_core::{Record, Saved, SessionId, StoreError, Version};

use super::collection::Sessions;
use super::document::fits_beside;
use super::error::{failure, is_duplicate_code, refused_code};

/// What became of the two documents.
#[derive(Debug, Eq, PartialEq)]
enum Moved {
    Done,
    /// The old one is not what it was; the new one is there.
    NotThere,
    /// The server refuses, with this code.
    Refused(i32),
    /// Somebody has the new id.
    Taken,
}

impl Sessions {
    pub(super) async fn rotate(
        &self,
        from: &SessionId,
        to: &SessionId,
        record: &Record,
        version: &Version,
    ) -> Result<Saved, StoreError> {
        const WHAT: &str = "give a session a new id";
        fits_beside(record, version)?;
        let Some(old) = self.shape.unchanged(from, version) else {
            return self.why_not(from).await;
        };
        let (fields, moved_to) = self.shape.fields(record, Some(version))?;
        let command = self.two_statements(old, self.free(to), fields.clone());
        let command = command.map_err(|error| failure(WHAT, error))?;
        let database = self.documents.client().database(&self.documents.namespace().db);
        let reply = database.run_command(command).await.map_err(|error| failure(WHAT, error))?;
        match outcome(&reply) {
            Moved::Done => Ok(Saved::Saved(moved_to)),
            Moved::NotThere => {
                self.take_back(to, fields).await.map_err(|error| failure(WHAT, error))?;
                self.why_not(from).await
            }
            Moved::Refused(code) => Err(refused_code(WHAT, code)),
            Moved::Taken => Ok(Saved::Conflict),
        }
    }

    fn two_statements(
        &self,
        old: Document,
        free: Document,
        fields: Document,
    ) -> Result<Document, Error> {
        // An update cannot remove. The document is dead, and goes as all the dead do.
        let end = doc! {
            "$set": { "expires": DateTime::from_millis(0) }, "$unset": { "session": "" }
        };
        let mut command = doc! {
            "update": self.documents.name(),
            "ordered": true,
            "updates": [{ "q": free, "u": fields, "upsert": true }, { "q": old, "u": end }],
        };
        if let Some(concern) = self.documents.write_concern() {
            command.insert("writeConcern", serialize_to_document(concern)?);
        }
        Ok(command)
    }

    /// Removes the new document, unless somebody has come upon it and changed it.
    async fn take_back(&self, to: &SessionId, fields: Document) -> Result<(), Error> {
        let mut ours = doc! { "_id": to.as_str() };
        ours.insert("session", doc! { "$eq": fields.get("session") });
        self.documents.delete_one(ours).await.map(drop)
    }
}

/// Reads what the server says about the two statements, of which the second runs only
/// if the first did.
fn outcome(reply: &Document) -> Moved {
    if let Ok([Bson::Document(error), ..]) = reply.get_array("writeErrors").map(Vec::as_slice) {
        let code = error.get_i32("code").unwrap_or_default();
        let is_first = error.get_i32("index").unwrap_or_default() == 0;
        return if is_first && is_duplicate_code(code) {
            Moved::Taken
        } else {
            Moved::Refused(code)
        };
    }
    if let Ok(error) = reply.get_document("writeConcernError") {
        return Moved::Refused(error.get_i32("code").unwrap_or_default());
    }
    if reply.get_i32("n").unwrap_or_default() == 2 { Moved::Done } else { Moved::NotThere }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reply_says_how_far_it_came() {
        let error = |index: i32, code: i32| doc! { "n": 0, "writeErrors": [{ "index": index, "code": code }] };
        for (reply, moved) in [
            (doc! { "n": 2, "nModified": 1, "upserted": [{ "index": 0 }] }, Moved::Done),
            (doc! { "n": 1, "upserted": [{ "index": 0 }] }, Moved::NotThere),
            (error(0, 11_000), Moved::Taken),
            (error(0, 10_334), Moved::Refused(10_334)),
            (error(1, 11_000), Moved::Refused(11_000)),
            (doc! { "n": 2, "writeConcernError": { "code": 64 } }, Moved::Refused(64)),
        ] {
            assert_eq!(outcome(&reply), moved, "{reply}");
        }
    }
}
