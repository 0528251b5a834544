//! The embedded store through the face that everybody uses.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tempfile::TempDir;

use crate::{Cluster, Conflict, PutError, StoreError, Version, Versioned};

fn store() -> (TempDir, Cluster) {
    let dir = tempfile::tempdir().unwrap();
    let cluster = Cluster::open_embedded(&dir.path().join("cluster.json")).unwrap();
    (dir, cluster)
}

fn conflict(error: PutError) -> Conflict {
    match error {
        PutError::Conflict(conflict) => conflict,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_value_is_written_only_by_who_knew_the_one_before() {
    let (_dir, cluster) = store();
    let first = cluster.put_if("a", None, "1".into()).await.unwrap();
    let refused = conflict(cluster.put_if("a", None, "2".into()).await.unwrap_err());
    assert_eq!(refused.current.unwrap().value, "1");
    let second = cluster.put_if("a", Some(first), "2".into()).await.unwrap();
    assert!(second > first);
    assert!(cluster.put_if("a", Some(first), "3".into()).await.is_err());
    assert!(cluster.delete_if("a", first).await.is_err());
    cluster.delete_if("a", second).await.unwrap();
    assert_eq!(cluster.get("a").await.unwrap(), None);
    // A key that was deleted and made again never has a version of its former life.
    let again = cluster.put_if("a", None, "4".into()).await.unwrap();
    assert!(again > second);
}

#[tokio::test]
async fn what_was_written_is_there_after_opening_again() {
    let (dir, cluster) = store();
    let path = dir.path().join("cluster.json");
    let version = cluster.put_if("x/a", None, "\"é\"".into()).await.unwrap();
    cluster.put_if("x/b", None, "2".into()).await.unwrap();
    cluster.put_if("y", None, "3".into()).await.unwrap();
    drop(cluster);
    let cluster = Cluster::open_embedded(&path).unwrap();
    let listed = cluster.list("x/").await.unwrap();
    assert_eq!(listed.keys().collect::<Vec<_>>(), ["x/a", "x/b"]);
    assert_eq!(listed["x/a"].version, version);
    let next = cluster.put_if("z", None, String::new()).await.unwrap();
    assert!(next > cluster.get("y").await.unwrap().unwrap().version);
}

#[tokio::test]
async fn a_watcher_is_told_each_changed_key_once() {
    let (_dir, cluster) = store();
    let mut watch = cluster.watch("x/");
    let mut version = None;
    for n in 0..100 {
        version = Some(cluster.put_if("x/a", version, n.to_string()).await.unwrap());
    }
    cluster.put_if("y", None, String::new()).await.unwrap();
    let told: Vec<String> = watch.changed().await.into_iter().collect();
    assert_eq!(told, ["x/a"]);
    let waiting = tokio::spawn(async move { watch.changed().await });
    tokio::task::yield_now().await;
    cluster.delete_if("x/a", version.unwrap()).await.unwrap();
    assert!(waiting.await.unwrap().contains("x/a"));
}

#[tokio::test]
async fn a_foreign_or_damaged_file_is_named_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cluster.json");
    let cases = [
        "",
        "{}",
        "\0\u{1}",
        r#"{"kind":"something else","format":1,"revision":0,"entries":{}}"#,
        r#"{"kind":"mainstay cluster state","format":2,"revision":0,"entries":{}}"#,
        r#"{"kind":"mainstay cluster state","format":1,"revision":0,"entries":{"a":{"version":4,"value":""}}}"#,
    ];
    for text in cases {
        std::fs::write(&path, text).unwrap();
        let error = Cluster::open_embedded(&path).unwrap_err();
        assert!(
            matches!(error, StoreError::Damaged { .. }),
            "{text}: {error}"
        );
        assert!(
            error.to_string().contains(path.to_str().unwrap()),
            "{error}"
        );
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }
    std::fs::write(&path, [0xff, 0xfe]).unwrap();
    assert!(matches!(
        Cluster::open_embedded(&path).unwrap_err(),
        StoreError::Damaged { .. }
    ));
}

#[tokio::test]
async fn a_change_that_cannot_be_written_is_not_visible() {
    let (dir, cluster) = store();
    let version = cluster.put_if("a", None, "1".into()).await.unwrap();
    // A directory in the temporary file's place stops root too, which permissions would not.
    std::fs::create_dir(dir.path().join("cluster.new")).unwrap();
    let error = cluster.put_if("a", Some(version), "2".into()).await;
    let error = error.unwrap_err().to_string();
    assert!(error.contains("cluster.json"), "{error}");
    assert_eq!(cluster.get("a").await.unwrap().unwrap().value, "1");
}

/// One step of a writer that remembers the version it saw last, of one of three keys.
#[derive(Debug, Clone)]
enum Step {
    Look { writer: usize, key: usize },
    Put { writer: usize, key: usize },
    Delete { writer: usize, key: usize },
}

fn step() -> impl Strategy<Value = Step> {
    (0..3usize, 0..3usize, 0..3u8).prop_map(|(writer, key, kind)| match kind {
        0 => Step::Look { writer, key },
        1 => Step::Put { writer, key },
        _ => Step::Delete { writer, key },
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// A write succeeds exactly when nobody wrote that key since the writer looked, and versions
    /// only grow: no lost update, whatever the interleaving.
    #[test]
    fn put_if_loses_no_update(steps in proptest::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (_dir, cluster) = store();
            let keys = ["a", "b/c", "b/d"];
            let mut seen: [[Option<Version>; 3]; 3] = [[None; 3]; 3];
            let mut model: BTreeMap<&str, Versioned> = BTreeMap::new();
            let mut newest = None;
            for (n, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Look { writer, key } => {
                        let found = cluster.get(keys[key]).await.unwrap();
                        assert_eq!(found.as_ref(), model.get(keys[key]));
                        seen[writer][key] = found.map(|found| found.version);
                    }
                    Step::Put { writer, key } => {
                        let current = model.get(keys[key]).map(|v| v.version);
                        let put = cluster
                            .put_if(keys[key], seen[writer][key], n.to_string())
                            .await;
                        assert_eq!(put.is_ok(), current == seen[writer][key]);
                        if let Ok(version) = put {
                            assert!(Some(version) > newest);
                            newest = Some(version);
                            seen[writer][key] = newest;
                            let value = n.to_string();
                            model.insert(keys[key], Versioned { version, value });
                        }
                    }
                    Step::Delete { writer, key } => {
                        let Some(version) = seen[writer][key] else { continue };
                        let current = model.get(keys[key]).map(|v| v.version);
                        let deleted = cluster.delete_if(keys[key], version).await;
                        assert_eq!(deleted.is_ok(), current == Some(version));
                        if deleted.is_ok() {
                            model.remove(keys[key]);
                        }
                    }
                }
            }
            let all = cluster.list("").await.unwrap();
            let model: BTreeMap<String, Versioned> =
                model.into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
            assert_eq!(all, model);
        });
    }
}
