//! The two forms that `connect-mongo` gives a record.

use std::sync::Arc;

use mongodb::bson::{Bson, RawBsonRef};
use sessile_core::{Record, StoreError, Version};

/// What stands under `session`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Layout {
    /// The record's JSON text: `stringify: true`.
    #[default]
    Text,
}

impl Layout {
    /// Returns what to store for `record`, and the version that this is.
    pub(super) fn write(
        self,
        record: &Record,
        _known: Option<&Version>,
    ) -> Result<(Bson, Version), StoreError> {
        match self {
            Self::Text => {
                let version = Version::text(Arc::clone(record.text()));
                Ok((Bson::from(&**record.text()), version))
            }
        }
    }

    /// Returns the text and the version of what is stored, or why there is none.
    pub(super) fn read(self, session: RawBsonRef<'_>) -> Result<(Arc<str>, Version), &'static str> {
        match self {
            Self::Text => {
                let text = session.as_str().ok_or("its record is no text")?;
                let text: Arc<str> = text.into();
                Ok((Arc::clone(&text), Version::text(text)))
            }
        }
    }

    /// Returns what is stored in this version.
    pub(super) fn known(self, version: &Version) -> Option<Bson> {
        match self {
            Self::Text => version.as_text().map(|text| Bson::from(&**text)),
        }
    }
}
