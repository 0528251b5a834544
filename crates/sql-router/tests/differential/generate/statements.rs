//! Pure: statements that write, define, lock or run others.

use super::reads::fill;
use crate::seeded::Seeded;

fn one_of(seeded: &mut Seeded, from: &[&'static str]) -> String {
    let text = seeded.pick(from);
    fill(text, seeded)
}

pub(crate) fn write(seeded: &mut Seeded) -> String {
    one_of(
        seeded,
        &[
            "INSERT INTO t (v, n) VALUES ('i', {n})",
            "INSERT INTO t (v, n) VALUES ('i', {n}), ('j', {n}), (NULL, {n})",
            "INSERT INTO t (id, v) VALUES ({n}, 'dup')",
            "INSERT IGNORE INTO t (id, v) VALUES ({n}, 'dup'), ({n}, 'again')",
            "INSERT INTO t (v) VALUES ('longer than ten')",
            "INSERT INTO t (v, n) VALUES ('x', 'not a number')",
            "INSERT INTO t (v, n) SELECT v, n + 1 FROM t WHERE id < {n}",
            "INSERT INTO t (id, v) VALUES ({n}, 'o') ON DUPLICATE KEY UPDATE n = {n}",
            "INSERT INTO t (v) VALUES ('r') RETURNING id, v",
            "INSERT INTO u (k, j) VALUES ({n}, {n} / 3)",
            "INSERT INTO u (k, e) VALUES (9{n}, 'z')",
            "INSERT INTO m VALUES (1{n}), (1{n}), (1{n})",
            "INSERT INTO t (v) VALUES ('\u{e4}\u{20ac}')",
            "REPLACE INTO t (id, v) VALUES ({n}, 'rep')",
            "UPDATE t SET n = {n} WHERE id = {n}",
            "UPDATE t SET n = n + 1",
            "UPDATE t SET v = CONCAT(v, 'x')",
            "UPDATE t SET n = 1 WHERE id = 1000",
            "UPDATE t SET n = 1 / 0 WHERE id = {n}",
            "UPDATE t SET id = {n} WHERE id = {n}",
            "DELETE FROM t WHERE id = {n}",
            "DELETE FROM t WHERE id = {n} RETURNING v",
            "DELETE FROM t WHERE n > 1000",
            "DELETE t FROM t JOIN u ON t.id = u.k WHERE u.k = {n}",
            "WITH c AS (SELECT {n} AS k) SELECT * FROM c",
            "TRUNCATE TABLE logged",
            "DO 1 + {n}",
            "LOAD DATA INFILE '/nowhere' INTO TABLE t",
            "INSERT INTO t SET v = 's', n = DEFAULT",
            "INSERT INTO t (v, n) VALUES (CONCAT('a', {n}), (SELECT MAX(k) FROM u))",
            "INSERT INTO t (v) SELECT 'sel' FROM t",
            "INSERT INTO missing VALUES (1)",
            "INSERT INTO t VALUES (1)",
            "INSERT DELAYED INTO m VALUES (7{n})",
            "REPLACE INTO m SELECT id FROM t",
            "UPDATE t, u SET t.n = u.k WHERE t.id = u.k",
            "UPDATE t SET v = 'far too long for it' WHERE id = {n}",
            "UPDATE IGNORE t SET id = 1",
            "WITH c AS (SELECT {n} AS k) SELECT id FROM t JOIN c ON t.id = c.k FOR UPDATE",
            "UPDATE w SET n = {n} ORDER BY v LIMIT 1",
            "DELETE FROM t ORDER BY id DESC LIMIT 1",
        ],
    )
}

pub(crate) fn transaction(seeded: &mut Seeded, lane: usize) -> String {
    one_of(
        seeded,
        &[
            "BEGIN",
            "BEGIN WORK",
            "START TRANSACTION",
            "START TRANSACTION READ ONLY",
            "START TRANSACTION WITH CONSISTENT SNAPSHOT",
            "COMMIT",
            "COMMIT",
            "COMMIT",
            "COMMIT AND CHAIN",
            "ROLLBACK",
            "ROLLBACK",
            "ROLLBACK AND CHAIN NO RELEASE",
            "START TRANSACTION READ WRITE",
            "START TRANSACTION READ ONLY, WITH CONSISTENT SNAPSHOT",
            "BEGIN /* b */ -- c",
            "ROLLBACK RELEASE",
            "COMMIT WORK AND NO CHAIN NO RELEASE",
            "SAVEPOINT a",
            "SAVEPOINT `b c`",
            "ROLLBACK WORK TO `b c`",
            "ROLLBACK TO SAVEPOINT nothing",
            "ROLLBACK TO SAVEPOINT a",
            "RELEASE SAVEPOINT a",
            "XA START 'x{l}'",
            "XA END 'x{l}'",
            "XA PREPARE 'x{l}'",
            "XA COMMIT 'x{l}'",
            "XA COMMIT 'x{l}' ONE PHASE",
            "XA ROLLBACK 'x{l}'",
            "XA ROLLBACK 'x{l}'",
        ],
    )
    .replace("{l}", &lane.to_string())
}

pub(crate) fn routine(seeded: &mut Seeded) -> String {
    one_of(
        seeded,
        &[
            "CALL p_rows()",
            "CALL p_write({n})",
            "CALL p_set()",
            "CALL p_fail({n})",
            "CALL p_temporary()",
            "CALL p_out(@o)",
            "CALL p_out(1)",
            "CALL p_none()",
            "SELECT f_pure({n})",
            "SELECT f_pure(n) FROM t ORDER BY id",
            "SELECT f_write({n})",
            "SELECT f_write({n}), (SELECT id FROM t)",
            "INSERT INTO t (n) VALUES (f_write({n}))",
            "BEGIN NOT ATOMIC DECLARE i INT DEFAULT {n}; INSERT INTO t (n) VALUES (i); SELECT i; END",
            "BEGIN NOT ATOMIC SET time_zone = '+08:00'; SELECT 1; SIGNAL SQLSTATE '45000'; END",
            "IF {n} > 2 THEN SELECT 'more'; ELSE INSERT INTO t (v) VALUES ('less'); END IF",
            "EXECUTE IMMEDIATE 'INSERT INTO t (n) VALUES (?)' USING {n}",
            "SIGNAL SQLSTATE '01000' SET MESSAGE_TEXT = 'careful'",
            "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'stop'",
            "SHOW CREATE PROCEDURE p_rows",
        ],
    )
}

pub(crate) fn definition(seeded: &mut Seeded, lane: usize) -> String {
    one_of(
        seeded,
        &[
            "CREATE TABLE x{n} (a INT)",
            "CREATE TABLE IF NOT EXISTS x{n} (a INT, b TEXT)",
            "CREATE TABLE x{n} AS SELECT id, v FROM t",
            "CREATE OR REPLACE TABLE x{n} (a INT PRIMARY KEY, c CHAR(3) DEFAULT 'z')",
            "INSERT INTO x{n} VALUES (1)",
            "DROP TABLE x{n}",
            "DROP TABLE x{n}, x{n}",
            "DROP TABLE IF EXISTS x{n}, x{n}",
            "RENAME TABLE x{n} TO x{n}",
            "ALTER TABLE t ADD COLUMN z{n} INT DEFAULT {n}",
            "ALTER TABLE t DROP COLUMN z{n}",
            "ALTER TABLE t MODIFY v VARCHAR(12) CHARACTER SET latin1",
            "ALTER TABLE t AUTO_INCREMENT = 5{n}",
            "CREATE INDEX i ON t (n)",
            "DROP INDEX i ON t",
            "CREATE OR REPLACE VIEW w AS SELECT id, v FROM t WHERE id > {n}",
            "DROP VIEW w",
            "CREATE OR REPLACE FUNCTION f_pure(x INT) RETURNS INT RETURN x + {n}",
            "CREATE PROCEDURE p_rows() SELECT 1",
            "DROP DATABASE e{l}",
            "CREATE DATABASE e{l}",
            "DROP DATABASE d{l}",
            "CREATE DATABASE IF NOT EXISTS d{l}",
            "ALTER DATABASE d{l} CHARACTER SET latin1",
            "ANALYZE TABLE t",
            "CHECK TABLE m",
            "CHECKSUM TABLE t",
            "SHOW CREATE VIEW w",
        ],
    )
    .replace("{l}", &lane.to_string())
}

pub(crate) fn several(seeded: &mut Seeded, lane: usize) -> String {
    one_of(
        seeded,
        &[
            "SELECT 1; SELECT v FROM t ORDER BY id",
            "INSERT INTO t (n) VALUES ({n}); SELECT COUNT(*) FROM t",
            "SET time_zone = '+03:00'; SELECT FROM_UNIXTIME(0)",
            "SET time_zone = '+03:30'; SELEC 1",
            "INSERT INTO t (n) VALUES ({n}); SELECT * FROM missing; SELECT 1",
            "SELECT 1; SET sql_mode = 'PIPES_AS_CONCAT'; SELECT 'a' || 'b'",
            "BEGIN; UPDATE t SET n = {n}; COMMIT",
            "BEGIN; INSERT INTO t (n) VALUES ({n})",
            "COMMIT; SELECT 1",
            "USE e{l}; SELECT DATABASE()",
            "SELECT CAST('x' AS INT); SHOW WARNINGS",
            "SELECT 1;;",
            "CALL p_rows(); SELECT 3",
            "SELECT v FROM t ORDER BY id; SELECT FOUND_ROWS()",
            "SET @a = {n}; SELECT @a",
            "SELECT 1; BEGIN",
            "SELECT 1; ROLLBACK; SELECT v FROM t ORDER BY id",
            "CREATE TEMPORARY TABLE x{n} (a INT); SELECT 1",
            "SELECT GET_LOCK('lock{l}', 0); SELECT 2",
            "INSERT INTO t (v) VALUES ('m'); SELECT LAST_INSERT_ID() > 0",
            "/* a */; SELECT 1",
            "SELECT 1; SELECT 'never closed",
            "USE d{l}; SELECT * FROM only",
            "SET NAMES latin1 COLLATE latin1_bin; SELECT COLLATION('a')",
            "LOAD DATA LOCAL INFILE 'rows' INTO TABLE t (v, n); SELECT COUNT(*) FROM t",
        ],
    )
    .replace("{l}", &lane.to_string())
}

pub(crate) fn temporary(seeded: &mut Seeded) -> String {
    one_of(
        seeded,
        &[
            "CREATE TEMPORARY TABLE x{n} (a INT)",
            "CREATE TEMPORARY TABLE t SELECT 9 AS id, 'tmp' AS v, {n} AS n",
            "CREATE OR REPLACE TEMPORARY TABLE u (k INT)",
            "INSERT INTO x{n} VALUES ({n})",
            "CREATE TEMPORARY TABLE IF NOT EXISTS x{n} LIKE t",
            "CREATE TEMPORARY SEQUENCE q{n}",
            "INSERT INTO t SELECT id + 50, v, n FROM t",
            "TRUNCATE TABLE x{n}",
            "DROP TABLE x{n}",
            "RENAME TABLE x{n} TO y{n}",
            "SELECT * FROM y{n}",
            "DROP TEMPORARY TABLE t",
            "DROP TEMPORARY TABLE IF EXISTS x{n}",
            "ALTER TABLE x{n} ADD COLUMN b INT",
        ],
    )
}

pub(crate) fn lock(seeded: &mut Seeded, lane: usize) -> String {
    one_of(
        seeded,
        &[
            "LOCK TABLES t READ",
            "LOCK TABLES t WRITE, u READ",
            "UNLOCK TABLES",
            "UNLOCK TABLES",
            "SELECT GET_LOCK('lock{l}', 0)",
            "SELECT IS_FREE_LOCK('lock{l}')",
            "SELECT RELEASE_LOCK('lock{l}')",
            "SELECT RELEASE_ALL_LOCKS()",
            "DO GET_LOCK('other{l}', 0)",
            "HANDLER t OPEN",
            "HANDLER t READ FIRST",
            "HANDLER t OPEN AS h",
            "HANDLER h READ NEXT",
            "HANDLER h READ `PRIMARY` = ({n})",
            "HANDLER h CLOSE",
            "HANDLER t CLOSE",
            "LOCK TABLES d{l}.u WRITE, t AS x READ LOCAL",
            "LOCK TABLES missing READ",
            "FLUSH TABLES t WITH READ LOCK",
            "SELECT GET_LOCK('lock{l}', 0), GET_LOCK('more{l}', 0)",
            "SELECT IS_USED_LOCK('lock{l}') = CONNECTION_ID()",
        ],
    )
    .replace("{l}", &lane.to_string())
}

pub(crate) fn user_variable(seeded: &mut Seeded) -> String {
    one_of(
        seeded,
        &[
            "SET @a = {n}",
            "SET @a = 'x', @b := NULL",
            "SET @a = -{n}.50, @C = TRUE;",
            "SET @b = 'it''s', @a = ''",
            "SELECT @a, @b, @c",
            "SELECT COLLATION(@a), CHARSET(@b), COERCIBILITY(@b), @a + 1, @B",
            "SELECT v FROM t WHERE v > @b OR n = @a ORDER BY id",
            "SELECT @a := {n}",
            "SELECT id INTO @c FROM t ORDER BY id LIMIT 1",
            "SELECT v FROM t ORDER BY id LIMIT 1 INTO @b",
            "INSERT INTO t (n) VALUES (@a)",
            "SET @`odd name` = 1, @'quoted' = 2",
            "SELECT @`odd name`, @\"quoted\"",
            "GET DIAGNOSTICS @n = NUMBER",
            "SELECT v FROM t WHERE id = @c",
            "SET @a = (SELECT id FROM t)",
        ],
    )
}

pub(crate) fn sql_prepare(seeded: &mut Seeded) -> String {
    one_of(
        seeded,
        &[
            "PREPARE s FROM 'SELECT v FROM t WHERE id = ?'",
            "PREPARE s FROM 'INSERT INTO t (n) VALUES (?)'",
            "PREPARE s FROM 'SELEC'",
            "PREPARE `a b` FROM 'SELECT 1'",
            "EXECUTE s USING {n}",
            "EXECUTE s",
            "EXECUTE `a b`",
            "DEALLOCATE PREPARE s",
            "DROP PREPARE s",
            "PREPARE s FROM @text",
            "SET @text = 'SELECT COUNT(*) FROM t'",
            "PREPARE s FROM 'SET time_zone = ?'",
            "EXECUTE s USING '+04:30'",
            "PREPARE s FROM 'CREATE TEMPORARY TABLE x{n} (a INT)'",
            "EXECUTE IMMEDIATE 'SELECT ? + 1' USING {n}",
            "EXECUTE IMMEDIATE 'SET @c = 1'",
        ],
    )
}

pub(crate) fn sequence(seeded: &mut Seeded) -> String {
    one_of(
        seeded,
        &[
            "SELECT NEXT VALUE FOR s",
            "SELECT NEXTVAL(s)",
            "SELECT PREVIOUS VALUE FOR s",
            "SELECT LASTVAL(s)",
            "SELECT SETVAL(s, 1{n})",
            "INSERT INTO t (n) VALUES (NEXTVAL(s))",
            "ALTER SEQUENCE s RESTART 3{n}",
            "SELECT * FROM s",
            "SELECT s.nextval",
            "SHOW CREATE SEQUENCE s",
        ],
    )
}
