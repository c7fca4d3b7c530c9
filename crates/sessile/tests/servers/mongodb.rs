//! The MongoDB store on a real server.

use mongodb::Client;
use mongodb::bson::{Bson, doc};
use sessile_testkit::server;

use crate::trips::each_request_keeps_to_its_budget;

mod alone {
    use crate::outage::{Backend, outages};

    outages!(Backend { start: sessile_testkit::server::mongodb, durable: true });
}

mod replica_set {
    use crate::outage::{Backend, outages};

    const BACKEND: Backend =
        Backend { start: sessile_testkit::server::mongodb_replica_set, durable: true };

    outages! { BACKEND,
        a_dead_server_is_503_and_needs_no_restart_of_ours
        what_kill_9_under_200_clients_had_acknowledged_is_there
    }
}

/// What a store sends; drivers also say hello and end their sessions.
const COMMANDS: [&str; 7] =
    ["aggregate", "count", "delete", "find", "findAndModify", "insert", "update"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_asks_the_server_as_often_as_it_must_and_no_more() {
    let server = tokio::task::spawn_blocking(server::mongodb).await.unwrap().unwrap();
    let client = Client::with_uri_str(server.url()).await.unwrap();
    let admin = client.database("admin");
    let count = async || {
        let status = admin.run_command(doc! { "serverStatus": 1 }).await.unwrap();
        let commands = status.get_document("metrics").unwrap().get_document("commands").unwrap();
        let total = |name: &&str| match commands.get_document(name).unwrap().get("total") {
            Some(Bson::Int64(total)) => total.unsigned_abs(),
            other => panic!("{name} was counted as {other:?}"),
        };
        COMMANDS.iter().map(total).sum()
    };
    let before = count().await;
    each_request_keeps_to_its_budget(server.url(), count).await;
    assert!(count().await > before + 10, "what was counted are the commands of the store");
}
