//! The MySQL store on a real server.

use mysql_async::Conn;
use mysql_async::prelude::Queryable as _;
use sessile_testkit::server;
use tokio::sync::Mutex;

use crate::trips::each_request_keeps_to_its_budget;

mod outages {
    use crate::outage::{Backend, outages};

    outages!(Backend { start: sessile_testkit::server::mariadb, durable: true });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_asks_the_server_as_often_as_it_must_and_no_more() {
    let server = tokio::task::spawn_blocking(server::mariadb).await.unwrap().unwrap();
    let mut conn = Conn::from_url(server.url()).await.unwrap();
    conn.query_drop("SET GLOBAL log_output = 'TABLE', GLOBAL general_log = ON").await.unwrap();

    // Every statement that another client sent counts, a BEGIN too, but not what a new
    // connection asks about the server.
    let sql = "SELECT COUNT(*) FROM mysql.general_log WHERE thread_id <> CONNECTION_ID()
         AND command_type IN ('Execute', 'Query') AND argument NOT LIKE 'SELECT @@%'";
    let conn = Mutex::new(conn);
    let count = async || conn.lock().await.query_first(sql).await.unwrap().unwrap();
    each_request_keeps_to_its_budget(server.url(), count).await;
    assert!(count().await > 10_u64, "what was counted are the statements of the store");
}
