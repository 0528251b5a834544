//! Pure: what is to come in a run, in the order of true time.

use database::failover::view::Time;

use crate::clock::Us;
use crate::engine::Txn;
use crate::store::{Op, Reply};

/// What is to come.
#[derive(Debug)]
pub(crate) enum Event {
    Wake(u64),
    /// A wait of the keeper's is over.
    Waited(u64),
    AtStore(u64, Op),
    FromStore(u64, Reply),
    StoreSilent(u64),
    StateChanged,
    /// Its own clock shows the deadline.
    Fence(Time),
    Started,
    Rebuilt(usize),
    MachineBack,
    Thaw,
    /// Before its time.
    WakeUp,
    /// Only that one hears the primary.
    Alone(usize),
    // the server, in one of its lives
    Link(u64),
    Apply(u64),
    Deliver(Box<Delivery>),
    Acknowledge {
        from: usize,
        connection: u64,
        place: usize,
        life: u64,
    },
    // the site
    Clients,
    /// One more.
    Client,
    Trouble(usize),
    Relief(usize),
    Look,
}

/// Transactions on their way to a replica.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub from: usize,
    pub connection: u64,
    pub life: u64,
    /// How many the replica has before these.
    pub after: usize,
    pub txns: Vec<Txn>,
}

#[derive(Debug)]
pub(crate) struct Scheduled {
    pub at: Us,
    pub order: u64,
    pub server: usize,
    /// The keeper's life it was meant for.
    pub life: u64,
    pub event: Event,
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.order) == (other.at, other.order)
    }
}
impl Eq for Scheduled {}
impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

impl Event {
    /// Nothing of it happens while the machine stands still.
    pub(crate) fn needs_the_machine(&self) -> bool {
        !matches!(
            self,
            Self::Clients
                | Self::Client
                | Self::Trouble(_)
                | Self::Relief(_)
                | Self::Look
                | Self::AtStore(..)
                | Self::Thaw
                | Self::WakeUp
                | Self::Alone(_)
                | Self::MachineBack
        )
    }

    /// Of one life of a keeper; nobody else waits for it.
    pub(crate) fn is_keepers(&self) -> bool {
        matches!(
            self,
            Self::Wake(_)
                | Self::Waited(_)
                | Self::FromStore(..)
                | Self::StoreSilent(_)
                | Self::StateChanged
                | Self::Fence(_)
                | Self::Started
                | Self::Rebuilt(_)
        )
    }
}
