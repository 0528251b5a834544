//! What the threads read: the snapshot with the list of the release's files.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use http::client::Address;

use crate::locate::{self, Paths};
use crate::site_files::{self, SiteFile};
use crate::snapshot::{Listen, Snapshot};
use crate::visitor::Signer;

/// Immutable.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) snapshot: Snapshot,
    pub(crate) paths: Arc<Paths<SiteFile>>,
    pub(crate) addresses: Vec<Address>,
    /// When the app reads for visitors.
    pub(crate) signer: Option<Signer>,
    files_of: Option<PathBuf>,
}

impl State {
    /// Lists the files anew only when the release has changed.
    pub(crate) fn new(snapshot: Snapshot, former: Option<&Self>) -> io::Result<Self> {
        let root = match (&snapshot.release, &snapshot.target.static_dir) {
            (Some(release), Some(directory)) => Some(release.join(directory)),
            _ => None,
        };
        let paths = match (&root, former) {
            (Some(root), Some(former))
                if former.files_of.as_ref() == Some(root)
                    && former.snapshot.target.index == snapshot.target.index =>
            {
                Arc::clone(&former.paths)
            }
            (Some(root), _) => Arc::new(locate::paths(
                site_files::list(root)?,
                &snapshot.target.index,
            )),
            (None, _) => Arc::default(),
        };
        let addresses = snapshot
            .instances
            .iter()
            .map(|instance| match &instance.listen {
                Listen::Socket(path) => Address::Unix(path.clone()),
                Listen::Port(address) => Address::Tcp(*address),
            });
        Ok(Self {
            signer: snapshot.visitors.as_ref().map(Signer::load).transpose()?,
            addresses: addresses.collect(),
            paths,
            files_of: root,
            snapshot,
        })
    }

    pub(crate) fn ready(&self) -> usize {
        self.snapshot
            .instances
            .iter()
            .filter(|instance| instance.ready)
            .count()
    }
}
