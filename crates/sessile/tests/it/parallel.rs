//! Nothing is lost between parallel requests of one session.

use std::time::Duration;

use axum::{Router, routing::get};
use sessile::{
    Concurrency, CookieOptions, Error, Precondition, Saved, Session, SessionHandle, SessionLayer,
    SessionStore, StoreError,
};
use sessile_testkit::Op;
use tokio::time::Instant;

use crate::client::{Client, Pause, Reply, app, pausable};
use crate::stage::Stage;
use crate::watch::Watch;

over_every_store! {
    of_twenty_parallel_keys_all_twenty_survive,
    a_writer_among_readers_loses_nothing,
    a_hundred_parallel_increments_are_exactly_a_hundred,
    parallel_logins_never_share_an_identity,
    parallel_removes_and_clears_are_merged,
    a_parallel_max_age_is_merged,
    a_parallel_touch_does_not_take_back_a_remember_me,
    last_write_wins_is_what_express_does,
    reject_is_409_for_the_later,
    lock_lets_one_request_in_at_a_time,
    a_reload_sees_what_others_saved,
}

/// Starts `paths` on one session, and lets each finish only when all have begun.
async fn at_once<P: AsRef<str>>(client: &Client, paths: impl IntoIterator<Item = P>) -> Vec<Reply> {
    let mut running = Vec::new();
    for path in paths {
        let (pause, request) = client.get_paused(path.as_ref());
        running.push((pause, tokio::spawn(request)));
    }
    for (pause, _) in &running {
        pause.reached().await;
    }
    let mut replies = Vec::new();
    for (pause, request) in running {
        pause.go();
        replies.push(request);
    }
    let mut read = Vec::new();
    for reply in replies {
        read.push(reply.await.unwrap());
    }
    read
}

fn with_resave(stage: &Stage, resave: bool) -> SessionLayer {
    stage.layer().with_resave(resave).build().unwrap()
}

/// Express keeps 3 of 20, and with `resave` 1.
async fn of_twenty_parallel_keys_all_twenty_survive(stage: Stage) {
    for resave in [false, true] {
        let client = Client::of(with_resave(&stage, resave));
        client.get("/set/first/1").await.ok();
        for reply in at_once(&client, (0..20).map(|n| format!("/set/key{n}/{n}"))).await {
            reply.ok();
        }
        let all = client.get("/all").await.json();
        assert_eq!(all.as_object().unwrap().len(), 21, "resave {resave}: {all}");
        for n in 0..20 {
            assert_eq!(all[format!("key{n}")], n.to_string());
        }
    }
}

/// Express loses the write 50 times of 50 under `resave`.
async fn a_writer_among_readers(stage: &Stage, rounds: usize) {
    for resave in [true, false] {
        let client = Client::of(with_resave(stage, resave));
        client.get("/set/n/start").await.ok();
        let mut lost = 0;
        for n in 0..rounds {
            let write = format!("/set/n/{n}");
            at_once(&client, ["/read", "/user", &write, "/all", "/read"]).await;
            lost += usize::from(client.get("/all").await.json()["n"] != *n.to_string());
        }
        assert_eq!(lost, 0, "resave {resave}");
    }
}

async fn a_writer_among_readers_loses_nothing(stage: Stage) {
    a_writer_among_readers(&stage, 50).await;
}

#[tokio::test]
async fn a_writer_among_readers_loses_none_of_a_thousand() {
    a_writer_among_readers(&Stage::memory(), 500).await;
}

async fn a_hundred_parallel_increments_are_exactly_a_hundred(stage: Stage) {
    let watch = Watch::new();
    // A hundred that wait for each other on a slow disk take their time.
    let layer = stage.layer().with_store_timeout(Duration::from_secs(60)).build().unwrap();
    let client = Client::of(layer);
    client.get("/set/first/1").await.ok();
    for reply in at_once(&client, [const { "/count" }; 100]).await {
        reply.ok();
    }
    assert_eq!(client.get("/all").await.json()["count"], 100);
    #[cfg(feature = "metrics")]
    assert!(watch.counters()["sessile_conflicts"] >= 99);
    drop(watch);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn increments_on_many_threads_are_exact_too() {
    let stage = Stage::memory();
    let client = stage.client();
    client.get("/count").await.ok();
    let requests: Vec<_> = (0..400).map(|_| tokio::spawn(client.get("/count"))).collect();
    for request in requests {
        request.await.unwrap().ok();
    }
    assert_eq!(client.get("/all").await.json()["count"], 401);
}

async fn parallel_logins_never_share_an_identity(stage: Stage) {
    for verb in ["login", "cycle"] {
        let client = stage.client();
        client.get("/set/cart/full").await.ok();
        let old = client.id();
        let one = client.with_a_copy_of_its_cookies();
        let two = client.with_a_copy_of_its_cookies();
        let (pause_one, request_one) = one.get_paused(&format!("/{verb}/1"));
        let (pause_two, request_two) = two.get_paused(&format!("/{verb}/2"));
        let (request_one, request_two) = (tokio::spawn(request_one), tokio::spawn(request_two));
        pause_one.reached().await;
        pause_two.reached().await;
        pause_two.go();
        request_two.await.unwrap().ok();
        pause_one.go();
        request_one.await.unwrap().ok();
        assert!(!stage.lives(&old).await, "{verb}");
        let users: Vec<_> =
            stage.records().await.into_values().map(|values| values["user"].clone()).collect();
        assert_eq!(two.get("/user").await.ok().body, "2", "{verb}");
        match verb {
            "login" => {
                assert_eq!(one.get("/user").await.ok().body, "1");
                assert_eq!(users.len(), 2);
                assert_ne!(one.id(), two.id());
            }
            _ => {
                assert_eq!(one.get("/user").await.ok().body, "nobody");
                assert_eq!(users, ["2"]);
            }
        }
        stage.store.clear().await.unwrap();
    }
}

async fn parallel_removes_and_clears_are_merged(stage: Stage) {
    let client = stage.client();
    for key in ["a", "b", "c"] {
        client.get(&format!("/set/{key}/1")).await.ok();
    }
    at_once(&client, ["/remove/a", "/set/d/4", "/set/b/2", "/remove/c"]).await;
    let all = client.get("/all").await.json();
    assert_eq!(all, serde_json::json!({ "b": "2", "d": "4" }));

    // The clear comes second: it clears what the first one set.
    at_once(&client, ["/set/e/5", "/clear"]).await;
    assert_eq!(client.get("/all").await.json(), serde_json::json!({}));
    at_once(&client, ["/clear", "/set/f/6"]).await;
    assert_eq!(client.get("/all").await.json(), serde_json::json!({ "f": "6" }));
}

const HOUR: Duration = Duration::from_secs(3600);
const MONTH: Duration = Duration::from_secs(30 * 24 * 3600);

fn for_an_hour(stage: &Stage) -> SessionLayer {
    stage.layer().with_cookie(CookieOptions::default().with_max_age(HOUR)).build().unwrap()
}

async fn expires(stage: &Stage, client: &Client) -> Duration {
    let stored = stage.store.load(&client.id()).await.unwrap().unwrap();
    stored.expires.unwrap().duration_since(sessile::Clock::now(&stage.clock)).unwrap()
}

async fn a_parallel_max_age_is_merged(stage: Stage) {
    let remember = format!("/max-age/{}", MONTH.as_millis());
    for paths in [["/set/a/1", &remember], [&remember, "/set/a/1"]] {
        let client = Client::of(for_an_hour(&stage));
        client.get("/set/user/7").await.ok();
        at_once(&client, paths).await;
        assert_eq!(expires(&stage, &client).await, MONTH, "{paths:?}");
        let all = client.get("/all").await.json();
        assert_eq!(all, serde_json::json!({ "user": "7", "a": "1" }), "{paths:?}");
        assert_eq!(expires(&stage, &client).await, MONTH, "{paths:?}");
    }
}

/// A page's forty assets end after its login; they must not shorten what it promised.
async fn a_parallel_touch_does_not_take_back_a_remember_me(stage: Stage) {
    for (first, then) in [(HOUR, MONTH), (HOUR, Duration::from_secs(60))] {
        for read in ["/read", "/touch"] {
            let client = Client::of(for_an_hour(&stage));
            client.get("/set/user/7").await.ok();
            assert_eq!(expires(&stage, &client).await, first);
            let (pause, reader) = client.get_paused(read);
            let reader = tokio::spawn(reader);
            pause.reached().await;
            client.get(&format!("/max-age/{}", then.as_millis())).await.ok();
            assert_eq!(expires(&stage, &client).await, then);
            pause.go();
            reader.await.unwrap().ok();
            assert_eq!(expires(&stage, &client).await, then, "{read} took it back");
        }
    }
}

async fn last_write_wins_is_what_express_does(stage: Stage) {
    let layer = stage.layer().with_concurrency(Concurrency::LastWriteWins).build().unwrap();
    let client = Client::of(layer);
    client.get("/set/first/1").await.ok();
    at_once(&client, ["/set/a/1", "/set/b/2"]).await;
    let all = client.get("/all").await.json();
    assert_eq!(all, serde_json::json!({ "first": "1", "b": "2" }));
}

async fn reject_is_409_for_the_later(stage: Stage) {
    let layer = stage.layer().with_concurrency(Concurrency::Reject).build().unwrap();
    let client = Client::of(layer);
    client.get("/set/first/1").await.ok();
    for late in ["/set/b/2", "/cycle", "/count", "/clear"] {
        let (pause, request) = client.get_paused(late);
        let request = tokio::spawn(request);
        pause.reached().await;
        client.get(&format!("/set/winner{}/1", late.replace('/', "-"))).await.ok();
        pause.go();
        let reply = request.await.unwrap();
        assert_eq!(reply.status, 409, "{late}");
        assert_eq!((reply.body.as_str(), reply.session_cookie()), ("", None), "{late}");
    }
    let all = client.get("/all").await.json();
    assert_eq!(all["first"], "1");
    assert_eq!(all.get("b"), None);
    client.get("/set/b/3").await.ok();
    assert_eq!(stage.records().await.len(), 1);
}

/// Adds one the way that loses updates wherever two requests run at once.
async fn read_then_write(session: Session) -> Result<String, Error> {
    let count = session.get::<u64>("count")?.unwrap_or(0);
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    session.insert("count", count + 1)?;
    Ok((count + 1).to_string())
}

fn locking(stage: &Stage) -> Client {
    let layer = stage.layer().with_concurrency(Concurrency::Lock).build().unwrap();
    let app = Router::new().route("/add", get(read_then_write)).merge(app());
    Client::new(app.layer(layer))
}

async fn lock_lets_one_request_in_at_a_time(stage: Stage) {
    let client = locking(&stage);
    client.get("/add").await.ok();
    let requests: Vec<_> = (0..50).map(|_| tokio::spawn(client.get("/add"))).collect();
    for request in requests {
        request.await.unwrap().ok();
    }
    assert_eq!(client.get("/all").await.json()["count"], 51);
}

#[tokio::test]
async fn under_lock_the_second_waits_and_sees_what_the_first_did() {
    let (stage, gates) = Stage::memory().gated();
    let client = locking(&stage);
    client.get("/set/a/1").await.ok();
    let gate = gates.hold(Op::Save);
    let first = tokio::spawn(client.get("/set/a/2"));
    gate.arrived().await;
    let second = tokio::spawn(client.get("/all"));
    let stranger = locking(&stage);
    stranger.get("/set/b/1").await.ok();
    assert_eq!(stranger.get("/all").await.json()["b"], "1", "other sessions do not wait");
    assert!(!second.is_finished());
    gate.open();
    first.await.unwrap().ok();
    assert_eq!(second.await.unwrap().json()["a"], "2");
}

#[tokio::test(start_paused = true)]
async fn under_lock_nobody_waits_longer_than_the_deadline() {
    let stage = Stage::memory();
    let client = locking(&stage);
    client.get("/set/a/1").await.ok();
    let (pause, first) = client.get_paused("/set/a/2");
    let first = tokio::spawn(first);
    pause.reached().await;
    let start = Instant::now();
    let second = client.get("/set/a/3").await;
    assert_eq!((second.status.as_u16(), start.elapsed().as_secs()), (503, 5));
    pause.go();
    first.await.unwrap().ok();
    assert_eq!(client.get("/all").await.json()["a"], "2");
}

/// A handler that gave up waiting for the session once does not lock itself out.
#[tokio::test(start_paused = true)]
async fn under_lock_a_load_that_was_given_up_can_be_tried_again() {
    let (stage, faults) = Stage::memory().faulty();
    let handler = async |handle: SessionHandle| {
        let impatient = Duration::from_millis(10);
        assert!(tokio::time::timeout(impatient, handle.load()).await.is_err());
        let start = Instant::now();
        let session = handle.load().await?;
        assert!(start.elapsed() < Duration::from_secs(1), "it waited for itself");
        session.get::<String>("a").map(Option::unwrap)
    };
    let layer = stage.layer().with_concurrency(Concurrency::Lock).build().unwrap();
    let client =
        Client::new(Router::new().route("/impatient", get(handler)).merge(app()).layer(layer));
    client.get("/set/a/1").await.ok();
    faults.inject_nth(Op::Load, 1, sessile_testkit::Fault::Hang);
    assert_eq!(client.get("/impatient").await.ok().body, "1");
}

#[tokio::test]
async fn under_lock_a_cycled_id_leaves_the_next_in_line_with_nothing() {
    let stage = Stage::memory();
    let client = locking(&stage);
    client.get("/login/7").await.ok();
    let thief = client.with_a_copy_of_its_cookies();
    let (pause, cycle) = client.get_paused("/cycle");
    let cycle = tokio::spawn(cycle);
    pause.reached().await;
    let waiting = tokio::spawn(thief.get("/user"));
    pause.go();
    cycle.await.unwrap().ok();
    assert_eq!(waiting.await.unwrap().ok().body, "nobody");
    assert_eq!(client.get("/user").await.ok().body, "7");
}

async fn a_reload_sees_what_others_saved(stage: Stage) {
    let reloading = async |session: Session, axum::Extension(wait): axum::Extension<Pause>| {
        session.insert("mine", "dropped by the reload")?;
        wait.here().await;
        session.reload().await?;
        assert!(!session.contains_key("mine"));
        session.insert("seen", session.get::<String>("theirs")?)?;
        Ok::<_, Error>(())
    };
    let app = Router::new().route("/reloading", get(reloading)).merge(app());
    let client = Client::new(app.layer(stage.layer().build().unwrap()));
    client.get("/set/a/1").await.ok();
    let wait = Pause::default();
    let mut request = crate::client::request("/reloading");
    request.extensions_mut().insert(wait.clone());
    let reloading = tokio::spawn(client.send(request));
    wait.reached().await;
    client.get("/set/theirs/2").await.ok();
    wait.go();
    reloading.await.unwrap().ok();
    let all = client.get("/all").await.json();
    assert_eq!(all, serde_json::json!({ "a": "1", "theirs": "2", "seen": "2" }));
}

#[tokio::test]
async fn saves_of_one_request_in_parallel_keep_every_change() {
    for mode in [Concurrency::Merge, Concurrency::LastWriteWins] {
        let (stage, gates) = Stage::memory().gated();
        let handler = {
            let gates = gates.clone();
            async move |session: Session| {
                session.insert("a", 1).unwrap();
                let gate = gates.hold(Op::Save);
                let saves = [session.clone(), session.clone()]
                    .map(|session| tokio::spawn(async move { session.save().await }));
                gate.arrived().await;
                session.insert("b", 2).unwrap();
                gate.open();
                for save in saves {
                    save.await.unwrap().unwrap();
                }
                session.insert("c", 3).unwrap();
            }
        };
        let layer = stage.layer().with_concurrency(mode).build().unwrap();
        let client =
            Client::new(Router::new().route("/saves", get(handler)).merge(app()).layer(layer));
        client.get("/set/first/1").await.ok();
        client.get("/saves").await.ok();
        let all = client.get("/all").await.json();
        assert_eq!(all, serde_json::json!({ "first": "1", "a": 1, "b": 2, "c": 3 }), "{mode:?}");
    }
}

/// A store in which somebody else is always first.
#[derive(Debug)]
struct Contested(sessile::AnyStore);

impl SessionStore for Contested {
    async fn load(&self, id: &sessile::SessionId) -> Result<Option<sessile::Stored>, StoreError> {
        self.0.load(id).await
    }

    async fn save(
        &self,
        id: &sessile::SessionId,
        record: &sessile::Record,
        when: Precondition<'_>,
    ) -> Result<Saved, StoreError> {
        if let Precondition::Unchanged(_) = when {
            let current = self.0.load(id).await?.unwrap();
            let current = sessile::Record::parse(current.text).unwrap();
            self.0.save(id, &current, Precondition::Exists).await?;
        }
        self.0.save(id, record, when).await
    }

    async fn touch(
        &self,
        id: &sessile::SessionId,
        cookie: &sessile::SessionCookie,
        since: Option<&sessile::Version>,
    ) -> Result<bool, StoreError> {
        self.0.touch(id, cookie, since).await
    }

    async fn destroy(&self, id: &sessile::SessionId) -> Result<bool, StoreError> {
        self.0.destroy(id).await
    }

    async fn rotate(
        &self,
        from: &sessile::SessionId,
        to: &sessile::SessionId,
        record: &sessile::Record,
        version: &sessile::Version,
    ) -> Result<Saved, StoreError> {
        self.0.rotate(from, to, record, version).await
    }
}

#[tokio::test]
async fn a_session_that_others_never_leave_alone_is_503_at_the_deadline() {
    let stage = Stage::memory();
    let inner = stage.store.clone();
    let stage = stage.with_store(Contested(inner));
    let layer = stage.layer().with_store_timeout(Duration::from_millis(30)).build().unwrap();
    let client = Client::of(layer);
    client.get("/set/a/1").await.ok();
    let contested = tokio::spawn(client.get("/set/a/2"));
    let mut turns = 0;
    while !contested.is_finished() {
        tokio::task::yield_now().await;
        turns += 1;
    }
    let reply = contested.await.unwrap();
    assert_eq!((reply.status.as_u16(), reply.body.as_str()), (503, ""));
    assert!(turns > 10, "whoever merges lets others run");
    assert_eq!(client.get("/all").await.json()["a"], "1");
}

/// What was saved without an answer must not be confused with what came after a reload.
#[tokio::test]
async fn after_a_reload_an_unanswered_save_is_forgotten() {
    let (stage, faults) = Stage::memory().faulty();
    let handler = {
        let faults = faults.clone();
        async move |session: Session, axum::Extension(wait): axum::Extension<Pause>| {
            session.insert("a", 2).unwrap();
            faults.inject_nth(Op::Save, 1, sessile_testkit::Fault::LoseAnswer);
            session.save().await.unwrap_err();
            session.reload().await.unwrap();
            assert_eq!(session.get::<u8>("a").unwrap(), Some(2), "it was saved");
            session.insert("b", 3).unwrap();
            wait.here().await;
        }
    };
    let app = Router::new().route("/unanswered", get(handler)).merge(app());
    let client = Client::new(app.layer(stage.layer().build().unwrap()));
    client.get("/set/a/1").await.ok();
    let wait = Pause::default();
    let mut request = crate::client::request("/unanswered");
    request.extensions_mut().insert(wait.clone());
    let unanswered = tokio::spawn(client.send(request));
    wait.reached().await;
    client.get("/set/c/4").await.ok();
    client.get("/remove/c").await.ok();
    wait.go();
    unanswered.await.unwrap().ok();
    assert_eq!(client.get("/all").await.json(), serde_json::json!({ "a": 2, "b": 3 }));
}

/// Saying again what is so already is a change too, when another request says otherwise.
#[tokio::test]
async fn what_a_request_states_again_holds_together_with_the_rest_of_it() {
    let stage = Stage::memory();
    let both = async |session: Session| {
        session.insert("role", "guest")?;
        session.insert("name", "guest")
    };
    let app = Router::new().route("/demote", get(both)).merge(app());
    let client = Client::new(pausable(app).layer(stage.layer().build().unwrap()));
    client.get("/set/role/guest").await.ok();
    let (pause, demote) = client.get_paused("/demote");
    let demote = tokio::spawn(demote);
    pause.reached().await;
    client.get("/set/role/admin").await.ok();
    pause.go();
    demote.await.unwrap().ok();
    let all = client.get("/all").await.json();
    assert_eq!(all, serde_json::json!({ "role": "guest", "name": "guest" }));
}
