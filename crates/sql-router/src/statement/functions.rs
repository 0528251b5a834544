//! Pure: the names that may stand before a parenthesis in a read that goes to a replica.
//!
//! Source: MariaDB KB, "Built-in Functions", gone through one by one. Left out, with their pages:
//! GET_LOCK, RELEASE_LOCK, RELEASE_ALL_LOCKS, IS_FREE_LOCK, IS_USED_LOCK ("Miscellaneous
//! Functions": locks of one server); LAST_INSERT_ID, ROW_COUNT, FOUND_ROWS, CONNECTION_ID
//! ("Information Functions": this connection's past); NEXTVAL, SETVAL, LASTVAL ("Sequence
//! Functions"); MASTER_POS_WAIT, MASTER_GTID_WAIT, BINLOG_GTID_POS (replication); LOAD_FILE (one
//! server's disk); BENCHMARK, SLEEP (only the effect is wanted). Whatever is not here may be a
//! stored function.

/// May this name be called in a read on a replica?
pub(crate) fn is_safe_call(name: &[u8]) -> bool {
    lower(name, |name| SAFE.binary_search(&name).is_ok())
}

/// A keyword before a parenthesis that calls nothing: `IN (`, `AS (`, a type's length.
pub(crate) fn is_keyword(name: &[u8]) -> bool {
    lower(name, |name| KEYWORDS.binary_search(&name).is_ok())
}

/// System variables that describe a server, not a session.
pub(crate) fn is_safe_variable(name: &[u8]) -> bool {
    lower(name, |name| VARIABLES.binary_search(&name).is_ok())
}

/// Schemas whose content is one server's own, or not replicated like data.
pub(crate) fn is_system_schema(name: &[u8]) -> bool {
    lower(name, |name| SYSTEM_SCHEMAS.contains(&name))
}

/// Longer than every name in the lists.
const LONGEST: usize = 40;

fn lower(name: &[u8], test: impl Fn(&str) -> bool) -> bool {
    let mut buffer = [0; LONGEST];
    let Some(room) = buffer.get_mut(..name.len()) else {
        return false;
    };
    room.copy_from_slice(name);
    room.make_ascii_lowercase();
    std::str::from_utf8(room).is_ok_and(test)
}

const SYSTEM_SCHEMAS: [&str; 4] = ["information_schema", "mysql", "performance_schema", "sys"];

const VARIABLES: [&str; 13] = [
    "hostname",
    "innodb_version",
    "license",
    "lower_case_table_names",
    "port",
    "protocol_version",
    "read_only",
    "report_host",
    "report_port",
    "server_id",
    "version",
    "version_comment",
    "version_compile_os",
];

#[rustfmt::skip]
const KEYWORDS: &[&str] = &[
    "against", "all", "and", "any", "as", "between", "bigint", "binary", "by", "case", "char",
    "character", "cross", "dec", "decimal", "distinct", "div", "double", "else", "except",
    "exists", "float", "from", "group", "having", "in", "index", "int", "integer", "intersect",
    "interval", "join", "key", "like", "limit", "mod", "not", "numeric", "on", "or", "over",
    "partition", "real", "regexp", "rlike", "row", "select", "signed", "smallint", "some",
    "straight_join", "then", "tinyint", "union", "unsigned", "using", "values", "varbinary",
    "varchar", "when", "where", "xor",
];

#[rustfmt::skip]
const SAFE: &[&str] = &[
    "abs", "acos", "add_months", "adddate", "addtime", "aes_decrypt", "aes_encrypt", "ascii", "asin", "atan",
    "atan2", "avg", "bin", "bit_and", "bit_count", "bit_length", "bit_or", "bit_xor", "cast",
    "ceil", "ceiling", "char", "char_length", "character_length", "charset", "chr", "coalesce",
    "coercibility", "collation", "compress", "concat", "concat_ws", "conv", "convert", "convert_tz",
    "cos", "cot", "count", "crc32", "crc32c", "cume_dist", "curdate", "current_date",
    "current_time", "current_timestamp", "current_user", "curtime", "database", "date", "date_add",
    "date_format", "date_sub", "datediff", "day", "dayname", "dayofmonth", "dayofweek", "dayofyear",
    "default", "degrees", "dense_rank", "elt", "exp", "export_set", "extract", "extractvalue",
    "field", "find_in_set", "first_value", "floor", "format", "from_base64",
    "from_days", "from_unixtime", "geometrycollection", "get_format", "greatest", "group_concat", "hex",
    "hour", "if", "ifnull", "inet6_aton", "inet6_ntoa", "inet_aton", "inet_ntoa", "insert", "instr",
    "is_ipv4", "is_ipv4_compat", "is_ipv4_mapped", "is_ipv6", "isnull", "json_array",
    "json_array_append", "json_array_insert", "json_arrayagg", "json_compact", "json_contains",
    "json_contains_path", "json_depth", "json_detailed", "json_equals", "json_exists", "json_extract",
    "json_insert", "json_keys", "json_length", "json_loose", "json_merge", "json_merge_patch",
    "json_merge_preserve", "json_normalize", "json_object", "json_objectagg", "json_overlaps",
    "json_pretty", "json_query", "json_quote", "json_remove", "json_replace", "json_search", "json_set",
    "json_table", "json_type", "json_unquote", "json_valid", "json_value", "lag", "last_day",
    "last_value", "lcase", "lead", "least", "left", "length", "linestring", "ln", "localtime",
    "localtimestamp", "locate", "log", "log10", "log2", "lower", "lpad", "ltrim", "make_set",
    "makedate", "maketime", "match", "max", "md5", "median", "microsecond", "mid", "min", "minute",
    "mod", "month", "monthname", "multilinestring", "multipoint", "multipolygon", "natural_sort_key",
    "now", "nth_value", "ntile", "nullif", "nvl", "nvl2", "oct", "octet_length", "ord", "percent_rank",
    "percentile_cont", "percentile_disc", "period_add", "period_diff", "pi", "point", "polygon",
    "position", "pow", "power", "quarter", "quote", "radians", "rand", "random_bytes", "rank",
    "regexp_instr", "regexp_replace", "regexp_substr", "repeat", "replace", "reverse", "right", "round",
    "row_number", "rpad", "rtrim", "schema", "sec_to_time", "second", "session_user", "sformat", "sha",
    "sha1", "sha2", "sign", "sin", "soundex", "space", "sqrt", "st_area", "st_asbinary", "st_asgeojson",
    "st_astext", "st_aswkb", "st_aswkt", "st_boundary", "st_buffer", "st_centroid", "st_contains",
    "st_convexhull", "st_crosses", "st_difference", "st_dimension", "st_disjoint", "st_distance",
    "st_distance_sphere", "st_endpoint", "st_envelope", "st_equals", "st_exteriorring",
    "st_geomfromgeojson", "st_geomfromtext", "st_geomfromwkb", "st_intersection", "st_intersects",
    "st_isempty", "st_issimple", "st_length", "st_numgeometries", "st_numpoints", "st_overlaps",
    "st_pointfromtext", "st_srid", "st_startpoint", "st_touches", "st_union", "st_within", "st_x", "st_y",
    "std", "stddev", "stddev_pop", "stddev_samp", "str_to_date", "strcmp", "subdate", "substr",
    "substring", "substring_index", "subtime", "sum", "sysdate", "system_user", "tan", "time",
    "time_format", "time_to_sec", "timediff", "timestamp", "timestampadd", "timestampdiff", "to_base64",
    "to_char", "to_days", "to_seconds", "trim", "truncate", "ucase", "uncompress",
    "uncompressed_length", "unhex", "unix_timestamp", "updatexml", "upper", "user", "utc_date",
    "utc_time", "utc_timestamp", "uuid", "uuid_short", "value", "values", "var_pop", "var_samp",
    "variance", "version", "week", "weekday", "weekofyear", "weight_string", "year", "yearweek",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_sorted_and_short_enough() {
        for list in [SAFE, KEYWORDS, &VARIABLES] {
            for pair in list.windows(2) {
                assert!(pair[0] < pair[1], "{} before {}", pair[0], pair[1]);
            }
            assert!(list.iter().all(|name| name.len() <= LONGEST));
        }
    }

    #[test]
    fn names_are_found_in_any_case() {
        assert!(is_safe_call(b"COUNT") && is_safe_call(b"Json_Value"));
        assert!(!is_safe_call(b"get_lock") && !is_safe_call(b"mine") && !is_safe_call(&[b'a'; 99]));
        assert!(is_keyword(b"IN") && is_safe_variable(b"HostName") && is_system_schema(b"MYSQL"));
    }
}
