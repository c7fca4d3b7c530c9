//! What a rotation moves, and what stops it.

use sessile_core::{Precondition, Saved, SessionStore};

use super::steps::{create, living, race, replace, says, version};
use super::{Outcome, Subject};

pub(super) async fn rotate_moves_the_session(on: Subject) -> Outcome {
    let (from, to) = (on.id("from"), on.id("to"));
    let expires = on.now() + on.short();
    let loaded = create(on.store(), &from, &on.record(1)).await?;
    let record = on.record_until(2, expires);
    let moved = version(on.other().rotate(&from, &to, &record, &loaded).await?)?;

    assert!(on.store().load(&from).await?.is_none(), "the old id is dead");
    let stored = living(on.store(), &to).await?;
    assert!(stored.text == *record.text());
    assert!(stored.version == moved);
    on.assert_expiry(stored.expires, Some(expires));
    assert!(!on.store().destroy(&from).await?);
    on.reach(expires).await;
    assert!(on.store().load(&to).await?.is_none(), "it expires as its record says");
    Ok(())
}

pub(super) async fn rotate_never_resurrects(on: Subject) -> Outcome {
    let (from, to) = (on.id("from"), on.id("to"));
    let expires = on.now() + on.short();
    let loaded = create(on.store(), &from, &on.record(1)).await?;
    assert!(on.other().destroy(&from).await?);
    assert_eq!(on.store().rotate(&from, &to, &on.record(2), &loaded).await?, Saved::Gone);
    assert!(on.store().load(&from).await?.is_none() && on.store().load(&to).await?.is_none());

    let loaded = create(on.store(), &from, &on.record_until(3, expires)).await?;
    on.reach(expires).await;
    assert_eq!(on.other().rotate(&from, &to, &on.record(4), &loaded).await?, Saved::Gone);
    assert!(on.store().load(&from).await?.is_none() && on.store().load(&to).await?.is_none());
    Ok(())
}

pub(super) async fn rotate_detects_a_change(on: Subject) -> Outcome {
    let (from, to) = (on.id("from"), on.id("to"));
    let loaded = create(on.store(), &from, &on.record(1)).await?;
    replace(on.other(), &from, &on.record(2)).await?;
    assert_eq!(on.store().rotate(&from, &to, &on.record(3), &loaded).await?, Saved::Conflict);
    assert_eq!(says(on.store(), &from).await?, Some(2));
    assert!(on.store().load(&to).await?.is_none());

    // An id that died and was given again is a change too.
    assert!(on.store().destroy(&from).await?);
    create(on.other(), &from, &on.record(4)).await?;
    assert_eq!(on.store().rotate(&from, &to, &on.record(5), &loaded).await?, Saved::Conflict);
    assert_eq!(says(on.store(), &from).await?, Some(4));
    Ok(())
}

pub(super) async fn rotate_takes_nobody_over(on: Subject) -> Outcome {
    let (from, taken) = (on.id("from"), on.id("taken"));
    let expires = on.now() + on.short();
    let loaded = create(on.store(), &from, &on.record(1)).await?;
    let theirs = create(on.other(), &taken, &on.record_until(2, expires)).await?;
    assert_eq!(on.store().rotate(&from, &taken, &on.record(3), &loaded).await?, Saved::Conflict);
    assert_eq!(says(on.other(), &from).await?, Some(1), "the session stays where it was");
    assert_eq!(says(on.other(), &taken).await?, Some(2), "nobody is taken over");

    on.reach(expires).await;
    version(on.store().rotate(&from, &taken, &on.record(4), &loaded).await?)?;
    assert_eq!(says(on.other(), &taken).await?, Some(4), "an expired session holds no id");
    let late = on.other().save(&taken, &on.record(5), Precondition::Unchanged(&theirs)).await?;
    assert_eq!(late, Saved::Conflict, "nor does whoever loaded it");
    Ok(())
}

pub(super) async fn rotate_lets_one_of_many_win(on: Subject) -> Outcome {
    for round in 0..5 {
        // Several logins from one anonymous session: each would be another user.
        let anonymous = on.id(round);
        let loaded = create(on.store(), &anonymous, &on.record(100)).await?;
        let login = |n| on.id(format!("{round}-{n}"));
        let rotated = race((0..8).map(|n| {
            let (store, from, to, record) =
                (on.handle(n), anonymous.clone(), login(n), on.record(n));
            let loaded = loaded.clone();
            async move { Ok(store.rotate(&from, &to, &record, &loaded).await?) }
        }))
        .await?;

        assert!(on.store().load(&anonymous).await?.is_none());
        let mut winners = 0;
        for (n, outcome) in (0..).zip(rotated) {
            let won = matches!(outcome, Saved::Saved(_));
            winners += u64::from(won);
            assert_eq!(says(on.other(), &login(n)).await?, won.then_some(n));
        }
        assert_eq!(winners, 1, "one of eight wins");
    }
    Ok(())
}
