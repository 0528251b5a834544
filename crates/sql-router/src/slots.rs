//! How many connections one thread may have to each server, and who waits for one, in order. What has
//! a connection and does nothing with it can be asked to part with it.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::rc::Rc;

use site::name::MemberName;
use tokio::sync::{Notify, oneshot};

/// Of one thread.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    members: RefCell<HashMap<MemberName, Rc<Member>>>,
    idle: RefCell<Idle>,
}

#[derive(Debug, Default)]
struct Member {
    open: Cell<usize>,
    waiting: RefCell<VecDeque<oneshot::Sender<()>>>,
}

impl Member {
    fn is_wanted(&self) -> bool {
        !self.waiting.borrow().is_empty()
    }

    /// Lets the first of those who wait look again.
    fn call(&self) {
        let mut waiting = self.waiting.borrow_mut();
        while let Some(first) = waiting.pop_front() {
            if first.send(()).is_ok() {
                return;
            }
        }
    }
}

/// The right to one connection, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Slot(Rc<Member>);

impl Slot {
    /// Does somebody wait for a connection to its server?
    pub(crate) fn is_wanted(&self) -> bool {
        self.0.is_wanted()
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get() - 1);
        self.0.call();
    }
}

/// Those who have a connection and wait for their client, the one who has waited longest first.
#[derive(Debug, Default)]
struct Idle {
    next: u64,
    sessions: BTreeMap<u64, Idler>,
}

#[derive(Debug)]
struct Idler {
    of: [Option<*const Member>; 2],
    please: Rc<Notify>,
}

impl Slots {
    fn member(&self, name: &MemberName) -> Rc<Member> {
        let mut members = self.members.borrow_mut();
        match members.get(name) {
            Some(member) => Rc::clone(member),
            None => Rc::clone(members.entry(name.clone()).or_default()),
        }
    }

    /// One more connection to `name`, if there are less than `limit`.
    pub(crate) fn take(&self, name: &MemberName, limit: usize) -> Option<Slot> {
        let member = self.member(name);
        let open = member.open.get();
        (open < limit).then(|| {
            member.open.set(open + 1);
            Slot(member)
        })
    }

    /// Does somebody wait for a connection to `name`?
    pub(crate) fn is_wanted(&self, name: &MemberName) -> bool {
        let members = self.members.borrow();
        members.get(name).is_some_and(|member| member.is_wanted())
    }

    /// Waits until there may be one: a slot, or a connection that was given back. Who was called and
    /// found nothing waits again in front of all others.
    pub(crate) async fn wait(&self, name: &MemberName, again: bool) {
        let member = self.member(name);
        let (call, called) = oneshot::channel();
        match again {
            true => member.waiting.borrow_mut().push_front(call),
            false => member.waiting.borrow_mut().push_back(call),
        }
        self.ask(&member);
        let place = Place {
            member: &member,
            called: Some(called),
        };
        place.wait().await;
    }

    /// A connection to `name` has become free without its slot.
    pub(crate) fn freed(&self, name: &MemberName) {
        self.member(name).call();
    }

    /// Asks the session that has been idle longest for its connection.
    fn ask(&self, member: &Rc<Member>) {
        let mut idle = self.idle.borrow_mut();
        let wanted = Some(Rc::as_ptr(member));
        let mut found = idle.sessions.iter();
        let number =
            found.find_map(|(number, idler)| idler.of.contains(&wanted).then_some(*number));
        if let Some(idler) = number.and_then(|number| idle.sessions.remove(&number)) {
            idler.please.notify_one();
        }
    }

    /// A session that was asked cannot part with its connection: the next one is asked.
    pub(crate) fn decline(&self, slot: &Slot) {
        if slot.is_wanted() {
            self.ask(&slot.0);
        }
    }

    /// A session waits for its client, with these.
    pub(crate) fn rest(&self, of: [Option<&Slot>; 2], please: &Rc<Notify>) -> Rest<'_> {
        let mut idle = self.idle.borrow_mut();
        let number = idle.next;
        idle.next += 1;
        let idler = Idler {
            of: of.map(|slot| slot.map(|slot| Rc::as_ptr(&slot.0))),
            please: Rc::clone(please),
        };
        idle.sessions.insert(number, idler);
        Rest {
            slots: self,
            number,
        }
    }
}

/// A place among those who wait; who was called and goes calls the next one.
struct Place<'a> {
    member: &'a Member,
    called: Option<oneshot::Receiver<()>>,
}

impl Place<'_> {
    async fn wait(mut self) {
        if let Some(called) = self.called.as_mut() {
            // An error cannot be: the other half is dropped only after a call.
            called.await.unwrap_or_default();
        }
        self.called = None;
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if let Some(called) = &mut self.called {
            let was_called = called.try_recv().is_ok();
            called.close();
            if was_called {
                self.member.call();
            }
        }
    }
}

/// As long as it is held the session may be asked.
#[derive(Debug)]
pub(crate) struct Rest<'a> {
    slots: &'a Slots,
    number: u64,
}

impl Drop for Rest<'_> {
    fn drop(&mut self) {
        self.slots.idle.borrow_mut().sessions.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    fn name() -> MemberName {
        MemberName::new("db-1")
    }

    #[test]
    fn no_more_than_the_limit_and_a_slot_comes_back() {
        let slots = Slots::default();
        let first = slots.take(&name(), 1);
        assert!(first.is_some() && slots.take(&name(), 1).is_none());
        assert!(slots.take(&MemberName::new("db-2"), 1).is_some());
        drop(first);
        assert!(slots.take(&name(), 1).is_some());
    }

    #[test]
    fn they_wait_in_order_and_who_goes_is_no_obstacle() {
        let slots = Slots::default();
        let slot = slots.take(&name(), 1);
        let db = name();
        let mut gone = Box::pin(slots.wait(&db, false));
        let mut first = Box::pin(slots.wait(&db, false));
        let mut second = Box::pin(slots.wait(&db, false));
        let cx = &mut Context::from_waker(Waker::noop());
        for waiting in [&mut gone, &mut first, &mut second] {
            assert!(waiting.as_mut().poll(cx).is_pending());
        }
        assert!(slots.is_wanted(&db));
        drop(slot);
        // He was called, and does not look.
        drop(gone);
        assert!(first.as_mut().poll(cx).is_ready());
        assert!(second.as_mut().poll(cx).is_pending());
        // The first found nothing: he is in front.
        let mut again = pin!(slots.wait(&db, true));
        assert!(again.as_mut().poll(cx).is_pending());
        slots.freed(&db);
        assert!(again.as_mut().poll(cx).is_ready());
        assert!(second.as_mut().poll(cx).is_pending());
        drop(second);
        slots.freed(&db);
        assert!(!slots.is_wanted(&db));
    }

    #[test]
    fn who_has_been_idle_longest_is_asked_first() {
        let slots = Slots::default();
        let db = name();
        let (one, two) = (slots.take(&db, 2).unwrap(), slots.take(&db, 2).unwrap());
        let (please_one, please_two) = (Rc::new(Notify::new()), Rc::new(Notify::new()));
        let _first = slots.rest([Some(&one), None], &please_one);
        let _second = slots.rest([None, Some(&two)], &please_two);
        let cx = &mut Context::from_waker(Waker::noop());
        let mut waiting = Box::pin(slots.wait(&db, false));
        assert!(waiting.as_mut().poll(cx).is_pending());
        let (mut one_asked, mut two_asked) = (
            Box::pin(please_one.notified()),
            Box::pin(please_two.notified()),
        );
        assert!(one_asked.as_mut().poll(cx).is_ready());
        assert!(two_asked.as_mut().poll(cx).is_pending());
        slots.decline(&one);
        assert!(two_asked.as_mut().poll(cx).is_ready());
    }
}
