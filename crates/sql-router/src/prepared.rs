//! Pure: the client's prepared statements: its id ↔ text ↔ the types it bound. What each server
//! calls them stands with the connection to it.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use mysql::scan::Prepared;

use crate::digests::Digest;
use crate::limits::{SPARE, STATEMENTS};
use crate::restore::literal;
use crate::state::Settings;
use crate::statement::cache::Known;
use crate::statement::class::Class;

/// One prepared statement of a client.
#[derive(Debug, Clone)]
pub(crate) struct Statement {
    pub(crate) text: Rc<[u8]>,
    pub(crate) class: Class,
    /// Where it is counted.
    pub(crate) digest: Arc<Digest>,
    pub(crate) parameters: u16,
    /// The types the client bound last, two bytes each.
    pub(crate) types: Rc<[u8]>,
    /// Grows with each binding: a server connection with an older one must be told.
    pub(crate) binding: u32,
    /// The server connection (by serial) that has pieces of a long parameter.
    pub(crate) long_data_on: Option<u64>,
    /// The server connection (by serial) that has its cursor.
    pub(crate) cursor_on: Option<u64>,
    /// What decided how its text was read, when it was prepared.
    pub(crate) read_under: Rc<Reading>,
}

/// Settings that decide what a text means when it is prepared; later changes do not change it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    schema: Option<String>,
    variables: Vec<Option<String>>,
}

impl Reading {
    /// Can a text be prepared anew by a session that is under `now`, and mean what it means under `self`?
    /// There is a way to every schema, and none to no schema.
    pub(crate) fn is_had_again(&self, now: &Self) -> bool {
        self.schema == now.schema || self.schema.is_some() && now.schema.is_some()
    }

    pub(crate) fn schema(&self) -> Option<&str> {
        self.schema.as_deref()
    }

    /// The statement that makes a connection read like this; `login`: the collation of its login.
    pub(crate) fn set(&self, login: u8) -> String {
        let mut values = READ_BY.iter().zip(&self.variables).map(|(name, value)| {
            let set = value.as_deref().map(|value| literal(name, value));
            set.map(|value| format!("{name}={value}"))
        });
        let mut next = || values.next().flatten();
        let mode = next().unwrap_or_else(|| "sql_mode=DEFAULT".to_owned());
        // A collation's number is taken for its character set if it is the default of that one.
        let client = next().unwrap_or_else(|| {
            format!(
                "character_set_client=(SELECT character_set_name FROM information_schema.collations \
                 WHERE id={login})"
            )
        });
        let (charset, collation) = (next(), next());
        let of_login = (charset.is_none() && collation.is_none())
            .then(|| format!("collation_connection={login}"));
        let parts = [Some(mode), Some(client), charset, collation, of_login];
        let all: Vec<String> = parts.into_iter().flatten().collect();
        format!("SET {}", all.join(", "))
    }

    pub(crate) fn of(settings: &Settings) -> Self {
        let value = |name: &&str| settings.variables.get(*name).cloned();
        Self {
            schema: settings.schema.clone(),
            variables: READ_BY.iter().map(value).collect(),
        }
    }
}

/// MariaDB KB, "Prepared Statements" and "SQL Mode": names are resolved and text is read once.
const READ_BY: &[&str] = &[
    "sql_mode",
    "character_set_client",
    "character_set_connection",
    "collation_connection",
];

/// What a server connection knows of a client's statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OnServer {
    pub(crate) id: u32,
    pub(crate) binding: u32,
}

impl OnServer {
    /// One whose types, if the server knows any, are not known.
    pub(crate) fn untold(id: u32) -> Self {
        let binding = u32::MAX;
        Self { id, binding }
    }
}

/// A statement on a server connection whose session has parted with it. The next session takes it for
/// itself alone: a server keeps one cursor and the pieces of long parameters for each.
#[derive(Debug)]
pub(crate) struct Spare {
    text: Rc<[u8]>,
    read_under: Rc<Reading>,
    pub(crate) id: u32,
}

/// Takes the one out that means the same.
pub(crate) fn take_spare(spare: &mut Vec<Spare>, wanted: &Statement) -> Option<OnServer> {
    let same = |one: &Spare| one.text == wanted.text && one.read_under == wanted.read_under;
    let at = spare.iter().position(same)?;
    Some(OnServer::untold(spare.swap_remove(at).id))
}

/// All statements of a session.
#[derive(Debug, Default)]
pub(crate) struct Statements {
    last: u32,
    open: BTreeMap<u32, Statement>,
}

impl Statements {
    pub(crate) fn is_full(&self) -> bool {
        self.open.len() >= STATEMENTS
    }

    /// The id the next statement will get: growing, as servers give them out.
    pub(crate) fn next_id(&mut self) -> u32 {
        self.last = self.last.wrapping_add(1).max(1);
        self.last
    }

    pub(crate) fn add(
        &mut self,
        id: u32,
        text: &[u8],
        known: Known,
        prepared: Prepared,
        settings: &Settings,
    ) {
        let reading = Reading::of(settings);
        // Nearly always the same for all of a session.
        let same = self.open.values().next().map(|other| &other.read_under);
        let read_under = match same.filter(|other| ***other == reading) {
            Some(same) => Rc::clone(same),
            None => Rc::new(reading),
        };
        let statement = Statement {
            text: text.into(),
            class: known.class,
            digest: known.digest,
            parameters: prepared.parameters,
            types: Rc::from([]),
            binding: 0,
            long_data_on: None,
            cursor_on: None,
            read_under,
        };
        self.open.insert(id, statement);
    }

    pub(crate) fn get(&mut self, id: u32) -> Option<&mut Statement> {
        self.open.get_mut(&id)
    }

    /// Does one of them need this server connection: for a cursor, for pieces of a parameter, or because
    /// it could not be prepared anew with the same meaning?
    pub(crate) fn need(&self, serial: u64, settings: &Settings) -> bool {
        let now = Reading::of(settings);
        self.open.values().any(|statement| {
            statement.cursor_on == Some(serial)
                || statement.long_data_on == Some(serial)
                || !statement.read_under.is_had_again(&now)
        })
    }

    /// What was prepared for this session on a connection it parts with. False: too much, or something that
    /// is not known any more.
    pub(crate) fn part(
        &self,
        prepared: &mut BTreeMap<u32, OnServer>,
        spare: &mut Vec<Spare>,
    ) -> bool {
        for (id, on_server) in std::mem::take(prepared) {
            let Some(statement) = self.open.get(&id) else {
                return false;
            };
            spare.push(Spare {
                text: Rc::clone(&statement.text),
                read_under: Rc::clone(&statement.read_under),
                id: on_server.id,
            });
        }
        spare.len() <= SPARE
    }

    pub(crate) fn close(&mut self, id: u32) {
        self.open.remove(&id);
    }

    pub(crate) fn clear(&mut self) {
        self.open.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(variables: &[(&str, &str)], schema: Option<&str>) -> Reading {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Reading::of(&Settings {
            variables: variables.iter().map(own).collect(),
            schema: schema.map(str::to_owned),
            ..Settings::default()
        })
    }

    #[test]
    fn what_was_not_set_is_what_the_login_had() {
        let set = reading(&[], None).set(224);
        assert!(
            set.starts_with("SET sql_mode=DEFAULT, character_set_client=(SELECT"),
            "{set}"
        );
        assert!(
            set.ends_with("WHERE id=224), collation_connection=224"),
            "{set}"
        );
    }

    #[test]
    fn a_character_set_brings_its_collation_unless_another_was_set() {
        let charset = [
            ("character_set_client", "latin1"),
            ("character_set_connection", "latin1"),
            ("sql_mode", "ANSI"),
        ];
        let set =
            "SET sql_mode='ANSI', character_set_client='latin1', character_set_connection='latin1'";
        assert_eq!(reading(&charset, None).set(45), set);
        let both = [
            charset.as_slice(),
            &[("collation_connection", "latin1_bin")],
        ]
        .concat();
        let with = format!("{set}, collation_connection='latin1_bin'");
        assert_eq!(reading(&both, None).set(45), with);
    }

    #[test]
    fn there_is_no_way_back_to_no_schema() {
        let (none, some) = (reading(&[], None), reading(&[("sql_mode", "")], Some("a")));
        assert!(some.is_had_again(&reading(&[], Some("b"))) && none.is_had_again(&none));
        assert!(!none.is_had_again(&some) && !some.is_had_again(&none));
    }
}
