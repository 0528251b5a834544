//! The links of one thread to one upstream. The first one with room is taken, so the later ones grow old
//! and are closed: there are as many as are needed.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use super::client::Link;
use crate::limits;
use crate::stream::Stream;

/// As for connections of HTTP/1.1 (`pool`).
const IDLE: Duration = Duration::from_secs(55);

/// The links.
#[derive(Debug, Default)]
pub struct Links {
    links: RefCell<Vec<Link>>,
}

impl Links {
    /// A stream on a link that is there. `None`: connect another one, when `has_room` says so.
    pub fn open(&self) -> Option<Stream> {
        let mut links = self.links.borrow_mut();
        let opened = links.iter().find_map(Link::open);
        if opened.is_none() {
            links.retain(Link::is_usable);
        }
        opened
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.links.borrow().len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether one more link may be made.
    pub fn has_room(&self) -> bool {
        self.len() < limits::H2_LINKS
    }

    /// Keeps a new link.
    pub fn add(&self, link: Link) {
        let mut links = self.links.borrow_mut();
        if links.len() < limits::H2_LINKS {
            links.push(link);
        }
    }

    /// Lets go what is over, and what nobody has used for long.
    pub fn sweep(&self, now: Instant) {
        self.links.borrow_mut().retain(|link| {
            let idle = link
                .idle_since()
                .map(|since| now.saturating_duration_since(since));
            link.is_usable() && idle.is_none_or(|idle| idle < IDLE)
        });
    }

    /// Lets go all: the upstream is gone, or is not to be used. Open streams go on.
    pub fn clear(&self) {
        self.links.borrow_mut().clear();
    }
}
