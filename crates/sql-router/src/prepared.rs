//! Pure: the client's prepared statements: its id ↔ text ↔ the types it bound. What each server
//! calls them stands with the connection to it.
//!
//! Source: MySQL internals, "COM_STMT_EXECUTE".

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use mysql::scan::Prepared;
use mysql::wire::Reader;

use crate::digests::Digest;
use crate::limits::{SPARE, STATEMENTS};
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
    /// The schema to go to so that a text means under `self` what it means under `now`, if that is all.
    pub(crate) fn other_schema(&self, now: &Self) -> Option<&str> {
        let schema = self.schema.as_deref();
        schema.filter(|_| self.variables == now.variables && now.schema.is_some())
    }

    /// Can a text be prepared anew under `now` and mean what it means under `self`?
    fn is_had_again(&self, now: &Self) -> bool {
        self == now || self.other_schema(now).is_some()
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

/// COM_STMT_EXECUTE, taken apart as far as needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Execute<'a> {
    pub(crate) id: u32,
    /// It opens a cursor.
    pub(crate) cursor: bool,
    /// The types that come with it, if any.
    pub(crate) types: Option<&'a [u8]>,
    /// Where in the payload types stand, or would stand.
    pub(crate) types_at: usize,
}

/// The id of any COM_STMT_*; `payload` with the command's byte.
pub(crate) fn id_of(payload: &[u8]) -> Option<u32> {
    let mut reader = Reader::new(payload);
    reader.u8()?;
    reader.u32()
}

/// Bytes of COM_STMT_EXECUTE up to the end of the types.
pub(crate) fn head_length(parameters: u16) -> usize {
    let parameters = usize::from(parameters);
    1 + 4 + 1 + 4 + parameters.div_ceil(8) + 1 + 2 * parameters
}

/// `payload` with the command's byte, at least its head.
pub(crate) fn parse_execute(payload: &[u8], parameters: u16) -> Option<Execute<'_>> {
    let mut reader = Reader::new(payload);
    reader.u8()?;
    let id = reader.u32()?;
    let flags = reader.u8()?;
    reader.u32()?;
    let mut types = None;
    if parameters > 0 {
        reader.bytes(usize::from(parameters).div_ceil(8))?;
        if reader.u8()? == 1 {
            types = Some(reader.bytes(2 * usize::from(parameters))?);
        }
    }
    let types_at = payload.len() - reader.left() - types.map_or(0, <[u8]>::len);
    Some(Execute {
        id,
        cursor: flags != 0,
        types,
        types_at,
    })
}

/// The payload with types put in, for a server that has not been told them.
pub(crate) fn with_types(payload: &[u8], types_at: usize, types: &[u8]) -> Option<Vec<u8>> {
    let (head, values) = payload.split_at_checked(types_at)?;
    let (_, head) = head.split_last()?;
    let mut out = Vec::with_capacity(payload.len() + types.len());
    out.extend_from_slice(head);
    out.push(1);
    out.extend_from_slice(types);
    out.extend_from_slice(values);
    Some(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BOUND: &[u8] = b"\x17\x07\0\0\0\0\x01\0\0\0\x00\x01\x08\x00\xfe\x00AAAAAAAA\x01b";
    const UNBOUND: &[u8] = b"\x17\x07\0\0\0\0\x01\0\0\0\x00\x00AAAAAAAA\x01b";

    #[test]
    fn types_are_found_and_put_in() {
        let bound = parse_execute(BOUND, 2).unwrap();
        assert_eq!((bound.id, bound.cursor), (7, false));
        assert_eq!(bound.types, Some(b"\x08\x00\xfe\x00".as_slice()));
        let unbound = parse_execute(UNBOUND, 2).unwrap();
        assert_eq!((unbound.types, unbound.types_at), (None, 12));
        let told = with_types(UNBOUND, unbound.types_at, bound.types.unwrap()).unwrap();
        assert_eq!(told, BOUND);
        assert_eq!(head_length(2), 16);
    }

    #[test]
    fn without_parameters_there_is_nothing_to_find() {
        let execute = parse_execute(b"\x17\x07\0\0\0\x01\x01\0\0\0", 0).unwrap();
        assert_eq!((execute.types, execute.cursor), (None, true));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(payload: Vec<u8>, parameters in 0u16..20) {
            if let Some(execute) = parse_execute(&payload, parameters) {
                let told = with_types(&payload, execute.types_at, b"abcd");
                prop_assert!(told.is_none_or(|told| told.len() <= payload.len() + 4));
            }
            id_of(&payload);
        }
    }
}
