//! What a destroy removes.

use sessile_core::SessionStore;

use super::steps::{create, says};
use super::{Outcome, Subject};

pub(super) async fn destroy_says_whether_it_lived(on: Subject) -> Outcome {
    let (id, expires) = (on.id("a"), on.now() + on.short());
    assert!(!on.store().destroy(&id).await?, "unknown");

    create(on.store(), &id, &on.record(1)).await?;
    assert!(on.other().destroy(&id).await?, "alive");
    assert!(on.store().load(&id).await?.is_none());
    assert!(!on.store().destroy(&id).await?, "destroyed");

    create(on.store(), &id, &on.record_until(2, expires)).await?;
    on.reach(expires).await;
    assert!(!on.other().destroy(&id).await?, "expired");
    Ok(())
}

pub(super) async fn destroy_leaves_the_others(on: Subject) -> Outcome {
    // Names that a pattern, a prefix or a careless comparison would take for each other.
    let names = ["a", "a:1", "a%", "a_", "a*", "ab", "A", "a ", "_", "%", "*"];
    for (n, name) in (0..).zip(names) {
        create(on.store(), &on.id(name), &on.record(n)).await?;
    }
    for (gone, name) in names.iter().enumerate() {
        assert!(on.other().destroy(&on.id(name)).await?);
        for (n, name) in names.iter().enumerate() {
            let left = (n > gone).then_some(n as u64);
            assert_eq!(says(on.store(), &on.id(name)).await?, left);
        }
    }
    Ok(())
}
