//! The two forms that `connect-mongo` gives a record.

use std::sync::Arc;

use mongodb::bson::{Bson, RawBsonRef};
use sessile_core::{Record, StoreError, Version};

use super::objects;

/// What stands under `session` in a document. Mirrors `stringify`.
///
/// ```
/// use sessile::stores::MongoLayout;
///
/// assert_eq!(MongoLayout::default(), MongoLayout::Text);
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum MongoLayout {
    /// A BSON object: `stringify: false`.
    ///
    /// JSON text is not kept to the byte then, but to the value: spaces go, numbers are
    /// written as JavaScript writes them, of two equal keys the last one stays. Integers
    /// keep all their digits up to 34. (Beyond 2⁵³ Node sees an object in their place, a
    /// `Long` or a `Decimal128`.) A session is refused if it holds an integer of more
    /// digits, half a surrogate pair, the character NUL in a key, more than 98 levels or,
    /// before MongoDB 5.0, a key that begins with a dollar sign.
    ///
    /// What Node stored that JSON lacks reads as text if it is a date or an `ObjectId`, as
    /// a number if it is a `Long` or a `Decimal128`, and else as null. As long as nobody
    /// changes such a value it is stored again as it was.
    Objects,
    /// The record's JSON text, byte for byte: `stringify: true`.
    #[default]
    Text,
}

impl MongoLayout {
    /// Returns what to store for `record`, and the version that this is.
    pub(super) fn write(
        self,
        record: &Record,
        known: Option<&Version>,
    ) -> Result<(Bson, Version), StoreError> {
        match self {
            Self::Objects => objects::write(record, known),
            Self::Text => {
                let version = Version::text(Arc::clone(record.text()));
                Ok((Bson::from(&**record.text()), version))
            }
        }
    }

    /// Returns the text and the version of what is stored, or why there is none.
    pub(super) fn read(self, session: RawBsonRef<'_>) -> Result<(Arc<str>, Version), &'static str> {
        match self {
            Self::Objects => objects::read(session),
            Self::Text => {
                let text: Arc<str> = session.as_str().ok_or("its record is no text")?.into();
                Ok((Arc::clone(&text), Version::text(text)))
            }
        }
    }

    /// Returns what is stored in this version.
    pub(super) fn known(self, version: &Version) -> Option<Bson> {
        match self {
            Self::Objects => objects::known(version),
            Self::Text => version.as_text().map(|text| Bson::from(&**text)),
        }
    }
}
