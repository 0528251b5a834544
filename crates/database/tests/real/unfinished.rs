//! What ends a backup in the middle leaves nothing that is taken for one.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use database::backup::destination::{Destination, Directory};
use database::backup::record::Kind;
use database::backup::{self, Order};

use crate::backups::{Site, eventually};
use crate::bed::{kill, run};

/// Names the child's directory; set only for it.
const CHILD: &str = "MAINSTAY_TEST_UNFINISHED";

/// A file system of its own, gone with its test.
struct Mounted(PathBuf);

impl Mounted {
    fn new(path: &Path, options: &str) -> Self {
        std::fs::create_dir_all(path).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(path)
            .status();
        assert!(mounted.unwrap().success(), "mount needs root");
        Self(path.to_owned())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("-l").arg(&self.0).status();
        assert!(unmounted.unwrap().success());
    }
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found
}

#[tokio::test]
async fn a_full_disk_at_the_destination_leaves_nothing_and_the_next_try_works() {
    if !nix::unistd::geteuid().is_root() {
        println!("needs root to mount a small file system");
        return;
    }
    let site = Site::new(None).await;
    // A backup of an empty site has about 700 KB.
    let small = Mounted::new(&site.place(), "size=256k");
    let backups = backup::start(site.parts());
    let failed = eventually("a failure", || backups.report().borrow().failed.clone()).await;
    assert!(failed.contains("No space left on device"), "{failed}");
    assert!(failed.contains(site.place().to_str().unwrap()), "{failed}");
    assert_eq!(site.catalog().backups, []);
    assert_eq!(files(&site.place()), Vec::<PathBuf>::new());
    let grown = Command::new("mount")
        .args(["-o", "remount,size=64m"])
        .arg(&small.0)
        .status();
    assert!(grown.unwrap().success());
    let (taken, _) = backups
        .orders()
        .give(Order::Take(Kind::Full))
        .await
        .unwrap();
    assert_eq!(site.catalog().backups[0].manifest, taken);
    assert_eq!(backups.report().borrow().failed, None);
    backups.stop().await;
    site.stop().await;
}

#[tokio::test]
async fn a_killed_tool_leaves_nothing() {
    let site = Site::new(None).await;
    let mut app = site.bed.app("db-1").await;
    // Enough that the copy takes a moment.
    run(&mut app, "CREATE TABLE noise (v VARBINARY(1000))").await;
    let insert = "INSERT INTO noise SELECT RANDOM_BYTES(1000) FROM seq_1_to_40000";
    run(&mut app, insert).await;
    let backups = backup::start(site.parts());
    let pid = eventually("the tool runs", || tool(site.bed.dir.path())).await;
    kill(pid);
    let failed = eventually("a failure", || backups.report().borrow().failed.clone()).await;
    assert!(failed.contains("killed by SIGKILL"), "{failed}");
    assert_eq!(site.catalog().backups, []);
    assert_eq!(files(&site.place()), Vec::<PathBuf>::new());
    backups.stop().await;
    site.stop().await;
}

/// The process id of a mariadb-backup that works for this test.
fn tool(dir: &Path) -> Option<u32> {
    let dir = dir.to_str().unwrap();
    std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .find_map(|entry| {
            let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
            let line = std::fs::read(entry.path().join("cmdline")).ok()?;
            let line = String::from_utf8_lossy(&line).into_owned();
            (line.contains("--stream=xbstream") && line.contains(dir)).then_some(pid)
        })
}

/// Ourselves, killed in the middle of writing an object.
#[test]
fn a_killed_writer_leaves_nothing_that_counts() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "unfinished::child_that_never_finishes",
            "--ignored",
        ])
        .env(CHILD, dir.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let began = std::time::Instant::now();
    let written = || {
        files(dir.path())
            .iter()
            .any(|file| file.metadata().unwrap().len() > 0)
    };
    while !written() {
        assert!(began.elapsed().as_secs() < 30, "it never writes");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    kill(child.id());
    child.wait().unwrap();
    let place = Destination::Directory(Directory::new(dir.path().to_owned()));
    assert_eq!(place.list("").unwrap(), Vec::<String>::new());
    assert_eq!(files(dir.path()).len(), 1, "its half");
    assert_eq!(place.sweep().unwrap(), 1);
    assert_eq!(files(dir.path()), Vec::<PathBuf>::new());
}

#[test]
#[ignore = "a part of a_killed_writer_leaves_nothing_that_counts, which kills it"]
fn child_that_never_finishes() {
    use std::io::Write as _;
    let Some(dir) = std::env::var_os(CHILD) else {
        return;
    };
    let place = Destination::Directory(Directory::new(dir.into()));
    let mut upload = place.create("backups/b/data.xb.zst").unwrap();
    loop {
        upload.write_all(b"half a backup").unwrap();
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}
