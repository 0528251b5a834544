//! Pure: (what a session wants, what a connection has) → statements to send first.

use std::collections::BTreeMap;

use crate::state::Settings;

/// Switches the reports on that everything else here relies on. Not part of `Settings`: a reset
/// takes it away, and a client that changes it is pinned.
pub(crate) const TRACKING: &str = "session_track_system_variables='*', session_track_schema=1, \
     session_track_state_change=1, session_track_transaction_info='CHARACTERISTICS'";

/// Charset and collation hang together: setting the first changes the second.
const CHARSET: &str = "character_set_connection";
const COLLATION: &str = "collation_connection";
const RESULTS: &str = "character_set_results";
/// Between the character set of results and its collation, where it is not the default one: only SET NAMES
/// gives it to them, and sets all the others along.
pub(crate) const COLLATE: &str = " COLLATE ";
const NAMES: [&str; 3] = [CHARSET, COLLATION, "character_set_client"];

/// What is missing on a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Missing {
    Nothing,
    /// First this SET (when any), then this schema (when any), then this SET of user variables (when any).
    Send {
        set: Option<String>,
        schema: Option<String>,
        user: Option<String>,
    },
    /// It has something the session does not want and that has no value to go back to: another
    /// connection is needed.
    Unwanted,
}

/// What must be sent so that `has` becomes `wants`. `tracked`: the reports are on.
pub(crate) fn missing(wants: &Settings, has: &Settings, tracked: bool) -> Missing {
    if tracked && wants == has {
        return Missing::Nothing;
    }
    let unwanted = has
        .variables
        .keys()
        .any(|name| name != COLLATION && !wants.variables.contains_key(name));
    let without_schema = has.schema.is_some() && wants.schema.is_none();
    let without_user = has.user.keys().any(|name| !wants.user.contains_key(name));
    if unwanted || without_schema || without_user {
        return Missing::Unwanted;
    }
    let mut set = String::new();
    if !tracked {
        set.push_str(TRACKING);
    }
    let all = differing(wants, has);
    let names = all.get(RESULTS).filter(|value| value.contains(COLLATE));
    if let Some(names) = names {
        let comma = if set.is_empty() { "" } else { ", " };
        set.push_str(&format!("{comma}NAMES {names}"));
    }
    for (name, value) in all
        .iter()
        .filter(|(name, _)| names.is_none() || **name != RESULTS)
    {
        let comma = if set.is_empty() { "" } else { ", " };
        set.push_str(&format!("{comma}{name}={}", literal(name, value)));
    }
    let schema = wants.schema.clone().filter(|_| wants.schema != has.schema);
    // What strings are may have changed with the rest.
    let again = !all.is_empty();
    let user = wants
        .user
        .iter()
        .filter(|(name, value)| again || has.user.get(*name) != Some(value))
        .map(|(name, value)| format!("@{name}={value}"))
        .collect::<Vec<_>>();
    Missing::Send {
        set: (!set.is_empty()).then(|| format!("SET {set}")),
        schema,
        user: (!user.is_empty()).then(|| format!("SET {}", user.join(", "))),
    }
}

/// Can a connection that `has` this be made what `wants` says without a reset, and how much is to be sent
/// for it? Less is better; 0: nothing.
pub(crate) fn distance(wants: &Settings, has: &Settings) -> Option<usize> {
    let alone = has.variables.contains_key(COLLATION) && !has.variables.contains_key(CHARSET);
    if alone && !wants.variables.contains_key(COLLATION) {
        return None;
    }
    match missing(wants, has, true) {
        Missing::Nothing => Some(0),
        Missing::Send { set, schema, user } => {
            let sent = [set.is_some(), schema.is_some(), user.is_some()];
            Some(sent.into_iter().filter(|is| *is).count())
        }
        Missing::Unwanted => None,
    }
}

/// In alphabetical order, so that the character set comes before its collation.
fn differing<'a>(wants: &'a Settings, has: &Settings) -> BTreeMap<&'a str, &'a str> {
    let same_pair = [CHARSET, COLLATION]
        .iter()
        .all(|name| wants.variables.get(*name) == has.variables.get(*name));
    let results = wants.variables.get(RESULTS);
    let names = results != has.variables.get(RESULTS)
        && results.is_some_and(|value| value.contains(COLLATE));
    wants
        .variables
        .iter()
        .filter(|(name, value)| match name.as_str() {
            name if names && NAMES.contains(&name) => true,
            CHARSET | COLLATION => !same_pair,
            name => has.variables.get(name) != Some(value),
        })
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect()
}

/// A value as SET takes it: numbers unquoted (error 1232 otherwise), all else as a string; in hex
/// where the SQL mode or the character set would decide how a quoted one is read.
pub(crate) fn literal(name: &str, value: &str) -> String {
    let number = !value.is_empty()
        && value
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.')
        && value.parse::<f64>().is_ok();
    if number {
        return value.to_owned();
    }
    // NULL is reported as nothing (measured).
    if value.is_empty() && name == "character_set_results" {
        return "NULL".to_owned();
    }
    if value.contains('\\') || !value.is_ascii() {
        let hex: String = value.bytes().map(|byte| format!("{byte:02x}")).collect();
        return format!("0x{hex}");
    }
    format!("'{}'", value.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(variables: &[(&str, &str)], schema: Option<&str>) -> Settings {
        Settings {
            variables: variables
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            schema: schema.map(str::to_owned),
            ..Settings::default()
        }
    }

    fn with_user(of: &Settings, user: &[(&str, &str)]) -> Settings {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Settings {
            user: user.iter().map(own).collect(),
            ..of.clone()
        }
    }

    #[test]
    fn user_variables_come_last_and_again_with_what_they_depend_on() {
        let plain = settings(&[], None);
        let one = with_user(&plain, &[("a", "1"), ("b", "'x'")]);
        let other = with_user(&plain, &[("a", "2"), ("b", "'x'")]);
        let user = |set: Option<&str>, user: &str| Missing::Send {
            set: set.map(str::to_owned),
            schema: None,
            user: Some(user.to_owned()),
        };
        assert_eq!(missing(&one, &one, true), Missing::Nothing);
        assert_eq!(missing(&one, &other, true), user(None, "SET @a=1"));
        assert_eq!(missing(&one, &plain, true), user(None, "SET @a=1, @b='x'"));
        let ansi = with_user(&settings(&[("sql_mode", "ANSI")], None), &[("b", "'x'")]);
        let set = Some("SET sql_mode='ANSI'");
        let has = with_user(&plain, &[("b", "'x'")]);
        assert_eq!(missing(&ansi, &has, true), user(set, "SET @b='x'"));
        // Another session's variable is not to be seen.
        assert_eq!(missing(&plain, &one, true), Missing::Unwanted);
        assert_eq!(distance(&one, &other), Some(1));
    }

    fn send(set: Option<&str>, schema: Option<&str>) -> Missing {
        Missing::Send {
            set: set.map(str::to_owned),
            schema: schema.map(str::to_owned),
            user: None,
        }
    }

    #[test]
    fn only_what_differs_is_sent() {
        let wants = settings(
            &[("sql_mode", "ANSI"), ("max_statement_time", "1.500000")],
            Some("a"),
        );
        assert_eq!(missing(&wants, &wants, true), Missing::Nothing);
        let has = settings(&[("sql_mode", "ANSI")], Some("b"));
        assert_eq!(
            missing(&wants, &has, true),
            send(Some("SET max_statement_time=1.500000"), Some("a"))
        );
        let Missing::Send {
            set: Some(set),
            schema: None,
            user: None,
        } = missing(&has, &has, false)
        else {
            panic!("the reports were not switched on");
        };
        assert!(
            set.starts_with("SET session_track_system_variables='*', ")
                && !set.contains("sql_mode")
        );
    }

    #[test]
    fn a_connection_with_more_is_not_used() {
        let has = settings(&[("sql_mode", "ANSI")], None);
        assert_eq!(missing(&Settings::default(), &has, true), Missing::Unwanted);
        let has = settings(&[], Some("a"));
        assert_eq!(missing(&Settings::default(), &has, true), Missing::Unwanted);
    }

    #[test]
    fn charset_and_collation_go_together_in_order() {
        let wants = settings(&[(CHARSET, "latin1"), (COLLATION, "latin1_bin")], None);
        let has = settings(&[(CHARSET, "latin1")], None);
        let both = "SET character_set_connection='latin1', collation_connection='latin1_bin'";
        assert_eq!(missing(&wants, &has, true), send(Some(both), None));
        let back = "SET character_set_connection='latin1'";
        assert_eq!(missing(&has, &wants, true), send(Some(back), None));
    }

    #[test]
    fn results_with_a_collation_of_their_own_take_the_names_along() {
        let wants = settings(
            &[
                ("character_set_client", "latin1"),
                (CHARSET, "latin1"),
                (COLLATION, "latin1_bin"),
                (RESULTS, "latin1 COLLATE latin1_bin"),
                ("sql_mode", ""),
            ],
            None,
        );
        let set = "SET NAMES latin1 COLLATE latin1_bin, character_set_client='latin1', \
                   character_set_connection='latin1', collation_connection='latin1_bin', sql_mode=''";
        let has = settings(&[], None);
        assert_eq!(missing(&wants, &has, true), send(Some(set), None));
        assert_eq!(missing(&wants, &wants, true), Missing::Nothing);
    }

    #[test]
    fn a_connection_is_as_near_as_little_is_to_be_sent() {
        let plain = settings(&[], Some("a"));
        let ansi = settings(&[("sql_mode", "ANSI")], Some("b"));
        assert_eq!(distance(&plain, &plain), Some(0));
        assert_eq!(distance(&ansi, &plain), Some(2));
        assert_eq!(distance(&plain, &ansi), None);
        // Its default depends on a character set that was not set.
        let collated = settings(&[(COLLATION, "latin1_bin")], Some("a"));
        assert_eq!(distance(&plain, &collated), None);
    }

    #[test]
    fn values_are_quoted_as_set_takes_them() {
        assert_eq!(literal("a", "12"), "12");
        assert_eq!(literal("a", "1.2.3"), "'1.2.3'");
        assert_eq!(literal("a", "ON"), "'ON'");
        assert_eq!(literal("a", ""), "''");
        assert_eq!(literal("character_set_results", ""), "NULL");
        assert_eq!(literal("init", "it's"), "'it''s'");
        assert_eq!(literal("init", "a\\"), "0x615c");
    }
}
