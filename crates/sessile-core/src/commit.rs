//! What to do with a session when the response is ready.
//!
//! Mirrors `shouldDestroy`, `shouldSave`, `shouldTouch` and `shouldSetCookie`
//! of `express-session/index.js` (1.19.0), with three differences: a destroyed
//! session clears its cookie, a session whose cookie cannot be delivered is not
//! created, and attributes that a redeploy changed are sent anew.

use crate::Unset;

/// The options that decide. `resave` does not: a loaded session begins as
/// [`Stored::Unknown`] under it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    pub(crate) save_uninitialized: bool,
    pub(crate) rolling: bool,
    pub(crate) unset: Unset,
}

/// What became of the session while the request ran.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fate {
    /// It was destroyed.
    Destroyed,
    /// It lives.
    Live,
    /// The handler dropped it: `req.session = null`.
    Unset,
}

/// How the store's copy compares to the session, as far as this request knows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Stored {
    /// It has what the session has.
    Current,
    /// It has something older.
    Stale,
    /// Nothing was saved, or `resave` wants it saved anyway.
    Unknown,
}

/// What is known about the session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    pub(crate) fate: Fate,
    /// The client's cookie carried this id.
    pub(crate) sent_by_client: bool,
    /// The id is not the one the request began with.
    pub(crate) new_id: bool,
    /// The new id names the same session: `cycle_id`.
    pub(crate) rotated: bool,
    /// The data differs from what the request began with.
    pub(crate) changed: bool,
    pub(crate) stored: Stored,
    /// The cookie's lifetime was set by the handler.
    pub(crate) lifetime_changed: bool,
    /// The layer's attributes are no longer the session's.
    pub(crate) attributes_changed: bool,
    /// The cookie has an expiry.
    pub(crate) expires: bool,
    /// The cookie may travel over this connection.
    pub(crate) deliverable: bool,
    /// The handler saved the session itself.
    pub(crate) saved_by_handler: bool,
    /// The session that the client's cookie names was destroyed in this request.
    pub(crate) client_session_destroyed: bool,
    /// The store's expiry is old enough to be worth a touch.
    pub(crate) touch_due: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Commit {
    pub(crate) store: StoreAction,
    pub(crate) cookie: CookieAction,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum StoreAction {
    Create,
    Destroy,
    Nothing,
    /// A session that would be created, had its cookie a way to the client.
    Orphan,
    Rotate,
    Touch,
    Update,
}

impl StoreAction {
    /// Tells whether the session's data goes to the store.
    pub(crate) fn saves(self) -> bool {
        matches!(self, Self::Create | Self::Rotate | Self::Update)
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum CookieAction {
    Clear,
    Leave,
    Set,
}

impl Policy {
    pub(crate) fn commit(self, facts: Facts) -> Commit {
        match facts.fate {
            Fate::Destroyed => {
                Commit { store: StoreAction::Nothing, cookie: facts.clear_if_dead() }
            }
            Fate::Unset if self.unset == Unset::Destroy => Commit {
                store: StoreAction::Destroy,
                cookie: Facts {
                    client_session_destroyed: facts.sent_by_client
                        || facts.client_session_destroyed,
                    ..facts
                }
                .clear_if_dead(),
            },
            Fate::Unset => Commit { store: StoreAction::Nothing, cookie: facts.clear_if_dead() },
            Fate::Live => self.commit_live(facts),
        }
    }

    fn commit_live(self, facts: Facts) -> Commit {
        let wanted = self.should_set_cookie(facts);
        let cookie =
            if wanted && facts.deliverable { CookieAction::Set } else { CookieAction::Leave };
        let store = if self.should_save(facts) {
            facts.how_to_save(wanted)
        } else if facts.sent_by_client && facts.touch_due {
            StoreAction::Touch
        } else {
            StoreAction::Nothing
        };
        Commit { store, cookie }
    }

    fn should_save(self, facts: Facts) -> bool {
        let uninitialized = facts.stored == Stored::Unknown && !facts.sent_by_client;
        if uninitialized && !self.save_uninitialized {
            return facts.is_modified();
        }
        let current = facts.stored == Stored::Current && !facts.new_id;
        !current || facts.sent_by_client && (facts.lifetime_changed || facts.attributes_changed)
    }

    fn should_set_cookie(self, facts: Facts) -> bool {
        if !facts.sent_by_client {
            return self.save_uninitialized || facts.is_modified();
        }
        self.rolling || facts.expires && facts.is_modified() || facts.attributes_changed
    }
}

impl Facts {
    fn is_modified(self) -> bool {
        self.new_id || self.changed
    }

    fn how_to_save(self, cookie_wanted: bool) -> StoreAction {
        if self.rotated {
            // Undeliverable, the new id would lock the client out: the old one stays.
            return if self.deliverable { StoreAction::Rotate } else { StoreAction::Update };
        }
        if self.sent_by_client || self.saved_by_handler {
            return StoreAction::Update;
        }
        if cookie_wanted && self.deliverable { StoreAction::Create } else { StoreAction::Orphan }
    }

    fn clear_if_dead(self) -> CookieAction {
        if self.client_session_destroyed && self.deliverable {
            CookieAction::Clear
        } else {
            CookieAction::Leave
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: Policy = Policy { save_uninitialized: false, rolling: false, unset: Unset::Keep };
    const EAGER: Policy = Policy { save_uninitialized: true, ..QUIET };
    const ROLLING: Policy = Policy { rolling: true, ..QUIET };
    const TIDY: Policy = Policy { unset: Unset::Destroy, ..QUIET };

    const NEW: Facts = Facts {
        fate: Fate::Live,
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
        client_session_destroyed: false,
        touch_due: true,
    };
    const LOADED: Facts = Facts { sent_by_client: true, stored: Stored::Current, ..NEW };
    const CHANGED: Facts = Facts { changed: true, stored: Stored::Stale, ..LOADED };
    const REGENERATED: Facts = Facts { new_id: true, client_session_destroyed: true, ..NEW };

    #[test]
    fn each_case_is_decided_as_promised() {
        use CookieAction::{Clear, Leave, Set};
        use StoreAction::{Create, Destroy, Nothing, Orphan, Rotate, Touch, Update};
        let insecure = |facts| Facts { deliverable: false, ..facts };
        for (case, policy, facts, store, cookie) in [
            ("new and empty", QUIET, NEW, Nothing, Leave),
            ("new and empty, saveUninitialized", EAGER, NEW, Create, Set),
            ("new with data", QUIET, Facts { changed: true, ..NEW }, Create, Set),
            (
                "new with data, secure over http",
                QUIET,
                insecure(Facts { changed: true, ..NEW }),
                Orphan,
                Leave,
            ),
            ("read only", QUIET, LOADED, Touch, Leave),
            (
                "read only, just touched",
                QUIET,
                Facts { touch_due: false, ..LOADED },
                Nothing,
                Leave,
            ),
            ("read only, rolling", ROLLING, LOADED, Touch, Set),
            (
                "read only, resave",
                QUIET,
                Facts { stored: Stored::Unknown, ..LOADED },
                Update,
                Leave,
            ),
            ("changed", QUIET, CHANGED, Update, Leave),
            ("changed, with an expiry", QUIET, Facts { expires: true, ..CHANGED }, Update, Set),
            ("regenerated", QUIET, REGENERATED, Create, Set),
            ("id cycled", QUIET, Facts { rotated: true, ..REGENERATED }, Rotate, Set),
            (
                "id cycled, secure over http",
                QUIET,
                insecure(Facts { rotated: true, ..REGENERATED }),
                Update,
                Leave,
            ),
            ("lifetime changed", QUIET, Facts { lifetime_changed: true, ..LOADED }, Update, Leave),
            (
                "redeployed with other attributes",
                QUIET,
                Facts { attributes_changed: true, ..LOADED },
                Update,
                Set,
            ),
            (
                "destroyed",
                QUIET,
                Facts { fate: Fate::Destroyed, client_session_destroyed: true, ..LOADED },
                Nothing,
                Clear,
            ),
            ("new and destroyed", QUIET, Facts { fate: Fate::Destroyed, ..NEW }, Nothing, Leave),
            ("unset, kept", QUIET, Facts { fate: Fate::Unset, ..LOADED }, Nothing, Leave),
            ("unset, destroyed", TIDY, Facts { fate: Fate::Unset, ..LOADED }, Destroy, Clear),
            ("unset when new", TIDY, Facts { fate: Fate::Unset, ..NEW }, Destroy, Leave),
        ] {
            assert_eq!(policy.commit(facts), Commit { store, cookie }, "{case}");
        }
    }

    /// The JavaScript, line by line.
    struct Express {
        save_uninitialized: bool,
        rolling: bool,
        cookie_id_is_session_id: bool,
        original_id_is_session_id: bool,
        original_hash_is_hash: bool,
        saved_hash: Option<bool>,
        expires: bool,
    }

    impl Express {
        fn is_modified(&self) -> bool {
            !self.original_id_is_session_id || !self.original_hash_is_hash
        }
        fn is_saved(&self) -> bool {
            self.original_id_is_session_id && self.saved_hash == Some(true)
        }
        fn should_save(&self) -> bool {
            if !self.save_uninitialized
                && self.saved_hash.is_none()
                && !self.cookie_id_is_session_id
            {
                self.is_modified()
            } else {
                !self.is_saved()
            }
        }
        fn should_touch(&self) -> bool {
            self.cookie_id_is_session_id && !self.should_save()
        }
        fn should_set_cookie(&self) -> bool {
            if self.cookie_id_is_session_id {
                self.rolling || self.expires && self.is_modified()
            } else {
                self.save_uninitialized || self.is_modified()
            }
        }
    }

    /// All values of the first `n` bits.
    fn bits(n: u32) -> impl Iterator<Item = impl Fn(u32) -> bool> {
        (0..1u32 << n).map(|word| move |bit: u32| word >> bit & 1 == 1)
    }

    #[test]
    fn without_our_differences_every_input_is_decided_as_in_express() {
        let mut cases = 0;
        for stored in [Stored::Current, Stored::Stale, Stored::Unknown] {
            for bit in bits(7) {
                let policy = Policy { save_uninitialized: bit(0), rolling: bit(1), ..QUIET };
                let facts = Facts {
                    sent_by_client: bit(2),
                    new_id: bit(3),
                    changed: bit(4),
                    expires: bit(5),
                    saved_by_handler: bit(6),
                    stored,
                    ..NEW
                };
                if facts.sent_by_client && facts.new_id {
                    continue; // an id that is both the client's and new does not exist
                }
                let express = Express {
                    save_uninitialized: policy.save_uninitialized,
                    rolling: policy.rolling,
                    cookie_id_is_session_id: facts.sent_by_client,
                    original_id_is_session_id: !facts.new_id,
                    original_hash_is_hash: !facts.changed,
                    saved_hash: match stored {
                        Stored::Current => Some(true),
                        Stored::Stale => Some(false),
                        Stored::Unknown => None,
                    },
                    expires: facts.expires,
                };
                let Commit { store, cookie } = policy.commit(facts);
                let saves = matches!(
                    store,
                    StoreAction::Create | StoreAction::Update | StoreAction::Orphan
                );
                assert_eq!(saves, express.should_save(), "{policy:?} {facts:?}");
                assert_eq!(
                    store == StoreAction::Touch,
                    express.should_touch(),
                    "{policy:?} {facts:?}"
                );
                assert_eq!(
                    cookie == CookieAction::Set,
                    express.should_set_cookie(),
                    "{policy:?} {facts:?}"
                );
                cases += 1;
            }
        }
        assert_eq!(cases, 288);
    }

    #[test]
    fn over_every_input_nothing_is_stranded_or_brought_back() {
        for fate in [Fate::Destroyed, Fate::Live, Fate::Unset] {
            for stored in [Stored::Current, Stored::Stale, Stored::Unknown] {
                for bit in bits(14) {
                    let unset = if bit(2) { Unset::Destroy } else { Unset::Keep };
                    let policy = Policy { save_uninitialized: bit(0), rolling: bit(1), unset };
                    let facts = Facts {
                        fate,
                        sent_by_client: bit(3),
                        new_id: bit(4),
                        rotated: bit(5),
                        changed: bit(6),
                        stored,
                        lifetime_changed: bit(7),
                        attributes_changed: bit(8),
                        expires: bit(9),
                        deliverable: bit(10),
                        saved_by_handler: bit(11),
                        client_session_destroyed: bit(12),
                        touch_due: bit(13),
                    };
                    let Commit { store, cookie } = policy.commit(facts);
                    if store == StoreAction::Create {
                        assert_eq!(cookie, CookieAction::Set, "an orphan: {facts:?}");
                    }
                    if !facts.deliverable {
                        assert_eq!(cookie, CookieAction::Leave, "{facts:?}");
                    }
                    if fate != Fate::Live {
                        assert!(
                            matches!(store, StoreAction::Nothing | StoreAction::Destroy),
                            "{facts:?}"
                        );
                        assert_ne!(cookie, CookieAction::Set, "{facts:?}");
                    }
                }
            }
        }
    }
}
