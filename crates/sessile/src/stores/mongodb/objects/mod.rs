//! Records as BSON objects: `connect-mongo` with `stringify: false`.
//!
//! JSON and BSON do not hold the same values. A record that is read and written again
//! keeps, member by member, the BSON of whatever reads the same as before; what is new
//! becomes what Node's driver would make of it.

mod read;
mod write;

use std::sync::Arc;

use mongodb::bson::{Bson, Document, RawBsonRef, RawDocument, RawDocumentBuf};
use sessile_core::{Record, StoreError, Version};

/// Returns the object for `record` and its version. `known` is what it replaces.
pub(super) fn write(
    record: &Record,
    known: Option<&Version>,
) -> Result<(Bson, Version), StoreError> {
    let old = known.and_then(bytes).and_then(|bytes| RawDocumentBuf::from_bytes(bytes).ok());
    let object = write::record(record, old.as_deref())
        .map_err(|why| StoreError::failed(format!("a session cannot be kept as BSON: {why}")))?;
    // A key may hold what BSON's cannot.
    let raw = RawDocumentBuf::try_from(&object).map_err(|_| {
        StoreError::failed("a session cannot be kept as BSON: a key contains the character NUL")
    })?;
    Ok((Bson::Document(object), version(raw.as_bytes())))
}

pub(super) fn read(session: RawBsonRef<'_>) -> Result<(Arc<str>, Version), &'static str> {
    let object = session.as_document().ok_or("its record is no object")?;
    let text = read::record(object).map_err(|_| "its record is no BSON")?;
    Ok((text.into(), version(object.as_bytes())))
}

/// Returns the object that has this version.
pub(super) fn known(version: &Version) -> Option<Bson> {
    let object = RawDocumentBuf::from_bytes(bytes(version)?).ok()?;
    Document::try_from(&*object as &RawDocument).ok().map(Bson::Document)
}

/// An object's bytes are its version. Only text fits: each byte becomes the character
/// of that number.
fn version(bytes: &[u8]) -> Version {
    Version::text(bytes.iter().map(|byte| char::from(*byte)).collect::<String>())
}

fn bytes(version: &Version) -> Option<Vec<u8>> {
    version.as_text()?.chars().map(|c| u8::try_from(c).ok()).collect()
}
