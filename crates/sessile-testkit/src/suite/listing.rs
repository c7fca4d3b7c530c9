//! What works on all sessions at once: listing, counting, clearing, purging.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::json;
use sessile_core::{
    AnyStore, Capability, Cursor, Page, Precondition, Saved, SessionId, SessionStore, StoreError,
    StoreErrorKind,
};

use super::steps::{Runner, create, number, race, replace, says};
use super::{Failure, Outcome, Subject};

/// More pages than any trial has sessions.
const MANY_PAGES: usize = 1000;

/// Creates `count` sessions that say 0, 1, 2, …
async fn crowd(on: &Subject, count: u64) -> Outcome<BTreeMap<SessionId, u64>> {
    let mut crowd = BTreeMap::new();
    for n in 0..count {
        create(on.store(), &on.id(n), &on.record(n)).await?;
        crowd.insert(on.id(n), n);
    }
    Ok(crowd)
}

async fn page(store: &AnyStore, from: Option<&Cursor>, limit: usize) -> Outcome<Page> {
    let page = store.all(from, limit).await?;
    assert!(page.sessions.len() <= limit, "a page of {limit} has {}", page.sessions.len());
    Ok(page)
}

/// Adds what a page lists, and asserts that none of it was there before.
fn note(listed: &mut BTreeMap<SessionId, u64>, page: &Page) -> Outcome {
    for (id, stored) in &page.sessions {
        assert!(listed.insert(id.clone(), number(stored)?).is_none(), "listed twice");
    }
    Ok(())
}

async fn list(store: &AnyStore, limit: usize) -> Outcome<BTreeMap<SessionId, u64>> {
    let (mut listed, mut from) = (BTreeMap::new(), None);
    for _ in 0..MANY_PAGES {
        let page = page(store, from.as_ref(), limit).await?;
        note(&mut listed, &page)?;
        from = page.next;
        if from.is_none() {
            return Ok(listed);
        }
    }
    Err(Failure("the pages never end".into()))
}

pub(super) async fn all_lists_every_session_once(on: Subject) -> Outcome {
    assert!(list(on.store(), 10).await?.is_empty());
    let mut expected = crowd(&on, 23).await?;
    for (n, odd) in (100..).zip(["a ", "A", "a", "é", "%", "a/b", "🦀"]) {
        create(on.store(), &on.id(odd), &on.record(n)).await?;
        expected.insert(on.id(odd), n);
    }
    for limit in [1, 7, 29, 30, 31, 1000] {
        assert!(list(on.other(), limit).await? == expected, "pages of {limit}");
    }
    Ok(())
}

pub(super) async fn all_leaves_out_the_expired(on: Subject) -> Outcome {
    let mut expected = crowd(&on, 8).await?;
    let expires = on.now() + on.short();
    for n in 0..8 {
        create(on.store(), &on.id(format!("{n}-dies")), &on.record_until(n, expires)).await?;
    }
    let touched = on.id("0-dies");
    assert!(on.store().touch(&touched, &on.cookie(Some(expires + on.short())), None).await?);
    expected.insert(touched, 0);

    on.reach(expires).await;
    assert!(list(on.other(), 3).await? == expected, "expired, not yet swept");
    on.store().purge_expired().await?;
    assert!(list(on.other(), 3).await? == expected, "swept");
    Ok(())
}

pub(super) async fn all_goes_on_when_sessions_come_and_go(on: Subject) -> Outcome {
    let mut stay = crowd(&on, 20).await?;
    let (mut listed, mut from) = (BTreeMap::new(), None);
    for n in 0..MANY_PAGES {
        let page = page(on.store(), from.as_ref(), 3).await?;
        note(&mut listed, &page)?;
        // The very session at which the page ended goes, and another one comes.
        if let Some((last, _)) = page.sessions.last() {
            on.other().destroy(last).await?;
            stay.remove(last);
        }
        if n < 5 {
            create(on.other(), &on.id(format!("{n}-new")), &on.record(100)).await?;
        }
        from = page.next;
        if from.is_none() {
            let missed = stay.keys().filter(|id| !listed.contains_key(id)).count();
            assert_eq!(missed, 0, "sessions that lived all the time were left out");
            return Ok(());
        }
    }
    Err(Failure("the pages never end".into()))
}

/// Creates a session of `user`.
async fn login(on: &Subject, name: impl std::fmt::Display, user: &str) -> Outcome<SessionId> {
    let id = on.id(name);
    let expires = Some(on.now() + Duration::from_secs(7200));
    let record = on.record_of(&format!(r#""n":1,"userID":{user}"#), expires);
    create(on.store(), &id, &record).await?;
    Ok(id)
}

pub(super) async fn find_by_user_finds_theirs_and_no_others(on: Subject) -> Outcome {
    let mut theirs = BTreeSet::new();
    for n in 0..3 {
        theirs.insert(login(&on, n, "7").await?);
    }
    let mut others = Vec::new();
    for user in ["8", "77", r#""7""#, "[7]", r#"{"userID":7}"#, "null"] {
        others.push(login(&on, user, user).await?);
    }
    create(on.store(), &on.id("nobody"), &on.record(7)).await?;
    let expires = on.now() + on.short();
    let expired = on.record_of(r#""n":1,"userID":7"#, Some(expires));
    create(on.store(), &on.id("expired"), &expired).await?;
    on.reach(expires).await;

    let found = on.other().find_by_user("userID", &json!(7)).await?;
    assert_eq!(found.len(), 3);
    assert!(found.into_iter().collect::<BTreeSet<_>>() == theirs);
    let found = on.other().find_by_user("userID", &json!("7")).await?;
    assert!(found == [others.swap_remove(2)], "a text is not a number");
    assert!(on.other().find_by_user("user", &json!(7)).await?.is_empty());
    Ok(())
}

pub(super) async fn revoked_users_stay_out(on: Subject) -> Outcome {
    for round in 0..5 {
        let user = 100 + round;
        let mut late = Vec::new();
        for n in 0..3 {
            let id = login(&on, format!("{round}-{n}"), &user.to_string()).await?;
            late.push(saves_until_gone(&on, on.handle(n), id, user));
        }
        let late = tokio::spawn(race(late));
        let found = on.other().find_by_user("userID", &json!(user)).await?;
        assert_eq!(found.len(), 3);
        for id in &found {
            assert!(on.other().destroy(id).await?);
        }
        late.await??;
        for id in &found {
            assert!(on.store().load(id).await?.is_none(), "a revoked session is back");
        }
        assert!(on.store().find_by_user("userID", &json!(user)).await?.is_empty());
    }
    Ok(())
}

/// A request of `user` that saves what it loaded, again and again.
fn saves_until_gone(on: &Subject, store: AnyStore, id: SessionId, user: u64) -> Runner<()> {
    let expires = Some(on.now() + Duration::from_secs(7200));
    let on = on.clone();
    Box::pin(async move {
        for n in 0.. {
            let Some(loaded) = store.load(&id).await? else { break };
            let when = Precondition::Unchanged(&loaded.version);
            let record = on.record_of(&format!(r#""n":{n},"userID":{user}"#), expires);
            match store.save(&id, &record, when).await? {
                Saved::Saved(_) => tokio::task::yield_now().await,
                Saved::Gone => break,
                Saved::Conflict => return Err(Failure("nobody else saves it".into())),
            }
        }
        Ok(())
    })
}

pub(super) async fn clear_empties(on: Subject) -> Outcome {
    on.store().clear().await?;
    let crowd = crowd(&on, 10).await?;
    on.other().clear().await?;
    for id in crowd.keys() {
        assert!(on.store().load(id).await?.is_none());
        assert!(!on.store().destroy(id).await?);
    }
    create(on.store(), &on.id("new"), &on.record(1)).await?;
    assert_eq!(says(on.other(), &on.id("new")).await?, Some(1), "life goes on");
    Ok(())
}

pub(super) async fn cleared_sessions_stay_dead(on: Subject) -> Outcome {
    let (id, to) = (on.id("a"), on.id("b"));
    let loaded = create(on.store(), &id, &on.record(1)).await?;
    on.other().clear().await?;
    for when in [Precondition::Unchanged(&loaded), Precondition::Exists] {
        assert_eq!(on.store().save(&id, &on.record(2), when).await?, Saved::Gone);
    }
    assert!(!on.store().touch(&id, &on.cookie(None), None).await?);
    assert_eq!(on.store().rotate(&id, &to, &on.record(3), &loaded).await?, Saved::Gone);

    // Whoever gets the id after that is somebody else.
    create(on.store(), &id, &on.record(4)).await?;
    let late = on.store().save(&id, &on.record(5), Precondition::Unchanged(&loaded)).await?;
    assert_eq!(late, Saved::Conflict);
    assert_eq!(says(on.other(), &id).await?, Some(4));
    Ok(())
}

pub(super) async fn length_counts_only_the_living(on: Subject) -> Outcome {
    assert_eq!(on.store().length().await?, 0);
    crowd(&on, 7).await?;
    let expires = on.now() + on.short();
    for n in 0..3 {
        create(on.store(), &on.id(format!("{n}-dies")), &on.record_until(n, expires)).await?;
    }
    assert_eq!(on.other().length().await?, 10);
    on.store().destroy(&on.id(0)).await?;
    replace(on.store(), &on.id(1), &on.record(100)).await?;
    assert_eq!(on.other().length().await?, 9);
    on.reach(expires).await;
    assert_eq!(on.other().length().await?, 6, "expired, not yet swept");
    on.store().purge_expired().await?;
    assert_eq!(on.other().length().await?, 6, "swept");
    Ok(())
}

pub(super) async fn purge_removes_only_the_expired(on: Subject) -> Outcome {
    let living = crowd(&on, 10).await?;
    create(on.store(), &on.id("endless"), &on.record_of(r#""n":1"#, None)).await?;
    let (soon, later) = (on.now() + on.short(), on.now() + Duration::from_secs(7200));
    for n in 0..30 {
        create(on.store(), &on.id(format!("{n}-dies")), &on.record_until(n, soon)).await?;
    }
    for name in ["touched", "saved"] {
        create(on.store(), &on.id(name), &on.record_until(2, soon)).await?;
    }
    assert!(on.other().touch(&on.id("touched"), &on.cookie(Some(later)), None).await?);
    replace(on.other(), &on.id("saved"), &on.record_until(2, later)).await?;
    assert_eq!(purge(on.store()).await?, 0, "all of them live");

    on.reach(soon).await;
    let purged = purge(on.store()).await?;
    if on.moves_time() {
        assert_eq!(purged, 30, "what it says it removed");
    } else {
        assert!(purged <= 30, "the backend may have been quicker, but not {purged} sessions");
    }
    for (id, n) in &living {
        assert_eq!(says(on.other(), id).await?, Some(*n));
    }
    for (name, n) in [("endless", 1), ("touched", 2), ("saved", 2)] {
        assert_eq!(says(on.other(), &on.id(name)).await?, Some(n), "{name}");
    }
    Ok(())
}

/// Purges until nothing is left to purge, and returns how many went.
async fn purge(store: &AnyStore) -> Outcome<u64> {
    let mut all = 0;
    for _ in 0..MANY_PAGES {
        match store.purge_expired().await? {
            0 => return Ok(all),
            some => all += some,
        }
    }
    Err(Failure("purging never ends".into()))
}

pub(super) async fn undeclared_operations_are_unsupported(on: Subject) -> Outcome {
    let store = on.store();
    let declared = |capability| store.capabilities().contains(&capability);
    if !declared(Capability::All) {
        assert_unsupported(store.all(None, 1).await);
        assert_unsupported(store.find_by_user("userID", &json!(1)).await);
    }
    if !declared(Capability::Clear) {
        assert_unsupported(store.clear().await);
    }
    if !declared(Capability::Length) {
        assert_unsupported(store.length().await);
    }
    Ok(())
}

#[track_caller]
fn assert_unsupported<T>(answer: Result<T, StoreError>) {
    let kind = answer.err().map(|error| error.kind());
    assert_eq!(kind, Some(StoreErrorKind::Unsupported));
}
