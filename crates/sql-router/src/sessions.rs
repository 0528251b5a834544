//! The sessions of the whole process, behind a lock: how many, and which server threads work for
//! which, so that a client's KILL finds them. Touched when a session or a server connection begins
//! or ends, never by a statement.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use site::name::MemberName;
use tokio::sync::Notify;

/// The ids clients see begin here: no server gives out so many in its life, so an id tells whether
/// it is ours; and it stays positive for clients that keep it in 32 bits.
pub(crate) const FIRST_ID: u32 = 1 << 30;

/// A server's thread that works for a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Thread {
    pub(crate) member: MemberName,
    pub(crate) id: u32,
}

/// What KILL needs to know of a session.
#[derive(Debug, Clone, Default)]
pub(crate) struct Entry {
    pub(crate) user: String,
    pub(crate) threads: Vec<Thread>,
    /// Told when the session shall end.
    pub(crate) doomed: Arc<Notify>,
}

/// All sessions.
#[derive(Debug, Default)]
pub(crate) struct Sessions(Mutex<Book>);

#[derive(Debug, Default)]
struct Book {
    next: u32,
    open: HashMap<u32, Entry>,
}

impl Sessions {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn count(&self) -> usize {
        self.book().open.len()
    }

    /// A new session, unless `limit` are open.
    pub(crate) fn begin(self: &Arc<Self>, limit: usize) -> Option<Ticket> {
        let mut book = self.book();
        if book.open.len() >= limit {
            return None;
        }
        let id = loop {
            let id = FIRST_ID | book.next & (FIRST_ID - 1);
            book.next = book.next.wrapping_add(1);
            if !book.open.contains_key(&id) {
                break id;
            }
        };
        let entry = Entry::default();
        let doomed = Arc::clone(&entry.doomed);
        book.open.insert(id, entry);
        drop(book);
        Some(Ticket {
            sessions: Arc::clone(self),
            id,
            doomed,
        })
    }

    pub(crate) fn find(&self, id: u32) -> Option<Entry> {
        self.book().open.get(&id).cloned()
    }
}

/// A session's place among the others; dropping it ends it.
#[derive(Debug)]
pub(crate) struct Ticket {
    sessions: Arc<Sessions>,
    pub(crate) id: u32,
    pub(crate) doomed: Arc<Notify>,
}

impl Ticket {
    pub(crate) fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// It is this user's from now on, unless he has `limit` others.
    pub(crate) fn claim(&self, user: &str, limit: Option<u32>) -> bool {
        let mut book = self.sessions.book();
        let of_user = |(id, entry): &(&u32, &Entry)| **id != self.id && entry.user == user;
        let others = || book.open.iter().filter(of_user).count();
        let limit = limit.and_then(|limit| usize::try_from(limit).ok());
        if limit.is_some_and(|limit| others() >= limit) {
            return false;
        }
        if let Some(entry) = book.open.get_mut(&self.id) {
            user.clone_into(&mut entry.user);
        }
        true
    }

    /// Who it is and which threads work for it now.
    pub(crate) fn note(&self, user: &str, threads: Vec<Thread>) {
        if let Some(entry) = self.sessions.book().open.get_mut(&self.id) {
            user.clone_into(&mut entry.user);
            entry.threads = threads;
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.sessions.book().open.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_may_have_a_bound_of_his_own() {
        let sessions = Arc::new(Sessions::default());
        let [first, second, third] = [(); 3].map(|()| sessions.begin(9).unwrap());
        assert!(first.claim("app", Some(1)));
        assert!(!second.claim("app", Some(1)));
        assert!(second.claim("app", None) && third.claim("other", Some(1)));
        // Who has one may have it again.
        assert!(third.claim("other", Some(1)));
        drop((first, second));
        assert!(third.claim("app", Some(1)));
    }

    #[test]
    fn sessions_are_bounded_and_found_by_their_id() {
        let sessions = Arc::new(Sessions::default());
        let first = sessions.begin(2).unwrap();
        let second = sessions.begin(2).unwrap();
        assert!(sessions.begin(2).is_none());
        assert!(first.id >= FIRST_ID && first.id != second.id);
        first.note("app", Vec::new());
        assert_eq!(sessions.find(first.id).unwrap().user, "app");
        drop(first);
        assert_eq!(sessions.count(), 1);
        assert!(sessions.begin(2).is_some());
    }
}
