//! What parallel requests do to one session.
//!
//! Where an order matters a gate makes it; then the same operations race without
//! gates, some rounds long, for stores whose steps are not as atomic as they look.

use sessile_core::{AnyStore, Precondition, Record, Saved, SessionId, SessionStore, Version};

use super::steps::{Runner, create, living, race, says, value};
use super::{Failure, Outcome, Subject};
use crate::{GateStore, Op};

/// What a session holds beside its cookie.
type Members = serde_json::Map<String, serde_json::Value>;

const ROUNDS: u64 = 20;

/// What one of several racing requests got for an answer.
#[derive(Debug, Eq, PartialEq)]
enum Answer {
    Destroyed(bool),
    Rotated(bool),
    Saved(bool),
    Touched,
}

fn saves(store: AnyStore, id: &SessionId, record: Record, version: &Version) -> Runner<Answer> {
    let (id, version) = (id.clone(), version.clone());
    Box::pin(async move {
        let saved = store.save(&id, &record, Precondition::Unchanged(&version)).await?;
        Ok(Answer::Saved(matches!(saved, Saved::Saved(_))))
    })
}

fn replaces(store: AnyStore, id: &SessionId, record: Record) -> Runner<Answer> {
    let id = id.clone();
    Box::pin(async move {
        let saved = store.save(&id, &record, Precondition::Exists).await?;
        Ok(Answer::Saved(matches!(saved, Saved::Saved(_))))
    })
}

fn touches(on: &Subject, store: AnyStore, id: &SessionId) -> Runner<Answer> {
    let (id, cookie) = (id.clone(), on.cookie(Some(on.now() + 2 * on.short())));
    Box::pin(async move {
        store.touch(&id, &cookie, None).await?;
        Ok(Answer::Touched)
    })
}

fn destroys(store: AnyStore, id: &SessionId) -> Runner<Answer> {
    let id = id.clone();
    Box::pin(async move { Ok(Answer::Destroyed(store.destroy(&id).await?)) })
}

fn rotates(
    store: AnyStore,
    [from, to]: [&SessionId; 2],
    record: Record,
    version: &Version,
) -> Runner<Answer> {
    let (from, to, version) = (from.clone(), to.clone(), version.clone());
    Box::pin(async move {
        let saved = store.rotate(&from, &to, &record, &version).await?;
        Ok(Answer::Rotated(matches!(saved, Saved::Saved(_))))
    })
}

pub(super) async fn destroyed_stays_dead_when_a_save_comes_late(on: Subject) -> Outcome {
    let id = on.id("gated");
    let loaded = create(on.store(), &id, &on.record(1)).await?;
    let gated = GateStore::new(on.store().clone());
    let gate = gated.hold_many(Op::Save, 2);
    let late = [
        tokio::spawn(saves(AnyStore::new(gated.clone()), &id, on.record(2), &loaded)),
        tokio::spawn(replaces(AnyStore::new(gated), &id, on.record(3))),
    ];
    gate.arrived().await;
    assert!(on.other().destroy(&id).await?);
    gate.open();
    for late in late {
        assert_eq!(late.await??, Answer::Saved(false));
    }
    assert!(on.store().load(&id).await?.is_none());

    for round in 0..ROUNDS {
        let id = on.id(round);
        let loaded = create(on.store(), &id, &on.record(1)).await?;
        let late = |n| match round % 2 {
            0 => saves(on.handle(n), &id, on.record(n), &loaded),
            _ => replaces(on.handle(n), &id, on.record(n)),
        };
        let answers = race([late(1), late(2), destroys(on.handle(1), &id), late(3)]).await?;
        assert!(answers.contains(&Answer::Destroyed(true)), "it lived until then");
        assert!(on.store().load(&id).await?.is_none(), "it is back");
    }
    Ok(())
}

pub(super) async fn destroyed_stays_dead_when_a_touch_comes_late(on: Subject) -> Outcome {
    let id = on.id("gated");
    create(on.store(), &id, &on.record(1)).await?;
    let gated = GateStore::new(on.store().clone());
    let gate = gated.hold(Op::Touch);
    let late = tokio::spawn(touches(&on, AnyStore::new(gated), &id));
    gate.arrived().await;
    assert!(on.other().destroy(&id).await?);
    gate.open();
    late.await??;
    assert!(on.store().load(&id).await?.is_none());

    for round in 0..ROUNDS {
        let id = on.id(round);
        create(on.store(), &id, &on.record(1)).await?;
        let answers = race([
            touches(&on, on.handle(0), &id),
            touches(&on, on.handle(1), &id),
            destroys(on.handle(0), &id),
            touches(&on, on.handle(1), &id),
        ])
        .await?;
        assert!(answers.contains(&Answer::Destroyed(true)), "it lived until then");
        assert!(on.store().load(&id).await?.is_none(), "it is back");
    }
    Ok(())
}

pub(super) async fn destroyed_stays_dead_when_a_rotation_comes_late(on: Subject) -> Outcome {
    let (id, to) = (on.id("gated"), on.id("gated-to"));
    let loaded = create(on.store(), &id, &on.record(1)).await?;
    let gated = GateStore::new(on.store().clone());
    let gate = gated.hold(Op::Rotate);
    let late = rotates(AnyStore::new(gated), [&id, &to], on.record(2), &loaded);
    let late = tokio::spawn(late);
    gate.arrived().await;
    assert!(on.other().destroy(&id).await?);
    gate.open();
    assert_eq!(late.await??, Answer::Rotated(false));
    assert!(on.store().load(&id).await?.is_none() && on.store().load(&to).await?.is_none());

    for round in 0..ROUNDS {
        let (id, to) = (on.id(round), on.id(format!("{round}-to")));
        let loaded = create(on.store(), &id, &on.record(1)).await?;
        let answers = race([
            rotates(on.handle(0), [&id, &to], on.record(2), &loaded),
            destroys(on.handle(1), &id),
        ])
        .await?;
        let rotated = answers.contains(&Answer::Rotated(true));
        assert_ne!(rotated, answers.contains(&Answer::Destroyed(true)), "one of the two wins");
        assert!(on.store().load(&id).await?.is_none(), "the old id is dead either way");
        assert_eq!(says(on.store(), &to).await?, rotated.then_some(2));
    }
    Ok(())
}

pub(super) async fn rotated_stays_dead_when_a_save_or_touch_comes_late(on: Subject) -> Outcome {
    let (id, to) = (on.id("gated"), on.id("gated-to"));
    let loaded = create(on.store(), &id, &on.record(1)).await?;
    let gated = GateStore::new(on.store().clone());
    let gates = [gated.hold_many(Op::Save, 2), gated.hold(Op::Touch)];
    let gated = AnyStore::new(gated);
    let late = [
        tokio::spawn(saves(gated.clone(), &id, on.record(2), &loaded)),
        tokio::spawn(replaces(gated.clone(), &id, on.record(3))),
        tokio::spawn(touches(&on, gated, &id)),
    ];
    for gate in &gates {
        gate.arrived().await;
    }
    super::steps::version(on.other().rotate(&id, &to, &on.record(4), &loaded).await?)?;
    drop(gates);
    for late in late {
        assert_ne!(late.await??, Answer::Saved(true));
    }
    assert!(on.store().load(&id).await?.is_none());
    assert_eq!(says(on.store(), &to).await?, Some(4));

    for round in 0..ROUNDS {
        let (id, to) = (on.id(round), on.id(format!("{round}-to")));
        let loaded = create(on.store(), &id, &on.record(1)).await?;
        let answers = race([
            touches(&on, on.handle(0), &id),
            rotates(on.handle(1), [&id, &to], on.record(2), &loaded),
            touches(&on, on.handle(0), &id),
            saves(on.handle(0), &id, on.record(3), &loaded),
        ])
        .await?;
        let rotated = answers.contains(&Answer::Rotated(true));
        assert_eq!(says(on.store(), &id).await?, (!rotated).then_some(3));
        assert_eq!(says(on.store(), &to).await?, rotated.then_some(2));
    }
    Ok(())
}

pub(super) async fn either_a_save_or_a_rotation_wins(on: Subject) -> Outcome {
    for round in 0..ROUNDS {
        let (id, to) = (on.id(round), on.id(format!("{round}-to")));
        let loaded = create(on.store(), &id, &on.record(1)).await?;
        let answers = race([
            saves(on.handle(0), &id, on.record(2), &loaded),
            rotates(on.handle(1), [&id, &to], on.record(3), &loaded),
        ])
        .await?;
        let saved = answers.contains(&Answer::Saved(true));
        assert_ne!(saved, answers.contains(&Answer::Rotated(true)), "one of the two wins");
        assert_eq!(says(on.store(), &id).await?, saved.then_some(2));
        assert_eq!(says(on.store(), &to).await?, (!saved).then_some(3));
    }
    Ok(())
}

/// Loads, changes and saves until nobody was quicker, as the layer does.
async fn change(
    on: &Subject,
    store: &AnyStore,
    id: &SessionId,
    apply: impl Fn(&mut Members),
) -> Outcome {
    loop {
        let stored = living(store, id).await?;
        let mut members: Members = serde_json::from_str(&stored.text)
            .map_err(|error| Failure(format!("the record is no object any more: {error}")))?;
        members.remove("cookie");
        apply(&mut members);
        let members = serde_json::Value::Object(members).to_string();
        let members = members.trim_start_matches('{').trim_end_matches('}');
        let record = on.record_of(members, Some(on.now() + 10 * on.short()));
        match store.save(id, &record, Precondition::Unchanged(&stored.version)).await? {
            Saved::Saved(_) => return Ok(()),
            Saved::Conflict => {}
            Saved::Gone => return Err(Failure("the session is gone".into())),
        }
    }
}

/// Lets `count` requests change a session, all of which loaded it before any saved it.
async fn change_in_parallel(
    on: &Subject,
    id: &SessionId,
    count: u64,
    apply: fn(u64, &mut Members),
) -> Outcome {
    let gated = [0, 1].map(|n| GateStore::new(on.handle(n)));
    let gates = gated.each_ref().map(|store| store.hold_many(Op::Save, count as usize / 2));
    let requests = (0..count).map(|n| {
        let store = AnyStore::new(gated[n as usize % 2].clone());
        let (on, id) = (on.clone(), id.clone());
        async move { change(&on, &store, &id, |members| apply(n, members)).await }
    });
    let requests = tokio::spawn(race(requests.collect::<Vec<_>>()));
    for gate in &gates {
        gate.arrived().await;
    }
    drop(gates);
    requests.await??;
    Ok(())
}

pub(super) async fn twenty_parallel_keys_all_survive(on: Subject) -> Outcome {
    let id = on.id("a");
    create(on.store(), &id, &on.record(0)).await?;
    let set = |n: u64, members: &mut Members| _ = members.insert(format!("k{n}"), n.into());
    change_in_parallel(&on, &id, 20, set).await?;

    let stored = living(on.store(), &id).await?;
    let mut survivors = 0;
    for n in 0..20 {
        survivors += u64::from(value(&stored, &format!("k{n}"))? == n);
    }
    assert_eq!(survivors, 20);
    Ok(())
}

pub(super) async fn a_hundred_parallel_increments_count_to_a_hundred(on: Subject) -> Outcome {
    let id = on.id("a");
    create(on.store(), &id, &on.record(0)).await?;
    let add = |_, members: &mut Members| {
        let n = members["n"].as_u64().unwrap_or_default();
        members.insert("n".into(), (n + 1).into());
    };
    change_in_parallel(&on, &id, 100, add).await?;
    assert_eq!(says(on.store(), &id).await?, Some(100));
    Ok(())
}

pub(super) async fn a_colliding_id_takes_nobody_over(on: Subject) -> Outcome {
    for round in 0..ROUNDS {
        let id = on.id(round);
        let created = race((0..10).map(|n| {
            let (store, id, record) = (on.handle(n), id.clone(), on.record(n));
            async move { Ok(store.save(&id, &record, Precondition::Absent).await?) }
        }))
        .await?;
        let conflicts = created.iter().filter(|saved| **saved == Saved::Conflict).count();
        assert_eq!(conflicts, 9, "one of ten gets the id");
        let winner = created.iter().position(|saved| matches!(saved, Saved::Saved(_)));
        assert_eq!(says(on.other(), &id).await?, winner.map(|n| n as u64));
    }
    Ok(())
}
