//! The PostgreSQL store on a real server.

use sessile_testkit::server;
use tokio_postgres::NoTls;

use crate::trips::each_request_keeps_to_its_budget;

mod outages {
    use crate::outage::{Backend, outages};

    outages!(Backend { start: sessile_testkit::server::postgres, durable: true });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_asks_the_server_as_often_as_it_must_and_no_more() {
    let server = tokio::task::spawn_blocking(server::postgres).await.unwrap().unwrap();
    let (client, connection) = tokio_postgres::connect(server.url(), NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute("CREATE EXTENSION pg_stat_statements").await.unwrap();

    // Every statement that a client sent counts, a BEGIN too; this one does not.
    let sql = "SELECT coalesce(sum(calls), 0)::bigint FROM pg_stat_statements
         WHERE toplevel AND query NOT LIKE '%pg_stat_statements%'";
    let count = async || {
        let calls: i64 = client.query_one(sql, &[]).await.unwrap().get(0);
        calls.unsigned_abs()
    };
    each_request_keeps_to_its_budget(server.url(), count).await;
    assert!(count().await > 10, "what was counted are the statements of the store");
}
