//! The probes of all endpoints: one task each, started and ended as endpoints come and go. A probe goes
//! on with what it knows when its check changes.

use std::collections::HashMap;
use std::rc::Rc;

use http::deadline::Watch;
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;

use super::probe::{self, Subject};
use crate::backend::{Backend, Endpoint};
use crate::run::News;
use crate::state::State;

/// Backend, name and address: the same endpoint as long as these are the same.
type Key = (String, String, http::client::Address);

#[derive(Debug)]
pub(crate) struct Probes {
    running: HashMap<Key, Running>,
    watch: Rc<Watch>,
    news: mpsc::Sender<News>,
}

#[derive(Debug)]
struct Running {
    subject: watch::Sender<Subject>,
    task: AbortHandle,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Probes {
    pub(crate) fn new(news: mpsc::Sender<News>) -> Self {
        let watch = Watch::new();
        // Ends with the control thread's runtime.
        tokio::task::spawn_local(Rc::clone(&watch).run());
        Self {
            running: HashMap::new(),
            watch,
            news,
        }
    }

    /// Starts a probe for each endpoint that has none, ends those of endpoints that are gone, tells the
    /// others what to ask now.
    pub(crate) fn follow(&mut self, state: &State) {
        let host = state.target.domains.first().cloned().unwrap_or_default();
        let mut former = std::mem::take(&mut self.running);
        for backend in &state.backends {
            for endpoint in &backend.endpoints {
                let key = key(backend, endpoint);
                let subject = Subject::of(backend, endpoint, &host);
                let running = match former.remove(&key) {
                    Some(running) => {
                        running.subject.send_if_modified(|former| {
                            let changed = *former != subject;
                            *former = subject;
                            changed
                        });
                        running
                    }
                    None => self.start(subject),
                };
                self.running.insert(key, running);
            }
        }
    }

    fn start(&self, subject: Subject) -> Running {
        let (subject, of) = watch::channel(subject);
        let probe = probe::run(of, Rc::clone(&self.watch), self.news.clone());
        Running {
            subject,
            task: tokio::task::spawn_local(probe).abort_handle(),
        }
    }
}

fn key(backend: &Backend, endpoint: &Endpoint) -> Key {
    (
        backend.target.name.clone(),
        endpoint.name.clone(),
        endpoint.address.clone(),
    )
}
