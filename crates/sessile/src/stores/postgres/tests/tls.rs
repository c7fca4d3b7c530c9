//! A server that speaks TLS.

use sessile_core::StoreErrorKind;

use super::*;

#[tokio::test]
async fn a_server_is_reached_over_tls_if_somebody_vouches_for_it() {
    let server = server::postgres_tls().unwrap();
    let authority = std::fs::read(server.dir().join("ca.crt")).unwrap();
    let store = PostgresStore::builder(server.url()).with_root_certificate(authority);
    let store = store.connect().await.unwrap();
    let record = Record::parse(r#"{"cookie":{"expires":null}}"#).unwrap();
    version(store.save(&id("a"), &record, Precondition::Absent).await.unwrap());
    let sql = "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
         WHERE ssl AND application_name = 'sessile'";
    let raw = raw(&server.url().replace("?sslmode=require", "")).await;
    assert_eq!(raw.query_one(sql, &[]).await.unwrap().get::<_, i64>(0), 1);

    let error = PostgresStore::connect(server.url()).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    assert!(said(&error).contains("UnknownIssuer"), "{error:?}");
}

#[tokio::test]
async fn a_wrong_root_certificate_says_so() {
    let builder = PostgresStore::builder("postgres://localhost/app?sslmode=require");
    let error = builder.with_root_certificate("none").connect().await.unwrap_err();
    assert_eq!(error.to_string(), "the root certificate is not one in PEM");
}
