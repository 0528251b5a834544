//! Pure: statements that read, or ask about the one before.

use crate::seeded::Seeded;

/// Texts that depend on data, schema and settings. `{n}`: a small number; `{l}`: the session's number.
const READS: [&str; 95] = [
    "SELECT * FROM t ORDER BY id",
    "SELECT id, v FROM t WHERE id = {n}",
    "SELECT COUNT(*), SUM(n), MAX(id) FROM t",
    "SELECT COUNT(*) FROM t",
    "SELECT v FROM t ORDER BY id LIMIT {n}",
    "SELECT v FROM t WHERE v = 'A' ORDER BY id",
    "SELECT * FROM u ORDER BY k",
    "SELECT k, f / 3, j * 2, d FROM u ORDER BY k",
    "SELECT * FROM w ORDER BY v, n",
    "SELECT * FROM m ORDER BY k",
    "SELECT * FROM logged ORDER BY id",
    "SELECT * FROM x{n}",
    "SELECT COUNT(*) FROM x{n}",
    "SELECT * FROM missing",
    "SELECT missing FROM t",
    "SELEC 1",
    "",
    ";",
    "SELECT 1;",
    "-- nothing",
    "SELECT (SELECT id FROM t)",
    "SELECT 1/0, CAST('12x' AS INT), CAST('x' AS DATE)",
    "SELECT CAST(v AS INT) FROM t ORDER BY id",
    "SELECT DATABASE()",
    "SELECT CURRENT_USER()",
    "SELECT FROM_UNIXTIME(86400), UNIX_TIMESTAMP('2024-06-01 00:00:00')",
    "SELECT 'a' || 'b', 'a' && 'b'",
    "SELECT \"v\" FROM t ORDER BY id LIMIT 1",
    "SELECT NOT 1 BETWEEN -5 AND 5",
    "SELECT COUNT (*) FROM t",
    "SELECT 'a\\' FROM t -- ' ORDER BY id",
    "SELECT 'a\\\\b', LENGTH('\\n')",
    "SELECT COLLATION('a'), CHARSET('a'), COLLATION(CONCAT(1, 2))",
    "SELECT HEX('\u{e4}\u{20ac}'), LENGTH('\u{e4}'), CHAR_LENGTH('\u{e4}')",
    "SELECT '\u{e4}\u{20ac}', v FROM t WHERE v = '\u{e4}'",
    "SELECT UPPER(v), v LIKE 'a%' FROM t ORDER BY id",
    "SELECT 'a' = 'A', 'a' = 'a ', 'ss' = '\u{df}'",
    "SELECT DATE_FORMAT('2024-01-08', '%W %M %b'), WEEK('2024-01-08'), MONTHNAME('2024-03-01')",
    "SELECT 1 / 3, 10.0 / 7, AVG(n) FROM t",
    "SELECT GROUP_CONCAT(v ORDER BY id) FROM t",
    "SELECT v, COUNT(*) FROM t GROUP BY v ORDER BY v",
    "SELECT id, v FROM t GROUP BY v ORDER BY v",
    "SELECT v FROM t UNION SELECT k FROM u ORDER BY 1",
    "SELECT t.id, u.k FROM t LEFT JOIN u ON t.id = u.k ORDER BY t.id",
    "SELECT ROW_NUMBER() OVER (ORDER BY id) AS r, v FROM t ORDER BY id",
    "WITH RECURSIVE c (a) AS (SELECT 1 UNION ALL SELECT a + 1 FROM c WHERE a < {n}) SELECT * FROM c",
    "VALUES (1, 'a'), (2, 'b')",
    "(SELECT id FROM t ORDER BY id LIMIT 1) UNION ALL (SELECT k FROM u ORDER BY k LIMIT 1)",
    "SELECT * FROM t WHERE n = {n} FOR UPDATE",
    "SELECT * FROM t WHERE id = {n} LOCK IN SHARE MODE",
    "SELECT SQL_CALC_FOUND_ROWS v FROM t ORDER BY id LIMIT 1",
    "SELECT /*!40000 SQL_NO_CACHE */ COUNT(*) FROM t",
    "SELECT * FROM e{l}.only",
    "SELECT e{l}.only.a, d{l}.t.v FROM e{l}.only, d{l}.t ORDER BY d{l}.t.id",
    "TABLE t",
    "SELECT * FROM t AS OF TIMESTAMP NOW()",
    "SELECT JSON_OBJECT('a', n, 'b', v) FROM t ORDER BY id",
    "SELECT JSON_ARRAYAGG(n ORDER BY id) FROM t",
    "SELECT v REGEXP '^[a-c]', REGEXP_REPLACE(v, 'a', 'z') FROM t ORDER BY id",
    "SELECT SUM(n) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM t",
    "SELECT CAST(1.5 AS DECIMAL(5, 2)), 1e3, 0x41, b'101', 1 = 1.0, NULL <=> NULL",
    "SELECT DATE '2024-02-29', TIME '12:00:00.5', TIMESTAMP '2024-02-29 01:02:03.000004'",
    "SELECT b, e, d, j FROM u WHERE k = {n}",
    "SELECT * FROM t WHERE id IN (SELECT k FROM u) ORDER BY id",
    "SELECT * FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.k = t.id) ORDER BY id",
    "SELECT v INTO OUTFILE '/nowhere/x' FROM t",
    "SELECT SLEEP(0)",
    "SELECT BENCHMARK(1, 1)",
    "SELECT REPEAT('x', 70000)",
    "SELECT REPEAT(v, 3000) FROM t ORDER BY id",
    "SELECT a.n FROM t a JOIN t b JOIN t c JOIN t d ORDER BY 1 LIMIT 500",
    "SELECT * FROM t PROCEDURE ANALYSE()",
    "SELECT /*+ whatever */ COUNT(*) FROM t",
    "SELECT /*M!100000 'mariadb', */ /*!99999 'never', */ /*!50000 'old' */",
    "SELECT 1 /* never closed",
    "SELECT 'never closed",
    "/* only a comment */",
    "# only a comment",
    "SELECT 1 AS `from`, 2 AS \"b c\", 3 'd e'",
    "select distinct v from t order by v limit 1 offset 1",
    "SELECT * FROM t ORDER BY id LIMIT 1, {n}",
    "SELECT * FROM (SELECT id FROM t UNION ALL SELECT k FROM u) x ORDER BY 1",
    "SELECT LAST_INSERT_ID({n}) + 1",
    "SHOW STATUS LIKE 'nothing'",
    "SHOW COLLATION LIKE 'utf8mb4_bin'",
    "SHOW CREATE DATABASE d{l}",
    "HELP 'nothing of this name'",
    "SELECT * FROM only",
    "SHOW TABLES",
    "SHOW COLUMNS FROM t",
    "DESCRIBE u",
    "SHOW CREATE TABLE t",
    "SHOW FULL COLUMNS FROM w",
    "SHOW DATABASES LIKE '_{l}'",
    "SELECT table_name, table_type FROM information_schema.tables WHERE table_schema = 'd{l}' ORDER BY 1",
];

pub(crate) fn read(seeded: &mut Seeded, lane: usize) -> Vec<u8> {
    let text = seeded.pick(&READS);
    fill(text, seeded).replace("{l}", &lane.to_string()).into()
}

/// Puts numbers in.
pub(crate) fn fill(text: &str, seeded: &mut Seeded) -> String {
    let mut out = text.to_owned();
    while out.contains("{n}") {
        out = out.replacen("{n}", &(1 + seeded.below(5)).to_string(), 1);
    }
    out
}

const ABOUT_LAST: [&str; 16] = [
    "SHOW WARNINGS",
    "SHOW WARNINGS LIMIT 1",
    "SHOW ERRORS",
    "SHOW COUNT(*) WARNINGS",
    "SHOW COUNT(*) ERRORS",
    "SELECT ROW_COUNT()",
    "SELECT FOUND_ROWS()",
    "SELECT FOUND_ROWS(), ROW_COUNT()",
    "SELECT LAST_INSERT_ID()",
    "SELECT LAST_INSERT_ID(), LAST_INSERT_ID()",
    "SELECT @@warning_count, @@error_count",
    "SELECT @@error_count",
    "SELECT @@identity, @@last_insert_id",
    "SELECT LAST_INSERT_ID(7)",
    "SELECT v FROM t WHERE id = LAST_INSERT_ID()",
    "SELECT ROW_COUNT(), v FROM t ORDER BY id LIMIT 1",
];

pub(crate) fn about_last(seeded: &mut Seeded) -> String {
    seeded.pick(&ABOUT_LAST).to_owned()
}
