//! Who gets in, and what the others are told.

use mysql_async::prelude::Queryable as _;
use mysql_async::{ChangeUserOpts, Conn};

use crate::bed::{Bed, code, whereabouts};

#[tokio::test]
async fn logins() {
    let bed = Bed::start().await;
    bed.primary
        .sql(&[
            "CREATE USER super@'%' IDENTIFIED BY 'x'",
            "GRANT READ ONLY ADMIN ON *.* TO super@'%'",
            "CREATE USER socket@'%' IDENTIFIED VIA unix_socket",
            "CREATE USER elsewhere@'10.%' IDENTIFIED BY 'x'",
        ])
        .await;
    let denied = async |user: &str, password: &str| {
        let options = bed
            .options()
            .user(Some(user))
            .pass(Some(password))
            .db_name(None::<&str>);
        let error = Conn::new(options).await.expect_err(user);
        (code(&error), error.to_string())
    };
    for (user, password) in [
        ("app", "wrong"),
        ("app", ""),
        ("nobody", "x"),
        ("elsewhere", "x"),
    ] {
        let (code, message) = denied(user, password).await;
        assert_eq!(code, 1045, "{user}");
        assert!(message.contains("Access denied for user"), "{message}");
    }
    let (number, message) = denied("super", "x").await;
    assert_eq!(number, 1045);
    assert!(message.contains("READ ONLY ADMIN"), "{message}");
    let (number, message) = denied("socket", "x").await;
    assert_eq!(number, 1524);
    assert!(message.contains("`unix_socket`"), "{message}");

    let error = Conn::new(bed.options().db_name(Some("nowhere")))
        .await
        .unwrap_err();
    assert_eq!(code(&error), 1044);
    let mut client = Conn::new(bed.options().db_name(None::<&str>))
        .await
        .unwrap();
    client.ping().await.unwrap();
    assert!(
        client.server_version() >= (10, 6, 0),
        "the server's version is announced"
    );
    assert_eq!(whereabouts(&mut client).await, "db-2");
    client.disconnect().await.unwrap();

    // A user made a moment ago is let in: unknown names are looked up again.
    bed.primary
        .sql(&["CREATE USER late@'127.0.0.%' IDENTIFIED BY 'x'"])
        .await;
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    let late = bed
        .options()
        .user(Some("late"))
        .pass(Some("x"))
        .db_name(None::<&str>);
    let mut late = Conn::new(late).await.unwrap();
    let user: String = late
        .query_first("SELECT CURRENT_USER()")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(user, "late@127.0.0.%");
}

#[tokio::test]
async fn a_user_may_have_a_bound_of_his_own() {
    let bed = Bed::start().await;
    bed.change(|snapshot| {
        let bounds = &mut snapshot.target.user_sessions;
        bounds.insert("app".to_owned(), 2);
    });
    let first = bed.client().await;
    let _second = bed.client().await;
    let refused = Conn::new(bed.options()).await.unwrap_err();
    assert_eq!(code(&refused), 1226, "{refused}");
    first.disconnect().await.unwrap();
    // The session ends when the router has read that it does.
    let deadline = std::time::Instant::now() + crate::bed::PATIENCE;
    while let Err(error) = Conn::new(bed.options()).await {
        assert_eq!(code(&error), 1226, "{error}");
        assert!(std::time::Instant::now() < deadline, "it does not end");
    }
}

#[tokio::test]
async fn sessions_change_their_user_start_afresh_and_are_counted() {
    let bed = Bed::start().await;
    bed.primary
        .sql(&[
            "CREATE USER other@'%' IDENTIFIED BY 'x'",
            "GRANT SELECT ON app.* TO other@'%'",
        ])
        .await;
    let mut client = bed.client().await;
    client
        .query_drop("SET @a = 1, time_zone = '+05:00'")
        .await
        .unwrap();
    assert_eq!(
        whereabouts(&mut client).await,
        "db-1",
        "a user variable pins"
    );
    client.reset().await.unwrap();
    assert_eq!(whereabouts(&mut client).await, "db-2");
    let (a, zone, schema): (Option<i32>, String, String) = client
        .query_first("SELECT @a, @@time_zone, DATABASE()")
        .await
        .unwrap()
        .unwrap();
    assert_eq!((a, zone.as_str(), schema.as_str()), (None, "SYSTEM", "app"));

    let to = ChangeUserOpts::new()
        .with_user(Some("other".to_owned()))
        .with_pass(Some("x".to_owned()))
        .with_db_name(Some("app".to_owned()));
    client.change_user(to).await.unwrap();
    let user: String = client
        .query_first("SELECT CURRENT_USER()")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(user, "other@%");
    let wrong = ChangeUserOpts::new().with_pass(Some("y".to_owned()));
    assert_eq!(code(&client.change_user(wrong).await.unwrap_err()), 1045);

    drop(client);
    let until = std::time::Instant::now() + crate::bed::PATIENCE;
    while bed.router.status().sessions > 0 {
        assert!(std::time::Instant::now() < until, "a session does not end");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    bed.change(|snapshot| snapshot.target.sessions = 2);
    let both = (bed.client().await, bed.client().await);
    let error = Conn::new(bed.options()).await.unwrap_err();
    assert_eq!(code(&error), 1040);
    drop(both);
}
