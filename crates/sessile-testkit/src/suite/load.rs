//! What a load gives.

use sessile_core::SessionStore;
use std::time::Duration;

use super::steps::{create, living, says};
use super::{Outcome, Subject};

pub(super) async fn load_unknown_is_none(on: Subject) -> Outcome {
    assert!(on.store().load(&on.id("unknown")).await?.is_none());
    create(on.store(), &on.id("known"), &on.record(1)).await?;
    assert!(on.other().load(&on.id("unknown")).await?.is_none());
    Ok(())
}

pub(super) async fn load_returns_what_was_saved(on: Subject) -> Outcome {
    let (id, expires) = (on.id("a"), on.now() + on.short());
    let members = r#""b":1,"a":{"y":[1.50,null],"x":"\u00fc"},"empty":"""#;
    let record = on.record_of(members, Some(expires));
    create(on.store(), &id, &record).await?;
    assert!(living(on.store(), &id).await?.text == *record.text());
    assert!(living(on.other(), &id).await?.text == *record.text());
    Ok(())
}

pub(super) async fn load_expired_is_none(on: Subject) -> Outcome {
    let expires = on.now() + on.short();
    let (id, outlives) = (on.id("a"), on.id("b"));
    create(on.store(), &id, &on.record_until(1, expires)).await?;
    create(on.store(), &outlives, &on.record(2)).await?;

    on.eve_of(expires);
    assert_eq!(says(on.other(), &id).await?, Some(1), "alive to the last millisecond");
    on.reach(expires).await;
    assert!(on.store().load(&id).await?.is_none(), "dead at the instant, not yet swept");
    assert!(on.other().load(&id).await?.is_none());
    on.store().purge_expired().await?;
    assert!(on.store().load(&id).await?.is_none(), "dead when swept");
    assert_eq!(says(on.store(), &outlives).await?, Some(2));
    Ok(())
}

pub(super) async fn load_reports_the_expiry(on: Subject) -> Outcome {
    let id = on.id("a");
    let [sooner, soon, later] = [1, 2, 3].map(|hours| on.now() + Duration::from_secs(hours * 3600));

    create(on.store(), &id, &on.record_until(1, soon)).await?;
    on.assert_expiry(living(on.other(), &id).await?.expires, Some(soon));
    for moved in [later, sooner] {
        assert!(on.store().touch(&id, &on.cookie(Some(moved)), None).await?);
        on.assert_expiry(living(on.other(), &id).await?.expires, Some(moved));
    }
    super::steps::replace(on.store(), &id, &on.record_until(2, later)).await?;
    on.assert_expiry(living(on.other(), &id).await?.expires, Some(later));
    Ok(())
}

pub(super) async fn load_twice_gives_the_same_version(on: Subject) -> Outcome {
    let id = on.id("a");
    create(on.store(), &id, &on.record(1)).await?;
    let first = living(on.store(), &id).await?;
    for store in [on.store(), on.store(), on.other()] {
        let again = living(store, &id).await?;
        assert!(again.version == first.version, "a load changed the version");
        assert!(again.text == first.text, "a load changed the record");
        on.assert_expiry(again.expires, first.expires);
    }
    Ok(())
}

pub(super) async fn load_record_gives_what_load_gives(on: Subject) -> Outcome {
    let expires = on.now() + on.short();
    let (id, outlives) = (on.id("a"), on.id("b"));
    assert!(on.store().load_record(&id).await?.is_none());
    create(on.store(), &id, &on.record_until(1, expires)).await?;
    create(on.store(), &outlives, &on.record(2)).await?;
    for (store, id) in [(on.store(), &id), (on.other(), &id), (on.store(), &outlives)] {
        let (whole, record) = (living(store, id).await?, store.load_record(id).await?);
        let record = record.expect("it lives");
        assert!(record.version == whole.version, "it gives another version");
        assert!(record.text == whole.text, "it gives another record");
        if record.expires.is_some() {
            on.assert_expiry(record.expires, whole.expires);
        }
    }
    on.reach(expires).await;
    assert!(on.other().load_record(&id).await?.is_none(), "dead at the instant");
    assert!(on.store().destroy(&outlives).await?);
    assert!(on.store().load_record(&outlives).await?.is_none());
    Ok(())
}
