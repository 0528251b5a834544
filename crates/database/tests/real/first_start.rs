//! From nothing to a primary and a replica.

use std::time::{Duration, Instant};

use cluster::keys;
use database::record::StateRecord;
use database::{Role, accounts};

use crate::bed::{Bed, code, run, until};

#[tokio::test]
async fn a_primary_and_a_replica_come_from_nothing() {
    let mut bed = Bed::new();
    let began = Instant::now();
    let (primary, replica) = bed.pair().await;
    let took = began.elapsed();
    println!("from nothing to following: {took:?}");
    assert!(took < Duration::from_secs(5), "{took:?}");

    let [of_primary, of_replica] = [&primary, &replica].map(|k| k.report().borrow().clone());
    assert_eq!(
        (of_primary.role, of_primary.read_only),
        (Role::Primary, Some(false))
    );
    assert_eq!(
        (of_replica.role, of_replica.read_only),
        (Role::Replica, Some(true))
    );
    assert_eq!(of_replica.primary.as_ref(), Some(&of_primary.name));
    let state = bed
        .cluster
        .get(keys::DATABASE_STATE)
        .await
        .unwrap()
        .unwrap();
    let state: StateRecord = serde_json::from_str(&state.value).unwrap();
    assert_eq!((state.primary.as_str(), state.generation.0), ("db-1", 1));
    assert!(state.is_open());

    bed.seed().await;
    // The application cannot write on the replica.
    let mut app = bed.app("db-1.2").await;
    assert_eq!(
        code(app.query("INSERT INTO t VALUES (2, 2)").await),
        Some(1290)
    );
    // Nor see more than its own.
    assert_eq!(
        code(app.query("SELECT * FROM mysql.global_priv").await),
        Some(1142)
    );
    let empty = telemetry::Secret::new("");
    for user in ["root", "mainstay", "foobar", ""] {
        assert!(bed.login("db-1", user, &empty).await.is_err(), "{user:?}");
    }
    the_router_may_look_and_nothing_else(&bed).await;

    let lag = until(&replica, "lag", |report| report.lag_ms.is_some())
        .await
        .lag_ms;
    assert!(lag < Some(1500), "{lag:?}");
    let kinds = bed.kinds();
    for kind in [
        "db-1 member-up",
        "db-1 primary",
        "db-1.2 member-up",
        "db-1.2 replica-following",
    ] {
        assert!(
            kinds.contains(&format!("member {kind}")),
            "{kind}: {kinds:?}"
        );
    }
    assert_eq!(kinds.len(), 4, "{kinds:?}");
    bed.stop([replica, primary]).await;
}

async fn the_router_may_look_and_nothing_else(bed: &Bed) {
    let password = bed.secrets.get_or_create(accounts::ROUTER_SECRET).unwrap();
    for member in ["db-1", "db-1.2"] {
        let mut router = bed
            .login(member, accounts::ROUTER, &password)
            .await
            .unwrap();
        run(
            &mut router,
            "SELECT Host, User, Priv FROM mysql.global_priv",
        )
        .await;
        run(
            &mut router,
            "SELECT user, plugin, authentication_string FROM mysql.user",
        )
        .await;
        run(&mut router, "SHOW SLAVE STATUS").await;
        run(&mut router, "SELECT MAX(at_us) FROM mainstay.heartbeat").await;
        run(&mut router, "SELECT @@gtid_slave_pos, @@read_only").await;
        assert!(router.query("SELECT * FROM foobar_app.t").await.is_err());
        assert!(router.query("CREATE DATABASE x").await.is_err());
    }
}

#[tokio::test]
async fn everything_is_there_after_stopping_and_starting() {
    let bed = Bed::new();
    let (primary, replica) = bed.pair().await;
    bed.seed().await;
    let before = bed
        .admin("db-1")
        .await
        .query("SELECT @@gtid_binlog_pos")
        .await
        .unwrap();
    bed.stop([replica, primary]).await;

    let began = Instant::now();
    let (primary, replica) = bed.pair().await;
    println!("from stopped to following: {:?}", began.elapsed());
    bed.arrives("SELECT v FROM t WHERE id = 1", "1").await;
    let mut app = bed.app("db-1").await;
    run(&mut app, "INSERT INTO t VALUES (2, 2)").await;
    bed.arrives("SELECT v FROM t WHERE id = 2", "2").await;
    bed.same("foobar_app.t").await;
    let after = bed
        .admin("db-1")
        .await
        .query("SELECT @@gtid_binlog_pos")
        .await
        .unwrap();
    assert_ne!(before.single(), after.single());
    bed.stop([replica, primary]).await;
}
