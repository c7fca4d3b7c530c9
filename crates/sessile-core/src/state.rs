//! What one request knows about its session, and what it changed. No I/O.

use std::mem::take;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::HeaderMap;
use tokio::sync::OwnedMutexGuard;

use crate::clock::{from_millis, to_millis};
use crate::commit::{Facts, Fate, Stored};
use crate::cookie::Attributes;
use crate::data::{Change, Data, Quoted};
use crate::headers::vary_by_cookie;
use crate::keep_alive::Expiring;
use crate::keys::CREATED_AT;
use crate::save::Job;
use crate::tickets::Tickets;
use crate::turn::Turns;
use crate::unanswered::Unanswered;
use crate::{Error, ErrorKind, Record, SessionCookie, SessionId, Version, buffer};

/// Where a request's dealings with its session stand.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) phase: Phase,
    pub(crate) turns: Turns,
    /// Under `Concurrency::Lock`, what keeps other requests of the session out.
    pub(crate) lock: Option<Box<Lock>>,
    pub(crate) client_session_destroyed: bool,
    /// The handler looked at the session, so the response depends on it.
    pub(crate) named: bool,
    pub(crate) committed: bool,
    /// The memory of an earlier request's session.
    spare: Option<Box<Live>>,
}

/// The session that is locked, and its lock.
pub(crate) type Lock = (SessionId, OwnedMutexGuard<()>);

#[derive(Default)]
pub(crate) enum Phase {
    /// Nobody asked for it.
    #[default]
    Unloaded,
    /// The store could not say. Nothing may be written.
    Down,
    Live(Box<Live>),
    /// Destroyed, or found to be gone. The cookie is kept for clearing it.
    Destroyed(Option<Box<SessionCookie>>),
    /// The handler dropped it; what it was stays for `unset: destroy`.
    Unset(Box<Live>),
}

/// A session in the hands of a request.
pub(crate) struct Live {
    pub(crate) id: SessionId,
    /// The id is not the one that the request began with, Express's `originalId`.
    pub(crate) has_new_id: bool,
    pub(crate) cookie: SessionCookie,
    pub(crate) data: Data,
    pub(crate) original: Original,
    pub(crate) saved: SavedData,
    /// What this request did since `version`.
    pub(crate) changes: Vec<Change>,
    /// The state of the store's copy; `None` if there is none.
    pub(crate) version: Option<Version>,
    /// In milliseconds since 1970.
    pub(crate) stored_until: Option<i64>,
    /// The id under which it is stored, while `cycle_id` waits for the commit.
    pub(crate) rotate_from: Option<SessionId>,
    pub(crate) is_new: bool,
    pub(crate) lifetime_changed: bool,
    pub(crate) attributes_changed: bool,
    pub(crate) saved_by_handler: bool,
    pub(crate) touched: bool,
    /// When it was touched was known before it was loaded.
    pub(crate) touch_is_noted: bool,
    /// Saves that the store may or may not have done.
    pub(crate) unanswered: Unanswered,
}

/// What the data was when the request began.
pub(crate) enum Original {
    /// What it is: nothing changed.
    Current,
    /// Empty, as in a new session.
    Nothing,
    Other(Box<Data>),
}

impl Original {
    /// Remembers `data`, which is about to change, unless it did before.
    pub(crate) fn keep(&mut self, data: &Data) {
        if let Self::Current = self {
            *self =
                if data.has_items() { Self::Other(Box::new(data.clone())) } else { Self::Nothing };
        }
    }
}

/// What the store has, as far as this request knows: Express's `savedHash`.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum SavedData {
    /// What the session has.
    Current,
    /// Nothing known.
    Never,
    /// What the request began with.
    Original,
    /// Something older.
    Stale,
}

/// Memory for so many changes is worth keeping.
const SPARE_CHANGES: usize = 16;

/// A session that no store has.
impl Default for Live {
    fn default() -> Self {
        Self {
            id: SessionId::new(""),
            has_new_id: true,
            cookie: SessionCookie::new(Attributes::default()),
            data: Data::default(),
            original: Original::Current,
            saved: SavedData::Never,
            changes: Vec::new(),
            version: None,
            stored_until: None,
            rotate_from: None,
            is_new: true,
            lifetime_changed: false,
            attributes_changed: false,
            saved_by_handler: false,
            touched: false,
            touch_is_noted: false,
            unanswered: Unanswered::default(),
        }
    }
}

impl Live {
    /// Forgets the session, but not the memory it took.
    fn rest(&mut self) {
        let (data, mut changes) = (take(&mut self.data), take(&mut self.changes));
        changes.clear();
        changes.shrink_to(SPARE_CHANGES);
        *self = Self { data: data.emptied(), changes, ..Self::default() };
    }

    /// The id under which the store has it.
    pub(crate) fn stored_id(&self) -> &SessionId {
        self.rotate_from.as_ref().unwrap_or(&self.id)
    }

    pub(crate) fn change(&mut self, change: Change) -> Result<(), Error> {
        self.keep_original();
        change.apply(&mut self.data)?;
        self.changes.push(change);
        Ok(())
    }

    /// As [`change`](Self::change), where what comes of it is known.
    pub(crate) fn change_to(&mut self, change: Change, key: &Quoted, value: Arc<str>) {
        self.keep_original();
        self.data.insert(key, value);
        self.changes.push(change);
    }

    fn keep_original(&mut self) {
        self.original.keep(&self.data);
        if self.saved == SavedData::Current {
            self.saved = SavedData::Stale;
        }
    }

    /// Takes note of a change that changes nothing now, but would if another
    /// request had been first: what one request says holds together.
    pub(crate) fn restate(&mut self, change: Change) {
        self.changes.push(change);
    }

    pub(crate) fn has_unsaved_changes(&self) -> bool {
        !self.changes.is_empty()
            && match self.saved {
                SavedData::Current => false,
                SavedData::Stale => true,
                SavedData::Never | SavedData::Original => self.is_changed(),
            }
    }

    pub(crate) fn is_changed(&self) -> bool {
        match &self.original {
            Original::Current => false,
            Original::Nothing => self.data.has_items(),
            Original::Other(original) => **original != self.data,
        }
    }

    fn stored(&self, changed: bool) -> Stored {
        match self.saved {
            SavedData::Never => Stored::Unknown,
            SavedData::Current => Stored::Current,
            SavedData::Original if !changed => Stored::Current,
            SavedData::Original | SavedData::Stale => Stored::Stale,
        }
    }

    /// Puts the session together as the store shall have it.
    pub(crate) fn record(&self, max_bytes: usize) -> Result<Record, Error> {
        record_of(&self.data, self.cookie.clone(), max_bytes)
    }

    pub(crate) fn created_at(&self) -> Option<SystemTime> {
        created_at(&self.data)
    }

    pub(crate) fn set_created_at(&mut self, now: SystemTime) {
        let Ok(key) = Quoted::new(CREATED_AT) else { return };
        self.data.insert(&key, to_millis(now).to_string().into());
    }

    pub(crate) fn expiring(&self) -> Expiring<'_> {
        Expiring { id: self.stored_id(), cookie: &self.cookie, stored_until: self.stored_until }
    }

    pub(crate) fn touch_cookie(
        &mut self,
        now: impl Fn() -> SystemTime,
        absolute: Option<Duration>,
    ) {
        touch_cookie(&mut self.cookie, &self.data, now, absolute);
    }

    /// Takes note that the store has what the job saved, as `version`.
    pub(crate) fn saved_as(&mut self, version: Version, mut job: Job) {
        if job.merged.is_some() {
            self.original.keep(&self.data);
        }
        self.changes.drain(..job.changes.min(self.changes.len()));
        if let Some(merged) = job.merged.take() {
            self.data = merged;
            for change in &self.changes {
                // It was applied before; it can only fail if a closure fails on other
                // data, and then leaves that as it is.
                let _applied = change.apply(&mut self.data);
            }
        }
        let made_since = !self.changes.is_empty();
        self.saved = if made_since { SavedData::Stale } else { SavedData::Current };
        self.version = Some(version);
        self.unanswered.clear();
        self.cookie = job.into_cookie();
        self.stored_until = self.cookie.expires_millis();
        self.lifetime_changed = false;
        self.attributes_changed = false;
    }
}

fn created_at(data: &Data) -> Option<SystemTime> {
    data.get(CREATED_AT)?.parse().ok().map(from_millis)
}

/// Starts a cookie's lifetime anew, within the limit of `absolute_timeout`.
pub(crate) fn touch_cookie(
    cookie: &mut SessionCookie,
    data: &Data,
    now: impl Fn() -> SystemTime,
    absolute: Option<Duration>,
) {
    cookie.touch_by(&now);
    if let (Some(timeout), Some(_)) = (absolute, cookie.expires()) {
        let born = created_at(data).unwrap_or_else(now);
        // A time that no clock can tell never comes.
        if let Some(end) = born.checked_add(timeout) {
            cookie.cap(end);
        }
    }
}

pub(crate) fn record_of(
    data: &Data,
    cookie: SessionCookie,
    max_bytes: usize,
) -> Result<Record, Error> {
    let mut text = buffer::take();
    data.write(&cookie, &mut text);
    if text.len() > max_bytes {
        let message = format!(
            "the session's record is {} bytes, more than the {max_bytes} it may have",
            text.len()
        );
        return Err(Error::new(ErrorKind::Encode, message));
    }
    let record = Record::new(Arc::from(text.as_str()), cookie);
    buffer::give_back(text);
    Ok(record)
}

impl State {
    /// Gives the memory for a session, if there is some.
    pub(crate) fn take_spare(&mut self) -> Option<Box<Live>> {
        self.spare.take()
    }

    /// Forgets the request, but not the memory it took.
    pub(crate) fn rest(&mut self) {
        if let Phase::Live(mut live) = take(&mut self.phase) {
            live.rest();
            self.spare = Some(live);
        }
        *self = Self { spare: self.spare.take(), ..Self::default() };
    }

    /// Ends the request. The first `settled` changes need no saving any more;
    /// those made since by a clone of the session do.
    pub(crate) fn close(&mut self, headers: &mut HeaderMap, settled: usize) {
        if let Phase::Live(live) = &mut self.phase {
            live.changes.drain(..settled.min(live.changes.len()));
            live.unanswered.settle(settled);
        }
        if self.named {
            vary_by_cookie(headers);
        }
    }

    /// Lets the next request of the session in.
    pub(crate) fn release(&mut self) {
        self.committed = true;
        self.lock = None;
    }

    /// Begins the request with this session.
    pub(crate) fn begin(&mut self, mut live: Box<Live>) {
        live.has_new_id = false;
        self.phase = Phase::Live(live);
    }

    /// Returns the session if it can be changed.
    pub(crate) fn live(&mut self) -> Result<&mut Live, Error> {
        match &mut self.phase {
            Phase::Live(live) => Ok(live),
            Phase::Destroyed(_) | Phase::Unset(_) => Err(Error::gone()),
            Phase::Down | Phase::Unloaded => Err(Error::new(
                ErrorKind::ReadOnly,
                "the session store is unreachable, so the session cannot be changed",
            )),
        }
    }

    /// Returns the session if it can be read.
    pub(crate) fn readable(&self) -> Option<&Live> {
        match &self.phase {
            Phase::Live(live) => Some(live),
            Phase::Destroyed(_) | Phase::Down | Phase::Unloaded | Phase::Unset(_) => None,
        }
    }

    pub(crate) fn refuse_after_response(&self) -> Result<(), Error> {
        if self.committed {
            return Err(Error::new(
                ErrorKind::ResponseSent,
                "the response has left with its cookie; the session's id cannot change any more",
            ));
        }
        Ok(())
    }

    /// Gathers what the commit is decided by; `None` if there is nothing to commit.
    pub(crate) fn facts(&self, tickets: &Tickets, secure: bool, touch_due: bool) -> Option<Facts> {
        let nothing = Facts {
            fate: Fate::Destroyed,
            sent_by_client: false,
            new_id: false,
            rotated: false,
            changed: false,
            stored: Stored::Unknown,
            lifetime_changed: false,
            attributes_changed: false,
            expires: false,
            deliverable: true,
            saved_by_handler: false,
            client_session_destroyed: self.client_session_destroyed,
            touch_due,
        };
        let (fate, live) = match &self.phase {
            Phase::Unloaded | Phase::Down => return None,
            Phase::Destroyed(cookie) => {
                let deliverable = cookie.as_ref().is_some_and(|cookie| secure || !cookie.secure());
                return Some(Facts { deliverable, ..nothing });
            }
            Phase::Live(live) => (Fate::Live, live),
            Phase::Unset(live) => (Fate::Unset, live),
        };
        let changed = live.is_changed();
        Some(Facts {
            fate,
            sent_by_client: tickets.contains(&live.id),
            new_id: live.has_new_id,
            rotated: live.rotate_from.is_some(),
            changed,
            stored: live.stored(changed),
            lifetime_changed: live.lifetime_changed,
            attributes_changed: live.attributes_changed,
            expires: live.cookie.expires().is_some(),
            deliverable: secure || !live.cookie.secure(),
            saved_by_handler: live.saved_by_handler,
            ..nothing
        })
    }
}
