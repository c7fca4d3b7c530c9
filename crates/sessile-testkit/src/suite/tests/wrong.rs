//! Stores that are wrong in one way each.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use serde_json::Value;
use sessile_core::{
    Capability, Clock, Cursor, Page, Precondition, Record, Saved, SessionCookie, SessionId,
    SessionStore, StoreError, Stored, Version,
};

use super::DAY;
use crate::{ReferenceStore, TestClock};

/// What a store does wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Wrong {
    AbsentOverwrites,
    AbsentSeesTheExpired,
    ChecksThenActs,
    ClearsNothing,
    CountsVersionsPerId,
    DeclaresNothing,
    DestroysByPrefix,
    DropsEndlessSessions,
    ExistsCreates,
    FindsByText,
    FindsNobody,
    FoldsCase,
    GivesWrongVersions,
    IgnoresTime,
    KeepsTheExpired,
    ListsByOffset,
    ListsTheLastAgain,
    LoadChangesTheVersion,
    LoadFindsAnybody,
    LoadForgetsTheExpiry,
    LoadRecordFindsTheDead,
    LoadReformats,
    NoneIsAbsent,
    PrintsIds,
    PurgesSilently,
    RotateCopies,
    RotateCreates,
    RotateIgnoresTheVersion,
    RotateTakesOver,
    RotatesInSteps,
    RoundsUpToSeconds,
    SaysItDestroyed,
    TouchChangesTheVersion,
    TouchCreates,
    TouchDoesNothing,
    TouchIgnoresSince,
    TouchWritesBack,
    TrimsIds,
    UnchangedIsExists,
    UnchangedIsNone,
}

/// Each wrong store, and the trials that must fail on it.
pub(super) const ALL: &[(Wrong, &[&str])] = &[
    (Wrong::AbsentOverwrites, &["save_absent_creates_once", "a_colliding_id_takes_nobody_over"]),
    (Wrong::AbsentSeesTheExpired, &["save_absent_replaces_the_expired"]),
    (
        Wrong::ChecksThenActs,
        &[
            "save_unchanged_lets_one_of_many_win",
            "destroyed_stays_dead_when_a_save_comes_late",
            "either_a_save_or_a_rotation_wins",
            "rotated_stays_dead_when_a_save_or_touch_comes_late",
            "twenty_parallel_keys_all_survive",
            "a_hundred_parallel_increments_count_to_a_hundred",
        ],
    ),
    (Wrong::ClearsNothing, &["clear_empties", "cleared_sessions_stay_dead"]),
    (
        Wrong::CountsVersionsPerId,
        &[
            "save_unchanged_never_resurrects",
            "rotate_detects_a_change",
            "cleared_sessions_stay_dead",
        ],
    ),
    (Wrong::DeclaresNothing, &["undeclared_operations_are_unsupported"]),
    (Wrong::DestroysByPrefix, &["destroy_leaves_the_others"]),
    (Wrong::DropsEndlessSessions, &["no_expiry_means_the_default_lifetime"]),
    (
        Wrong::ExistsCreates,
        &["save_exists_never_creates", "destroyed_stays_dead_when_a_save_comes_late"],
    ),
    (Wrong::FindsByText, &["find_by_user_finds_theirs_and_no_others"]),
    (Wrong::FindsNobody, &["find_by_user_finds_theirs_and_no_others", "revoked_users_stay_out"]),
    (Wrong::FoldsCase, &["ids_are_compared_exactly", "destroy_leaves_the_others"]),
    (Wrong::GivesWrongVersions, &["save_returns_the_version_to_save_with"]),
    (
        Wrong::IgnoresTime,
        &[
            "load_expired_is_none",
            "save_absent_replaces_the_expired",
            "save_exists_never_creates",
            "save_unchanged_never_resurrects",
            "touch_never_resurrects",
            "destroy_says_whether_it_lived",
            "rotate_never_resurrects",
            "all_leaves_out_the_expired",
            "find_by_user_finds_theirs_and_no_others",
            "length_counts_only_the_living",
            "purge_removes_only_the_expired",
        ],
    ),
    (Wrong::KeepsTheExpired, &["save_expired_leaves_nothing"]),
    (Wrong::ListsByOffset, &["all_goes_on_when_sessions_come_and_go"]),
    (Wrong::ListsTheLastAgain, &["all_lists_every_session_once"]),
    (Wrong::LoadChangesTheVersion, &["load_twice_gives_the_same_version"]),
    (Wrong::LoadFindsAnybody, &["load_unknown_is_none"]),
    (Wrong::LoadForgetsTheExpiry, &["load_reports_the_expiry"]),
    (Wrong::LoadRecordFindsTheDead, &["load_record_gives_what_load_gives"]),
    (Wrong::LoadReformats, &["load_returns_what_was_saved", "records_survive_byte_for_byte"]),
    (Wrong::NoneIsAbsent, &["save_unconditionally_stores"]),
    (Wrong::PrintsIds, &["debug_prints_no_secrets"]),
    (Wrong::PurgesSilently, &["purge_removes_only_the_expired"]),
    (
        Wrong::RotateCopies,
        &["rotate_moves_the_session", "rotated_stays_dead_when_a_save_or_touch_comes_late"],
    ),
    (
        Wrong::RotateCreates,
        &["rotate_never_resurrects", "destroyed_stays_dead_when_a_rotation_comes_late"],
    ),
    (Wrong::RotateIgnoresTheVersion, &["rotate_detects_a_change"]),
    (Wrong::RotateTakesOver, &["rotate_takes_nobody_over"]),
    (
        Wrong::RotatesInSteps,
        &[
            "rotate_lets_one_of_many_win",
            "destroyed_stays_dead_when_a_rotation_comes_late",
            "either_a_save_or_a_rotation_wins",
        ],
    ),
    (Wrong::RoundsUpToSeconds, &["save_expired_leaves_nothing"]),
    (Wrong::SaysItDestroyed, &["destroy_says_whether_it_lived"]),
    (Wrong::TouchChangesTheVersion, &["touch_is_not_a_change"]),
    (
        Wrong::TouchCreates,
        &["touch_never_resurrects", "destroyed_stays_dead_when_a_touch_comes_late"],
    ),
    (Wrong::TouchDoesNothing, &["touch_moves_only_the_expiry", "load_reports_the_expiry"]),
    (Wrong::TouchIgnoresSince, &["touch_leaves_a_changed_session_alone"]),
    (Wrong::TouchWritesBack, &["touch_keeps_concurrent_saves"]),
    (Wrong::TrimsIds, &["ids_are_compared_exactly"]),
    (
        Wrong::UnchangedIsExists,
        &[
            "save_unchanged_detects_a_change",
            "save_unchanged_lets_one_of_many_win",
            "twenty_parallel_keys_all_survive",
            "a_hundred_parallel_increments_count_to_a_hundred",
        ],
    ),
    (
        Wrong::UnchangedIsNone,
        &[
            "save_unchanged_never_resurrects",
            "destroyed_stays_dead_when_a_save_comes_late",
            "cleared_sessions_stay_dead",
        ],
    ),
];

/// The reference store with one thing wrong.
pub(super) struct WrongStore {
    right: ReferenceStore,
    wrong: Wrong,
    clock: TestClock,
    /// The first version of each id that was ever created.
    born: Mutex<HashMap<SessionId, u64>>,
    /// What was loaded as a record alone.
    seen: Mutex<HashMap<SessionId, Stored>>,
}

impl WrongStore {
    pub(super) fn new(wrong: Wrong, clock: &TestClock) -> Self {
        let standing = TestClock::new();
        let theirs = if wrong == Wrong::IgnoresTime { standing } else { clock.clone() };
        let right = ReferenceStore::with_clock(theirs);
        Self { right, wrong, clock: clock.clone(), born: Mutex::default(), seen: Mutex::default() }
    }

    fn is(&self, wrong: Wrong) -> bool {
        self.wrong == wrong
    }

    fn id(&self, id: &SessionId) -> SessionId {
        match self.wrong {
            Wrong::FoldsCase => SessionId::new(id.as_str().to_lowercase()),
            Wrong::TrimsIds => SessionId::new(id.as_str().trim_end()),
            _ => id.clone(),
        }
    }

    /// Returns when the wrong store lets `expires` be.
    fn expiry(&self, expires: Option<SystemTime>) -> Option<SystemTime> {
        match (self.wrong, expires) {
            (Wrong::KeepsTheExpired, Some(at)) if at <= self.clock.now() => None,
            (Wrong::DropsEndlessSessions, None) => Some(self.clock.now() + DAY),
            (Wrong::RoundsUpToSeconds, Some(at)) => {
                let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                Some(SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs() + 1))
            }
            _ => expires,
        }
    }

    /// Saves, then lets the session expire when the wrong store wants it to.
    async fn put(
        &self,
        id: &SessionId,
        record: &Record,
        when: Precondition<'_>,
    ) -> Result<Saved, StoreError> {
        let meant = record.cookie().expires();
        let kept = self.expiry(meant);
        if kept == meant {
            return self.right.save(id, record, when).await;
        }
        let mut cookie = record.cookie().clone();
        cookie.set_expires(kept, self.clock.now());
        let text = Record::with_cookie(record.text(), &cookie).unwrap();
        self.right.save(id, &Record::parse(text).unwrap(), when).await
    }

    async fn version(&self, id: &SessionId) -> Result<Option<Version>, StoreError> {
        Ok(self.right.load(id).await?.map(|stored| stored.version))
    }

    /// Lets other requests go first.
    async fn dawdle(&self) {
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }

    /// Translates a version into one that begins at 1 for each id.
    fn count_from_birth(&self, id: &SessionId, version: &Version) -> Version {
        let born = *self.born.lock().unwrap().get(id).unwrap_or(&0);
        Version::number(version.as_number().unwrap() - born)
    }

    fn count_from_start(&self, id: &SessionId, version: &Version) -> Version {
        let born = *self.born.lock().unwrap().get(id).unwrap_or(&0);
        Version::number(version.as_number().unwrap() + born)
    }

    async fn save_counting_per_id(
        &self,
        id: &SessionId,
        record: &Record,
        when: Precondition<'_>,
    ) -> Result<Saved, StoreError> {
        let lives = self.version(id).await?.is_some();
        let saved = match when {
            Precondition::Unchanged(version) => {
                let version = self.count_from_start(id, version);
                self.right.save(id, record, Precondition::Unchanged(&version)).await?
            }
            _ => self.right.save(id, record, when).await?,
        };
        let Saved::Saved(version) = saved else { return Ok(saved) };
        if !lives {
            self.born.lock().unwrap().insert(id.clone(), version.as_number().unwrap() - 1);
        }
        Ok(Saved::Saved(self.count_from_birth(id, &version)))
    }
}

impl fmt::Debug for WrongStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let born = self.born.lock().unwrap();
        let ids = born.keys().map(SessionId::as_str).filter(|_| self.is(Wrong::PrintsIds));
        f.debug_list().entries(ids).finish()
    }
}

impl SessionStore for WrongStore {
    async fn load(&self, id: &SessionId) -> Result<Option<Stored>, StoreError> {
        let id = &self.id(id);
        let Some(mut stored) = self.right.load(id).await? else {
            let anybody = self.is(Wrong::LoadFindsAnybody);
            let mut page = self.right.all(None, usize::from(anybody)).await?;
            return Ok(page.sessions.pop().map(|(_, stored)| stored));
        };
        match self.wrong {
            Wrong::CountsVersionsPerId => {
                stored.version = self.count_from_birth(id, &stored.version)
            }
            Wrong::LoadChangesTheVersion => {
                let record = Record::parse(stored.text).unwrap();
                self.right.save(id, &record, Precondition::None).await?;
                return self.right.load(id).await;
            }
            Wrong::LoadForgetsTheExpiry => stored.expires = None,
            Wrong::LoadReformats => {
                let value: Value = serde_json::from_str(&stored.text).unwrap_or_default();
                stored.text = Arc::from(value.to_string());
            }
            _ => {}
        }
        Ok(Some(stored))
    }

    async fn load_record(&self, id: &SessionId) -> Result<Option<Stored>, StoreError> {
        let stored = self.load(id).await?;
        let mut seen = self.seen.lock().unwrap();
        if let Some(stored) = &stored {
            seen.insert(id.clone(), stored.clone());
        }
        Ok(stored.or_else(|| seen.remove(id).filter(|_| self.is(Wrong::LoadRecordFindsTheDead))))
    }

    async fn save(
        &self,
        id: &SessionId,
        record: &Record,
        when: Precondition<'_>,
    ) -> Result<Saved, StoreError> {
        let id = &self.id(id);
        if self.is(Wrong::CountsVersionsPerId) {
            return self.save_counting_per_id(id, record, when).await;
        }
        let known = self.born.lock().unwrap().insert(id.clone(), 0).is_some();
        let when = match (self.wrong, when) {
            (Wrong::AbsentOverwrites, Precondition::Absent)
            | (Wrong::ExistsCreates, Precondition::Exists)
            | (Wrong::UnchangedIsNone, Precondition::Unchanged(_)) => Precondition::None,
            (Wrong::UnchangedIsExists, Precondition::Unchanged(_)) => Precondition::Exists,
            (Wrong::NoneIsAbsent, Precondition::None) => Precondition::Absent,
            (Wrong::AbsentSeesTheExpired, Precondition::Absent) if known => {
                return Ok(Saved::Conflict);
            }
            (Wrong::ChecksThenActs, Precondition::Unchanged(version)) => {
                match self.version(id).await? {
                    None => return Ok(Saved::Gone),
                    Some(current) if current != *version => return Ok(Saved::Conflict),
                    Some(_) => self.dawdle().await,
                }
                Precondition::None
            }
            (_, when) => when,
        };
        let saved = self.put(id, record, when).await?;
        let wrong = self.is(Wrong::GivesWrongVersions) && matches!(saved, Saved::Saved(_));
        Ok(if wrong { Saved::Saved(Version::number(0)) } else { saved })
    }

    async fn touch(
        &self,
        id: &SessionId,
        cookie: &SessionCookie,
        since: Option<&Version>,
    ) -> Result<bool, StoreError> {
        let id = &self.id(id);
        let stored = self.right.load(id).await?;
        match (self.wrong, stored) {
            (Wrong::TouchCreates, None) => {
                let text = format!(r#"{{"cookie":{}}}"#, cookie.to_json());
                self.right.save(id, &Record::parse(text).unwrap(), Precondition::None).await?;
                Ok(true)
            }
            (Wrong::TouchDoesNothing, stored) => Ok(stored.is_some()),
            (Wrong::TouchChangesTheVersion | Wrong::TouchWritesBack, Some(stored)) => {
                if self.is(Wrong::TouchWritesBack) {
                    self.dawdle().await;
                }
                let text = Record::with_cookie(&stored.text, cookie).unwrap();
                let record = Record::parse(text).unwrap();
                self.right.save(id, &record, Precondition::Exists).await?;
                Ok(true)
            }
            _ => {
                let mut cookie = cookie.clone();
                cookie.set_expires(self.expiry(cookie.expires()), self.clock.now());
                let since = since.filter(|_| !self.is(Wrong::TouchIgnoresSince));
                self.right.touch(id, &cookie, since).await
            }
        }
    }

    async fn destroy(&self, id: &SessionId) -> Result<bool, StoreError> {
        let id = &self.id(id);
        let destroyed = self.right.destroy(id).await?;
        if self.is(Wrong::DestroysByPrefix) {
            for (other, _) in self.right.all(None, usize::MAX).await?.sessions {
                if other.as_str().starts_with(id.as_str()) {
                    self.right.destroy(&other).await?;
                }
            }
        }
        Ok(destroyed || self.is(Wrong::SaysItDestroyed))
    }

    async fn rotate(
        &self,
        from: &SessionId,
        to: &SessionId,
        record: &Record,
        version: &Version,
    ) -> Result<Saved, StoreError> {
        let (from, to) = (&self.id(from), &self.id(to));
        let current = self.version(from).await?;
        match self.wrong {
            Wrong::CountsVersionsPerId => {
                let version = self.count_from_start(from, version);
                self.right.rotate(from, to, record, &version).await
            }
            Wrong::RotateCopies | Wrong::RotatesInSteps if current.as_ref() == Some(version) => {
                self.dawdle().await;
                let saved = self.right.save(to, record, Precondition::Absent).await?;
                if self.is(Wrong::RotatesInSteps) {
                    self.dawdle().await;
                    self.right.destroy(from).await?;
                }
                Ok(saved)
            }
            Wrong::RotateCreates => {
                self.right.destroy(from).await?;
                self.right.save(to, record, Precondition::Absent).await
            }
            Wrong::RotateIgnoresTheVersion => {
                let version = current.unwrap_or(Version::number(0));
                self.right.rotate(from, to, record, &version).await
            }
            Wrong::RotateTakesOver => {
                self.right.destroy(to).await?;
                self.right.rotate(from, to, record, version).await
            }
            _ => self.right.rotate(from, to, record, version).await,
        }
    }

    fn capabilities(&self) -> &'static [Capability] {
        if self.is(Wrong::DeclaresNothing) { &[] } else { self.right.capabilities() }
    }

    async fn all(&self, from: Option<&Cursor>, limit: usize) -> Result<Page, StoreError> {
        match (self.wrong, from) {
            (Wrong::ListsTheLastAgain, Some(from)) => {
                let from = Cursor::new(&from.as_str()[..from.as_str().len() - 1]);
                self.right.all(Some(&from), limit).await
            }
            (Wrong::ListsByOffset, from) => {
                let offset = from.map_or(0, |from| from.as_str().parse().unwrap());
                let all = self.right.all(None, usize::MAX).await?.sessions;
                let next = offset + limit;
                let cursor = (next < all.len()).then(|| Cursor::new(next.to_string()));
                Ok(Page::new(all.into_iter().skip(offset).take(limit).collect(), cursor))
            }
            _ => self.right.all(from, limit).await,
        }
    }

    async fn length(&self) -> Result<u64, StoreError> {
        self.right.length().await
    }

    async fn clear(&self) -> Result<(), StoreError> {
        if self.is(Wrong::ClearsNothing) { Ok(()) } else { self.right.clear().await }
    }

    async fn purge_expired(&self) -> Result<u64, StoreError> {
        let purged = self.right.purge_expired().await?;
        Ok(if self.is(Wrong::PurgesSilently) { 0 } else { purged })
    }

    async fn find_by_user(&self, key: &str, user: &Value) -> Result<Vec<SessionId>, StoreError> {
        let mut found = self.right.find_by_user(key, user).await?;
        match self.wrong {
            Wrong::FindsByText => {
                let text = Value::String(user.to_string());
                found.extend(self.right.find_by_user(key, &text).await?);
            }
            Wrong::FindsNobody => found.clear(),
            _ => {}
        }
        Ok(found)
    }
}
