//! No operation reads more than it needs, however many sessions there are.

use mongodb::bson::Bson;

use super::super::document::{expired, living, of_id};
use super::*;

const FEW: i64 = 1000;
const MANY: i64 = 1_000_000;

/// Returns which index a command goes by, and how many of its keys and how many documents it
/// looks at.
async fn explained(raw: &Collection<RawDocumentBuf>, command: Document) -> (String, i64, i64) {
    let explain = doc! { "explain": command, "verbosity": "executionStats" };
    let database = raw.client().default_database().unwrap();
    let reply = database.run_command(explain).await.unwrap();
    let statistics = reply.get_document("executionStats").unwrap();
    let examined = |what: &str| match statistics.get(what) {
        Some(Bson::Int32(examined)) => i64::from(*examined),
        Some(Bson::Int64(examined)) => *examined,
        other => panic!("{what}: {other:?}"),
    };
    let (keys, documents) = (examined("totalKeysExamined"), examined("totalDocsExamined"));
    let plan = reply.get_document("queryPlanner").unwrap().get("winningPlan").unwrap().to_string();
    // The plan for an `_id` alone has a name of its own, but not in every release.
    let plan = plan.replace("IDHACK", "_id_");
    let by = ["\"_id_\"", "\"expires_1\""].into_iter().find(|by| plan.contains(by));
    (by.unwrap_or_else(|| panic!("no index: {plan}")).replace('"', ""), keys, documents)
}

/// Lets the server make sessions, of which one expires each millisecond.
async fn crowd(sessions: i64) -> Fixture {
    let fixture = Fixture::new().await;
    let name = collection();
    let seed = raw(&format!("{name}_seed")).await;
    let all = doc! { "n": { "$range": [0, sessions] } };
    seed.insert_one(RawDocumentBuf::try_from(&doc! { "_id": 0 }).unwrap()).await.unwrap();
    let session = doc! {
        "_id": { "$concat": ["s", { "$toString": "$n" }] },
        "expires": { "$add": [date(NOW), "$n"] },
        "session": "{}",
    };
    let steps = [
        doc! { "$project": all },
        doc! { "$unwind": "$n" },
        doc! { "$project": session },
        doc! { "$out": fixture.raw.name() },
    ];
    seed.aggregate(steps).await.unwrap();
    let store = builder(fixture.raw.name()).connect().await.unwrap();
    Fixture { store, ..fixture }
}

#[tokio::test]
async fn among_a_million_sessions_operations_go_by_index_and_a_load_costs_as_among_a_thousand() {
    let load = |name: &str| doc! { "find": name, "filter": of_id(&id("s500")) };
    let (few, fixture) = (crowd(FEW).await, crowd(MANY).await);
    for raw in [&few.raw, &fixture.raw] {
        assert_eq!(explained(raw, load(raw.name())).await, ("_id_".into(), 1, 1));
    }

    let (raw, name) = (&fixture.raw, fixture.raw.name());
    let shape = &fixture.store.inner.sessions.shape;
    let unchanged = shape.unchanged(&id("s500"), &Version::text("{}")).unwrap();
    let set = doc! { "$set": { "expires": date(NOW + MANY) } };
    for filter in [unchanged, shape.living(&id("s500"))] {
        let update = doc! { "update": name, "updates": [{ "q": filter, "u": set.clone() }] };
        assert_eq!(explained(raw, update).await, ("_id_".into(), 1, 1));
    }
    let missing = shape.living(&id("nobody"));
    let update = doc! { "update": name, "updates": [{ "q": missing, "u": set }] };
    assert_eq!(explained(raw, update).await, ("_id_".into(), 0, 0));
    let purge = doc! { "find": name, "filter": expired(date(NOW + MANY / 2)), "limit": 500 };
    assert_eq!(explained(raw, purge).await, ("expires_1".into(), 500, 500));
    let mut page = living(date(NOW));
    page.insert("_id", doc! { "$gt": "s500" });
    let page = doc! { "find": name, "filter": page, "sort": { "_id": 1 }, "limit": 100 };
    assert_eq!(explained(raw, page).await, ("_id_".into(), 100, 100));
}
