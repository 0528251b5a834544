//! Pure: what is there before a script begins: accounts, and a schema for each session.

/// Two accounts that may use every schema of the scripts (`d0`, `d1`, … and `e0`, …).
pub(crate) const ACCOUNTS: [&str; 4] = [
    "CREATE USER one@'%' IDENTIFIED BY 'secret'",
    "CREATE USER two@'%' IDENTIFIED BY 'secret'",
    "GRANT ALL ON `d_`.* TO one@'%', two@'%'",
    "GRANT ALL ON `e_`.* TO one@'%', two@'%'",
];

/// A schema with something of everything.
pub(crate) fn schema(name: &str) -> Vec<String> {
    let other = name.replace('d', "e");
    let mut all = vec![
        format!("DROP DATABASE IF EXISTS {name}"),
        format!("DROP DATABASE IF EXISTS {other}"),
        format!("CREATE DATABASE {other} CHARACTER SET latin1 COLLATE latin1_german1_ci"),
        format!("CREATE TABLE {other}.only (a INT PRIMARY KEY) SELECT 5 AS a"),
        format!("CREATE DATABASE {name}"),
        format!("USE {name}"),
    ];
    all.extend(CONTENT.iter().map(|sql| (*sql).to_owned()));
    all
}

const CONTENT: [&str; 17] = [
    "CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(10) CHARACTER SET utf8mb4, n INT)",
    "INSERT INTO t (v, n) VALUES ('a', 1), ('B', 2), ('\u{e4}', NULL)",
    "CREATE TABLE u (k INT PRIMARY KEY, f DOUBLE, d DATETIME(3), b BLOB, e ENUM('x', 'y'), j DECIMAL(10, 3))",
    "INSERT INTO u VALUES (1, 0.5, '2024-02-29 12:00:00.125', 'blob', 'x', 1.25), (2, NULL, NULL, NULL, NULL, NULL)",
    "CREATE TABLE m (k INT PRIMARY KEY) ENGINE=MyISAM",
    "CREATE TABLE logged (id INT AUTO_INCREMENT PRIMARY KEY, what VARCHAR(20))",
    "CREATE SEQUENCE s CACHE 3",
    "CREATE VIEW w AS SELECT v, n FROM t",
    "CREATE TRIGGER t_deleted AFTER DELETE ON t FOR EACH ROW INSERT INTO logged (what) VALUES (OLD.v)",
    "CREATE PROCEDURE p_rows() BEGIN SELECT 1 AS a; SELECT v FROM t ORDER BY id; END",
    "CREATE PROCEDURE p_write(x INT) BEGIN INSERT INTO t (v, n) VALUES ('p', x); SELECT COUNT(*) FROM t; END",
    "CREATE PROCEDURE p_set() BEGIN SET time_zone = '+05:00'; SET @p = 5; END",
    "CREATE PROCEDURE p_fail(x INT) BEGIN INSERT INTO t (v, n) VALUES ('q', x); SET time_zone = '+06:00'; \
     SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'no'; END",
    "CREATE PROCEDURE p_temporary() BEGIN CREATE TEMPORARY TABLE IF NOT EXISTS u (k INT); SELECT 2; END",
    "CREATE PROCEDURE p_out(OUT x INT) SET x = 7",
    "CREATE FUNCTION f_pure(x INT) RETURNS INT DETERMINISTIC RETURN x + 1",
    "CREATE FUNCTION f_write(x INT) RETURNS INT BEGIN INSERT INTO t (v, n) VALUES ('f', x); RETURN x; END",
];
