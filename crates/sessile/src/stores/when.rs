//! Preconditions for threads.

use sessile_core::{Precondition, Version};

/// A [`Precondition`] that can travel to another thread.
pub(crate) enum When {
    Absent,
    Always,
    Exists,
    Unchanged(Version),
}

impl From<Precondition<'_>> for When {
    fn from(when: Precondition<'_>) -> Self {
        match when {
            Precondition::Absent => Self::Absent,
            Precondition::Exists => Self::Exists,
            Precondition::None => Self::Always,
            Precondition::Unchanged(version) => Self::Unchanged(version.clone()),
        }
    }
}
