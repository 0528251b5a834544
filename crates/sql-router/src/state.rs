//! Pure: what is known of a client's session. Illegal combinations cannot be built: the fields are
//! changed only by `absorb`, which takes what servers say, and by what is here.

use std::collections::BTreeMap;

use mysql::capability::status::{
    ANSI_QUOTES, AUTOCOMMIT, IN_READ_ONLY_TRANSACTION, IN_TRANSACTION, NO_BACKSLASH_ESCAPES,
};
use mysql::gtid::mariadb::Position;
use site::name::MemberName;

use crate::statement::assigned::Assigned;
use crate::statement::class::{Class, Pins};

/// What a connection to a server has, or a session wants it to have: everything that was set since
/// the login, by canonical name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) variables: BTreeMap<String, String>,
    pub(crate) schema: Option<String>,
    /// User variables by name, each with the literal that it was set to.
    pub(crate) user: BTreeMap<String, String>,
}

/// User variables of one session, and bytes of their names and values, that are carried along.
const USER_VARIABLES: usize = 64;
const USER_BYTES: usize = 4 << 10;

impl Settings {
    /// False: it would be too much, and nothing is taken.
    pub(crate) fn assign(&mut self, all: &[Assigned]) -> bool {
        let mut user = self.user.clone();
        for one in all {
            user.insert(one.name.clone(), one.literal.clone());
        }
        let bytes = user.iter().map(|(name, value)| name.len() + value.len());
        let fits = user.len() <= USER_VARIABLES && bytes.sum::<usize>() <= USER_BYTES;
        if fits {
            self.user = user;
        }
        fits
    }

    /// A user variable is a string, which has the collation, and was read by the SQL mode, that were in force when
    /// it was set.
    fn has_user_text(&self) -> bool {
        self.user.values().any(|literal| literal.starts_with('\''))
    }
}

/// Which of a session's connections ran its last statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Last {
    #[default]
    Primary,
    Replica,
    /// None of them any more: it was parted with. The statement had rows, or it had not and changed none;
    /// and it left no warnings.
    Parted {
        rows: bool,
    },
    /// The same, of a statement that left more than that can be had again.
    Lost,
    /// There was none.
    Never,
}

/// What SHOW WARNINGS has to tell: a statement without tables and without warnings leaves it as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Listed {
    /// Where it is: `Primary`, `Replica` or, gone with its connection, `Lost`.
    pub(crate) on: Last,
    pub(crate) empty: bool,
}

/// What `LAST_INSERT_ID()` is on the connection to the primary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InsertId {
    Known(u64),
    /// A statement may have changed it: it must be asked.
    Unknown,
}

/// Where a session has read data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Read {
    Primary,
    Replica(MemberName),
}

/// What the primary changed without saying so; it must be asked before a replica is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) enum Unseen {
    #[default]
    Nothing,
    /// A collation.
    Setting,
    /// Something: a write, if it has a new GTID; else what cannot be told.
    Effect,
}

/// One client's session.
#[derive(Debug, Clone)]
pub(crate) struct SessionState {
    /// The status word of the primary's last reply.
    pub(crate) status: u16,
    /// What keeps it on the primary until it is reset.
    pub(crate) pins: Pins,
    pub(crate) settings: Settings,
    /// Everything it has written or was told of.
    pub(crate) seen: Position,
    /// `SET TRANSACTION` waits for the next transaction.
    pub(crate) next_transaction_set: bool,
    pub(crate) unseen: Unseen,
    /// A collation may have been set without a report.
    pub(crate) recollated: bool,
    pub(crate) last: Last,
    /// Which one ran the last statement that had rows, what FOUND_ROWS() is about.
    pub(crate) counted: Last,
    pub(crate) listed: Listed,
    /// `LAST_INSERT_ID()`, as far as it is known; a connection that is new to the session must be told.
    pub(crate) insert_id: InsertId,
    /// Something was set that is not carried to other connections and would be lost with this one.
    pub(crate) uncarried: bool,
    /// Where it has read what `seen` may not cover; a read elsewhere must not see less.
    pub(crate) read: Option<Read>,
    /// The login's collation; its character set says how the client's text is read.
    collation: u8,
}

impl SessionState {
    /// `status`: of a new connection, from a server's greeting.
    pub(crate) fn new(status: u16, collation: u8, schema: Option<String>) -> Self {
        Self {
            status: status & (AUTOCOMMIT | NO_BACKSLASH_ESCAPES | ANSI_QUOTES),
            pins: Pins::NONE,
            settings: Settings {
                schema,
                ..Settings::default()
            },
            seen: Position::default(),
            next_transaction_set: false,
            unseen: Unseen::Nothing,
            recollated: false,
            last: Last::Primary,
            counted: Last::Never,
            listed: Listed {
                on: Last::Never,
                empty: true,
            },
            insert_id: InsertId::Known(0),
            uncarried: false,
            read: None,
            collation,
        }
    }

    /// COM_RESET_CONNECTION, COM_CHANGE_USER: as after a login, except for what it has seen.
    pub(crate) fn reset(&mut self, status: u16, collation: u8, schema: Option<String>) {
        let (seen, read) = (std::mem::take(&mut self.seen), self.read.take());
        *self = Self::new(status, collation, schema);
        (self.seen, self.read) = (seen, read);
    }

    /// A reply's status word: what outlasts the reply is kept.
    pub(crate) fn set_status(&mut self, status: u16) {
        let modes = NO_BACKSLASH_ESCAPES | ANSI_QUOTES;
        let lasting = AUTOCOMMIT | modes | IN_TRANSACTION | IN_READ_ONLY_TRANSACTION;
        self.status = status & lasting;
    }

    pub(crate) fn in_transaction(&self) -> bool {
        self.status & IN_TRANSACTION != 0
    }

    pub(crate) fn autocommit(&self) -> bool {
        self.status & AUTOCOMMIT != 0
    }

    /// Does the connection to the primary hold something that would be lost with it?
    pub(crate) fn holds(&self) -> bool {
        self.in_transaction() || !self.pins.is_empty() || self.next_transaction_set
    }

    /// May the connection to the primary be another session's from now on? What it knows that this
    /// session may ask for is `insert_id` then, and no more.
    pub(crate) fn parts_easily(&self) -> bool {
        !self.holds() && !self.uncarried && self.unseen == Unseen::Nothing && self.autocommit()
    }

    /// Something changed that decides what a string is. User variables that are strings stay what they were, so
    /// they cannot be set again elsewhere.
    pub(crate) fn text_is_read_anew(&mut self) {
        if self.settings.has_user_text() {
            self.pins = self.pins.with(Pins::USER_VARIABLE);
        }
    }

    /// It has read from this replica, which need not be copied each time.
    pub(crate) fn has_read_from(&mut self, member: &MemberName) {
        if self.reader() != Some(member) {
            self.read = Some(Read::Replica(member.clone()));
        }
    }

    /// The replica it has read from last, if what it read there is not covered by `seen`.
    pub(crate) fn reader(&self) -> Option<&MemberName> {
        match &self.read {
            Some(Read::Replica(member)) => Some(member),
            Some(Read::Primary) | None => None,
        }
    }

    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        self.settings.variables.get(name).map(String::as_str)
    }

    /// Is the client's text in a character set where `\` or a quote may be half of a letter?
    pub(crate) fn text_is_ambiguous(&self, class: &Class) -> bool {
        class.non_ascii
            && match self.variable("character_set_client") {
                Some(name) => matches!(name, "big5" | "sjis" | "gbk" | "cp932" | "gb18030"),
                // Collation ids: big5 1, 84; sjis 13, 88; gbk 28, 87; cp932 95, 96; gb18030 248–250.
                None => matches!(
                    self.collation,
                    1 | 84 | 13 | 88 | 28 | 87 | 95 | 96 | 248..=250
                ),
            }
    }
}
