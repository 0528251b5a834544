//! mariadb-dump of a schema through the router, and its reload through the router.

use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use crate::bed::Bed;
use crate::{run, same};

/// Everything that a schema can hold, and rows of several megabytes.
const CONTENT: [&str; 16] = [
    "CREATE DATABASE copy",
    "GRANT ALL ON copy.* TO app@'%'",
    "USE app",
    "CREATE TABLE parent (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(40) NOT NULL, KEY (name)) CHARACTER SET utf8mb4",
    "INSERT INTO parent (name) SELECT CONCAT('\u{e4}\u{20ac} ', seq) FROM seq_1_to_5000",
    "CREATE TABLE child (id INT PRIMARY KEY, parent INT, b LONGBLOB, FOREIGN KEY (parent) REFERENCES parent (id))",
    "INSERT INTO child SELECT seq, seq, REPEAT(CHAR(seq), 1000000) FROM seq_1_to_6",
    "INSERT INTO child VALUES (100, 1, NULL), (101, NULL, ''), (102, 2, 0x00275c0a1a22)",
    "CREATE TABLE odd (`a b` DATETIME(6), `from` BIT(9), c DOUBLE, d DECIMAL(30, 10), e YEAR, f JSON, \
     g INT AS (LENGTH(f)) STORED, h INT CHECK (h > 0)) PARTITION BY HASH (MONTH(`a b`)) PARTITIONS 3",
    "INSERT INTO odd (`a b`, `from`, c, d, e, f, h) VALUES ('2024-02-29 01:02:03.000004', b'100000001', 1e300, \
     1.0000000001, 2024, '{\"a\": 1}', 1), (NULL, NULL, NULL, NULL, NULL, NULL, NULL)",
    "CREATE SEQUENCE numbers START 7 INCREMENT 3",
    "SELECT NEXTVAL(numbers)",
    "CREATE DEFINER=app@'%' VIEW seen AS SELECT name FROM parent WHERE id < 10",
    "CREATE DEFINER=app@'%' PROCEDURE several() BEGIN SELECT 1; SELECT 2; END",
    "CREATE DEFINER=app@'%' FUNCTION twice(x INT) RETURNS INT DETERMINISTIC RETURN 2 * x",
    "CREATE DEFINER=app@'%' TRIGGER added BEFORE INSERT ON odd FOR EACH ROW SET NEW.c = NEW.c + 1",
];

fn program(name: &str, at: SocketAddr) -> Command {
    let mut command = Command::new(name);
    command
        .arg("--no-defaults")
        .args([
            "--protocol=tcp",
            "--user=app",
            "--password=secret",
            "--skip-ssl",
        ])
        .arg(format!("--host={}", at.ip()))
        .arg(format!("--port={}", at.port()))
        .arg("--max-allowed-packet=128M");
    command
}

async fn dump(at: SocketAddr, schema: &str, how: &[&str]) -> String {
    let mut command = program("mariadb-dump", at);
    let always = [
        "--routines",
        "--triggers",
        "--hex-blob",
        "--skip-comments",
        "--no-tablespaces",
    ];
    command.args(always).args(how).arg(schema);
    run(command).await
}

async fn load(at: SocketAddr, schema: &str, file: &Path) {
    let mut command = program("mariadb", at);
    command.arg(schema).stdin(File::open(file).unwrap());
    assert_eq!(run(command).await, "");
}

#[tokio::test]
async fn a_dump_through_the_router_is_the_schema_and_comes_back() {
    let bed = Bed::start().await;
    bed.primary.sql(&CONTENT).await;
    bed.caught_up().await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("dump.sql");
    let in_one: &[&str] = &["--single-transaction"];
    let locked: &[&str] = &["--lock-tables", "--skip-extended-insert"];
    for how in [in_one, locked] {
        let straight = dump(bed.primary.address, "app", how).await;
        let routed = dump(bed.address, "app", how).await;
        assert!(straight.len() > 10_000_000, "{} bytes", straight.len());
        same("the dumps, straight and routed,", &straight, &routed);
        std::fs::write(&file, &routed).unwrap();
        load(bed.address, "copy", &file).await;
        // Another session: it need not have seen what the first one wrote.
        bed.caught_up().await;
        let copy = dump(bed.address, "copy", how)
            .await
            .replace("`copy`", "`app`");
        same("the dump and that of its copy", &routed, &copy);
        bed.primary
            .sql(&["DROP DATABASE copy", "CREATE DATABASE copy"])
            .await;
    }
}
