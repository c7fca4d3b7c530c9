//! A server that speaks TLS.

use sessile_core::StoreErrorKind;

use super::*;

#[tokio::test]
async fn a_server_is_reached_over_tls_if_somebody_vouches_for_it() {
    let server = server::mariadb_tls().unwrap();
    let authority = std::fs::read(server.dir().join("ca.crt")).unwrap();
    let builder = || MysqlStore::builder(server.url()).with_root_certificate(authority.clone());
    let store = builder().connect().await.unwrap();
    let record = Record::parse(r#"{"cookie":{"expires":null}}"#).unwrap();
    version(store.save(&id("a"), &record, Precondition::Absent).await.unwrap());

    let mut raw = Conn::from_url(server.url().replace("?require_ssl=true", "")).await.unwrap();
    raw.query_drop("CREATE USER careful REQUIRE SSL").await.unwrap();
    raw.query_drop("GRANT ALL ON test.* TO careful").await.unwrap();
    let url = server.url().replace("root@", "careful@");
    let careful = MysqlStore::builder(&url).with_root_certificate(authority.clone());
    careful.connect().await.unwrap();
    let error = MysqlStore::connect(&url.replace("?require_ssl=true", "")).await.unwrap_err();
    assert!(said(&error).contains("denied"), "{error:?}");

    let error = MysqlStore::connect(server.url()).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    assert!(said(&error).contains("UnknownIssuer"), "{error:?}");
}
