//! What a save does, and when it does not.

use std::time::Duration;

use sessile_core::{Precondition, Saved, SessionStore};

use super::steps::{create, living, race, replace, says, version};
use super::{Outcome, Subject};

pub(super) async fn save_absent_creates_once(on: Subject) -> Outcome {
    let id = on.id("a");
    let created = create(on.store(), &id, &on.record(1)).await?;
    let again = on.other().save(&id, &on.record(2), Precondition::Absent).await?;
    assert_eq!(again, Saved::Conflict);
    let stored = living(on.store(), &id).await?;
    assert!(stored.version == created, "a save that was refused changed the version");
    assert_eq!(says(on.store(), &id).await?, Some(1));

    assert!(on.store().destroy(&id).await?);
    create(on.other(), &id, &on.record(3)).await?;
    assert_eq!(says(on.store(), &id).await?, Some(3), "what is destroyed is absent");
    Ok(())
}

pub(super) async fn save_absent_replaces_the_expired(on: Subject) -> Outcome {
    let (id, expires) = (on.id("a"), on.now() + on.short());
    let dead = create(on.store(), &id, &on.record_until(1, expires)).await?;
    on.reach(expires).await;
    create(on.other(), &id, &on.record(2)).await?;
    assert_eq!(says(on.store(), &id).await?, Some(2));

    let late = on.store().save(&id, &on.record(3), Precondition::Unchanged(&dead)).await?;
    assert_eq!(late, Saved::Conflict, "the new session has nothing of the dead one");
    on.store().purge_expired().await?;
    assert_eq!(says(on.store(), &id).await?, Some(2));
    Ok(())
}

pub(super) async fn save_exists_never_creates(on: Subject) -> Outcome {
    let (id, expires) = (on.id("a"), on.now() + on.short());
    let exists = Precondition::Exists;
    assert_eq!(on.store().save(&id, &on.record(1), exists).await?, Saved::Gone, "unknown");
    assert!(on.store().load(&id).await?.is_none());

    create(on.store(), &id, &on.record_until(2, expires)).await?;
    version(on.other().save(&id, &on.record_until(3, expires), exists).await?)?;
    assert_eq!(says(on.store(), &id).await?, Some(3));

    on.reach(expires).await;
    assert_eq!(on.store().save(&id, &on.record(4), exists).await?, Saved::Gone, "expired");
    assert!(on.store().load(&id).await?.is_none());

    create(on.store(), &id, &on.record(5)).await?;
    assert!(on.other().destroy(&id).await?);
    assert_eq!(on.store().save(&id, &on.record(6), exists).await?, Saved::Gone, "destroyed");
    assert!(on.store().load(&id).await?.is_none());
    Ok(())
}

pub(super) async fn save_unchanged_detects_a_change(on: Subject) -> Outcome {
    let id = on.id("a");
    let first = create(on.store(), &id, &on.record(1)).await?;
    let unchanged = Precondition::Unchanged(&first);
    version(on.other().save(&id, &on.record(2), unchanged).await?)?;
    assert_eq!(on.store().save(&id, &on.record(3), unchanged).await?, Saved::Conflict);

    let second = living(on.store(), &id).await?.version;
    replace(on.other(), &id, &on.record(4)).await?;
    let late = on.store().save(&id, &on.record(5), Precondition::Unchanged(&second)).await?;
    assert_eq!(late, Saved::Conflict);
    assert_eq!(says(on.store(), &id).await?, Some(4));
    Ok(())
}

pub(super) async fn save_unchanged_never_resurrects(on: Subject) -> Outcome {
    let (id, expires) = (on.id("a"), on.now() + on.short());
    let loaded = create(on.store(), &id, &on.record(1)).await?;
    assert!(on.other().destroy(&id).await?);
    let unchanged = Precondition::Unchanged(&loaded);
    assert_eq!(on.store().save(&id, &on.record(2), unchanged).await?, Saved::Gone, "destroyed");
    assert!(on.store().load(&id).await?.is_none());

    // Whoever has the id now is somebody else, whatever number a counter gives them.
    create(on.other(), &id, &on.record_until(3, expires)).await?;
    assert_eq!(on.store().save(&id, &on.record(4), unchanged).await?, Saved::Conflict);
    assert_eq!(says(on.store(), &id).await?, Some(3));

    let loaded = living(on.store(), &id).await?.version;
    on.reach(expires).await;
    let late = on.store().save(&id, &on.record(5), Precondition::Unchanged(&loaded)).await?;
    assert_eq!(late, Saved::Gone, "expired");
    assert!(on.store().load(&id).await?.is_none());
    Ok(())
}

pub(super) async fn touch_is_not_a_change(on: Subject) -> Outcome {
    let (id, to) = (on.id("a"), on.id("b"));
    let before = create(on.store(), &id, &on.record(1)).await?;
    let touch = on.cookie(Some(on.now() + Duration::from_secs(7200)));
    assert!(on.other().touch(&id, &touch, None).await?);

    let after = living(on.other(), &id).await?.version;
    assert!(after == before, "a touch changed the version");
    let saved = on.store().save(&id, &on.record(2), Precondition::Unchanged(&before)).await?;
    let before = version(saved)?;

    assert!(on.other().touch(&id, &touch, None).await?);
    version(on.store().rotate(&id, &to, &on.record(3), &before).await?)?;
    Ok(())
}

pub(super) async fn save_unconditionally_stores(on: Subject) -> Outcome {
    let (id, expires) = (on.id("a"), on.now() + on.short());
    let none = Precondition::None;
    version(on.store().save(&id, &on.record(1), none).await?)?;
    version(on.other().save(&id, &on.record_until(2, expires), none).await?)?;
    assert_eq!(says(on.store(), &id).await?, Some(2), "over a live session");
    on.reach(expires).await;
    version(on.store().save(&id, &on.record(3), none).await?)?;
    assert_eq!(says(on.other(), &id).await?, Some(3), "over an expired session");
    Ok(())
}

pub(super) async fn save_returns_the_version_to_save_with(on: Subject) -> Outcome {
    let (id, to) = (on.id("a"), on.id("b"));
    let mut last = create(on.store(), &id, &on.record(0)).await?;
    for n in 1..6 {
        let loaded = living(on.other(), &id).await?;
        assert!(loaded.version == last, "save {n} and the load after it disagree");
        let when = match n {
            1 => Precondition::Exists,
            2 => Precondition::None,
            _ => Precondition::Unchanged(&last),
        };
        last = version(on.store().save(&id, &on.record(n), when).await?)?;
    }
    let rotated = version(on.store().rotate(&id, &to, &on.record(6), &last).await?)?;
    let when = Precondition::Unchanged(&rotated);
    version(on.other().save(&to, &on.record(7), when).await?)?;
    assert_eq!(says(on.store(), &to).await?, Some(7));
    Ok(())
}

pub(super) async fn save_unchanged_lets_one_of_many_win(on: Subject) -> Outcome {
    for round in 0..5 {
        let id = on.id(round);
        let loaded = create(on.store(), &id, &on.record(100)).await?;
        let saved = race((0..16).map(|n| {
            let (store, id, record) = (on.handle(n), id.clone(), on.record(n));
            let loaded = loaded.clone();
            async move { Ok(store.save(&id, &record, Precondition::Unchanged(&loaded)).await?) }
        }))
        .await?;

        let lost = saved.iter().filter(|saved| **saved == Saved::Conflict).count();
        assert_eq!(lost, 15, "one of sixteen wins");
        let winner = saved.iter().position(|saved| matches!(saved, Saved::Saved(_)));
        assert_eq!(says(on.other(), &id).await?, winner.map(|n| n as u64));
        assert!(
            winner.map(|n| saved[n].clone())
                == Some(Saved::Saved(living(on.store(), &id).await?.version))
        );
    }
    Ok(())
}

pub(super) async fn save_expired_leaves_nothing(on: Subject) -> Outcome {
    // In real time another clock may be a little behind.
    let past = if on.moves_time() { on.now() } else { on.now() - on.short() };
    let expired = on.record_until(9, past);
    let (fresh, id) = (on.id("fresh"), on.id("a"));
    for when in [Precondition::Absent, Precondition::None] {
        on.store().save(&fresh, &expired, when).await?;
        assert!(on.other().load(&fresh).await?.is_none(), "{when:?}");
        assert!(!on.store().touch(&fresh, &on.cookie(Some(on.now() + on.short())), None).await?);
        assert!(!on.store().destroy(&fresh).await?, "it never lived");
    }
    for n in 0..3 {
        let created = create(on.store(), &id, &on.record(n)).await?;
        let when = [Precondition::Exists, Precondition::None, Precondition::Unchanged(&created)]
            [n as usize];
        on.other().save(&id, &expired, when).await?;
        assert!(on.store().load(&id).await?.is_none(), "{when:?}");
    }

    create(on.store(), &id, &on.record(1)).await?;
    let refused = on.store().save(&id, &expired, Precondition::Absent).await?;
    assert_eq!(refused, Saved::Conflict, "the precondition comes first");
    assert_eq!(says(on.store(), &id).await?, Some(1));
    Ok(())
}
