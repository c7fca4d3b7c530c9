//! Single rows: when they live, which is whose, how they are found and removed.

use super::*;

#[tokio::test]
async fn load_expired_is_none_at_the_very_instant() {
    for fixture in Fixture::both().await {
        let (store, record) = (&fixture.store, record(NOW + 60_001, 1));
        let version = fixture.create("a", &record).await;
        fixture.clock.set(NOW + 60_000);
        assert!(store.load(&id("a")).await.unwrap().is_some());
        assert_eq!(store.length().await.unwrap(), 1);
        assert_eq!(store.all(None, 10).await.unwrap().sessions.len(), 1);
        assert_eq!(store.purge_expired().await.unwrap(), 0);

        fixture.clock.set(NOW + 60_001);
        let (a, to, later) = (id("a"), id("b"), self::record(NOW + DAY, 2));
        assert!(store.load(&a).await.unwrap().is_none());
        assert_eq!(store.length().await.unwrap(), 0);
        assert!(store.all(None, 10).await.unwrap().sessions.is_empty());
        assert!(!store.touch(&a, later.cookie(), None).await.unwrap());
        assert_eq!(store.save(&a, &later, Precondition::Exists).await.unwrap(), Saved::Gone);
        let unchanged = Precondition::Unchanged(&version);
        assert_eq!(store.save(&a, &later, unchanged).await.unwrap(), Saved::Gone);
        assert_eq!(store.rotate(&a, &to, &later, &version).await.unwrap(), Saved::Gone);
        assert!(store.load(&a).await.unwrap().is_none());
        assert_eq!(store.purge_expired().await.unwrap(), 1);
        assert_eq!(fixture.raw_rows(), 0);
    }
}

#[tokio::test]
async fn an_expiry_beyond_what_the_column_can_say_is_the_last_it_can() {
    for fixture in Fixture::both().await {
        for (expires, lives) in [(8_640_000_000_000_000, true), (-8_640_000_000_000_000, false)] {
            let when = Precondition::None;
            fixture.store.save(&id("a"), &record(expires, 1), when).await.unwrap();
            assert_eq!(text(&fixture.store, "a").await.is_some(), lives, "{expires}");
        }
    }
}

#[tokio::test]
async fn ids_are_compared_exactly() {
    let long = "x".repeat(8192);
    let ids = [
        "",
        " ",
        "a",
        "A",
        "a ",
        "a\0",
        "a\0b",
        "a%",
        "a_",
        "1",
        "01",
        "1.0",
        "1e0",
        "é",
        "e\u{301}",
        "../a",
        "$gt",
        "'; DROP TABLE sessions; --",
        "\u{1f980}",
        &long,
    ];
    for fixture in Fixture::both().await {
        for (n, sid) in ids.iter().enumerate() {
            assert_eq!(text(&fixture.store, sid).await, None, "{sid:?}");
            fixture.create(sid, &record(NOW + DAY, n as u64)).await;
        }
        for (n, sid) in ids.iter().enumerate() {
            let expected = record(NOW + DAY, n as u64);
            assert_eq!(*text(&fixture.store, sid).await.unwrap(), **expected.text(), "{sid:?}");
        }
        let mut listed: Vec<_> = fixture.store.all(None, 100).await.unwrap().sessions;
        assert_eq!(listed.len(), ids.len());
        let (first, _) = listed.swap_remove(0);
        assert!(fixture.store.destroy(&first).await.unwrap());
        assert_eq!(fixture.store.length().await.unwrap(), ids.len() as u64 - 1);
    }
}

#[tokio::test]
async fn purge_removes_the_expired_only_in_batches() {
    for fixture in Fixture::both().await {
        let saves: Vec<_> = (0..1200)
            .map(|n| {
                let store = fixture.store.clone();
                tokio::spawn(async move {
                    let record = record(NOW + if n < 3 { 2 } else { 1 }, n);
                    store.save(&id(&n.to_string()), &record, Precondition::Absent).await
                })
            })
            .collect();
        for save in saves {
            version(save.await.unwrap().unwrap());
        }
        fixture.clock.set(NOW + 1);
        assert_eq!(fixture.store.purge_expired().await.unwrap(), 1197);
        assert_eq!(fixture.raw_rows(), 3);
        assert_eq!(fixture.store.purge_expired().await.unwrap(), 0);
    }
}

#[tokio::test]
async fn expired_sessions_are_removed_without_being_asked_for() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), TestClock::new());
    let layout = SqliteLayout::default();
    let store = builder(&folder, layout, &clock).with_sweep_every(Duration::from_millis(1));
    let fixture = Fixture { store: store.connect().await.unwrap(), clock, folder, layout };
    fixture.create("a", &record(NOW + 1, 1)).await;
    fixture.clock.set(NOW + 1);
    while fixture.raw_rows() > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn queries_use_an_index() {
    for fixture in Fixture::both().await {
        let raw = fixture.raw();
        let statements = Statements::new(fixture.layout, "sessions");
        let plan = |sql: &str| -> Vec<String> {
            let mut statement = raw.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let plan = statement.raw_query().mapped(|row| row.get(3)).collect::<Result<_, _>>();
            plan.unwrap()
        };
        for sql in [
            &statements.load,
            &statements.save_existing,
            &statements.save_unchanged,
            &statements.touch,
            &statements.destroy,
            &statements.rotate,
            &statements.alive,
        ] {
            let plan = plan(sql);
            let by_id = |step: &String| step.contains("sqlite_autoindex_sessions_1 (sid=?)");
            assert!(
                plan.iter().all(|step| by_id(step) || step.starts_with("SCALAR")),
                "{sql} {plan:?}"
            );
        }
        assert!(plan(&statements.all)[0].contains("(sid>?)"), "{:?}", plan(&statements.all));
        let by_expiry = format!("({}<?)", fixture.layout.expiry());
        let purge = plan(&statements.purge);
        assert!(purge.iter().any(|step| step.contains(&by_expiry)), "{purge:?}");
        assert!(!purge.iter().any(|step| step.contains("SCAN")), "{purge:?}");
    }
}
