//! Files that are no sessions, and folders that are not there.

use std::fs::File;
use std::time::Duration;

use sessile_core::StoreErrorKind;

use super::*;

const PLAIN: &str = r#"{"cookie":{"originalMaxAge":null,"expires":null},"views":1}"#;

#[cfg(unix)]
#[tokio::test]
async fn files_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;

    let on = Fixture::new().await;
    on.write("a.json", PLAIN);
    fs::set_permissions(on.file("a.json"), fs::Permissions::from_mode(0o644)).unwrap();
    on.save("a", PLAIN).await;
    on.save("b", PLAIN).await;
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(on.file("a.json")), 0o600);
    assert_eq!(mode(on.file("b.json")), 0o600);
    assert_eq!(mode(on.sessions()), 0o700);
    assert_eq!(mode(on.file(".sessile")), 0o700);
}

#[cfg(unix)]
#[tokio::test]
async fn no_symbolic_link_is_followed() {
    let on = Fixture::new().await;
    let outside = on.folder.path().join("outside.json");
    fs::write(&outside, PLAIN).unwrap();
    std::os::unix::fs::symlink(&outside, on.file("a.json")).unwrap();
    assert!(on.load("a").await.is_none());
    on.save("a", &PLAIN.replace("views", "clicks")).await;
    assert_eq!(fs::read_to_string(&outside).unwrap(), PLAIN);
    assert!(on.file("a.json").symlink_metadata().unwrap().is_file(), "the link is replaced");

    // Nor where the next content is written.
    for stripe in 0..64 {
        let temporary = on.file(&format!(".sessile/{stripe:02}.tmp"));
        std::os::unix::fs::symlink(&outside, temporary).unwrap();
    }
    on.save("a", PLAIN).await;
    assert!(on.load("a").await.is_some());
    on.save("b", &PLAIN.replace("views", "clicks")).await;
    assert_eq!(fs::read_to_string(&outside).unwrap(), PLAIN);
}

#[tokio::test]
async fn what_nobody_can_have_meant_is_no_session_and_stays() {
    let on = Fixture::new().await;
    on.write("latin.json", b"{\"cookie\":{},\"name\":\"Zo\xEB\"}");
    on.write("cut.json", &PLAIN[..PLAIN.len() - 3]);
    on.write("empty.json", "");
    on.write("cookieless.json", r#"{"views":1,"__lastAccess":5}"#);
    on.write("list.json", "[1]");
    on.write("quote.json", "{\"");
    fs::create_dir(on.file("folder.json")).unwrap();
    let large = File::create(on.file("large.json")).unwrap();
    large.set_len(65 << 20).unwrap();

    let names = ["latin", "cut", "empty", "cookieless", "list", "quote", "folder", "large"];
    for name in names {
        assert!(on.load(name).await.is_none(), "{name}");
        let replaced = on.store.save(&id(name), &record(PLAIN), Precondition::Exists).await;
        assert_eq!(replaced.unwrap(), Saved::Gone, "{name}");
        assert!(!on.store.touch(&id(name), record(PLAIN).cookie(), None).await.unwrap());
    }
    assert_eq!(on.store.length().await.unwrap(), 0);
    assert!(on.store.all(None, 10).await.unwrap().sessions.is_empty());
    assert_eq!(on.store.purge_expired().await.unwrap(), 0);
    for name in names {
        assert!(on.file(&format!("{name}.json")).exists(), "{name}");
    }
    on.save("cut", PLAIN).await;
    assert!(on.load("cut").await.is_some());

    assert!(!on.store.destroy(&id("folder")).await.unwrap());
    on.store.clear().await.unwrap();
    let left: Vec<_> =
        names.iter().filter(|name| on.file(&format!("{name}.json")).exists()).collect();
    assert_eq!(left, [&"folder"]);
}

#[tokio::test]
async fn what_a_killed_writer_left_harms_nobody_and_is_removed() {
    let on = Fixture::new().await;
    on.save("a", PLAIN).await;
    for stripe in 0..64 {
        on.write(&format!(".sessile/{stripe:02}.tmp"), &PLAIN[..10]);
    }
    assert_eq!(*on.load("a").await.unwrap().text, *PLAIN);
    on.save("a", &PLAIN.replace('1', "2")).await;
    assert_eq!(*on.load("a").await.unwrap().text, *PLAIN.replace('1', "2"));

    on.store.purge_expired().await.unwrap();
    let left = fs::read_dir(on.file(".sessile")).unwrap().flatten().map(|entry| entry.file_name());
    let left: Vec<_> = left.filter_map(|name| name.into_string().ok()).collect();
    assert!(left.iter().all(|name| name.ends_with(".lock")), "{left:?}");
}

#[tokio::test]
async fn a_purge_reads_every_batch() {
    let on = Fixture::new().await;
    let soon = r#"{"cookie":{"originalMaxAge":60000,"expires":"2030-01-02T03:05:05.678Z"}}"#;
    for n in 0..250 {
        on.write(&format!("{n}.json"), soon.replace("}}", &format!("}},\"__lastAccess\":{NOW}}}")));
    }
    on.save("stays", PLAIN).await;
    on.clock.advance(Duration::from_secs(60));
    assert_eq!(on.store.purge_expired().await.unwrap(), 250);
    assert_eq!(on.store.length().await.unwrap(), 1);
}

#[cfg(unix)]
#[tokio::test]
async fn a_session_that_cannot_be_removed_keeps_no_other() {
    let on = Fixture::new().await;
    let soon = r#"{"cookie":{"originalMaxAge":60000,"expires":"2030-01-02T03:05:05.678Z"}}"#;
    for n in 0..150 {
        on.save(&n.to_string(), soon).await;
    }
    on.clock.advance(Duration::from_secs(60));
    // Nobody can have the lock of this session and of some others.
    let stripe = u8::from_str_radix(&id("7").digest()[..2], 16).unwrap() % 64;
    let lock = on.file(&format!(".sessile/{stripe:02}.lock"));
    fs::remove_file(&lock).unwrap();
    std::os::unix::fs::symlink("/dev/null", &lock).unwrap();

    let error = on.store.purge_expired().await.unwrap_err();
    assert!(error.to_string().starts_with("could not remove expired sessions"), "{error}");
    let left = fs::read_dir(on.sessions()).unwrap().count() - 1;
    assert!((1..20).contains(&left), "{left} of 150 stay");

    fs::remove_file(&lock).unwrap();
    assert_eq!(on.store.purge_expired().await.unwrap(), left as u64);
}

#[tokio::test]
async fn without_its_folder_nobody_is_unknown() {
    let on = Fixture::new().await;
    on.save("a", PLAIN).await;
    let elsewhere = on.folder.path().join("elsewhere");
    fs::rename(on.sessions(), &elsewhere).unwrap();
    let unmounted = on.sessions();
    for there in [false, true] {
        if there {
            fs::create_dir(&unmounted).unwrap();
        }
        let error = on.store.load(&id("a")).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
        assert!(error.to_string().contains("is gone"), "{error}");
        let error = on.store.save(&id("a"), &record(PLAIN), Precondition::None).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
        assert!(on.store.destroy(&id("a")).await.is_err());
    }
    fs::remove_dir(&unmounted).unwrap();
    fs::rename(elsewhere, unmounted).unwrap();
    assert!(on.load("a").await.is_some(), "it is back, and nothing is lost");
}

#[tokio::test]
async fn an_id_too_long_for_a_file_says_so() {
    let on = Fixture::new().await;
    let (fits, long) = ("x".repeat(250), "x".repeat(251));
    on.save(&fits, PLAIN).await;
    let error = on.store.save(&id(&long), &record(PLAIN), Precondition::None).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Failed);
    assert_eq!(error.to_string(), "a session's id is too long for the name of a file");
    let version = on.load(&fits).await.unwrap().version;
    let rotated = on.store.rotate(&id(&fits), &id(&long), &record(PLAIN), &version).await;
    assert_eq!(rotated.unwrap_err().kind(), StoreErrorKind::Failed);
    assert!(on.load(&fits).await.is_some(), "the session stays where it was");
}
