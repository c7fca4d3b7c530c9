//! Sessions as items of one or more servers: the commands, and what their answers mean.

use std::sync::Arc;
use std::time::Duration;

use sessile_core::{
    Clock as _, Precondition, Record, Saved, SessionCookie, SessionId, StoreError, Stored,
    SystemClock, Version,
};

use super::client::{Server, is_too_large};
use super::reply::{Flags, Reply};
use super::ring::Ring;
use super::{expiry, key};
use crate::stores::instant::{self, from_millis, to_millis};
use crate::stores::malformed::malformed;
use crate::stores::touched::{rewritten, state, touched};

/// What `connect-memcached`'s client says about JSON, and must find to read it.
const JSON: u32 = 2;

/// All sessions, wherever they are.
#[derive(Debug)]
pub(super) struct Items {
    pub(super) lifetime: Duration,
    pub(super) max_bytes: usize,
    pub(super) prefix: String,
    pub(super) ring: Ring,
    pub(super) servers: Vec<Server>,
}

/// Where an item is.
struct Place<'i> {
    key: String,
    server: &'i Server,
}

/// A live session.
struct Living {
    cas: u64,
    expires: Option<i64>,
    record: Record,
    state: Arc<str>,
}

/// When to store.
#[derive(Clone, Copy)]
enum Mode {
    Add,
    Compare(u64),
    Replace,
    Set,
}

/// What to do with a state.
#[derive(Clone, Copy)]
enum Change<'r> {
    Delete,
    Store(&'r Record),
}

/// What became of a command that changes an item.
enum Outcome {
    /// It is the state with this number now.
    Done(Option<u64>),
    /// Somebody stored it since.
    Exists,
    Missing,
    NotStored,
}

type Result<T> = std::result::Result<T, StoreError>;

impl Items {
    pub(super) async fn load(&self, id: &SessionId) -> Result<Option<Stored>> {
        let living = self.living(&self.place(id), id).await?;
        Ok(living.map(|living| {
            let version = Version::hinted(living.state, living.cas);
            let expires = living.expires.map(from_millis);
            Stored::new(Arc::clone(living.record.text()), version, expires)
        }))
    }

    pub(super) async fn save(
        &self,
        id: &SessionId,
        record: &Record,
        when: Precondition<'_>,
    ) -> Result<Saved> {
        let place = self.place(id);
        let mode = match when {
            Precondition::Absent => Mode::Add,
            Precondition::Exists => Mode::Replace,
            Precondition::None => Mode::Set,
            Precondition::Unchanged(version) => {
                return self.save_unchanged(&place, id, record, version).await;
            }
        };
        let cookie = record.cookie();
        Ok(match (self.store(&place, record, cookie, mode).await?, mode) {
            (Outcome::Done(cas), _) => saved(record, cas),
            (_, Mode::Add) => Saved::Conflict,
            _ => Saved::Gone,
        })
    }

    async fn save_unchanged(
        &self,
        place: &Place<'_>,
        id: &SessionId,
        record: &Record,
        version: &Version,
    ) -> Result<Saved> {
        Ok(match self.unless_changed(place, id, version, Change::Store(record)).await? {
            Ok(cas) => saved(record, cas),
            Err(refused) => refused,
        })
    }

    pub(super) async fn touch(
        &self,
        id: &SessionId,
        cookie: &SessionCookie,
        since: Option<&Version>,
    ) -> Result<bool> {
        let place = self.place(id);
        if let Some(hint) = since.and_then(Version::hint)
            && let Some(record) =
                since.and_then(Version::as_text).and_then(|state| rewritten(state, cookie))
        {
            match self.store(&place, &record, cookie, Mode::Compare(hint)).await? {
                Outcome::Exists | Outcome::NotStored => {}
                Outcome::Done(_) => return Ok(true),
                Outcome::Missing => return Ok(false),
            }
        }
        loop {
            let Some(living) = self.living(&place, id).await? else { return Ok(false) };
            if since.is_some_and(|since| *since != Version::text(Arc::clone(&living.state))) {
                return Ok(true);
            }
            let record = touched(living.record, cookie);
            match self.store(&place, &record, cookie, Mode::Compare(living.cas)).await? {
                // Whoever stored it may have moved the expiry elsewhere.
                Outcome::Exists | Outcome::NotStored => {}
                Outcome::Done(_) => return Ok(true),
                Outcome::Missing => return Ok(false),
            }
        }
    }

    pub(super) async fn destroy(&self, id: &SessionId) -> Result<bool> {
        Ok(matches!(self.delete(&self.place(id), None).await?, Outcome::Done(_)))
    }

    /// Stores the session under its new id, which nobody knows yet, and then removes the
    /// old one if it is unchanged; else the new one goes again.
    pub(super) async fn rotate(
        &self,
        [from, to]: [&SessionId; 2],
        record: &Record,
        version: &Version,
    ) -> Result<Saved> {
        let (old, new) = (self.place(from), self.place(to));
        if from == to {
            return self.save_unchanged(&old, from, record, version).await;
        }
        let added = match self.store(&new, record, record.cookie(), Mode::Add).await? {
            Outcome::Done(cas) => cas,
            Outcome::Exists | Outcome::Missing | Outcome::NotStored => return Ok(Saved::Conflict),
        };
        let removed = self.unless_changed(&old, from, version, Change::Delete).await;
        if let Ok(Ok(_)) = removed {
            return Ok(saved(record, added));
        }
        // What went wrong first is what the caller wants to know.
        let undone = self.delete(&new, added).await;
        let Err(refused) = removed? else { return Ok(saved(record, added)) };
        undone.map(|_| refused)
    }

    /// Does `change` to the state of an item that `version` means, by its number; or says
    /// what became of that state.
    async fn unless_changed(
        &self,
        place: &Place<'_>,
        id: &SessionId,
        version: &Version,
        change: Change<'_>,
    ) -> Result<std::result::Result<Option<u64>, Saved>> {
        let mut hint = version.hint();
        loop {
            if let Some(cas) = hint {
                let outcome = match change {
                    Change::Delete => self.delete(place, Some(cas)).await?,
                    Change::Store(record) => {
                        self.store(place, record, record.cookie(), Mode::Compare(cas)).await?
                    }
                };
                match outcome {
                    Outcome::Done(cas) => return Ok(Ok(cas)),
                    Outcome::Missing => return Ok(Err(Saved::Gone)),
                    // A touch has another number and is no change.
                    Outcome::Exists | Outcome::NotStored => {}
                }
            }
            let Some(living) = self.living(place, id).await? else {
                return Ok(Err(Saved::Gone));
            };
            if *version != Version::text(living.state) {
                return Ok(Err(Saved::Conflict));
            }
            hint = Some(living.cas);
        }
    }

    async fn living(&self, place: &Place<'_>, id: &SessionId) -> Result<Option<Living>> {
        let command = format!("mg {} c f t v\r\n", place.key);
        let (value, flags) = match place.server.ask(command.as_bytes()).await {
            Ok(Reply::Value(value, flags)) => (value, flags),
            Ok(Reply::Missing) => return Ok(None),
            Ok(_) => return Err(place.server.unexpected()),
            Err(error) if is_too_large(&error) => return Ok(malformed(id, "it is too large")),
            Err(error) => return Err(error),
        };
        let Flags { cas: Some(cas), client: Some(client), left: Some(left) } = flags else {
            return Err(place.server.unexpected());
        };
        if client != JSON {
            return Ok(malformed(id, "its flags are not 2: connect-memcached did not write it"));
        }
        let record = String::from_utf8(value).ok().and_then(Record::parse);
        let Some(record) = record else { return Ok(malformed(id, "it holds no session")) };
        let now = to_millis(SystemClock.now());
        let expires = expiry::of_item(record.cookie().expires().map(to_millis), left, now);
        let living = Living { cas, expires, state: state(&record), record };
        Ok(Some(living).filter(|_| expires.is_none_or(|expires| expires > now)))
    }

    /// Stores a record until `cookie` expires.
    async fn store(
        &self,
        place: &Place<'_>,
        record: &Record,
        cookie: &SessionCookie,
        mode: Mode,
    ) -> Result<Outcome> {
        let (text, limit) = (record.text(), self.max_bytes);
        if text.len() > limit {
            return Err(StoreError::failed(format!(
                "the session has {} bytes, and memcached takes {limit}; see `with_max_bytes`",
                text.len()
            )));
        }
        let now = to_millis(SystemClock.now());
        let until = expiry::to_wire(instant::expiry(cookie, now, self.lifetime), now);
        let mode = match mode {
            Mode::Add => "ME".to_owned(),
            Mode::Compare(cas) => format!("C{cas}"),
            Mode::Replace => "MR".to_owned(),
            Mode::Set => "MS".to_owned(),
        };
        let (key, length) = (&place.key, text.len());
        let command = format!("ms {key} {length} c F{JSON} T{until} {mode}\r\n{text}\r\n");
        self.change(place, &command).await
    }

    async fn delete(&self, place: &Place<'_>, state: Option<u64>) -> Result<Outcome> {
        let key = &place.key;
        let command = match state {
            Some(cas) => format!("md {key} C{cas}\r\n"),
            None => format!("md {key}\r\n"),
        };
        self.change(place, &command).await
    }

    async fn change(&self, place: &Place<'_>, command: &str) -> Result<Outcome> {
        match place.server.ask(command.as_bytes()).await? {
            Reply::Done(flags) => Ok(Outcome::Done(flags.cas)),
            Reply::Exists => Ok(Outcome::Exists),
            Reply::Missing => Ok(Outcome::Missing),
            Reply::NotStored => Ok(Outcome::NotStored),
            Reply::Refused(_) | Reply::Value(..) | Reply::Version(_) => {
                Err(place.server.unexpected())
            }
        }
    }

    fn place(&self, id: &SessionId) -> Place<'_> {
        let name = format!("{}{}", self.prefix, id.as_str());
        Place { server: &self.servers[self.ring.place(&name)], key: key::of_name(&name) }
    }
}

fn saved(record: &Record, cas: Option<u64>) -> Saved {
    let state = state(record);
    Saved::Saved(cas.map_or_else(
        || Version::text(Arc::clone(&state)),
        |cas| Version::hinted(Arc::clone(&state), cas),
    ))
}
