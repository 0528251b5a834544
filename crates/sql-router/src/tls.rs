//! What TLS needs, for all threads of the process: the certificate shown to clients, the trust in servers, the
//! RSA key for passwords sent without TLS. Files are read when a snapshot names them and again when they have
//! changed, so a renewed certificate counts for the next connection. Asked when a connection is made, never
//! by a statement.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use mysql::rsa::DecryptingKey;
use mysql::tls::{Acceptor, Connector, Trust};
use site::target::balancer::CertificateFiles;
use tokio::sync::OnceCell;

use crate::limits::CERTIFICATE_AGE;
use crate::snapshot::{ServersTls, Snapshot};

#[derive(Debug, Default)]
pub(crate) struct Tls {
    clients: Mutex<Option<Kept<CertificateFiles, Acceptor>>>,
    servers: Mutex<Option<Kept<ServersTls, Connector>>>,
    rsa: OnceCell<Arc<DecryptingKey>>,
}

/// What was made of some files.
#[derive(Debug)]
struct Kept<T, V> {
    terms: T,
    stamps: Vec<Stamp>,
    looked: Instant,
    value: V,
}

/// Differs when a file was written anew or another one put in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    length: u64,
    changed: (i64, i64),
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let metadata = std::fs::metadata(path).ok()?;
        Some(Self {
            inode: metadata.ino(),
            length: metadata.len(),
            changed: (metadata.mtime(), metadata.mtime_nsec()),
        })
    }

    /// Empty when one of them is not there.
    fn all(paths: &[&PathBuf]) -> Vec<Self> {
        let stamps: Option<Vec<_>> = paths.iter().map(|path| Self::of(path)).collect();
        stamps.unwrap_or_default()
    }
}

/// The value for `terms`: what is kept while its files are the same, else made anew. When that fails, the
/// former one is kept as long as it was for the same terms.
fn current<T: Clone + PartialEq, V: Clone>(
    kept: &Mutex<Option<Kept<T, V>>>,
    terms: &T,
    files: &[&PathBuf],
    make: impl FnOnce() -> Result<V, String>,
) -> Result<V, String> {
    let mut kept: MutexGuard<'_, _> = kept.lock().unwrap_or_else(PoisonError::into_inner);
    let former = kept.as_mut().filter(|kept| kept.terms == *terms);
    if let Some(former) = &former
        && former.looked.elapsed() < CERTIFICATE_AGE
    {
        return Ok(former.value.clone());
    }
    // Before the files are read: what is written meanwhile is seen the next time.
    let stamps = Stamp::all(files);
    let looked = Instant::now();
    match former {
        Some(former) if former.stamps == stamps => {
            former.looked = looked;
            Ok(former.value.clone())
        }
        former => match (make(), former) {
            (Ok(value), _) => {
                *kept = Some(Kept {
                    terms: terms.clone(),
                    stamps,
                    looked,
                    value: value.clone(),
                });
                Ok(value)
            }
            (Err(why), Some(former)) => {
                tracing::error!("the former certificate stays in use: {why}");
                former.looked = looked;
                Ok(former.value.clone())
            }
            (Err(why), None) => Err(why),
        },
    }
}

impl Tls {
    /// What clients are shown; none when the snapshot has none, or it cannot be read.
    pub(crate) fn acceptor(&self, snapshot: &Snapshot) -> Option<Acceptor> {
        let files = snapshot.certificate_files()?;
        let made = current(&self.clients, files, &[&files.chain, &files.key], || {
            acceptor(files)
        });
        made.inspect_err(|why| tracing::error!("TLS is not offered: {why}"))
            .ok()
    }

    /// How servers are spoken to. An error is no leave to go without.
    pub(crate) fn connector(&self, snapshot: &Snapshot) -> Result<Option<Connector>, String> {
        let terms = &snapshot.servers_tls;
        let Some((authority, trust)) = trust(terms) else {
            return Ok(None);
        };
        let made = current(&self.servers, terms, &[authority], || {
            Connector::from_file(authority, trust).map_err(|e| e.to_string())
        });
        made.map(Some)
    }

    /// Made when the first client needs it; until then it costs nothing.
    pub(crate) async fn rsa(&self) -> Result<Arc<DecryptingKey>, String> {
        let making = self.rsa.get_or_try_init(|| async {
            let made = tokio::task::spawn_blocking(DecryptingKey::generate).await;
            let key = made.map_err(|e| e.to_string())?;
            key.map(Arc::new).map_err(|e| e.to_string())
        });
        making.await.cloned()
    }
}

fn acceptor(files: &CertificateFiles) -> Result<Acceptor, String> {
    Acceptor::from_files(&files.chain, &files.key).map_err(|e| e.to_string())
}

fn trust(terms: &ServersTls) -> Option<(&PathBuf, Trust)> {
    match terms {
        ServersTls::Off => None,
        ServersTls::Authority { authority } => Some((authority, Trust::Authority)),
        ServersTls::Verify { authority } => Some((authority, Trust::Name)),
    }
}

/// Can everything that the snapshot names be read and used?
pub(crate) fn check(snapshot: &Snapshot) -> Result<(), String> {
    if let Some(files) = snapshot.certificate_files() {
        acceptor(files)?;
    }
    match trust(&snapshot.servers_tls) {
        Some((authority, trust)) => Connector::from_file(authority, trust)
            .map(drop)
            .map_err(|e| e.to_string()),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(
        kept: &Mutex<Option<Kept<u8, String>>>,
        terms: u8,
        file: &PathBuf,
    ) -> Result<String, String> {
        // As if the time had passed.
        if let Some(kept) = kept.lock().unwrap().as_mut() {
            kept.looked = Instant::now().checked_sub(CERTIFICATE_AGE).unwrap();
        }
        current(kept, &terms, &[file], || {
            std::fs::read_to_string(file).map_err(|e| e.to_string())
        })
    }

    #[test]
    fn files_are_read_again_when_they_have_changed() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pem");
        let kept = Mutex::new(None);
        assert!(read(&kept, 1, &file).is_err());
        std::fs::write(&file, "one").unwrap();
        assert_eq!(read(&kept, 1, &file).unwrap(), "one");
        std::fs::write(&file, "three").unwrap();
        assert_eq!(read(&kept, 1, &file).unwrap(), "three");
        std::fs::remove_file(&file).unwrap();
        assert_eq!(read(&kept, 1, &file).unwrap(), "three", "the former one");
        assert!(read(&kept, 2, &file).is_err(), "not that of other terms");
    }

    #[test]
    fn within_a_moment_nothing_is_looked_at() {
        let (file, kept) = (PathBuf::from("/nowhere"), Mutex::new(None));
        let first = current(&kept, &1, &[&file], || Ok("one".to_owned()));
        let second = current(&kept, &1, &[&file], || Err("asked".to_owned()));
        assert_eq!(
            (first.unwrap(), second.unwrap()),
            ("one".to_owned(), "one".to_owned())
        );
    }
}
