//! What a touch does, and what it leaves alone.

use std::time::Duration;

use sessile_core::{AnyStore, Precondition, Record, SessionCookie, SessionId, SessionStore};

use super::steps::{Runner, create, living, race, replace, says, version};
use super::{Outcome, Subject};

pub(super) async fn touch_moves_only_the_expiry(on: Subject) -> Outcome {
    let (id, bystander) = (on.id("a"), on.id("b"));
    let (soon, later) = (on.now() + on.short(), on.now() + Duration::from_secs(7200));
    let record = on.record_of(r#""n":1,"big":12345678901234567890"#, Some(soon));
    create(on.store(), &id, &record).await?;
    create(on.store(), &bystander, &on.record_until(2, soon)).await?;

    let cookie = on.cookie(Some(later));
    assert!(on.other().touch(&id, &cookie, None).await?);
    let touched = living(on.store(), &id).await?;
    on.assert_expiry(touched.expires, Some(later));
    // Some of Node's stores write the new cookie into the record, most do not.
    let rewritten = Record::with_cookie(record.text(), &cookie);
    let same = touched.text == *record.text() || rewritten.as_deref() == Some(&*touched.text);
    assert!(same, "a touch changed more than the cookie");

    on.reach(soon).await;
    assert_eq!(says(on.store(), &id).await?, Some(1), "it outlives its first expiry");
    assert!(on.store().load(&bystander).await?.is_none(), "nobody touched the other one");

    let sooner = on.now() + on.short();
    assert!(on.store().touch(&id, &on.cookie(Some(sooner)), None).await?);
    on.reach(sooner).await;
    assert!(on.other().load(&id).await?.is_none(), "a touch can also move the expiry closer");
    Ok(())
}

pub(super) async fn touch_never_resurrects(on: Subject) -> Outcome {
    let (id, expires) = (on.id("a"), on.now() + on.short());
    let cookie = on.cookie(Some(on.now() + Duration::from_secs(7200)));
    assert!(!on.store().touch(&id, &cookie, None).await?, "unknown");
    assert!(on.store().load(&id).await?.is_none());

    create(on.store(), &id, &on.record_until(1, expires)).await?;
    on.reach(expires).await;
    assert!(!on.other().touch(&id, &cookie, None).await?, "expired");
    assert!(on.store().load(&id).await?.is_none());

    create(on.store(), &id, &on.record(2)).await?;
    assert!(on.other().destroy(&id).await?);
    assert!(!on.store().touch(&id, &cookie, None).await?, "destroyed");
    assert!(on.store().load(&id).await?.is_none());
    Ok(())
}

pub(super) async fn touch_keeps_concurrent_saves(on: Subject) -> Outcome {
    let id = on.id("a");
    let cookie = on.cookie(Some(on.now() + Duration::from_secs(7200)));
    create(on.store(), &id, &on.record(0)).await?;
    replace(on.other(), &id, &on.record(1)).await?;
    assert!(on.store().touch(&id, &cookie, None).await?);
    assert_eq!(says(on.other(), &id).await?, Some(1));

    // One request writes while four others only read, and touch.
    for round in 2..52 {
        let loaded = living(on.store(), &id).await?.version;
        let (writer, writers_id, record) = (on.handle(0), id.clone(), on.record(round));
        let mut runners: Vec<Runner<()>> = vec![Box::pin(async move {
            let when = Precondition::Unchanged(&loaded);
            version(writer.save(&writers_id, &record, when).await?)?;
            Ok(())
        })];
        runners.extend((0..4).map(|n| toucher(on.handle(n), id.clone(), cookie.clone())));
        race(runners).await?;
        assert_eq!(says(on.other(), &id).await?, Some(round), "a touch took back a save");
    }
    Ok(())
}

pub(super) async fn touch_leaves_a_changed_session_alone(on: Subject) -> Outcome {
    let id = on.id("a");
    let (soon, later) = (on.now() + on.short(), on.now() + Duration::from_secs(7200));
    create(on.store(), &id, &on.record(0)).await?;
    let loaded = living(on.store(), &id).await?.version;
    replace(on.other(), &id, &on.record_until(1, soon)).await?;
    assert!(on.store().touch(&id, &on.cookie(Some(later)), Some(&loaded)).await?, "it lives");
    on.assert_expiry(living(on.store(), &id).await?.expires, Some(soon));

    let current = living(on.store(), &id).await?.version;
    assert!(on.other().touch(&id, &on.cookie(Some(later)), Some(&current)).await?);
    on.assert_expiry(living(on.store(), &id).await?.expires, Some(later));

    assert!(on.store().destroy(&id).await?);
    assert!(!on.store().touch(&id, &on.cookie(Some(later)), Some(&current)).await?, "it is gone");
    Ok(())
}

fn toucher(store: AnyStore, id: SessionId, cookie: SessionCookie) -> Runner<()> {
    Box::pin(async move {
        assert!(store.touch(&id, &cookie, None).await?, "the session lives all the time");
        Ok(())
    })
}
