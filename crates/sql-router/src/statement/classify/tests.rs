//! A table of statements; and properties: what writes is never a read.

use proptest::prelude::*;

use super::*;

#[track_caller]
fn check(reason: Reason, statements: &[&str]) {
    for text in statements {
        assert_eq!(classify(text.as_bytes()).because, reason, "{text}");
    }
}

#[track_caller]
fn pins(pin: Pins, statements: &[&str]) {
    for text in statements {
        let class = classify(text.as_bytes());
        assert_eq!(class.pins, pin, "{text}");
        assert_ne!(class.kind, Kind::Read, "{text}");
    }
}

#[test]
fn what_a_statement_does_to_the_answers_about_it() {
    for (text, counted, recounts, clears) in [
        ("SELECT v FROM t", true, false, true),
        ("SELECT 1", true, false, false),
        ("SELECT NEXTVAL(s)", true, false, true),
        ("VALUES (1)", false, false, false),
        ("INSERT INTO t SELECT 1", false, true, true),
        ("CREATE TABLE t AS SELECT 1", false, true, true),
        ("DELETE FROM t", false, true, true),
        ("DO 1", false, false, false),
        ("SET time_zone = '+01:00'", false, false, false),
        ("SHOW CREATE DATABASE d", false, false, false),
        ("SHOW CREATE TABLE t", false, false, true),
        ("CALL p()", false, false, false),
    ] {
        let class = classify(text.as_bytes());
        let seen = (class.counted, class.recounts, class.clears);
        assert_eq!(seen, (counted, recounts, clears), "{text}");
    }
    assert!(classify(b"SHOW ERRORS").warnings && classify(b"SELECT @@error_count").warnings);
    assert!(classify(b"DROP SCHEMA a").schemas && !classify(b"DROP TABLE a").schemas);
}

#[test]
fn a_release_is_told_from_names_and_savepoints() {
    for text in [
        "COMMIT RELEASE",
        "rollback work release",
        "COMMIT AND NO CHAIN RELEASE",
        "SELECT 1; COMMIT RELEASE",
    ] {
        assert!(classify(text.as_bytes()).releases, "{text}");
    }
    for text in [
        "COMMIT NO RELEASE",
        "RELEASE SAVEPOINT a",
        "ROLLBACK TO SAVEPOINT release",
        "SELECT 'COMMIT RELEASE'",
        "COMMIT",
    ] {
        assert!(!classify(text.as_bytes()).releases, "{text}");
    }
}

#[test]
fn what_looks_back() {
    for (looks_back, statements) in [
        (
            false,
            &[
                "SELECT 1",
                "SELECT v FROM t FOR UPDATE",
                "INSERT INTO t VALUES (LAST_INSERT_ID())",
                "INSERT INTO t (v) VALUES (?)",
                "REPLACE INTO `t` (v, w) SELECT v, w FROM u",
                "SET NAMES utf8mb4",
                "BEGIN",
                "SHOW TABLES",
                "SELECT @a",
            ][..],
        ),
        (
            true,
            &[
                "SELECT ROW_COUNT()",
                "INSERT INTO t VALUES (ROW_COUNT())",
                "SELECT f()",
                "SELECT `f`()",
                "UPDATE t SET v = d.last_insert_id()",
                "CALL p()",
                "SELECT @@last_gtid",
                "SET @@sql_mode = @@sql_mode",
                "SELECT LASTVAL(s)",
                "SHOW WARNINGS",
                "SHOW SESSION STATUS",
                "SELECT 1; SELECT 2",
                "SELECT 'a\\' , ROW_COUNT(), '",
                "GET DIAGNOSTICS @n = NUMBER",
                "-- nothing",
            ],
        ),
    ] {
        for text in statements {
            assert_eq!(classify(text.as_bytes()).looks_back, looks_back, "{text}");
        }
    }
}

#[test]
fn plain_reads() {
    check(
        Reason::PlainRead,
        &[
            "SELECT 1",
            "select * from posts where id = ? order by created desc limit 10",
            "SELECT 1;",
            "  /* app */ SELECT `a`.`b` FROM `t` AS `a` -- tail\n",
            "(SELECT a FROM t) UNION ALL (SELECT b FROM u) LIMIT 3",
            "WITH x AS (SELECT 1) SELECT * FROM x",
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9) SELECT i FROM n",
            "SELECT COUNT(*), MAX(price), NOW(), CONCAT('a', 'it''s') FROM t",
            "SELECT count (*) FROM t WHERE a IN (1, 2) AND b NOT IN (SELECT c FROM d)",
            "SELECT CAST(a AS DECIMAL(10,2)), CAST(b AS DATETIME(6)), CONVERT(c USING utf8mb4) FROM t",
            "SELECT RANK() OVER (PARTITION BY a ORDER BY b) FROM t USE INDEX (i)",
            "SELECT a FROM t WHERE MATCH (a) AGAINST ('x' IN BOOLEAN MODE)",
            "SELECT @@hostname, @@GLOBAL.read_only, @@version_comment LIMIT 1",
            "SELECT 'update t set a = 1; drop table t' AS text",
            "SELECT \"for update\" FROM t",
            "SELECT t.update, t.`delete` FROM t",
            "SELECT 'über' FROM café",
            "SELECT REPLACE(a, 'x', 'y'), INSERT(b, 1, 2, 'z') FROM t",
            "SELECT 1 -- FOR UPDATE",
            "SELECT 5--1",
            "VALUES (1, 2), (3, 4)",
            "SHOW TABLES",
            "SHOW FULL COLUMNS FROM t LIKE 'a%'",
            "show index from t",
            "SHOW PROCEDURE STATUS",
            "EXPLAIN SELECT * FROM t",
            "EXPLAIN EXTENDED SELECT 1",
            "EXPLAIN FORMAT=JSON SELECT 1",
            "DESCRIBE t",
            "DESC `t`",
            "DESC db.t col",
            "SELECT a FROM t WHERE b = 'c:\\\\d'",
        ],
    );
}

#[test]
fn reads_that_stay_on_the_primary() {
    check(
        Reason::LockingRead,
        &[
            "SELECT * FROM t FOR UPDATE",
            "SELECT * FROM t FOR /* x */ update SKIP LOCKED",
            "SELECT * FROM t LOCK IN SHARE MODE",
            "SELECT * FROM t FOR SHARE",
        ],
    );
    check(
        Reason::Into,
        &["SELECT 1 INTO OUTFILE '/tmp/x'", "SELECT a FROM t INTO @a"],
    );
    check(
        Reason::UserVariable,
        &["SELECT @a := 1", "SELECT @a, @b := @b + 1 FROM t"],
    );
    // They follow the session, or pin it.
    check(
        Reason::PlainRead,
        &[
            "SELECT @a",
            "SELECT @'b' + 1",
            "SELECT 1 FROM t WHERE a = @`b`",
        ],
    );
    check(
        Reason::SystemVariable,
        &[
            "SELECT @@sql_mode",
            "SELECT @@session.autocommit",
            "SELECT @@last_insert_id",
            "SELECT @@`version`",
        ],
    );
    check(
        Reason::Sequence,
        &[
            "SELECT NEXT VALUE FOR s",
            "SELECT PREVIOUS VALUE FOR s",
            "SELECT s.nextval",
        ],
    );
    check(
        Reason::Function,
        &[
            "SELECT GET_LOCK('a', 1)",
            "SELECT RELEASE_ALL_LOCKS()",
            "SELECT NEXTVAL(s)",
            "SELECT LAST_INSERT_ID()",
            "SELECT CONNECTION_ID()",
            "SELECT mine(1)",
            "SELECT db.concat(1)",
            "SELECT `concat`(1)",
            "SELECT \"count\"(1)",
            "SELECT sleep /* */ (1)",
            "SELECT datetime(1)",
            "EXPLAIN SELECT mine(1)",
            "SHOW TABLES WHERE mine(1)",
        ],
    );
    check(
        Reason::SystemSchema,
        &[
            "SELECT * FROM information_schema.processlist",
            "SELECT * FROM `mysql`.`user`",
            "SELECT * FROM \"sys\".x",
            "SHOW TABLES FROM mysql",
        ],
    );
    check(
        Reason::FoundRows,
        &["SELECT SQL_CALC_FOUND_ROWS * FROM t LIMIT 1"],
    );
    check(
        Reason::ExecutableComment,
        &[
            "SELECT /*!40001 SQL_NO_CACHE */ * FROM t",
            "SELECT * FROM t /*M!100100 FOR X */ LIMIT 1",
        ],
    );
    check(
        Reason::Unreadable,
        &[
            "SELECT 'a",
            "SELECT 1 /* x",
            "SELECT 1 \0",
            r"SELECT '\' FOR UPDATE -- '",
            r"SELECT 'a\' , mine('b')",
        ],
    );
    check(
        Reason::MultiStatement,
        &[
            "SELECT 1; SELECT 2",
            "SELECT 1; DROP TABLE t",
            "DELETE FROM t; SELECT 1",
        ],
    );
    check(
        Reason::AboutLast,
        &[
            "SHOW WARNINGS",
            "SHOW COUNT(*) ERRORS",
            "SELECT FOUND_ROWS()",
            "SELECT @@session.warning_count",
            "SELECT ROW_COUNT()",
        ],
    );
    check(
        Reason::ServerState,
        &[
            "SHOW STATUS",
            "SHOW VARIABLES LIKE 'a'",
            "SHOW OPEN TABLES",
            "SHOW CREATE TABLE t",
            "SHOW TABLE STATUS",
            "SHOW EVENTS",
            "SHOW FULL PROCESSLIST",
            "SHOW MASTER STATUS",
            "SHOW GRANTS",
            "FLUSH STATUS",
            "KILL 5",
        ],
    );
}

#[test]
fn everything_else() {
    check(
        Reason::Writes,
        &[
            "INSERT INTO t VALUES (1)",
            "UPDATE t SET a = 1",
            "delete from t",
            "REPLACE t SELECT 1",
            "CREATE TABLE t (a INT)",
            "DROP TABLE t",
            "ALTER TABLE t ADD b INT",
            "TRUNCATE t",
            "LOAD DATA LOCAL INFILE 'x' INTO TABLE t",
            "EXPLAIN UPDATE t SET a = 1",
            "EXPLAIN FOR CONNECTION 3",
            "WITH x AS (SELECT 1) UPDATE t SET a = 1",
            "WITH x AS (SELECT 1) DELETE FROM t",
            "SELECT * FROM t PROCEDURE ANALYSE()",
            "ANALYZE SELECT 1",
            "DO 1",
        ],
    );
    check(
        Reason::SetsSession,
        &[
            "SET NAMES utf8mb4",
            "SET @@session.sql_mode = ''",
            "SET @a = 1",
            "SET STATEMENT max_statement_time=1 FOR SELECT 1",
        ],
    );
    check(
        Reason::Transaction,
        &[
            "BEGIN",
            "START TRANSACTION READ ONLY",
            "COMMIT",
            "ROLLBACK TO a",
            "XA END 'x'",
        ],
    );
    check(
        Reason::Unknown,
        &[
            "", "-- x", "?", "TABLE t", "HELP 'x'", "'SELECT'", "EXPLAIN",
        ],
    );
    assert_eq!(
        classify(b"SET STATEMENT a=1 FOR SELECT 1").kind,
        Kind::SetStatement
    );
    assert_eq!(classify(b"kill query 5").kind, Kind::Kill);
}

#[test]
fn what_stays_behind_in_the_session() {
    pins(
        Pins::USER_VARIABLE,
        &[
            "SET @a = 1",
            "SELECT @a := 1",
            "SELECT 1 INTO @a",
            "SELECT 1 INTO @a; SELECT 1",
            "SELECT 1; SELECT @a",
            "INSERT INTO t VALUES (@a := 1)",
            "LOAD DATA INFILE 'x' INTO TABLE t (@a) SET b = @a",
            "GET DIAGNOSTICS @a = NUMBER",
            "CALL p(@a)",
            "SET a = 1, @b = 2",
        ],
    );
    pins(
        Pins::TEMPORARY_TABLE,
        &[
            "CREATE TEMPORARY TABLE t (a INT)",
            "create or replace temporary table t select 1",
            "SELECT 1; CREATE TEMPORARY TABLE t (a INT)",
            "/*!40000 CREATE TEMPORARY TABLE t (a INT) */",
        ],
    );
    pins(
        Pins::LOCK,
        &[
            "LOCK TABLES t READ",
            "SELECT get_lock('a', 1)",
            "DO GET_LOCK('a', 1)",
            "FLUSH TABLES WITH READ LOCK",
            "FLUSH TABLES t FOR EXPORT",
            "BACKUP LOCK t",
        ],
    );
    pins(
        Pins::PREPARED,
        &[
            "PREPARE s FROM 'SELECT 1'",
            "EXECUTE s",
            "EXECUTE IMMEDIATE 'SELECT 1'",
        ],
    );
    pins(Pins::HANDLER, &["HANDLER t OPEN"]);
    pins(Pins::XA, &["XA START 'x'"]);
    pins(Pins::ROLE, &["SET ROLE admin"]);
    pins(
        Pins::STATE,
        &[
            "SET session_track_schema = 0",
            "SET SESSION session_track_state_change=0",
            "SET @@session_track_schema=0",
        ],
    );
    pins(
        Pins::NONE,
        &[
            "SET NAMES latin1",
            "CREATE USER a@'%'",
            "SET PASSWORD FOR a@b = ''",
            "GRANT ALL ON *.* TO 'a'@'%'",
            "FLUSH TABLES",
            "INSERT INTO t VALUES ('@a')",
            "INSERT INTO t VALUES (@a)",
            "UPDATE t SET a = @a WHERE b = @b",
            "INSERT INTO t SELECT @a FROM u",
            "SET DEFAULT ROLE x FOR a@b",
            "USE db",
        ],
    );
    assert!(classify(b"SET NAMES utf8mb4 COLLATE utf8mb4_bin").unreported);
    assert!(!classify(b"SET NAMES utf8mb4").unreported);
}

/// Statements that write, with a place for blanks between any two words.
const WRITES: &[&str] = &[
    "INSERT INTO t VALUES ( 1 )",
    "INSERT INTO t SELECT * FROM u",
    "REPLACE INTO t SET a = 1",
    "UPDATE t SET a = 1 WHERE b = 2",
    "DELETE FROM t",
    "DELETE t FROM t JOIN u ON t.a = u.a",
    "WITH x AS ( SELECT 1 ) UPDATE t SET a = 1",
    "WITH x AS ( SELECT 1 ) DELETE FROM t",
    "SELECT * FROM t FOR UPDATE",
    "SELECT * FROM t LOCK IN SHARE MODE",
    "SELECT a INTO OUTFILE 'x' FROM t",
    "SELECT NEXT VALUE FOR s",
    "SELECT NEXTVAL ( s )",
    "SELECT GET_LOCK ( 'a' , 1 )",
    "SELECT stored ( 1 )",
    "( SELECT stored ( 1 ) ) UNION SELECT 1",
    "CALL p ( )",
    "DO stored ( )",
    "CREATE TABLE t AS SELECT 1",
    "DROP TABLE t",
    "TRUNCATE TABLE t",
    "LOAD DATA INFILE 'x' INTO TABLE t",
    "SET STATEMENT max_statement_time = 1 FOR DELETE FROM t",
    "ANALYZE DELETE FROM t",
    "SELECT 1 ; DELETE FROM t",
    "EXECUTE IMMEDIATE 'DELETE FROM t'",
    "BEGIN NOT ATOMIC DELETE FROM t ; END",
    "HANDLER t OPEN",
    "GRANT ALL ON *.* TO a@b",
    "ANALYZE TABLE t",
];

fn blank() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(vec![
        " ",
        "\n",
        "\t ",
        " /* SELECT */ ",
        " -- x'\"\n",
        " # `\n",
        "/**/ ",
        " /*+ h */ ",
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn what_writes_is_never_a_read(
        which in 0..WRITES.len(),
        blanks in proptest::collection::vec(blank(), 20),
        upper: u64,
        tail in proptest::sample::select(vec!["", ";", " -- \\", " # '", "/* \\' */"]),
    ) {
        let mut text = String::new();
        for (index, word) in WRITES[which].split(' ').enumerate() {
            if index > 0 {
                text.push_str(blanks[index % blanks.len()]);
            }
            match upper >> (index % 64) & 1 {
                1 => text.push_str(word),
                _ => text.push_str(&word.to_lowercase()),
            }
        }
        text.push_str(tail);
        let class = classify(text.as_bytes());
        prop_assert!(!matches!(class.kind, Kind::Read | Kind::AboutLast), "{}", text);
    }

    #[test]
    fn any_text_has_a_class(text: Vec<u8>) {
        classify(&text);
    }

    #[test]
    fn words_in_quotes_and_comments_do_not_make_a_write_a_read(inside in "[a-z ();@]{0,20}") {
        for text in [
            format!("DELETE FROM t WHERE a = '{inside}'"),
            format!("/* {inside} */ DELETE FROM t"),
            format!("DELETE FROM `{inside}`"),
        ] {
            prop_assert!(classify(text.as_bytes()).kind == Kind::Other, "{}", text);
        }
    }
}

#[test]
fn what_may_be_a_read_if_its_author_says_so() {
    for sql in [
        "SELECT f(a) FROM t",
        "CALL report()",
        "SELECT @@max_connections",
        "SHOW STATUS",
        "SELECT * FROM information_schema.tables",
        "SELECT SQL_CALC_FOUND_ROWS * FROM t",
        "SELECT /*! STRAIGHT_JOIN */ f(a) FROM t",
    ] {
        assert!(classify(sql.as_bytes()).may_be_read, "{sql}");
    }
    for sql in [
        "SELECT a FROM t",
        "INSERT INTO t VALUES (f())",
        "SELECT f(a) FROM t FOR UPDATE",
        "SELECT f(a) FROM t INTO OUTFILE 'x'",
        "SELECT f(a); DELETE FROM t; SELECT 1",
        "SELECT f(@a := 1)",
        "SELECT GET_LOCK('a', 1)",
        "SELECT NEXTVAL(s), f()",
        "BEGIN",
        "SET a = 1",
        "SHOW WARNINGS",
        "KILL 5",
        "FLUSH TABLES",
        "OPTIMIZE TABLE t",
        "EXECUTE s",
        "TABLE t",
        r"SELECT f('a\' , 'FOR UPDATE')",
    ] {
        assert!(!classify(sql.as_bytes()).may_be_read, "{sql}");
    }
}
